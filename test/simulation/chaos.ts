// Where processes die and calls go wrong. Every durable write and every effect on the world passes here, before and after
// it is applied, with the kind of job it is made for.

import { AsyncLocalStorage } from 'node:async_hooks'
import type { ProcessIdentity } from '../../src/lib/process-identity.ts'
import { ExternalError } from '../../src/lib/errors.ts'
import type { Cell, Strike } from './cells.ts'
import type { Plan } from './plan.ts'
import type { Random } from './random.ts'
import type { Owner, Scheduler } from './scheduler.ts'

/** One process of Orch: a service, or a person's command. */
export interface Process extends Owner {
  identity: ProcessIdentity
  kind: 'service' | 'command'
  /** Points passed so far. */
  points: number
  /** It dies at this point, whichever it is. */
  diesAt: number
  die: () => void
  /** Asks it to end in good order; only a service listens. */
  stop: () => void
}

/** Which job's handler is at work. */
export const jobAtWork = new AsyncLocalStorage<JobAtWork>()

export interface JobAtWork {
  kind: string
  id: number
}

/** One thing that went wrong on purpose. */
export interface Blow extends Cell {
  job: number | null
}

export interface Chaos {
  /** Nothing goes wrong any more. */
  isCalm: boolean
  deathsLeft: number
  blows: Blow[]
  /** Points passed, by name. */
  passed: Set<string>
  /** Durable writes so far. */
  writes: number
}

export interface ChaosDeps {
  chaos: Chaos
  plan: Plan
  random: Random
  scheduler: Scheduler
}

export function makeChaos(plan: Plan): Chaos {
  return { isCalm: false, deathsLeft: plan.deaths, blows: [], passed: new Set(), writes: 0 }
}

/** How a call of the world may go wrong beside the process dying. */
export interface Faults<T> {
  /** What the caller sees of a call that failed: a value or a throw. */
  failed: () => T
  /** What it sees of one that was acknowledged and never applied. Absent: that can't happen. */
  lost?: () => T
}

interface Step<T> {
  name: string
  /** The job that it is for, where no handler is at work. */
  job?: JobAtWork | undefined
  /** Must do everything at once, whatever it promises. */
  apply: () => T | Promise<T>
  /** Ms before and after it. */
  takes: readonly [number, number]
  faults?: Faults<T>
}

export const unreachable = (system: string): never => {
  throw new ExternalError({ system, kind: 'unreachable', message: `${system} can't be reached` })
}

/** A call of the world or a durable write by a process. */
export async function step<T>(
  deps: ChaosDeps,
  process: Process,
  { name, apply, takes, faults, job = jobAtWork.getStore() }: Step<T>,
): Promise<T> {
  const { scheduler } = deps
  const at = { point: `${job?.kind ?? process.kind}:${name}`, job: job?.id ?? null }
  if (takes[1] > 0) await scheduler.pause(process, takes)
  if (dies(deps, process, { ...at, strike: 'before' })) return never()
  const fault = faults ? drawFault(deps, process, { ...at, faults }) : null
  if (fault === 'refused') return failedNow(faults)
  const value = await (fault === 'lost' && faults?.lost ? faults.lost() : apply())
  if (dies(deps, process, { ...at, strike: 'after' })) return never()
  await scheduler.pause(process, takes)
  return fault === 'failed' ? failedNow(faults) : value
}

function failedNow<T>(faults: Faults<T> | undefined): T {
  if (!faults) throw new Error('a fault without a way to fail')
  return faults.failed()
}

/** What a dead process waits for. */
function never<T>(): Promise<T> {
  return new Promise<T>(() => undefined)
}

function dies(deps: ChaosDeps, process: Process, at: Blow): boolean {
  const { chaos } = deps
  if (!process.alive) return true
  if (process.kind !== 'service') return false
  chaos.passed.add(at.point)
  process.points += 1
  if (chaos.isCalm || chaos.deathsLeft === 0) return false
  if (process.points !== process.diesAt && !isTarget(deps, at)) return false
  chaos.deathsLeft -= 1
  chaos.blows.push(at)
  process.die()
  return true
}

function drawFault<T>(
  deps: ChaosDeps,
  process: Process,
  { point, job, faults }: { point: string; job: number | null; faults: Faults<T> },
): Strike | 'refused' | null {
  const { chaos, plan, random } = deps
  if (chaos.isCalm || process.kind !== 'service') return null
  const isAimed = (['failed', 'lost'] as const).find((strike) => isTarget(deps, { point, strike }))
  const drawn = random.chance(plan.faultRate) ? random.pick(['failed', 'refused', 'lost'] as const) : null
  const fault = isAimed ?? drawn
  if (fault === null || (fault === 'lost' && !faults.lost)) return null
  chaos.blows.push({ point, job, strike: fault })
  return fault
}

/** True at the `nth` time that one of the seed's own targets is passed. */
function isTarget({ plan }: ChaosDeps, at: Cell): boolean {
  const target = plan.targets.find(({ cell }) => cell.point === at.point && cell.strike === at.strike)
  if (!target) return false
  target.nth -= 1
  return target.nth === 0
}
