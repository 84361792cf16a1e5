import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { App, ChangeStat, RunEvent, RunView, TaskNode } from '../../flow/app.ts'
import { counts, fakeApp, fakeLine, fakeReader, fakeTask, orch } from './fake-app.ts'
import { page } from './pager.ts'

const dir = mkdtempSync(join(tmpdir(), 'orch-task-verbs-'))
afterAll(() => rmSync(dir, { recursive: true }))

async function* items<T>(list: T[]): AsyncGenerator<T> {
  yield* list
}

const say = (text: string): RunEvent => ({ type: 'message', text })
const TASKS = [fakeTask(), fakeTask({ id: 'SHOP-2' }), fakeTask({ id: 'SHOP-12' })]

/** An app whose runs print the lines given, by task. */
function streaming(output: Record<string, RunEvent[]>, reader = fakeReader({}, TASKS)): App {
  return fakeApp({ stream: async ({ task }) => (output[task] ? items(output[task]) : null) }, reader)
}

test('a stream of several tasks names the task before each line, and in JSON', async () => {
  const app = streaming({ 'SHOP-1': [say('one\ntwo')], 'SHOP-12': [say('three')] })
  const { exit, stdout } = await orch(['stream', '1', '12', '1'], { app })
  expect(exit).toBe(0)
  expect(stdout.split('\n').toSorted()).toEqual(['', 'SHOP-1  │ one', 'SHOP-1  │ two', 'SHOP-12 │ three'])
  const json = (await orch(['stream', '1', '12', '--json'], { app })).stdout.trim().split('\n')
  expect(new Set(json.map((line) => JSON.parse(line).task))).toEqual(new Set(['SHOP-1', 'SHOP-12']))
  const colored = (await orch(['stream', '1', '12'], { app, color: true })).stdout
  expect(new Set(colored.match(/\u001b\[\d+m(?=SHOP)/g)).size).toBe(2)
})

test('a stream of several tasks is refused when one of them has no run', async () => {
  const app = streaming({ 'SHOP-1': [say('one')] })
  expect(await orch(['stream', '1', '2'], { app })).toMatchObject({
    exit: 3,
    stdout: '',
    stderr: expect.stringContaining('SHOP-2'),
  })
})

test.each([
  [['stream'], 'which-tasks'],
  [['stream', '1', '--all'], 'which-tasks'],
  [['stream', '1', '2', '--run', 'r1'], 'one-run'],
  [['task', 'logs', '1', '--stderr', '--prompt'], 'two-logs'],
  [['task', 'logs', '1', '--tail', 'x'], 'bad-value'],
])('%j is wrong use', async (argv, code) => {
  const { exit, stderr } = await orch([...argv, '--json'])
  expect({ exit, code: JSON.parse(stderr).error.code }).toEqual({ exit: 2, code })
})

test('stream --all takes up what runs and each run that begins later, whole, until Ctrl-C', async () => {
  let press = (): void => undefined
  let looks = 0
  const asked: string[] = []
  const reader = fakeReader(
    {
      status: () => ({
        tasks: [
          fakeLine({ id: 'SHOP-1', runId: 'r1' }),
          ...(looks > 0 ? [fakeLine({ id: 'SHOP-2', runId: 'r2' })] : []),
        ],
        counts: counts(),
        more: 0,
        service: { running: true, pid: 1, since: null },
      }),
      nextChange: async () => {
        looks += 1
        // The streams print between two looks.
        await new Promise((resolve) => setImmediate(resolve))
        if (looks === 4) press()
      },
    },
    TASKS,
  )
  const failed = new Set<string>()
  const app = fakeApp(
    {
      stream: async ({ task, runId, from }) => {
        asked.push(`${task} ${runId} ${from}`)
        // The books know a run before its folder is there.
        if (task === 'SHOP-2' && !failed.has(task)) {
          failed.add(task)
          throw new Error('never started')
        }
        return items([say(`${task} works`)])
      },
    },
    reader,
  )
  const run = await orch(['stream', '--all', '--from', 'now'], { app, onReady: (interrupt) => (press = interrupt) })
  expect(run).toMatchObject({ exit: 130, stderr: '' })
  expect(asked).toEqual(['SHOP-1 r1 now', 'SHOP-2 r2 start', 'SHOP-2 r2 start'])
  expect(run.stdout).toBe('SHOP-1 │ SHOP-1 works\nSHOP-2 │ SHOP-2 works\n')
})

test('logs show a run so far, its end alone, or what it was asked', async () => {
  const asked: unknown[] = []
  const app = fakeApp({
    logs: (request) => {
      asked.push(request)
      if (request.runId === 'gone') return null
      const lines =
        request.of === 'output' && !request.raw ? [say('one'), say('two\u001b[2J'), say('three')] : ['a', 'b']
      return { runId: 'r1', lines: items<RunEvent | string>(lines) }
    },
  })
  expect((await orch(['task', 'logs', '1'], { app })).stdout).toBe('one\ntwo\\x1b[2J\nthree\n')
  expect((await orch(['task', 'logs', '1', '--tail', '2'], { app })).stdout).toBe('two\\x1b[2J\nthree\n')
  expect((await orch(['task', 'logs', '1', '--tail', '0'], { app })).stdout).toBe('')
  expect((await orch(['task', 'logs', '1', '--prompt', '--tail', '1'], { app })).stdout).toBe('b\n')
  expect((await orch(['task', 'logs', '1', '--stderr', '--run', 'r1', '--json'], { app })).stdout).toBe(
    '{"task":"SHOP-1","line":"a"}\n{"task":"SHOP-1","line":"b"}\n',
  )
  expect(asked.at(-1)).toEqual({ task: 'SHOP-1', of: 'stderr', raw: false, runId: 'r1' })
  expect((await orch(['task', 'logs', '1', '--run', 'gone'], { app })).exit).toBe(3)
})

const RUN: RunView = {
  id: 'SHOP-1-2',
  stage: 'develop',
  role: 'developer',
  agent: 'claude',
  model: 'opus',
  attempt: 2,
  outcome: 'failed',
  failure: 'rate-limit',
  text: 'slow down',
  startedAt: '2026-01-02T11:00:00.000Z',
  endedAt: '2026-01-02T11:02:05.000Z',
  usage: { input: 10, output: 5, cacheRead: 100, cacheWrite: 1 },
  costUsd: 0.25,
}

test('runs are listed with how they ended and what they used', async () => {
  const app = fakeApp({}, fakeReader({}, [fakeTask({ runs: [RUN] })]))
  expect((await orch(['task', 'runs', '1'], { app })).stdout.split('\n')[1]).toBe(
    'SHOP-1-2  develop  developer  claude  opus   2    2m 05s  111 in, 5 out  $0.2500  failed: rate-limit: slow down',
  )
  expect(JSON.parse((await orch(['task', 'runs', '1', '--json'], { app })).stdout)).toEqual([RUN])
  expect((await orch(['task', 'runs', '1'])).stdout).toContain('has had no run yet')
})

function node(id: string, dependsOn: TaskNode[] = [], change: Partial<TaskNode> = {}): TaskNode {
  return {
    id,
    title: `Title of ${id}`,
    stage: 'develop',
    status: 'queued',
    paused: false,
    dependsOn,
    repeated: false,
    ...change,
  }
}

test('the tree draws what each task waits for below it', async () => {
  const shared = node('SHOP-1', [], { status: 'needs_review', reason: 'base-red' })
  const asked: unknown[] = []
  const reader = fakeReader({
    tree: async (of) => {
      asked.push(of)
      return [
        node('SHOP-4', [
          node('SHOP-2', [shared], { status: 'blocked' }),
          node('SHOP-3', [{ ...shared, repeated: true }]),
        ]),
      ]
    },
  })
  expect((await orch(['task', 'tree', '1'], { reader })).stdout).toBe(
    [
      'SHOP-4  queued  Title of SHOP-4',
      '├─ SHOP-2  blocked  Title of SHOP-2',
      '│  └─ SHOP-1  needs_review: base-red  Title of SHOP-1',
      '└─ SHOP-3  queued  Title of SHOP-3',
      '   └─ SHOP-1  needs_review: base-red  Title of SHOP-1 (what it waits for is shown above)',
      '',
    ].join('\n'),
  )
  await orch(['task', 'tree', '--project', 'shop', '--json'], { reader })
  expect(asked).toEqual([{ task: 'SHOP-1' }, { project: 'SHOP' }])
  expect((await orch(['task', 'tree'], { reader: null })).stdout).toBe('No open tasks.\n')
})

const STAT: ChangeStat = {
  base: 'a'.repeat(40),
  head: 'b'.repeat(40),
  files: [
    { path: 'new.ts', from: 'old.ts', status: 'renamed', addedLines: 3, deletedLines: 1, binary: false },
    { path: 'logo.png', status: 'added', addedLines: 0, deletedLines: 0, binary: true },
  ],
  addedLines: 3,
  deletedLines: 1,
}

test('a diff goes through the pager on a terminal, as it is into a pipe, or is only measured', async () => {
  const diff = '--- a\n+++ b\n@@ -1 +1 @@\n-x\n+\u001b[31my\n'
  const app = fakeApp({ changeDiff: async () => diff, changeStat: async () => STAT })
  const paged: string[] = []
  const terminal = { app, isTty: true, color: true, page: async (text: string) => paged.push(text) > 0 }
  expect((await orch(['task', 'diff', '1'], terminal)).stdout).toBe('')
  expect(paged[0]).toContain('\u001b[32m+\\x1b[31my\u001b[39m')
  expect((await orch(['task', 'diff', '1'], { app })).stdout).toBe(diff)
  const stat = (await orch(['task', 'diff', '1', '--stat'], { app })).stdout
  expect(stat).toContain('+3     −1       renamed        old.ts → new.ts\n')
  expect(stat).toContain('-      -        added, binary  logo.png\n')
  expect(stat).toContain('\n2 files, +3 −1\n')
  const none = fakeApp({ changeStat: async () => null })
  expect((await orch(['task', 'diff', '1', '--stat'], { app: none })).exit).toBe(3)
})

function script(name: string, text: string): void {
  writeFileSync(join(dir, name), `#!/bin/sh\n${text}\n`)
  chmodSync(join(dir, name), 0o755)
}

test('the pager is the one git would take, and cat is none', async () => {
  const seen = join(dir, 'seen')
  script('my-pager', `{ echo "$LESS"; cat; } > ${seen}`)
  const env = { PATH: process.env['PATH'], HOME: dir, GIT_CONFIG_NOSYSTEM: '1' }
  expect(await page('text\n', { ...env, PAGER: `${dir}/my-pager` })).toBe(true)
  expect(readFileSync(seen, 'utf8')).toBe('FRX\ntext\n')
  writeFileSync(join(dir, '.gitconfig'), `[core]\n\tpager = ${dir}/my-pager --from-git\n`)
  expect(await page('again\n', { ...env, PAGER: 'false', LESS: 'R' })).toBe(true)
  expect(readFileSync(seen, 'utf8')).toBe('R\nagain\n')
  expect(await page('text', { ...env, GIT_PAGER: 'cat' })).toBe(false)
  expect(await page('text', { ...env, GIT_PAGER: '/nowhere/pager' })).toBe(false)
})

test('open hands the place to the desktop, or prints it', async () => {
  const opened = join(dir, 'opened')
  for (const name of ['xdg-open', 'open']) script(name, `printf %s "$1" > ${opened}`)
  const env = { PATH: `${dir}:/bin:/usr/bin` }
  const app = fakeApp({ placeOf: async () => ({ kind: 'folder', target: '/code/work dir' }) })
  expect((await orch(['task', 'open', '1', '--print'], { app, env })).stdout).toBe('/code/work dir\n')
  expect((await orch(['task', 'open', '1'], { app, env })).stdout).toBe('Opened /code/work dir\n')
  expect(readFileSync(opened, 'utf8')).toBe('/code/work dir')
  for (const name of ['xdg-open', 'open']) script(name, 'exit 3')
  expect(await orch(['task', 'open', '1'], { app, env })).toMatchObject({
    exit: 6,
    stderr: expect.stringContaining('/code/work dir'),
  })
  const none = fakeApp({ placeOf: async () => null })
  expect((await orch(['task', 'open', '1'], { app: none })).exit).toBe(3)
})
