// The train: which entry is tested and landed next in one repository.
// Its first rule is serial: the oldest entry, alone on main. A speculative rule (cumulative prefixes, fault location)
// fills the same two functions: `plan` says what to test now, `settle` what a test's result means for which entries.

export interface TrainEntry {
  task: string
  /** The step of the task that landing it belongs to. */
  epoch: number
  /** The approved and reviewed head that wants to land. */
  sha: string
  enteredAt: number
}

export interface Train {
  entries: TrainEntry[]
}

export const EMPTY_TRAIN: Train = { entries: [] }

/** One test to run: these entries, in this order, on top of main. The last entry's task carries the job. */
export interface TrainTest {
  prefix: TrainEntry[]
}

export type TrainSettlement =
  | { kind: 'land'; entries: TrainEntry[] }
  | { kind: 'reject'; entry: TrainEntry }
  | { kind: 'again'; prefix: TrainEntry[] }

/** At the end of the queue; a task that is in it already keeps its place with its new head. */
export function enter(train: Train, entry: TrainEntry): Train {
  const index = train.entries.findIndex((other) => other.task === entry.task)
  if (index < 0) return { entries: [...train.entries, entry] }
  return { entries: train.entries.map((other, i) => (i === index ? { ...entry, enteredAt: other.enteredAt } : other)) }
}

/** Idempotent. */
export function leave(train: Train, task: string): Train {
  return { entries: train.entries.filter((entry) => entry.task !== task) }
}

/** The tests that should be under way now. Serial: the first entry alone. */
export function plan(train: Train): TrainTest[] {
  const first = train.entries[0]
  return first ? [{ prefix: [first] }] : []
}

/**
 * What a finished test means. `reds` counts red results of this very prefix with nothing but main below it.
 * A change is rejected only after two of them, so that one flake throws nobody out (S11).
 */
export function settle(test: TrainTest, result: { green: boolean; reds: number }): TrainSettlement {
  if (result.green) return { kind: 'land', entries: test.prefix }
  const suspect = test.prefix[0]
  if (suspect && test.prefix.length === 1 && result.reds >= 2) return { kind: 'reject', entry: suspect }
  return { kind: 'again', prefix: test.prefix }
}
