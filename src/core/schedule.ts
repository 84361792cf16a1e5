// What may start now, and in which order: priority, age, lanes and their capacity, agents' limits.
// Invariant: age bounds order, so nothing starves (L3): a rank is fixed when work is queued and only time passes it.

import type { Account } from './account.ts'
import { limitedUntil } from './account.ts'
import type { Effect, EffectKind, QueuedEffect } from './messages.ts'
import type { Task } from './task.ts'

/** One level of priority is worth this much waiting, in ms: an older task of a lower level overtakes after it. */
const PRIORITY_STEP_MS = 3_600_000

/** Light jobs do no lasting work; eight at once keep two cores busy without crowding out a run. */
const LIGHT_CAPACITY = 8

/** Smaller goes first. */
export function rank(priority: number, queuedAt: number): number {
  return queuedAt - priority * PRIORITY_STEP_MS
}

/** The lane an effect runs in: runs and judgements share a project's capacity, landings are one at a time (S6). */
function laneOf(
  kind: EffectKind,
  project: string,
  capacity: { parallel: number; verifyParallel: boolean },
): { lane: string; laneCapacity: number } {
  switch (kind) {
    case 'run':
      return { lane: `run:${project}`, laneCapacity: capacity.parallel }
    case 'judge':
      return { lane: `judge:${project}`, laneCapacity: capacity.verifyParallel ? capacity.parallel : 1 }
    case 'land':
      return { lane: `land:${project}`, laneCapacity: 1 }
    case 'publish':
    case 'await':
    case 'tell':
    case 'stop-run':
    case 'release-dependants':
    case 'clean':
      return { lane: `light:${project}`, laneCapacity: LIGHT_CAPACITY }
    default:
      return kind satisfies never
  }
}

/** Puts an effect in its lane. `parallel` is used until the task has a policy of its own. */
export function queueEffect(
  effect: Effect,
  task: Task,
  options: { now: number; runAt?: number; parallel?: number },
): QueuedEffect {
  const parallel = task.policy?.limits.parallel ?? options.parallel ?? 1
  return {
    effect,
    ...laneOf(effect.kind, task.project, { parallel, verifyParallel: task.policy?.verifyParallel ?? false }),
    rank: rank(task.priority, task.createdAt),
    runAt: options.runAt ?? options.now,
  }
}

/** How soon, in ms, those who wait for another run's trial of an agent look again. A trial that ends tells nobody. */
const TRIAL_RECHECK_MS = 60_000

/** `why` is a sentence without its subject, the agent: `is limited (rate limit)`. */
export type MayBegin = { ok: true; canary: boolean; why: string } | { ok: false; until: number; why: string }

/**
 * Whether a run on this account may begin now; if not, until when it must wait, which is always ahead. `canary`: it
 * would be the one run that tries an agent whose breaker is open. `time` writes a time in ms into the sentence.
 */
export function mayBegin(account: Account | null, now: number, time?: (at: number) => string): MayBegin {
  const until = limitedUntil(account, now)
  if (until !== null) {
    const ends = time ? ` until ${time(until)}` : ''
    return { ok: false, until, why: `is limited${ends} (${limitWords(account?.limitReason)})` }
  }
  const { breaker } = account ?? {}
  if (!breaker || breaker.retryAt === null) return { ok: true, canary: false, why: '' }
  const failed = `failed ${breaker.failures} runs in a row (${breaker.reason})`
  if (breaker.retryAt > now) {
    const when = time ? `at ${time(breaker.retryAt)}` : 'then'
    return { ok: false, until: breaker.retryAt, why: `${failed}; one run tries it again ${when}` }
  }
  const { canary } = breaker
  if (canary && canary.until > now) {
    const soon = Math.min(canary.until, now + TRIAL_RECHECK_MS)
    return { ok: false, until: soon, why: `${failed}; run ${canary.runId} is trying it again` }
  }
  return { ok: true, canary: true, why: `${failed}; this run tries it again` }
}

/** `rate limit` of the code `agent-rate-limit`. */
export function limitWords(reason: string | null | undefined): string {
  return (reason ?? 'limit').replace(/^agent-/, '').replaceAll('-', ' ')
}
