// `orch up`: one worker that wakes when something changed and does nothing when nothing did.

import { type FSWatcher, watch } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../lib/errors.ts'
import { identifyProcess } from '../lib/process-identity.ts'
import type { UpOptions, UpResult } from './app.ts'
import type { Capabilities } from './capabilities.ts'
import type { Engine } from './engine.ts'
import { makeHandlers } from './flow.ts'
import { type Outside, type OutsideDeps, startOutside } from './outside.ts'
import { makeQuietRuns } from './quiet-runs.ts'
import { makeReconcile, workerName } from './reconcile.ts'
import { stopRun } from './run.ts'
import { makeSettleMerges } from './settle.ts'
import { makeStockKeeper } from './stock.ts'
import { iso } from './views.ts'
import { type Handlers, makeWorker } from './worker.ts'

/** Slow fallback for a file watch that missed something; one pragma of about a microsecond. */
const FALLBACK_MS = 2_000
/** Books against the world; far above a lease, so that a slow disk is no dead worker. */
const RECONCILE_MS = 60_000
/** A worker silent for so long has lost its jobs. */
const LEASE_MS = 30_000
/** Jobs at once, waiting runs included: each costs a file watch and a timer, not a core. */
const CAPACITY = 64

export interface ServiceDeps {
  capabilities: Capabilities
  engine: Engine
  /** Null when another process holds it. */
  lock: () => { release(): void } | null
  onError: (error: unknown) => void
  /** What a restore left to be settled, settled before anything else is done; sentences. */
  settleRestore: () => Promise<string[]>
}

/** The loop's needs of the world. */
export type LoopDeps = Omit<ServiceDeps, 'lock'> & {
  handlers: Handlers
  /** Calls back soon after any commit, by this process or another; gives the way to end that. */
  watch: (changed: () => void) => () => void
  /** Begins to hear from trackers and forges. */
  startOutside: (deps: OutsideDeps) => Promise<Outside>
}

/** Runs until aborted, or until idle if asked. Throws UserError `already-up` (4) when another service runs here. */
export async function runService(deps: ServiceDeps, options: UpOptions): Promise<UpResult> {
  const { home, now } = deps.capabilities
  const lock = deps.lock()
  if (!lock)
    throw new UserError(
      4,
      'already-up',
      `another \`orch up\` runs on ${home}; stop it first, or set ORCH_HOME to another folder`,
    )
  const identity = identifyProcess(process.pid) ?? { pid: process.pid, startTime: 0, bootId: '' }
  const serviceFile = join(home, 'service.json')
  await writeFile(serviceFile, JSON.stringify({ ...identity, since: new Date(now()).toISOString() }))
  try {
    const watch = (changed: () => void): (() => void) => watchForChanges(deps, changed)
    const handlers = makeHandlers(deps.capabilities, deps.engine)
    return await serve({ ...deps, handlers, watch, startOutside }, { options, worker: workerName(identity) })
  } finally {
    await rm(serviceFile, { force: true })
    lock.release()
  }
}

/** The service without its lock and files: reconciles, works, and ends as `runService` says. `worker` names its process. */
export async function serve(deps: LoopDeps, run: { options: UpOptions; worker: string }): Promise<UpResult> {
  const { capabilities, engine } = deps
  const { store, now, timers } = capabilities
  const { options } = run
  capabilities.runner.prepare()
  const tail = makeTail(deps, options)
  let stop: () => void = () => undefined
  const stopped = new Promise<void>((resolve) => {
    stop = resolve
  })
  let outside: Outside | null = null
  const stock = makeStockKeeper(capabilities, deps.onError)
  const onChange = (): void => {
    try {
      tail()
      stock.kick()
      outside?.kick()
      if (options.untilIdle && worker.active() === 0 && outside?.isIdle(options.timerWaitMs) && isIdle(deps, options))
        stop()
    } catch (error) {
      deps.onError(error)
    }
  }
  const worker = makeWorker({
    name: run.worker,
    store,
    engine,
    handlers: deps.handlers,
    now,
    timers,
    leaseMs: LEASE_MS,
    capacity: CAPACITY,
    onChange,
    onError: deps.onError,
  })
  const lookThrough = makeSweep(deps, options)
  const sweep = async (): Promise<void> => {
    await lookThrough()
    worker.kick()
  }
  warnOfSandbox(deps, options)
  await sweep()
  const onNotice = (text: string): void => options.onNotice?.(text)
  outside = await deps
    .startOutside({ ...deps, worker: run.worker, onNotice, onRest: onChange })
    .catch(async (error) => {
      await worker.stop()
      throw error
    })
  const unwatch = deps.watch(() => {
    worker.kick()
    onChange()
  })
  const slow = timers.every(RECONCILE_MS, () => void sweep().catch(deps.onError))
  options.signal.addEventListener('abort', stop)
  if (options.signal.aborted) stop()
  onChange()
  await stopped
  slow.cancel()
  unwatch()
  await outside.stop()
  await worker.stop()
  await stock.stop()
  tail()
  return { liveRuns: liveRuns(deps), counts: store.countTasks() }
}

/** One look over the books and the world; what it finds is noticed. */
function makeSweep(deps: LoopDeps, options: UpOptions): () => Promise<void> {
  const { capabilities, engine, onError } = deps
  const { store, now, isProcessAlive, runner } = capabilities
  const quietRuns = makeQuietRuns({ books: store, lastActivity: (runId) => runner.lastActivity(runId), now, time: iso })
  const reconcile = makeReconcile({
    store,
    engine,
    now,
    isProcessAlive,
    stopRun: (runId) => stopRun(capabilities, engine, runId),
    settleMerges: makeSettleMerges({ ...capabilities, engine, onError }),
    onError,
  })
  return async () => {
    for (const sentence of await deps.settleRestore()) options.onNotice?.(sentence)
    for (const sentence of await reconcile()) options.onNotice?.(sentence)
    for (const sentence of await quietRuns()) options.onNotice?.(sentence)
  }
}

function warnOfSandbox({ capabilities }: LoopDeps, options: UpOptions): void {
  const { means } = capabilities.workspaces.sandbox
  if (means.open.length === 0) return
  options.onNotice?.(
    `warning: ${means.kind === 'none' ? 'there is no sandbox here' : `the sandbox here is ${means.kind}`}; agents are held back less than with bubblewrap, see \`orch doctor\``,
  )
}

/** Nothing is ready or running, and no timer is due soon enough to wait for. */
function isIdle(deps: LoopDeps, options: UpOptions): boolean {
  const jobs = deps.capabilities.store.jobSummary()
  if (jobs.ready > 0 || jobs.running > 0) return false
  return jobs.nextDueAt === null || jobs.nextDueAt - deps.capabilities.now() > options.timerWaitMs
}

function liveRuns(deps: LoopDeps): UpResult['liveRuns'] {
  const runs = deps.capabilities.store.listRuns({ live: true })
  return runs.map(({ id, task, agent }) => ({ runId: id, task, agent }))
}

/** Hands on every event once, in order, from now on. */
function makeTail(deps: LoopDeps, options: UpOptions): () => void {
  const { store } = deps.capabilities
  let last = store.lastSeq()
  return () => {
    if (!options.onEvent || store.lastSeq() === last) return
    for (const entry of store.listEvents({ after: last })) {
      last = entry.seq
      options.onEvent(entry)
    }
  }
}

/** Calls back within milliseconds of any commit, by this process or another. */
function watchForChanges(deps: ServiceDeps, changed: () => void): () => void {
  const { store, home, timers } = deps.capabilities
  let watcher: FSWatcher | null = null
  try {
    watcher = watch(join(home, 'wake'), changed)
    watcher.on('error', deps.onError)
  } catch (error) {
    // Without file watches (their number is limited) the fallback below still sees every change.
    deps.onError(error)
  }
  let version = store.dataVersion()
  const fallback = timers.every(FALLBACK_MS, () => {
    try {
      const current = store.dataVersion()
      if (current === version) return
      version = current
      changed()
    } catch (error) {
      deps.onError(error)
    }
  })
  return () => {
    watcher?.close()
    fallback.cancel()
  }
}
