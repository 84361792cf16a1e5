import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { AgentView, Check, DoctorReport, DoctorRequest, PipelineView, RunEvent } from '../../flow/app.ts'
import { PROJECT, fakeApp, fakeReader, fakeTask, orch } from './fake-app.ts'

const AGENT: AgentView = {
  name: 'claude',
  found: true,
  path: '/bin/claude',
  version: '2.1',
  loggedIn: 'no',
  note: '',
  sandbox: null,
  tested: null,
  limitedUntil: null,
  limitReason: null,
  breaker: null,
}

const BREAKER = {
  state: 'open',
  failures: 3,
  reason: 'no answer',
  retryAt: '2026-01-02T13:00:00.000Z',
  trial: null,
} as const

async function* items<T>(list: T[]): AsyncGenerator<T> {
  yield* list
}

const EVENTS: RunEvent[] = [
  { type: 'started', sessionId: 's1', model: 'opus' },
  { type: 'message', text: 'Hello\n\u001b[2Jworld\n' },
  { type: 'tool', name: 'Bash', detail: 'npm test', state: 'failed' },
  { type: 'usage', usage: { input: 3, output: 4, cacheRead: 0, cacheWrite: 0 }, costUsd: 0.5 },
  { type: 'limit', text: 'slow down', retryAfterMs: null },
  { type: 'error', code: 'crash', text: 'died' },
]

test('stream formats events, and gives JSON or the raw lines when asked', async () => {
  const asked: unknown[] = []
  const app = fakeApp({
    stream: async ({ signal: _signal, ...request }) => {
      asked.push(request)
      return request.raw ? items(['{"a":1}', '\u001b[31mred']) : items(EVENTS)
    },
  })
  expect((await orch(['stream', '1'], { app })).stdout).toBe(
    'started (opus)\nHello\n\\x1b[2Jworld\n✗ Bash npm test\n3 tokens in, 4 out, $0.5000\nlimit: slow down\ncrash: died\n',
  )
  expect(
    (await orch(['stream', '1', '--json', '--from', 'now', '--run', 'r2'], { app })).stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual(EVENTS.map((event) => ({ task: 'SHOP-1', ...event })))
  expect((await orch(['stream', '1', '--raw'], { app })).stdout).toBe('{"a":1}\n\u001b[31mred\n')
  expect((await orch(['stream', '1', '--raw'], { app, isTty: true })).stdout).toBe('{"a":1}\n\\x1b[31mred\n')
  expect(asked.slice(0, 2)).toEqual([
    { task: 'SHOP-1', from: 'start', raw: false },
    { task: 'SHOP-1', from: 'now', raw: false, runId: 'r2' },
  ])
})

test('stream of a task without a run is not found', async () => {
  const app = fakeApp({ stream: async () => null })
  expect(await orch(['stream', '1'], { app })).toMatchObject({
    exit: 3,
    stderr: expect.stringContaining('orch why SHOP-1'),
  })
})

test('Ctrl-C ends a stream', async () => {
  let press = (): void => undefined
  const app = fakeApp({
    stream: async ({ signal }) =>
      (async function* () {
        yield 'first'
        press()
        expect(signal.aborted).toBe(true)
        yield 'second'
      })(),
  })
  const run = await orch(['stream', '1', '--raw'], { app, onReady: (interrupt) => (press = interrupt) })
  expect(run).toEqual({ exit: 130, stdout: 'first\n', stderr: '' })
})

const CHANGE = {
  project: 'SHOP',
  number: 3,
  task: 'SHOP-1',
  branch: 'orch/SHOP-1-fix',
  base: 'main',
  head: 'b'.repeat(40),
  title: 'Fix',
  body: 'Why',
  state: 'open',
  mergedSha: null,
  url: null,
  createdAt: 0,
  updatedAt: 0,
} as const

test('change list, show and diff', async () => {
  const reviews = [
    { project: 'SHOP', change: 3, sha: 'b'.repeat(40), by: 'codex', verdict: 'approve' as const, text: 'Fine', at: 0 },
  ]
  const reader = fakeReader({
    changes: () => [CHANGE],
    change: (id) => (id === 'SHOP-1' ? { change: CHANGE, reviews, task: fakeTask() } : null),
  })
  const app = fakeApp({ changeDiff: async () => '--- a\n+++ b\n@@ -1 +1 @@\n-x\n+\u001b[31my\n' }, reader)
  expect((await orch(['change', 'list'], { app })).stdout).toContain(
    'SHOP-1  3   open   bbbbbbbbbb  orch/SHOP-1-fix  Fix',
  )
  expect((await orch(['change', 'show', '1'], { app })).stdout).toContain('approve of bbbbbbbbbb by codex\nFine')
  expect(JSON.parse((await orch(['change', 'show', '1', '--json'], { app })).stdout)).toMatchObject({
    number: 3,
    reviews: [{ by: 'codex', at: '1970-01-01T00:00:00.000Z' }],
    approvals: [],
  })
  expect((await orch(['change', 'diff', '1'], { app })).stdout).toBe('--- a\n+++ b\n@@ -1 +1 @@\n-x\n+\u001b[31my\n')
  expect((await orch(['change', 'diff', '1'], { app, isTty: true })).stdout).toBe(
    '--- a\n+++ b\n@@ -1 +1 @@\n-x\n+\\x1b[31my\n',
  )
  const none = fakeApp({ changeDiff: async () => null }, fakeReader({ change: () => null }))
  expect((await orch(['change', 'diff', '1'], { app: none })).exit).toBe(3)
  expect((await orch(['change', 'show', '1'], { app: none })).exit).toBe(3)
})

test('doctor gives 6 when a check failed and 0 with warnings', async () => {
  const check = (status: Check['status']): Check => ({
    name: `x.${status}`,
    profile: 'host',
    status,
    text: 'seen',
    fix: status === 'ok' ? null : 'do this',
  })
  const asked: DoctorRequest[] = []
  const doctor = (...statuses: Check['status'][]) => ({
    doctor: async (request: DoctorRequest): Promise<DoctorReport> => {
      asked.push(request)
      return {
        checks: statuses.map(check),
        fixed: ['removed this'],
        notFixed: statuses.length > 2 ? ['left that'] : [],
      }
    },
  })
  const fine = await orch(['doctor'], doctor('ok', 'warning'))
  expect(fine.exit).toBe(0)
  expect(fine.stdout).toBe(
    'host\n  ✓ x.ok       seen\n  ! x.warning  seen\n               → do this\n\n1 fine, 1 warnings, 0 failed\n',
  )
  const bad = await orch(['doctor', '--json'], doctor('ok', 'failed'))
  expect(bad.exit).toBe(6)
  expect(JSON.parse(bad.stdout)).toMatchObject({
    ok: false,
    checks: [{ name: 'x.ok' }, { name: 'x.failed', fix: 'do this' }],
    fixed: ['removed this'],
    notFixed: [],
  })
  const fixed = await orch(
    ['doctor', '--fix', '--profile', 'service, host', '--profile', 'host'],
    doctor('ok', 'ok', 'ok'),
  )
  expect(fixed.stdout).toContain('\n\nMended\n  removed this\n\nNot mended\n  left that\n')
  expect(asked.at(-1)).toEqual({ cwd: '/code/shop', profiles: ['host', 'service'], fix: true })
  expect(asked[0]).toMatchObject({ profiles: ['host', 'project', 'agents', 'service'], fix: false })
  const wrong = await orch(['doctor', '--profile', 'hots'], doctor('ok'))
  expect(wrong).toMatchObject({ exit: 2, stderr: expect.stringContaining('known: host, project, agents, service') })
  const inside = await orch(['doctor', '--fix'], { ...doctor('ok'), env: { ORCH_RUN: 'T-1-1' } })
  expect(inside).toMatchObject({ exit: 4, stderr: expect.stringContaining('inside run T-1-1') })
})

test('a verb that changes something takes a quick look first, unless it is told not to', async () => {
  const asked: (readonly string[])[] = []
  const quickDoctor = async (needs: readonly string[]) => {
    asked.push(needs)
    return { code: 'disk-full', text: 'the disk is full: make room' }
  }
  const refused = await orch(['task', 'pause', '1', '--json'], { quickDoctor })
  expect(refused.exit).toBe(6)
  expect(JSON.parse(refused.stderr)).toEqual({
    error: { code: 'disk-full', exit: 6, text: expect.stringMatching(/task pause.*make room.*--skip-doctor/) },
  })
  expect((await orch(['up'], { quickDoctor })).exit).toBe(6)
  expect((await orch(['demo'], { quickDoctor })).exit).toBe(6)
  expect(asked).toEqual([['home'], ['home', 'git'], ['git']])
  const act = async () => ({ ok: true as const, value: fakeTask() })
  const forced = await orch(['task', 'pause', '1', '--skip-doctor'], { quickDoctor, app: fakeApp({ act }) })
  expect(forced.exit).toBe(0)
  // One that only looks has nothing to skip, and is asked nothing.
  expect((await orch(['status', '--skip-doctor'], { quickDoctor })).exit).toBe(2)
  expect((await orch(['task', 'show', '1'], { quickDoctor })).exit).toBe(0)
  expect(asked).toHaveLength(3)
})

const DIRECT: PipelineView = {
  name: 'direct',
  description: 'develop to land',
  source: 'built-in',
  file: 'pipelines/direct.yml',
  problems: [],
  stages: [
    { name: 'develop', kind: 'agent', role: 'developer', gates: ['changes', 'verify'], onFail: null },
    { name: 'land', kind: 'land', role: null, gates: [], onFail: 'develop' },
  ],
}

test('pipelines are listed, drawn and validated', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'orch-pipe-'))
  const file = join(dir, 'p.yml')
  writeFileSync(file, '')
  const problems = [{ file, line: 3, key: 'stages[1].onFail', text: 'unknown stage "x"' }]
  const app = fakeApp({ pipelines: async () => [DIRECT], validatePipeline: async () => problems })
  expect((await orch(['pipeline', 'list'], { app })).stdout).toContain(
    'direct    built-in  develop → land  develop to land',
  )
  expect((await orch(['pipeline', 'show', 'direct'], { app })).stdout).toBe(
    'direct  develop to land\nbuilt-in\n\n● develop  agent, role developer\n│   ◇ changes\n│   ◇ verify\n│\n● land  land\n    ↩ a failure goes back to develop\n',
  )
  expect(await orch(['pipeline', 'show', 'dirct'], { app })).toMatchObject({
    exit: 3,
    stderr: expect.stringContaining('did you mean direct?'),
  })
  expect(await orch(['pipeline', 'validate', file], { app })).toEqual({
    exit: 1,
    stdout: `${file}:3: stages[1].onFail: unknown stage "x"\n`,
    stderr: '',
  })
  expect(JSON.parse((await orch(['pipeline', 'validate', file, '--json'], { app })).stdout)).toEqual({
    ok: false,
    problems,
  })
  rmSync(dir, { recursive: true })
})

test('configuration is checked, explained and described', async () => {
  const sources = [{ key: 'limits.attempts', value: 3, source: 'default' }]
  const app = fakeApp({
    configCheck: async () => [],
    configExplain: async (_cwd, key) => sources.filter((source) => key === null || source.key === key),
    configSchema: (of) => ({ title: of }),
  })
  expect(await orch(['config', 'check'], { app })).toMatchObject({ exit: 0, stdout: 'The configuration is fine.\n' })
  expect((await orch(['config', 'explain', 'limits.attempts'], { app })).stdout).toBe(
    'KEY              FROM     VALUE\nlimits.attempts  default  3\n',
  )
  expect((await orch(['config', 'explain', 'nothing'], { app })).exit).toBe(3)
  expect(JSON.parse((await orch(['config', 'schema', '--pipeline'], { app })).stdout)).toEqual({ title: 'pipeline' })
})

test('projects are added, listed and removed, agents listed', async () => {
  const removed: string[] = []
  const app = fakeApp({
    addProject: async ({ source, cwd, prefix, tracker, forge }) => ({
      project: { ...PROJECT, path: [cwd, source, prefix, tracker, forge].join(' ') },
      wroteConfig: false,
      alreadyRegistered: true,
      notes: ['a note'],
      setup: [],
      verify: [],
    }),
    removeProject: async (id) => {
      removed.push(id)
      const clone = removed.length === 3 ? 'kept' : 'untouched'
      return removed.length === 1 ? { openTasks: 2, removed: false, clone } : { openTasks: 0, removed: true, clone }
    },
    agents: async () => [AGENT],
  })
  expect((await orch(['project', 'add', '../web'], { app })).stdout).toContain(
    'SHOP: /code/shop ../web    was registered',
  )
  const flags = ['--tracker', 'plane:acme/1', '--forge', 'none', '--prefix', 'S']
  expect((await orch(['project', 'add', 'acme/web', ...flags], { app })).stdout).toContain(
    'SHOP: /code/shop acme/web S plane:acme/1 none was registered already',
  )
  expect((await orch(['project', 'list'], { app })).stdout).not.toContain('secret')
  expect(await orch(['project', 'remove', 'shop'], { app })).toMatchObject({
    exit: 4,
    stderr: expect.stringContaining('[open-tasks]'),
  })
  expect(await orch(['project', 'remove', 'SHOP'], { app })).toMatchObject({
    exit: 0,
    stdout: expect.stringContaining('/code/shop was not touched'),
  })
  expect((await orch(['project', 'remove', 'SHOP'], { app })).stdout).toContain('holds work of yours and was kept')
  expect((await orch(['agent', 'list'], { app })).stdout).toContain(
    'claude  yes    2.1      no         ready  none     /bin/claude',
  )
})

test.each([
  [{ found: false, path: null, version: null }, 'claude  no     -        -          -      -'],
  [{ tested: false, sandbox: 'its own' }, '2.1 (untested)  no         ready  its own'],
  [
    { limitedUntil: '2026-01-02T13:00:00.000Z', limitReason: 'weekly' },
    'limited until 2026-01-02T13:00:00.000Z: weekly',
  ],
  [{ breaker: BREAKER }, 'stopped until 2026-01-02T13:00:00.000Z after 3 failures: no answer'],
  [{ breaker: { ...BREAKER, state: 'trying', trial: 'SHOP-1-2' } as const }, 'tried again by run SHOP-1-2'],
  [{ breaker: { ...BREAKER, state: 'closed', failures: 1 } as const }, 'ready, 1 failed in a row: no answer'],
])('agent list tells of %j', async (change, line) => {
  const app = fakeApp({ agents: async () => [{ ...AGENT, ...change }] })
  expect((await orch(['agent', 'list'], { app })).stdout).toContain(line)
})
