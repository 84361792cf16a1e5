// Ten thousand open tasks as a year of use leaves them, each told by its own events: queued, blocked, waiting for a
// person, a time or their turn to land, held, paused.

import type { RepositoryEvent, TaskEvent } from '../src/core/messages.ts'
import { evolveRepository, newRepository } from '../src/core/repository.ts'
import { queueEffect } from '../src/core/schedule.ts'
import { type Task, evolve } from '../src/core/task.ts'
import { type Sql, keep, makeWrite } from '../src/store/sql.ts'
import { applyCommit } from '../src/store/sqlite-commit.ts'
import type { Commit } from '../src/store/store.ts'
import { EMPTY, openedTask, samplePolicy } from './store-fixture.ts'

type Kind = 'queued' | 'blocked' | 'approval' | 'held' | 'train' | 'leader' | 'timer' | 'limit' | 'paused'

/** Out of every twenty. */
const MIX: readonly Kind[] = [
  ...Array<Kind>(9).fill('queued'),
  ...Array<Kind>(3).fill('blocked'),
  'approval',
  'approval',
  'held',
  'held',
  'train',
  'timer',
  'limit',
  'paused',
]

const HOUR_MS = 3_600_000

export interface OpenTasks {
  project: string
  count: number
  /** Of the project's lane of runs. */
  parallel: number
  /** When the first of them was opened, ms. */
  now: number
}

/** Adds `count` open tasks to a project that is there, in one transaction; about a second. */
export async function addOpenTasks(sql: Sql, of: OpenTasks): Promise<void> {
  let repository = newRepository(of.project)
  const entered: Commit['events'] = []
  await makeWrite(sql)('durable', () => {
    for (let n = 0; n < of.count; n++) {
      const id = `${of.project}-${10_000 + n}`
      // The first of the train meets trouble outside the code and is tried again; the others wait for it.
      const kind = n === 0 ? 'leader' : (MIX[n % MIX.length] ?? 'queued')
      const made = openTask({ ...of, id, kind, now: of.now + n })
      apply(sql, made)
      const state = made.aggregates[0]?.state as Task
      if (kind !== 'train' && kind !== 'leader') continue
      const event: RepositoryEvent = {
        type: 'train.entered',
        data: { task: id, epoch: state.epoch, sha: state.headSha ?? '' },
      }
      repository = evolveRepository(repository, event, of.now)
      entered.push({ id: of.project, body: { stream: 'repository', event } })
    }
    const changed = { kind: 'repository' as const, id: of.project, expected: 0, state: repository }
    apply(sql, { ...EMPTY, at: of.now, aggregates: [changed], events: entered })
    return keep(undefined)
  })
}

function apply(sql: Sql, commit: Commit): void {
  const result = applyCommit(sql, commit)
  if (!result.value.ok) throw new Error(`the fixture was refused: ${result.value.because}`)
}

function openTask(of: OpenTasks & { id: string; kind: Kind }): Commit {
  const { id, kind, project, now } = of
  const opened = openedTask({ id, project, at: now })
  const dependencies = kind === 'blocked' ? [`${project}-1`] : []
  const first: TaskEvent = {
    ...opened.event,
    data: { ...opened.event.data, dependsOn: dependencies, openDeps: dependencies },
  }
  const events = [first, ...eventsOf(kind, now)]
  let task: Task | null = null
  for (const event of events) task = evolve(task, event, now)
  if (!task) throw new Error(`${id} has no events`)
  const { epoch } = task
  const runAt = kind === 'queued' ? now : now + HOUR_MS
  const kindOfJob = kind === 'leader' ? ('land' as const) : ('run' as const)
  const hasJob = kind === 'queued' || kind === 'timer' || kind === 'limit' || kind === 'leader'
  const queued = queueEffect({ kind: kindOfJob, task: id, epoch }, task, { now, runAt })
  return {
    ...EMPTY,
    at: now,
    aggregates: [{ kind: 'task', id, expected: 0, state: task }],
    events: events.map((event) => ({ id, body: { stream: 'task', event } })),
    effects: hasJob ? [kindOfJob === 'run' ? { ...queued, laneCapacity: of.parallel } : queued] : [],
  }
}

function eventsOf(kind: Kind, now: number): TaskEvent[] {
  const sha = 'a'.repeat(40)
  const started: TaskEvent = {
    type: 'task.started',
    data: { policy: samplePolicy(), baseSha: 'b'.repeat(40), branch: 'orch/bench' },
  }
  const waits = (what: 'timer' | 'limit' | 'train', step: 'run' | 'land'): TaskEvent => ({
    type: 'step.queued',
    data: {
      step: step === 'run' ? { kind: 'run', stage: 'develop' } : { kind: 'land', stage: 'land', sha },
      epoch: 2,
      why: 'bench',
      waiting: { for: what, until: what === 'train' ? null : now + HOUR_MS },
    },
  })
  switch (kind) {
    case 'queued':
    case 'blocked':
      return []
    case 'approval':
      return [started, { type: 'task.waiting', data: { for: 'approval', until: null, why: 'bench' } }]
    case 'held':
      return [
        started,
        {
          type: 'task.held',
          data: { reason: { code: 'push-refused', text: 'bench' }, step: { kind: 'publish', stage: 'publish', sha } },
        },
      ]
    case 'train':
      return [started, waits('train', 'land')]
    case 'leader':
      return [started, waits('timer', 'land')]
    case 'timer':
      return [started, waits('timer', 'run')]
    case 'limit':
      return [started, waits('limit', 'run')]
    case 'paused':
      return [{ type: 'task.paused', data: {} }]
    default:
      return kind satisfies never
  }
}
