// What is remembered of trackers and forges: what was last seen of an issue, how far something was read, what was told.

import { type Sql, type Write, keep } from './sql.ts'
import type { SeenIssue, Store, TrackerQueries } from './store.ts'

export function makeTrackerQueries(sql: Sql): TrackerQueries {
  return {
    tasksOfOrigin: ({ project, origin }) =>
      sql
        .all<{ id: string }>('SELECT id FROM tasks WHERE project = ? AND origin = ? ORDER BY n', project, origin)
        .map((row) => row.id),
    seenIssue: ({ project, issue }) => {
      const row = sql.get<{ updatedAt: number; data: string }>(SEEN, project, issue)
      return row ? { updatedAt: row.updatedAt, data: JSON.parse(row.data) as SeenIssue['data'] } : null
    },
    mark: ({ project, what }) =>
      sql.get<{ value: string }>('SELECT value FROM marks WHERE project = ? AND what = ?', project, what)?.value ??
      null,
  }
}

export function makeTrackerWrites(sql: Sql, write: Write): Pick<Store, 'putSeenIssue' | 'putMark'> {
  return {
    putSeenIssue: ({ project, issue, updatedAt, data }) =>
      write('durable', () => keep(sql.run(PUT_SEEN, project, issue, updatedAt, JSON.stringify(data)).changes === 1)),
    putMark: async ({ project, what, value, at }) => {
      await write('durable', () => keep(sql.run(PUT_MARK, project, what, value, at)))
    },
  }
}

const SEEN = 'SELECT updated_at AS updatedAt, data FROM seen_issues WHERE project = ? AND issue = ?'

// An older snapshot that comes late is no news.
const PUT_SEEN = `
INSERT INTO seen_issues (project, issue, updated_at, data) VALUES (?, ?, ?, ?)
ON CONFLICT (project, issue) DO UPDATE SET updated_at = excluded.updated_at, data = excluded.data
WHERE excluded.updated_at >= updated_at`

const PUT_MARK = `
INSERT INTO marks (project, what, value, at) VALUES (?, ?, ?, ?)
ON CONFLICT (project, what) DO UPDATE SET value = excluded.value, at = excluded.at`
