// Proves a database: SQLite's own check, references, rows against the journal, and every row against a digest.
// SQLite keeps no checksums, so a flipped bit inside a value shows in the digest alone.

import { createHash } from 'node:crypto'
import type { Sql } from './sql.ts'

/** Tables that a backup adds; they have checksums of their own. */
const OWN = /^backup(?:_files|_chunks)?$/

/** One sentence for each thing that is wrong; empty when nothing is. Reads everything once. */
export function problemsOf(sql: Sql): string[] {
  const structure = sql.all<{ integrity_check: string }>('PRAGMA integrity_check(10)').map((row) => row.integrity_check)
  if (structure.some((line) => line !== 'ok')) return structure
  const dangling = sql.all<{ table: string }>('PRAGMA foreign_key_check')
  const problems = [...new Set(dangling.map((row) => `${row.table} names rows that are not there`))]
  for (const { sentence, query } of AGREEMENTS) {
    const found = sql.get<{ n: number }>(query)?.n ?? 0
    if (found > 0) problems.push(`${sentence} (${found})`)
  }
  return problems
}

/** What journal and rows say of each other, as far as an index or one walk tells it. */
const AGREEMENTS = [
  {
    sentence: 'tasks without an opening in the journal',
    query: `SELECT count(*) AS n FROM tasks WHERE NOT EXISTS (SELECT 1 FROM events WHERE task = tasks.id AND type = 'task.opened')`,
  },
  {
    sentence: 'openings in the journal without a task',
    query: `SELECT count(*) AS n FROM events WHERE type = 'task.opened' AND task NOT IN (SELECT id FROM tasks)`,
  },
  {
    sentence: 'tasks whose status is not the one their journal ends with',
    query: `SELECT count(*) AS n FROM tasks WHERE (status = 'done') <> EXISTS (SELECT 1 FROM events WHERE task = tasks.id AND type = 'task.done')
      OR (status = 'cancelled') <> EXISTS (SELECT 1 FROM events WHERE task = tasks.id AND type = 'task.cancelled')`,
  },
  {
    sentence: 'counts of tasks that are not the tasks',
    query: `SELECT count(*) AS n FROM (SELECT project, status, n FROM task_counts WHERE n > 0
      EXCEPT SELECT project, status, count(*) FROM tasks GROUP BY project, status)`,
  },
]

/** A digest of every row of every table, in the order in which this very file has them. */
export function digestOf(sql: Sql): string {
  const hash = createHash('sha256')
  const tables = sql.all<{ name: string; sql: string }>(
    `SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name`,
  )
  for (const table of tables) {
    if (OWN.test(table.name)) continue
    hash.update(`${table.sql}\n`)
    for (const row of sql.each(`SELECT * FROM "${table.name}"`)) hash.update(`${JSON.stringify(Object.values(row))}\n`)
  }
  return hash.digest('hex')
}
