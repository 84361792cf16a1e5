import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, symlinkSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type Task, evolve } from '../core/task.ts'
import { openStore } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import { makeReader } from './reader.ts'
import type { Reader } from './app.ts'
import { runView, taskView } from './views.ts'

const NOW = Date.UTC(2026, 0, 2)

interface Place {
  home: string
  store: Store
  reader: Reader
}

async function place(): Promise<Place> {
  const home = mkdtempSync(join(tmpdir(), 'orch-reader-'))
  closeSync(openSync(join(home, 'wake'), 'w'))
  const store = await openStore(join(home, 'orch.db'))
  const reader = makeReader({
    queries: store,
    home,
    service: () => ({ running: true, pid: 7, since: null }),
    listener: () => null,
    lastActivity: (runId) => (runId === 'r1' ? NOW - 5_000 : null),
    now: () => NOW,
    close: () => store.close(),
  })
  onTestFinished(() => {
    reader.close()
    rmSync(home, { recursive: true })
  })
  return { home, store, reader }
}

function opened(id: string): Task {
  const project = id.split('-')[0] ?? ''
  const data = {
    id,
    project,
    origin: `local:${id}`,
    title: `Title ${id}`,
    body: '',
    labels: [],
    priority: 0,
    creator: null,
    dependsOn: [],
    openDeps: [],
    pipeline: 'direct',
    stage: 'develop',
    parallel: 1,
  }
  return evolve(null, { type: 'task.opened', data }, NOW)
}

async function put(store: Store, task: Task): Promise<void> {
  const { id, project, title, body, labels, priority, creator, dependsOn, openDeps, pipeline, stage, origin } = task
  const data = {
    id,
    project,
    title,
    body,
    labels,
    priority,
    creator,
    dependsOn,
    openDeps,
    pipeline,
    stage,
    origin,
    parallel: 4,
  }
  const result = await store.commit({
    at: NOW,
    actor: { kind: 'person', name: 'ann' },
    cause: 'test',
    correlation: id,
    aggregates: [{ kind: 'task', id, expected: 0, state: task }],
    events: [{ id, body: { stream: 'task', event: { type: 'task.opened', data } } }],
    effects: [],
    intents: [],
  })
  expect(result.ok).toBe(true)
}

async function addProject(store: Store, id: string, path: string): Promise<void> {
  expect(await store.addProject({ id, name: id.toLowerCase(), path, remote: '/r.git', createdAt: NOW })).toBe('added')
}

test('status lists the open tasks up to the limit and counts the rest', async () => {
  const { store, reader, home } = await place()
  await addProject(store, 'SHOP', home)
  for (const id of ['SHOP-1', 'SHOP-2', 'SHOP-3']) await put(store, opened(id))
  await put(store, { ...opened('SHOP-4'), status: 'done', step: null })
  const view = reader.status({ limit: 2 })
  expect(view.tasks.map((line) => line.id)).toEqual(['SHOP-1', 'SHOP-2'])
  expect(view).toMatchObject({ more: 1, counts: { queued: 3, done: 1 }, service: { pid: 7 } })
  expect(reader.status({ statuses: ['done'] })).toMatchObject({
    more: 0,
    tasks: [{ id: 'SHOP-4', lastActivityAt: null }],
  })
  expect(reader.status({ project: 'WEB' })).toMatchObject({ tasks: [], more: 0 })
})

test('a task, its journal and why it is where it is', async () => {
  const { store, reader, home } = await place()
  await addProject(store, 'SHOP', home)
  await put(store, opened('SHOP-1'))
  expect(reader.task('SHOP-1')).toMatchObject({
    id: 'SHOP-1',
    status: 'queued',
    createdAt: new Date(NOW).toISOString(),
    runs: [],
  })
  expect(reader.task('SHOP-2')).toBeNull()
  expect(reader.events('SHOP-1').map((event) => [event.type, event.actor.name])).toEqual([['task.opened', 'ann']])
  expect(reader.why('SHOP-1')).toMatchObject({
    id: 'SHOP-1',
    owner: 'orch',
    since: new Date(NOW).toISOString(),
    actions: [],
  })
  expect(reader.why('SHOP-2')).toBeNull()
  expect(reader.change('SHOP-1')).toBeNull()
})

test('times of a task are ISO 8601, those of its kept files too', async () => {
  const { store, reader } = await place()
  await put(store, opened('SHOP-1'))
  await store.putArtifact({ task: 'SHOP-1', runId: 'r1', name: 'handoff.md', path: 'a/b', bytes: 3, at: NOW })
  expect(reader.task('SHOP-1')?.artifacts).toMatchObject([{ name: 'handoff.md', at: '2026-01-02T00:00:00.000Z' }])
})

test('a task that waits for a time says what happened', async () => {
  const { store, reader } = await place()
  const task = opened('SHOP-1')
  await put(store, task)
  const step = { kind: 'run', stage: 'develop' } as const
  const why = 'verifying main: `sleep 100` ran past its time limit (1 s)\nits output'
  const data = { step, epoch: 2, why, waiting: { for: 'timer', until: NOW + 5_000 } } as const
  const event = { type: 'step.queued', data } as const
  const result = await store.commit({
    at: NOW,
    actor: { kind: 'engine', name: 'orch' },
    cause: 'test',
    correlation: 'SHOP-1',
    aggregates: [{ kind: 'task', id: 'SHOP-1', expected: 1, state: evolve(task, event, NOW) }],
    events: [{ id: 'SHOP-1', body: { stream: 'task', event } }],
    effects: [],
    intents: [],
  })
  expect(result.ok).toBe(true)
  expect(reader.why('SHOP-1')?.because).toBe(
    'Something outside the code went wrong (verifying main: `sleep 100` ran past its time limit (1 s)); it is tried again until 2026-01-02T00:00:05.000Z.',
  )
})

test('a folder tells the project, also through a link and from below; the only project is meant everywhere', async () => {
  const { store, reader, home } = await place()
  const shop = join(home, 'shop')
  mkdirSync(join(shop, 'src'), { recursive: true })
  mkdirSync(join(home, 'shop-two'))
  symlinkSync(shop, join(home, 'link'))
  await addProject(store, 'SHOP', shop)
  expect(reader.projectAt('/')?.id).toBe('SHOP')
  await addProject(store, 'WEB', join(home, 'shop', 'web'))
  mkdirSync(join(shop, 'web'))
  expect(reader.projectAt('/')).toBeNull()
  expect(reader.projectAt(join(shop, 'src'))?.id).toBe('SHOP')
  expect(reader.projectAt(join(home, 'link', 'src'))?.id).toBe('SHOP')
  expect(reader.projectAt(join(shop, 'web'))?.id).toBe('WEB')
  expect(reader.projectAt(join(home, 'shop-two'))).toBeNull()
  expect(reader.projectAt('/gone/for/good')).toBeNull()
})

test('an id is a name or a number in the folder’s project', async () => {
  const { store, reader, home } = await place()
  await addProject(store, 'SHOP', home)
  await put(store, opened('SHOP-1'))
  expect(['1', '01', 'SHOP-1', 'shop-1', '2', 'SHOP-2', 'x'].map((text) => reader.resolveTaskId(text, home))).toEqual([
    'SHOP-1',
    'SHOP-1',
    'SHOP-1',
    'SHOP-1',
    null,
    null,
    null,
  ])
  await addProject(store, 'WEB', '/elsewhere')
  expect(reader.resolveTaskId('1', '/')).toBeNull()
  expect(reader.resolveTaskId('1', home)).toBe('SHOP-1')
})

test('nextChange ends at a touch of the wake file, at once for one missed, else at its time or when aborted', async () => {
  const { home, reader } = await place()
  const touch = (): void => utimesSync(join(home, 'wake'), new Date(), new Date())
  const timed = async (options: Parameters<Reader['nextChange']>[0]): Promise<number> => {
    const start = performance.now()
    await reader.nextChange(options)
    return performance.now() - start
  }
  expect(await timed({ timeoutMs: 50 })).toBeGreaterThan(40)
  setTimeout(touch, 20)
  const [one, two] = await Promise.all([timed({ timeoutMs: 5_000 }), timed({ timeoutMs: 5_000 })])
  expect(one).toBeLessThan(900)
  expect(two).toBeLessThan(900)
  touch()
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(await timed({ timeoutMs: 5_000 })).toBeLessThan(900)
  const stop = new AbortController()
  setTimeout(() => stop.abort(), 20)
  expect(await timed({ timeoutMs: 5_000, signal: stop.signal })).toBeLessThan(900)
  expect(await timed({ timeoutMs: 5_000, signal: stop.signal })).toBeLessThan(900)
})

test('another connection’s commit is seen without any wake file', async () => {
  const { home, store, reader } = await place()
  rmSync(join(home, 'wake'))
  await reader.nextChange({ timeoutMs: 1 })
  const other = await openStore(join(home, 'orch.db'))
  const start = performance.now()
  await Promise.all([reader.nextChange({ timeoutMs: 8_000 }), addProject(other, 'SHOP', home)])
  expect(performance.now() - start).toBeLessThan(5_000)
  await addProject(other, 'WEB', '/elsewhere')
  other.close()
  // Committed before anyone waited: seen at once.
  const later = performance.now()
  await reader.nextChange({ timeoutMs: 8_000 })
  expect(performance.now() - later).toBeLessThan(900)
  expect(store.listProjects()).toHaveLength(2)
})

test('views leave out what is not known', () => {
  const run = {
    id: 'r1',
    task: 'SHOP-1',
    project: 'SHOP',
    stage: 'develop',
    role: 'developer',
    agent: 'claude',
    model: null,
    attempt: 1,
    why: '',
    startedAt: NOW,
    endedAt: null,
    outcome: null,
    sessionId: null,
    usage: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
    costUsd: 0,
    headSha: null,
  }
  const live = runView(run)
  expect(live).toEqual({
    id: 'r1',
    stage: 'develop',
    role: 'developer',
    agent: 'claude',
    model: null,
    attempt: 1,
    outcome: 'running',
    startedAt: new Date(NOW).toISOString(),
    endedAt: null,
    usage: run.usage,
  })
  expect(
    runView({
      ...run,
      endedAt: NOW,
      outcome: { kind: 'failed', code: 'crash', text: 'died', exitCode: 3 },
      sessionId: 's',
    }),
  ).toMatchObject({ outcome: 'failed', failure: 'crash', text: 'died', exitCode: 3, sessionId: 's', costUsd: 0 })
  expect(runView({ ...run, endedAt: NOW, outcome: { kind: 'succeeded' } })).toMatchObject({
    outcome: 'succeeded',
    exitCode: 0,
  })
  const view = taskView(opened('SHOP-1'), { runs: [], artifacts: [] })
  for (const key of ['reason', 'mergedSha', 'waitingFor', 'waitingUntil']) expect(view).not.toHaveProperty(key)
  const held = taskView(
    { ...opened('SHOP-1'), status: 'needs_review', reason: { code: 'base-red', text: 'red' } },
    { runs: [], artifacts: [] },
  )
  expect(held).toMatchObject({ reason: 'base-red', reasonText: 'red' })
})
