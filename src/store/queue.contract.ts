// The queue's part of the store contract: order, lanes, delays, leases.

import { expect, test } from 'vitest'
import { commitOf, queued, runEffect } from './__fixtures__/commits.ts'
import type { QueuedEffect } from '../core/messages.ts'
import type { UseStore } from './__fixtures__/store-under-test.ts'
import { openedEvent, taskCommit } from './__fixtures__/commits.ts'
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
  lostLeaseContract(use)
  parkingContract(use)
  blameContract(use)
  healContract(use)
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
    expect(await store.claim(LEASE)).toEqual({ id: 1, effect, lane: 'light', token: 1, failures: 0, leaseUntil: 150 })
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
    expect(again).toMatchObject({ id: job?.id, token: 2, failures: 0 })
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

  test.each(['worker died', 'service was stopped'])(
    'what is under way keeps its place in a full lane: put back because its %s, it goes before what is more urgent',
    async (why) => {
      const { store } = use()
      await add(
        store,
        { task: 'A', rank: 5, lane: 'x', laneCapacity: 2 },
        { task: 'B', rank: 6, lane: 'x', laneCapacity: 2 },
      )
      const jobs = [await store.claim(LEASE), await store.claim(LEASE)]
      await add(store, { task: 'C', rank: -1e9, lane: 'x', laneCapacity: 2 })
      // Again and again is no more than once.
      for (let n = 0; n < 2; n++) {
        if (why === 'worker died') await store.reclaim({ now: 100, deadWorkers: ['w'] })
        else
          for (const job of jobs) await store.release({ jobId: job?.id ?? 0, token: (job?.token ?? 0) + n, runAt: 100 })
        expect(await claimAll(store)).toEqual(['A', 'B'])
      }
    },
  )

  test('a job that failed goes back to its own place', async () => {
    const { store } = use()
    await add(store, { task: 'A', rank: 5, lane: 'x' })
    const job = await store.claim(LEASE)
    await add(store, { task: 'B', rank: 1, lane: 'x' })
    await store.release({ jobId: job?.id ?? 0, token: job?.token ?? 0, runAt: 100, failed: 'no way' })
    expect(await claimAll(store)).toEqual(['B'])
  })
}

function lostLeaseContract(use: UseStore): void {
  test('who lost its lease changes nothing of the job that another one has (S2)', async () => {
    const { store } = use()
    await add(store, { task: 'A' })
    const lost = await store.claim(LEASE)
    await store.reclaim({ now: 150, deadWorkers: [] })
    const held = await store.claim({ worker: 'other', now: 200, leaseMs: 50 })
    const stale = { jobId: lost?.id ?? 0, token: lost?.token ?? 0 }
    expect(await store.renew({ ...stale, now: 210, leaseMs: 900 })).toBe(false)
    expect(await store.release({ ...stale, runAt: 0 })).toBe(false)
    expect(await store.finish({ ...stale, error: 'late' })).toBe(false)
    expect(await store.park({ ...stale, error: 'late' })).toBe(false)
    expect(store.leaseHolders()).toEqual(['other'])
    expect(await store.reclaim({ now: 249, deadWorkers: [] })).toEqual([])
    expect(await store.finish({ jobId: held?.id ?? 0, token: held?.token ?? 0 })).toBe(true)
    expect(await store.finish({ jobId: held?.id ?? 0, token: held?.token ?? 0 })).toBe(false)
  })
}

function parkingContract(use: UseStore): void {
  test('L2: a job that takes worker after worker along waits a little, then is parked with the reason', async () => {
    const { store } = use()
    await add(store, { task: 'A', rank: 1, lane: 'x' }, { task: 'B', rank: 2, lane: 'x' })
    let now = 1_000
    const starts: number[] = []
    for (let deaths = 1; deaths <= 8; deaths++) {
      let job = await store.claim({ ...LEASE, now })
      // While it waits its turn comes for others; here they are put back.
      while (job && job.effect.task !== 'A') {
        await store.release({ jobId: job.id, token: job.token, runAt: now + 1 })
        now += 1_000
        job = await store.claim({ ...LEASE, now })
      }
      expect(job).toMatchObject({ effect: { task: 'A' }, failures: deaths - 1 })
      starts.push(now)
      await store.reclaim({ now, deadWorkers: ['w'] })
    }
    // At once twice, then after a pause that doubles.
    const pauses = starts.slice(1).map((at, n) => at - (starts[n] ?? 0))
    expect(pauses.slice(0, 2)).toEqual([0, 0])
    for (const [n, least] of [1_000, 2_000, 4_000, 8_000, 16_000].entries())
      expect(pauses[n + 2]).toBeGreaterThanOrEqual(least)
    expect(store.jobsOf('A')).toMatchObject([{ state: 'parked' }])
    expect(store.parkedJobs()).toMatchObject([{ task: 'A', epoch: 1, failures: 8, error: /died, or fell silent, 8/ }])
    expect(await claimAll(store, now + 1e9)).toEqual(['B'])
  })

  test('a failed job keeps its error and its count; parked, it comes back only when asked for', async () => {
    const { store } = use()
    await add(store, { task: 'A' })
    const first = await store.claim(LEASE)
    const lease = { jobId: first?.id ?? 0, token: first?.token ?? 0 }
    expect(await store.release({ ...lease, runAt: 150, failed: 'it broke' })).toBe(true)
    expect(store.faultsOf('A')).toMatchObject([{ kind: 'run', state: 'delayed', failures: 1, error: 'it broke' }])
    expect(await store.park({ ...lease, error: 'too late' })).toBe(false)
    const second = await store.claim({ ...LEASE, now: 200 })
    expect(second).toMatchObject({ failures: 1, token: 2 })
    expect(await store.park({ jobId: lease.jobId, token: 2, error: 'it broke again' })).toBe(true)
    expect(store.leaseHolders()).toEqual([])
    expect(await store.claim({ ...LEASE, now: 1e9 })).toBeNull()
    expect(await store.unpark('B')).toEqual([])
    expect(await store.unpark('A')).toEqual([lease.jobId])
    expect(await store.unpark('A')).toEqual([])
    expect(await store.claim({ ...LEASE, now: 300 })).toMatchObject({ failures: 0, token: 3 })
    expect(await store.finish({ jobId: lease.jobId, token: 3 })).toBe(true)
    expect(store.faultsOf('A')).toEqual([])
  })

  test('a step that is queued anew takes its parked job out of the way', async () => {
    const { store } = use()
    await add(store, { task: 'A' })
    const job = await store.claim(LEASE)
    await store.park({ jobId: job?.id ?? 0, token: 1, error: 'x' })
    await store.commit(commitOf({ supersede: { task: 'A', epoch: 2 } }))
    expect(store.parkedJobs()).toEqual([])
    expect(store.jobsOf('A')).toEqual([])
  })
}

function blameContract(use: UseStore): void {
  test('L2: whose worker dies again and again is found out, and those beside it are left in peace', async () => {
    const { store } = use()
    const names = ['poison', ...Array.from({ length: 10 }, (_, n) => `long-${n}`)]
    await add(store, ...names.map((task, rank) => ({ task, rank, lane: 'x', laneCapacity: 20 })))
    let now = 1_000
    for (let round = 0; store.parkedJobs().length === 0 && round < 200; round++) {
      // Every second: claims what is due, and each third of a lease renews what it has; the poison kills it at once.
      const held: { id: number; token: number }[] = []
      for (let second = 0, dead = false; !dead && second < 60; second++, now += 1_000) {
        for (let job = await store.claim({ ...LEASE, now, leaseMs: 30_000 }); job;) {
          held.push(job)
          dead ||= job.effect.task === 'poison'
          job = await store.claim({ ...LEASE, now, leaseMs: 30_000 })
        }
        if (second % 10 === 9 && !dead)
          for (const { id, token } of held) await store.renew({ jobId: id, token, now, leaseMs: 30_000 })
      }
      await store.reclaim({ now, deadWorkers: ['w'] })
    }
    expect(store.parkedJobs().map((job) => job.task)).toEqual(['poison'])
    // The first deaths, when nothing told them apart yet, were everybody's: half of what parks a job at the most.
    for (const name of names.slice(1)) expect(store.faultsOf(name)[0]?.failures ?? 0).toBeLessThanOrEqual(4)
  })

  test('a run that is watched for hours is not to blame for what happens to its watchers', async () => {
    const { store } = use()
    await add(store, { task: 'A' })
    for (let n = 0; n < 20; n++) {
      const job = await store.claim(LEASE)
      await store.renew({ jobId: job?.id ?? 0, token: job?.token ?? 0, now: 110, leaseMs: 50 })
      await store.reclaim({ now: 120, deadWorkers: ['w'] })
    }
    expect(await store.claim(LEASE)).toMatchObject({ effect: { task: 'A' }, failures: 0 })
  })
}

function healContract(use: UseStore): void {
  test('a healthy queue needs no mending', async () => {
    const { store } = use()
    await add(store, { task: 'A' }, { task: 'B', runAt: 9_000 }, { task: 'C' })
    await store.claim(LEASE)
    expect(await store.heal({ now: 5 })).toEqual({ mended: [], tasks: [] })
    expect(store.healed()).toEqual([])
  })

  test('L6: open tasks without a live job are named, those with one or with an owner are not', async () => {
    const { store } = use()
    for (const id of ['A-1', 'A-2', 'A-3', 'A-4']) {
      const opened = openedEvent(id, id === 'A-4' ? { openDeps: ['A-1'] } : {})
      await store.commit(taskCommit(store, id, { events: [opened] }))
    }
    await add(store, { task: 'A-2', runAt: 9_000 }, { task: 'A-3' })
    expect(store.tasksWithoutJob()).toEqual(['A-1'])
    const job = await store.claim(LEASE)
    await store.park({ jobId: job?.id ?? 0, token: job?.token ?? 0, error: 'x' })
    expect(store.tasksWithoutJob()).toEqual(['A-1', 'A-3'])
    expect(store.tasksWithEndedDependency()).toEqual([])
    const cancelled = { type: 'task.cancelled', data: { by: 'ann' } } as const
    await store.commit(taskCommit(store, 'A-1', { events: [cancelled] }))
    expect(store.tasksWithoutJob()).toEqual(['A-3'])
    expect(store.tasksWithEndedDependency()).toEqual(['A-4'])
  })

  test('the mark of changes moves with every write of anyone and with nothing else', async () => {
    const { store, another } = use()
    const other = await another()
    const before = store.changeMark()
    expect(store.changeMark()).toBe(before)
    await add(other, { task: 'A' })
    const after = store.changeMark()
    expect(after).not.toBe(before)
    await store.claim(LEASE)
    expect(store.changeMark()).not.toBe(after)
  })
}
