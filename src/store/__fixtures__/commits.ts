// Hand-made commits for the store's tests: events folded by the core, as the flow would do it.

import type { Effect, QueuedEffect, TaskEvent } from '../../core/messages.ts'
import { type Task, evolve } from '../../core/task.ts'
import type { Commit, Queries } from '../store.ts'

export function commitOf(parts: Partial<Commit>): Commit {
  return {
    at: 1_000,
    actor: { kind: 'person', name: 'ada' },
    cause: 'command:test',
    correlation: 'c-1',
    aggregates: [],
    events: [],
    effects: [],
    intents: [],
    ...parts,
  }
}

type Opened = Extract<TaskEvent, { type: 'task.opened' }>

export function openedEvent(id: string, data: Partial<Opened['data']> = {}): Opened {
  return {
    type: 'task.opened',
    data: {
      id,
      project: id.split('-')[0] ?? id,
      origin: `local:${id}`,
      title: `title of ${id}`,
      body: 'body',
      labels: [],
      priority: 0,
      creator: null,
      dependsOn: data.openDeps ?? [],
      openDeps: [],
      pipeline: 'direct',
      stage: 'develop',
      parallel: 1,
      ...data,
    },
  }
}

/** Applies events to a task as the store has it now; `parts` go into the same commit. */
export function taskCommit(
  queries: Pick<Queries, 'getTask'>,
  id: string,
  change: { events: TaskEvent[]; parts?: Partial<Commit> },
): Commit {
  const commit = commitOf(change.parts ?? {})
  const row = queries.getTask(id)
  const state = change.events.reduce<Task | null>((task, event) => evolve(task, event, commit.at), row?.state ?? null)
  if (!state) throw new Error('a commit of a task needs an event')
  return {
    ...commit,
    aggregates: [{ kind: 'task', id, expected: row?.version ?? 0, state }, ...commit.aggregates],
    events: [...change.events.map((event) => ({ id, body: { stream: 'task' as const, event } })), ...commit.events],
  }
}

export function queued(effect: Effect, options: Partial<QueuedEffect> = {}): QueuedEffect {
  return { effect, lane: `lane:${effect.task}`, laneCapacity: 1, rank: 0, runAt: 0, ...options }
}

export const runEffect = (task: string, epoch = 1): Effect => ({ kind: 'run', task, epoch })
