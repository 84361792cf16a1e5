// The reads of a store on SQLite. Lists come from columns and indexes: never from the journal or a task's whole state.
// Loaded alone by short-lived commands, so it imports next to nothing.

import type { SQLInputValue } from 'node:sqlite'
import { type TaskStatus, TASK_STATUSES, isTerminal } from '../core/lifecycle.ts'
import type { RunOutcome, Usage } from '../core/run.ts'
import type { Task } from '../core/task.ts'
import { connectReader } from './sql-connection.ts'
import { type Sql, snapshot } from './sql.ts'
import { makeDeliveryQueries } from './sqlite-delivery-queries.ts'
import { makeTrackerQueries } from './sqlite-trackers.ts'
import { makeQueueQueries } from './sqlite-queue-queries.ts'
import type {
  ChangeRow,
  EvidenceRow,
  IntentRow,
  JournalEntry,
  Project,
  Queries,
  RunRow,
  TaskFilter,
  TaskLine,
  Versioned,
} from './store.ts'

/**
 * Opens a database for reading alone, in about a millisecond. Null when there is none yet or an older orch made it:
 * `openStore` creates and migrates. Throws UserError(6) for one that is newer, damaged or not ours.
 */
export function openQueries(path: string): (Queries & { close(): void }) | null {
  const sql = connectReader(path)
  return sql && { ...makeQueries(sql), close: sql.close }
}

export function makeQueries(sql: Sql): Queries {
  return {
    ...taskQueries(sql),
    ...journalQueries(sql),
    ...factQueries(sql),
    ...forgeQueries(sql),
    ...makeQueueQueries(sql),
    ...makeTrackerQueries(sql),
    ...makeDeliveryQueries(sql),
    dataVersion: () => sql.get<{ data_version: number }>('PRAGMA data_version')?.data_version ?? 0,
  }
}

function taskQueries(
  sql: Sql,
): Pick<Queries, 'listTasks' | 'countTasks' | 'getTask' | 'getRepository' | 'getAccount' | 'dependantsOf'> {
  const load = <T>(text: string, id: string): Versioned<T> | null => {
    const row = sql.get<{ version: number; state: string }>(text, id)
    return row ? { version: row.version, state: JSON.parse(row.state) as T } : null
  }
  return {
    listTasks: (filter) => snapshot(sql, () => listTasks(sql, filter)),
    countTasks: (project) => {
      const counts = Object.fromEntries(TASK_STATUSES.map((status) => [status, 0])) as Record<TaskStatus, number>
      const text = `SELECT status, n FROM task_counts ${project === undefined ? '' : 'WHERE project = ?'}`
      const rows = sql.all<{ status: TaskStatus; n: number }>(text, ...(project === undefined ? [] : [project]))
      for (const row of rows) counts[row.status] += row.n
      return counts
    },
    getTask: (id) => load<Task>('SELECT version, state FROM tasks WHERE id = ?', id),
    getRepository: (id) => load('SELECT version, state FROM repositories WHERE id = ?', id),
    getAccount: (id) => load('SELECT version, state FROM accounts WHERE id = ?', id),
    dependantsOf: (task) =>
      sql
        .all<{ task: string }>('SELECT task FROM open_dependencies WHERE dependency = ? ORDER BY task', task)
        .map((row) => row.task),
  }
}

/** Default of `TaskFilter.limit`. */
const LISTED = 50

/** One walk of the index for each status, merged; only the tasks that made it into the list are read. */
function listTasks(sql: Sql, filter: TaskFilter): TaskLine[] {
  const limit = filter.limit ?? LISTED
  const statuses = [...new Set(filter.statuses ?? TASK_STATUSES)]
  const walk = (status: TaskStatus, order: 'ASC' | 'DESC'): ListKey[] => {
    const values = filter.project === undefined ? [status, limit] : [status, filter.project, limit]
    return sql.all<ListKey>(listKeysText({ order, byProject: filter.project !== undefined }), ...values)
  }
  const open = statuses.filter((status) => !isTerminal(status)).flatMap((status) => walk(status, 'ASC'))
  open.sort((a, b) => a.sortAt - b.sortAt || a.n - b.n)
  const ended = open.length >= limit ? [] : statuses.filter(isTerminal).flatMap((status) => walk(status, 'DESC'))
  ended.sort((a, b) => b.sortAt - a.sortAt || b.n - a.n)
  return [...open, ...ended].slice(0, limit).flatMap(({ n }) => {
    const line = sql.get<Omit<TaskLine, 'paused'> & { paused: number }>(LINE, n)
    return line ? [{ ...line, paused: line.paused === 1 }] : []
  })
}

interface ListKey {
  n: number
  sortAt: number
}

export function listKeysText(options: { order: 'ASC' | 'DESC'; byProject: boolean }): string {
  const { order, byProject } = options
  const where = byProject ? 'status = ? AND project = ?' : 'status = ?'
  return `SELECT n, sort_at AS sortAt FROM tasks INDEXED BY tasks_listed WHERE ${where} ORDER BY sort_at ${order}, n ${order} LIMIT ?`
}

const LINE = `
SELECT id, project, title, pipeline, stage, status, waiting_for AS waitingFor, waiting_until AS waitingUntil,
  reason_code AS reasonCode, paused, priority, attempt, agent, run_id AS runId, cost_usd AS costUsd, created_at AS createdAt,
  updated_at AS updatedAt, since
FROM tasks WHERE n = ?`

function journalQueries(sql: Sql): Pick<Queries, 'listEvents' | 'lastSeq'> {
  return {
    listEvents: ({ task, after, limit }) => {
      const where = task === undefined ? 'seq > ?' : 'seq > ? AND task = ?'
      const values = task === undefined ? [after ?? 0, limit ?? -1] : [after ?? 0, task, limit ?? -1]
      const rows = sql.all<EventRow>(`SELECT * FROM events WHERE ${where} ORDER BY seq LIMIT ?`, ...values)
      return rows.map(({ actor_kind, actor_name, data, ...row }) => ({
        ...row,
        actor: { kind: actor_kind, name: actor_name },
        data: parseData(data),
      }))
    },
    lastSeq: () => sql.get<{ seq: number }>('SELECT coalesce(max(seq), 0) AS seq FROM events')?.seq ?? 0,
  }
}

type EventRow = Omit<JournalEntry, 'actor' | 'data'> & {
  actor_kind: JournalEntry['actor']['kind']
  actor_name: string
  data: string
}

function factQueries(
  sql: Sql,
): Pick<Queries, 'listRuns' | 'getRun' | 'listEvidence' | 'listArtifacts' | 'listIntents'> {
  return {
    listRuns: ({ task, live }) => {
      const where = whereAll({ task })
      if (live !== undefined) where.terms.push(live ? 'ended_at IS NULL' : 'ended_at IS NOT NULL')
      return select<StoredRun>(sql, { columns: RUN, from: 'runs', where, order: 'started_at, rowid' }).map(toRun)
    },
    getRun: (id) => {
      const row = sql.get<StoredRun>(`SELECT ${RUN} FROM runs WHERE id = ?`, id)
      return row ? toRun(row) : null
    },
    listEvidence: ({ task, project, gate, tree, configHash }) => {
      const where = whereAll({ task, project, gate, tree, config_hash: configHash })
      const rows = select<Omit<EvidenceRow, 'data'> & { data: string }>(sql, {
        columns: EVIDENCE,
        from: 'evidence',
        where,
        order: 'n',
      })
      return rows.map((row) => ({ ...row, data: parseData(row.data) }))
    },
    listArtifacts: (task) =>
      select(sql, {
        columns: 'task, run_id AS runId, name, path, bytes, at',
        from: 'artifacts',
        where: whereAll({ task }),
        order: 'n',
      }),
    listIntents: ({ state, task }) => {
      const columns = 'id, kind, task, key, data, state, opened_at AS openedAt, settled_at AS settledAt'
      const rows = select<Omit<IntentRow, 'data'> & { data: string }>(sql, {
        columns,
        from: 'intents',
        where: whereAll({ state, task }),
        order: 'id',
      })
      return rows.map((row) => ({ ...row, data: JSON.parse(row.data) as Record<string, string> }))
    },
  }
}

const RUN = `id, task, project, stage, role, agent, model, attempt, why, started_at AS startedAt, ended_at AS endedAt, outcome,
  session_id AS sessionId, usage, cost_usd AS costUsd, head_sha AS headSha`

const EVIDENCE = `id, task, project, gate, stage, sha, tree, config_hash AS configHash, environment_id AS environmentId, result, at, data`

type StoredRun = Omit<RunRow, 'outcome' | 'usage'> & { outcome: string | null; usage: string }

function toRun(row: StoredRun): RunRow {
  const outcome = row.outcome === null ? null : (JSON.parse(row.outcome) as RunOutcome)
  return { ...row, outcome, usage: JSON.parse(row.usage) as Usage }
}

function forgeQueries(sql: Sql): Pick<Queries, 'listProjects' | 'listChanges' | 'getChange' | 'listReviews'> {
  return {
    listProjects: () =>
      select<StoredProject>(sql, {
        columns: 'id, name, path, remote, created_at AS createdAt, tracker, forge',
        from: 'projects',
        where: whereAll({}),
        order: 'id',
      }).map(({ tracker, forge, ...project }) => ({
        ...project,
        ...(tracker === null ? {} : { tracker: JSON.parse(tracker) as { driver: string; ref: string } }),
        ...(forge === null ? {} : { forge: JSON.parse(forge) as { driver: string; ref: string } }),
      })),
    listChanges: (project) =>
      select(sql, { columns: CHANGE, from: 'changes', where: whereAll({ project }), order: 'project, number' }),
    getChange: (task) => changeFor(sql, { task }),
    listReviews: (project, change) =>
      select(sql, {
        columns: 'project, change, sha, by, verdict, text, at',
        from: 'reviews',
        where: whereAll({ project, change }),
        order: 'at, rowid',
      }),
  }
}

type StoredProject = Omit<Project, 'tracker' | 'forge'> & { tracker: string | null; forge: string | null }

const CHANGE = `project, number, task, branch, base, head, title, body, state, merged_sha AS mergedSha, url, created_at AS createdAt,
  updated_at AS updatedAt`

export function changeFor(sql: Sql, of: { task: string; project?: string }): ChangeRow | null {
  return select<ChangeRow>(sql, { columns: CHANGE, from: 'changes', where: whereAll(of), order: 'number' })[0] ?? null
}

interface Where {
  terms: string[]
  values: SQLInputValue[]
}

/** A term for each column whose value was given. */
function whereAll(columns: Record<string, SQLInputValue | undefined>): Where {
  const where: Where = { terms: [], values: [] }
  for (const [column, value] of Object.entries(columns)) {
    if (value === undefined) continue
    where.terms.push(`${column} = ?`)
    where.values.push(value)
  }
  return where
}

function select<T>(sql: Sql, query: { columns: string; from: string; where: Where; order: string }): T[] {
  const { terms, values } = query.where
  const where = terms.length > 0 ? `WHERE ${terms.join(' AND ')}` : ''
  // Rows of node:sqlite have no prototype; ours are plain objects.
  return sql
    .all<T & object>(`SELECT ${query.columns} FROM ${query.from} ${where} ORDER BY ${query.order}`, ...values)
    .map((row) => ({ ...row }))
}

function parseData(text: string): Record<string, unknown> {
  return JSON.parse(text) as Record<string, unknown>
}
