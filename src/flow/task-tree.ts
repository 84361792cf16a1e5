// Tasks with what they wait for, as a tree. Loaded only when asked for.
// Invariant: a task's dependencies are shown once, so that the tree is never larger than what it is made of.

import { TASK_STATUSES, isTerminal } from '../core/lifecycle.ts'
import type { Queries } from '../store/store.ts'
import type { Reader, TaskNode } from './app.ts'

/** See `Reader.tree`. */
export function taskTree(queries: Queries, of: Parameters<Reader['tree']>[0]): TaskNode[] | null {
  const seen = new Set<string>()
  if ('task' in of) {
    const node = nodeOf(queries, of.task, seen)
    return node && [node]
  }
  return topTasks(queries, of.project).flatMap((id) => nodeOf(queries, id, seen) ?? [])
}

/** Open tasks that no open task waits for, oldest first. */
function topTasks(queries: Queries, project: string | undefined): string[] {
  const open = queries.listTasks({
    statuses: TASK_STATUSES.filter((status) => !isTerminal(status)),
    limit: 100_000,
    ...(project === undefined ? {} : { project }),
  })
  return open.map((line) => line.id).filter((id) => queries.dependantsOf(id).length === 0)
}

function nodeOf(queries: Queries, id: string, seen: Set<string>): TaskNode | null {
  const task = queries.getTask(id)?.state
  if (!task) return null
  const repeated = seen.has(id) && task.dependsOn.length > 0
  seen.add(id)
  return {
    id,
    title: task.title,
    stage: task.stage,
    status: task.status,
    ...(task.waitingFor ? { waitingFor: task.waitingFor } : {}),
    ...(task.reason ? { reason: task.reason.code } : {}),
    paused: task.paused,
    dependsOn: repeated ? [] : task.dependsOn.flatMap((dependency) => nodeOf(queries, dependency, seen) ?? []),
    repeated,
  }
}
