import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { commandTable } from '../../../scripts/command-table.ts'
import { PROJECT, counts, fakeLine, fakeReader, fakeTask, orch } from './fake-app.ts'

const reader = fakeReader({
  status: () => ({
    tasks: [
      fakeLine({ id: 'SHOP-1', title: 'Fix\u001b[31m\tthe rounding' }),
      fakeLine({ id: 'SHOP-12', status: 'needs_review', title: 'Print' }),
    ],
    counts: counts(),
    more: 0,
    service: { running: false, pid: null, since: null },
  }),
})

/** What is offered after the words; the last one is being typed. */
async function offered(...words: string[]): Promise<string[]> {
  const run = await orch(['__complete', ...words], { reader })
  expect(run).toMatchObject({ exit: 0, stderr: '' })
  return run.stdout.split('\n').filter(Boolean)
}

const texts = async (...words: string[]): Promise<string[]> =>
  (await offered(...words)).map((line) => line.split('\t')[0] ?? '')

test('tasks come with their titles, by bare number where one was begun', async () => {
  expect(await offered('why', '')).toEqual([
    'SHOP-1\trunning: Fix\\x1b[31m the rounding',
    'SHOP-12\tneeds review: Print',
  ])
  expect(await texts('why', 'shop-12')).toEqual(['SHOP-12'])
  expect(await texts('task', 'show', '12')).toEqual(['12'])
  expect(await texts('stream', 'SHOP-1', 'SHOP-2', 'SHOP-12')).toEqual(['SHOP-12'])
})

test.each([
  [['sta'], ['status']],
  [
    ['task', 'r'],
    ['runs', 'retry', 'reopen', 'reroute', 'resume'],
  ],
  [['help', 'chan'], ['change']],
  [['help', 'change', 'd'], ['diff']],
  [['status', '--w'], ['--watch']],
  [['status', '--watch', '--w'], []],
  [['task', 'add', 'T', '--label', 'x', '--lab'], ['--label']],
  [['task', 'list', '--status', 'do'], ['done']],
  [['task', 'list', '--status=do'], ['--status=done']],
  [['task', 'add', '--depends-on', 'SHOP-12'], ['SHOP-12']],
  [['stream', '1', '--from', 'n'], ['now']],
  [
    ['init', '--approval', ''],
    ['auto', 'human', 'human-twice', 'label', 'tracker-state'],
  ],
  [['demo', '--agent', 'cl'], ['claude']],
  [['project', 'remove', 'sh'], ['SHOP']],
  [['task', 'add', 'T', '--pipeline', 'dir'], ['direct']],
  [['config', 'explain', 'limits.att'], ['limits.attempts']],
  [['completion', 'f'], ['fish']],
  [['schema', 'task', 'in'], ['inspect']],
  [['task', 'add', '--body-file', 'x'], [':files']],
  [['pipeline', 'validate', ''], [':files']],
  // Free text, too many arguments, unknown words: nothing to offer.
  [['task', 'add', ''], []],
  [['why', '1', ''], []],
  [['frobnicate', ''], []],
  [['task', 'frobnicate', ''], []],
  [['constructor', ''], []],
])('after %j comes %j', async (words, expected) => {
  expect(await texts(...words)).toEqual(expected)
})

test('runs are those of the task that was named', async () => {
  const run = {
    id: 'SHOP-1-3',
    stage: 'develop',
    role: 'developer',
    agent: 'claude',
    model: null,
    attempt: 1,
    outcome: 'running',
    startedAt: '',
    endedAt: null,
    usage: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
  }
  const one = fakeReader({}, [fakeTask({ runs: [run] })])
  const asked = await orch(['__complete', 'task', 'logs', '1', '--run', ''], { reader: one })
  expect(asked.stdout).toBe('SHOP-1-3\tclaude at develop: running\n')
})

test("a project's own pipelines are offered too", async () => {
  const path = mkdtempSync(join(tmpdir(), 'orch-complete-'))
  mkdirSync(join(path, '.orch', 'pipelines'), { recursive: true })
  writeFileSync(join(path, '.orch', 'pipelines', 'own.yml'), 'name: my-own\nstages: []\n')
  const own = fakeReader({ projectAt: () => ({ ...PROJECT, path }) })
  const asked = await orch(['__complete', 'pipeline', 'show', 'my'], { reader: own })
  expect(asked.stdout).toBe('my-own\t\n')
  rmSync(path, { recursive: true })
})

test('what goes wrong is no answer and no error', async () => {
  const broken = fakeReader({
    status: () => {
      throw new Error('the database is gone')
    },
  })
  expect(await orch(['__complete', 'why', ''], { reader: broken })).toEqual({ exit: 0, stdout: '', stderr: '' })
  expect(await orch(['__complete', 'why', ''], { reader: null })).toEqual({ exit: 0, stdout: '', stderr: '' })
  expect(await orch(['__complete'], { reader: null })).toMatchObject({ exit: 0, stderr: '' })
})

test('the built package answers the same from its one file', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'orch-commands-'))
  const commandsFile = join(dir, 'commands.json')
  writeFileSync(commandsFile, JSON.stringify(await commandTable()))
  const asked = [
    ['task', ''],
    ['task', 'add', 'T', '--'],
    ['task', 'list', '--status', ''],
    ['why', ''],
    ['stream', '1', '2', ''],
    ['help', 'change', ''],
    ['frobnicate', ''],
    ['constructor', ''],
  ]
  for (const words of asked) {
    const built = await orch(['__complete', ...words], { reader, commandsFile })
    expect(built, words.join(' ')).toEqual(await orch(['__complete', ...words], { reader }))
  }
  const agents = await orch(['__complete', 'demo', '--agent', 'scr'], { reader, commandsFile })
  expect(agents.stdout).toBe('scripted\t\n')
  rmSync(dir, { recursive: true })
})
