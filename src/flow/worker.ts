// Claims jobs and carries them out; the only place that catches a job's failure and the only place that retries.
// Invariant: claim before acting; every write carries the fencing token; a failure of the world is never the code's (S2, S13).

import type { Command, EffectKind, Trouble } from '../core/messages.ts'
import { backoffMs } from '../core/policy.ts'
import { ExternalError, messageOf } from '../lib/errors.ts'
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

/** Carries out one effect; the command it gives back ends the job. Null: nothing more to say. */
export type Handler = (job: Job, context: JobContext) => Promise<Command | null>

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

/** A job without a step (cleaning, stopping) is tried this often before it is given up with its error kept. */
const MAX_CLAIMS = 8

interface WorkerDeps {
  name: string
  store: Store
  engine: Engine
  handlers: Handlers
  now: () => number
  /** A job not renewed for so long is another worker's; renewed three times as often. */
  leaseMs: number
  /** Jobs at once in this process, waiting runs included. */
  capacity: number
  onChange: () => void
  onError: (error: unknown) => void
}

export function makeWorker(deps: WorkerDeps): Worker {
  const { store, now } = deps
  const abort = new AbortController()
  const running = new Set<Promise<void>>()
  let claiming = false
  let again = false
  let timer: NodeJS.Timeout | undefined

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
      clearTimeout(timer)
      timer = setTimeout(kick, 1_000)
    } finally {
      claiming = false
    }
  }

  function start(job: Job): void {
    const work = execute(deps, job, abort.signal)
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
    clearTimeout(timer)
    // Full: what ends here looks again.
    if (running.size >= deps.capacity) return
    const due = store.jobSummary().nextDueAt
    if (due !== null && !abort.signal.aborted) timer = setTimeout(kick, Math.min(Math.max(due - now(), 0) + 1, 2 ** 30))
  }

  function kick(): void {
    if (!abort.signal.aborted) void claimAll()
  }

  async function stop(): Promise<void> {
    abort.abort()
    clearTimeout(timer)
    await Promise.allSettled(running)
  }

  return { kick, stop, active: () => running.size }
}

async function execute(deps: WorkerDeps, job: Job, stopping: AbortSignal): Promise<void> {
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
  const heartbeat = setInterval(() => {
    if (isSuperseded(store, job)) superseded.abort()
    store
      .renew({ jobId: job.id, token: job.token, now: now(), leaseMs: deps.leaseMs })
      .then((held) => (held ? undefined : lost.abort()))
      .catch(deps.onError)
  }, deps.leaseMs / 3)
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
    clearInterval(heartbeat)
  }
}

/**
 * A step's work that nobody wants any more must not hold its lane to its end (L4). A run that was begun is left alone:
 * it is stopped by its own effect, and its job then puts it on the books.
 */
function isSuperseded(store: Store, job: Job): boolean {
  const { effect } = job
  if (!('epoch' in effect) || store.getTask(effect.task)?.state.epoch === effect.epoch) return false
  return effect.kind !== 'run' || store.getRun(runIdOf(effect)) === null
}

/** The one run of a step; the same after any crash, so that it is started once. */
export function runIdOf(step: { task: string; epoch: number }): string {
  return `${step.task}-${step.epoch}`
}

type SubmitOptionsOf = Parameters<Engine['submit']>[1]

async function finish(
  deps: WorkerDeps,
  end: { job: Job; command: Command | null; options: SubmitOptionsOf },
): Promise<void> {
  const { job, command } = end
  if (command) {
    const submitted = await deps.engine.submit(command, end.options)
    if (submitted.ok || submitted.because === 'stale-lease') return
  }
  await deps.store.finish({ jobId: job.id, token: job.token })
}

/** Step jobs report their trouble to the task; others are tried again, then given up with their error kept. */
async function failed(
  deps: WorkerDeps,
  failure: { job: Job; error: unknown; interrupted: boolean; superseded: boolean; options: SubmitOptionsOf },
): Promise<void> {
  const { job, error } = failure
  const lease = { jobId: job.id, token: job.token }
  if (failure.superseded) {
    await deps.store.finish(lease)
    return
  }
  if (failure.interrupted) {
    await deps.store.release({ ...lease, runAt: deps.now() })
    return
  }
  if (!(error instanceof ExternalError)) deps.onError(error)
  const { effect } = job
  if ('epoch' in effect) {
    const command: Command = {
      type: 'report-trouble',
      task: effect.task,
      epoch: effect.epoch,
      trouble: troubleFrom(error),
    }
    await finish(deps, { job, command, options: failure.options })
  } else if (job.claims < MAX_CLAIMS) {
    await deps.store.release({ ...lease, runAt: deps.now() + backoffMs(job.claims - 1) })
  } else {
    await deps.store.finish({ ...lease, error: messageOf(error) })
  }
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
