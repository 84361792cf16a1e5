// For tests: the whole flow on a real store, real git and the project's own verification, with people's agents replaced by
// a function that writes files. Everything between an issue and main is the product's own.

import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished } from 'vitest'
import { findAssets, makeConfig } from '../config/make-config.ts'
import type { Task } from '../core/task.ts'
import { makeLocalForge } from '../drivers/local/forge.ts'
import { makeLocalTracker } from '../drivers/local/tracker.ts'
import { readHandoff } from '../gates/front-matter.ts'
import { awaitGates, gates } from '../gates/gates.ts'
import { makeWebhookHealth } from './webhook-health.ts'
import { systemTimers } from '../lib/clock.ts'
import { diskFiles } from '../lib/files.ts'
import { sleep } from '../lib/process.ts'
import { identifyProcess, isSameProcessAlive } from '../lib/process-identity.ts'
import { openStore } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import { type World, commit, makeWorld, sh } from '../workspace/__fixtures__/world.ts'
import { makeManagedClones } from '../workspace/managed-clones.ts'
import type { Mirror, Workspaces } from '../workspace/workspace.ts'
import type { Capabilities } from './capabilities.ts'
import { makeDispatch, StepOver, StepTrouble } from './dispatch.ts'
import { type Engine, makeEngine } from './engine.ts'
import { makeHandlers } from './flow.ts'
import { workerName } from './reconcile.ts'
import { testRemotes } from './test-driver.ts'
import { makeVerifier } from './verifier.ts'
import { type Handler, type Handlers, type Worker, makeWorker, runIdOf } from './worker.ts'

/** A pipeline that waits for CI and people before it lands. */
export const AWAITS = `name: plain
stages:
  - { name: make, kind: agent, role: developer, gates: [changes, verify] }
  - { name: show, kind: publish }
  - { name: checks, kind: await, gates: [ci, reviews], onFail: make }
  - { name: merge, kind: land, onFail: make }
`

const pipeline = ([work, show, merge]: [string, string, string]): string => `name: plain
stages:
  - { name: ${work}, kind: agent, role: developer, gates: [changes, verify] }
  - { name: ${show}, kind: publish }
  - { name: ${merge}, kind: land, onFail: ${work} }
`

/** A worker's name says whether it lives. */
const OWN_NAME = workerName(identifyProcess(process.pid) ?? { pid: process.pid, startTime: 0, bootId: '' })

export interface FlowWorld {
  git: World
  store: Store
  engine: Engine
  capabilities: Capabilities
  handlers: Handlers
  /** What happened on the outside, and which commands were committed by steps, in their order. */
  log: string[]
  errors: unknown[]
  /** Opens a task; its id is T-1, T-2 …, or that of another project. */
  open(title: string, project?: string): Promise<string>
  /** Registers a repository of its own, with a pipeline of its own stages. */
  addProject(id: string, stages: [string, string, string]): Promise<World>
  task(id: string): Task
  /** A worker over all of it, stopped when the test ends. */
  work(more?: { name?: string; leaseMs?: number; handlers?: Partial<Handlers> }): Worker
  /** Waits until it holds; fails when nothing is left to be done. */
  until(holds: () => boolean): Promise<void>
  /** Plain git in the remote. */
  remote(...args: string[]): Promise<string>
  /** Commits files to the remote's main from a clone of somebody else's. */
  pushMain(files: Record<string, string>, message?: string): Promise<string>
}

export interface FlowOptions {
  /** The project's verify command, or a group in braces. */
  verify?: string
  /** More lines of .orch.yml. */
  config?: string
  files?: Record<string, string>
  /** What an agent does in the checkout of its task. */
  agent: (task: Task, tree: string) => Promise<void>
  /** The mirror as the flow has it. */
  mirror?: (real: Mirror) => Partial<Mirror>
  workspaces?: (real: Workspaces) => Partial<Workspaces>
}

/** Removed, its worker stopped, when the test ends. */
export async function makeFlowWorld(options: FlowOptions): Promise<FlowWorld> {
  const git = await makeWorld()
  await configure(git, { stages: ['make', 'show', 'merge'], ...options })
  const home = git.home
  await mkdir(home, { recursive: true })
  const store = await openStore(path.join(home, 'orch.db'))
  onTestFinished(() => store.close())
  const log: string[] = []
  const errors: unknown[] = []
  const workers: Worker[] = []
  const capabilities = capabilitiesOf(git, store, { log, options })
  const real = makeEngine({ store, now: Date.now, wake: () => workers.forEach((worker) => worker.kick()) })
  const engine: Engine = {
    submit: async (command, how) => {
      const submitted = await real.submit(command, how)
      if (submitted.ok && how.cause.startsWith('job:')) log.push(command.type)
      return submitted
    },
  }
  await store.addProject({ id: 'T', name: 'shop', path: git.clone, remote: git.remote, createdAt: 1 })
  const handlers: Handlers = { ...makeHandlers(capabilities, engine), run: agentHandler(capabilities, options) }
  const world: FlowWorld = {
    git,
    store,
    engine,
    capabilities,
    handlers,
    log,
    errors,
    open: async (title, project = 'T') => openTask(world, { title, project }),
    addProject: async (id, stages) => addProject(store, id, stages),
    task: (id) => store.getTask(id)?.state ?? fail(`there is no task ${id}`),
    work: (more = {}) => {
      const worker = makeWorker({
        name: more.name ?? OWN_NAME,
        store,
        engine,
        handlers: { ...handlers, ...more.handlers },
        now: Date.now,
        timers: systemTimers,
        leaseMs: more.leaseMs ?? 10_000,
        capacity: 8,
        onChange: () => undefined,
        onError: (error) => errors.push(error),
      })
      workers.push(worker)
      onTestFinished(() => worker.stop())
      worker.kick()
      return worker
    },
    until: (holds) => until(world, holds),
    remote: (...args) => sh(git.env, git.remote, 'git', ...args),
    pushMain: (files, message = 'by somebody else') => pushMain(git, files, message),
  }
  return world
}

/** Commits the project's configuration to its main. */
async function configure(
  git: World,
  of: Pick<FlowOptions, 'verify' | 'config' | 'files'> & { stages: [string, string, string] },
): Promise<void> {
  const config = [
    'pipeline: plain',
    `verify: [${of.verify?.startsWith('{') ? of.verify : JSON.stringify(of.verify ?? 'true')}]`,
    'approval: auto',
    of.config ?? '',
    '',
  ].join('\n')
  await writeAll(git.clone, { '.orch.yml': config, '.orch/pipelines/plain.yml': pipeline(of.stages), ...of.files })
  await commit(git.env, git.clone, 'Configure Orch')
  await sh(git.env, git.clone, 'git', 'push', '-q', 'origin', 'main')
}

async function addProject(store: Store, id: string, stages: [string, string, string]): Promise<World> {
  const git = await makeWorld()
  await configure(git, { stages })
  await store.addProject({ id, name: id, path: git.clone, remote: git.remote, createdAt: 1 })
  return git
}

function capabilitiesOf(git: World, store: Store, of: { log: string[]; options: FlowOptions }): Capabilities {
  const { home, env, workspaces } = git
  const localForge = makeLocalForge(store, Date.now)
  const unused = async (): Promise<never> => Promise.reject(new Error('no agent program is run here'))
  const mirror: Capabilities['workspaces']['mirror'] = async (project) => {
    const real = await workspaces.mirror(project)
    const logged: Mirror = {
      ...real,
      push: async (request) => {
        of.log.push(`push ${request.branch}`)
        return real.push(request)
      },
    }
    return { ...logged, ...of.options.mirror?.(logged) }
  }
  let ids = 0
  return {
    home,
    env,
    now: Date.now,
    timers: systemTimers,
    files: diskFiles,
    newId: () => `id-${++ids}`,
    store,
    workspaces: { ...workspaces, mirror, ...of.options.workspaces?.(workspaces) },
    runner: {
      dir: (runId) => path.join(home, 'runs', runId),
      state: async () => 'absent',
      start: unused,
      wait: unused,
      stop: async () => undefined,
      stream: () => fail('no agent program is run here'),
      survey: async () => [],
      stopStrays: async () => [],
      lastActivity: async () => null,
      prepare: () => undefined,
    },
    adapters: {},
    gates,
    awaitGates,
    forgeOf: () => localForge,
    remoteForgeOf: () => null,
    trackerOf: () => null,
    remotes: testRemotes([]),
    clones: makeManagedClones({ home, env }),
    webhooksHealthy: () => false,
    pollIntervals: () => ({ healthyMs: 120_000, unhealthyMs: 30_000, ciMs: 10_000 }),
    webhookHealth: makeWebhookHealth({ now: Date.now, lastDeliveries: () => [] }),
    webhookSources: () => ({}),
    selfAt: async () => [],
    quotaOf: () => null,
    listen: unused,
    tracker: makeLocalTracker(store),
    config: makeConfig({ assets: findAssets(path.dirname(fileURLToPath(import.meta.url))) }),
    userConfig: () => null,
    flags: {},
    cloneFiles: async () => ({ config: null, pipelines: [], prompts: {} }),
    validatePipelineFile: unused,
    readHandoff,
    identity: async () => ({ name: 'Ada', email: 'ada@example.org' }),
    credentials: { lend: unused, writeSettings: unused, takeBack: unused },
    wake: () => undefined,
    isProcessAlive: isSameProcessAlive,
  }
}

/** The step of an agent, without a process: on the books, its files written and committed, its commits in the mirror. */
function agentHandler(capabilities: Capabilities, options: FlowOptions): Handler {
  const dispatch = makeDispatch({ ...capabilities, verifier: makeVerifier(capabilities) })
  return async (job, context) => {
    if (job.effect.kind !== 'run') throw new Error(`not a run: ${job.effect.kind}`)
    const { epoch } = job.effect
    const runId = runIdOf(job.effect)
    try {
      const place = await dispatch.place(context, epoch)
      const at = { task: place.task.id, epoch, runId, role: 'developer', agent: 'bot', model: null }
      const begun = await context.submit({ type: 'begin-run', ...at, why: 'test' })
      if (!begun.ok || begun.task.runId !== runId) return null
      const headSha = await doWork(capabilities, { task: begun.task, place, work: options.agent })
      const used = { usage: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 }, costUsd: 1 }
      return { type: 'end-run', ...at, outcome: { kind: 'succeeded' }, sessionId: null, headSha, ...used }
    } catch (error) {
      if (error instanceof StepOver) return null
      if (!(error instanceof StepTrouble)) throw error
      return { type: 'report-trouble', task: job.effect.task, epoch, trouble: error.trouble }
    }
  }
}

async function doWork(
  { env, home }: Capabilities,
  of: { task: Task; place: { mirror: Mirror; base: { sha: string } }; work: FlowOptions['agent'] },
): Promise<string> {
  const { task, place } = of
  const shell = env as Record<string, string>
  const tree = path.join(home, 'trees', `${task.id}-${task.epoch}`)
  await mkdir(path.dirname(tree), { recursive: true })
  await sh(shell, home, 'git', 'clone', '-q', '--no-checkout', place.mirror.path, tree)
  await sh(shell, tree, 'git', 'fetch', '-q', 'origin', '+refs/*:refs/all/*')
  await sh(shell, tree, 'git', 'checkout', '-q', '--detach', task.headSha ?? place.base.sha)
  await of.work(task, tree)
  const sha = await commit(shell, tree, `${task.id}: ${task.title}`)
  await sh(
    shell,
    tree,
    'git',
    `--git-dir=${place.mirror.path}`,
    'fetch',
    '-q',
    tree,
    `+HEAD:refs/orch/${task.id}/${task.epoch}`,
  )
  return sha
}

async function openTask(world: FlowWorld, of: { title: string; project: string }): Promise<string> {
  const { title, project } = of
  const issue = await world.capabilities.tracker.createIssue(project)
  const id = `${project}-${issue.number}`
  const fields = { body: '', labels: [], priority: 0, creator: null, dependsOn: [], openDeps: [], parallel: 4 }
  const opened = await world.engine.submit(
    {
      type: 'open-task',
      task: id,
      project,
      origin: issue.origin,
      title,
      pipeline: 'plain',
      firstStage: 'make',
      ...fields,
    },
    { actor: { kind: 'person', name: 'ann' }, cause: 'test', correlation: id },
  )
  return opened.ok ? id : fail(`the task was not opened: ${JSON.stringify(opened)}`)
}

/** Fails as soon as nothing is left to be done, or after a time. */
async function until(world: FlowWorld, holds: () => boolean): Promise<void> {
  let idle = 0
  for (const end = performance.now() + 20_000; !holds(); await sleep(10)) {
    const { ready, running } = world.store.jobSummary()
    idle = ready + running > 0 ? 0 : idle + 1
    if (idle < 50 && performance.now() < end) continue
    const tasks = world.store.listTasks({}).map((line) => world.task(line.id))
    expect.fail(`it did not come to that: ${JSON.stringify(tasks.map(explained))} ${world.errors.join('; ')}`)
  }
}

async function pushMain(git: World, files: Record<string, string>, message: string): Promise<string> {
  const other = path.join(git.folder, `other-${performance.now()}`)
  await sh(git.env, git.folder, 'git', 'clone', '-q', git.remote, other)
  await writeAll(other, files)
  const sha = await commit(git.env, other, message)
  await sh(git.env, other, 'git', 'push', '-q', 'origin', 'HEAD:main')
  return sha
}

/** Writes files below a folder. */
export async function writeAll(folder: string, files: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true })
    await writeFile(path.join(folder, name), text)
  }
}

const explained = ({ id, status, stage, waitingFor, reason }: Task) => ({ id, status, stage, waitingFor, reason })

function fail(message: string): never {
  throw new Error(message)
}
