// Seeded randomness: the same seed throws the same numbers (what the machine does meanwhile is its own affair).

export interface Dice {
  /** A whole number from `from` to `to`, both included. */
  between(from: number, to: number): number
  chance(share: number): boolean
  /** One of them; undefined of none. */
  one<T>(of: readonly T[]): T | undefined
}

/** Dice after mulberry32, a generator of 32 bits of state: plenty for choosing victims. */
export function makeDice(seed: number): Dice {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    between: (from, to) => from + Math.floor(next() * (to - from + 1)),
    chance: (share) => next() < share,
    one: (of) => of[Math.floor(next() * of.length)],
  }
}
