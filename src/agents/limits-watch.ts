// Looks at a running agent now and then and says when one of its limits is met: size of its output, time, silence.
// Invariant: only time in which we could look counts, so a machine that slept, or a supervisor that was stopped, ends
// nothing on waking up. Lean: the supervisor loads this.

import { fstatSync } from 'node:fs'
import type { StoredSpec } from './run-files.ts'

const LOOK_MS = 250
/** Looks this often when the log grows fast enough to pass its cap before the next ordinary look. */
const FAST_LOOK_MS = 20
/** What one look may count at most: far above the pause between two on a loaded machine, far below any limit in use. */
const MOST_COUNTED_MS = 1_000
/** An agent that goes on printing while it is asked to end is ended at once when it has printed so many times its cap. */
const RUNAWAY = 2

export type Limit = 'time-limit' | 'stalled' | 'flood'

export interface LimitsWatch {
  /** The output's and stderr's files. */
  descriptors: number[]
  spec: Pick<StoredSpec, 'timeLimitMs' | 'logCapBytes'> & Partial<Pick<StoredSpec, 'stallMs'>>
  /** Called once, for the first limit that is met. */
  onLimit: (limit: Limit) => void
  /** It floods on although it was told to end. Called once. */
  onRunaway: () => void
  /** Each look, until stopped. */
  onLook: () => void
}

/** Begins to watch. Gives what ends it. */
export function watchLimits({ descriptors, spec, onLimit, onRunaway, onLook }: LimitsWatch): () => void {
  // A spec that another version wrote may say nothing of silence.
  const stallMs = spec.stallMs ?? Number.POSITIVE_INFINITY
  const awake = makeAwakeClock(() => performance.now())
  let before = 0
  let saidAt = 0
  let met: Limit | null = null
  let ranAway = false
  let timer: NodeJS.Timeout | undefined
  const meet = (limit: Limit): void => {
    if (met === null) onLimit(limit)
    met ??= limit
  }
  const look = (): void => {
    const now = awake()
    const size = descriptors.reduce((sum, descriptor) => sum + fstatSync(descriptor).size, 0)
    if (size !== before) saidAt = now
    if (size > spec.logCapBytes) meet('flood')
    else if (now >= spec.timeLimitMs) meet('time-limit')
    else if (now - saidAt >= stallMs) meet('stalled')
    if (size > spec.logCapBytes * RUNAWAY && !ranAway) {
      ranAway = true
      onRunaway()
    }
    onLook()
    const isFast = (size - before) * 2 > spec.logCapBytes - size
    before = size
    const due = met ? LOOK_MS : Math.min(spec.timeLimitMs - now, saidAt + stallMs - now)
    timer = setTimeout(look, Math.max(1, Math.min(isFast ? FAST_LOOK_MS : LOOK_MS, due)))
  }
  timer = setTimeout(look, Math.min(LOOK_MS, spec.timeLimitMs, stallMs))
  return () => clearTimeout(timer)
}

/**
 * A clock that must be looked at to go on. The system's monotonic clock stands still while a Linux machine sleeps, not
 * while a virtual machine is paused, on macOS or while the process itself is stopped: so one look counts a second at most.
 */
export function makeAwakeClock(now: () => number): () => number {
  let last = now()
  let counted = 0
  return () => {
    const current = now()
    counted += Math.min(current - last, MOST_COUNTED_MS)
    last = current
    return counted
  }
}
