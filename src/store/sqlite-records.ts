// Writes that belong to no commit: projects, numbers, evidence, artifacts, and the local forge's changes and reviews.

import { type Sql, type Write, keep } from './sql.ts'
import { changeFor } from './sqlite-queries.ts'
import type { ChangeRow, EvidenceRow, Store } from './store.ts'

export type RecordWrites = Pick<
  Store,
  'nextNumber' | 'addProject' | 'removeProject' | 'putEvidence' | 'putArtifact' | 'saveChange' | 'saveReview'
>

export function makeRecords(sql: Sql, write: Write): RecordWrites {
  return {
    nextNumber: (project) => write('durable', () => keep(sql.get<{ last: number }>(NEXT_NUMBER, project)?.last ?? 1)),
    addProject: ({ id, name, path, remote, createdAt }) =>
      write('durable', () =>
        keep(sql.run(ADD_PROJECT, id, name, path, remote, createdAt).changes === 1 ? 'added' : 'exists'),
      ),
    removeProject: (id) => write('durable', () => keep(sql.run('DELETE FROM projects WHERE id = ?', id).changes === 1)),
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

function saveChange(sql: Sql, change: Omit<ChangeRow, 'number'>): ChangeRow {
  const { project, task, branch, base, head, title, body, state, mergedSha, createdAt, updatedAt } = change
  sql.run(SAVE_CHANGE, project, project, task, branch, base, head, title, body, state, mergedSha, createdAt, updatedAt)
  const saved = changeFor(sql, { project, task })
  if (!saved) throw new Error(`the change of ${task} was saved and is not there`)
  return saved
}

const NEXT_NUMBER =
  'INSERT INTO counters (project, last) VALUES (?, 1) ON CONFLICT DO UPDATE SET last = last + 1 RETURNING last'

const ADD_PROJECT =
  'INSERT INTO projects (id, name, path, remote, created_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING'

const PUT_EVIDENCE = `
INSERT INTO evidence (id, task, project, gate, stage, sha, tree, config_hash, environment_id, result, at, data)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`

const PUT_ARTIFACT = `
INSERT INTO artifacts (task, run_id, name, path, bytes, at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (task, coalesce(run_id, ''), name) DO UPDATE SET path = excluded.path, bytes = excluded.bytes, at = excluded.at`

// The number and the time of creation are the first one's.
const SAVE_CHANGE = `
INSERT INTO changes (project, number, task, branch, base, head, title, body, state, merged_sha, created_at, updated_at)
VALUES (?, (SELECT coalesce(max(number), 0) + 1 FROM changes WHERE project = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (task, project) DO UPDATE SET branch = excluded.branch, base = excluded.base, head = excluded.head,
  title = excluded.title, body = excluded.body, state = excluded.state, merged_sha = excluded.merged_sha,
  updated_at = excluded.updated_at`

const SAVE_REVIEW = `
INSERT INTO reviews (project, change, sha, by, verdict, text, at) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (project, change, sha, by) DO UPDATE SET verdict = excluded.verdict, text = excluded.text, at = excluded.at`
