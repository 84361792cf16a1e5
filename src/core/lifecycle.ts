// The statuses of a task and the only moves between them.
// Invariant: `done` and `cancelled` are never left (S12); every move not in the table is refused.

export const TASK_STATUSES = ['queued', 'running', 'waiting', 'blocked', 'needs_review', 'done', 'cancelled'] as const
export type TaskStatus = (typeof TASK_STATUSES)[number]

/** What a `waiting` task waits for. `blocked` is another thing: other tasks, and only those. */
export type WaitingFor = 'ci' | 'review' | 'approval' | 'answers' | 'train' | 'limit' | 'timer'

const MOVES: Record<TaskStatus, readonly TaskStatus[]> = {
  queued: ['queued', 'running', 'waiting', 'blocked', 'needs_review', 'cancelled'],
  running: ['queued', 'running', 'waiting', 'needs_review', 'done', 'cancelled'],
  waiting: ['queued', 'running', 'waiting', 'needs_review', 'done', 'cancelled'],
  blocked: ['queued', 'blocked', 'needs_review', 'cancelled'],
  // Done from there: a merge that was held is found in main.
  needs_review: ['queued', 'running', 'waiting', 'blocked', 'needs_review', 'done', 'cancelled'],
  done: [],
  cancelled: [],
}

/** True when a task may go from one status to the other. */
export function canMove(from: TaskStatus, to: TaskStatus): boolean {
  return MOVES[from].includes(to)
}

/** True for `done` and `cancelled`: nothing changes such a task any more. */
export function isTerminal(status: TaskStatus): boolean {
  return MOVES[status].length === 0
}

/** What is being done for the task right now. Every step is one job; `epoch` ties the two together. */
export type Step =
  | { kind: 'run'; stage: string }
  | { kind: 'judge'; stage: string; sha: string; runId: string }
  | { kind: 'publish'; stage: string; sha: string }
  /** `since`: when the waiting for this head began, ms; it outlives every look. */
  | { kind: 'await'; stage: string; sha: string; since: number }
  | { kind: 'land'; stage: string; sha: string }

export interface Reason {
  /** Closed by convention, kebab-case, such as `attempts-spent`, `base-red`, `push-refused`. */
  code: string
  text: string
}
