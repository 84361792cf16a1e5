// Opens the Vault: what backup and restore need, and no database. Part of the composition root; loaded by their verbs alone.

import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { makeRunner } from './agents/runner.ts'
import { checkBackup, makeBackup } from './flow/backup.ts'
import { restoreBackup } from './flow/restore.ts'
import type { Vault } from './flow/vault.ts'
import { identifyProcess } from './lib/process-identity.ts'
import { tryServiceLock } from './store/lock.ts'
import { makeBackups } from './store/sqlite-backup.ts'
import { makeWorkKeeper } from './workspace/mirror-work.ts'

/** The Vault of an ORCH_HOME, which need not exist. */
export function openVault(home: string, env: NodeJS.ProcessEnv): Vault {
  const deps = {
    home,
    backups: makeBackups(),
    work: makeWorkKeeper({ home, env }),
    now: Date.now,
    newId: randomUUID,
    isAlive: (pid: number) => identifyProcess(pid) !== null,
    // Asked whether runs live, never to start one.
    runner: makeRunner({ runsDir: join(home, 'runs'), supervisor: [process.execPath], adapters: {} }),
    lock: () => tryServiceLock(join(home, 'service.lock')),
  }
  return {
    backup: (request) => makeBackup(deps, request),
    check: (file) => checkBackup(deps, file),
    restore: (request) => restoreBackup(deps, request),
  }
}
