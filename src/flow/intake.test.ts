// What people ask of tasks, over the real store and engine; the project's configuration is handed in.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { OPEN, POLICY } from '../core/test-spec.ts'
import { openStore } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import { type Engine, makeEngine } from './engine.ts'
import { type Intake, makeIntake } from './intake.ts'

const ann = { kind: 'person', name: 'ann' } as const
const by = { actor: ann, cause: 'test', correlation: 'c1' }

let dir: string
let store: Store
let engine: Engine
let intake: Intake
let wakes: number

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-intake-'))
  store = await openStore(join(dir, 'orch.db'))
  wakes = 0
  engine = makeEngine({ store, now: Date.now, wake: () => undefined })
  const config = { resolve: () => ({ ok: true, project: { policy: POLICY } }) }
  // Only what asking for a task needs is there: all else fails.
  const deps = {
    store,
    engine,
    env: {},
    flags: {},
    userConfig: () => null,
    cloneFiles: async () => ({}),
    config,
    newId: () => 'id',
    wake: () => wakes++,
  }
  intake = makeIntake(deps as never)
  await store.addProject({ id: 'T', name: 't', path: dir, remote: dir, createdAt: 1 })
  await store.nextNumber('T')
  await engine.submit(OPEN, by)
})

afterEach(async () => {
  store.close()
  await rm(dir, { recursive: true, force: true })
})

test('the issue of a cancelled task starts afresh as a new task; while it is open a second one is refused', async () => {
  expect(await intake.act({ type: 'reopen', task: 'T-1' }, ann)).toMatchObject({ refusal: { code: 'not-cancelled' } })
  await engine.submit({ type: 'edit-task', task: 'T-1', title: 'Do it well' }, by)
  await engine.submit({ type: 'cancel', task: 'T-1' }, by)
  const reopened = await intake.act({ type: 'reopen', task: 'T-1' }, ann)
  expect(reopened).toMatchObject({
    ok: true,
    task: { id: 'T-2', origin: 'local:1', title: 'Do it well', status: 'queued', branch: null, runId: null },
  })
  expect(store.getTask('T-1')?.state.status).toBe('cancelled')
  expect(await intake.act({ type: 'reopen', task: 'T-1' }, ann)).toMatchObject({ refusal: { code: 'task-exists' } })
  expect(store.countTasks()).toMatchObject({ queued: 1, cancelled: 1 })
  expect(await intake.act({ type: 'reopen', task: 'T-9' }, ann)).toMatchObject({ refusal: { code: 'no-such-task' } })
})

test('a retry of an ended task tries again what was put aside beside its steps, and is refused when nothing was', async () => {
  await engine.submit({ type: 'cancel', task: 'T-1' }, by)
  for (let job = await claim(); job; job = await claim())
    await store.park({ jobId: job.id, token: job.token, error: 'no way' })
  expect(store.parkedJobs()).toHaveLength(2)
  expect(await intake.act({ type: 'retry', task: 'T-1' }, ann)).toMatchObject({ ok: true, task: { id: 'T-1' } })
  expect(store.parkedJobs()).toEqual([])
  expect(wakes).toBe(1)
  expect((await claim())?.effect.task).toBe('T-1')
  expect(await intake.act({ type: 'retry', task: 'T-1' }, ann)).toMatchObject({ refusal: { code: 'task-ended' } })
})

function claim() {
  return store.claim({ worker: 'w', now: Date.now(), leaseMs: 1_000 })
}
