// What follows a task's end, over the real store, local forge and a remote that answers as the case wants.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { HEAD, OPEN, POLICY } from '../core/test-spec.ts'
import { makeLocalForge } from '../drivers/local/forge.ts'
import { systemTimers } from '../lib/clock.ts'
import { ExternalError } from '../lib/errors.ts'
import { diskFiles } from '../lib/files.ts'
import { openStore } from '../store/sqlite.ts'
import type { Job, Store } from '../store/store.ts'
import type { PushResult } from '../workspace/workspace.ts'
import { type Engine, makeEngine } from './engine.ts'
import { type HousekeepingDeps, makeHousekeeping } from './housekeeping.ts'
import type { JobContext } from './worker.ts'

const by = { actor: { kind: 'person', name: 'ann' }, cause: 'test', correlation: 'c1' } as const

let dir: string
let store: Store
let engine: Engine
let removed: string[]
let deleted: { branch: string; expected: string }[]
let answer: PushResult

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-clean-'))
  store = await openStore(join(dir, 'orch.db'))
  engine = makeEngine({ store, now: Date.now, wake: () => undefined })
  removed = []
  deleted = []
  answer = { ok: true }
  await store.addProject({ id: 'T', name: 't', path: dir, remote: dir, createdAt: 1 })
  await engine.submit(OPEN, by)
})

afterEach(async () => {
  store.close()
  await rm(dir, { recursive: true, force: true })
})

function clean(
  keepBranch: boolean,
  more: Pick<Partial<HousekeepingDeps>, 'runner'> & { work?: string[]; failures?: number } = {},
): Promise<unknown> {
  const unused = async (): Promise<never> => Promise.reject(new Error('not expected'))
  const mirror = {
    deleteBranch: async (request: { branch: string; expected: string }) => {
      deleted.push(request)
      return answer
    },
  }
  const deps: HousekeepingDeps = {
    home: dir,
    env: {},
    now: Date.now,
    timers: systemTimers,
    files: diskFiles,
    store,
    adapters: {},
    credentials: { lend: unused, writeSettings: unused, takeBack: unused },
    identity: unused,
    readHandoff: unused,
    forgeOf: () => makeLocalForge(store, Date.now),
    runner: more.runner ?? { state: async () => 'absent', stop: unused, wait: unused },
    workspaces: {
      find: () => (more.work ? { task: 'T-1', path: dir, runtimeDir: dir } : null),
      findReadCopy: () => null,
      discard: unused,
      collect: async (_mirror, _workspace, { branch }) => {
        more.work?.push(branch)
        return { headSha: HEAD, leftovers: false, tampering: [] }
      },
      // Only what cleaning asks of a mirror is there: all else fails.
      mirror: async () => mirror as never,
      remove: async (task) => {
        removed.push(task)
        return { saved: null }
      },
    },
  }
  const job: Job = {
    id: 99,
    effect: { kind: 'clean', task: 'T-1', keepBranch },
    lane: 'light:T',
    token: 1,
    failures: more.failures ?? 0,
    leaseUntil: 0,
  }
  const context: JobContext = { job, signal: new AbortController().signal, submit: unused }
  return makeHousekeeping(deps, engine).clean(job, context)
}

/** The task at its publication: pushed, its change open, and nothing confirmed. */
async function publishing(): Promise<void> {
  const at = { task: 'T-1', epoch: 1 }
  const run = { ...at, runId: 'T-1-1', role: 'maker', agent: 'bot', model: null }
  const pipeline = {
    ...POLICY.pipeline,
    stages: POLICY.pipeline.stages.map((stage) => ({ ...stage, gates: [] })),
  }
  await engine.submit({ type: 'begin-step', ...at }, by)
  await engine.submit(
    { type: 'start-task', ...at, policy: { ...POLICY, pipeline }, baseSha: 'b', branch: 'orch/T-1' },
    by,
  )
  await engine.submit({ type: 'begin-run', ...run, why: '' }, by)
  const used = { usage: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 }, costUsd: 0 }
  await engine.submit(
    { type: 'end-run', ...run, outcome: { kind: 'succeeded' }, sessionId: null, headSha: HEAD, ...used },
    by,
  )
  await engine.submit({ type: 'begin-step', task: 'T-1', epoch: 2 }, by)
  await engine.submit({ type: 'judge-stage', task: 'T-1', epoch: 2, stage: 'make', sha: HEAD, verdicts: [] }, by)
  await engine.submit({ type: 'begin-step', task: 'T-1', epoch: 3 }, by)
  await engine.submit({ type: 'intend-change', task: 'T-1', epoch: 3, branch: 'orch/T-1', sha: HEAD }, by)
  const change = { project: 'T', task: 'T-1', branch: 'orch/T-1', base: 'main', head: HEAD, title: 't', body: '' }
  await makeLocalForge(store, Date.now).ensureChange(change)
}

test('a task cancelled in the middle of its publication leaves neither branch, change nor open intent', async () => {
  await publishing()
  await engine.submit({ type: 'cancel', task: 'T-1' }, by)
  await clean(false)
  expect(deleted).toEqual([{ branch: 'orch/T-1', expected: HEAD }])
  expect(store.getChange('T-1')?.state).toBe('closed')
  expect(store.listIntents({ state: 'open' })).toEqual([])
})

test('a remote that can not be reached is asked again later; a branch that somebody moved stays', async () => {
  await publishing()
  await engine.submit({ type: 'cancel', task: 'T-1' }, by)
  answer = { ok: false, because: 'unreachable', text: 'no route' }
  await expect(clean(false)).rejects.toThrow(ExternalError)
  answer = { ok: false, because: 'moved', text: 'stale info' }
  await clean(false)
})

test('a remote that takes no pushes for a while is asked again; one that goes on refusing keeps its branch', async () => {
  await publishing()
  await engine.submit({ type: 'cancel', task: 'T-1' }, by)
  answer = { ok: false, because: 'refused', text: 'no pushes now' }
  for (const failures of [0, 3])
    await expect(clean(false, { failures })).rejects.toMatchObject({ kind: 'rejected', message: /no pushes now/ })
  await clean(false, { failures: 4 })
})

test('a branch that is kept for a person to merge keeps its change open', async () => {
  await publishing()
  await clean(true)
  expect(deleted).toEqual([])
  expect(store.getChange('T-1')?.state).toBe('open')
})

test('a workspace is not removed under a step that is still being ended', async () => {
  const job = await store.claim({ worker: 'w', now: Date.now(), leaseMs: 60_000 })
  await engine.submit({ type: 'cancel', task: 'T-1' }, by)
  const cleaning = clean(false)
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(removed).toEqual([])
  await store.finish({ jobId: job?.id ?? 0, token: job?.token ?? 0 })
  await cleaning
  expect(removed).toEqual(['T-1'])
})

test('L4: a run that still lives is stopped before its workspace goes', async () => {
  await engine.submit({ type: 'begin-step', task: 'T-1', epoch: 1 }, by)
  await engine.submit(
    { type: 'start-task', task: 'T-1', epoch: 1, policy: POLICY, baseSha: 'b', branch: 'orch/T-1' },
    by,
  )
  const run = { runId: 'T-1-1', role: 'maker', agent: 'bot', model: null, why: '' }
  await engine.submit({ type: 'begin-run', task: 'T-1', epoch: 1, ...run }, by)
  await engine.submit({ type: 'cancel', task: 'T-1' }, by)
  const order: string[] = []
  const unused = async (): Promise<never> => Promise.reject(new Error('not expected'))
  const stop = async (runId: string): Promise<void> => void order.push(`${runId} stopped, ${removed.length} removed`)
  const work: string[] = []
  await clean(false, { runner: { state: async () => 'running', stop, wait: unused }, work })
  expect(order).toEqual(['T-1-1 stopped, 0 removed'])
  expect(removed).toEqual(['T-1'])
  // What it had committed is kept in the mirror.
  expect(work).toEqual(['orch/T-1'])
})

test('S15: a branch that Orch never meant to push is not its own to delete', async () => {
  await engine.submit({ type: 'begin-step', task: 'T-1', epoch: 1 }, by)
  await engine.submit(
    { type: 'start-task', task: 'T-1', epoch: 1, policy: POLICY, baseSha: 'b', branch: 'orch/T-1' },
    by,
  )
  await engine.submit({ type: 'cancel', task: 'T-1' }, by)
  await clean(false)
  expect(deleted).toEqual([])
})

test('L6: whoever waits for the task is told how it ended', async () => {
  const late = { ...OPEN, task: 'T-2', origin: 'local:2', dependsOn: ['T-1'], openDeps: ['T-1'] }
  await engine.submit(late, by)
  const effect = { kind: 'release-dependants' as const, task: 'T-1', outcome: 'done' as const }
  const job: Job = { id: 98, effect, lane: 'light:T', token: 1, failures: 0, leaseUntil: 0 }
  const unused = async (): Promise<never> => Promise.reject(new Error('not expected'))
  const context: JobContext = { job, signal: new AbortController().signal, submit: unused }
  // It asks for nothing but the store and the engine.
  await makeHousekeeping({ store } as never, engine).releaseDependants(job, context)
  expect(store.getTask('T-2')?.state).toMatchObject({ status: 'queued', openDeps: [] })
})
