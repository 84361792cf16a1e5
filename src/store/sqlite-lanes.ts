// The lanes of the queue: how many jobs of each run, and which ready one comes first.
// Invariant: after each transaction `running` is the number of the lane's running jobs, and the head is its first
// queued job by (rank, id) or null. Everything that moves a job between states calls the matching function here.

import type { Sql } from './sql.ts'

/** A new job in its lane. The latest capacity wins. A job that is not ready yet passes no head. */
export function offer(
  sql: Sql,
  lane: { key: string; capacity: number },
  head: { rank: number; id: number } | null,
): void {
  if (head === null) sql.run(SET_CAPACITY, lane.key, lane.capacity)
  else sql.run(OFFER, lane.key, lane.capacity, head.rank, head.id)
}

/** A job of a known lane became ready. */
export function becameReady(sql: Sql, job: { lane: string; rank: number; id: number }): void {
  sql.run(RAISE_HEAD, job.rank, job.id, job.lane, job.rank, job.id)
}

/** The lane's head was claimed. */
export function headTaken(sql: Sql, lane: string): void {
  sql.run(TAKE_HEAD, lane)
}

/** A running job of the lane ended or was put back. */
export function gaveBack(sql: Sql, lane: string): void {
  sql.run(GIVE_BACK, lane)
}

/** Queued jobs of the lane went away without being claimed. */
export function refreshHead(sql: Sql, lane: string): void {
  sql.run(REFRESH_HEAD, lane)
}

// Nothing is written when nothing changes: a row written is two pages in the log, its own and that of `lanes_open`.
export const OFFER = `
INSERT INTO lanes (key, capacity, running, head_rank, head_id) VALUES (?, ?, 0, ?, ?)
ON CONFLICT (key) DO UPDATE SET
  capacity = excluded.capacity,
  head_rank = iif(head_id IS NULL OR (excluded.head_rank, excluded.head_id) < (head_rank, head_id), excluded.head_rank, head_rank),
  head_id = iif(head_id IS NULL OR (excluded.head_rank, excluded.head_id) < (head_rank, head_id), excluded.head_id, head_id)
WHERE capacity <> excluded.capacity OR head_id IS NULL OR (excluded.head_rank, excluded.head_id) < (head_rank, head_id)`

const SET_CAPACITY = `
INSERT INTO lanes (key, capacity, running) VALUES (?, ?, 0)
ON CONFLICT (key) DO UPDATE SET capacity = excluded.capacity WHERE capacity <> excluded.capacity`

const RAISE_HEAD = `
UPDATE lanes SET head_rank = ?, head_id = ? WHERE key = ? AND (head_id IS NULL OR (head_rank, head_id) > (?, ?))`

const FIRST = `SELECT rank, id FROM jobs INDEXED BY jobs_in_lane WHERE lane = lanes.key AND in_lane = 1 AND state = 'queued'`

// What stands before the head runs, and is not walked over again.
export const TAKE_HEAD = `
UPDATE lanes SET running = running + 1,
  (head_rank, head_id) = (${FIRST} AND (rank, id) > (lanes.head_rank, lanes.head_id) ORDER BY rank, id LIMIT 1)
WHERE key = ?`

const GIVE_BACK = `UPDATE lanes SET running = running - 1 WHERE key = ?`

const REFRESH_HEAD = `UPDATE lanes SET (head_rank, head_id) = (${FIRST} ORDER BY rank, id LIMIT 1) WHERE key = ?`
