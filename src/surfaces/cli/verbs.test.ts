import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { AddTask, InitRequest, TaskAction } from '../../flow/app.ts'
import { NOW, PROJECT, counts, fakeApp, fakeEvent, fakeLine, fakeReader, fakeTask, orch } from './fake-app.ts'

const dir = mkdtempSync(join(tmpdir(), 'orch-cli-'))
afterAll(() => rmSync(dir, { recursive: true }))

function recorder(): { app: ReturnType<typeof fakeApp>; added: AddTask[]; acted: TaskAction[] } {
  const added: AddTask[] = []
  const acted: TaskAction[] = []
  const app = fakeApp({
    addTask: async (request, actor) => {
      added.push(request)
      expect(actor).toEqual({ kind: 'person', name: 'ann' })
      return { ok: true, value: fakeTask({ title: request.title }) }
    },
    act: async (action) => {
      acted.push(action)
      return {
        ok: true,
        value: fakeTask({
          id: action.task,
          approvals: [{ sha: 'abcdef0123456789', by: 'ann', at: '', covers: ['protected: package.json', 'landing'] }],
        }),
      }
    },
  })
  return { app, added, acted }
}

test('task add hands on everything and prints the task', async () => {
  const { app, added } = recorder()
  const argv = [
    'task',
    'add',
    ' Fix it ',
    '--body',
    'Long\ntext',
    '--label',
    'a',
    '--label',
    'b',
    '--label',
    'a',
    '--priority',
    '-3',
  ]
  argv.splice(argv.indexOf('--priority'), 2, '--priority=-3')
  const { exit, stdout } = await orch(
    [...argv, '--depends-on', '1', '--pipeline', 'direct', '--project', 'shop', '--json'],
    { app },
  )
  expect(exit).toBe(0)
  expect(added).toEqual([
    {
      project: 'SHOP',
      title: 'Fix it',
      body: 'Long\ntext',
      labels: ['a', 'b'],
      priority: -3,
      dependsOn: ['SHOP-1'],
      pipeline: 'direct',
    },
  ])
  expect(stdout.startsWith('{"id":"SHOP-1",')).toBe(true)
  expect(JSON.parse(stdout)).toEqual(fakeTask({ title: 'Fix it' }))
})

test('task add reads the body from a file or from standard input', async () => {
  const { app, added } = recorder()
  const file = join(dir, 'note.md')
  writeFileSync(file, 'From a file ✓')
  await orch(['task', 'add', 'T', '--body-file', 'note.md'], { app, cwd: dir })
  await orch(['task', 'add', 'T', '--body-file', '-'], { app, stdin: 'From a pipe' })
  expect(added.map((request) => request.body)).toEqual(['From a file ✓', 'From a pipe'])
  const plain = await orch(['task', 'add', 'T'], { app })
  expect(plain.stdout).toBe('SHOP-1: T\nRun `orch up` to have it done.\n')
})

test.each([
  ['an empty title', ['task', 'add', ''], 2, 'empty-title'],
  ['a blank title', ['task', 'add', '  \t '], 2, 'empty-title'],
  ['a title of two lines', ['task', 'add', 'a\nb'], 2, 'bad-title'],
  ['an escape in a title', ['task', 'add', 'a\u001b[31mb'], 2, 'bad-title'],
  ['a long title', ['task', 'add', 'é'.repeat(201)], 2, 'long-title'],
  ['two bodies', ['task', 'add', 'T', '--body', 'x', '--body-file', 'y'], 2, 'two-bodies'],
  ['a body with NUL', ['task', 'add', 'T', '--body', 'a\0b'], 2, 'bad-body'],
  ['a missing file', ['task', 'add', 'T', '--body-file', '/nowhere/note.md'], 3, 'no-such-file'],
  ['a folder as file', ['task', 'add', 'T', '--body-file', dir], 2, 'bad-file'],
  ['a priority of words', ['task', 'add', 'T', '--priority', 'high'], 2, 'bad-value'],
  ['a fraction as priority', ['task', 'add', 'T', '--priority', '1.5'], 2, 'bad-value'],
  ['an empty label', ['task', 'add', 'T', '--label', ' '], 2, 'bad-label'],
  ['an unknown dependency', ['task', 'add', 'T', '--depends-on', '77'], 3, 'no-such-task'],
  ['an unknown project', ['task', 'add', 'T', '--project', 'WEB'], 3, 'no-such-project'],
  ['no title', ['task', 'add'], 2, 'missing-argument'],
  ['an unknown status', ['task', 'list', '--status', 'open'], 2, 'bad-value'],
  ['an edit of nothing', ['task', 'edit', '1'], 2, 'nothing-to-edit'],
  ['an edit to no title', ['task', 'edit', '1', '--title', ''], 2, 'empty-title'],
  ['a rejection without reason', ['reject', '1'], 2, 'missing-reason'],
  ['an empty answer', ['answer', '1', ' '], 2, 'empty-answer'],
  ['a strange --from', ['stream', '1', '--from', 'then'], 2, 'bad-value'],
  ['a strange --approval', ['init', '--yes', '--approval', 'maybe'], 2, 'bad-value'],
  ['an empty command', ['init', '--yes', '--verify', ' '], 2, 'bad-value'],
  ['init without anyone to ask', ['init'], 5, 'needs-confirmation'],
  ['a pipeline that is not there', ['pipeline', 'validate', '/nowhere.yml'], 3, 'no-such-file'],
])('%s is refused before anything happens', async (_name, argv, exit, code) => {
  const run = await orch([...argv, '--json'])
  expect(run.exit).toBe(exit)
  expect(JSON.parse(run.stderr)).toMatchObject({ error: { code, exit } })
  expect(run.stdout).toBe('')
})

test('a body may have 256 KiB and not one byte more, however it comes', async () => {
  const { app, added } = recorder()
  const fits = 'é'.repeat(128 * 1024)
  const file = join(dir, 'big.md')
  writeFileSync(file, fits)
  expect((await orch(['task', 'add', 'T', '--body', fits], { app })).exit).toBe(0)
  expect((await orch(['task', 'add', 'T', '--body-file', file], { app })).exit).toBe(0)
  writeFileSync(file, `${fits}x`)
  for (const run of [
    await orch(['task', 'add', 'T', '--body', `${fits}x`, '--json'], { app }),
    await orch(['task', 'add', 'T', '--body-file', file, '--json'], { app }),
    await orch(['task', 'add', 'T', '--body-file', '-', '--json'], { app, stdin: `${fits}x` }),
    await orch(['task', 'edit', '1', '--body', `${fits}x`, '--json'], { app }),
  ]) {
    expect(run.exit).toBe(2)
    expect(JSON.parse(run.stderr)).toMatchObject({ error: { code: 'body-too-long' } })
  }
  expect(added).toHaveLength(2)
})

test('a body that is not UTF-8 is refused', async () => {
  const file = join(dir, 'latin1.md')
  writeFileSync(file, Buffer.from([0x66, 0xfc, 0x72]))
  expect(await orch(['task', 'add', 'T', '--body-file', file])).toMatchObject({
    exit: 2,
    stderr: expect.stringContaining('not UTF-8'),
  })
})

test('no project at all is an environment that is not ready', async () => {
  const reader = fakeReader({ projects: () => [], projectAt: () => null })
  expect(await orch(['task', 'add', 'T'], { reader })).toMatchObject({
    exit: 6,
    stderr: expect.stringContaining('orch init'),
  })
  expect((await orch(['task', 'add', 'T'], { reader: null })).exit).toBe(6)
})

test.each([
  [['approve', '1', '--sha', 'abc'], { type: 'approve', task: 'SHOP-1', sha: 'abc' }],
  [['approve', 'shop-1'], { type: 'approve', task: 'SHOP-1' }],
  [['reject', '1', '--reason', ' Keep it '], { type: 'reject', task: 'SHOP-1', reason: 'Keep it' }],
  [['answer', '1', 'Half to even'], { type: 'answer', task: 'SHOP-1', text: 'Half to even' }],
  [['task', 'retry', '1'], { type: 'retry', task: 'SHOP-1' }],
  [['task', 'cancel', '1'], { type: 'cancel', task: 'SHOP-1' }],
  [['task', 'pause', '1'], { type: 'pause', task: 'SHOP-1' }],
  [['task', 'resume', '1'], { type: 'resume', task: 'SHOP-1' }],
  [['task', 'unblock', '1'], { type: 'unblock', task: 'SHOP-1' }],
  [
    ['task', 'edit', '1', '--title', 'New', '--label', 'x', '--priority', '4'],
    { type: 'edit', task: 'SHOP-1', title: 'New', labels: ['x'], priority: 4 },
  ],
  [['task', 'edit', '1', '--label=', '--body', ''], { type: 'edit', task: 'SHOP-1', labels: [], body: '' }],
])('%j acts once', async (argv, action) => {
  const { app, acted } = recorder()
  const plain = await orch(argv, { app })
  expect(plain).toMatchObject({ exit: 0, stderr: '' })
  expect(plain.stdout).toContain('SHOP-1: ')
  expect(acted).toEqual([action])
  expect(JSON.parse((await orch([...argv, '--json'], { app })).stdout)).toMatchObject({ id: 'SHOP-1' })
})

test('approve lists what it covers', async () => {
  const { stdout } = await orch(['approve', '1'], { app: recorder().app })
  expect(stdout).toBe(
    'SHOP-1: approved abcdef0123, now queued at develop\nIt covers:\n  protected: package.json\n  landing\n',
  )
})

test('unblock lists, frees one or frees all', async () => {
  const acted: string[] = []
  const app = fakeApp({
    blockedTasks: () => ['SHOP-1', 'SHOP-2'],
    act: async ({ task }) => {
      acted.push(task)
      // The second was freed by someone else meanwhile.
      return task === 'SHOP-1'
        ? { ok: true, value: fakeTask({ id: task }) }
        : { ok: false, refusal: { code: 'not-blocked', text: '' } }
    },
  })
  expect((await orch(['task', 'unblock'], { app })).stdout).toBe('SHOP-1\nSHOP-2\n')
  expect(acted).toEqual([])
  expect(await orch(['task', 'unblock', 'all'], { app })).toMatchObject({
    exit: 0,
    stdout: 'SHOP-1: unblocked, now queued at develop\n',
  })
  expect(acted).toEqual(['SHOP-1', 'SHOP-2'])
})

test('why says whose move it is and what moves the task', async () => {
  const why = {
    id: 'SHOP-1',
    because: 'It waits for your approval.',
    owner: 'you',
    since: new Date(NOW - 120_000).toISOString(),
    actions: ['orch approve SHOP-1'],
  }
  const reader = fakeReader({ why: () => why })
  expect((await orch(['why', '1'], { reader })).stdout).toBe(
    'SHOP-1: It waits for your approval.\nIts move: you, for 2m 00s\nWhat you can do:\n  orch approve SHOP-1\n',
  )
  expect(JSON.parse((await orch(['why', '1', '--json'], { reader })).stdout)).toEqual(why)
})

test('status and task list give tables, and ISO times to scripts', async () => {
  const status = () => ({
    tasks: [fakeLine(), fakeLine({ id: 'SHOP-2', status: 'waiting', waitingFor: 'approval', agent: null })],
    counts: counts({ running: 1, waiting: 1, done: 7 }),
    more: 3,
    service: { running: true, pid: 42, since: null },
  })
  const reader = fakeReader({ status })
  const { stdout } = await orch(['status'], { reader })
  expect(stdout.split('\n').slice(0, 4)).toEqual([
    'ID      STAGE    STATUS                TRY  AGENT   OUTPUT  FOR     TITLE',
    'SHOP-1  develop  running               1    claude  3s ago  1m 00s  Fix the rounding',
    'SHOP-2  develop  waiting for approval  1    -       3s ago  1m 00s  Fix the rounding',
    '… and 3 more: `orch task list --limit N` shows them',
  ])
  expect(stdout).toContain('1 running, 1 waiting, 7 done · orch up is running (pid 42)')
  const json = JSON.parse((await orch(['status', '--json'], { reader })).stdout)
  expect(json).toMatchObject({ more: 3, counts: { done: 7 }, service: { pid: 42 } })
  expect(json.tasks[0]).toMatchObject({
    id: 'SHOP-1',
    since: new Date(NOW - 60_000).toISOString(),
    lastActivityAt: new Date(NOW - 3_000).toISOString(),
    waitingUntil: null,
  })
  expect(JSON.parse((await orch(['task', 'list', '--json'], { reader })).stdout)).toHaveLength(2)
})

test('status names a run that has printed nothing for long, and when it is ended', async () => {
  const tasks = [fakeLine({ lastActivityAt: NOW - 16 * 60_000, stallsAt: NOW + 14 * 60_000 })]
  const view = { tasks, counts: counts({ running: 1 }), more: 0, service: { running: true, pid: 42, since: null } }
  const reader = fakeReader({ status: () => view })
  const { stdout } = await orch(['status'], { reader })
  expect(stdout).toMatch(
    /SHOP-1: claude has printed nothing for 16m 00s; it is ended at \d\d:\d\d:\d\d unless it goes on/,
  )
  const json = JSON.parse((await orch(['status', '--json'], { reader })).stdout)
  expect(json.tasks[0]).toMatchObject({ stallsAt: new Date(NOW + 14 * 60_000).toISOString() })
})

test('status asks for what the options say', async () => {
  const asked: unknown[] = []
  const reader = fakeReader({
    status: (filter) => {
      asked.push(filter)
      return { tasks: [], counts: counts(), more: 0, service: { running: false, pid: null, since: null } }
    },
  })
  await orch(['status', '--project', 'shop'], { reader })
  await orch(['status', '--all'], { reader })
  await orch(['task', 'list', '--status', 'done', '--limit', '5', '--project', 'SHOP'], { reader })
  expect(asked).toEqual([
    { project: 'SHOP' },
    { statuses: Object.keys(counts()) },
    { project: 'SHOP', statuses: ['done'], limit: 5 },
  ])
  expect((await orch(['status', '--project', 'WEB'], { reader })).exit).toBe(3)
})

test('task show gives the whole task, safe to print', async () => {
  const task = fakeTask({
    status: 'needs_review',
    reason: 'attempts-spent',
    reasonText: 'three attempts failed',
    body: 'Bad \u001b]0;x\u0007 body',
    attempts: { code: 3, transient: 0, infra: 1 },
    runs: [
      {
        id: 'r1',
        stage: 'develop',
        role: 'developer',
        agent: 'claude',
        model: null,
        attempt: 1,
        outcome: 'failed',
        failure: 'crash',
        text: 'exit 1',
        startedAt: new Date(NOW - 5_000).toISOString(),
        endedAt: new Date(NOW).toISOString(),
        usage: fakeTask().tokens,
      },
    ],
    verdicts: [
      {
        gate: 'verify',
        stage: 'develop',
        result: 'fail',
        sha: 'a'.repeat(40),
        note: '`npm test` exited 1',
        findings: [],
      },
    ],
    findings: [{ gate: 'verify', severity: 'P0', text: 'line 1\nline 2', file: 'a.js', line: 3 }],
  })
  const reader = fakeReader({}, [task])
  const { stdout } = await orch(['task', 'show', '1'], { reader })
  for (const part of [
    'needs_review: attempts-spent',
    'three attempts failed',
    '3 code, 0 transient, 1 infra',
    'failed: crash: exit 1',
    'aaaaaaaaaa  `npm test` exited 1',
    'P0 verify a.js:3\n  line 1\n  line 2',
    'Bad \\x1b]0;x\\x07 body',
  ]) {
    expect(stdout).toContain(part)
  }
  expect(stdout).not.toContain('\u001b')
  expect(JSON.parse((await orch(['task', 'show', '1', '--json'], { reader })).stdout)).toEqual(task)
})

test('task events gives the journal, oldest first', async () => {
  const events = [fakeEvent('task.opened', { title: 'Fix', openDeps: [] }), { ...fakeEvent('task.paused', {}), seq: 2 }]
  const reader = fakeReader({ events: () => events })
  const { stdout } = await orch(['task', 'events', '1'], { reader })
  expect(stdout.split('\n').slice(1, 3)).toEqual([
    expect.stringMatching(/^2026-01-02T12:00:00.000Z {2}orch {2}task.opened {2}opened: Fix$/),
    expect.stringMatching(/task.paused {2}paused$/),
  ])
  const json = JSON.parse((await orch(['task', 'events', '1', '--json'], { reader })).stdout)
  expect(json.map((event: { seq: number; at: string; type: string }) => [event.seq, event.at, event.type])).toEqual([
    [1, new Date(NOW).toISOString(), 'task.opened'],
    [2, new Date(NOW).toISOString(), 'task.paused'],
  ])
})

test('init hands on its flags and reports what was done, without the password of the remote', async () => {
  const asked: InitRequest[] = []
  const app = fakeApp({
    init: async (request) => {
      asked.push(request)
      return {
        project: PROJECT,
        wroteConfig: true,
        alreadyRegistered: false,
        notes: ['package.json: npm test'],
        setup: ['npm ci'],
        verify: ['npm test'],
      }
    },
  })
  const argv = [
    'init',
    '--yes',
    '--agent',
    'claude',
    '--pipeline',
    'direct',
    '--setup',
    'npm ci',
    '--verify',
    'npm test',
    '--verify',
    'npm run lint',
    '--approval',
    'auto',
    '--prefix',
    'SHOP',
  ]
  const { exit, stdout } = await orch(argv, { app })
  expect(exit).toBe(0)
  expect(asked).toEqual([
    {
      cwd: '/code/shop',
      prefix: 'SHOP',
      agent: 'claude',
      pipeline: 'direct',
      setup: ['npm ci'],
      verify: ['npm test', 'npm run lint'],
      approval: 'auto',
    },
  ])
  expect(stdout).toContain('Wrote .orch.yml')
  expect(stdout).toContain('https://example.com/shop.git')
  const json = await orch(['init', '--yes', '--json'], { app })
  expect(JSON.parse(json.stdout)).toMatchObject({
    project: { id: 'SHOP', createdAt: new Date(NOW).toISOString() },
    wroteConfig: true,
  })
  expect(asked[1]).toEqual({
    cwd: '/code/shop',
    prefix: null,
    agent: null,
    pipeline: null,
    setup: null,
    verify: null,
    approval: null,
  })
  expect(stdout + json.stdout).not.toContain('secret')
})
