// The queue on SQLite: claims, leases and their ends.
// Invariant: a job is written by its worker only while it is `running` with that worker's token (S2), and tokens only grow.

import type { Effect, QueuedEffect } from '../core/messages.ts'
import { type Sql, type Write, keep } from './sql.ts'
import { becameReady, gaveBack, headTaken, offer, refreshHead } from './sqlite-lanes.ts'
import type { Job, Store } from './store.ts'

/** Due jobs made ready by one claim: bounds how long it holds the lock. More of them wait for the next claim. */
const PROMOTED_AT_ONCE = 100

export type JobWrites = Pick<Store, 'claim' | 'renew' | 'release' | 'finish' | 'reclaim' | 'leaseHolders'>

export function makeJobs(sql: Sql, write: Write): JobWrites {
  return {
    claim: async (options) => {
      // A look without the lock: idle workers must not stand in the way of those that write.
      const seen = sql.get<{ isOpen: number; isDue: number }>(PEEK, options.now)
      if (!seen?.isOpen && !seen?.isDue) return null
      return write('ordered', () => {
        if (seen.isDue) promoteDue(sql, options.now)
        return keep(takeBest(sql, options))
      })
    },
    renew: ({ jobId, token, now, leaseMs }) =>
      write('ordered', () => keep(sql.run(RENEW, now + leaseMs, jobId, token).changes === 1)),
    release: ({ jobId, token, runAt }) =>
      write('ordered', () => {
        const job = sql.get<{ lane: string }>(RELEASE, runAt, jobId, token)
        if (job) gaveBack(sql, job.lane)
        return keep(job !== undefined)
      }),
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
  )
  offer(sql, { key: lane, capacity: laneCapacity }, isReady ? { rank, id } : null)
  return id
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
  for (const job of sql.all<{ id: number; lane: string; rank: number }>(DUE, now, PROMOTED_AT_ONCE)) {
    sql.run(PROMOTE, job.id)
    becameReady(sql, job)
  }
}

function takeBest(sql: Sql, options: { worker: string; now: number; leaseMs: number }): Job | null {
  const job = sql.get<{ id: number; lane: string; effect: string; token: number; claims: number }>(BEST)
  if (!job) return null
  const leaseUntil = options.now + options.leaseMs
  sql.run(TAKE, options.worker, leaseUntil, job.id)
  headTaken(sql, job.lane)
  const effect = JSON.parse(job.effect) as Effect
  return { id: job.id, effect, lane: job.lane, token: job.token + 1, claims: job.claims + 1, leaseUntil }
}

function putBack(sql: Sql, options: { now: number; deadWorkers: string[] }): number[] {
  const lost = sql.all<{ id: number; lane: string; rank: number }>(
    LOST,
    options.now,
    JSON.stringify(options.deadWorkers),
  )
  for (const job of lost) {
    sql.run(PUT_BACK, job.id)
    gaveBack(sql, job.lane)
    becameReady(sql, job)
  }
  return lost.map((job) => job.id)
}

export const BEST = `
SELECT jobs.id, lane, effect, token, claims FROM lanes INDEXED BY lanes_open CROSS JOIN jobs ON jobs.id = head_id
WHERE running < capacity AND head_id IS NOT NULL ORDER BY head_rank, head_id LIMIT 1`

export const DUE = `
SELECT id, lane, rank FROM jobs INDEXED BY jobs_due WHERE state = 'delayed' AND run_at <= ? ORDER BY run_at LIMIT ?`

export const PEEK = `
SELECT EXISTS (SELECT 1 FROM lanes INDEXED BY lanes_open WHERE running < capacity AND head_id IS NOT NULL) AS isOpen,
  EXISTS (SELECT 1 FROM jobs INDEXED BY jobs_due WHERE state = 'delayed' AND run_at <= ?) AS isDue`

export const LOST = `
SELECT id, lane, rank FROM jobs INDEXED BY jobs_leased
WHERE state = 'running' AND (lease_until <= ? OR worker IN (SELECT value FROM json_each(?))) ORDER BY id`

export const INSERT_JOB = `
INSERT INTO jobs (kind, task, epoch, effect, lane, rank, run_at, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`

const PROMOTE = `UPDATE jobs SET state = 'queued' WHERE id = ?`

const TAKE = `
UPDATE jobs SET state = 'running', token = token + 1, claims = claims + 1, worker = ?, lease_until = ? WHERE id = ?`

const PUT_BACK = `UPDATE jobs SET state = 'queued', worker = NULL, lease_until = NULL WHERE id = ?`

const HOLDS = `SELECT 1 FROM jobs WHERE id = ? AND token = ? AND state = 'running'`

const RENEW = `UPDATE jobs SET lease_until = ? WHERE id = ? AND token = ? AND state = 'running'`

// A job put back is `delayed` even when it is due at once: the next claim, which knows the time, makes it ready.
const RELEASE = `
UPDATE jobs SET state = 'delayed', run_at = ?, worker = NULL, lease_until = NULL
WHERE id = ? AND token = ? AND state = 'running' RETURNING lane`

const FINISH = `
UPDATE jobs SET state = 'done', is_live = 0, worker = NULL, lease_until = NULL, error = ?
WHERE id = ? AND token = ? AND state = 'running' RETURNING lane`

const CANCEL_STEPS = `
UPDATE jobs SET state = 'cancelled', is_live = 0
WHERE task = ? AND is_live = 1 AND state IN ('queued', 'delayed') AND kind IN ('run', 'judge', 'publish', 'land') AND epoch < ?
RETURNING lane`

const HOLDERS = `SELECT DISTINCT worker FROM jobs INDEXED BY jobs_leased WHERE state = 'running' ORDER BY worker`
