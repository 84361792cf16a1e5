// What SQLite's result codes mean for Orch. Told apart by code, never by text.

import { ExternalError, UserError, messageOf } from '../lib/errors.ts'

/** The low byte of an extended result code is the primary one (sqlite.org/rescode.html). */
const PRIMARY = 0xff
const BUSY = 5
const READONLY = 8
const IOERR = 10
const CORRUPT = 11
const FULL = 13
const CANTOPEN = 14
const PROTOCOL = 15
const NOTADB = 26
/** Extended codes: SQLITE_CONSTRAINT_UNIQUE; SQLITE_IOERR_SHMSIZE, the shared memory file could not grow. */
const CONSTRAINT_UNIQUE = 2067
const IOERR_SHMSIZE = 4874

function codeOf(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error)) return null
  return typeof error.errcode === 'number' ? error.errcode : null
}

/** True when another connection holds the lock: the same thing may be tried again. */
export function isBusy(error: unknown): boolean {
  const code = codeOf(error)
  if (code === null) return false
  // PROTOCOL is a lost race for a lock of the WAL; SQLite's own advice is to try again.
  return (code & PRIMARY) === BUSY || (code & PRIMARY) === PROTOCOL
}

export function isUniqueViolation(error: unknown): boolean {
  return codeOf(error) === CONSTRAINT_UNIQUE
}

/** The error to show for one that SQLite threw: UserError or ExternalError where a person can act, else the error itself. */
export function translateError(error: unknown, path: string): unknown {
  const code = codeOf(error)
  if (code === null) return error
  const said = messageOf(error)
  if (code === IOERR_SHMSIZE || (code & PRIMARY) === FULL) {
    const message = `could not write to the database ${path}: the disk is full (${said}); free some space and try again`
    return new ExternalError({ system: 'store', kind: 'disk-full', message, cause: error })
  }
  switch (code & PRIMARY) {
    case NOTADB:
      return new UserError(
        6,
        'not-a-database',
        `${path} is not a database of Orch (${said}); move it away, or set ORCH_HOME to another folder`,
      )
    case CORRUPT:
      return new UserError(
        6,
        'corrupt-database',
        `the database ${path} is damaged (${said}); restore a backup, or move it away to start afresh`,
      )
    case CANTOPEN:
      return new UserError(
        6,
        'database-unreachable',
        `could not open the database ${path} (${said}); check that its folder exists and may be written`,
      )
    case READONLY:
      return new UserError(
        6,
        'database-read-only',
        `could not write to the database ${path} (${said}); check who owns it and its permissions`,
      )
    case IOERR:
      return new ExternalError({
        system: 'store',
        kind: 'unreachable',
        message: `the disk refused the database ${path} (${said}); check the disk, then try again`,
        cause: error,
      })
    default:
      return error
  }
}
