// What a database says of its own state. Reads all of it once, so it is for a doctor and not for a tick.

import { statSync } from 'node:fs'
import { type Sql, snapshot } from './sql.ts'
import type { StoreHealth } from './store.ts'

/** Problems that are named; a damaged file has thousands. */
const MOST_PROBLEMS = 10
/**
 * Above this size the rows are not compared with their indexes: that reads the file in random order. A quick check goes
 * through it once, at the speed of the disk.
 */
const THOROUGH_BYTES = 256 * 2 ** 20

/** SQLite's number for `synchronous = FULL` (sqlite.org/pragma.html#pragma_synchronous). */
const FULL = 2

/** `version` is the newest that this program knows. */
export function readHealth(sql: Sql, version: number): StoreHealth {
  const bytes = sizeOf(sql.path)
  const thorough = bytes <= THOROUGH_BYTES
  return {
    version: pragma(sql, 'user_version') as number,
    knownVersion: version,
    bytes,
    logBytes: sizeOf(`${sql.path}-wal`),
    looked: thorough
      ? 'all pages, rows and indexes'
      : 'all pages; it is too large to compare every row with its indexes',
    damage: damageOf(sql, thorough ? 'integrity_check' : 'quick_check'),
    dangling: danglingOf(sql),
    settings: settingsOf(sql),
  }
}

function damageOf(sql: Sql, check: 'integrity_check' | 'quick_check'): string[] {
  const rows = snapshot(sql, () => sql.all<Record<string, string>>(`PRAGMA ${check}(${MOST_PROBLEMS})`))
  return rows.map((row) => row[check] ?? '').filter((line) => line !== 'ok')
}

function danglingOf(sql: Sql): string[] {
  const rows = sql.all<{ child: string; parent: string; n: number }>(
    'SELECT "table" AS child, parent, count(*) AS n FROM pragma_foreign_key_check GROUP BY 1, 2 LIMIT ?',
    MOST_PROBLEMS,
  )
  return rows.map(({ child, parent, n }) => `${n} rows of ${child} name a row of ${parent} that is not there`)
}

/** Without these a commit that was answered may be gone after a power cut, or a reader may block a writer. */
function settingsOf(sql: Sql): string[] {
  const journal = pragma(sql, 'journal_mode')
  const synchronous = pragma(sql, 'synchronous')
  return [
    ...(journal === 'wal' ? [] : [`journal_mode is ${journal}, not wal: the file system refused it`]),
    ...(synchronous === FULL ? [] : [`synchronous is ${synchronous}, not ${FULL} (FULL)`]),
    ...(pragma(sql, 'foreign_keys') === 1 ? [] : ['foreign keys are not enforced']),
  ]
}

function pragma(sql: Sql, name: string): string | number | undefined {
  return sql.get<Record<string, string | number>>(`PRAGMA ${name}`)?.[name]
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
