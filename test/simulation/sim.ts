// One simulated machine with its remotes: what outlives every process, and what the checks know of it.

import type { CommitResult, Store } from '../../src/store/store.ts'
import type { Sql } from '../../src/store/sql.ts'
import type { Chaos, JobAtWork, Process } from './chaos.ts'
import type { Objects, Remote } from './git.ts'
import type { Plan } from './plan.ts'
import type { Random } from './random.ts'
import type { Scheduler } from './scheduler.ts'
import type { RunReport } from '../../src/agents/agent.ts'
import type { Doors, Vendor } from './vendor-state.ts'

export interface Place {
  task: string
  path: string
  head: string
  /** A reader's copy belongs to one run. */
  runId: string | null
}

/** An agent with its supervisor, as the machine knows it. */
export interface WorldRun {
  id: string
  task: string
  agent: string
  role: string
  stage: string
  cwd: string
  handoffDir: string
  startedAt: number
  state: 'running' | 'ended' | 'lost'
  report: RunReport | null
  isDeaf: boolean
  stoppedBy: string | null
  limitMs: number
  graceMs: number
  waiters: Set<() => void>
}

export interface Machine {
  bootId: string
  nextPid: number
  live: Process[]
}

export interface Watcher {
  process: Process
  changed: () => void
  isTold: boolean
}

export interface Sim {
  seed: number
  plan: Plan
  random: Random
  scheduler: Scheduler
  chaos: Chaos
  objects: Objects
  remotes: Map<string, Remote>
  places: Map<string, Place>
  runs: Map<string, WorldRun>
  files: Map<string, Uint8Array>
  machine: Machine
  watchers: Set<Watcher>
  /** The database as it is, for the world and the checks. */
  store: Store
  sql: Sql
  /** Another handle on the same database, for a process of its own. */
  openStore: () => Promise<Store>
  handles: Sql[]
  /** Results of verifications by tree. */
  verified: { tree: string; isGreen: boolean; sha: string }[]
  blames: { task: string; why: string }[]
  violations: string[]
  /** Which worker was given which job with which token. */
  leases: Map<number, { job: JobAtWork; process: Process; token: number; until: number }>
  isForgeUp: boolean
  /** By project; none where Orch keeps to its own list. */
  vendors: Map<string, Vendor>
  /** Where webhooks are taken. */
  doors: Doors
  /** Tasks that a person had opened anew, by issue. */
  reopened: Map<string, number>
  /** Whether a commit's verification fails. */
  isRed: (sha: string) => boolean
  /** The last version of each aggregate that was written. */
  versions: Map<string, number>
  /** Commits that were refused, by reason: races that somebody lost, leases that were over, deliveries that came twice. */
  refused: Record<Extract<CommitResult, { ok: false }>['because'], number>
  /** What happened around Orch, by name. */
  happened: Set<string>
  errors: unknown[]
}

export function violate(sim: Sim, text: string): void {
  sim.violations.push(text)
}

/** Notes what was the fault of a task's code: as many times may it be sent back (S13). */
export function blame(sim: Sim, task: string | null, why: string): void {
  if (task !== null) sim.blames.push({ task, why })
}

export function remoteOf(sim: Sim, project: string): Remote {
  const remote = sim.remotes.get(project)
  if (!remote) throw new Error(`there is no remote of ${project}`)
  return remote
}

/** Tells every process that something was committed, mostly at once; a watch may miss it, and then it is seen later. */
export function wake(sim: Sim): void {
  for (const watcher of sim.watchers) {
    if (!watcher.process.alive || watcher.isTold) continue
    watcher.isTold = true
    const delayMs = sim.random.chance(0.02) ? 2_000 : sim.random.next() * 4
    sim.scheduler.at(delayMs, watcher.process, () => {
      watcher.isTold = false
      watcher.changed()
    })
  }
}
