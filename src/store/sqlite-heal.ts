// Rows in a state that no code path leads to: found, mended and counted. They come from a fault of Orch, of the disk, or
// from somebody's own SQL; left alone, one such row can hold up a whole lane for ever (S3, L2).

import { type Sql, type Write, keep } from './sql.ts'
import { refreshHead } from './sqlite-lanes.ts'
import type { Healed, Store } from './store.ts'

export function makeHeal(sql: Sql, write: Write): Pick<Store, 'heal'> {
  return {
    heal: async ({ now }) => {
      // A look without the lock, at indexes that are empty on a healthy day.
      const tasks = sql.all<{ id: string }>(IMPOSSIBLE_TASKS).map((row) => row.id)
      const isWell = tasks.length === 0 && sql.get(IMPOSSIBLE_JOB) === undefined && wrongLanes(sql).length === 0
      if (isWell) return { mended: [], tasks: [] }
      return write('durable', () => keep({ mended: mend(sql, now), tasks }))
    },
  }
}

function mend(sql: Sql, now: number): { what: Healed; n: number }[] {
  const found: { what: Healed; n: number }[] = [
    { what: 'impossible-job', n: sql.run(MEND_JOBS).changes },
    { what: 'lane', n: mendLanes(sql) },
    { what: 'impossible-task', n: sql.all(IMPOSSIBLE_TASKS).length },
  ]
  const mended = found.filter(({ n }) => n > 0)
  for (const { what, n } of mended) sql.run(COUNT, what, n, now)
  return mended
}

/** Lanes whose count is not that of their running jobs, or whose head is not their first ready one. */
function wrongLanes(sql: Sql): { key: string; running: number }[] {
  const counts = new Map(sql.all<{ lane: string; n: number }>(RUNNING).map((row) => [row.lane, row.n]))
  return sql
    .all<{ key: string; running: number; headId: number | null; firstId: number | null }>(LANES)
    .filter(({ key, running, headId, firstId }) => running !== (counts.get(key) ?? 0) || headId !== firstId)
    .map(({ key }) => ({ key, running: counts.get(key) ?? 0 }))
}

function mendLanes(sql: Sql): number {
  const wrong = wrongLanes(sql)
  for (const { key, running } of wrong) {
    sql.run('UPDATE lanes SET running = ? WHERE key = ?', running, key)
    refreshHead(sql, key)
  }
  return wrong.length
}

const IMPOSSIBLE_TASKS = `
SELECT id FROM tasks INDEXED BY tasks_impossible WHERE status = 'queued' AND run_id IS NOT NULL ORDER BY id`

const IMPOSSIBLE_JOB = `SELECT 1 FROM jobs INDEXED BY jobs_impossible WHERE state <> 'running' AND worker IS NOT NULL`

const MEND_JOBS = `UPDATE jobs SET worker = NULL, lease_until = NULL WHERE state <> 'running' AND worker IS NOT NULL`

const RUNNING = `SELECT lane, count(*) AS n FROM jobs INDEXED BY jobs_leased WHERE state = 'running' GROUP BY lane`

const LANES = `
SELECT key, running, head_id AS headId,
  (SELECT id FROM jobs INDEXED BY jobs_in_lane WHERE lane = lanes.key AND in_lane = 1 AND state = 'queued' ORDER BY rank, id LIMIT 1) AS firstId
FROM lanes`

const COUNT = `
INSERT INTO healed (what, n, last_at) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n, last_at = excluded.last_at`
