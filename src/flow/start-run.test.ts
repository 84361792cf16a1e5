// Starting a run, over the real store: it is on the books before anything is started, and nobody else can tell its place.

import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { RunSpec } from '../agents/agent.ts'
import { OPEN, POLICY } from '../core/test-spec.ts'
import { diskFiles } from '../lib/files.ts'
import { openStore } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import { StepOver } from './dispatch.ts'
import { type Engine, makeEngine } from './engine.ts'
import { makeStartRun } from './start-run.ts'
import { Interrupted, type JobContext } from './worker.ts'

const by = { actor: { kind: 'person', name: 'ann' }, cause: 'test', correlation: 'c1' } as const
const at = { task: 'T-1', epoch: 1 }

let dir: string
let store: Store
let engine: Engine
let started: RunSpec[]
let signs: AbortController
/** What happens while the run's place is prepared, and while it is looked where that is. */
let meanwhile: () => Promise<void>
let whileLooking: () => Promise<void>
let prepared: number
/** Null: the worker holds its lease. */
let lost: Error | null

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-start-'))
  store = await openStore(join(dir, 'orch.db'))
  engine = makeEngine({ store, now: Date.now, wake: () => undefined })
  started = []
  signs = new AbortController()
  meanwhile = async () => undefined
  whileLooking = async () => undefined
  prepared = 0
  lost = null
  await engine.submit(OPEN, by)
  await engine.submit({ type: 'begin-step', ...at }, by)
  await engine.submit({ type: 'start-task', ...at, policy: POLICY, baseSha: 'b', branch: 'orch/T-1' }, by)
})

afterEach(async () => {
  store.close()
  await rm(dir, { recursive: true, force: true })
})

function start() {
  const workspace = { task: 'T-1', path: dir, runtimeDir: dir }
  const sandbox = {
    means: { kind: 'none' },
    wrap: ({ argv, env }: { argv: string[]; env: Record<string, string> }) => ({
      file: argv[0],
      args: argv.slice(1),
      env,
      containment: 'marker',
    }),
  }
  const bot = {
    efforts: [],
    find: async () => ({ path: 'bot', version: null, loggedIn: 'yes' }),
    command: () => ({ file: 'bot', args: [], env: {}, reads: [], credentials: [] }),
  }
  const mirror = { path: dir, masked: [], identity: { name: 'Ann', email: 'ann@example.com' } }
  const task = store.getTask('T-1')?.state
  const base = { branch: 'main', sha: 'b' }
  const place = { task, project: { id: 'T' }, mirror, policy: POLICY, stage: POLICY.pipeline.stages[0], base }
  let ids = 0
  const deps = {
    home: dir,
    env: {},
    now: Date.now,
    files: diskFiles,
    newId: () => `fresh-${++ids}-${Math.random()}`,
    store,
    adapters: { bot },
    identity: async () => mirror.identity,
    credentials: { lend: async () => undefined, writeSettings: async () => undefined },
    workspaces: {
      ensure: async () => {
        prepared += 1
        await meanwhile()
        return workspace
      },
      environment: () => ({}),
      sandbox,
    },
    runner: { start: async (spec: RunSpec) => void started.push(spec) },
    dispatch: { place: async () => (await whileLooking(), place), instructions: async () => '' },
  }
  const context = {
    job: { effect: { kind: 'run', ...at } },
    signal: signs.signal,
    submit: async (command: Parameters<Engine['submit']>[0]) => {
      if (lost) throw lost
      return engine.submit(command, by)
    },
  } as JobContext
  // Only what a start asks of these is there: all else fails.
  return makeStartRun(deps as never)(context, { epoch: 1, runId: 'T-1-1' })
}

test('S9, S10: a run is on the books when its process is started', async () => {
  expect(await start()).toBeNull()
  expect(started.map((spec) => spec.runId)).toEqual(['T-1-1'])
  expect(store.getRun('T-1-1')).toMatchObject({ task: 'T-1', agent: 'bot', endedAt: null })
})

test('S12: nothing is started for a task that was cancelled while its place was prepared', async () => {
  meanwhile = async () => void (await engine.submit({ type: 'cancel', task: 'T-1' }, by))
  await expect(start()).rejects.toThrow(StepOver)
  expect(started).toEqual([])
  expect(store.getRun('T-1-1')).toBeNull()
})

test('S2: who lost the step while it looked at the world leaves its workspace alone: another works in it', async () => {
  whileLooking = async () => {
    lost = new Interrupted()
  }
  await expect(start()).rejects.toThrow(Interrupted)
  whileLooking = async () => signs.abort()
  lost = null
  await expect(start()).rejects.toThrow(Interrupted)
  whileLooking = async () => void (await engine.submit({ type: 'cancel', task: 'T-1' }, by))
  signs = new AbortController()
  await expect(start()).rejects.toThrow(StepOver)
  expect(prepared).toBe(0)
})

test('S12: nothing is started by a worker that was told to stop meanwhile', async () => {
  meanwhile = async () => signs.abort()
  await expect(start()).rejects.toThrow(Interrupted)
  expect(started).toEqual([])
  expect(store.getRun('T-1-1')).toBeNull()
})

test('S16: the place of a handoff can not be guessed, and stays that of its run', async () => {
  await start()
  const [name] = await readdir(join(dir, 'handoffs', 'T-1-1'))
  expect(name).toMatch(/^handoff-fresh-/)
  expect(started[0]?.env['ORCH_HANDOFF']).toBe(join(dir, 'handoffs', 'T-1-1', name ?? ''))
  await start()
  expect(await readdir(join(dir, 'handoffs', 'T-1-1'))).toEqual([name])
})
