// A thin layer over one node:sqlite connection: statements prepared once, errors translated, writes in transactions.
// Invariant: a write transaction is either committed or rolled back before control goes back to the event loop;
// only the wait for another connection's lock is asynchronous.

import { closeSync, fdatasync, fsyncSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { isBusy, translateError } from './sql-errors.ts'
import { StoreBusyError } from './store.ts'

export interface Sql {
  path: string
  /** First row, or undefined. The caller names the row's type: the schema is the proof. */
  get<T>(text: string, ...values: SQLInputValue[]): T | undefined
  all<T>(text: string, ...values: SQLInputValue[]): T[]
  /** One row after the other, where all at once would be too many. Not prepared. */
  each(text: string, ...values: SQLInputValue[]): Iterable<Record<string, unknown>>
  run(text: string, ...values: SQLInputValue[]): { changes: number; id: number }
  /** Statements without values, not prepared. */
  exec(text: string): void
  inTransaction(): boolean
  /**
   * All that was committed before is on the disk when it resolves, as after a durable commit; the loop goes on meanwhile.
   * Rejects with what the disk said.
   */
  syncLog(): Promise<void>
  close(): void
}

/** How long a write may wait for other processes. */
export const BUSY_LIMIT_MS = 30_000

/** A commit takes well under a millisecond plus the disk's sync, so waiting longer between tries only adds latency. */
const LONGEST_PAUSE_MS = 25

export function makeSql(db: DatabaseSync, path: string): Sql {
  const prepared = new Map<string, StatementSync>()
  let log: number | null = null
  const statement = (text: string): StatementSync => {
    let found = prepared.get(text)
    if (!found) {
      found = db.prepare(text)
      prepared.set(text, found)
    }
    return found
  }
  // Written out in each: a shared wrapper would cost every statement of a commit a closure.
  return {
    path,
    get: <T>(text: string, ...values: SQLInputValue[]) => {
      try {
        return statement(text).get(...values) as T | undefined
      } catch (error) {
        throw translateError(error, path)
      }
    },
    all: <T>(text: string, ...values: SQLInputValue[]) => {
      try {
        return statement(text).all(...values) as T[]
      } catch (error) {
        throw translateError(error, path)
      }
    },
    *each(text, ...values) {
      try {
        yield* db.prepare(text).iterate(...values)
      } catch (error) {
        throw translateError(error, path)
      }
    },
    run: (text, ...values) => {
      try {
        const { changes, lastInsertRowid } = statement(text).run(...values)
        return { changes: Number(changes), id: Number(lastInsertRowid) }
      } catch (error) {
        throw translateError(error, path)
      }
    },
    exec: (text) => {
      try {
        db.exec(text)
      } catch (error) {
        throw translateError(error, path)
      }
    },
    inTransaction: () => db.isTransaction,
    syncLog: () =>
      new Promise((resolve, reject) => {
        log ??= openLog(path)
        fdatasync(log, (error) => (error ? reject(translateError(error, path)) : resolve()))
      }),
    close: () => {
      if (db.isOpen) db.close()
      if (log !== null) closeSync(log)
      log = null
    },
  }
}

/**
 * The write-ahead log, beside SQLite's own handle: locks are on other files. While a connection is open the log is never
 * replaced, and what a checkpoint takes out of it is synced first. Its name must be on the disk too.
 */
function openLog(path: string): number {
  const folder = openSync(dirname(path), 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
  return openSync(`${path}-wal`, 'r')
}

/** Several reads of one moment: nobody's commit shows in the middle. Not for use inside a write. */
export function snapshot<T>(sql: Sql, read: () => T): T {
  sql.run('BEGIN')
  try {
    return read()
  } finally {
    sql.run('COMMIT')
  }
}

/** What the work of a transaction says: keep what was written, or undo it all and hand back the value. */
export type Outcome<T> = { keep: true; value: T } | { keep: false; value: T }

export const keep = <T>(value: T): Outcome<T> => ({ keep: true, value })
export const undo = <T>(value: T): Outcome<T> => ({ keep: false, value })

/**
 * Durable commits are on the disk when the promise resolves. Those of the queue (claims, leases) survive the death of
 * every process, and a power cut may undo them: it also ends every worker, and whatever a worker commits durably
 * afterwards brings its claim to the disk before itself, as both are in one log.
 */
export type Durability = 'durable' | 'ordered'

/** `work` must be synchronous. May run it again only when nothing of it was kept. Throws StoreBusyError after `limitMs`. */
export type Write = <T>(durability: Durability, work: () => Outcome<T>) => Promise<T>

/** Makes the one way to write: BEGIN IMMEDIATE, tried again with a pause that leaves the event loop free. */
export function makeWrite(sql: Sql, limitMs: number = BUSY_LIMIT_MS): Write {
  return (durability, work) => whenFree({ path: sql.path, limitMs }, () => transact(sql, durability, work))
}

/** Does a synchronous piece of work, again while another connection's lock is in the way. Throws StoreBusyError. */
export async function whenFree<T>(wait: { path: string; limitMs: number }, work: () => T): Promise<T> {
  let deadline: number | undefined
  for (let tries = 0; ; tries++) {
    try {
      return work()
    } catch (error) {
      if (!isBusy(error)) throw error
      const now = performance.now()
      deadline ??= now + wait.limitMs
      if (now >= deadline) {
        const message = `could not write to ${wait.path}: other processes kept it locked for ${wait.limitMs / 1000} s; look for one that hangs`
        throw new StoreBusyError(message, error)
      }
    }
    await sleep(Math.min(1.5 ** tries, LONGEST_PAUSE_MS) * (0.5 + Math.random()))
  }
}

function transact<T>(sql: Sql, durability: Durability, work: () => Outcome<T>): T {
  // SQLite applies this pragma while it compiles it, so it can't be a prepared statement; the pair costs 1 µs.
  if (durability === 'ordered') sql.exec('PRAGMA synchronous = NORMAL')
  try {
    sql.run('BEGIN IMMEDIATE')
    const outcome = work()
    sql.run(outcome.keep ? 'COMMIT' : 'ROLLBACK')
    return outcome.value
  } catch (error) {
    // A full disk may have rolled back by itself.
    if (sql.inTransaction()) sql.run('ROLLBACK')
    throw error
  } finally {
    if (durability === 'ordered') sql.exec('PRAGMA synchronous = FULL')
  }
}
