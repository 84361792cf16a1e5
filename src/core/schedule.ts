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

/** Whether a run on this account may begin now; if not, until when it must wait. */
export function mayBegin(
  account: Account | null,
  now: number,
): { ok: true } | { ok: false; until: number; why: string } {
  const until = limitedUntil(account, now)
  if (until === null) return { ok: true }
  return { ok: false, until, why: account?.limitReason ?? 'limit' }
}
