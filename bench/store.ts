// The store beside its limits: a transition against a bare script of the same SQL. Claims are measured in a file of their own.

import { copyFileSync, closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Task } from '../src/core/task.ts'
import { INSERT_EVENT, UPDATE_TASK, lineOf } from '../src/store/sqlite-commit.ts'
import { INSERT_JOB } from '../src/store/sqlite-jobs.ts'
import { OFFER } from '../src/store/sqlite-lanes.ts'
import { openStore } from '../src/store/sqlite.ts'
import type { Commit, Store } from '../src/store/store.ts'
import { benchClaims } from './claims.ts'
import { INFORMS, type Measure, atLeast, median, ratioOf, rotatedRounds } from './lib.ts'
import { buildStatusFixture, openedTask, samplePolicy } from './store-fixture.ts'

/** Many short rounds: what else the machine does falls on both sides alike. */
const ROUNDS = 250
const TRANSITIONS_A_ROUND = 20
const TASK = 'BENCH-1'

/** All measures of the store; takes about half a minute and 100 MB of the temporary folder. */
export async function benchStore(): Promise<Measure[]> {
  const dir = mkdtempSync(join(tmpdir(), 'orch-bench-store-'))
  try {
    // Claims first: they write little, and the other's fixture leaves the disk busy for seconds.
    const claims = await benchClaims(dir)
    return [...(await benchTransition(dir)), ...claims]
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

async function benchTransition(dir: string): Promise<Measure[]> {
  const ours = join(dir, 'ours.db')
  const bare = join(dir, 'bare.db')
  await buildStatusFixture(ours, 20_000)
  const states = await openBenchTask(ours)
  copyFileSync(ours, bare)
  const store = await openStore(ours)
  const bareRound = makeBareRound(bare, states)
  const results = await rotatedRounds(
    { bare: bareRound.run, store: () => storeRound(store, states), fdatasync: () => fdatasyncRound(join(dir, 'sync')) },
    ROUNDS,
  )
  store.close()
  bareRound.close()
  const ratio = ratioOf(results.store, results.bare)
  const toDisk = ratioOf(results.store, results.fdatasync)
  return [
    {
      name: 'transition: event, row, job',
      value: median(results.store),
      unit: '/s',
      limit: median(results.bare),
      ratio,
      target: '≥ 0.9 × bare SQL',
      ...atLeast(ratio, 0.9),
    },
    {
      name: 'transition beside fdatasync',
      value: median(results.store),
      unit: '/s',
      limit: median(results.fdatasync),
      ratio: toDisk,
      ...INFORMS,
    },
  ]
}

/** Two states of one task that follow each other for ever: a status change is what most transitions are. */
async function openBenchTask(path: string): Promise<readonly [Task, Task]> {
  const { task, event } = openedTask({ id: TASK, project: 'BENCH', at: 1 })
  const queued: Task = { ...task, policy: samplePolicy() }
  const store = await openStore(path)
  const events: Commit['events'] = [{ id: TASK, body: { stream: 'task', event } }]
  await store.commit({ ...commitOf(queued, 0), events })
  store.close()
  return [queued, { ...queued, status: 'running' }]
}

function commitOf(state: Task, expected: number): Commit {
  return {
    at: 2,
    actor: { kind: 'engine', name: 'bench' },
    cause: 'job:1/run',
    correlation: 'bench-correlation',
    aggregates: [{ kind: 'task', id: TASK, expected, state }],
    events: [{ id: TASK, body: { stream: 'task', event: { type: 'step.begun', data: { epoch: 1 } } } }],
    effects: [{ effect: { kind: 'run', task: TASK, epoch: 1 }, lane: 'run:BENCH', laneCapacity: 4, rank: 1, runAt: 0 }],
    intents: [],
  }
}

async function storeRound(store: Store, states: readonly [Task, Task]): Promise<number> {
  const first = store.getTask(TASK)?.version ?? 0
  const startedAt = performance.now()
  for (let n = 0; n < TRANSITIONS_A_ROUND; n++) {
    const result = await store.commit(commitOf(n % 2 ? states[1] : states[0], first + n))
    if (!result.ok) throw new Error(`a transition of the bench was refused: ${result.because}`)
  }
  return TRANSITIONS_A_ROUND / ((performance.now() - startedAt) / 1_000)
}

/** The same statements with ready values: no JSON, no checks, nothing in between. */
function makeBareRound(path: string, states: readonly [Task, Task]): { run: () => number; close: () => void } {
  const db = new DatabaseSync(path)
  db.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 4000',
  )
  const [begin, commit] = [db.prepare('BEGIN IMMEDIATE'), db.prepare('COMMIT')]
  const [event, row, job, lane] = [
    db.prepare(INSERT_EVENT),
    db.prepare(UPDATE_TASK),
    db.prepare(INSERT_JOB),
    db.prepare(OFFER),
  ]
  const lines = states.map(lineOf)
  let version = 1
  const run = (): number => {
    const startedAt = performance.now()
    for (let n = 0; n < TRANSITIONS_A_ROUND; n++) {
      begin.run()
      row.run(...(lines[n % 2] ?? []), version + 1, TASK, version)
      event.run(
        2,
        'task',
        TASK,
        TASK,
        'step.begun',
        1,
        'engine',
        'bench',
        'job:1/run',
        'bench-correlation',
        '{"epoch":1}',
      )
      const { lastInsertRowid } = job.run(
        'run',
        TASK,
        1,
        '{"kind":"run","task":"BENCH-1","epoch":1}',
        'run:BENCH',
        1,
        0,
        'queued',
        1,
      )
      lane.run('run:BENCH', 4, 1, lastInsertRowid)
      commit.run()
      version++
    }
    return TRANSITIONS_A_ROUND / ((performance.now() - startedAt) / 1_000)
  }
  return { run, close: () => db.close() }
}

function fdatasyncRound(path: string): number {
  const block = Buffer.alloc(4_096, 1)
  const file = openSync(path, 'w')
  const startedAt = performance.now()
  for (let n = 0; n < TRANSITIONS_A_ROUND; n++) {
    writeSync(file, block, 0, block.length, 0)
    fdatasyncSync(file)
  }
  const rate = TRANSITIONS_A_ROUND / ((performance.now() - startedAt) / 1_000)
  closeSync(file)
  return rate
}
