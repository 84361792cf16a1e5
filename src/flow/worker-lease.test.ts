// A worker and its lease: it keeps what it has, writes nothing once that is another's, and a stop costs the task nothing.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { OPEN } from '../core/test-spec.ts'
import { systemTimers } from '../lib/clock.ts'
import { ExternalError, type ExternalKind } from '../lib/errors.ts'
import { sleep } from '../lib/process.ts'
import { openStore } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import { type Engine, makeEngine } from './engine.ts'
import { type Handler, type Worker, makeWorker, troubleFrom } from './worker.ts'

const by = { actor: { kind: 'person', name: 'ann' }, cause: 'test', correlation: 'c1' } as const

let dir: string
let store: Store
let engine: Engine
let worker: Worker
let errors: unknown[]

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-lease-'))
  store = await openStore(join(dir, 'orch.db'))
  engine = makeEngine({ store, now: Date.now, wake: () => undefined })
  errors = []
  await engine.submit(OPEN, by)
})

afterEach(async () => {
  await worker.stop()
  store.close()
  await rm(dir, { recursive: true, force: true })
})

function start(run: Handler, leaseMs = 10_000): void {
  const nothing: Handler = async () => null
  const others = { judge: nothing, publish: nothing, land: nothing, 'stop-run': nothing, 'release-dependants': nothing }
  worker = makeWorker({
    name: 'w',
    store,
    engine,
    handlers: { run, ...others, clean: nothing, await: nothing, tell: nothing },
    now: Date.now,
    timers: systemTimers,
    leaseMs,
    capacity: 8,
    onChange: () => undefined,
    onError: (error) => errors.push(error),
  })
  worker.kick()
}

async function until(holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 5_000; !holds(); await sleep(5)) expect(Date.now()).toBeLessThan(end)
}

/** The worker is taken for dead, and another one has its job. */
async function loseLease(): Promise<void> {
  await store.reclaim({ now: Date.now(), deadWorkers: ['w'] })
  expect(await store.claim({ worker: 'other', now: Date.now() + 600_000, leaseMs: 60_000 })).not.toBeNull()
}

const begin = { type: 'begin-step', task: 'T-1', epoch: 1 } as const

test('S2: a lease is renewed for as long as the work takes', async () => {
  let ended = false
  start(async () => {
    await sleep(400)
    ended = true
    return null
  }, 150)
  await until(() => store.jobSummary().running === 1)
  while (!ended) {
    expect(await store.reclaim({ now: Date.now(), deadWorkers: [] })).toEqual([])
    await sleep(20)
  }
})

test('S2: whoever lost its lease is told by its next write, and writes nothing', async () => {
  const answers: unknown[] = []
  let done = false
  start(async (_, { submit }) => {
    await loseLease()
    await submit(begin).then(
      (answer) => answers.push(answer),
      (error: unknown) => answers.push(error),
    )
    done = true
    return { type: 'report-trouble', task: 'T-1', epoch: 1, trouble: { class: 'hold', code: 'x', text: 'x' } }
  })
  await until(() => done && worker.active() === 0)
  expect(answers).toEqual([expect.objectContaining({ name: 'Interrupted' })])
  expect(store.getTask('T-1')?.state.status).toBe('queued')
  expect(store.leaseHolders()).toEqual(['other'])
})

test('S2: whoever lost its lease is interrupted, also when it writes nothing', async () => {
  let aborted = false
  start(async (_, { signal }) => {
    await loseLease()
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    aborted = true
    throw signal.reason
  }, 60)
  await until(() => aborted && worker.active() === 0)
  expect(store.leaseHolders()).toEqual(['other'])
  expect(store.getTask('T-1')?.state).toMatchObject({ status: 'queued', attempts: { infra: 0 } })
})

test('S13: a service that is stopped puts its work back: no failure, no attempt, the next one goes on', async () => {
  let running = false
  start(async (_, { signal, submit }) => {
    await submit(begin)
    running = true
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    throw new Error('whatever an interrupted part says')
  })
  await until(() => running)
  await worker.stop()
  expect(store.getTask('T-1')?.state).toMatchObject({
    status: 'running',
    attempts: { code: 0, transient: 0, infra: 0 },
  })
  expect(await store.claim({ worker: 'next', now: Date.now(), leaseMs: 1_000 })).toMatchObject({ id: 1, failures: 0 })
})

test('S13: a fault of Orch itself is told, and is not the code’s', async () => {
  start(async (_, { submit }) => {
    await submit(begin)
    throw new TypeError('undefined is no function')
  })
  await until(() => store.getTask('T-1')?.state.status === 'waiting')
  expect(store.getTask('T-1')?.state.attempts).toEqual({ code: 0, transient: 0, infra: 1 })
  expect(errors).toHaveLength(1)
})

test('S13: no trouble of the outside is the code’s', () => {
  const kinds: Record<ExternalKind, 'hold' | 'infra'> = {
    auth: 'hold',
    'not-found': 'hold',
    rejected: 'hold',
    'empty-origin': 'hold',
    'tool-missing': 'hold',
    'setup-failed': 'infra',
    'disk-full': 'infra',
    conflict: 'infra',
    'rate-limited': 'infra',
    unreachable: 'infra',
    'timed-out': 'infra',
  }
  for (const [kind, expected] of Object.entries(kinds) as [ExternalKind, 'hold' | 'infra'][])
    expect([kind, troubleFrom(new ExternalError({ system: 'git', kind, message: 'x' })).class]).toEqual([
      kind,
      expected,
    ])
  expect(troubleFrom('thrown as text')).toMatchObject({ class: 'infra', code: 'internal-error' })
})

test('L4: what is queued for a task that is cancelled is withdrawn with the cancel', async () => {
  start(async () => null)
  await worker.stop()
  await engine.submit({ ...OPEN, task: 'T-2', origin: 'local:2' }, by)
  expect(store.jobsOf('T-2').map((job) => job.kind)).toEqual(['run'])
  await engine.submit({ type: 'cancel', task: 'T-2' }, by)
  expect(store.jobsOf('T-2').map((job) => job.kind)).toEqual(['release-dependants', 'clean'])
})
