// Opens a database of Orch: refuses what isn't one or is newer, migrates what is older, forward only and under a lock.

import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { UserError } from '../lib/errors.ts'
import { foundation } from './migrations/0001-foundation.ts'
import { parkedJobs } from './migrations/0002-parked-jobs.ts'
import { trackers } from './migrations/0003-trackers.ts'
import { translateError } from './sql-errors.ts'
import { BUSY_LIMIT_MS, type Sql, keep, makeSql, makeWrite, whenFree } from './sql.ts'

/** Number N of this list brings a database from version N to N + 1. Never changed once released. */
const MIGRATIONS: readonly string[] = [foundation, parkedJobs, trackers]
/** The newest version of a database that this program knows. */
export const VERSION = MIGRATIONS.length

/** "ORCH" in ASCII, so that another program's database is never taken for ours. */
const APPLICATION_ID = 0x4f524348

/** SQLite sleeps inside the call while it waits, so a process that serves others waits hardly at all. */
const SERVICE_BUSY_MS = 3
/** A command that only reads may block: nobody else lives in its process. Only recovery after a crash locks readers out. */
const READER_BUSY_MS = 2_000

/**
 * 16 MiB of cache hold the indexes of some 100,000 jobs. A checkpoint every 4,000 pages (16 MiB of log) instead of 1,000:
 * at five pages a claim it would else fall on one claim in a hundred, and takes most of a millisecond.
 */
const SETTINGS = `
PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 4000`

/** Opens for writing, creating and migrating. Safe to call from many processes at once. Throws UserError(6) or StoreBusyError. */
export async function connect(path: string): Promise<Sql> {
  const sql = open(path, { readOnly: false })
  const wait = { path, limitMs: BUSY_LIMIT_MS }
  try {
    const version = await whenFree(wait, () => versionOf(sql))
    await whenFree(wait, () => sql.exec(SETTINGS))
    if (version < VERSION) await makeWrite(sql)('durable', () => keep(migrate(sql)))
    return sql
  } catch (error) {
    sql.close()
    throw error
  }
}

/** Opens for reading only; null when there is no database yet or it is of an older version (open the store to make it). */
export function connectReader(path: string): Sql | null {
  if (!existsSync(path)) return null
  const { sql, version } = openAsItIs(path)
  if (version === VERSION) return sql
  sql.close()
  return null
}

/** Opens a database of any version up to this program's for reading alone. Throws UserError(6) for one that is newer or not ours. */
export function openAsItIs(path: string): { sql: Sql; version: number } {
  const sql = open(path, { readOnly: true })
  try {
    return { sql, version: versionOf(sql) }
  } catch (error) {
    sql.close()
    throw error
  }
}

function open(path: string, options: { readOnly: boolean }): Sql {
  try {
    const timeout = options.readOnly ? READER_BUSY_MS : SERVICE_BUSY_MS
    return makeSql(
      new DatabaseSync(path, { readOnly: options.readOnly, timeout, enableForeignKeyConstraints: true }),
      path,
    )
  } catch (error) {
    throw translateError(error, path)
  }
}

/** The database's version, 0 for an empty one. Throws UserError(6) for one that isn't ours or is newer than this program. */
function versionOf(sql: Sql): number {
  const version = sql.get<{ user_version: number }>('PRAGMA user_version')?.user_version ?? 0
  const owner = sql.get<{ application_id: number }>('PRAGMA application_id')?.application_id ?? 0
  const isEmpty = version === 0 && owner === 0 && sql.get('SELECT 1 FROM sqlite_schema') === undefined
  if (!isEmpty && owner !== APPLICATION_ID) {
    throw new UserError(
      6,
      'foreign-database',
      `${sql.path} belongs to another program; move it away, or set ORCH_HOME to another folder`,
    )
  }
  if (version > VERSION) {
    const text = `the database ${sql.path} is of version ${version}, and this orch knows up to version ${VERSION}; install a newer orch, or set ORCH_HOME to another folder`
    throw new UserError(6, 'newer-database', text)
  }
  return version
}

/** Runs under the write lock: another process may have migrated between the look and the lock. */
function migrate(sql: Sql): void {
  const from = versionOf(sql)
  for (const migration of MIGRATIONS.slice(from)) sql.exec(migration)
  if (from < VERSION) sql.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${VERSION}`)
}
