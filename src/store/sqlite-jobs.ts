// The queue on SQLite: claims, leases and their ends.
// Invariant: a job is written by its worker only while it is `running` with that worker's token (S2), and tokens only grow.
// A job that fails again and again, or takes its workers along, is parked: it takes no place and waits for a person (L2).

import type { Effect, QueuedEffect } from '../core/messages.ts'
import { type Sql, type Write, keep } from './sql.ts'
import { becameReady, gaveBack, headTaken, offer, refreshHead } from './sqlite-lanes.ts'
import type { Job, Store } from './store.ts'

/** Due jobs made ready by one claim: bounds how long it holds the lock. More of them wait for the next claim. */
const PROMOTED_AT_ONCE = 100

/** Workers that may die with one job under suspicion: a host that runs out of memory kills some that were not at fault. */
const MOST_DEATHS = 8
/** From its third dead worker on a job waits before it may take the next one, so that others get on (L2). */
const FREE_DEATHS = 2
const DEATH_PAUSE = { baseMs: 1_000, maxMs: 60_000 } as const
/** Longer than a third of a lease, after which a worker renews what it has. */
const SPACING_MS = 15_000
/**
 * Taken from the rank of what is under way and was put back: its agent may still be at work, so nothing that came
 * meanwhile may take its place in a full lane. Far more than any rank, which is a time in ms.
 */
const UNDER_WAY = 1e15

export type JobWrites = Pick<
  Store,
  'claim' | 'renew' | 'release' | 'finish' | 'park' | 'unpark' | 'reclaim' | 'leaseHolders'
>

export function makeJobs(sql: Sql, write: Write): JobWrites {
  let foundOne = false
  return {
    claim: async (options) => {
      // A look without the lock: idle workers must not stand in the way of those that write. Where there was one job
      // there are often more, so the look is left out then.
      if (!foundOne && sql.get(PEEK, options.now) === undefined) return null
      const job = await write('ordered', () => {
        promoteDue(sql, options.now)
        return keep(takeBest(sql, options))
      })
      foundOne = job !== null
      return job
    },
    renew: ({ jobId, token, now, leaseMs }) =>
      write('ordered', () => keep(sql.run(RENEW, now + leaseMs, jobId, token).changes === 1)),
    release: ({ jobId, token, runAt, failed }) =>
      write('ordered', () => {
        const job = sql.get<{ lane: string }>(RELEASE, runAt, failed ?? null, jobId, token)
        if (job) gaveBack(sql, job.lane)
        return keep(job !== undefined)
      }),
    park: ({ jobId, token, error }) =>
      write('ordered', () => {
        const job = sql.get<{ lane: string }>(PARK, error, jobId, token)
        if (job) gaveBack(sql, job.lane)
        return keep(job !== undefined)
      }),
    // Like a release: the next claim, which knows the time, makes them ready.
    unpark: (task) => write('durable', () => keep(sql.all<{ id: number }>(UNPARK, task).map((job) => job.id))),
    finish: ({ jobId, token, error }) =>
      write('ordered', () => keep(endJob(sql, { jobId, token, error: error ?? null }))),
    reclaim: (options) => write('ordered', () => keep(putBack(sql, options))),
    leaseHolders: () => sql.all<{ worker: string }>(HOLDERS).map((row) => row.worker),
  }
}

/** Inside a transaction: adds a job to its lane; gives its id. Not before `runAt` it is `delayed`. */
export function insertJob(sql: Sql, queued: QueuedEffect, now: number): number {
  const { effect, lane, laneCapacity, rank, runAt } = queued
  const isReady = runAt <= now
  const epoch = 'epoch' in effect ? effect.epoch : null
  const { id } = sql.run(
    INSERT_JOB,
    effect.kind,
    effect.task,
    epoch,
    JSON.stringify(effect),
    lane,
    rank,
    runAt,
    isReady ? 'queued' : 'delayed',
    isReady ? 1 : 0,
  )
  offer(sql, { key: lane, capacity: laneCapacity }, isReady ? { rank, id } : null)
  return id
}

/** Inside a transaction: true while a job of this kind waits for its turn; it will see all that is so by then. */
export function hasWaiting(sql: Sql, job: { kind: Effect['kind']; task: string }): boolean {
  return sql.get(WAITING, job.task, job.kind) !== undefined
}

/** Inside a transaction: ends a running job and gives its lane back; false when the lease was lost. */
export function endJob(sql: Sql, job: { jobId: number; token: number; error: string | null }): boolean {
  const ended = sql.get<{ lane: string }>(FINISH, job.error, job.jobId, job.token)
  if (ended) gaveBack(sql, ended.lane)
  return ended !== undefined
}

/** Inside a transaction: true while the job runs with exactly this token. */
export function holdsLease(sql: Sql, job: { jobId: number; token: number }): boolean {
  return sql.get(HOLDS, job.jobId, job.token) !== undefined
}

/** Inside a transaction: cancels the task's unclaimed step jobs of earlier epochs. */
export function cancelSteps(sql: Sql, task: string, epoch: number): void {
  const lanes = new Set(sql.all<{ lane: string }>(CANCEL_STEPS, task, epoch).map((row) => row.lane))
  for (const lane of lanes) refreshHead(sql, lane)
}

function promoteDue(sql: Sql, now: number): void {
  for (const job of sql.all<{ id: number; lane: string; rank: number }>(DUE, now)) {
    sql.run(PROMOTE, job.id)
    becameReady(sql, job)
  }
}

function takeBest(sql: Sql, options: { worker: string; now: number; leaseMs: number }): Job | null {
  const job = sql.get<{ id: number; lane: string; effect: string; token: number; failures: number }>(BEST)
  if (!job) return null
  const leaseUntil = options.now + options.leaseMs
  sql.run(TAKE, options.worker, leaseUntil, job.id)
  headTaken(sql, job.lane)
  const effect = JSON.parse(job.effect) as Effect
  return { id: job.id, effect, lane: job.lane, token: job.token + 1, failures: job.failures, leaseUntil }
}

interface Lost {
  id: number
  kind: Effect['kind']
  lane: string
  rank: number
  failures: number
  renewed: number
  worker: string
}

function putBack(sql: Sql, options: { now: number; deadWorkers: string[] }): number[] {
  const lost = sql.all<Lost>(LOST, options.now, JSON.stringify(options.deadWorkers))
  for (const worker of new Set(lost.map((job) => job.worker))) {
    const held = lost.filter((job) => job.worker === worker)
    const suspects = suspectsOf(held)
    let pauses = 0
    for (const job of held) {
      const isSuspect = suspects.includes(job)
      const deaths = job.failures + (isSuspect ? 1 : 0)
      // One after the other, and far enough apart for each to be renewed before the next: so the culprit ends up alone.
      const pauseMs = isSuspect && deaths > FREE_DEATHS ? pauseOf(deaths) + pauses++ * SPACING_MS : 0
      const state = isSuspect && deaths >= MOST_DEATHS ? 'parked' : pauseMs > 0 ? 'delayed' : 'queued'
      giveBack(sql, job, { state, deaths, runAt: options.now + pauseMs })
    }
  }
  return lost.map((job) => job.id)
}

/**
 * Which of a dead worker's jobs may have killed it: those it had only just claimed. Where it had lived on with all of
 * them, any of them; but not a run, which is only watched.
 */
function suspectsOf(held: Lost[]): Lost[] {
  const fresh = held.filter((job) => job.renewed === 0)
  return fresh.length > 0 ? fresh : held.filter((job) => job.kind !== 'run')
}

function pauseOf(deaths: number): number {
  return Math.min(DEATH_PAUSE.baseMs * 2 ** (deaths - FREE_DEATHS - 1), DEATH_PAUSE.maxMs)
}

function giveBack(
  sql: Sql,
  job: Lost,
  to: { state: 'queued' | 'delayed' | 'parked'; deaths: number; runAt: number },
): void {
  const { state, deaths, runAt } = to
  const error = `its worker died, or fell silent, ${deaths} time${deaths === 1 ? '' : 's'} while it had this job`
  const rank = sql.get<{ rank: number }>(PUT_BACK, state, deaths, runAt, deaths === 0 ? null : error, job.id)?.rank
  gaveBack(sql, job.lane)
  if (state === 'queued' && rank !== undefined) becameReady(sql, { ...job, rank })
}

export const BEST = `
SELECT jobs.id, lane, effect, token, failures FROM lanes INDEXED BY lanes_open CROSS JOIN jobs ON jobs.id = head_id
WHERE running < capacity AND head_id IS NOT NULL ORDER BY head_rank, head_id LIMIT 1`

// The limit is written out: one that is bound has SQLite plan the statement anew each time, 7 µs.
export const DUE = `
SELECT id, lane, rank FROM jobs INDEXED BY jobs_due WHERE state = 'delayed' AND run_at <= ? ORDER BY run_at LIMIT ${PROMOTED_AT_ONCE}`

export const PEEK = `
SELECT 1 FROM lanes INDEXED BY lanes_open WHERE running < capacity AND head_id IS NOT NULL
UNION ALL SELECT 1 FROM jobs INDEXED BY jobs_due WHERE state = 'delayed' AND run_at <= ? LIMIT 1`

export const LOST = `
SELECT id, kind, lane, rank, failures, renewed, worker FROM jobs INDEXED BY jobs_leased
WHERE state = 'running' AND (lease_until <= ? OR worker IN (SELECT value FROM json_each(?))) ORDER BY id`

export const INSERT_JOB = `
INSERT INTO jobs (kind, task, epoch, effect, lane, rank, run_at, state, in_lane) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`

const PROMOTE = `UPDATE jobs SET state = 'queued', in_lane = 1 WHERE id = ?`

const TAKE = `
UPDATE jobs SET state = 'running', token = token + 1, renewed = 0, worker = ?, lease_until = ? WHERE id = ?`

/** Once: put back again and again it keeps its place among its like. */
const AHEAD = `iif(rank > ${-UNDER_WAY / 2}, rank - ${UNDER_WAY}, rank)`

const PUT_BACK = `
UPDATE jobs SET state = ?1, in_lane = (?1 = 'queued'), failures = ?2, worker = NULL, lease_until = NULL, run_at = max(run_at, ?3),
  error = coalesce(?4, error),
  rank = ${AHEAD}
WHERE id = ?5 RETURNING rank`

const WAITING = `
SELECT 1 FROM jobs INDEXED BY jobs_live WHERE task = ? AND is_live = 1 AND kind = ? AND state IN ('queued', 'delayed')`

const HOLDS = `SELECT 1 FROM jobs WHERE id = ? AND token = ? AND state = 'running'`

const RENEW = `UPDATE jobs SET lease_until = ?, renewed = 1 WHERE id = ? AND token = ? AND state = 'running'`

// A job put back is `delayed` even when it is due at once: the next claim, which knows the time, makes it ready.
const RELEASE = `
UPDATE jobs SET state = 'delayed', in_lane = 0, run_at = ?1, failures = failures + (?2 IS NOT NULL), error = coalesce(?2, error),
  rank = iif(?2 IS NULL, ${AHEAD}, rank), worker = NULL, lease_until = NULL
WHERE id = ?3 AND token = ?4 AND state = 'running' RETURNING lane`

const PARK = `
UPDATE jobs SET state = 'parked', in_lane = 0, failures = failures + 1, error = ?, worker = NULL, lease_until = NULL
WHERE id = ? AND token = ? AND state = 'running' RETURNING lane`

const UNPARK = `UPDATE jobs SET state = 'delayed', failures = 0, run_at = 0 WHERE task = ? AND is_live = 1 AND state = 'parked' RETURNING id`

const FINISH = `
UPDATE jobs SET state = 'done', in_lane = 0, is_live = 0, worker = NULL, lease_until = NULL, error = ?
WHERE id = ? AND token = ? AND state = 'running' RETURNING lane`

const CANCEL_STEPS = `
UPDATE jobs SET state = 'cancelled', in_lane = 0, is_live = 0
WHERE task = ? AND is_live = 1 AND state IN ('queued', 'delayed', 'parked') AND kind IN ('run', 'judge', 'publish', 'await', 'land') AND epoch < ?
RETURNING lane`

const HOLDERS = `SELECT DISTINCT worker FROM jobs INDEXED BY jobs_leased WHERE state = 'running' ORDER BY worker`
