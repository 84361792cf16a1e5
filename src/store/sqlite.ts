// The store on one SQLite file, through node:sqlite. WAL, synchronous FULL, foreign keys on.
// Several processes share the file; none ever blocks its event loop on another's lock.

import { VERSION, connect } from './sql-connection.ts'
import { type Sql, makeWrite } from './sql.ts'
import { makeCommit } from './sqlite-commit.ts'
import { readHealth } from './sqlite-health.ts'
import { makeJobs } from './sqlite-jobs.ts'
import { makeQueries } from './sqlite-queries.ts'
import { makeHeal } from './sqlite-heal.ts'
import { makeRecords } from './sqlite-records.ts'
import { makeDeliveryWrites } from './sqlite-deliveries.ts'
import { makeTrackerWrites } from './sqlite-trackers.ts'
import type { Store } from './store.ts'

/**
 * Opens the store at `path`, creating the file (its folder must exist) and migrating an older one.
 * Throws UserError(6) for a database that is newer, damaged or not ours, and changes nothing then.
 */
export async function openStore(path: string): Promise<Store> {
  return makeStore(await connect(path))
}

export function makeStore(sql: Sql): Store {
  const write = makeWrite(sql)
  return {
    ...makeQueries(sql),
    ...makeJobs(sql, write),
    ...makeHeal(sql, write),
    ...makeRecords(sql, write),
    ...makeTrackerWrites(sql, write),
    ...makeDeliveryWrites(sql, write),
    commit: makeCommit(sql, write),
    health: () => readHealth(sql, VERSION),
    close: sql.close,
  }
}
