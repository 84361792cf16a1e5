// Puts the whole of Orch together for one ORCH_HOME. Part of the composition root; loaded only by verbs that act.

import { randomUUID } from 'node:crypto'
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  utimesSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeAdapters } from './agents/adapters.ts'
import { lendCredentials, takeBackCredentials, writeSettings } from './agents/credentials.ts'
import { makeRunner } from './agents/runner.ts'
import type { ConfigFile, ProjectFiles } from './config/config.ts'
import { findAssets, makeConfig } from './config/make-config.ts'
import { makeLocalForge } from './drivers/local/forge.ts'
import { makeLocalTracker } from './drivers/local/tracker.ts'
import { addProject } from './flow/add-project.ts'
import type { App } from './flow/app.ts'
import type { Capabilities } from './flow/capabilities.ts'
import { makeEngine } from './flow/engine.ts'
import { makeApp } from './flow/make-app.ts'
import { makeOnboard } from './flow/onboard.ts'
import { makeWebhookHealth } from './flow/webhook-health.ts'
import { settleRestore } from './flow/settle-restore.ts'
import { readHandoff } from './gates/front-matter.ts'
import { awaitGates, gates } from './gates/gates.ts'
import { systemTimers } from './lib/clock.ts'
import { messageOf, UserError } from './lib/errors.ts'
import { diskFiles } from './lib/files.ts'
import { isSameProcessAlive } from './lib/process-identity.ts'
import { isRemote, makeLend, openDrivers } from './open-drivers.ts'
import { readerOver } from './open-reader.ts'
import { tryServiceLock } from './store/lock.ts'
import { openStore } from './store/sqlite.ts'
import type { Project, Store } from './store/store.ts'
import { makeRepositoryFacts } from './workspace/facts.ts'
import { makeSample, sampleLog } from './workspace/sample.ts'
import { probeSandbox } from './workspace/sandbox.ts'
import { makeWorkKeeper } from './workspace/mirror-work.ts'
import type { Sandbox } from './workspace/workspace.ts'
import { makeManagedClones } from './workspace/managed-clones.ts'
import { makeWorkspaces } from './workspace/workspaces.ts'

const here = dirname(fileURLToPath(import.meta.url))
/** In the repository the programs are TypeScript, in the package they are built. */
const BUILT = !import.meta.url.endsWith('.ts')

export interface ComposeOptions {
  home: string
  env: NodeJS.ProcessEnv
  version: string
}

/** Opens everything. Throws UserError when ORCH_HOME or its database can't be used. */
export async function compose(options: ComposeOptions): Promise<App> {
  const { home, env } = options
  const store = await openStore(join(home, 'orch.db'))
  const sandbox = await probeSandbox(env)
  const capabilities = makeCapabilities(options, { store, sandbox })
  const { workspaces, adapters } = capabilities
  const engine = makeEngine({ store, now: Date.now, wake: capabilities.wake })
  const reader = readerOver(home, { queries: store, close: () => undefined })
  const facts = makeRepositoryFacts(env, makeLend(capabilities.remotes, env))
  const onboard = makeOnboard({ ...capabilities, facts, repositoryAt: capabilities.remotes.repositoryAt })
  return makeApp({
    init: onboard.init,
    addProject: (request) => addProject({ ...capabilities, facts, onboard }, request),
    capabilities,
    engine,
    reader,
    lock: serviceLock(options),
    onError: (error) => logError(home, error),
    settleRestore: () => settleRestore({ home, store, engine, work: makeWorkKeeper({ home, env }) }),
    makeSample: (dir) => makeSample(dir, env),
    demoLog: (remote) => sampleLog(remote, env),
    conformance: async (request) => {
      const { makeConformance } = await import('./agents/conformance.ts')
      const environment = (runtimeDir: string, workspace: string): Record<string, string> =>
        workspaces.environment(runtimeDir, workspace, { pass: [], set: {} }, { passSecrets: false })
      return makeConformance({ env, sandbox, environment, adapters })(request)
    },
    close: async () => store.close(),
  })
}

/** The lock of the one service of an ORCH_HOME. */
export function serviceLock({ home, env }: ComposeOptions): () => { release(): void } | null {
  return () => (env['ORCH_UNSAFE_NO_LOCK'] ? { release: () => undefined } : tryServiceLock(join(home, 'service.lock')))
}

/** The parts that need no database, as the doctor needs them when there is none. */
export function makeFirm({ home, env }: ComposeOptions) {
  const adapters = makeAdapters({ scripted: program('agents/scripted-agent'), acp: program('agents/acp-agent') })
  const config = makeConfig({ assets: findAssets(here), agents: Object.keys(adapters) })
  return {
    home,
    env,
    now: Date.now,
    adapters,
    config,
    userConfig: () => readConfigFile(join(home, 'config.yml')),
    cloneFiles: async (project: Project) => cloneFiles(project.path),
  }
}

/** Every effect on the world, for one ORCH_HOME that is there. */
export function makeCapabilities(options: ComposeOptions, parts: { store: Store; sandbox: Sandbox }): Capabilities {
  const { home, env } = options
  const { store, sandbox } = parts
  const wakeFile = ensureWakeFile(home)
  const drivers = openDrivers({ env, memory: store, now: Date.now })
  const lend = makeLend(drivers, env)
  const workspaces = makeWorkspaces({ home, env, sandbox, lend })
  const firm = makeFirm(options)
  const localForge = makeLocalForge(store, Date.now)
  const webhookHealth = makeWebhookHealth({ now: Date.now, lastDeliveries: () => store.lastDeliveries() })
  return {
    ...firm,
    timers: systemTimers,
    files: diskFiles,
    isProcessAlive: isSameProcessAlive,
    newId: randomUUID,
    store,
    workspaces,
    runner: makeRunner({
      runsDir: join(home, 'runs'),
      supervisor: program('agents/supervisor'),
      adapters: firm.adapters,
    }),
    gates,
    awaitGates,
    forgeOf: (project) => drivers.forgeOf(project) ?? localForge,
    remoteForgeOf: drivers.forgeOf,
    trackerOf: drivers.trackerOf,
    webhooksHealthy: webhookHealth.isHealthy,
    pollIntervals: () => firm.config.poll(firm.userConfig()),
    webhookHealth,
    webhookSources: drivers.sources,
    selfAt: async (name) => [(await drivers.driver(name).identity()).login],
    quotaOf: (name) => (isRemote(name) ? drivers.driver(name).quota() : null),
    listen: async (door, at) => (await import('./surfaces/http/listener.ts')).listen(door, at),
    remotes: drivers,
    clones: makeManagedClones({ home, env, lend }),
    tracker: makeLocalTracker(store),
    flags: {},
    validatePipelineFile: async (file) => {
      const found = readConfigFile(file)
      if (!found) throw new UserError(3, 'no-file', `pipeline file ${file} can't be read`)
      return firm.config.checkPipeline(found).problems
    },
    readHandoff,
    identity: async (project) => (await workspaces.mirror(project)).identity,
    credentials: { lend: lendCredentials, writeSettings, takeBack: takeBackCredentials },
    wake: () => touch(wakeFile),
  }
}

/** How one of Orch's own small programs is started. */
function program(path: string): [string, string] {
  return [process.execPath, BUILT ? join(here, `${path.split('/').at(-1)}.js`) : join(here, `${path}.ts`)]
}

function ensureWakeFile(home: string): string {
  const path = join(home, 'wake')
  closeSync(openSync(path, 'a', 0o600))
  return path
}

function touch(path: string): void {
  const now = new Date()
  utimesSync(path, now, now)
}

function readConfigFile(path: string): ConfigFile | null {
  try {
    return { name: path, text: readFileSync(path, 'utf8') }
  } catch {
    return null
  }
}

/** What a registered clone says of itself, for as long as its base says nothing. */
function cloneFiles(clone: string): ProjectFiles {
  const inFolder = (folder: string, pattern: RegExp): ConfigFile[] => {
    const dir = join(clone, '.orch', folder)
    const names = existsSync(dir) ? readdirSync(dir).filter((name) => pattern.test(name)) : []
    return names.map((name) => readConfigFile(join(dir, name))).filter((file) => file !== null)
  }
  const prompts: Record<string, ConfigFile> = {}
  for (const file of inFolder('prompts', /\.md$/)) prompts[file.name.slice(file.name.lastIndexOf('/') + 1, -3)] = file
  return { config: readConfigFile(join(clone, '.orch.yml')), pipelines: inFolder('pipelines', /\.ya?ml$/), prompts }
}

/** Faults of Orch itself: one JSON line each in ORCH_HOME/orch.log; on stderr when that can't be written. Never throws. */
function logError(home: string, error: unknown): void {
  const stack = error instanceof Error ? error.stack : undefined
  try {
    mkdirSync(home, { recursive: true })
    appendFileSync(
      join(home, 'orch.log'),
      `${JSON.stringify({ at: new Date().toISOString(), level: 'error', message: messageOf(error), stack })}\n`,
    )
  } catch (failure) {
    // A full disk is often what is to be told: telling it must not end the service.
    process.stderr.write(`orch: ${messageOf(error)} (and ${home}/orch.log can't be written: ${messageOf(failure)})\n`)
  }
}
