// The façade all surfaces use: submit, query, subscribe. Plain data in and out; no surface sees behind it.
// `Reader` only looks and opens nothing but the database; `App` acts and is built when first needed.

import type { Actor } from '../core/messages.ts'
import {
  APPROVAL_POLICIES,
  type AgentProgram,
  type ApprovalPolicy,
  type Effort,
  EFFORTS,
  type Policy,
} from '../core/policy.ts'
import type { Refusal } from '../core/refusals.ts'
import type { Usage } from '../core/run.ts'
import type { Finding, VerdictResult } from '../core/verdict.ts'
import type { RunEvent } from '../agents/agent.ts'
import type { ConfigProblem, ConfigSource, SchemaName } from '../config/config.ts'
import type { DiffFile } from '../workspace/workspace.ts'
import type {
  ArtifactRow,
  ChangeRow,
  EvidenceRow,
  IntentRow,
  JournalEntry,
  Project,
  ReviewRow,
  TaskLine,
} from '../store/store.ts'
import { TASK_STATUSES, type TaskStatus } from '../core/lifecycle.ts'
import type { AddProject, ApprovalRequest, OnboardRequest, OnboardView, SyncView } from './outside-views.ts'
import type { TaskExport } from './task-export.ts'
import type { AuditView, DeliveryState, DeliveryView, WebhooksView } from './webhooks.ts'

export type { ChangeRow, DiffFile, JournalEntry, Project, ReviewRow, TaskLine, RunEvent, ConfigProblem, ConfigSource }

export { APPROVAL_POLICIES, type Effort, EFFORTS }
export { EXPORT_FORMAT } from './task-export.ts'
export type { TaskExport } from './task-export.ts'
export type { ApprovalRequest, OnboardStep, OnboardView, SyncView } from './outside-views.ts'
export type { BackupView, RestoreView, Vault } from './vault.ts'
export type { AuditView, DeliveryState, DeliveryView, Listener, WebhookDoor, WebhooksView } from './webhooks.ts'

/** All statuses, in the order in which people are shown them. */
export const STATUSES: readonly TaskStatus[] = TASK_STATUSES

export type Answer<T> = { ok: true; value: T } | { ok: false; refusal: Refusal }

export interface RunView {
  id: string
  stage: string
  role: string
  agent: string
  model: string | null
  attempt: number
  /** `running`, or how it ended: succeeded, failed, timed-out, stalled, cancelled, could-not-start, lost. */
  outcome: string
  /** For `failed`: the class, such as `rate-limit`; and its sentence. */
  failure?: string
  text?: string
  startedAt: string
  endedAt: string | null
  exitCode?: number
  sessionId?: string
  usage: Usage
  costUsd?: number
}

/** What `orch task show --json` prints. Times are ISO 8601. */
export interface TaskView {
  id: string
  project: string
  title: string
  body: string
  labels: string[]
  priority: number
  pipeline: string
  stage: string
  status: TaskStatus
  /** For needs_review: the code; its sentence is `reasonText`. */
  reason?: string
  reasonText?: string
  paused: boolean
  dependsOn: string[]
  openDependencies: string[]
  attempts: { code: number; transient: number; infra: number }
  branch: string | null
  baseSha: string | null
  headSha: string | null
  mergedSha?: string
  waitingFor?: string
  waitingUntil?: string
  costUsd: number
  tokens: Usage
  createdAt: string
  updatedAt: string
  runs: RunView[]
  verdicts: { gate: string; stage: string; result: VerdictResult; sha: string; note: string; findings: Finding[] }[]
  /** Findings the next run will be given. */
  findings: Finding[]
  /** `bypass`: why it was given although the definition of done was not met. */
  approvals: { sha: string; by: string; at: string; covers: string[]; bypass?: string }[]
  /** Of two confirmations the first: until when its token says yes, and to which head. */
  request?: { sha: string; expiresAt: string; bypass?: string }
  /** Whom a person wants to write it. */
  preferredAgent?: string
  artifacts: (Omit<ArtifactRow, 'at'> & { at: string })[]
  /** Runs that tried what an agent may not do, and what it was. It had no effect. Absent when none did. */
  tampering?: { run: string; agent: string; tried: string[] }[]
}

export interface ServiceView {
  running: boolean
  pid: number | null
  since: string | null
}

export interface StatusView {
  /** `stallsAt`: when a run that has printed nothing for long is ended for it; null for any other. */
  tasks: (TaskLine & { lastActivityAt: number | null; stallsAt: number | null })[]
  counts: Record<TaskStatus, number>
  /** Open tasks that the limit left out. */
  more: number
  service: ServiceView
}

export interface WhyView {
  id: string
  /** One sentence. */
  because: string
  /** Who must act or is acting: `you`, `orch`, `claude`, `SHOP-2`. */
  owner: string
  since: string
  /** Commands that work now and move the task; empty when nothing need be done. */
  actions: string[]
}

/** A task above those it waits for. */
export interface TaskNode {
  id: string
  title: string
  stage: string
  status: TaskStatus
  waitingFor?: string
  reason?: string
  paused: boolean
  /** What it waits for, or waited for. Empty where `repeated`. */
  dependsOn: TaskNode[]
  /** It stands in the tree already; what it depends on is shown there. */
  repeated: boolean
}

/** What a task changes, against the point where it left its base. */
export interface ChangeStat {
  base: string
  head: string
  files: DiffFile[]
  addedLines: number
  deletedLines: number
}

export interface KeptFile {
  name: string
  path: string
  bytes: number
}

/** Everything Orch holds of one task. Times are ISO 8601, paths absolute. */
export interface InspectView {
  task: TaskView
  why: WhyView
  /** The policy it was started with, its hash in `configHash`; null before its start. */
  policy: Policy | null
  epoch: number
  step: Record<string, unknown> | null
  runs: {
    id: string
    /** Why this agent was chosen. */
    why: string
    headSha: string | null
    promptSha256: string | null
    files: KeptFile[]
    /** Last lines of what it printed, where they were asked for. */
    tails?: { output: string[]; stderr: string[] }
  }[]
  evidence: (Omit<EvidenceRow, 'at'> & { at: string })[]
  intents: (Omit<IntentRow, 'openedAt' | 'settledAt'> & { openedAt: string; settledAt: string | null })[]
  jobs: { id: number; kind: string; state: string; epoch: number | null; runAt: string }[]
  /** Jobs that failed, with what went wrong; a fault of Orch with its stack. */
  faults: { id: number; kind: string; state: string; failures: number; error: string }[]
  events: { count: number; byType: Record<string, number> }
  /** Its folders that exist now. */
  places: { what: 'workspace' | 'runtime' | 'saved'; path: string }[]
}

export interface Reader {
  /** Open tasks (or those of the filter), at most `limit` (50). */
  status(filter: { project?: string; statuses?: TaskStatus[]; limit?: number }): StatusView
  task(id: string): TaskView | null
  events(id: string): JournalEntry[]
  why(id: string): WhyView | null
  projects(): Project[]
  /** The project whose clone contains the folder, else the only one, else null. */
  projectAt(cwd: string): Project | null
  /** `SHOP-1` as it is; `1` in the project of `cwd`. Null when it can't be told or there is no such task. */
  resolveTaskId(text: string, cwd: string): string | null
  /** The task, or all open ones that no other open one waits for, each above what it waits for. Null: no such task. */
  tree(of: { task: string } | { project?: string }): Promise<TaskNode[] | null>
  changes(project?: string): ChangeRow[]
  /** By task id. */
  change(task: string): { change: ChangeRow; reviews: ReviewRow[]; task: TaskView } | null
  service(): ServiceView
  webhooks(): WebhooksView
  /** Newest first. */
  deliveries(filter: { source?: string; states?: DeliveryState[]; limit: number }): DeliveryView[]
  /** The newest lines of the audit since then (ms), summed up. */
  webhookAudit(of: { since: number; maxLines: number }): Promise<AuditView>
  /** Resolves when anything was committed by anyone, or after `timeoutMs`, or when aborted. */
  nextChange(options: { timeoutMs: number; signal?: AbortSignal }): Promise<void>
  close(): void
}

export interface AddTask {
  project: string
  title: string
  body: string
  labels: string[]
  priority: number
  dependsOn: string[]
  /** Null: the project's. */
  pipeline: string | null
}

export type TaskAction =
  /** `token`, `confirmed`: of a request, where the project wants two confirmations. */
  | { type: 'approve'; task: string; sha?: string; token?: string; confirmed?: boolean }
  | { type: 'reject'; task: string; reason: string }
  | { type: 'answer'; task: string; text: string }
  | { type: 'retry'; task: string }
  | { type: 'unblock'; task: string }
  | { type: 'pause'; task: string }
  | { type: 'resume'; task: string }
  | { type: 'cancel'; task: string }
  /** Who writes it from now on; null: as the policy says. */
  | { type: 'reroute'; task: string; agent: string | null }
  /** Gives a new task for the issue of a cancelled one. */
  | { type: 'reopen'; task: string }
  | { type: 'edit'; task: string; title?: string; body?: string; labels?: string[]; priority?: number }

export interface InitRequest {
  cwd: string
  prefix: string | null
  /** Configuration keys given as flags (agent, pipeline, setup, verify, approval). */
  agent: string | null
  pipeline: string | null
  setup: string[] | null
  verify: string[] | null
  approval: ApprovalPolicy | null
}

export interface InitResult {
  project: Project
  /** False when `.orch.yml` was there already and was left alone. */
  wroteConfig: boolean
  alreadyRegistered: boolean
  /** What was found and guessed, what is missing: sentences. */
  notes: string[]
  setup: string[]
  verify: string[]
}

/** What the doctor can be asked for, in the order in which it tells. */
export const PROFILES = ['host', 'project', 'agents', 'service'] as const
export type Profile = (typeof PROFILES)[number]

export interface DoctorRequest {
  cwd: string
  /** At least one. */
  profiles: readonly Profile[]
  /** Mend what is safe, then look again. */
  fix: boolean
}

export interface DoctorReport {
  /** As it is now: after mending, where that was asked for. */
  checks: Check[]
  /** What was mended, in sentences. */
  fixed: string[]
  /** What should have been mended and was not, and why. */
  notFixed: string[]
}

/** What must be in order before a command runs: ORCH_HOME with its disk and its books, git. */
export type QuickNeeds = 'home' | 'git'

export interface QuickTrouble {
  /** Kebab-case, for scripts. */
  code: string
  /** What is wrong and how to mend it. */
  text: string
}

export interface Check {
  /** Unique, such as `git.version`. */
  name: string
  profile: Profile
  status: 'ok' | 'warning' | 'failed'
  /** What was seen. */
  text: string
  /** What to do, for anything but ok. */
  fix: string | null
}

export interface AgentView {
  name: string
  found: boolean
  path: string | null
  version: string | null
  loggedIn: 'yes' | 'no' | 'unknown'
  note: string
  /** What holds its runs on this machine, in words; null: nothing does. */
  sandbox: string | null
  /** Whether its version is one of those its adapter was tested with; null when that can't be told. */
  tested: boolean | null
  /** Until when its account is limited (ISO 8601), and by what; null: it isn't. */
  limitedUntil: string | null
  limitReason: string | null
  /** Null while nothing speaks against it. */
  breaker: {
    /** `closed`: its runs still begin. `open`: none does. `trying`: one run may try it again. */
    state: 'closed' | 'open' | 'trying'
    /** Failed runs in a row that speak against it, and what the last one said. */
    failures: number
    reason: string
    /** From when on one run may try it (ISO 8601); null while closed. */
    retryAt: string | null
    /** The run that tries it. */
    trial: string | null
  } | null
}

/** An agent as it is called in a trial of it. */
export interface TrialAgent {
  name: string
  program: AgentProgram
  model: string | null
  effort: Effort | null
}

/** A command that somebody would have as an agent, and what of it is to be tried. */
export interface ConformanceRequest {
  /** Shell words, as they would stand under `agents.acp.command`. */
  command: string
  /** Null: ACP when it speaks it, else a plain command. */
  protocol: 'acp' | 'command' | null
  /** Whether it is given prompts, which the user's login pays for. */
  prompts: boolean
  /** Each check as it is done. */
  onCheck(check: Omit<Check, 'profile'>): void
  /** Ends what is under way, and begins nothing more. */
  signal: AbortSignal
}

export interface ConformanceResult {
  protocol: 'acp' | 'command'
  checks: Omit<Check, 'profile'>[]
}

export interface PipelineView {
  name: string
  description: string
  source: 'built-in' | 'project'
  file: string
  problems: ConfigProblem[]
  stages: { name: string; kind: string; role: string | null; gates: string[]; onFail: string | null }[]
}

export interface UpOptions {
  /** Stop when nothing can move without a person, waiting for timers due within `timerWaitMs`. */
  untilIdle: boolean
  timerWaitMs: number
  /** Every event as it is committed. */
  onEvent?: (entry: JournalEntry) => void
  /** Plain sentences for a person: started, red base, waiting … */
  onNotice?: (text: string) => void
  signal: AbortSignal
}

export interface UpResult {
  /** Runs that go on without the service (after an abort). */
  liveRuns: { runId: string; task: string; agent: string }[]
  counts: Record<TaskStatus, number>
}

export interface App {
  reader: Reader
  addTask(request: AddTask, actor: Actor): Promise<Answer<TaskView>>
  act(action: TaskAction, actor: Actor): Promise<Answer<TaskView>>
  /** The first of two confirmations. Throws UserError: one is enough here (4), it is not done by its definition (5). */
  requestApproval(request: { task: string; bypass: string | null }, actor: Actor): Promise<Answer<ApprovalRequest>>
  /** Ids of all tasks that wait for other tasks. */
  blockedTasks(project?: string): string[]
  /** Throws UserError: no repository (6), no remote (6), prefix taken (4) … */
  init(request: InitRequest): Promise<InitResult>
  /** Again with a tracker or forge: the project has that from then on. */
  addProject(request: AddProject): Promise<InitResult>
  /** Looks at what the project needs at its tracker and forge, and makes it where asked to. */
  onboard(project: string, request: OnboardRequest): Promise<OnboardView>
  /** Asks trackers and forges now, also beside a running service. `dryRun` writes nothing, neither there nor here. */
  sync(request: { project: string | null; dryRun: boolean }): Promise<SyncView>
  /** `clone`: what became of the clone: the user's own is never touched, Orch's own stays where it holds work. */
  removeProject(id: string): Promise<{ openTasks: number; removed: boolean; clone: 'untouched' | 'removed' | 'kept' }>
  /** The agents as the project of this folder calls them. */
  agents(cwd: string): Promise<AgentView[]>
  pipelines(cwd: string): Promise<PipelineView[]>
  /** Problems of one pipeline file. */
  validatePipeline(file: string): Promise<ConfigProblem[]>
  configCheck(cwd: string): Promise<ConfigProblem[]>
  configExplain(cwd: string, key: string | null): Promise<ConfigSource[]>
  configSchema(of: SchemaName): Record<string, unknown>
  changeDiff(task: string): Promise<string | null>
  /** The size of the same diff. */
  changeStat(task: string): Promise<ChangeStat | null>
  /**
   * Output of the task's latest run (or the one named); ends when the run ends. Null: it has no run.
   * `recent` is from the start, but only what comes where the log has grown long.
   */
  stream(request: {
    task: string
    runId?: string
    from: 'start' | 'now' | 'recent'
    raw: boolean
    signal: AbortSignal
  }): Promise<AsyncIterable<RunEvent | string> | null>
  /** What a run left so far, to its present end; of the task's latest run unless one is named. Null: there is none. */
  logs(request: {
    task: string
    runId?: string
    of: 'output' | 'stderr' | 'prompt'
    /** Lines as they were printed; else, for the output, events. */
    raw: boolean
  }): { runId: string; lines: AsyncIterable<RunEvent | string> } | null
  /** Null: no such task. */
  inspect(task: string, options: { logTails: boolean }): Promise<InspectView | null>
  /** The task as one value for another machine, redacted. Null: no such task. */
  exportTask(task: string): Promise<TaskExport<InspectView> | null>
  /** Where a person looks at a task: its page, else its workspace. Null: it has neither (any more). */
  placeOf(task: string): Promise<{ kind: 'page' | 'folder'; target: string } | null>
  diskUse(): Promise<{ path: string; bytes: number }[]>
  /** Has a settled delivery applied again by the service. Throws UserError: none of that id (3), not settled or without its body (4). */
  replayDelivery(id: number): Promise<DeliveryView>
  /** Removes settled deliveries older than that; those that failed only if asked. */
  cleanDeliveries(of: { keepDays: number; failed: boolean }): Promise<{ removed: number }>
  /** Runs the service. Throws UserError(4, 'already-up') when another runs on the same ORCH_HOME. */
  up(options: UpOptions): Promise<UpResult>
  /** Makes the demo's sample repository in `dir`, registers it, opens its tasks. */
  demo(request: {
    agent: string
    dir: string
    actor: Actor
  }): Promise<{ dir: string; clone: string; remote: string; project: string; tasks: string[] }>
  /** `git log` of the sample's main, for a person. */
  demoLog(remote: string): Promise<string>
  /** Tries in a scratch repository whether a command can be an agent here. UserError (6): its program was not found. */
  conformance(request: ConformanceRequest): Promise<ConformanceResult>
  /** How an agent's program is called by the configuration of this folder. */
  agentProgram(cwd: string, name: string): Promise<AgentProgram>
  /** Makes the sample repository in `dir` and opens one small task for one agent; its settings go into this ORCH_HOME. */
  trial(request: {
    agent: TrialAgent
    dir: string
    actor: Actor
  }): Promise<{ clone: string; remote: string; project: string; task: string }>
  close(): Promise<void>
}
