// The books of a world, read from outside while nobody or somebody works: landings by plain git, rows by the database.

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { openQueries } from '../../src/store/sqlite-queries.ts'
import { rowMismatches } from '../../src/store/test-fold-journal.ts'
import type { World } from './harness.ts'

/** How often main holds a landing of each task. */
export async function landings(world: World): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>()
  const log = await world.git(
    'log',
    '--first-parent',
    '--format=%H %(trailers:key=Orch-Task,valueonly,separator=%x20)',
    'main',
  )
  for (const line of log.split('\n')) {
    const [sha = '', task = ''] = line.split(' ')
    if (task !== '') found.set(task, [...(found.get(task) ?? []), sha])
  }
  return found
}

/** What the books say that they should not: work, runs and intents left open, jobs given up, rows that aren't their events. */
export function wrongBooks(world: World): string[] {
  const path = join(world.home, 'orch.db')
  const queries = openQueries(path)
  if (!queries) return [`${path} can't be read`]
  const database = new DatabaseSync(path, { readOnly: true })
  try {
    const { ready, running } = queries.jobSummary()
    const begun = new Map<unknown, number>()
    for (const { type, data } of queries.listEvents({}))
      if (type === 'run.begun') begun.set(data['runId'], (begun.get(data['runId']) ?? 0) + 1)
    return [
      ...database
        .prepare('PRAGMA integrity_check')
        .all()
        .flatMap((row) => (row['integrity_check'] === 'ok' ? [] : [JSON.stringify(row)])),
      ...database
        .prepare('SELECT id, effect, error FROM jobs WHERE error IS NOT NULL')
        .all()
        .map((row) => `given up: ${JSON.stringify(row)}`),
      ...(ready + running > 0 ? [`${ready} jobs are ready, ${running} are running`] : []),
      ...queries.listRuns({ live: true }).map((run) => `run ${run.id} is live`),
      ...queries.listIntents({ state: 'open' }).map((intent) => `intent ${JSON.stringify(intent)} is open`),
      ...[...begun]
        .filter(([, times]) => times > 1)
        .map(([run, times]) => `run ${String(run)} was begun ${times} times`),
      ...rowMismatches(queries),
    ]
  } finally {
    database.close()
    queries.close()
  }
}

/** Pids of the services that hold a job right now. */
export function busyServices(world: World): number[] {
  const database = new DatabaseSync(join(world.home, 'orch.db'), { readOnly: true })
  try {
    const rows = database.prepare('SELECT DISTINCT worker FROM jobs WHERE worker IS NOT NULL').all()
    // A worker's name begins with its pid.
    return rows.map((row) => Number.parseInt(String(row['worker']), 10))
  } finally {
    database.close()
  }
}
