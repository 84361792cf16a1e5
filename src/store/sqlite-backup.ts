// Backups: the database itself with three more tables, for what lies beside it. So a backup is one file, SQLite's own
// tools read it, and put in the database's place as it is it works as one.
// Invariant: a file that was handed out as a backup was read back from the disk and proved whole.

import { createHash } from 'node:crypto'
import { closeSync, copyFileSync, existsSync, fsyncSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { UserError, messageOf } from '../lib/errors.ts'
import { digestOf, problemsOf } from './prove.ts'
import { openAsItIs } from './sql-connection.ts'
import { isBusy, translateError } from './sql-errors.ts'
import { type Sql, makeSql } from './sql.ts'
import type { BackupDraft, BackupFacts, BackupFile, Backups, DatabaseFacts, OpenedBackup, Project } from './store.ts'

/** Version of the three tables. */
const FORMAT = 1

const TABLES = `
CREATE TABLE backup (format INTEGER NOT NULL, made_at INTEGER NOT NULL, digest TEXT NOT NULL) STRICT;
CREATE TABLE backup_files (
  n INTEGER PRIMARY KEY,
  path TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('file', 'link')),
  mode INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  sha256 TEXT NOT NULL
) STRICT;
CREATE TABLE backup_chunks (n INTEGER PRIMARY KEY, file INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE INDEX backup_chunks_file ON backup_chunks (file, n);`

/** A value may have at most 1 GB (sqlite.org/limits.html); pieces of this size keep memory small. */
const CHUNK_BYTES = 4 << 20
/** Only recovery after a crash locks a reader out, and that for moments. */
const READ_BUSY_MS = 10_000

/** The one implementation of `Backups`. */
export function makeBackups(): Backups {
  return { begin, open, numbersOf, settle }
}

async function begin(database: string, draft: string): Promise<BackupDraft> {
  // One read transaction: writers go on beside it, and none of their commits is half in it. docs/decisions/0017.
  const source = openAsItIs(database)
  try {
    source.sql.exec(`PRAGMA busy_timeout = ${READ_BUSY_MS}`)
    // Its owner alone may read it: made before SQLite would, with the rights of the process.
    closeSync(openSync(draft, 'wx', 0o600))
    source.sql.exec(`VACUUM INTO '${draft.replaceAll("'", "''")}'`)
  } finally {
    source.sql.close()
  }
  const sql = openToWrite(draft)
  // Nobody else has it, and it is brought to the disk as a whole at its end.
  sql.exec(`PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; ${TABLES}`)
  return {
    facts: factsOf(sql, source.version),
    addFile: (file) => addFile(sql, file),
    addLink: ({ path, target }) => {
      const bytes = Buffer.from(target)
      const n = sql.run(ADD_FILE, path, 'link', 0o777, bytes.length, sha256(bytes)).id
      sql.run(ADD_CHUNK, n, bytes)
    },
    async finish(madeAt) {
      sql.run('INSERT INTO backup (format, made_at, digest) VALUES (?, ?, ?)', FORMAT, madeAt, digestOf(sql))
      sql.close()
      syncFile(draft)
      const opened = open(draft)
      opened.close()
      return opened.facts
    },
    close: sql.close,
  }
}

const ADD_FILE = 'INSERT INTO backup_files (path, kind, mode, bytes, sha256) VALUES (?, ?, ?, ?, ?)'
const ADD_CHUNK = 'INSERT INTO backup_chunks (file, data) VALUES (?, ?)'

async function addFile(sql: Sql, file: Parameters<BackupDraft['addFile']>[0]): Promise<void> {
  const hash = createHash('sha256')
  let bytes = 0
  const { id } = sql.run(ADD_FILE, file.path, 'file', file.mode, 0, '')
  for await (const piece of file.content) {
    for (let at = 0; at < piece.length; at += CHUNK_BYTES) {
      const chunk = piece.subarray(at, at + CHUNK_BYTES)
      hash.update(chunk)
      bytes += chunk.length
      sql.run(ADD_CHUNK, id, chunk)
    }
  }
  sql.run('UPDATE backup_files SET bytes = ?, sha256 = ? WHERE n = ?', bytes, hash.digest('hex'), id)
}

function factsOf(sql: Sql, version: number): DatabaseFacts {
  const count = (table: string): number => sql.get<{ n: number }>(`SELECT count(*) AS n FROM ${table}`)?.n ?? 0
  const runs = (where: string): string[] =>
    sql.all<{ id: string }>(`SELECT id FROM runs WHERE ${where} ORDER BY id`).map((row) => row.id)
  return {
    version,
    tasks: count('tasks'),
    events: count('events'),
    projects: sql
      .all<Project & object>('SELECT id, name, path, remote, created_at AS createdAt FROM projects ORDER BY id')
      .map((row) => ({ ...row })),
    liveRuns: runs('ended_at IS NULL'),
    endedRuns: runs('ended_at IS NOT NULL'),
  }
}

function open(file: string): OpenedBackup {
  const { sql, version } = openForeign(file)
  try {
    const facts = proved(file, sql, version)
    return {
      facts,
      *content(path) {
        const row = sql.get<{ n: number }>('SELECT n FROM backup_files WHERE path = ?', path)
        if (!row) throw new Error(`the backup holds no ${path}`)
        yield* chunksOf(sql, row.n)
      },
      writeDatabase: async (path, numbers) => writeDatabase({ file, path, isCopy: facts.madeAt === null }, numbers),
      close: sql.close,
    }
  } catch (error) {
    sql.close()
    throw asBackupError(error, file)
  }
}

function openForeign(file: string): ReturnType<typeof openAsItIs> {
  if (!existsSync(file)) throw new UserError(3, 'no-such-file', `there is no ${file}`)
  try {
    const opened = openAsItIs(file)
    if (opened.version > 0) return opened
    opened.sql.close()
  } catch (error) {
    throw asBackupError(error, file)
  }
  throw new UserError(1, 'not-a-backup', `${file} is no backup of Orch: it is empty`)
}

function proved(file: string, sql: Sql, version: number): BackupFacts {
  const problems = problemsOf(sql)
  if (problems.length > 0) throw damaged(file, problems.join('; '))
  const facts = factsOf(sql, version)
  if (!sql.get("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'backup'"))
    return { ...facts, madeAt: null, files: [] }
  const said = sql.all<{ format: number; made_at: number; digest: string }>('SELECT * FROM backup')[0]
  if (!said) throw damaged(file, 'it was never finished')
  if (said.format > FORMAT)
    throw new UserError(6, 'newer-backup', `${file} was made by a newer orch (format ${said.format}); install that one`)
  if (said.digest !== digestOf(sql)) throw damaged(file, 'its rows are not those that were copied')
  const rows = sql.all<BackupFile & { n: number; sha256: string }>('SELECT * FROM backup_files ORDER BY n')
  const files = rows.map(({ n, path, kind, mode, bytes, sha256: expected }): BackupFile => {
    const hash = createHash('sha256')
    for (const chunk of chunksOf(sql, n)) hash.update(chunk)
    if (hash.digest('hex') !== expected) throw damaged(file, `${path} in it is not what was copied`)
    return { path, kind, mode, bytes }
  })
  return { ...facts, madeAt: said.made_at, files }
}

function* chunksOf(sql: Sql, file: number): Generator<Uint8Array> {
  for (const row of sql.each('SELECT data FROM backup_chunks WHERE file = ? ORDER BY n', file))
    yield row['data'] as Uint8Array
}

async function writeDatabase(
  { file, path, isCopy }: { file: string; path: string; isCopy: boolean },
  numbers: Record<string, number>,
): Promise<void> {
  copyFileSync(file, path)
  // A plain copy may have its latest commits beside it.
  if (isCopy && existsSync(`${file}-wal`)) copyFileSync(`${file}-wal`, `${path}-wal`)
  const sql = openToWrite(path)
  try {
    sql.exec('PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF')
    sql.exec('DROP TABLE IF EXISTS backup_chunks; DROP TABLE IF EXISTS backup_files; DROP TABLE IF EXISTS backup')
    for (const [project, last] of Object.entries(numbers)) sql.run(RAISE, project, last)
    sql.exec('VACUUM')
  } finally {
    sql.close()
  }
  syncFile(path)
}

const RAISE =
  'INSERT INTO counters (project, last) VALUES (?, ?) ON CONFLICT DO UPDATE SET last = max(last, excluded.last)'

function numbersOf(database: string): Record<string, number> {
  try {
    const { sql } = openAsItIs(database)
    try {
      const rows = sql.all<{ project: string; last: number }>('SELECT project, last FROM counters')
      return Object.fromEntries(rows.map((row) => [row.project, row.last]))
    } finally {
      sql.close()
    }
  } catch {
    // A damaged one is what is being replaced.
    return {}
  }
}

function settle(database: string): void {
  if (!existsSync(`${database}-wal`)) return
  try {
    const sql = openToWrite(database)
    try {
      sql.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    } finally {
      sql.close()
    }
  } catch {
    // Damaged: it is moved aside together with its log.
  }
}

function openToWrite(path: string): Sql {
  try {
    return makeSql(new DatabaseSync(path, { timeout: READ_BUSY_MS }), path)
  } catch (error) {
    throw translateError(error, path)
  }
}

/** What is wrong with a backup is told as that, not as trouble of the database in use. */
function asBackupError(error: unknown, file: string): unknown {
  if (isBusy(error)) return new UserError(4, 'in-use', `${file} is in use by another program; try again`)
  if (!(error instanceof UserError)) return error
  switch (error.code) {
    case 'corrupt-database':
      return damaged(file, messageOf(error))
    case 'not-a-database':
    case 'foreign-database':
      return new UserError(1, 'not-a-backup', `${file} is no backup of Orch: it is another kind of file`)
    case 'newer-database':
      return new UserError(6, 'newer-backup', `${file} was made by a newer orch; install that one to use it`)
    default:
      return error
  }
}

const damaged = (file: string, how: string): UserError =>
  new UserError(1, 'damaged-backup', `${file} is damaged and can't be used: ${how}`)

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

function syncFile(path: string): void {
  const descriptor = openSync(path, 'r+')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
