import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { commitOf, queued } from './__fixtures__/commits.ts'
import { connect } from './sql-connection.ts'
import type { Sql } from './sql.ts'
import { BEST, DUE, LOST, PEEK } from './sqlite-jobs.ts'
import { TAKE_HEAD } from './sqlite-lanes.ts'
import { listKeysText } from './sqlite-queries.ts'
import { WITHOUT_JOB, WITH_ENDED_DEPENDENCY } from './sqlite-queue-queries.ts'
import { makeStore } from './sqlite.ts'
import type { Job, Store } from './store.ts'

let dir: string
let sql: Sql
let store: Store
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'orch-jobs-'))
  sql = await connect(join(dir, 'orch.db'))
  store = makeStore(sql)
})
afterEach(() => {
  store.close()
  rmSync(dir, { recursive: true, force: true })
})

type Op =
  | {
      op: 'add'
      task: number
      epoch: number
      lane: number
      capacity: number
      rank: number
      runAt: number
      light: boolean
    }
  | { op: 'supersede'; task: number; epoch: number }
  | { op: 'claim' | 'tick'; by: number }
  | { op: 'renew' | 'release' | 'finish' | 'commit-done' | 'refused'; job: number; stale: boolean }
  | { op: 'reclaim'; dead: number }

const small = (max: number) => fc.integer({ min: 0, max })
const anyOp: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('add' as const),
      task: small(3),
      epoch: small(3),
      lane: small(1),
      capacity: small(3),
      rank: small(5),
      runAt: small(40),
      light: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('supersede' as const), task: small(3), epoch: small(4) }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constantFrom('claim' as const, 'tick' as const), by: small(12) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constantFrom(
        'renew' as const,
        'release' as const,
        'finish' as const,
        'commit-done' as const,
        'refused' as const,
      ),
      job: small(20),
      stale: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('reclaim' as const), dead: small(3) }) },
)

interface Scene {
  now: number
  claimed: Job[]
}

async function apply(op: Op, scene: Scene): Promise<void> {
  switch (op.op) {
    case 'add': {
      const task = `A-${op.task}`
      const effect = op.light
        ? ({ kind: 'clean', task, keepBranch: true } as const)
        : ({ kind: 'run', task, epoch: op.epoch } as const)
      const job = queued(effect, { lane: `lane-${op.lane}`, laneCapacity: op.capacity, rank: op.rank, runAt: op.runAt })
      await store.commit(commitOf({ at: scene.now, effects: [job] }))
      return
    }
    case 'supersede':
      await store.commit(commitOf({ at: scene.now, supersede: { task: `A-${op.task}`, epoch: op.epoch } }))
      return
    case 'claim': {
      const job = await store.claim({ worker: `w-${op.by % 3}`, now: scene.now, leaseMs: 20 })
      if (job) scene.claimed.push(job)
      return
    }
    case 'tick':
      scene.now += op.by
      return
    case 'reclaim':
      await store.reclaim({ now: scene.now, deadWorkers: [`w-${op.dead}`] })
      return
    default:
      await applyToClaimed(op, scene)
  }
}

async function applyToClaimed(op: Extract<Op, { job: number }>, scene: Scene): Promise<void> {
  const job = scene.claimed[op.job % Math.max(1, scene.claimed.length)]
  if (!job) return
  const lease = { jobId: job.id, token: op.stale ? job.token - 1 : job.token }
  if (op.op === 'renew') await store.renew({ ...lease, now: scene.now, leaseMs: 20 })
  if (op.op === 'release') await store.release({ ...lease, runAt: scene.now + 3 })
  if (op.op === 'finish') await store.finish(lease)
  if (op.op === 'commit-done') await store.commit(commitOf({ fence: { ...lease, then: 'done' } }))
  if (op.op === 'refused') {
    const account = { id: 'x', limitedUntil: null, limitReason: null, spentUsd: 0, runs: 0 }
    const aggregates = [{ kind: 'account' as const, id: 'x', expected: 5, state: account }]
    expect(await store.commit(commitOf({ fence: { ...lease, then: 'done' }, aggregates }))).toMatchObject({ ok: false })
  }
}

/** What the counters of every lane should be, from the jobs alone. */
const TRUTH = `
SELECT key, (SELECT count(*) FROM jobs WHERE lane = key AND state = 'running') AS running,
  (SELECT id FROM jobs WHERE lane = key AND state = 'queued' ORDER BY rank, id LIMIT 1) AS head_id,
  (SELECT rank FROM jobs WHERE lane = key AND state = 'queued' ORDER BY rank, id LIMIT 1) AS head_rank
FROM lanes ORDER BY key`

test('after any operations the lanes know what the jobs say', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyOp, { minLength: 5, maxLength: 60 }), async (ops) => {
      sql.exec('DELETE FROM jobs; DELETE FROM lanes')
      const scene: Scene = { now: 10, claimed: [] }
      for (const op of ops) {
        await apply(op, scene)
        expect(sql.all('SELECT key, running, head_id, head_rank FROM lanes ORDER BY key')).toEqual(sql.all(TRUTH))
      }
    }),
    { numRuns: 150 },
  )
})

test('L2: lanes that say something else than their jobs are mended', async () => {
  for (const [rank, task] of ['A-1', 'A-2', 'A-3'].entries())
    await store.commit(commitOf({ effects: [queued({ kind: 'run', task, epoch: 1 }, { lane: 'x', rank })] }))
  await store.claim({ worker: 'w', now: 10, leaseMs: 20 })
  sql.exec('UPDATE lanes SET running = 2, head_id = NULL, head_rank = NULL')
  expect(await store.heal({ now: 20 })).toMatchObject({ mended: [{ what: 'lane', n: 1 }] })
  expect(sql.all('SELECT key, running, head_id, head_rank FROM lanes ORDER BY key')).toEqual(sql.all(TRUTH))
  expect(await store.heal({ now: 30 })).toMatchObject({ mended: [] })
})

test('a claim gives the best job of the open lanes, whatever came before', { timeout: 60_000 }, async () => {
  const best = `
SELECT id FROM jobs JOIN lanes ON lane = key WHERE running < capacity
  AND (state = 'queued' OR (state = 'delayed' AND run_at <= ?)) ORDER BY rank, id LIMIT 1`
  await fc.assert(
    fc.asyncProperty(fc.array(anyOp, { minLength: 5, maxLength: 60 }), async (ops) => {
      sql.exec('DELETE FROM jobs; DELETE FROM lanes')
      const scene: Scene = { now: 10, claimed: [] }
      for (const op of ops) await apply(op, scene)
      const expected = sql.get<{ id: number }>(best, scene.now)
      expect((await store.claim({ worker: 'w', now: scene.now, leaseMs: 1 }))?.id).toBe(expected?.id)
    }),
    { numRuns: 150 },
  )
})

test('the queue reads through its partial indexes: no scan of jobs, no sorting', () => {
  const plan = (text: string): string[] =>
    sql.all<{ detail: string }>(`EXPLAIN QUERY PLAN ${text}`).map((row) => row.detail)
  expect(plan(BEST)).toEqual(['SCAN lanes USING INDEX lanes_open', 'SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)'])
  expect(plan(DUE)).toEqual(['SEARCH jobs USING INDEX jobs_due (run_at<?)'])
  expect(plan(PEEK).filter((line) => /^(SCAN|SEARCH) (lanes|jobs)/.test(line))).toEqual([
    'SCAN lanes USING INDEX lanes_open',
    'SEARCH jobs USING COVERING INDEX jobs_due (run_at<?)',
  ])
  // It goes on behind the head, and reads the row of each job that it meets: of those that run there.
  expect(plan(TAKE_HEAD)).toContain('SEARCH jobs USING INDEX jobs_in_lane (lane=? AND rank>?)')
  // The index holds running jobs only, which the lanes' capacities bound.
  expect(plan(LOST)[0]).toMatch(/^(SCAN|SEARCH) jobs USING INDEX jobs_leased/)
  for (const text of [BEST, DUE, PEEK, TAKE_HEAD]) expect(plan(text).join()).not.toContain('TEMP B-TREE')
})

test('a worker that finds nothing leaves the lock to those that write, from its second look on', async () => {
  let locked = 0
  const watched = makeStore({
    ...sql,
    run: (text, ...values) => {
      if (text === 'BEGIN IMMEDIATE') locked++
      return sql.run(text, ...values)
    },
  })
  const claim = async () => {
    locked = 0
    const job = await watched.claim({ worker: 'w', now: 10, leaseMs: 1 })
    return [job?.effect.task ?? null, locked]
  }
  expect(await claim()).toEqual([null, 0])
  for (const task of ['A-1', 'A-2'])
    await store.commit(commitOf({ at: 1, effects: [queued({ kind: 'run', task, epoch: 1 })] }))
  expect([await claim(), await claim(), await claim(), await claim()]).toEqual([
    ['A-1', 1],
    ['A-2', 1],
    [null, 1],
    [null, 0],
  ])
})

test('what should have moved is looked for through indexes alone', () => {
  const plan = (text: string): string =>
    sql
      .all<{ detail: string }>(`EXPLAIN QUERY PLAN ${text}`)
      .map((row) => row.detail)
      .join('\n')
  // Of jobs it walks only those that are parked.
  expect(plan(WITHOUT_JOB).match(/^SCAN.*/gm)).toEqual(['SCAN jobs USING COVERING INDEX jobs_parked'])
  expect(plan(WITHOUT_JOB)).toContain('SEARCH jobs USING COVERING INDEX jobs_live (task=? AND epoch>?)')
  // Only rows of tasks that wait for others.
  expect(plan(WITH_ENDED_DEPENDENCY)).toMatch(/^SCAN waits/)
})

test('lists walk a covering index in its order', () => {
  for (const order of ['ASC', 'DESC'] as const) {
    for (const byProject of [true, false]) {
      const plan = sql.all<{ detail: string }>(`EXPLAIN QUERY PLAN ${listKeysText({ order, byProject })}`)
      expect(plan.map((row) => row.detail)).toEqual(['SEARCH tasks USING COVERING INDEX tasks_listed (status=?)'])
    }
  }
})

test('a queued job has no worker and no lease (S3)', async () => {
  await store.commit(commitOf({ effects: [queued({ kind: 'run', task: 'A-1', epoch: 1 })] }))
  for (const change of ["worker = 'w'", 'lease_until = 5', "worker = 'w', lease_until = 5"]) {
    expect(() => sql.exec(`UPDATE jobs SET ${change}`)).toThrow(/CHECK/)
  }
  expect(() => sql.exec("UPDATE jobs SET state = 'running'")).toThrow(/CHECK/)
})

test('a commit is on the disk when it is answered; a claim need not be', async () => {
  const asked: string[] = []
  const watched = makeStore({ ...sql, exec: (text) => (asked.push(text), sql.exec(text)) })
  await watched.commit(commitOf({ effects: [queued({ kind: 'run', task: 'A-1', epoch: 1 })] }))
  expect(asked).toEqual([])
  await watched.claim({ worker: 'w', now: 1, leaseMs: 1 })
  expect(asked).toEqual(['PRAGMA synchronous = NORMAL', 'PRAGMA synchronous = FULL'])
})

test('a commit after a claim is as durable as before it', async () => {
  await store.commit(commitOf({ effects: [queued({ kind: 'run', task: 'A-1', epoch: 1 })] }))
  await store.claim({ worker: 'w', now: 1, leaseMs: 1 })
  expect(sql.get('PRAGMA synchronous')).toEqual({ synchronous: 2 })
  await expect(
    store.commit(commitOf({ intents: [{ op: 'open', kind: 'merge', task: 'none', key: 'k', data: {} }] })),
  ).rejects.toThrow(/FOREIGN KEY/)
  expect(sql.inTransaction()).toBe(false)
})
