// What the books add to a task's own state when people ask why it is where it is.

import type { Task } from '../core/task.ts'
import type { JournalEntry, Queries } from '../store/store.ts'
import { lastLookText } from './last-look.ts'
import { firstLine, iso } from './views.ts'

type Asked = Pick<Queries, 'listEvents' | 'mark'>

/** What put a task's step off, or what ended it; null when the books don't say. */
export function becauseOf(queries: Asked, task: Task): string | null {
  if (task.status === 'cancelled') return cancelledBecause(queries.listEvents({ task: task.id }))
  return putOffBecause(queries, task)
}

/** Goes on from "It was cancelled": by whom, or because of what. */
function cancelledBecause(events: JournalEntry[]): string | null {
  // One that came in the middle of a merge waited for it, and names who asked.
  const asked = events.findLast(({ type }) => type === 'task.cancel_requested')
  const entry = asked ?? events.findLast(({ type }) => type === 'task.cancelled')
  if (!entry) return null
  const { by = entry.actor.name, why } = entry.data as { by?: string; why?: string }
  if (why !== undefined) return `because ${firstLine(why)}`
  // Older journals keep the reason where the name is.
  return by === entry.actor.name ? `by ${by}` : `because ${firstLine(by)}`
}

function putOffBecause(queries: Asked, task: Task): string | null {
  const isOutside = task.waitingFor === 'ci' || task.waitingFor === 'review'
  if (task.status !== 'waiting' || (task.waitingUntil === null && !isOutside)) return null
  const type = isOutside ? 'step.waiting' : 'step.queued'
  const last = queries.listEvents({ task: task.id }).findLast((entry) => entry.type === type)
  const told = (last?.data as { why?: string } | undefined)?.why ?? null
  const text = isOutside ? (lastLookText(queries, task, iso) ?? told) : told
  return text === null ? null : firstLine(text)
}
