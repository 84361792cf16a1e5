// A live run that prints nothing: when a person should know of it, and when it is ended for it.
// Invariant: a run is named for half of its stall limit before it is ended for its silence (L6).

import type { RunLimits } from './policy.ts'

export interface LiveRun {
  agent: string
  startedAt: number
  /** Of its last output; null before any. */
  lastActivityAt: number | null
  /** Null where the task has no policy yet. */
  limits: RunLimits | null
}

export interface Quiet {
  forMs: number
  /** When it is ended unless it says something before; never in the past. */
  endsAt: number
}

/** A run that has been quiet for half of its limit or longer; null for any other. */
export function quietOf(run: Omit<LiveRun, 'agent'>, now: number): Quiet | null {
  const { startedAt, lastActivityAt, limits } = run
  if (limits === null) return null
  const saidAt = Math.max(startedAt, lastActivityAt ?? startedAt)
  const forMs = now - saidAt
  if (forMs * 2 < limits.stallMs) return null
  return { forMs, endsAt: Math.max(now, Math.min(saidAt + limits.stallMs, startedAt + limits.timeLimitMs)) }
}

/** One sentence, without its full stop. */
export function quietText(agent: string, quiet: Quiet, time: (at: number) => string): string {
  return `${agent} has printed nothing for ${duration(quiet.forMs)}; it is ended at ${time(quiet.endsAt)} unless it goes on`
}

/** 42 s, 3 min, 2 h 5 min. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 90) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 90) return `${minutes} min`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
