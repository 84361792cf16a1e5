// Writes that belong to no commit: projects, numbers, evidence, artifacts, and the local forge's changes and reviews.

import { type Sql, type Write, keep } from './sql.ts'
import { changeFor } from './sqlite-queries.ts'
import type { ChangeRow, EvidenceRow, Store } from './store.ts'

export type RecordWrites = Pick<
  Store,
  | 'nextNumber'
  | 'addProject'
  | 'updateProject'
  | 'removeProject'
  | 'putEvidence'
  | 'putArtifact'
  | 'saveChange'
  | 'saveReview'
>

/** Numbers of a tracker's issues may stand in the way: tasks have those too. */
function nextNumber(sql: Sql, project: string): number {
  for (;;) {
    const number = sql.get<{ last: number }>(NEXT_NUMBER, project)?.last ?? 1
    if (!sql.get('SELECT 1 FROM tasks WHERE id = ?', `${project}-${number}`)) return number
  }
}

export function makeRecords(sql: Sql, write: Write): RecordWrites {
  return {
    nextNumber: (project) => write('durable', () => keep(nextNumber(sql, project))),
    addProject: ({ id, name, path, remote, createdAt, tracker, forge }) =>
      write('durable', () => {
        const values = [id, name, path, remote, createdAt, jsonOrNull(tracker), jsonOrNull(forge)]
        return keep(sql.run(ADD_PROJECT, ...values).changes === 1 ? 'added' : 'exists')
      }),
    updateProject: ({ id, remote, tracker, forge }) =>
      write('durable', () => {
        const from = jsonOrNull(tracker)
        const isOther = sql.get<{ n: number }>(COUNT_OTHER_TRACKER, id, from)?.n === 1
        if (isOther) forgetTracker(sql, id)
        return keep(sql.run(UPDATE_PROJECT, remote, from, jsonOrNull(forge), id).changes === 1)
      }),
    removeProject: (id) =>
      write('durable', () => {
        forgetTracker(sql, id)
        return keep(sql.run('DELETE FROM projects WHERE id = ?', id).changes === 1)
      }),
    putEvidence: (rows) => write('durable', () => keep(rows.forEach((row) => insertEvidence(sql, row)))),
    putArtifact: async ({ task, runId, name, path, bytes, at }) => {
      await write('durable', () => keep(sql.run(PUT_ARTIFACT, task, runId, name, path, bytes, at)))
    },
    saveChange: (change) => write('durable', () => keep(saveChange(sql, change))),
    saveReview: async ({ project, change, sha, by, verdict, text, at }) => {
      await write('durable', () => keep(sql.run(SAVE_REVIEW, project, change, sha, by, verdict, text, at)))
    },
  }
}

/** Inside a transaction. Evidence is a fact: the same id again changes nothing. */
export function insertEvidence(sql: Sql, row: EvidenceRow): void {
  const { id, task, project, gate, stage, sha, tree, configHash, environmentId, result, at } = row
  sql.run(
    PUT_EVIDENCE,
    id,
    task,
    project,
    gate,
    stage,
    sha,
    tree,
    configHash,
    environmentId,
    result,
    at,
    JSON.stringify(row.data),
  )
}

function jsonOrNull(value: object | undefined): string | null {
  return value === undefined ? null : JSON.stringify(value)
}

/** Issues of another tracker may have the same ids. What was told and obeyed stays: nothing happens twice. */
function forgetTracker(sql: Sql, project: string): void {
  sql.run('DELETE FROM seen_issues WHERE project = ?', project)
  sql.run("DELETE FROM marks WHERE project = ? AND (what = 'polled-issues' OR what LIKE 'comments:%')", project)
}

function saveChange(sql: Sql, change: Omit<ChangeRow, 'number'> & { number?: number }): ChangeRow {
  const { project, task, branch, base, head, title, body, state, mergedSha, url, createdAt, updatedAt } = change
  const number = change.number ?? null
  const values = [task, branch, base, head, title, body, state, mergedSha, url, createdAt, updatedAt]
  sql.run(SAVE_CHANGE, project, number, project, ...values, number)
  const saved = changeFor(sql, { project, task })
  if (!saved) throw new Error(`the change of ${task} was saved and is not there`)
  return saved
}

const NEXT_NUMBER =
  'INSERT INTO counters (project, last) VALUES (?, 1) ON CONFLICT DO UPDATE SET last = last + 1 RETURNING last'

const ADD_PROJECT =
  'INSERT INTO projects (id, name, path, remote, created_at, tracker, forge) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING'

const COUNT_OTHER_TRACKER = 'SELECT count(*) AS n FROM projects WHERE id = ? AND tracker IS NOT ?'

const UPDATE_PROJECT = 'UPDATE projects SET remote = ?, tracker = ?, forge = ? WHERE id = ?'

const PUT_EVIDENCE = `
INSERT INTO evidence (id, task, project, gate, stage, sha, tree, config_hash, environment_id, result, at, data)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`

const PUT_ARTIFACT = `
INSERT INTO artifacts (task, run_id, name, path, bytes, at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (task, coalesce(run_id, ''), name) DO UPDATE SET path = excluded.path, bytes = excluded.bytes, at = excluded.at`

// The time of creation is the first one's, and so is the number unless a forge gave another.
const SAVE_CHANGE = `
INSERT INTO changes (project, number, task, branch, base, head, title, body, state, merged_sha, url, created_at, updated_at)
VALUES (?, coalesce(?, (SELECT coalesce(max(number), 0) + 1 FROM changes WHERE project = ?)), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (task, project) DO UPDATE SET number = coalesce(?, number), url = excluded.url, branch = excluded.branch, base = excluded.base, head = excluded.head,
  title = excluded.title, body = excluded.body, state = excluded.state, merged_sha = excluded.merged_sha,
  updated_at = excluded.updated_at`

const SAVE_REVIEW = `
INSERT INTO reviews (project, change, sha, by, verdict, text, at) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (project, change, sha, by) DO UPDATE SET verdict = excluded.verdict, text = excluded.text, at = excluded.at`
