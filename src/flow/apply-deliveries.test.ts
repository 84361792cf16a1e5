// Deliveries over the real store and engine: each applied once, whatever crashes, fails or comes twice (S7).

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { RemoteProject, Tracker, WebhookSource } from '../drivers/driver.ts'
import type { Timers } from '../lib/clock.ts'
import { ExternalError } from '../lib/errors.ts'
import { openStore } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import { type DeliveryWorker, makeDeliveryWorker } from './apply-deliveries.ts'
import { makeEngine } from './engine.ts'
import { makeInLine } from './in-line.ts'
import { makeRemoteNames } from './remote-names.ts'
import { project, testRemotes, testVendor } from './test-driver.ts'
import { CONFIG, PROJECT, about, issue, memoryAudit, testSource } from './test-webhooks.ts'

let dir: string
let store: Store
let clock: number
let errors: unknown[]
let notices: string[]
let trustOf: () => Promise<'member' | 'none'>
const audit = memoryAudit()
/** What the vendor says of the names that it is asked about. */
let projects: Record<string, RemoteProject | (() => never)>

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-apply-'))
  store = await openStore(join(dir, 'orch.db'))
  await store.addProject(PROJECT)
  clock = 1_000
  errors = []
  notices = []
  audit.lines.length = 0
  trustOf = async () => 'member'
  projects = { 'ann/shop': project('ann/shop') }
})

afterEach(async () => {
  store.close()
  await rm(dir, { recursive: true, force: true })
})

/** Timers that never fire by themselves: the test moves the clock and kicks. */
const still: Timers = {
  elapsedMs: () => clock,
  after: () => ({ cancel: () => undefined }),
  every: () => ({ cancel: () => undefined }),
  sleep: async () => undefined,
}

function worker(
  over: Store = store,
  more: { name?: string; sources?: Record<string, WebhookSource>; onRest?: () => void } = {},
): DeliveryWorker {
  const engine = makeEngine({ store: over, now: () => clock, wake: () => undefined })
  const tracker = { trustOf: () => trustOf(), findIssue: async () => null } as unknown as Tracker
  return makeDeliveryWorker({
    store: over,
    happenings: {
      store: over,
      engine,
      now: () => clock,
      newId: () => 'id',
      adapters: {},
      configOf: async () => CONFIG,
      names: makeRemoteNames({ remotes: testRemotes([testVendor('github', projects)]), now: () => clock }),
      inLine: makeInLine(),
      trackerOf: () => tracker,
      remoteForgeOf: () => null,
      workspaces: {} as never,
    },
    sources: more.sources ?? { github: testSource },
    selfAt: async () => ['orch'],
    worker: more.name ?? 'w1',
    audit,
    now: () => clock,
    timers: still,
    onError: (error) => errors.push(error),
    onNotice: (text) => notices.push(text),
    onRest: more.onRest ?? (() => undefined),
  })
}

/** Kicks and waits until nothing is under way. */
async function work(over?: Store, more: Parameters<typeof worker>[1] = {}): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  const one = worker(over, { ...more, onRest: () => resolve(undefined) })
  one.kick()
  if (!one.isIdle(0)) await promise
  await one.stop()
}

async function deliver(id: string, body: Uint8Array, more: { event?: string; source?: string } = {}): Promise<number> {
  const { event = 'issues', source = 'github' } = more
  const kept = await store.appendDelivery({ source, deliveryId: id, event, body, at: clock })
  return kept.id
}

const rows = () => store.listDeliveries({ limit: 50 }).toReversed()
const journal = () => store.listEvents({}).map((event) => `${event.id} ${event.type}`)

test('what happened is applied, with what came of it as its note', async () => {
  await deliver('d-1', about([issue(12)]))
  await work()
  expect(rows()).toMatchObject([{ state: 'applied', note: expect.stringContaining('T-12: opened') as string }])
  expect(store.getTask('T-12')?.state).toMatchObject({ origin: 'github:12', title: 'Issue 12' })
  expect(store.listEvents({ task: 'T-12' })[0]?.cause).toBe('webhook:github/d-1')
  expect(audit.lines).toMatchObject([{ what: 'settled', state: 'applied', id: 1, source: 'github' }])
})

test('what is no JSON, of no use, or of a project nobody registered says so, and changes nothing', async () => {
  await deliver('bad', Buffer.from('{"ref":'))
  await deliver('wiki', about([issue(1)]), { event: 'gollum' })
  await deliver('other', about([issue(2)], 'ann/other'))
  await work()
  expect(rows().map(({ state, note }) => [state, note])).toEqual([
    ['rejected', 'the body is no JSON'],
    ['ignored', 'gollum is nothing to Orch'],
    ['ignored', 'no project of github ann/other is registered here'],
  ])
  expect(audit.lines).toHaveLength(3)
  expect(store.countTasks().queued).toBe(0)
  expect(errors).toEqual([])
})

test('the same body under another id is ignored, and its note says why', async () => {
  await deliver('d-1', about([issue(12)]))
  await deliver('another id', about([issue(12)]))
  await work()
  expect(rows()).toMatchObject([
    { deliveryId: 'd-1', state: 'applied' },
    { deliveryId: 'another id', state: 'ignored', note: 'it is delivery 1 again, under another id' },
  ])
})

test('deliveries out of order and doubled come to the newest state, once', async () => {
  const newer = issue(12, { title: 'Newer', updatedAt: 9 })
  await deliver('2', about([newer]))
  await deliver('1', about([issue(12, { title: 'Older', updatedAt: 5 })]))
  await deliver('3', Buffer.concat([about([newer]), Buffer.from(' ')]))
  await work()
  expect(store.getTask('T-12')?.state.title).toBe('Newer')
  expect(journal()).toEqual(['T-12 task.opened'])
  expect(rows().map((row) => row.state)).toEqual(['applied', 'applied', 'applied'])
})

test('a vendor that is down is tried again after 5, 10, 20, 40 and 80 s, then a person is told, once', async () => {
  trustOf = async () => {
    throw new ExternalError({ system: 'github', kind: 'unreachable', message: 'github does not answer' })
  }
  await deliver('d-1', about([issue(12)]))
  const pauses: number[] = []
  for (;;) {
    await work()
    const [row] = rows()
    if (!row || row.state !== 'received') break
    pauses.push(((row.nextAt ?? 0) - clock) / 1_000)
    clock = (row.nextAt ?? 0) - 1
    await worker().stop()
    expect(await store.claimDeliveries({ source: 'github', worker: 'x', now: clock, leaseMs: 1, limit: 1 })).toEqual([])
    clock += 1
  }
  expect(pauses).toEqual([5, 10, 20, 40, 80])
  expect(rows()).toMatchObject([{ state: 'failed', note: 'github does not answer', failures: 5 }])
  expect(notices).toEqual([expect.stringContaining('`orch webhook replay 1`')])
  expect(audit.lines.map((line) => line.what)).toEqual(['retry', 'retry', 'retry', 'retry', 'retry', 'settled'])
  trustOf = async () => 'member'
  await store.replayDelivery({ id: 1, now: clock })
  await work()
  expect(rows()).toMatchObject([{ state: 'applied', replays: 1 }])
})

/** Goes on to when the first of the rows is due, and works; gives how long that was, in ms. */
async function waitAndWork(): Promise<number> {
  const pauseMs = (rows()[0]?.nextAt ?? 0) - clock
  clock += pauseMs
  await work()
  return pauseMs
}

const limited = (retryAfterMs?: number): ExternalError => {
  const asked = retryAfterMs === undefined ? {} : { retryAfterMs }
  return new ExternalError({ system: 'github', kind: 'rate-limited', message: 'the budget is spent', ...asked })
}

test('a vendor’s limit is waited out as it asks, however often, and is none of the five failures', async () => {
  const asks = [3_600_000, 1_000, undefined, 7_200_000, 60_000, 60_000, 60_000]
  trustOf = async () => {
    if (asks.length > 0) throw limited(asks.shift())
    return 'member'
  }
  await deliver('d-1', about([issue(12)]))
  await work()
  const pauses: number[] = []
  while (rows()[0]?.state === 'received') {
    expect(rows()).toMatchObject([{ failures: 0, note: 'the budget is spent' }])
    pauses.push(await waitAndWork())
  }
  expect(pauses).toEqual([3_600_000, 5_000, 60_000, 3_600_000, 60_000, 60_000, 60_000])
  expect(rows()).toMatchObject([{ state: 'applied', failures: 0 }])
  expect(audit.lines.slice(0, 2)).toMatchObject([
    { what: 'retry', failures: 0, note: 'the budget is spent' },
    { what: 'retry', failures: 0, note: 'the budget is spent' },
  ])
  expect(notices).toEqual([])
})

test('a limit between failures takes none of them back, and adds none', async () => {
  const down = new ExternalError({ system: 'github', kind: 'unreachable', message: 'github does not answer' })
  const ends = [down, limited(600_000), down]
  trustOf = async () => {
    const error = ends.shift()
    if (error) throw error
    return 'member'
  }
  await deliver('d-1', about([issue(12)]))
  await work()
  expect([await waitAndWork(), await waitAndWork(), await waitAndWork()]).toEqual([5_000, 600_000, 10_000])
  expect(rows()).toMatchObject([{ state: 'applied', failures: 2 }])
})

test('a limit that never ends is given up a day later, as other trouble is, and a person is told', async () => {
  trustOf = async () => {
    throw limited(3_600_000)
  }
  const startedAt = clock
  await deliver('d-1', about([issue(12)]))
  await work()
  const pauses: number[] = []
  while (rows()[0]?.state === 'received') pauses.push(await waitAndWork())
  expect(pauses).toEqual([...Array<number>(24).fill(3_600_000), ...Array<number>(5).fill(300_000)])
  expect(clock - startedAt).toBe(24 * 3_600_000 + 25 * 60_000)
  expect(rows()).toMatchObject([{ state: 'failed', failures: 5, note: 'the budget is spent' }])
  expect(notices).toEqual([expect.stringContaining('`orch webhook replay 1`')])
})

test('other trouble that names a time gets it, up to five minutes', async () => {
  trustOf = async () => {
    const at = { system: 'github', kind: 'unreachable', message: 'maintenance' } as const
    throw new ExternalError({ ...at, retryAfterMs: 3_600_000 })
  }
  await deliver('d-1', about([issue(12)]))
  await work()
  expect(rows()[0]?.nextAt).toBe(clock + 300_000)
})

test('L2: one that can not be read holds up no other', async () => {
  await deliver('poison', about([issue(12)]))
  await deliver('good', about([issue(13)]))
  const parse: WebhookSource['parse'] = (delivery) => {
    if (Buffer.from(delivery.body).includes('"12"')) throw new Error('a parser that throws, against its contract')
    return testSource.parse(delivery)
  }
  await work(store, { sources: { github: { ...testSource, parse } } })
  expect(errors).toHaveLength(1)
  expect(rows().map(({ state, failures }) => [state, failures])).toEqual([
    ['received', 1],
    ['applied', 0],
  ])
})

test('S7: a crash at any durable write, and then what it left is applied with no second effect', async () => {
  const body = about([issue(12), issue(13), issue(14, { blockedBy: ['12', '13'] })])
  await deliver('calm', body)
  await work()
  const calm = journal()
  expect(calm.filter((line) => line.endsWith('task.opened'))).toHaveLength(3)
  let writes = 0
  for (let at = 1; at < 100; at++) {
    store.close()
    await rm(join(dir, 'orch.db'), { force: true })
    for (const rest of ['-wal', '-shm']) await rm(join(dir, `orch.db${rest}`), { force: true })
    store = await openStore(join(dir, 'orch.db'))
    await store.addProject(PROJECT)
    await deliver('d-1', body)
    const dying = crashAfter(store, at)
    await work(dying.store, { name: 'dead' })
    writes = dying.writes()
    await store.reclaimDeliveries({ now: clock, isDead: (name) => name === 'dead' })
    await work()
    expect(journal(), `a crash after write ${at}`).toEqual(calm)
    expect(rows(), `a crash after write ${at}`).toMatchObject([{ state: 'applied' }])
    if (writes < at) break
  }
  // The claim, three tasks, what was seen of three issues, the end.
  expect(writes).toBeGreaterThanOrEqual(8)
})

/** A store of a process that is killed after so many writes: nothing it does afterwards reaches the disk. */
function crashAfter(real: Store, last: number) {
  let writes = 0
  const names = ['commit', 'claimDeliveries', 'endDeliveries', 'putSeenIssue', 'putMark'] as const
  const killed = <A extends unknown[], R>(call: (...args: A) => Promise<R>) => {
    return (...args: A): Promise<R> => {
      if (writes >= last) return Promise.reject(new Error('the process is dead'))
      writes += 1
      return call(...args)
    }
  }
  const wrapped = Object.fromEntries(names.map((name) => [name, killed(real[name] as never)]))
  return { store: { ...real, ...wrapped } as Store, writes: () => writes }
}

test('S7: what a person has undone since the effect is not done again with the mark that was lost', async () => {
  await deliver('open', about([issue(12)]))
  await work()
  await deliver('edit', about([issue(12, { title: 'By the tracker', updatedAt: 2 })]))
  const end: Store['endDeliveries'] = async () => {
    throw new Error('killed between the effect and the mark')
  }
  await work({ ...store, endDeliveries: end }, { name: 'dead' })
  expect(store.getTask('T-12')?.state.title).toBe('By the tracker')
  const engine = makeEngine({ store, now: () => clock, wake: () => undefined })
  const by = { actor: { kind: 'person', name: 'ann' }, cause: 'test', correlation: 'c' } as const
  await engine.submit({ type: 'edit-task', task: 'T-12', title: 'By a person' }, by)
  await store.reclaimDeliveries({ now: clock, isDead: () => true })
  await work()
  expect(rows().map((row) => row.state)).toEqual(['applied', 'applied'])
  expect(store.getTask('T-12')?.state.title).toBe('By a person')
  // A person who asks for it gets it.
  await store.replayDelivery({ id: 2, now: clock })
  await work()
  expect(store.getTask('T-12')?.state.title).toBe('By the tracker')
})

test('stopping ends what is under way and puts the rest back, uncounted', async () => {
  const { promise: isAsked, resolve: asked } = Promise.withResolvers<undefined>()
  const { promise: isLet, resolve: letGo } = Promise.withResolvers<undefined>()
  trustOf = async () => {
    asked(undefined)
    await isLet
    return 'member'
  }
  for (const n of [1, 2, 3]) await deliver(`d-${n}`, about([issue(n)]))
  const one = worker()
  one.kick()
  await isAsked
  const stopped = one.stop()
  letGo(undefined)
  await stopped
  expect(rows().map(({ state, failures }) => [state, failures])).toEqual([
    ['applied', 0],
    ['received', 0],
    ['received', 0],
  ])
  await work()
  expect(rows().map((row) => row.state)).toEqual(['applied', 'applied', 'applied'])
})

test('a source that hangs holds up no other source', async () => {
  const hangs: WebhookSource = {
    ...testSource,
    parse: () => ({ kind: 'happened', ref: 'ann/shop', happenings: [{ kind: 'issue', id: '1', issue: issue(1) }] }),
  }
  let isHanging = true
  const { promise: isLet, resolve: letGo } = Promise.withResolvers<undefined>()
  trustOf = async () => {
    if (isHanging) await isLet
    return 'member'
  }
  await deliver('slow', Buffer.from('1'))
  await deliver('bad', Buffer.from('no JSON'), { source: 'gitea' })
  const one = worker(store, { sources: { github: hangs, gitea: testSource } })
  one.kick()
  await expect.poll(() => rows()[1]?.state).toBe('rejected')
  expect(rows()[0]?.state).toBe('received')
  isHanging = false
  letGo(undefined)
  await one.stop()
  expect(rows()[0]?.state).toBe('applied')
})

test('a repository that moved: what comes under its new name is its project’s, and others’ stays ignored', async () => {
  projects = { 'ann/shop': project('acme/store') }
  await deliver('1', about([issue(12)], 'ACME/store'))
  await deliver('2', about([issue(13)], 'acme/other'))
  await work()
  expect(rows().map(({ state }) => state)).toEqual(['applied', 'ignored'])
  expect(store.getTask('T-12')?.state.status).toBe('queued')
})

test('a vendor that can not say what it is called now is asked again, and nothing is ignored meanwhile', async () => {
  projects = {
    'ann/shop': () => {
      throw new ExternalError({ system: 'github', kind: 'unreachable', message: 'github does not answer' })
    },
  }
  await deliver('1', about([issue(12)], 'acme/store'))
  await work()
  expect(rows()).toMatchObject([{ state: 'received', note: 'github does not answer' }])
  projects = { 'ann/shop': project('acme/store') }
  clock += 5_000
  await work()
  expect(rows()).toMatchObject([{ state: 'applied' }])
})

test('an issue that is gone ends its task', async () => {
  await deliver('1', about([issue(12)]))
  await work()
  await deliver(
    '2',
    Buffer.from(JSON.stringify({ ref: 'ann/shop', happenings: [{ kind: 'issue', id: '12', issue: null }] })),
  )
  await work()
  expect(rows()[1]).toMatchObject({ state: 'applied', note: 'T-12: cancelled, its issue is gone' })
})

test('many that are given up for one reason are one notice; once something was applied again, the next is told', async () => {
  trustOf = async () => {
    throw new ExternalError({ system: 'github', kind: 'auth', message: 'the token is not valid' })
  }
  const giveUp = async (from: number, to: number): Promise<void> => {
    for (let n = from; n <= to; n += 1) await deliver(`d-${n}`, about([issue(n)]))
    for (let tries = 0; tries <= 6; tries += 1) {
      await line()
      clock += 300_000
    }
  }
  const one = worker()
  const line = async (): Promise<void> => {
    one.kick()
    while (!one.isIdle(0)) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await giveUp(1, 5)
  expect(rows().map(({ state }) => state)).toEqual(Array(5).fill('failed'))
  expect(notices).toEqual([expect.stringMatching(/the token is not valid.*orch webhook replay/)])
  trustOf = async () => 'member'
  await deliver('d-6', about([issue(6)]))
  await line()
  trustOf = async () => {
    throw new ExternalError({ system: 'github', kind: 'auth', message: 'the token is not valid' })
  }
  await giveUp(7, 8)
  expect(notices).toHaveLength(2)
  await one.stop()
})
