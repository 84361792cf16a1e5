// Who or what will move a task (L6): a job, its place in the train, a person, other tasks. An open task that none of them
// moves is stuck, whatever brought it there, and its step is queued again.

import { isTerminal } from './lifecycle.ts'
import type { Task } from './task.ts'
import { type Train, plan } from './train.ts'

export type Mover = 'job' | 'train' | 'person' | 'tasks'

/**
 * What moves an open task; null when nothing does. `hasJob`: a job of its present step is live, so it runs, is queued
 * or waits for its time. Not for tasks that have ended.
 */
export function moverOf(task: Task, facts: { hasJob: boolean; train: Train }): Mover | null {
  if (isTerminal(task.status)) throw new Error(`${task.id} has ended: nothing need move it`)
  if (task.status === 'needs_review') return 'person'
  if (task.status === 'waiting' && (task.waitingFor === 'approval' || task.waitingFor === 'answers')) return 'person'
  if (task.status === 'blocked') return task.openDeps.length > 0 ? 'tasks' : null
  if (facts.hasJob) return 'job'
  // What runs goes on while its task is paused; nothing else does.
  if (task.paused && task.status !== 'running') return 'person'
  return task.waitingFor === 'train' && isInLine(task, facts.train) ? 'train' : null
}

/** Behind another change: its head needs a job of its own. */
function isInLine(task: Task, train: Train): boolean {
  const leads = plan(train).some((test) => test.prefix.some((entry) => entry.task === task.id))
  return !leads && train.entries.some((entry) => entry.task === task.id)
}
