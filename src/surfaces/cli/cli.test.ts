import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ExternalError, UserError } from '../../lib/errors.ts'
import { fakeApp, fakeReader, orch } from './fake-app.ts'
import { findEnclosingRun } from './inside-run.ts'
import { NOUNS, SECTIONS } from './routes.ts'

const ALL: string[][] = [
  ...SECTIONS.flatMap((section) => Object.keys(section.verbs).map((verb) => [verb])),
  ...Object.entries(NOUNS).flatMap(([noun, { verbs }]) => Object.keys(verbs).map((verb) => [noun, verb])),
]

test('orch alone, --help and help show every verb and every exit code', async () => {
  const alone = await orch([])
  expect(alone.exit).toBe(0)
  for (const verb of ['demo', 'init', 'doctor', 'up', 'status', 'why', 'stream', 'approve', 'reject', 'answer'])
    expect(alone.stdout).toContain(`  ${verb} `)
  for (const code of [0, 1, 2, 3, 4, 5, 6]) expect(alone.stdout).toMatch(new RegExp(`^  ${code} +\\S`, 'm'))
  expect((await orch(['--help'])).stdout).toBe(alone.stdout)
  expect((await orch(['help'])).stdout).toBe(alone.stdout)
})

const PARTS = ['NAME', 'SYNOPSIS', 'DESCRIPTION', 'OPTIONS', 'EXIT CODES', 'EXAMPLES', 'SEE ALSO']

test.each(ALL.map((words) => [words.join(' '), words]))(
  'orch %s has help with an example, by --help and by help',
  async (name, words) => {
    const asked = await orch([...words, '--help'])
    expect(asked.exit).toBe(0)
    expect(asked.stdout.match(/^[A-Z ]+$/gm)?.filter((title) => title !== 'ARGUMENTS')).toEqual(PARTS)
    expect(asked.stdout).toContain(`SYNOPSIS\n  orch ${name}`)
    expect(asked.stdout).toContain('--json')
    expect(asked.stdout.split('EXAMPLES\n')[1]).toContain(`orch ${name}`)
    for (const line of asked.stdout.split('EXAMPLES\n')[0]?.split('\n') ?? [])
      expect(line.length, line).toBeLessThanOrEqual(80)
    expect((await orch(['help', ...words])).stdout).toBe(asked.stdout)
  },
)

test('help is wrapped to the terminal, all of it listed by --all, and paged only when asked for by name', async () => {
  const narrow = await orch(['help', 'task', 'inspect'], { columns: 40, isTty: true })
  const [before = ''] = narrow.stdout.split('EXAMPLES')
  for (const line of before.split('\n')) expect(line.length, line).toBeLessThanOrEqual(40)
  const all = (await orch(['help', '--all'])).stdout
  for (const words of ALL) expect(all).toContain(`orch ${words.join(' ')}`)
  const paged: string[] = []
  const page = async (text: string): Promise<boolean> => paged.push(text) > 0
  expect((await orch(['help', 'why'], { page })).stdout).toBe('')
  expect(paged).toEqual([(await orch(['why', '--help'], { page })).stdout])
})

test('a noun shows its verbs', async () => {
  const shown = await orch(['task', '--help'])
  expect(shown.stdout).toContain('orch task add TITLE')
  expect(shown.stdout).toContain('orch task unblock [ID|all]')
  expect((await orch(['help', 'task'])).stdout).toBe(shown.stdout)
  expect((await orch(['task'])).stdout).toBe(shown.stdout)
})

test.each([
  [['statsu'], 'unknown command "statsu"; did you mean "orch status"?'],
  [['task', 'ad'], 'did you mean "orch task add"?'],
  [['zzzzzz'], 'unknown command "zzzzzz" (see `orch --help`)'],
  [['constructor'], 'unknown command "constructor"'],
  [['task', 'toString'], 'unknown command "task toString"'],
  [['--jsn'], 'unknown option "--jsn"'],
  [['status', '--wach'], 'unknown option --wach; did you mean --watch?'],
  [['status', '--watch=1'], '--watch takes no value'],
  [['status', '--project'], '--project needs a value: --project PREFIX'],
  [['reject', '1', '--reason', '--raw'], '--reason needs a value'],
  [['why'], 'ID is missing'],
  [['why', '1', '2'], 'unexpected argument "2"'],
  [['help', 'nothing'], 'unknown command "nothing"'],
])('%j is wrong use', async (argv, message) => {
  const { exit, stdout, stderr } = await orch(argv)
  expect({ exit, stdout }).toEqual({ exit: 2, stdout: '' })
  expect(stderr).toContain(message)
  expect(stderr).toMatch(/^orch: [^\n]+\n$/)
})

test('with --json an error is one JSON line on stderr', async () => {
  const { exit, stdout, stderr } = await orch(['task', 'show', 'SHOP-9', '--json'])
  expect({ exit, stdout }).toEqual({ exit: 3, stdout: '' })
  expect(JSON.parse(stderr)).toEqual({
    error: { code: 'no-such-task', exit: 3, text: expect.stringContaining('SHOP-9') },
  })
})

test('a refusal gives 4 and its name', async () => {
  const app = fakeApp({
    act: async () => ({ ok: false, refusal: { code: 'task-paused', text: 'The task is paused.' } }),
  })
  const { exit, stderr } = await orch(['approve', '1'], { app })
  expect({ exit, stderr }).toEqual({ exit: 4, stderr: 'orch: The task is paused. [task-paused]\n' })
})

test.each([
  [new UserError(6, 'no-remote', 'no origin'), 6, 'orch: no origin\n'],
  [new ExternalError({ system: 'git', kind: 'unreachable', message: 'no answer' }), 6, 'orch: no answer\n'],
  [new ExternalError({ system: 'git', kind: 'rejected', message: 'said no' }), 1, 'orch: said no\n'],
  [new ExternalError({ system: 'git', kind: 'not-found', message: 'gone' }), 3, 'orch: gone\n'],
  [
    Object.assign(new Error('write'), { code: 'ENOSPC' }),
    6,
    'orch: write: the disk is full: make room and try again\n',
  ],
  [new Error('line\nbreak \u001b[31m'), 1, 'orch: line break \\x1b[31m (a fault of Orch; ORCH_DEBUG=1 shows where)\n'],
])('%s is told in one line', async (error, exit, stderr) => {
  const app = fakeApp({ agents: () => Promise.reject(error) })
  expect(await orch(['agent', 'list'], { app })).toEqual({ exit, stderr, stdout: '' })
})

test('inside a run nothing may be changed, but everything may be looked at', async () => {
  const env = { ORCH_RUN: 'r7', USER: 'ann' }
  const refused = await orch(['approve', '1', '--json'], { env })
  expect(refused.exit).toBe(4)
  expect(JSON.parse(refused.stderr)).toMatchObject({ error: { code: 'inside-run' } })
  for (const argv of [
    ['task', 'add', 'x'],
    ['up'],
    ['init', '--yes'],
    ['task', 'cancel', '1'],
    ['project', 'remove', 'SHOP'],
    ['demo'],
  ]) {
    expect((await orch(argv, { env })).exit).toBe(4)
  }
  expect((await orch(['task', 'show', '1'], { env })).exit).toBe(0)
})

test.runIf(process.platform === 'linux')('an ancestor with ORCH_RUN is found though the variable was dropped', () => {
  const proc = mkdtempSync(join(tmpdir(), 'orch-proc-'))
  const put = (pid: number, parent: number, environ: string): void => {
    mkdirSync(join(proc, String(pid)))
    writeFileSync(join(proc, String(pid), 'environ'), environ)
    writeFileSync(join(proc, String(pid), 'stat'), `${pid} (a) b) (c) S ${parent} 1 1`)
  }
  put(process.ppid, 900_001, 'PATH=/bin\0')
  put(900_001, 900_002, 'NOT_ORCH_RUN=x\0')
  put(900_002, 1, 'HOME=/\0ORCH_RUN=r9\0A=b\0')
  expect(findEnclosingRun({}, proc)).toBe('r9')
  writeFileSync(join(proc, '900002', 'environ'), 'HOME=/\0')
  expect(findEnclosingRun({}, proc)).toBeNull()
  rmSync(proc, { recursive: true })
})

test('a bare number in no project and with several of them is not guessed', async () => {
  const projects = ['SHOP', 'WEB'].map((id) => ({ id, name: id, path: `/${id}`, remote: '', createdAt: 0 }))
  const reader = fakeReader({ projectAt: () => null, projects: () => projects, resolveTaskId: () => null })
  const { exit, stderr } = await orch(['why', '1'], { reader })
  expect(exit).toBe(2)
  expect(stderr).toContain('known: SHOP, WEB')
})

test('what can be no id is wrong use, and nothing kept yet is not found', async () => {
  expect((await orch(['why', 'foo bar'])).exit).toBe(2)
  expect((await orch(['why', '../1'])).exit).toBe(2)
  expect(await orch(['why', '1'], { reader: null })).toMatchObject({
    exit: 3,
    stderr: expect.stringContaining('orch init'),
  })
})
