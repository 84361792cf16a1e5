// One commit on SQLite: everything it names in one transaction, or nothing.
// Invariant: no write happens past a refusal, and a refusal undoes what was written before it.

import { isTerminal } from '../core/lifecycle.ts'
import { type IntentWrite, type QueuedEffect, EVENT_VERSION } from '../core/messages.ts'
import { type Task, attemptOf } from '../core/task.ts'
import { isUniqueViolation } from './sql-errors.ts'
import { type Outcome, type Sql, type Write, keep, undo } from './sql.ts'
import { cancelSteps, endJob, hasWaiting, holdsLease, insertJob } from './sqlite-jobs.ts'
import { insertEvidence } from './sqlite-records.ts'
import type { AggregateChange, Commit, CommitResult, NewEvent, RunWrite } from './store.ts'

type Refusal = Extract<CommitResult, { ok: false }>['because']

export function makeCommit(sql: Sql, write: Write): (commit: Commit) => Promise<CommitResult> {
  return (commit) => write('durable', () => applyCommit(sql, commit))
}

export function applyCommit(sql: Sql, commit: Commit): Outcome<CommitResult> {
  const refusal = refuse(sql, commit)
  if (refusal) return undo({ ok: false, because: refusal })
  const seqs = commit.events.map((event) => insertEvent(sql, event, commit))
  if (commit.supersede) cancelSteps(sql, commit.supersede.task, commit.supersede.epoch)
  const jobIds = commit.effects
    .filter((queued) => isNews(sql, queued))
    .map((queued) => insertJob(sql, queued, commit.at))
  for (const run of commit.runs ?? []) writeRun(sql, run)
  for (const row of commit.evidence ?? []) insertEvidence(sql, row)
  for (const intent of commit.intents) writeIntent(sql, intent, commit.at)
  return keep({ ok: true, seqs, jobIds })
}

/** What is told is where the task is when it is told: one job that waits is enough. */
function isNews(sql: Sql, { effect }: QueuedEffect): boolean {
  return effect.kind !== 'tell' || !hasWaiting(sql, effect)
}

/** Writes what can be refused: key, job and aggregates, in this order. */
function refuse(sql: Sql, commit: Commit): Refusal | null {
  const { idempotencyKey, fence } = commit
  if (idempotencyKey && sql.run(INSERT_KEY, idempotencyKey.task, idempotencyKey.key).changes === 0) return 'duplicate'
  if (fence) {
    const owns = fence.then === 'done' ? endJob(sql, { ...fence, error: fence.error ?? null }) : holdsLease(sql, fence)
    if (!owns) return 'stale-lease'
  }
  for (const change of commit.aggregates) {
    const refusal = writeAggregate(sql, change)
    if (refusal) return refusal
  }
  return null
}

function writeAggregate(sql: Sql, change: AggregateChange): Refusal | null {
  if (change.kind === 'task') return writeTask(sql, change)
  const state = JSON.stringify(change.state)
  const text = change.kind === 'repository' ? REPOSITORY : ACCOUNT
  const { changes } =
    change.expected === 0
      ? sql.run(text.insert, change.id, state)
      : sql.run(text.update, change.expected + 1, state, change.id, change.expected)
  return changes === 1 ? null : 'conflict'
}

function writeTask(sql: Sql, change: Extract<AggregateChange, { kind: 'task' }>): Refusal | null {
  const { state: task, expected, id } = change
  try {
    const changes = expected === 0 ? insertTask(sql, task) : updateTask(sql, task, { id, expected })
    if (changes === 0) return 'conflict'
  } catch (error) {
    // Two open tasks of one origin: the second is the same stimulus again.
    if (isUniqueViolation(error)) return 'duplicate'
    throw error
  }
  if (task.dependsOn.length > 0) writeDependencies(sql, task)
  return null
}

function insertTask(sql: Sql, task: Task): number {
  const isOpen = !isTerminal(task.status)
  const sortAt = isOpen ? task.createdAt : task.since
  return sql.run(
    INSERT_TASK,
    ...lineOf(task),
    task.id,
    task.project,
    task.origin,
    task.pipeline,
    task.createdAt,
    isOpen ? 1 : 0,
    sortAt,
  ).changes
}

function updateTask(sql: Sql, task: Task, at: { id: string; expected: number }): number {
  // The usual move stays among the open ones and leaves alone the columns that only the two ends of a task's life set.
  if (!isTerminal(task.status))
    return sql.run(UPDATE_TASK, ...lineOf(task), at.expected + 1, at.id, at.expected).changes
  return sql.run(END_TASK, ...lineOf(task), at.expected + 1, task.since, at.id, at.expected).changes
}

/** Values of the columns that every statement sets, in the order of `LINE_COLUMNS`. */
export function lineOf(task: Task): (string | number | null)[] {
  return [
    task.title,
    task.stage,
    task.status,
    task.waitingFor,
    task.waitingUntil,
    task.reason?.code ?? null,
    task.paused ? 1 : 0,
    task.priority,
    attemptOf(task),
    task.runId,
    task.costUsd,
    task.updatedAt,
    task.since,
    JSON.stringify(task),
  ]
}

function writeDependencies(sql: Sql, task: Task): void {
  sql.run('DELETE FROM open_dependencies WHERE task = ?', task.id)
  if (isTerminal(task.status)) return
  for (const dependency of task.openDeps) {
    sql.run('INSERT OR IGNORE INTO open_dependencies (dependency, task) VALUES (?, ?)', dependency, task.id)
  }
}

function insertEvent(sql: Sql, { id, body }: NewEvent, commit: Commit): number {
  const task = body.stream === 'task' ? id : null
  const { type, data } = body.event
  const { kind, name } = commit.actor
  const values = [
    commit.at,
    body.stream,
    id,
    task,
    type,
    EVENT_VERSION,
    kind,
    name,
    commit.cause,
    commit.correlation,
    JSON.stringify(data),
  ]
  return sql.run(INSERT_EVENT, ...values).id
}

function writeRun(sql: Sql, write: RunWrite): void {
  if (write.op === 'end') {
    const { endedAt, model, outcome, sessionId, usage, costUsd, headSha, id } = write
    sql.run(END_RUN, endedAt, model, JSON.stringify(outcome), sessionId, JSON.stringify(usage), costUsd, headSha, id)
    return
  }
  const { id, task, project, stage, role, agent, model, attempt, why, startedAt } = write.run
  sql.run(BEGIN_RUN, id, task, project, stage, role, agent, model, attempt, why, startedAt)
  sql.run('UPDATE tasks SET agent = ? WHERE id = ?', agent, task)
}

function writeIntent(sql: Sql, intent: IntentWrite, at: number): void {
  const { task, kind, key } = intent
  if (intent.op === 'open') sql.run(OPEN_INTENT, task, kind, key, JSON.stringify(intent.data), at)
  else sql.run(SETTLE_INTENT, intent.as, at, task, kind, key)
}

const LINE_COLUMNS = [
  'title',
  'stage',
  'status',
  'waiting_for',
  'waiting_until',
  'reason_code',
  'paused',
  'priority',
  'attempt',
  'run_id',
  'cost_usd',
  'updated_at',
  'since',
  'state',
]
const SET_LINE = LINE_COLUMNS.map((column) => `${column} = ?`).join(', ')

const INSERT_TASK = `
INSERT INTO tasks (${LINE_COLUMNS.join(', ')}, id, project, origin, pipeline, created_at, is_open, sort_at, version)
VALUES (${LINE_COLUMNS.map(() => '?').join(', ')}, ?, ?, ?, ?, ?, ?, ?, 1) ON CONFLICT (id) DO NOTHING`

// An ended task is never left (S12), and the table's CHECK says so too: nothing here sets is_open back to 1.
export const UPDATE_TASK = `UPDATE tasks SET ${SET_LINE}, version = ? WHERE id = ? AND version = ?`

const END_TASK = `UPDATE tasks SET ${SET_LINE}, version = ?, is_open = 0, sort_at = ? WHERE id = ? AND version = ?`

const REPOSITORY = {
  insert: 'INSERT INTO repositories (id, version, state) VALUES (?, 1, ?) ON CONFLICT DO NOTHING',
  update: 'UPDATE repositories SET version = ?, state = ? WHERE id = ? AND version = ?',
}
const ACCOUNT = {
  insert: 'INSERT INTO accounts (id, version, state) VALUES (?, 1, ?) ON CONFLICT DO NOTHING',
  update: 'UPDATE accounts SET version = ?, state = ? WHERE id = ? AND version = ?',
}

const INSERT_KEY = 'INSERT INTO idempotency (task, key) VALUES (?, ?) ON CONFLICT DO NOTHING'

export const INSERT_EVENT = `
INSERT INTO events (at, stream, id, task, type, v, actor_kind, actor_name, cause, correlation, data)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

const BEGIN_RUN = `
INSERT INTO runs (id, task, project, stage, role, agent, model, attempt, why, started_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// A run ends once: a late second word changes nothing.
const END_RUN = `
UPDATE runs SET ended_at = ?, model = coalesce(?, model), outcome = ?, session_id = ?, usage = ?, cost_usd = ?, head_sha = ? WHERE id = ? AND ended_at IS NULL`

// Opened again while it is open, the row stays as it is; a settled one is opened afresh.
const OPEN_INTENT = `
INSERT INTO intents (task, kind, key, data, state, opened_at) VALUES (?, ?, ?, ?, 'open', ?)
ON CONFLICT (task, kind, key) DO UPDATE SET data = excluded.data, state = 'open', opened_at = excluded.opened_at, settled_at = NULL
WHERE state <> 'open'`

// One that was held for a person ends as what it came to; the other ends are final.
const SETTLE_INTENT = `UPDATE intents SET state = ?, settled_at = ? WHERE task = ? AND kind = ? AND key = ? AND state IN ('open', 'held')`
