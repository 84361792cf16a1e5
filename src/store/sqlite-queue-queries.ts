// The reads of the queue, and of what should have moved and did not. Each walks an index that holds little else.

import type { Sql } from './sql.ts'
import type { Healed, IntentRow, JobLine, ParkedJob, Queries } from './store.ts'

export type QueueQueries = Pick<
  Queries,
  | 'jobSummary'
  | 'jobsOf'
  | 'parkedJobs'
  | 'faultsOf'
  | 'tasksWithoutJob'
  | 'tasksWithEndedDependency'
  | 'unsettledIntents'
  | 'healed'
  | 'changeMark'
>

export function makeQueueQueries(sql: Sql): QueueQueries {
  const ids = (text: string): string[] => sql.all<{ id: string }>(text).map((row) => row.id)
  return {
    jobSummary: () => {
      const row = sql.get<ReturnType<Queries['jobSummary']>>(JOB_SUMMARY)
      return { ready: 0, delayed: 0, running: 0, nextDueAt: null, ...row }
    },
    jobsOf: (task) => plain(sql.all<JobLine>(JOBS_OF, task)),
    parkedJobs: () => plain(sql.all<ParkedJob>(PARKED)),
    faultsOf: (task) => plain(sql.all<ReturnType<Queries['faultsOf']>[number]>(FAULTS_OF, task)),
    tasksWithoutJob: () => ids(WITHOUT_JOB),
    tasksWithEndedDependency: () => ids(WITH_ENDED_DEPENDENCY),
    unsettledIntents: () =>
      sql
        .all<Omit<IntentRow, 'data'> & { data: string }>(UNSETTLED)
        .map((row) => ({ ...row, data: JSON.parse(row.data) as Record<string, string> })),
    healed: () =>
      plain(
        sql.all<{ what: Healed; n: number; lastAt: number }>(
          'SELECT what, n, last_at AS lastAt FROM healed ORDER BY what',
        ),
      ),
    changeMark: () => {
      const others = sql.get<{ data_version: number }>('PRAGMA data_version')?.data_version ?? 0
      const own = sql.get<{ n: number }>('SELECT total_changes() AS n')?.n ?? 0
      return `${others}/${own}`
    },
  }
}

/** Rows of node:sqlite have no prototype; ours are plain objects. */
function plain<T extends object>(rows: T[]): T[] {
  return rows.map((row) => ({ ...row }))
}

const JOB_SUMMARY = `
SELECT (SELECT count(*) FROM jobs INDEXED BY jobs_in_lane WHERE in_lane = 1) - running AS ready,
  (SELECT count(*) FROM jobs INDEXED BY jobs_due WHERE state = 'delayed') AS delayed, running,
  (SELECT min(run_at) FROM jobs INDEXED BY jobs_due WHERE state = 'delayed') AS nextDueAt
FROM (SELECT count(*) AS running FROM jobs INDEXED BY jobs_leased WHERE state = 'running')`

const JOBS_OF = `
SELECT id, kind, state, epoch, run_at AS runAt FROM jobs INDEXED BY jobs_live WHERE task = ? AND is_live = 1 ORDER BY id`

const PARKED = `
SELECT id, kind, task, epoch, failures, error FROM jobs INDEXED BY jobs_parked WHERE state = 'parked' ORDER BY id`

const FAULTS_OF = `
SELECT id, kind, state, failures, error FROM jobs INDEXED BY jobs_faults WHERE task = ? AND error IS NOT NULL ORDER BY id`

export const WITHOUT_JOB = `
SELECT id FROM tasks INDEXED BY tasks_listed
WHERE status IN ('queued', 'running', 'waiting') AND coalesce(waiting_for, '') NOT IN ('approval', 'answers')
  AND (paused = 0 OR status = 'running')
  AND NOT EXISTS (
    SELECT 1 FROM jobs INDEXED BY jobs_live
    WHERE jobs.task = tasks.id AND is_live = 1 AND epoch IS NOT NULL
      AND id NOT IN (SELECT id FROM jobs INDEXED BY jobs_parked WHERE state = 'parked'))
UNION ALL
SELECT id FROM tasks INDEXED BY tasks_listed
WHERE status = 'blocked'
  AND NOT EXISTS (SELECT 1 FROM open_dependencies INDEXED BY open_dependencies_task WHERE task = tasks.id)`

/** One that is held because what it waits for was cancelled knows already. */
export const WITH_ENDED_DEPENDENCY = `
SELECT DISTINCT waits.task AS id FROM open_dependencies AS waits
CROSS JOIN tasks AS ended ON ended.id = waits.dependency CROSS JOIN tasks AS held ON held.id = waits.task
WHERE ended.is_open = 0 AND NOT (ended.status = 'cancelled' AND held.status = 'needs_review') ORDER BY waits.task`

const UNSETTLED = `
SELECT id, kind, task, key, data, state, opened_at AS openedAt, settled_at AS settledAt
FROM intents INDEXED BY intents_unsettled WHERE state IN ('open', 'held') ORDER BY id`
