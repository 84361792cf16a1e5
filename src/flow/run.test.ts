// A run's job among others: what else lives in the workspace, what comes too late, what goes wrong afterwards.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { OPEN, POLICY } from '../core/test-spec.ts'
import { NO_USAGE } from '../core/run.ts'
import { diskFiles } from '../lib/files.ts'
import { openStore } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import { type Engine, type SubmitOptions, makeEngine } from './engine.ts'
import { type RunDeps, makeRunHandler, stopRun } from './run.ts'
import type { StartRun } from './start-run.ts'
import type { JobContext } from './worker.ts'

const by = { actor: { kind: 'person', name: 'ann' }, cause: 'test', correlation: 'c1' } as const

let dir: string
let store: Store
let engine: Engine
/** Runs that live, and those that were stopped, in order. */
let living: Set<string>
let stopped: string[]

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-run-'))
  store = await openStore(join(dir, 'orch.db'))
  engine = makeEngine({ store, now: Date.now, wake: () => undefined })
  living = new Set()
  stopped = []
  await store.addProject({ id: 'T', name: 't', path: dir, remote: dir, createdAt: 1 })
  await engine.submit(OPEN, by)
})

afterEach(async () => {
  store.close()
  await rm(dir, { recursive: true, force: true })
})

function deps(more: Partial<RunDeps> = {}): RunDeps {
  const unused = async (): Promise<never> => Promise.reject(new Error('not expected'))
  const report = { sessionId: null, model: null, usage: NO_USAGE, costUsd: 1, startedAt: 1, endedAt: 2 }
  return {
    home: dir,
    env: {},
    now: Date.now,
    files: diskFiles,
    store,
    adapters: {},
    credentials: { lend: unused, writeSettings: unused, takeBack: unused },
    identity: async () => ({ name: 'Ann', email: 'ann@example.com' }),
    readHandoff: async () => ({ ok: false, problem: 'none' }),
    workspaces: { find: () => null, findReadCopy: () => null, discard: unused, collect: unused, mirror: unused },
    runner: {
      state: async (id) => (living.has(id) ? 'running' : stopped.includes(id) ? 'ended' : 'absent'),
      stop: async (id) => {
        living.delete(id)
        stopped.push(id)
      },
      wait: async (id) => ({
        ...report,
        outcome: stopped.includes(id) ? { kind: 'cancelled', by: 'cancel' } : { kind: 'succeeded' },
      }),
    },
    ...more,
  }
}

/** Begins a run on the books and has it live, as `startRun` does. */
const begins: StartRun = async (context, { epoch, runId }) => {
  const at = { task: 'T-1', epoch }
  await context.submit({ type: 'begin-step', ...at })
  if (!store.getTask('T-1')?.state.policy)
    await context.submit({ type: 'start-task', ...at, policy: POLICY, baseSha: 'b', branch: 'b' })
  await context.submit({ type: 'begin-run', ...at, runId, role: 'maker', agent: 'bot', model: null, why: '' })
  living.add(runId)
  return null
}

async function doRun(startRun: StartRun, more: Partial<RunDeps> = {}) {
  const job = await store.claim({ worker: 'w', now: Date.now() + 60_000, leaseMs: 60_000 })
  if (!job) throw new Error('no job to claim')
  const options: SubmitOptions = { ...by, fence: { jobId: job.id, token: job.token, then: 'keep' } }
  const context: JobContext = {
    job,
    signal: new AbortController().signal,
    submit: (command) => engine.submit(command, options),
  }
  return { job, command: await makeRunHandler({ capabilities: deps(more), engine, startRun })(job, context) }
}

test('a run of a step that was left in trouble is over and on the books before the next one is prepared', async () => {
  const broken: StartRun = async (context, step) => {
    await begins(context, step)
    throw new Error('too many open files')
  }
  await expect(doRun(broken)).rejects.toThrow('too many open files')
  const [first] = store.listRuns({ task: 'T-1', live: true })
  const trouble = { class: 'infra', code: 'internal-error', text: 'x' } as const
  const epoch = store.getTask('T-1')?.state.epoch ?? 0
  const job = store.jobsOf('T-1')[0]
  await engine.submit(
    { type: 'report-trouble', task: 'T-1', epoch, trouble },
    { ...by, fence: { jobId: job?.id ?? 0, token: 1, then: 'done' } },
  )
  let livedAtStart: string[] | null = null
  // Jobs other than runs are claimed first and left alone here.
  const stop = await store.claim({ worker: 'w', now: Date.now(), leaseMs: 60_000 })
  expect(stop?.effect.kind).toBe('stop-run')
  await doRun((context, step) => {
    livedAtStart = [...living]
    return begins(context, step)
  })
  expect(livedAtStart).toEqual([])
  expect(store.getRun(first?.id ?? '')).toMatchObject({ outcome: { kind: 'cancelled' }, costUsd: 1 })
})

test('a cancel that comes while a run is being started stops it all the same', async () => {
  const { command } = await doRun(async (context, step) => {
    await begins(context, step)
    living.delete(step.runId)
    await engine.submit({ type: 'cancel', task: 'T-1' }, by)
    living.add(step.runId)
    return null
  })
  expect(stopped).toEqual(['T-1-1'])
  expect(command).toMatchObject({ type: 'end-run', outcome: { kind: 'cancelled' } })
})

test('S13: a login that can not be given back costs the run nothing, and is on record', async () => {
  const login = { from: join(dir, 'login'), to: 'login' }
  const bot = { name: 'bot', command: () => ({ file: 'bot', args: [], env: {}, reads: [], credentials: [login] }) }
  const takeBack = async (): Promise<never> => Promise.reject(new Error('read-only file system'))
  const workspaces = {
    ...deps().workspaces,
    find: () => ({ task: 'T-1', path: dir, runtimeDir: dir }),
    mirror: async () => ({}) as never,
    collect: async () => ({ headSha: 'e'.repeat(40), leftovers: false, tampering: [] }),
  }
  const { command } = await doRun(begins, {
    adapters: { bot: bot as never },
    credentials: { lend: async () => undefined, writeSettings: async () => undefined, takeBack },
    workspaces,
  })
  expect(command).toMatchObject({ type: 'end-run', outcome: { kind: 'succeeded' }, headSha: 'e'.repeat(40) })
  expect(store.listEvidence({ task: 'T-1', gate: 'after-run' })[0]?.data).toMatchObject({
    what: 'login',
    problem: 'read-only file system',
  })
})

test('S1: a run that is there is followed, not started again', async () => {
  const begun = await doRun(begins, { workspaces: withWork() })
  expect(begun.command).toMatchObject({ type: 'end-run', runId: 'T-1-1' })
  const unused: StartRun = async () => Promise.reject(new Error('started twice'))
  await store.release({ jobId: begun.job.id, token: begun.job.token, runAt: 0 })
  const again = await doRun(unused, { workspaces: withWork() })
  expect(again.command).toEqual(begun.command)
})

/** A workspace with a commit to take out; what was asked of it is noted. */
function withWork(asked: string[] = []): RunDeps['workspaces'] {
  const place = { task: 'T-1', path: dir, runtimeDir: dir }
  return {
    find: () => place,
    findReadCopy: () => place,
    discard: async () => void asked.push('discard'),
    mirror: async () => ({}) as never,
    collect: async () => {
      asked.push('collect')
      return { headSha: 'e'.repeat(40), leftovers: false, tampering: [] }
    },
  }
}

test('S10: a run that two stop at once ends once, and is paid for once', async () => {
  const { job } = await doRun(begins, { workspaces: withWork() })
  await engine.submit({ type: 'cancel', task: 'T-1' }, by)
  await store.finish({ jobId: job.id, token: job.token })
  await Promise.all([stopRun(deps(), engine, 'T-1-1'), stopRun(deps(), engine, 'T-1-1')])
  expect(store.listEvents({ task: 'T-1' }).filter((event) => event.type === 'run.ended')).toHaveLength(1)
  expect(store.getTask('T-1')?.state.costUsd).toBe(1)
})

test('S10: a run that its job still follows is stopped, and left to the job to put on the books', async () => {
  await doRun(begins, { workspaces: withWork() })
  await engine.submit({ type: 'cancel', task: 'T-1' }, by)
  await stopRun(deps(), engine, 'T-1-1')
  expect(stopped).toEqual(['T-1-1'])
  expect(store.getRun('T-1-1')).toMatchObject({ endedAt: null })
})

test('S16: what a judging role wrote is discarded, and is no head', async () => {
  const stages = POLICY.pipeline.stages.map((stage) => ({ ...stage, independent: true }))
  const policy = { ...POLICY, pipeline: { ...POLICY.pipeline, stages } }
  const judges: StartRun = async (context, step) => {
    const at = { task: 'T-1', epoch: step.epoch }
    await context.submit({ type: 'begin-step', ...at })
    await context.submit({ type: 'start-task', ...at, policy, baseSha: 'b', branch: 'b' })
    return begins(context, step)
  }
  const asked: string[] = []
  const { command } = await doRun(judges, { workspaces: withWork(asked) })
  expect(asked).toEqual(['discard'])
  expect(command).toMatchObject({ type: 'end-run', outcome: { kind: 'succeeded' }, headSha: null })
})

test('S13: a run whose work can not be taken out is no success, whatever its agent says', async () => {
  const { command } = await doRun(begins)
  expect(command).toMatchObject({
    type: 'end-run',
    outcome: { kind: 'failed', code: 'crash', exitCode: 0 },
    headSha: null,
  })
})

test('S12: the workspace of a step that was left is another run’s by now: nothing is taken out of it', async () => {
  const asked: string[] = []
  const { command } = await doRun(
    async (context, step) => {
      await begins(context, step)
      const trouble = { class: 'infra', code: 'x', text: 'x' } as const
      await engine.submit({ type: 'report-trouble', task: 'T-1', epoch: step.epoch, trouble }, by)
      return null
    },
    { workspaces: withWork(asked) },
  )
  expect(asked).toEqual([])
  expect(command).toMatchObject({ type: 'end-run', headSha: null })
})
