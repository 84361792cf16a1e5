// Compares the books with the world, at start and on a slow tick: jobs of dead workers go back, a step without a job
// gets one again. Intents are settled by their own step, which looks before it acts (S9).

import { isSameProcessAlive, type ProcessIdentity } from '../lib/process-identity.ts'
import type { Store } from '../store/store.ts'
import { plan } from '../core/train.ts'
import type { Engine } from './engine.ts'

/** A worker's name carries its process identity, so that anyone can tell whether it lives (S3). */
export function workerName(identity: ProcessIdentity): string {
  return `${identity.pid}:${identity.startTime}:${identity.bootId}`
}

function isWorkerAlive(name: string): boolean {
  const [pid, startTime, bootId] = name.split(':')
  return isSameProcessAlive({ pid: Number(pid), startTime: Number(startTime), bootId: bootId ?? '' })
}

/** Puts things right that no live worker will. Returns what it did, in sentences. Idempotent. */
export async function reconcile(deps: { store: Store; engine: Engine; now: () => number }): Promise<string[]> {
  const { store, engine } = deps
  const done: string[] = []
  const dead = store.leaseHolders().filter((name) => !isWorkerAlive(name))
  const reclaimed = await store.reclaim({ now: deps.now(), deadWorkers: dead })
  if (reclaimed.length > 0) done.push(`took back ${reclaimed.length} job(s) of a worker that died`)
  for (const id of orphanedSteps(store)) {
    const task = store.getTask(id)?.state
    if (!task) continue
    const recovered = await engine.submit(
      { type: 'recover-step', task: id, epoch: task.epoch },
      { actor: { kind: 'engine', name: 'orch' }, cause: 'reconcile', correlation: id },
    )
    if (recovered.ok) done.push(`${id} had a step without a job; it is queued again`)
  }
  for (const { id } of store.listTasks({ statuses: ['blocked'], limit: 100_000 })) {
    const closed = await closeEndedDependencies({ store, engine }, id)
    if (closed.length > 0) done.push(`${id} waited for ${closed.join(', ')}, which had ended`)
  }
  return done
}

/**
 * A dependency may end between the look at it and the commit of the task that waits for it, which nobody tells it then.
 * Tells it; gives what had ended. Idempotent.
 */
export async function closeEndedDependencies(
  { store, engine }: { store: Store; engine: Engine },
  task: string,
): Promise<string[]> {
  const closed: string[] = []
  for (const dependency of store.getTask(task)?.state.openDeps ?? []) {
    const outcome = store.getTask(dependency)?.state.status
    if (outcome !== 'done' && outcome !== 'cancelled') continue
    await engine.submit(
      { type: 'close-dependency', task, dependency, outcome },
      { actor: { kind: 'engine', name: 'orch' }, cause: 'reconcile', correlation: dependency },
    )
    closed.push(dependency)
  }
  return closed
}

/** Open tasks whose step should have a live job and has none (L6). */
function orphanedSteps(store: Store): string[] {
  const lines = store.listTasks({ statuses: ['queued', 'running', 'waiting'], limit: 100_000 })
  return lines
    .filter((line) => !line.paused && line.waitingFor !== 'approval' && line.waitingFor !== 'answers')
    .filter((line) => store.jobsOf(line.id).every((job) => job.epoch === null))
    .filter((line) => {
      const task = store.getTask(line.id)?.state
      if (!task?.step) return false
      if (task.waitingFor !== 'train') return true
      const train = store.getRepository(task.project)?.state.train
      return train !== undefined && plan(train).some((test) => test.prefix.some((entry) => entry.task === task.id))
    })
    .map((line) => line.id)
}
