// The worker over the real store and engine, with handlers made for the case.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { OPEN, POLICY } from '../core/test-spec.ts'
import { systemTimers } from '../lib/clock.ts'
import { sleep } from '../lib/process.ts'
import { openStore } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import { type Engine, makeEngine } from './engine.ts'
import { type Handler, type Handlers, type Worker, makeWorker, runIdOf } from './worker.ts'

const by = { actor: { kind: 'person', name: 'ann' }, cause: 'test', correlation: 'c1' } as const

let dir: string
let store: Store
let engine: Engine
let worker: Worker | null
let errors: unknown[]

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-worker-'))
  store = await openStore(join(dir, 'orch.db'))
  engine = makeEngine({ store, now: Date.now, wake: () => worker?.kick() })
  worker = null
  errors = []
})

afterEach(async () => {
  await worker?.stop()
  store.close()
  await rm(dir, { recursive: true, force: true })
})

function start(
  handlers: Partial<Handlers>,
  more: { capacity?: number; leaseMs?: number; onChange?: () => void; store?: Store; now?: () => number } = {},
): Worker {
  const nothing: Handler = async () => null
  const kinds = { run: nothing, judge: nothing, publish: nothing, await: nothing, land: nothing, tell: nothing }
  worker = makeWorker({
    name: 'w',
    store,
    engine,
    handlers: { ...kinds, 'stop-run': nothing, 'release-dependants': nothing, clean: nothing, ...handlers },
    now: Date.now,
    timers: systemTimers,
    leaseMs: 10_000,
    capacity: 8,
    onChange: () => undefined,
    onError: (error) => errors.push(error),
    ...more,
  })
  worker.kick()
  return worker
}

async function until(holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 5_000; !holds(); await sleep(5)) expect(Date.now()).toBeLessThan(end)
}

/** Waits until its signal is aborted, as a verification or a setup does. */
function waits(seen: { started: boolean; aborted: boolean }): Handler {
  return async (_, { signal }) => {
    seen.started = true
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    seen.aborted = true
    throw signal.reason
  }
}

test('L4: work for a cancelled task is interrupted and gives its lane back', async () => {
  await engine.submit(OPEN, by)
  const seen = { started: false, aborted: false }
  start({ run: waits(seen) }, { leaseMs: 60 })
  await until(() => seen.started)
  await engine.submit({ type: 'cancel', task: 'T-1' }, by)
  await until(() => seen.aborted && store.jobSummary().running === 0)
  expect(store.jobsOf('T-1')).toEqual([])
  expect(errors).toEqual([])
})

test('L4: a cancel ends the work on a step at once, long before the next heartbeat', async () => {
  await engine.submit(OPEN, by)
  const seen = { started: false, aborted: false }
  start({ run: waits(seen) }, { leaseMs: 600_000 })
  await until(() => seen.started)
  await engine.submit({ type: 'cancel', task: 'T-1' }, by)
  await until(() => seen.aborted && store.jobSummary().running === 0)
})

test('a run that was begun is followed to its end, though its task was cancelled', async () => {
  await engine.submit(OPEN, by)
  const seen = { started: false, aborted: false }
  const run: Handler = async (job, context) => {
    const at = { task: 'T-1', epoch: 1 }
    await context.submit({ type: 'begin-step', ...at })
    await context.submit({ type: 'start-task', ...at, policy: POLICY, baseSha: 'b', branch: 'b' })
    const runId = runIdOf(at)
    await context.submit({ type: 'begin-run', ...at, runId, role: 'maker', agent: 'bot', model: null, why: '' })
    return waits(seen)(job, context)
  }
  start({ run }, { leaseMs: 60 })
  await until(() => seen.started)
  await engine.submit({ type: 'cancel', task: 'T-1' }, by)
  await sleep(100)
  expect(seen.aborted).toBe(false)
})

test('a listener that fails ends nothing: the error is told and the next job is done', async () => {
  await engine.submit(OPEN, by)
  await engine.submit({ ...OPEN, task: 'T-2', origin: 'local:2' }, by)
  const onChange = (): void => {
    throw new Error('no more screen')
  }
  start({}, { capacity: 1, onChange })
  await until(() => errors.length === 2)
  await until(() => store.jobsOf('T-2').length === 0)
})

test('a worker that is full does not look again and again for what is due', async () => {
  await engine.submit(OPEN, by)
  let looks = 0
  const watched: Store = { ...store, jobSummary: () => (looks++, store.jobSummary()) }
  const seen = { started: false, aborted: false }
  start({ run: waits(seen) }, { capacity: 1, store: watched })
  await until(() => seen.started)
  await engine.submit({ ...OPEN, task: 'T-2', origin: 'local:2' }, by)
  const job = await store.claim({ worker: 'other', now: Date.now(), leaseMs: 1_000 })
  if (!job) throw new Error('no job to claim')
  await store.release({ jobId: job.id, token: job.token, runAt: Date.now() })
  worker?.kick()
  const before = looks
  await sleep(100)
  expect(looks - before).toBeLessThan(5)
})

test('L2: what fails again and again beside the steps is parked with where it went wrong, and retried when asked', async () => {
  await engine.submit(OPEN, by)
  await engine.submit({ type: 'cancel', task: 'T-1' }, by)
  let tries = 0
  const clean: Handler = async () => {
    tries++
    throw new TypeError('no such thing')
  }
  // Each pause is over at once.
  let ahead = 0
  start({ clean }, { now: () => Date.now() + (ahead += 400_000) })
  await until(() => store.parkedJobs().length === 1)
  expect(tries).toBe(8)
  expect(store.parkedJobs()[0]).toMatchObject({ kind: 'clean', task: 'T-1', failures: 8 })
  expect(store.parkedJobs()[0]?.error).toMatch(/no such thing\n.*worker\.test\.ts/s)
  expect(store.jobSummary()).toMatchObject({ ready: 0, running: 0, delayed: 0 })
  await store.unpark('T-1')
  worker?.kick()
  await until(() => tries > 8)
})

test('a fault of Orch in a step is kept with its stack, and is no fault of the code', async () => {
  await engine.submit(OPEN, by)
  const run: Handler = async () => {
    throw new RangeError('off by one')
  }
  start({ run })
  await until(() => store.faultsOf('T-1').length > 0)
  expect(store.faultsOf('T-1')[0]?.error).toMatch(/off by one\n.*worker\.test\.ts/s)
  expect(store.getTask('T-1')?.state.attempts).toEqual({ code: 0, transient: 0, infra: 1 })
})

test('a disk that is full where no one thought of it is the machine’s trouble, no fault of Orch', async () => {
  await engine.submit(OPEN, by)
  start({
    run: async () => {
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
    },
  })
  await until(() => store.getTask('T-1')?.state.attempts.infra === 1)
  expect(JSON.stringify(store.listEvents({ task: 'T-1' }).at(-1)?.data)).toContain('the disk is full')
  expect(store.faultsOf('T-1')).toEqual([])
  expect(errors).toEqual([])
})
