// Opens the Reader alone: the database's queries and two small files. Part of the composition root.

import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Reader, ServiceView } from './flow/app.ts'
import type { ListenerView } from './flow/webhooks.ts'
import { makeReader } from './flow/reader.ts'
import { isSameProcessAlive, type ProcessIdentity } from './lib/process-identity.ts'
import { openQueries } from './store/sqlite-queries.ts'
import type { Queries } from './store/store.ts'

/** The Reader of an ORCH_HOME, or null when it has no database yet. */
export async function openReader(home: string): Promise<Reader | null> {
  const path = join(home, 'orch.db')
  const queries = openQueries(path) ?? (existsSync(path) ? await migrated(path) : null)
  return queries && readerOver(home, { queries, close: () => queries.close() })
}

/** A database of an older version is brought up to date by whoever comes first, also by one that only looks. */
async function migrated(path: string): Promise<ReturnType<typeof openQueries>> {
  const { openStore } = await import('./store/sqlite.ts')
  ;(await openStore(path)).close()
  return openQueries(path)
}

/** The Reader over queries that are open already. */
export function readerOver(home: string, parts: { queries: Queries; close: () => void }): Reader {
  return makeReader({
    ...parts,
    home,
    service: () => readService(home),
    listener: () => (readService(home).running ? readListener(home) : null),
    lastActivity: (runId) => lastActivity(join(home, 'runs', runId)),
    now: Date.now,
  })
}

/** Whether an `orch up` runs: its own file, believed only while exactly that process lives. */
function readService(home: string): ServiceView {
  try {
    const found = JSON.parse(readFileSync(join(home, 'service.json'), 'utf8')) as ProcessIdentity & { since: string }
    if (isSameProcessAlive(found)) return { running: true, pid: found.pid, since: found.since }
  } catch {
    // No file, or one half-written by a process that just died: nothing runs.
  }
  return { running: false, pid: null, since: null }
}

/** Beside the service's own file, and believed only together with it. */
function readListener(home: string): ListenerView | null {
  try {
    return JSON.parse(readFileSync(join(home, 'listener.json'), 'utf8')) as ListenerView
  } catch {
    return null
  }
}

function lastActivity(dir: string): number | null {
  const times = ['output.log', 'stderr.log'].map((name) => {
    try {
      return statSync(join(dir, name)).mtimeMs
    } catch {
      return 0
    }
  })
  const latest = Math.max(...times)
  return latest === 0 ? null : latest
}
