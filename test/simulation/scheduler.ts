// Fake time. Everything that waits, be it a timer or an answer of the world, is an event with a moment that the seed chose;
// the earliest comes next, equals in an order that the seed chose. Between two events all promises run dry.
// Invariant: what belongs to a process that died never happens.

import type { Timer, Timers } from '../../src/lib/clock.ts'
import type { Random } from './random.ts'

/** Whose events these are. Null is the world itself, which never dies. */
export interface Owner {
  alive: boolean
  /** Suspended: its events happen no earlier, in ms of `elapsedMs`. */
  frozenUntil: number
}

interface Event {
  due: number
  order: number
  owner: Owner | null
  work: () => void
  cancelled: boolean
}

export interface Scheduler {
  /** Time of day, ms; it jumps. */
  now(): number
  elapsedMs(): number
  jump(ms: number): void
  at(delayMs: number, owner: Owner | null, work: () => void): Timer
  timersOf(owner: Owner | null): Timers
  /** Resolves after a time in the range; never, if the owner dies first. */
  pause(owner: Owner | null, range: readonly [number, number]): Promise<void>
  /** Goes on until `isOver` says so after an event, or nothing is left to happen. Gives the number of events. */
  run(isOver: () => boolean): Promise<number>
}

/** 2026-01-01: a time of day that looks like one. */
export const EPOCH = 1_767_225_600_000

export function makeScheduler(random: Random): Scheduler {
  const heap = makeHeap()
  let elapsed = 0
  let offset = EPOCH

  function at(delayMs: number, owner: Owner | null, work: () => void): Timer {
    const event: Event = { due: elapsed + Math.max(0, delayMs), order: random.next(), owner, work, cancelled: false }
    heap.push(event)
    return {
      cancel: () => {
        event.cancelled = true
      },
    }
  }

  function timersOf(owner: Owner | null): Timers {
    return {
      elapsedMs: () => elapsed,
      after: (ms, work) => at(ms, owner, work),
      every: (ms, work) => {
        let timer: Timer
        const again = (): void => {
          timer = at(ms, owner, again)
          work()
        }
        timer = at(ms, owner, again)
        return { cancel: () => timer.cancel() }
      },
      sleep: (ms) => new Promise((resolve) => at(ms, owner, resolve)),
    }
  }

  async function run(isOver: () => boolean): Promise<number> {
    for (let events = 0; ;) {
      const event = heap.pop()
      if (!event) return events
      const { owner } = event
      if (event.cancelled || owner?.alive === false) continue
      if (owner && owner.frozenUntil > event.due) {
        event.due = owner.frozenUntil
        heap.push(event)
        continue
      }
      elapsed = Math.max(elapsed, event.due)
      event.work()
      await new Promise((resolve) => setImmediate(resolve))
      events += 1
      if (isOver()) return events
    }
  }

  return {
    now: () => Math.floor(elapsed) + offset,
    elapsedMs: () => elapsed,
    jump: (ms) => {
      offset += ms
    },
    at,
    timersOf,
    pause: (owner, [from, to]) =>
      new Promise((resolve) => at(from + random.next() * (to - from), owner, () => resolve())),
    run,
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.due < b.due || (a.due === b.due && a.order < b.order)
}

/** A binary heap: the earliest event first. */
function makeHeap(): { push(event: Event): void; pop(): Event | undefined } {
  const items: Event[] = []
  const swap = (i: number, j: number): void => {
    const [a, b] = [items[i], items[j]]
    if (a && b) [items[i], items[j]] = [b, a]
  }
  const comesFirst = (i: number, j: number): boolean => {
    const [a, b] = [items[i], items[j]]
    return a !== undefined && b !== undefined && isBefore(a, b)
  }
  return {
    push(event) {
      items.push(event)
      for (let i = items.length - 1; i > 0;) {
        const parent = (i - 1) >> 1
        if (!comesFirst(i, parent)) break
        swap(i, parent)
        i = parent
      }
    },
    pop() {
      swap(0, items.length - 1)
      const first = items.pop()
      for (let i = 0; ;) {
        const [left, right] = [2 * i + 1, 2 * i + 2]
        let least = i
        if (comesFirst(left, least)) least = left
        if (comesFirst(right, least)) least = right
        if (least === i) return first
        swap(i, least)
        i = least
      }
    },
  }
}
