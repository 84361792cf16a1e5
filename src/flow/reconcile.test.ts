// Sweeps over the real store and engine: what no live worker will put right, is put right; what is right is left alone.

import { mkdtemp, rm } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Command } from '../core/messages.ts'
import { MERGE, OPEN, POLICY } from '../core/test-spec.ts'
import { ExternalError } from '../lib/errors.ts'
import { openStore } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import { type Engine, makeEngine } from './engine.ts'
import { type ReconcileDeps, closeEndedDependencies, makeReconcile, workerName } from './reconcile.ts'
import { makeSettleMerges } from './settle.ts'

const by = { actor: { kind: 'person', name: 'ann' }, cause: 'test', correlation: 'c1' } as const
const LEASE = { worker: workerName({ pid: 7, startTime: 1, bootId: 'b' }), leaseMs: 1_000 }

let dir: string
let store: Store
let engine: Engine
let now: number
let stopped: string[]
let errors: unknown[]

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-reconcile-'))
  store = await openStore(join(dir, 'orch.db'))
  now = 10_000
  stopped = []
  errors = []
  engine = makeEngine({ store, now: () => now, wake: () => undefined })
})

afterEach(async () => {
  store.close()
  await rm(dir, { recursive: true, force: true })
  if (errors.length > 0) throw new AggregateError(errors, 'a sweep met trouble of its own')
})

function reconciler(more: Partial<ReconcileDeps> = {}) {
  return makeReconcile({
    store,
    engine,
    now: () => now,
    isProcessAlive: () => true,
    stopRun: async (runId) => {
      stopped.push(runId)
    },
    settleMerges: async () => [],
    onError: (error) => errors.push(error),
    ...more,
  })
}

async function submit(...commands: Command[]): Promise<void> {
  for (const command of commands) expect(await engine.submit(command, by)).toMatchObject({ ok: true })
}

/** The engine's own commands up to a run on the books. */
function beginning(): Command[] {
  const at = { task: 'T-1', epoch: 1 }
  return [
    { type: 'begin-step', ...at },
    { type: 'start-task', ...at, policy: POLICY, baseSha: 'b', branch: 'b' },
    { type: 'begin-run', ...at, runId: 'T-1-1', role: 'maker', agent: 'bot', model: null, why: '' },
  ]
}

test('L1: the job of a dead worker is taken back at once, that of a live one when its lease is over', async () => {
  await submit(OPEN, { ...OPEN, task: 'T-2', origin: 'local:2' })
  await store.claim({ ...LEASE, now })
  const sweep = reconciler()
  expect(await sweep()).toEqual([])
  expect(await reconciler({ isProcessAlive: () => false })()).toEqual(['took back 1 job(s) of a worker that died'])
  await store.claim({ ...LEASE, now })
  now += 999
  expect(await sweep()).toEqual([])
  now += 1
  expect(await sweep()).toEqual(['took back 1 job(s) of a worker that died'])
})

test('S3: another process under a dead worker’s pid is not that worker', async () => {
  await submit(OPEN)
  await store.claim({ ...LEASE, now })
  const alive = { pid: 7, startTime: 2, bootId: 'b' }
  const isProcessAlive: ReconcileDeps['isProcessAlive'] = (asked) =>
    asked.pid === alive.pid && asked.startTime === alive.startTime && asked.bootId === alive.bootId
  expect(await reconciler({ isProcessAlive })()).toEqual(['took back 1 job(s) of a worker that died'])
})

test('L6: a step whose job is gone is queued again, once, and its run is stopped', async () => {
  await submit(OPEN)
  const job = await store.claim({ ...LEASE, now })
  await submit(...beginning())
  await store.finish({ jobId: job?.id ?? 0, token: 1 })
  const sweep = reconciler()
  expect(await sweep()).toEqual(['T-1 had nothing that would move it; its step is queued again'])
  expect(store.jobsOf('T-1').map((one) => [one.kind, one.epoch])).toEqual([
    ['stop-run', null],
    ['run', 2],
  ])
  expect(await sweep()).toEqual([])
  expect(stopped).toEqual([])
})

test('L6: a dependency that ended before its dependant was committed is told to it', async () => {
  await submit(OPEN, { type: 'cancel', task: 'T-1' })
  const late = { ...OPEN, task: 'T-2', origin: 'local:2', dependsOn: ['T-1'], openDeps: ['T-1'] }
  await submit(late)
  const sweep = reconciler()
  expect(await sweep()).toEqual(['T-2 waited for T-1, which had ended'])
  expect(store.getTask('T-2')?.state).toMatchObject({
    status: 'needs_review',
    reason: { code: 'dependency-cancelled' },
  })
  expect(await sweep()).toEqual([])
  await submit({ ...late, task: 'T-3', origin: 'local:3' })
  expect(await closeEndedDependencies({ store, engine }, 'T-3')).toEqual(['T-1'])
})

test('S8: a dependency that is still open is waited for, however often anybody looks', async () => {
  const waiting = { ...OPEN, task: 'T-2', origin: 'local:2', dependsOn: ['T-1'], openDeps: ['T-1'] }
  await submit(OPEN, waiting)
  expect(await closeEndedDependencies({ store, engine }, 'T-2')).toEqual([])
  expect(await reconciler()()).toEqual([])
  expect(store.getTask('T-2')?.state).toMatchObject({ status: 'blocked', openDeps: ['T-1'] })
})

test('L2: a step that takes its workers along is held for a person with the reason, and a retry queues it afresh', async () => {
  await submit(OPEN)
  const sweep = reconciler({ isProcessAlive: () => false })
  for (let deaths = 1; deaths <= 8; deaths++) {
    now += 100_000
    expect(await store.claim({ ...LEASE, now })).not.toBeNull()
    const told = await sweep()
    expect(told[0]).toBe('took back 1 job(s) of a worker that died')
    if (deaths === 8) expect(told[1]).toMatch(/^T-1 is held: its worker died, or fell silent, 8 times/)
  }
  expect(store.getTask('T-1')?.state).toMatchObject({ status: 'needs_review', reason: { code: 'worker-died' } })
  expect(store.getTask('T-1')?.state.attempts.code).toBe(0)
  expect(store.parkedJobs()).toEqual([])
  await submit({ type: 'retry', task: 'T-1', parallel: 1 })
  expect(await store.claim({ ...LEASE, now })).toMatchObject({ effect: { task: 'T-1' }, failures: 0 })
})

test('what is parked beside the steps is told once, not at every sweep', async () => {
  await submit(OPEN, { type: 'cancel', task: 'T-1' })
  for (let job = await store.claim({ ...LEASE, now }); job; job = await store.claim({ ...LEASE, now }))
    if (job.effect.kind === 'clean') await store.park({ jobId: job.id, token: job.token, error: 'no way\n at x' })
    else await store.finish({ jobId: job.id, token: job.token })
  const sweep = reconciler()
  expect(await sweep()).toEqual([
    'T-1: cleaning up after it failed 1 times and is put aside (no way); `orch task retry T-1` tries it again',
  ])
  await submit({ ...OPEN, task: 'T-2', origin: 'local:2' })
  for (let n = 0; n < 3; n++) expect(await sweep()).toEqual([])
})

test('a run on the books that no job follows is ended', async () => {
  await submit(OPEN)
  const job = await store.claim({ ...LEASE, now })
  await submit(...beginning())
  expect(await reconciler()()).toEqual([])
  expect(stopped).toEqual([])
  await submit({ type: 'cancel', task: 'T-1' })
  await store.finish({ jobId: job?.id ?? 0, token: 1 })
  const sweep = reconciler()
  // Its stop-run job is there.
  await sweep()
  expect(stopped).toEqual([])
  for (let next = await store.claim({ ...LEASE, now }); next; next = await store.claim({ ...LEASE, now }))
    await store.finish({ jobId: next.id, token: next.token })
  await sweep()
  expect(stopped).toEqual(['T-1-1'])
})

test('S3: rows that no code path leads to are mended and counted', async () => {
  await submit(OPEN)
  const db = new DatabaseSync(join(dir, 'orch.db'))
  db.exec(`PRAGMA ignore_check_constraints = 1;
    UPDATE jobs SET worker = 'ghost', lease_until = 1;
    UPDATE lanes SET running = 1, head_id = NULL, head_rank = NULL;
    UPDATE tasks SET run_id = 'T-1-1'`)
  db.close()
  const sweep = reconciler()
  const told = await sweep()
  expect(told.slice(0, 3)).toEqual(
    ['impossible-job', 'lane', 'impossible-task'].map(
      (what) => `mended 1 ${what} row(s) that should not exist; \`orch doctor\` counts them`,
    ),
  )
  expect(store.healed()).toEqual(
    ['impossible-job', 'impossible-task', 'lane'].map((what) => ({ what, n: 1, lastAt: now })),
  )
  expect(await sweep()).toEqual([])
  expect(await store.claim({ ...LEASE, now })).toMatchObject({ effect: { task: 'T-1', epoch: 2 } })
})

test('a sweep after which nothing was written asks for nothing but leases', async () => {
  await submit(OPEN)
  let looks = 0
  const counted: Store = { ...store, tasksWithoutJob: () => (looks++, store.tasksWithoutJob()) }
  const sweep = reconciler({ store: counted })
  await sweep()
  await sweep()
  await sweep()
  expect(looks).toBe(1)
  await submit({ ...OPEN, task: 'T-2', origin: 'local:2' })
  await sweep()
  expect(looks).toBe(2)
})

test('a sweep reads a project’s train once, however many of its tasks have no job, and looks at no paused one', async () => {
  for (let n = 1; n <= 4; n++) await submit({ ...OPEN, task: `T-${n}`, origin: `local:${n}` })
  await submit({ type: 'pause', task: 'T-4' })
  for (let job = await store.claim({ ...LEASE, now }); job; job = await store.claim({ ...LEASE, now }))
    await store.finish({ jobId: job.id, token: job.token })
  expect(store.tasksWithoutJob()).toEqual(['T-1', 'T-2', 'T-3'])
  let reads = 0
  const counted: Store = { ...store, getRepository: (id) => (reads++, store.getRepository(id)) }
  expect(await reconciler({ store: counted })()).toHaveLength(3)
  expect(reads).toBe(1)
})

/** A merge that was intended, its task held because the remote could not be reached. */
async function heldMerge(): Promise<void> {
  await store.addProject({ id: 'T', name: 't', path: dir, remote: dir, createdAt: 1 })
  const at = (): { task: string; epoch: number } => ({ task: 'T-1', epoch: store.getTask('T-1')?.state.epoch ?? 0 })
  const pipeline = { ...POLICY.pipeline, stages: POLICY.pipeline.stages.filter((stage) => stage.name !== 'look') }
  await submit(OPEN, ...beginning().slice(0, 1))
  const policy = { ...POLICY, pipeline }
  await submit({ type: 'start-task', ...at(), policy, baseSha: 'b', branch: 'b' }, ...beginning().slice(2))
  const used = { usage: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 }, costUsd: 0, sessionId: null }
  const run = { runId: 'T-1-1', role: 'maker', agent: 'bot', model: null, headSha: 'h' }
  await submit({ type: 'end-run', ...at(), ...run, outcome: { kind: 'succeeded' }, ...used })
  await submit({ type: 'begin-step', ...at() })
  const verdicts = (['changes', 'verify'] as const).map((gate) => ({
    gate,
    stage: 'make',
    result: 'pass' as const,
    sha: 'h',
    configHash: 'c1',
    note: '',
    findings: [],
  }))
  await submit({ type: 'judge-stage', ...at(), stage: 'make', sha: 'h', verdicts })
  await submit({ type: 'begin-step', ...at() })
  await submit({ type: 'confirm-change', ...at(), branch: 'b', sha: 'h' })
  await submit({ type: 'begin-step', ...at() })
  const merge = { mergeSha: MERGE, onto: 'b', tree: 't', configHash: 'c1', verified: true }
  await submit({ type: 'intend-merge', ...at(), ...merge })
  await submit({ type: 'report-trouble', ...at(), trouble: { class: 'hold', code: 'push-unreachable', text: 'x' } })
}

test('S4, S9: a held merge that main holds after all is recorded; out of reach it is looked for again, ever less often', async () => {
  await heldMerge()
  let looks = 0
  let answer: 'unreachable' | 'absent' | 'there' = 'unreachable'
  const mirror = {
    fetchBase: async () => {
      looks++
      if (answer === 'unreachable') throw new ExternalError({ system: 'git', kind: 'unreachable', message: 'no route' })
      return { branch: 'main', sha: 'm' }
    },
    isAncestor: async () => answer === 'there',
  }
  const settleMerges = makeSettleMerges({
    store,
    engine,
    now: () => now,
    workspaces: { mirror: async () => mirror as never },
    onError: (error) => errors.push(error),
  })
  const sweep = reconciler({ settleMerges })
  expect(await sweep()).toEqual([])
  expect(await sweep()).toEqual([])
  expect(looks).toBe(1)
  now += 5_000
  answer = 'absent'
  await sweep()
  now += 9_999
  await sweep()
  expect(looks).toBe(2)
  expect(store.getTask('T-1')?.state.status).toBe('needs_review')
  now += 1
  answer = 'there'
  expect(await sweep()).toEqual([`T-1: its merge ${MERGE.slice(0, 10)} is in main`])
  expect(store.getTask('T-1')?.state).toMatchObject({ status: 'done', mergedSha: MERGE })
  expect(store.listIntents({ task: 'T-1' }).map((intent) => intent.state)).toContain('confirmed')
  expect(store.unsettledIntents().filter((intent) => intent.kind === 'merge')).toEqual([])
})

test('a cancel that waited for a merge is applied once main can be seen not to hold it', async () => {
  await heldMerge()
  const at = (): { task: string; epoch: number } => ({ task: 'T-1', epoch: store.getTask('T-1')?.state.epoch ?? 0 })
  await submit({ type: 'cancel', task: 'T-1' })
  await submit({ type: 'begin-step', ...at() })
  await submit({ type: 'report-trouble', ...at(), trouble: { class: 'hold', code: 'push-unreachable', text: 'x' } })
  expect(store.getTask('T-1')?.state).toMatchObject({ status: 'needs_review', cancelRequested: true })
  const mirror = { fetchBase: async () => ({ branch: 'main', sha: 'm' }), isAncestor: async () => false }
  const settleMerges = makeSettleMerges({
    store,
    engine,
    now: () => now,
    workspaces: { mirror: async () => mirror as never },
    onError: (error) => errors.push(error),
  })
  const sweep = reconciler({ settleMerges })
  expect(await sweep()).toEqual([`T-1: main does not hold its merge ${MERGE.slice(0, 10)}, so its cancel goes on`])
  expect(store.jobsOf('T-1').map((job) => [job.kind, job.epoch])).toEqual([['land', at().epoch]])
  now += 1_000_000
  expect(await sweep()).toEqual([])
})
