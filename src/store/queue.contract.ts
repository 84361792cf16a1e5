// The queue's part of the store contract: order, lanes, delays, leases.

import { expect, test } from 'vitest'
import { commitOf, queued, runEffect } from './__fixtures__/commits.ts'
import type { QueuedEffect } from '../core/messages.ts'
import type { UseStore } from './__fixtures__/store-under-test.ts'
import type { Store } from './store.ts'

const LEASE = { worker: 'w', now: 100, leaseMs: 50 }

function add(store: Store, ...jobs: (Partial<QueuedEffect> & { task: string })[]) {
  return store.commit(commitOf({ effects: jobs.map(({ task, ...rest }) => queued(runEffect(task), rest)) }))
}

async function claimAll(store: Store, now = 100): Promise<string[]> {
  const tasks: string[] = []
  for (;;) {
    const job = await store.claim({ ...LEASE, now })
    if (!job) return tasks
    tasks.push(job.effect.task)
  }
}

export function queueContract(use: UseStore): void {
  orderContract(use)
  giveOutContract(use)
  leaseContract(use)
}

function orderContract(use: UseStore): void {
  test('smaller rank first, then the older job, over all lanes with room', async () => {
    const { store } = use()
    await add(
      store,
      { task: 'A', rank: 5, lane: 'x', laneCapacity: 9 },
      { task: 'B', rank: 5, lane: 'y' },
      { task: 'C', rank: 1.5, lane: 'x', laneCapacity: 9 },
    )
    await add(store, { task: 'D', rank: 9, lane: 'x', laneCapacity: 9 }, { task: 'E', rank: -1, lane: 'y' })
    // B shares a lane of one with E, which went first.
    expect(await claimAll(store)).toEqual(['E', 'C', 'A', 'D'])
  })

  test('a full lane holds its jobs back until one ends; the latest capacity counts', async () => {
    const { store } = use()
    await add(store, { task: 'A', lane: 'x' }, { task: 'B', lane: 'x' }, { task: 'C', lane: 'x' })
    const first = await store.claim(LEASE)
    expect(await store.claim(LEASE)).toBeNull()
    await store.finish({ jobId: first?.id ?? 0, token: first?.token ?? 0 })
    expect(await claimAll(store)).toEqual(['B'])
    await add(store, { task: 'D', lane: 'x', laneCapacity: 3, runAt: 900_000 })
    expect(await claimAll(store)).toEqual(['C'])
    await add(store, { task: 'E', lane: 'x', laneCapacity: 1 })
    expect(await claimAll(store)).toEqual([])
  })

  test('a delayed job is never given early and keeps its place by rank', async () => {
    const { store } = use()
    await add(store, { task: 'A', rank: 1, runAt: 5_000 }, { task: 'B', rank: 2 })
    expect(store.jobSummary()).toEqual({ ready: 1, delayed: 1, running: 0, nextDueAt: 5_000 })
    expect(await claimAll(store, 4_999)).toEqual(['B'])
    expect(await claimAll(store, 5_000)).toEqual(['A'])
    expect(store.jobSummary().nextDueAt).toBeNull()
  })

  test('a job that becomes ready goes before those of its lane with a greater rank', async () => {
    const { store } = use()
    await add(
      store,
      { task: 'A', rank: 1, runAt: 5_000, lane: 'x' },
      { task: 'B', rank: 2, lane: 'x' },
      { task: 'C', rank: 3, lane: 'x' },
    )
    const job = await store.claim({ ...LEASE, now: 5_000 })
    expect(job?.effect.task).toBe('A')
    // C must not overtake B while A is put back for later, nor A those before it when it returns.
    await store.release({ jobId: job?.id ?? 0, token: job?.token ?? 0, runAt: 6_000 })
    expect(await claimAll(store, 5_500)).toEqual(['B'])
    await store.reclaim({ now: 5_550, deadWorkers: [] })
    expect(await claimAll(store, 6_000)).toEqual(['A'])
  })
}

function giveOutContract(use: UseStore): void {
  test('any number of due jobs comes out', async () => {
    const { store } = use()
    const jobs = Array.from({ length: 250 }, (_, n) => ({
      task: `A-${n}`,
      rank: -n,
      runAt: 2_000 + n,
      lane: 'x',
      laneCapacity: 999,
    }))
    await add(store, ...jobs)
    expect(new Set(await claimAll(store, 3_000)).size).toBe(250)
  })

  test('claims at the same moment give different jobs', async () => {
    const { store, another } = use()
    const other = await another()
    await add(store, ...Array.from({ length: 20 }, (_, n) => ({ task: `A-${n}` })))
    const jobs = await Promise.all(Array.from({ length: 30 }, (_, n) => (n % 2 ? store : other).claim(LEASE)))
    const ids = jobs.flatMap((job) => (job ? [job.id] : []))
    expect(new Set(ids).size).toBe(20)
    expect(ids).toHaveLength(20)
  })

  test('an effect comes back whole', async () => {
    const { store } = use()
    const effect = { kind: 'release-dependants', task: 'A-1', outcome: 'done' } as const
    await store.commit(commitOf({ effects: [queued(effect, { lane: 'light' })] }))
    expect(await store.claim(LEASE)).toEqual({ id: 1, effect, lane: 'light', token: 1, claims: 1, leaseUntil: 150 })
  })
}

function leaseContract(use: UseStore): void {
  test('a job put back runs again at its time, with a greater token', async () => {
    const { store } = use()
    await add(store, { task: 'A' })
    const job = await store.claim(LEASE)
    const lease = { jobId: job?.id ?? 0, token: job?.token ?? 0 }
    expect(await store.release({ ...lease, runAt: 200 })).toBe(true)
    expect(store.leaseHolders()).toEqual([])
    expect(await store.release({ ...lease, runAt: 200 })).toBe(false)
    expect(await store.claim({ ...LEASE, now: 199 })).toBeNull()
    const again = await store.claim({ ...LEASE, now: 200 })
    expect(again).toMatchObject({ id: job?.id, token: 2, claims: 2 })
    expect(await store.renew({ ...lease, now: 201, leaseMs: 50 })).toBe(false)
    expect(await store.finish(lease)).toBe(false)
    expect(await store.finish({ jobId: job?.id ?? 0, token: 2, error: 'it broke' })).toBe(true)
    expect(store.jobsOf('A')).toEqual([])
  })

  test('a renewed lease is not reclaimed, an ended one is, once', async () => {
    const { store } = use()
    await add(store, { task: 'A', lane: 'x', laneCapacity: 2 }, { task: 'B', lane: 'x', laneCapacity: 2 })
    const first = await store.claim(LEASE)
    const second = await store.claim(LEASE)
    await store.renew({ jobId: first?.id ?? 0, token: 1, now: 140, leaseMs: 50 })
    expect(await store.reclaim({ now: 149, deadWorkers: [] })).toEqual([])
    expect(await store.reclaim({ now: 150, deadWorkers: [] })).toEqual([second?.id])
    expect(await store.reclaim({ now: 150, deadWorkers: [] })).toEqual([])
    expect(store.jobsOf('B').map((job) => job.state)).toEqual(['queued'])
    expect(await claimAll(store, 160)).toEqual(['B'])
  })

  test('the jobs of dead workers come back at once, those of others stay', async () => {
    const { store } = use()
    await add(store, { task: 'A' }, { task: 'B' }, { task: 'C' })
    for (const worker of ['w1', 'w2', 'w1']) await store.claim({ ...LEASE, worker })
    expect(store.leaseHolders()).toEqual(['w1', 'w2'])
    expect(await store.reclaim({ now: 101, deadWorkers: ['w1', 'nobody'] })).toEqual([1, 3])
    expect(store.leaseHolders()).toEqual(['w2'])
    expect(await claimAll(store, 102)).toEqual(['A', 'C'])
  })
}
