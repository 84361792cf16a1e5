// What every store must do, whatever it is made of. Run it with a function that opens an empty store.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { commitOf, openedEvent, queued, runEffect, taskCommit } from './__fixtures__/commits.ts'
import { rowMismatches } from './test-fold-journal.ts'
import { deliveriesContract } from './deliveries.contract.ts'
import { queueContract } from './queue.contract.ts'
import { recordsContract } from './records.contract.ts'
import type { StoreUnderTest, UseStore } from './__fixtures__/store-under-test.ts'
import type { Commit, Store } from './store.ts'

export function storeContract(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`store contract: ${name}`, () => {
    let current: StoreUnderTest
    beforeEach(async () => {
      current = await open()
    })
    afterEach(() => current.dispose())
    const use: UseStore = () => current
    describe('commit', () => {
      commitContract(use)
      onceContract(use)
    })
    describe('fence and supersede', () => {
      fenceContract(use)
    })
    describe('lists', () => {
      listContract(use)
    })
    describe('journal', () => {
      journalContract(use)
      foldContract(use)
    })
    describe('queue', () => {
      queueContract(use)
    })
    describe('records', () => {
      recordsContract(use)
    })
    describe('health', () => {
      healthContract(use)
    })
    describe('deliveries', () => {
      deliveriesContract(use)
    })
  })
}

const open = (store: Store, id: string, data: Parameters<typeof openedEvent>[1] = {}, parts: Partial<Commit> = {}) =>
  store.commit(taskCommit(store, id, { events: [openedEvent(id, data)], parts }))

function commitContract(use: UseStore): void {
  test('writes the aggregates, their events and the jobs, and gives their numbers', async () => {
    const { store } = use()
    const effects = [
      queued(runEffect('A-1')),
      queued({ kind: 'clean', task: 'A-1', keepBranch: true }, { runAt: 5_000 }),
    ]
    const result = await open(store, 'A-1', {}, { effects })
    expect(result).toEqual({ ok: true, seqs: [1], jobIds: [1, 2] })
    expect(store.getTask('A-1')).toMatchObject({ version: 1, state: { id: 'A-1', status: 'queued' } })
    expect(store.jobsOf('A-1')).toEqual([
      { id: 1, kind: 'run', state: 'queued', epoch: 1, runAt: 0 },
      { id: 2, kind: 'clean', state: 'delayed', epoch: null, runAt: 5_000 },
    ])
    expect(store.jobSummary()).toEqual({ ready: 1, delayed: 1, running: 0, nextDueAt: 5_000 })
  })

  test('the loser of a race changes nothing (S1)', async () => {
    const { store } = use()
    await open(store, 'A-1')
    const stale = taskCommit(store, 'A-1', {
      events: [{ type: 'task.paused', data: {} }],
      parts: { effects: [queued(runEffect('A-1'))] },
    })
    await store.commit(taskCommit(store, 'A-1', { events: [{ type: 'task.answered', data: { text: 'yes' } }] }))
    const before = [store.getTask('A-1'), store.lastSeq(), store.jobSummary()]
    expect(await store.commit(stale)).toEqual({ ok: false, because: 'conflict' })
    expect([store.getTask('A-1'), store.lastSeq(), store.jobSummary()]).toEqual(before)
  })

  test('one stale aggregate among several undoes the others', async () => {
    const { store } = use()
    const account = { id: 'claude', limitedUntil: null, limitReason: null, spentUsd: 1, runs: 1 }
    await store.commit(commitOf({ aggregates: [{ kind: 'account', id: 'claude', expected: 0, state: account }] }))
    const result = await open(
      store,
      'A-1',
      {},
      { aggregates: [{ kind: 'account', id: 'claude', expected: 0, state: account }] },
    )
    expect(result).toEqual({ ok: false, because: 'conflict' })
    expect(store.getTask('A-1')).toBeNull()
    expect(store.lastSeq()).toBe(0)
    expect(store.getAccount('claude')).toEqual({ version: 1, state: account })
  })
}

function onceContract(use: UseStore): void {
  test('an end is versioned like any move: it does not overwrite what came first (S1, S12)', async () => {
    const { store } = use()
    await open(store, 'A-1')
    const late = taskCommit(store, 'A-1', { events: [{ type: 'task.cancelled', data: { by: 'ada' } }] })
    await store.commit(taskCommit(store, 'A-1', { events: [{ type: 'task.paused', data: {} }] }))
    expect(await store.commit(late)).toEqual({ ok: false, because: 'conflict' })
    expect(store.getTask('A-1')).toMatchObject({ version: 2, state: { status: 'queued', paused: true } })
  })

  test('a commit that fails in the middle leaves nothing', async () => {
    const { store } = use()
    await open(store, 'A-1')
    const before = [store.getTask('A-1'), store.lastSeq(), store.jobSummary()]
    const intents = [{ op: 'open' as const, kind: 'merge' as const, task: 'nobody', key: 'k', data: {} }]
    const events = [{ type: 'task.paused' as const, data: {} }]
    const failing = taskCommit(store, 'A-1', { events, parts: { effects: [queued(runEffect('A-1'))], intents } })
    await expect(store.commit(failing)).rejects.toThrow(/constraint/i)
    expect([store.getTask('A-1'), store.lastSeq(), store.jobSummary()]).toEqual(before)
  })

  test('what must not exist yet and does is a conflict', async () => {
    const { store } = use()
    await open(store, 'A-1')
    expect(
      await store.commit({ ...taskCommit({ getTask: () => null }, 'A-1', { events: [openedEvent('A-1')] }) }),
    ).toEqual({ ok: false, because: 'conflict' })
  })

  test('a repository and an account are versioned too', async () => {
    const { store } = use()
    const repository = { id: 'A', train: { entries: [] } }
    const account = { id: 'bot', limitedUntil: null, limitReason: null, spentUsd: 0, runs: 0 }
    for (const of of [
      { kind: 'repository' as const, id: 'A', state: repository },
      { kind: 'account' as const, id: 'bot', state: account },
    ]) {
      const write = (expected: number) => store.commit(commitOf({ aggregates: [{ ...of, expected }] }))
      expect(await write(0)).toMatchObject({ ok: true })
      expect(await write(0)).toEqual({ ok: false, because: 'conflict' })
      expect(await write(1)).toMatchObject({ ok: true })
      expect(await write(1)).toEqual({ ok: false, because: 'conflict' })
    }
    expect(store.getRepository('A')).toEqual({ version: 2, state: repository })
    expect(store.getAccount('bot')).toEqual({ version: 2, state: account })
  })

  test('the same idempotency key for the same task is applied once; a refused commit does not use it up', async () => {
    const { store } = use()
    await open(store, 'A-1')
    const idempotencyKey = { task: 'A-1', key: 'approve:1' }
    const change = (expected?: number): Commit => {
      const commit = taskCommit(store, 'A-1', {
        events: [{ type: 'task.paused', data: {} }],
        parts: { idempotencyKey },
      })
      return expected === undefined
        ? commit
        : { ...commit, aggregates: commit.aggregates.map((a) => ({ ...a, expected })) }
    }
    expect(await store.commit(change(7))).toEqual({ ok: false, because: 'conflict' })
    expect(await store.commit(change())).toMatchObject({ ok: true })
    expect(await store.commit(change())).toEqual({ ok: false, because: 'duplicate' })
    expect(store.lastSeq()).toBe(2)
  })

  test('one open task an origin: the second is a duplicate, until the first has ended', async () => {
    const { store } = use()
    await open(store, 'A-1', { origin: 'github:7' })
    expect(await open(store, 'A-2', { origin: 'github:7' })).toEqual({ ok: false, because: 'duplicate' })
    expect(await open(store, 'B-1', { origin: 'github:7' })).toMatchObject({ ok: true })
    await store.commit(taskCommit(store, 'A-1', { events: [{ type: 'task.cancelled', data: { by: 'ada' } }] }))
    expect(await open(store, 'A-2', { origin: 'github:7' })).toMatchObject({ ok: true })
  })
}

function fenceContract(use: UseStore): void {
  const claimed = async (store: Store) => {
    await open(store, 'A-1', {}, { effects: [queued(runEffect('A-1'))] })
    const job = await store.claim({ worker: 'w', now: 10, leaseMs: 100 })
    if (!job) throw new Error('nothing to claim')
    return job
  }
  const paused = (store: Store, fence: Commit['fence']) =>
    taskCommit(store, 'A-1', { events: [{ type: 'task.paused', data: {} }], parts: fence ? { fence } : {} })

  test('keep checks the lease, done ends the job in the same transaction', async () => {
    const { store } = use()
    const job = await claimed(store)
    const fence = { jobId: job.id, token: job.token }
    expect(await store.commit(paused(store, { ...fence, then: 'keep' }))).toMatchObject({ ok: true })
    expect(store.jobSummary().running).toBe(1)
    expect(await store.commit(paused(store, { ...fence, then: 'done' }))).toMatchObject({ ok: true })
    expect(store.jobSummary()).toEqual({ ready: 0, delayed: 0, running: 0, nextDueAt: null })
    expect(await store.commit(paused(store, { ...fence, then: 'keep' }))).toEqual({ ok: false, because: 'stale-lease' })
  })

  test('a stale token writes nothing (S2)', async () => {
    const { store } = use()
    const job = await claimed(store)
    await store.reclaim({ now: 1_000, deadWorkers: [] })
    const writeStale = async () => {
      for (const then of ['keep', 'done'] as const) {
        expect(await store.commit(paused(store, { jobId: job.id, token: job.token, then }))).toEqual({
          ok: false,
          because: 'stale-lease',
        })
      }
    }
    await writeStale()
    const again = await store.claim({ worker: 'w2', now: 1_001, leaseMs: 100 })
    expect(again?.token).toBeGreaterThan(job.token)
    await writeStale()
    expect(store.lastSeq()).toBe(1)
    expect(store.jobSummary().running).toBe(1)
  })

  test('a commit refused for its version leaves the job running', async () => {
    const { store } = use()
    const job = await claimed(store)
    const late = paused(store, { jobId: job.id, token: job.token, then: 'done' })
    await store.commit(taskCommit(store, 'A-1', { events: [{ type: 'task.resumed', data: {} }] }))
    expect(await store.commit(late)).toEqual({ ok: false, because: 'conflict' })
    expect(store.jobSummary().running).toBe(1)
    expect(await store.renew({ jobId: job.id, token: job.token, now: 20, leaseMs: 100 })).toBe(true)
  })

  test('supersede cancels the unclaimed step jobs of earlier epochs of that task, and nothing else', async () => {
    const { store } = use()
    await claimed(store)
    const effects = [
      queued(runEffect('A-1', 1)),
      queued({ kind: 'judge', task: 'A-1', epoch: 1 }, { runAt: 9_000 }),
      queued({ kind: 'clean', task: 'A-1', keepBranch: false }),
      queued(runEffect('A-1', 2)),
      queued(runEffect('A-2', 1)),
    ]
    await store.commit(commitOf({ effects }))
    await store.commit(
      commitOf({ supersede: { task: 'A-1', epoch: 2 }, effects: [queued({ kind: 'publish', task: 'A-1', epoch: 2 })] }),
    )
    expect(store.jobsOf('A-1').map((job) => [job.kind, job.state, job.epoch])).toEqual([
      ['run', 'running', 1],
      ['clean', 'queued', null],
      ['run', 'queued', 2],
      ['publish', 'queued', 2],
    ])
    expect(store.jobsOf('A-2')).toHaveLength(1)
  })
}

function listContract(use: UseStore): void {
  const end = (store: Store, id: string, at: number) =>
    store.commit(taskCommit(store, id, { events: [{ type: 'task.cancelled', data: { by: 'ada' } }], parts: { at } }))

  test('open ones oldest first, then ended ones newest first; filters, limit and counts', async () => {
    const { store } = use()
    for (const [n, id] of ['A-1', 'A-2', 'B-1', 'A-3', 'A-4'].entries()) await open(store, id, {}, { at: 100 + n })
    await open(store, 'A-5', { openDeps: ['A-4'] }, { at: 50 })
    await end(store, 'A-2', 200)
    await end(store, 'A-1', 300)
    const ids = (filter: Parameters<Store['listTasks']>[0]) => store.listTasks(filter).map((line) => line.id)
    expect(ids({})).toEqual(['A-5', 'B-1', 'A-3', 'A-4', 'A-1', 'A-2'])
    expect(ids({ limit: 5 })).toEqual(['A-5', 'B-1', 'A-3', 'A-4', 'A-1'])
    expect(ids({ project: 'A', statuses: ['queued', 'cancelled'] })).toEqual(['A-3', 'A-4', 'A-1', 'A-2'])
    expect(ids({ statuses: ['blocked'] })).toEqual(['A-5'])
    expect(ids({ project: 'none' })).toEqual([])
    const none = { running: 0, waiting: 0, needs_review: 0, done: 0 }
    expect(store.countTasks()).toEqual({ ...none, queued: 3, blocked: 1, cancelled: 2 })
    expect(store.countTasks('B')).toEqual({ ...none, queued: 1, blocked: 0, cancelled: 0 })
  })

  test('a line says what its task says', async () => {
    const { store } = use()
    await open(store, 'A-1', { priority: 2 })
    const held = { type: 'task.held' as const, data: { reason: { code: 'base-red', text: 'red' }, step: null } }
    await store.commit(
      taskCommit(store, 'A-1', { events: [held, { type: 'task.paused', data: {} }], parts: { at: 2_000 } }),
    )
    expect(store.listTasks({})).toEqual([
      {
        id: 'A-1',
        project: 'A',
        title: 'title of A-1',
        pipeline: 'direct',
        stage: 'develop',
        status: 'needs_review',
        waitingFor: null,
        waitingUntil: null,
        reasonCode: 'base-red',
        paused: true,
        priority: 2,
        attempt: 1,
        agent: null,
        runId: null,
        costUsd: 0,
        createdAt: 1_000,
        updatedAt: 2_000,
        since: 2_000,
      },
    ])
  })

  test('dependants are open tasks that still wait for it', async () => {
    const { store } = use()
    await open(store, 'A-1')
    await open(store, 'A-2', { openDeps: ['A-1'] })
    await open(store, 'A-3', { openDeps: ['A-1', 'A-2'] })
    expect(store.dependantsOf('A-1')).toEqual(['A-2', 'A-3'])
    await store.commit(
      taskCommit(store, 'A-2', { events: [{ type: 'task.unblocked', data: { dependencies: ['A-1'] } }] }),
    )
    expect(store.dependantsOf('A-1')).toEqual(['A-3'])
    await end(store, 'A-3', 5)
    expect([store.dependantsOf('A-1'), store.dependantsOf('A-2')]).toEqual([[], []])
  })
}

function journalContract(use: UseStore): void {
  test('entries come back as they were written, oldest first, by task and from a place on', async () => {
    const { store } = use()
    await open(
      store,
      'A-1',
      {},
      { at: 7, cause: 'command:task-add', correlation: 'c-9', actor: { kind: 'person', name: 'ada' } },
    )
    const entered = {
      id: 'A',
      body: {
        stream: 'repository' as const,
        event: { type: 'train.entered' as const, data: { task: 'A-1', epoch: 1, sha: 's' } },
      },
    }
    await store.commit(
      taskCommit(store, 'A-1', { events: [{ type: 'task.paused', data: {} }], parts: { events: [entered] } }),
    )
    expect(store.listEvents({ limit: 1 })).toEqual([
      {
        seq: 1,
        at: 7,
        stream: 'task',
        id: 'A-1',
        task: 'A-1',
        type: 'task.opened',
        v: 1,
        cause: 'command:task-add',
        correlation: 'c-9',
        actor: { kind: 'person', name: 'ada' },
        data: openedEvent('A-1').data,
      },
    ])
    expect(store.listEvents({ after: 1 }).map((entry) => [entry.seq, entry.stream, entry.type, entry.task])).toEqual([
      [2, 'task', 'task.paused', 'A-1'],
      [3, 'repository', 'train.entered', null],
    ])
    expect(store.listEvents({ task: 'A-1', after: 1 }).map((entry) => entry.seq)).toEqual([2])
    expect(store.lastSeq()).toBe(3)
  })
}

function foldContract(use: UseStore): void {
  test('rows equal the fold of their events (S17)', async () => {
    const { store } = use()
    await open(store, 'A-1', { openDeps: ['A-0'] })
    await store.commit(
      taskCommit(store, 'A-1', {
        events: [{ type: 'task.edited', data: { title: 'other', priority: 3 } }],
        parts: { at: 2_000 },
      }),
    )
    const step = {
      type: 'step.queued' as const,
      data: { step: { kind: 'run' as const, stage: 'develop' }, epoch: 2, why: 'start' },
    }
    await store.commit(
      taskCommit(store, 'A-1', {
        events: [{ type: 'task.unblocked', data: { dependencies: ['A-0'] } }, step],
        parts: { at: 3_000 },
      }),
    )
    const charged = {
      id: 'claude',
      body: { stream: 'account' as const, event: { type: 'account.charged' as const, data: { costUsd: 0.5 } } },
    }
    const account = { id: 'claude', limitedUntil: null, limitReason: null, spentUsd: 0.5, runs: 1 }
    await store.commit(
      commitOf({ events: [charged], aggregates: [{ kind: 'account', id: 'claude', expected: 0, state: account }] }),
    )
    expect(rowMismatches(store)).toEqual([])
    await store.commit(
      commitOf({ aggregates: [{ kind: 'account', id: 'claude', expected: 1, state: { ...account, spentUsd: 9 } }] }),
    )
    expect(rowMismatches(store)).toHaveLength(1)
  })

  test('the data version moves with the commits of others and not with its own', async () => {
    const { store, another } = use()
    const before = store.dataVersion()
    await open(store, 'A-1')
    expect(store.dataVersion()).toBe(before)
    const other = await another()
    await open(other, 'A-2')
    expect(store.dataVersion()).not.toBe(before)
    expect(store.getTask('A-2')?.version).toBe(1)
  })
}

function healthContract(use: UseStore): void {
  test('a sound store is of the version that this program knows, and has nothing to complain of', async () => {
    const { store, another } = use()
    await open(store, 'A-1')
    const before = store.dataVersion()
    for (const one of [store, await another()]) {
      const { version, knownVersion, bytes, looked, ...health } = one.health()
      expect(version).toBe(knownVersion)
      expect(bytes).toBeGreaterThan(0)
      expect(looked).not.toBe('')
      expect(health).toMatchObject({ damage: [], dangling: [], settings: [] })
    }
    expect(store.dataVersion()).toBe(before)
  })
}
