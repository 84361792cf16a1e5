// Compares the books with the world, at start and on a slow tick, and puts right what no live worker will: jobs of dead
// workers go back, what nothing moves is queued again, intents are settled by looking (S9, L1, L5, L6).
// Invariant: when nothing was written since the last sweep, a sweep starts no process and asks nobody.

import { isTerminal } from '../core/lifecycle.ts'
import { moverOf } from '../core/liveness.ts'
import type { Command } from '../core/messages.ts'
import { newRepository } from '../core/repository.ts'
import type { Train } from '../core/train.ts'
import type { ProcessIdentity } from '../lib/process-identity.ts'
import type { ParkedJob, Store } from '../store/store.ts'
import type { Engine } from './engine.ts'
import { firstLine, parkedView } from './views.ts'
import { runIdOf } from './worker.ts'

/** A worker's name carries its process identity, so that anyone can tell whether it lives (S3). */
export function workerName(identity: ProcessIdentity): string {
  return `${identity.pid}:${identity.startTime}:${identity.bootId}`
}

export function identityOf(name: string): ProcessIdentity {
  const [pid, startTime, bootId] = name.split(':')
  return { pid: Number(pid), startTime: Number(startTime), bootId: bootId ?? '' }
}

export interface ReconcileDeps {
  store: Store
  engine: Engine
  now: () => number
  isProcessAlive: (identity: ProcessIdentity) => boolean
  /** Ends a run that no job follows, and its row in the books. Idempotent. */
  stopRun: (runId: string) => Promise<void>
  /** Looks at the world for merges that nobody is at; gives what it settled, in sentences. */
  settleMerges: () => Promise<string[]>
  onError: (error: unknown) => void
}

/** Gives what a sweep did, in sentences; the same state is told once. May be called by several processes at once. */
export type Reconcile = () => Promise<string[]>

export function makeReconcile(deps: ReconcileDeps): Reconcile {
  const { store } = deps
  let seen: string | null = null
  const told = new Set<string>()
  return async () => {
    const done: string[] = []
    // A dead worker writes nothing, so this is looked at each time; it walks only leases.
    const reclaimed = await reclaim(deps)
    if (reclaimed > 0) done.push(`took back ${reclaimed} job(s) of a worker that died`)
    if (store.changeMark() !== seen) {
      done.push(...(await mendRows(deps)), ...(await moveTasks(deps)))
      await endStrayRuns(deps)
      for (const job of store.parkedJobs()) done.push(...once(told, parkedNotice(job)))
    }
    done.push(...(await deps.settleMerges()))
    // What this sweep wrote itself is looked at once more by the next.
    seen = done.length === 0 ? store.changeMark() : null
    return done
  }
}

async function reclaim({ store, now, isProcessAlive }: ReconcileDeps): Promise<number> {
  const dead = store.leaseHolders().filter((name) => !isProcessAlive(identityOf(name)))
  return (await store.reclaim({ now: now(), deadWorkers: dead })).length
}

/** Rows that no code path leads to; a task among them begins its step anew. */
async function mendRows(deps: ReconcileDeps): Promise<string[]> {
  const { mended, tasks } = await deps.store.heal({ now: deps.now() })
  for (const id of tasks) await recover(deps, id)
  return mended.map(({ what, n }) => `mended ${n} ${what} row(s) that should not exist; \`orch doctor\` counts them`)
}

/** Every open task gets on: its step, or what it waited for. */
async function moveTasks(deps: ReconcileDeps): Promise<string[]> {
  const { store, engine } = deps
  const done: string[] = []
  for (const job of store.parkedJobs())
    if (await holdPoisoned(deps, job)) done.push(`${job.task} is held: ${firstLine(job.error)}`)
  // A long train is long to read: once, not for each task in it. What a recovery changes, its own decision reads afresh.
  const trains = new Map<string, Train>()
  for (const id of store.tasksWithoutJob()) {
    if (isStuck(store, id, trains) && (await recover(deps, id)))
      done.push(`${id} had nothing that would move it; its step is queued again`)
  }
  for (const id of store.tasksWithEndedDependency()) {
    const closed = await closeEndedDependencies({ store, engine }, id)
    if (closed.length > 0) done.push(`${id} waited for ${closed.join(', ')}, which had ended`)
  }
  return done
}

/** Whether nothing moves a task whose step has no job, and it is open. `trains`: those that were read, by project. */
export function isStuck(store: Store, id: string, trains = new Map<string, Train>()): boolean {
  const task = store.getTask(id)?.state
  if (!task || isTerminal(task.status)) return false
  const train =
    trains.get(task.project) ?? (store.getRepository(task.project)?.state ?? newRepository(task.project)).train
  trains.set(task.project, train)
  return moverOf(task, { hasJob: false, train }) === null
}

/** Queues a task's step again; false when it is refused. */
export async function recover(
  { store, engine }: Pick<ReconcileDeps, 'store' | 'engine'>,
  id: string,
): Promise<boolean> {
  const epoch = store.getTask(id)?.state.epoch
  if (epoch === undefined) return false
  return (await engine.submit({ type: 'recover-step', task: id, epoch }, byReconcile(id))).ok
}

/** A step that took several workers along is a person's to look at; until then it takes no worker (L2). */
async function holdPoisoned({ engine }: ReconcileDeps, job: ParkedJob): Promise<boolean> {
  if (job.epoch === null) return false
  const trouble = { class: 'hold' as const, code: 'worker-died', text: firstLine(job.error) }
  const command: Command = { type: 'report-trouble', task: job.task, epoch: job.epoch, trouble }
  return (await engine.submit(command, byReconcile(job.task))).ok
}

/** A run on the books that no job follows or ends: its tree is ended and its row closed, so that it spends nothing more. */
async function endStrayRuns({ store, stopRun, onError }: ReconcileDeps): Promise<void> {
  for (const run of store.listRuns({ live: true })) if (!isFollowed(store, run)) await stopRun(run.id).catch(onError)
}

/** Whether a job waits for a run's end or will end it. */
export function isFollowed(store: Store, { id, task }: { id: string; task: string }): boolean {
  return store
    .jobsOf(task)
    .some(
      ({ kind, epoch, state }) =>
        state !== 'parked' &&
        (kind === 'stop-run' || (kind === 'run' && epoch !== null && runIdOf({ task, epoch }) === id)),
    )
}

function parkedNotice(job: ParkedJob): string {
  const { what, failures, error } = parkedView(job)
  return `${job.task}: ${what} failed ${failures} times and is put aside (${error}); \`orch task retry ${job.task}\` tries it again`
}

function once(told: Set<string>, sentence: string): string[] {
  if (told.has(sentence)) return []
  told.add(sentence)
  return [sentence]
}

function byReconcile(task: string) {
  return { actor: { kind: 'engine' as const, name: 'orch' }, cause: 'reconcile', correlation: task }
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
      { ...byReconcile(task), correlation: dependency },
    )
    closed.push(dependency)
  }
  return closed
}
