// The lock of the one service per ORCH_HOME: an exclusive SQLite transaction held for the service's life.
// The operating system gives it back when the process dies, so there is no stale lock to judge.

import { DatabaseSync } from 'node:sqlite'

export interface ServiceLock {
  release(): void
}

/** Takes the lock, or gives null when another live process holds it. `path` is a file of its own. */
export function tryServiceLock(path: string): ServiceLock | null {
  const database = new DatabaseSync(path, { timeout: 0 })
  try {
    database.exec('pragma locking_mode = exclusive')
    database.exec('begin exclusive')
  } catch (error) {
    database.close()
    if (isBusy(error)) return null
    throw error
  }
  return {
    release: () => {
      if (database.isOpen) database.close()
    },
  }
}

/** SQLITE_BUSY (5) and SQLITE_LOCKED (6), https://sqlite.org/rescode.html. */
function isBusy(error: unknown): boolean {
  const code = (error as { errcode?: number }).errcode ?? 0
  return (code & 0xff) === 5 || (code & 0xff) === 6
}
