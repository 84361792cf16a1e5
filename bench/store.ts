// The store beside its limits: a transition against a bare script of the same SQL, a claim among 100,000 jobs.

import { copyFileSync, closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Task } from '../src/core/task.ts'
import { connect } from '../src/store/sql-connection.ts'
import { keep, makeWrite } from '../src/store/sql.ts'
import { INSERT_EVENT, UPDATE_TASK, lineOf } from '../src/store/sqlite-commit.ts'
import { INSERT_JOB, makeJobs } from '../src/store/sqlite-jobs.ts'
import { OFFER } from '../src/store/sqlite-lanes.ts'
import { openStore } from '../src/store/sqlite.ts'
import type { Commit, Store } from '../src/store/store.ts'
import { INFORMS, type Measure, atLeast, atMost, median, percentile, ratioOf, rotatedRounds } from './lib.ts'
import { buildStatusFixture, openedTask, queueJobs, samplePolicy } from './store-fixture.ts'

/** Many short rounds: what else the machine does falls on both sides alike. */
const ROUNDS = 250
const TRANSITIONS_A_ROUND = 20
const CLAIM_ROUNDS = 7
const CLAIMS_A_ROUND = 1_000
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

/** 100,000 jobs each. `busy` lanes are filled to their capacity before the measuring starts. */
const SCENES = [
  { name: 'easy', busy: 0, busyJobs: 0, free: 200, freeJobs: 500 },
  { name: 'full lanes in front', busy: 100, busyJobs: 500, free: 100, freeJobs: 500 },
  { name: '99 % in full lanes', busy: 1_000, busyJobs: 99, free: 10, freeJobs: 100 },
] as const

async function benchClaims(dir: string): Promise<Measure[]> {
  const measures: Measure[] = []
  for (const scene of SCENES) {
    const rounds = await claimRounds(join(dir, `${scene.busy}-${scene.free}.db`), { ...scene, synced: false })
    for (const { what, p, most } of CLAIM_TARGETS) {
      const value = median(rounds.map((round) => percentile(round.claims, p)))
      const limit = median(rounds.map((round) => percentile(round.writes, p)))
      const name = `claim of 100,000, ${scene.name}, ${what}`
      measures.push({ name, value, unit: 'µs', limit, target: `≤ ${most} µs`, ...atMost(value, most) })
    }
  }
  // The store leaves a claim's sync to the next durable commit; this is what it would cost to do it at once.
  const rounds = await claimRounds(join(dir, 'synced.db'), { ...SCENES[0], synced: true })
  const name = 'claim of 100,000, easy, synced at once, p50'
  const value = median(rounds.map((round) => median(round.claims)))
  const limit = median(rounds.map((round) => median(round.writes)))
  measures.push({ name, value, unit: 'µs', limit, ...INFORMS })
  return measures
}

const CLAIM_TARGETS = [
  { what: 'p50', p: 0.5, most: 40 },
  { what: 'p99', p: 0.99, most: 250 },
] as const

interface ClaimRound {
  /** Times in µs of single claims, and of the smallest possible write beside each: what the machine gave just then. */
  claims: number[]
  writes: number[]
}

/** Each claimed job is ended and replaced, so that the queue stays as it was. */
async function claimRounds(path: string, scene: (typeof SCENES)[number] & { synced: boolean }): Promise<ClaimRound[]> {
  const sql = await connect(path)
  const write = makeWrite(sql)
  const jobs = makeJobs(sql, scene.synced ? (_durability, work) => write('durable', work) : write)
  const busy = Array.from({ length: scene.busy }, (_, n) => ({
    key: `busy-${n}`,
    capacity: 2,
    jobs: scene.busyJobs,
    firstRank: n,
  }))
  // Free lanes come after every busy one in the order, whatever their jobs' ranks.
  const free = Array.from({ length: scene.free }, (_, n) => ({
    key: `free-${n}`,
    capacity: 4,
    jobs: scene.freeJobs,
    firstRank: 1e6 + n,
  }))
  await queueJobs(sql, [...busy, ...free])
  for (let n = 0; n < scene.busy * 2; n++) await jobs.claim({ worker: 'busy', now: 1, leaseMs: 1e9 })
  const durability = scene.synced ? 'durable' : 'ordered'
  await write('durable', () => keep(sql.run("INSERT INTO counters VALUES ('bench', 0)")))
  const rounds: ClaimRound[] = []
  for (let round = 0; round < CLAIM_ROUNDS; round++) {
    const times: ClaimRound = { claims: [], writes: [] }
    for (let n = 0; n < CLAIMS_A_ROUND; n++) {
      const startedAt = performance.now()
      const job = await jobs.claim({ worker: 'bench', now: 2, leaseMs: 1e9 })
      const endedAt = performance.now()
      await write(durability, () => keep(sql.run('UPDATE counters SET last = last + 1')))
      times.writes.push((performance.now() - endedAt) * 1_000)
      times.claims.push((endedAt - startedAt) * 1_000)
      if (!job?.lane.startsWith('free'))
        throw new Error(`the bench expected a job of a free lane and got ${job?.lane ?? 'none'}`)
      await jobs.finish({ jobId: job.id, token: job.token })
      await queueJobs(sql, [{ key: job.lane, capacity: 4, jobs: 1, firstRank: 1e6 + 1_000 + n }], 'ordered')
    }
    rounds.push(times)
  }
  sql.close()
  return rounds
}
