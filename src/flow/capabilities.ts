// What flow is handed: every effect on the world as a parameter. main.ts fills it; tests fill it with fakes that do the same.

import type { AgentAdapter, Runner } from '../agents/agent.ts'
import type { Config, ConfigFile, ConfigProblem, ProjectFiles } from '../config/config.ts'
import type { GateName } from '../core/pipeline.ts'
import type { Forge, Tracker } from '../drivers/driver.ts'
import type { Gate, Handoff } from '../gates/gate.ts'
import type { Project, Store } from '../store/store.ts'
import type { Identity, Workspaces } from '../workspace/workspace.ts'

export interface Capabilities {
  /** ORCH_HOME. */
  home: string
  env: NodeJS.ProcessEnv
  now: () => number
  /** A fresh unique id. */
  newId: () => string
  store: Store
  workspaces: Workspaces
  runner: Runner
  adapters: Record<string, AgentAdapter>
  gates: Record<GateName, Gate>
  forge: Forge
  tracker: Tracker
  config: Config
  userConfig: () => ConfigFile | null
  /** Configuration keys given as flags to this process. */
  flags: Record<string, unknown>
  /** Files of the registered clone, for when the base has none. */
  cloneFiles: (project: Project) => Promise<ProjectFiles>
  /** Problems of a pipeline file on disk; throws UserError when it can't be read. */
  validatePipelineFile: (file: string) => Promise<ConfigProblem[]>
  readHandoff: (dir: string) => Promise<Handoff>
  /** The clone's git identity; the creator of its tasks. */
  identity: (project: Project) => Promise<Identity>
  credentials: Credentials
  /** Tells every process of this ORCH_HOME that something was committed. */
  wake: () => void
}

/** Lends an agent's login to a run, gives it its settings, and takes back what it refreshed. */
export interface Credentials {
  lend: (files: { from: string; to: string }[], configDir: string) => Promise<void>
  writeSettings: (files: { to: string; text: string }[], configDir: string) => Promise<void>
  takeBack: (files: { from: string; to: string }[], configDir: string) => Promise<void>
}
