// A claim among 100,000 jobs, beside the least that one can cost: the same choice with counters alone, in plain SQL.

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { connect } from '../src/store/sql-connection.ts'
import { type Durability, type Sql, type Write, makeWrite } from '../src/store/sql.ts'
import { type JobWrites, makeJobs } from '../src/store/sqlite-jobs.ts'
import { INFORMS, type Measure, atMost, median, percentile, ratioOf } from './lib.ts'
import { queueJobs } from './store-fixture.ts'

const ROUNDS = 7
const CLAIMS_A_ROUND = 1_000

/** 100,000 jobs each. `busy` lanes are filled to their capacity before the measuring starts. */
const SCENES = [
  { name: 'easy', busy: 0, busyJobs: 0, free: 200, freeJobs: 500 },
  { name: 'full lanes in front', busy: 100, busyJobs: 500, free: 100, freeJobs: 500 },
  { name: '99 % in full lanes', busy: 1_000, busyJobs: 99, free: 10, freeJobs: 100 },
] as const

/**
 * Twice the bare claim at the middle. At the slow end 2.6 times: 250 µs where the bare one took 96. Both were set on one
 * machine in µs (40 and 250); only the ratio to what was measured in the same rounds carries over to another.
 */
const TARGETS = [
  { what: 'p50', p: 0.5, most: 2 },
  { what: 'p99', p: 0.99, most: 2.6 },
] as const

/** Times in µs of the single claims of one round. */
interface Round {
  ours: number[]
  bare: number[]
}

/** All measures of claims; about 15 s and 60 MB in `dir`. */
export async function benchClaims(dir: string): Promise<Measure[]> {
  const measures: Measure[] = []
  const bare = makeBareClaim(join(dir, 'bare-claims.db'))
  for (const scene of SCENES) {
    const rounds = await claimRounds(join(dir, `${scene.busy}-${scene.free}.db`), {
      scene,
      bare,
      durability: 'ordered',
    })
    for (const { what, p, most } of TARGETS) {
      const [ours, limits] = [percentiles(rounds, 'ours', p), percentiles(rounds, 'bare', p)]
      const ratio = ratioOf(ours, limits)
      measures.push({
        name: `claim of 100,000, ${scene.name}, ${what}`,
        value: median(ours),
        unit: 'µs',
        limit: median(limits),
        ratio,
        target: `≤ ${most} × bare claim`,
        ...atMost(ratio, most),
      })
    }
  }
  // The store leaves a claim's sync to the next durable commit; this is what it would cost to do it at once.
  const rounds = await claimRounds(join(dir, 'synced.db'), { scene: SCENES[0], bare, durability: 'durable' })
  const value = median(percentiles(rounds, 'ours', 0.5))
  measures.push({ name: 'claim of 100,000, easy, synced at once, p50', value, unit: 'µs', limit: null, ...INFORMS })
  bare.close()
  return measures
}

const percentiles = (rounds: Round[], whose: keyof Round, p: number): number[] =>
  rounds.map((round) => percentile(round[whose], p))

/** Each claimed job is ended and replaced, so that the queue stays as it was. */
async function claimRounds(
  path: string,
  options: { scene: (typeof SCENES)[number]; bare: BareClaim; durability: Durability },
): Promise<Round[]> {
  const sql = await connect(path)
  const write = makeWrite(sql)
  const always: Write = (_durability, work) => write(options.durability, work)
  const jobs = makeJobs(sql, always)
  await fillLanes(sql, jobs, options.scene)
  const rounds: Round[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const times: Round = { ours: [], bare: [] }
    for (let n = 0; n < CLAIMS_A_ROUND; n++) {
      const startedAt = performance.now()
      const job = await jobs.claim({ worker: 'bench', now: 2, leaseMs: 1e9 })
      times.ours.push((performance.now() - startedAt) * 1_000)
      times.bare.push(options.bare.claim())
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

async function fillLanes(sql: Sql, jobs: JobWrites, scene: (typeof SCENES)[number]): Promise<void> {
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
}

interface BareClaim {
  /** Claims the best job, measures that, puts it back; µs. */
  claim(): number
  close(): void
}

/**
 * What the targets were set against: 100,000 jobs of 200 repositories, three in ten of them waiting for others, a count of
 * running jobs for each repository, one index of the ready ones. No lease, no fencing, no lane that is full.
 */
function makeBareClaim(path: string): BareClaim {
  const db = new DatabaseSync(path)
  db.exec(BARE_SCHEMA)
  const [begin, commit] = [db.prepare('BEGIN IMMEDIATE'), db.prepare('COMMIT')]
  const [best, take, count] = [db.prepare(BARE_BEST), db.prepare(BARE_TAKE), db.prepare(BARE_COUNT)]
  const putBack = db.prepare("UPDATE jobs SET state = 'queued', worker = NULL WHERE id = ?")
  const change = (statement: typeof take, job: { id: number; repository: number }, by: 1 | -1): void => {
    if (by === 1) statement.run('bench', job.id)
    else statement.run(job.id)
    count.run(by, job.repository)
    commit.run()
  }
  const claim = (): number => {
    const startedAt = performance.now()
    begin.run()
    const job = best.get() as { id: number; repository: number } | undefined
    if (!job) throw new Error('the bare queue of the bench is empty')
    change(take, job, 1)
    const us = (performance.now() - startedAt) * 1_000
    begin.run()
    change(putBack, job, -1)
    return us
  }
  return { claim, close: () => db.close() }
}

const BARE_SCHEMA = `
PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 4000;
CREATE TABLE repositories (id INTEGER PRIMARY KEY, capacity INTEGER NOT NULL, running INTEGER NOT NULL) STRICT;
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY, repository INTEGER NOT NULL, priority INTEGER NOT NULL, pending INTEGER NOT NULL,
  state TEXT NOT NULL, worker TEXT, effect TEXT NOT NULL
) STRICT;
CREATE INDEX jobs_open ON jobs (priority DESC, id) WHERE state = 'queued' AND pending = 0;
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 199)
  INSERT INTO repositories SELECT i, 1000, 0 FROM n;
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999)
  INSERT INTO jobs SELECT i, i % 200, i % 5, i * 7 % 10 < 3, 'queued', NULL, '{"kind":"run","task":"BENCH-1","epoch":1}' FROM n`

const BARE_BEST = `
SELECT jobs.id, repository FROM jobs INDEXED BY jobs_open CROSS JOIN repositories ON repositories.id = repository
WHERE state = 'queued' AND pending = 0 AND running < capacity ORDER BY priority DESC, jobs.id LIMIT 1`

const BARE_TAKE = `UPDATE jobs SET state = 'running', worker = ? WHERE id = ?`

const BARE_COUNT = `UPDATE repositories SET running = running + ? WHERE id = ?`
