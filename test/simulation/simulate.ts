// One seed, from an empty database over everything that goes wrong to rest, and what was seen on the way.

import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isTerminal } from '../../src/core/lifecycle.ts'
import { connect } from '../../src/store/sql-connection.ts'
import type { Sql } from '../../src/store/sql.ts'
import { makeStore } from '../../src/store/sqlite.ts'
import { type Blow, makeChaos } from './chaos.ts'
import { checkLive } from './check-live.ts'
import { checkAtRest, taskIds } from './check-rest.ts'
import { makeObjects, makeRemote } from './git.ts'
import { startService } from './orchestrator.ts'
import { happen, settleDown } from './outside.ts'
import { type People, makePeople } from './people.ts'
import { makePlan } from './plan.ts'
import { makeRandom } from './random.ts'
import { isRed } from './agents.ts'
import { EPOCH, makeScheduler } from './scheduler.ts'
import { DRIVER, makeVendor } from './vendor.ts'
import { type Sim, violate } from './sim.ts'

export interface Result {
  seed: number
  violations: string[]
  /** Of the journal: the same for the same seed. */
  hash: string
  blows: Blow[]
  points: Set<string>
  happened: Set<string>
  refused: Sim['refused']
  eventTypes: Set<string>
  counts: { events: number; journal: number; writes: number; done: number; cancelled: number; deaths: number }
  /** Last lines of the journal, for a person. */
  journal: string[]
  errors: string[]
}

/** After this long without trouble everything must rest: longer than the longest limit, and every budget of back-offs. */
const REST_WITHIN_MS = 24 * 3_600_000
/** By then a service is up, and has looked after everything twice: a start may be 200 s away, a sweep is a minute. */
const SWEPT_BY_MS = 330_000
/** The sensible person looks this often. */
const TEND_MS = 60_000
const TAIL = 25

/** Plays one seed; `file`: on a real database file, each process with its own connection. `tail`: lines of journal kept. */
export async function simulate(seed: number, options: { file: boolean; tail?: number }): Promise<Result> {
  const dir = options.file ? mkdtempSync(join(tmpdir(), 'orch-sim-')) : null
  const path = dir ? join(dir, 'orch.db') : ':memory:'
  const sql = await opened(path)
  try {
    const sim = makeSim(seed, { sql, path: dir ? path : null })
    const events = await play(sim)
    if (sim.violations.length === 0) checkAtRest(sim)
    for (const handle of sim.handles) handle.close()
    return resultOf(sim, { events, tail: options.tail ?? TAIL })
  } finally {
    sql.close()
    if (dir) rmSync(dir, { recursive: true, force: true })
  }
}

/** The disk is no part of it: its answers would come in real time. */
async function opened(path: string): Promise<Sql> {
  return { ...(await connect(path)), syncLog: () => Promise.resolve() }
}

function makeSim(seed: number, { sql, path }: { sql: Sql; path: string | null }): Sim {
  const random = makeRandom(seed)
  const plan = makePlan(seed, random)
  const objects = makeObjects()
  const store = makeStore(sql)
  const files = { '.orch.yml': 'one', theirs: 'x', shared: 'x' }
  const sim: Sim = {
    seed,
    plan,
    random,
    objects,
    store,
    sql,
    scheduler: makeScheduler(random),
    chaos: makeChaos(plan),
    remotes: new Map(plan.projects.map((id) => [id, makeRemote(objects, id, files)])),
    places: new Map(),
    runs: new Map(),
    files: new Map(),
    machine: { bootId: 'boot-1', nextPid: 0, live: [] },
    watchers: new Set(),
    openStore: async () => {
      if (path === null) return store
      const own = await opened(path)
      sim.handles.push(own)
      return makeStore(own)
    },
    verified: [],
    blames: [],
    violations: [],
    leases: new Map(),
    isForgeUp: true,
    vendors: new Map(),
    doors: new Map(),
    reopened: new Map(),
    isRed: (sha) => isRed(objects.get(sha).files),
    versions: new Map(),
    refused: { conflict: 0, 'stale-lease': 0, duplicate: 0 },
    happened: new Set(),
    errors: [],
    handles: [],
  }
  if (plan.webhooks !== null) for (const id of plan.projects) sim.vendors.set(id, makeVendor(sim, id))
  return sim
}

async function play(sim: Sim): Promise<number> {
  const { plan, scheduler, random } = sim
  for (const id of plan.projects)
    await sim.store.addProject({
      id,
      name: id,
      path: `/clones/${id}`,
      remote: `/remotes/${id}`,
      createdAt: 1,
      ...remotesOf(sim, id),
    })
  const people = await makePeople(sim)
  for (let n = 0; n < plan.orchestrators; n++) keepServed(sim, random.int(0, 5_000))
  for (let n = 0; n < plan.tasks; n++) {
    const delayMs = n === 0 ? 0 : random.int(0, plan.isBurst ? 3_000 : plan.chaosMs / 2)
    scheduler.at(delayMs, null, () => watched(sim, people.open()))
  }
  often(sim, plan.outsideMs, () => happen(sim))
  often(sim, plan.peopleMs, () => watched(sim, people.meddle()))
  let isAtRest = false
  scheduler.at(plan.chaosMs, null, () => {
    sim.chaos.isCalm = true
    settleDown(sim)
    tendUntilRest(sim, people, () => (isAtRest = true))
  })
  const deadline = plan.chaosMs + REST_WITHIN_MS
  const events = await scheduler.run(() => isAtRest || sim.violations.length > 0 || scheduler.elapsedMs() > deadline)
  if (!isAtRest && sim.violations.length === 0) violate(sim, `L5: it did not come to rest; ${openLines(sim)}`)
  return events
}

function remotesOf(sim: Sim, id: string) {
  const vendor = sim.vendors.get(id)
  const remote = vendor && { driver: DRIVER, ref: vendor.ref }
  return remote ? { tracker: remote, forge: remote } : {}
}

/** A service that died or was stopped is started again by somebody, after a while. */
function keepServed(sim: Sim, delayMs: number): void {
  sim.scheduler.at(delayMs, null, () => {
    startService(sim, () =>
      keepServed(sim, sim.random.chance(0.7) ? sim.random.int(50, 5_000) : sim.random.int(5_000, 200_000)),
    )
  })
}

/** Again and again until it is calm. */
function often(sim: Sim, everyMs: number, work: () => void): void {
  sim.scheduler.at(everyMs * (0.5 + sim.random.next()), null, () => {
    if (sim.chaos.isCalm) return
    work()
    often(sim, everyMs, work)
  })
}

function watched(sim: Sim, work: Promise<unknown>): void {
  work.catch((error: unknown) => sim.errors.push(error))
}

function tendUntilRest(sim: Sim, people: People, rest: () => void): void {
  if (isAtRest(sim)) return rest()
  if (sim.scheduler.elapsedMs() - sim.plan.chaosMs > SWEPT_BY_MS) checkLive(sim)
  watched(
    sim,
    people.tend().then(() => sim.scheduler.at(TEND_MS, null, () => tendUntilRest(sim, people, rest))),
  )
}

function isAtRest(sim: Sim): boolean {
  const { ready, delayed, running } = sim.store.jobSummary()
  const ids = taskIds(sim)
  const isEnded = (id: string): boolean => isTerminal(sim.store.getTask(id)?.state.status ?? 'queued')
  if (ready + delayed + running + sim.store.parkedJobs().length > 0 || !ids.every(isEnded)) return false
  // All that people did at the vendor was heard of.
  return [...sim.vendors.values()].every(
    (vendor) => vendor.polledAt > vendor.newsAt && sim.store.nextDelivery(DRIVER) === null,
  )
}

function openLines(sim: Sim): string {
  const lines = taskIds(sim).map((id) => {
    const task = sim.store.getTask(id)?.state
    return `${id} ${task?.status} ${task?.waitingFor ?? ''} jobs ${JSON.stringify(sim.store.jobsOf(id))}`
  })
  return lines.join('; ')
}

function resultOf(sim: Sim, { events, tail }: { events: number; tail: number }): Result {
  const { chaos, store } = sim
  const journal = store.listEvents({})
  const tasks = taskIds(sim).map((id) => store.getTask(id)?.state.status)
  const line = (entry: (typeof journal)[number]): string =>
    `${entry.seq} ${entry.at - EPOCH} ${entry.id} ${entry.type} [${entry.cause}] ${JSON.stringify(entry.data).slice(0, 160)}`
  return {
    seed: sim.seed,
    violations: sim.violations,
    hash: createHash('sha256').update(JSON.stringify(journal)).digest('hex'),
    blows: chaos.blows,
    points: chaos.passed,
    happened: sim.happened,
    refused: sim.refused,
    eventTypes: new Set(journal.map((entry) => entry.type)),
    counts: {
      events,
      journal: journal.length,
      writes: chaos.writes,
      done: tasks.filter((status) => status === 'done').length,
      cancelled: tasks.filter((status) => status === 'cancelled').length,
      deaths: sim.plan.deaths - chaos.deathsLeft,
    },
    journal: journal.slice(-tail).map(line),
    errors: sim.errors.map((error) => (error instanceof Error ? (error.stack ?? error.message) : String(error))),
  }
}
