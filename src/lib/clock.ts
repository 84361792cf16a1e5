// What takes time, handed in: whoever waits can be driven by a test. The time of day goes beside it, as `now`.

/** A timer that can be cancelled; cancelling one that has fired or was cancelled is nothing. */
export interface Timer {
  cancel(): void
}

export interface Timers {
  /** Milliseconds since some moment. Never jumps, as the time of day may: for how long something takes. */
  elapsedMs(): number
  /** Calls back once. */
  after(ms: number, work: () => void): Timer
  /** Calls back again and again until it is cancelled. */
  every(ms: number, work: () => void): Timer
  sleep(ms: number): Promise<void>
}

export const systemTimers: Timers = {
  elapsedMs: () => performance.now(),
  after: (ms, work) => {
    const timer = setTimeout(work, ms)
    return { cancel: () => clearTimeout(timer) }
  },
  every: (ms, work) => {
    const timer = setInterval(work, ms)
    return { cancel: () => clearInterval(timer) }
  },
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
}
