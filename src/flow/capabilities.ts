// What flow is handed: every effect on the world as a parameter. main.ts fills it; tests fill it with fakes that do the same.

import type { AgentAdapter, Runner } from '../agents/agent.ts'
import type { Config, ConfigFile, ConfigProblem, PollIntervals, ProjectFiles } from '../config/config.ts'
import type { AwaitGateName, GateName } from '../core/pipeline.ts'
import type {
  Driver,
  Forge,
  LocalTracker,
  Quota,
  RemoteForge,
  RemoteRef,
  Tracker,
  WebhookSource,
} from '../drivers/driver.ts'
import type { AwaitGate, Gate, Handoff } from '../gates/gate.ts'
import type { Timers } from '../lib/clock.ts'
import type { Files } from '../lib/files.ts'
import type { ProcessIdentity } from '../lib/process-identity.ts'
import type { Project, Store } from '../store/store.ts'
import type { Identity, ManagedClones, Workspaces } from '../workspace/workspace.ts'
import type { WebhookHealth } from './webhook-health.ts'
import type { Listen } from './webhooks.ts'

export interface Capabilities {
  /** ORCH_HOME. */
  home: string
  env: NodeJS.ProcessEnv
  now: () => number
  timers: Timers
  files: Files
  /** Whether exactly that process still lives. */
  isProcessAlive: (identity: ProcessIdentity) => boolean
  /** A fresh unique id. */
  newId: () => string
  store: Store
  workspaces: Workspaces
  runner: Runner
  adapters: Record<string, AgentAdapter>
  gates: Record<Exclude<GateName, AwaitGateName>, Gate>
  awaitGates: Record<AwaitGateName, AwaitGate>
  /** Where a project's changes are kept: at its forge, else in Orch alone. */
  forgeOf: (project: Project) => Forge
  /** The same, where it is a forge of other people's; null: Orch's own. */
  remoteForgeOf: (project: Project) => RemoteForge | null
  /** Where a project's issues come from beside Orch's own list; null: nowhere. */
  trackerOf: (project: Project) => Tracker | null
  remotes: Remotes
  clones: ManagedClones
  /** Whether this vendor's webhooks reach us: then looking is only the net below them. */
  webhooksHealthy: (driver: string) => boolean
  /** How often a person wants trackers and forges asked, as their file says now. */
  pollIntervals: () => PollIntervals
  webhookHealth: WebhookHealth
  /** By driver: who can check and read its deliveries. */
  webhookSources: () => Record<string, WebhookSource>
  /** Logins that Orch writes under at this vendor. Throws ExternalError. */
  selfAt: (driver: string) => Promise<readonly string[]>
  /** What is left of a vendor's budget; null where nobody knows. */
  quotaOf: (driver: string) => Quota | null
  /** Opens the listener for webhooks. Throws UserError (6). */
  listen: Listen
  /** Orch's own list. */
  tracker: LocalTracker
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

/** The vendors that this Orch has drivers for. */
export interface Remotes {
  trackers: readonly string[]
  /** Those that keep repositories. */
  forges: readonly string[]
  /** UserError 6 when there is no such driver, or what it needs is not in the environment. The same one when asked twice. */
  driver(name: string): Driver
  /** The repository that an address of git or of a browser leads to; null where no forge is known there. Calls nobody. */
  repositoryAt(address: string): RemoteRef | null
}

/** Lends an agent's login to a run, gives it its settings, and takes back what it refreshed. */
export interface Credentials {
  lend: (files: { from: string; to: string }[], configDir: string) => Promise<void>
  writeSettings: (files: { to: string; text: string }[], configDir: string) => Promise<void>
  takeBack: (files: { from: string; to: string }[], configDir: string) => Promise<void>
}
