// Claims jobs and carries them out; the only place that catches a job's failure and the only place that retries.
// Invariant: claim before acting; every write carries the fencing token; a failure of the world is never the code's (S2, S13).

import type { Command, EffectKind, Trouble } from '../core/messages.ts'
import { backoffMs } from '../core/policy.ts'
import type { Timer, Timers } from '../lib/clock.ts'
import { ExternalError, isDiskFull, messageOf } from '../lib/errors.ts'
import type { Job, Store } from '../store/store.ts'
import type { Engine, Submitted } from './engine.ts'

/** What a handler may do while it holds its job. */
export interface JobContext {
  job: Job
  /** Aborted when the lease is lost, the step was superseded (a cancel) or the service stops. */
  signal: AbortSignal
  /** Commits an intermediate step; the job stays claimed. */
  submit: (command: Command) => Promise<Submitted>
}

/** The job is not over: it is to be done again at that time, ms, and nothing went wrong. */
export interface Again {
  again: number
}

/** Carries out one effect; the command it gives back ends the job. Null: nothing more to say. */
export type Handler = (job: Job, context: JobContext) => Promise<Command | Again | null>

export type Handlers = { [K in EffectKind]: Handler }

/** Thrown by a handler whose signal was aborted: the job goes back for the next worker, nothing is reported. */
export class Interrupted extends Error {
  constructor() {
    super('interrupted')
    this.name = 'Interrupted'
  }
}

export interface Worker {
  /** Looks for work now. Cheap; call it whenever something may have changed. */
  kick(): void
  /** Claims nothing more, interrupts what runs here, and resolves when all of it was put back or done. */
  stop(): Promise<void>
  active(): number
}

/** A job without a step (cleaning, stopping) may fail this often before it is parked: its last pause is of minutes. */
const MOST_FAILURES = 8

interface WorkerDeps {
  name: string
  store: Store
  engine: Engine
  handlers: Handlers
  now: () => number
  timers: Timers
  /** A job not renewed for so long is another worker's; renewed three times as often. */
  leaseMs: number
  /** Jobs at once in this process, waiting runs included. */
  capacity: number
  onChange: () => void
  onError: (error: unknown) => void
}

export function makeWorker(deps: WorkerDeps): Worker {
  const { store, now, timers } = deps
  const abort = new AbortController()
  const running = new Set<Promise<void>>()
  /** What a job under way wants to see whenever something may have changed. */
  const looks = new Set<() => void>()
  let claiming = false
  let again = false
  let timer: Timer | undefined

  async function claimAll(): Promise<void> {
    if (claiming) {
      again = true
      return
    }
    claiming = true
    try {
      do {
        again = false
        while (!abort.signal.aborted && running.size < deps.capacity) {
          const job = await store.claim({ worker: deps.name, now: now(), leaseMs: deps.leaseMs })
          if (!job) break
          start(job)
        }
      } while (again)
      sleepUntilDue()
    } catch (error) {
      deps.onError(error)
      timer?.cancel()
      timer = timers.after(1_000, kick)
    } finally {
      claiming = false
    }
  }

  function start(job: Job): void {
    const work = execute({ ...deps, looks }, job, abort.signal)
      .catch(deps.onError)
      .finally(() => {
        running.delete(work)
        kick()
        deps.onChange()
      })
      .catch(deps.onError)
    running.add(work)
  }

  /** One timer for the next delayed job, none when there is none. */
  function sleepUntilDue(): void {
    timer?.cancel()
    // Full: what ends here looks again.
    if (running.size >= deps.capacity) return
    const due = store.jobSummary().nextDueAt
    if (due !== null && !abort.signal.aborted)
      timer = timers.after(Math.min(Math.max(due - now(), 0) + 1, 2 ** 30), kick)
  }

  function kick(): void {
    if (abort.signal.aborted) return
    for (const look of looks) look()
    void claimAll()
  }

  async function stop(): Promise<void> {
    abort.abort()
    timer?.cancel()
    await Promise.allSettled(running)
  }

  return { kick, stop, active: () => running.size }
}

async function execute(deps: WorkerDeps & { looks: Set<() => void> }, job: Job, stopping: AbortSignal): Promise<void> {
  const { store, engine, now } = deps
  const lost = new AbortController()
  const superseded = new AbortController()
  const signal = AbortSignal.any([stopping, lost.signal, superseded.signal])
  const options = (then: 'done' | 'keep') => ({
    actor: { kind: 'engine' as const, name: 'orch' },
    cause: `job:${job.id}/${job.effect.kind}`,
    correlation: job.effect.task,
    fence: { jobId: job.id, token: job.token, then },
  })
  const isWanted = makeIsWanted(store, job)
  const look = (): void => {
    try {
      if (!isWanted()) superseded.abort()
    } catch (error) {
      deps.onError(error)
    }
  }
  // At any change, so that a cancel ends a verification at once; and with each heartbeat, should a change go unheard.
  deps.looks.add(look)
  const heartbeat = deps.timers.every(deps.leaseMs / 3, () => {
    look()
    store
      .renew({ jobId: job.id, token: job.token, now: now(), leaseMs: deps.leaseMs })
      .then((held) => (held ? undefined : lost.abort()))
      .catch(deps.onError)
  })
  try {
    const submit = async (command: Command): Promise<Submitted> => {
      const submitted = await engine.submit(command, options('keep'))
      if (!submitted.ok && submitted.because === 'stale-lease') throw new Interrupted()
      return submitted
    }
    const command = await deps.handlers[job.effect.kind](job, { job, signal, submit })
    await finish(deps, { job, command, options: options('done') })
  } catch (error) {
    await failed(deps, {
      job,
      error,
      interrupted: signal.aborted || error instanceof Interrupted,
      superseded: superseded.signal.aborted,
      options: options('done'),
    })
  } finally {
    deps.looks.delete(look)
    heartbeat.cancel()
  }
}

/**
 * A step's work that nobody wants any more must not hold its lane to its end (L4). A run that was begun is left alone:
 * it is stopped by its own effect, and its job then puts it on the books.
 */
function makeIsWanted(store: Store, { effect }: Job): () => boolean {
  let hasBegun = false
  return () => {
    if (!('epoch' in effect) || hasBegun) return true
    hasBegun = effect.kind === 'run' && store.getRun(runIdOf(effect)) !== null
    return hasBegun || store.getTask(effect.task)?.state.epoch === effect.epoch
  }
}

/** The one run of a step; the same after any crash, so that it is started once. */
export function runIdOf(step: { task: string; epoch: number }): string {
  return `${step.task}-${step.epoch}`
}

type SubmitOptionsOf = Parameters<Engine['submit']>[1]

async function finish(
  deps: WorkerDeps,
  end: { job: Job; command: Command | Again | null; options: SubmitOptionsOf },
): Promise<void> {
  const { job, command } = end
  if (command && 'again' in command) {
    await deps.store.release({ jobId: job.id, token: job.token, runAt: command.again })
    return
  }
  if (command) {
    const submitted = await deps.engine.submit(command, end.options)
    if (submitted.ok || submitted.because === 'stale-lease') return
  }
  await deps.store.finish({ jobId: job.id, token: job.token })
}

/** Step jobs report their trouble to the task; others are tried again, then parked until a person asks for them. */
async function failed(
  deps: WorkerDeps,
  failure: { job: Job; error: unknown; interrupted: boolean; superseded: boolean; options: SubmitOptionsOf },
): Promise<void> {
  const { job } = failure
  const error = isDiskFull(failure.error) ? diskFull(failure.error) : failure.error
  const lease = { jobId: job.id, token: job.token }
  if (failure.superseded) {
    await deps.store.finish(lease)
    return
  }
  if (failure.interrupted) {
    await deps.store.release({ ...lease, runAt: deps.now() })
    return
  }
  const isFault = !(error instanceof ExternalError)
  if (isFault) deps.onError(error)
  const { effect } = job
  if ('epoch' in effect) {
    const command: Command = {
      type: 'report-trouble',
      task: effect.task,
      epoch: effect.epoch,
      trouble: troubleFrom(error),
    }
    const { fence } = failure.options
    // A person who looks for the fault needs to see where it was.
    const options =
      isFault && fence ? { ...failure.options, fence: { ...fence, error: stackOf(error) } } : failure.options
    await finish(deps, { job, command, options })
  } else if (job.failures + 1 < MOST_FAILURES) {
    await deps.store.release({ ...lease, runAt: deps.now() + backoffMs(job.failures), failed: stackOf(error) })
  } else {
    await deps.store.park({ ...lease, error: stackOf(error) })
  }
}

/** Any write may be the one that meets it: none is a fault of Orch, and room that is made moves the task. */
function diskFull(cause: unknown): ExternalError {
  const message = `the disk is full (${messageOf(cause)}); free some space, then retry`
  return new ExternalError({ system: 'disk', kind: 'disk-full', message, cause })
}

/** What is kept of an error with its job: the outside's word, or where Orch itself went wrong. */
function stackOf(error: unknown): string {
  return error instanceof Error && !(error instanceof ExternalError) ? (error.stack ?? error.message) : messageOf(error)
}

/** Who has to act on an error of the outside world. Kinds decide, never texts. */
export function troubleFrom(error: unknown): Trouble {
  if (!(error instanceof ExternalError)) {
    return { class: 'infra', code: 'internal-error', text: `a fault in Orch itself: ${messageOf(error)}` }
  }
  const code = `${error.system}-${error.kind}`
  switch (error.kind) {
    case 'auth':
    case 'not-found':
    case 'rejected':
    case 'empty-origin':
    case 'tool-missing':
      return { class: 'hold', code, text: error.message }
    case 'setup-failed':
    case 'disk-full':
      return { class: 'infra', code: error.kind, text: error.message }
    case 'conflict':
    case 'rate-limited':
    case 'unreachable':
    case 'timed-out':
      return { class: 'infra', code, text: error.message }
    default:
      return error.kind satisfies never
  }
}
