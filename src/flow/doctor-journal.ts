// Whether the rows of tasks are what their events say (S17), looked at on a bounded sample of a living database.

import { isDeepStrictEqual } from 'node:util'
import { TASK_STATUSES } from '../core/lifecycle.ts'
import type { TaskEvent } from '../core/messages.ts'
import { type Task, evolve } from '../core/task.ts'
import type { Queries } from '../store/store.ts'

/** Open tasks first, then the last that ended. 200 tasks of 50 events are folded in some 100 ms. */
const MOST_TASKS = 200
/** A task with more events than this would take the time of hundreds. */
const MOST_EVENTS = 5_000

type FoldQueries = Pick<Queries, 'listTasks' | 'getTask' | 'listEvents'>

export interface JournalLook {
  looked: number
  /** Ids of tasks whose row is not the fold of its events. */
  differ: string[]
}

/** Folds a sample. A task that moves meanwhile is looked at again, and left out when it never rests. */
export function lookAtJournal(queries: FoldQueries): JournalLook {
  const look: JournalLook = { looked: 0, differ: [] }
  for (const { id } of queries.listTasks({ statuses: [...TASK_STATUSES], limit: MOST_TASKS })) {
    const same = isFold(queries, id)
    if (same === null) continue
    look.looked += 1
    if (!same) look.differ.push(id)
  }
  return look
}

/** Null: it can't be told. */
function isFold(queries: FoldQueries, id: string): boolean | null {
  for (let tries = 0; tries < 3; tries++) {
    const row = queries.getTask(id)
    const events = queries.listEvents({ task: id, limit: MOST_EVENTS })
    if (!row || events.length === MOST_EVENTS) return null
    if (queries.getTask(id)?.version !== row.version) continue
    const folded = events.reduce<Task | null>(
      (task, { stream, type, data, at }) => (stream === 'task' ? evolve(task, { type, data } as TaskEvent, at) : task),
      null,
    )
    return isDeepStrictEqual(asKept(row.state), asKept(folded))
  }
  return null
}

/** As JSON keeps it: an absent member and an undefined one are the same. */
function asKept(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}
