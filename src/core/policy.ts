// What a project decided about its tasks, as data: budgets, limits, roles, landing, permissions.
// A policy is resolved outside (flag > environment > project > user > default) and pinned in the task when it starts.

import { type Pipeline, stageOf } from './pipeline.ts'

export interface VerifyCommand {
  run: string
  /** Limit of this command, in seconds. */
  timeoutSeconds: number
  /** Folder it runs in, relative to the repository's root. */
  cwd: string
  /** It runs only if a changed file matches one of these globs; empty means always. */
  paths: string[]
}

/** How one agent's program is found and called, whichever role uses it. */
export interface AgentProgram {
  /** Path or name of the program, when it isn't the adapter's own. */
  bin?: string
  /** For the `command` adapter: the shell words to run. */
  command?: string
}

/** How hard a model is asked to think. What a vendor calls it is its adapter's matter. */
export const EFFORTS = ['low', 'medium', 'high'] as const
export type Effort = (typeof EFFORTS)[number]

/** Who works in a role. A program beside it is for this role alone. */
export interface RoleChoice extends AgentProgram {
  agent?: string
  model?: string
  effort?: Effort
  /** Agents that may take over while the first one is limited or down, in this order. They use their own default model. */
  fallback?: string[]
}

/**
 * Who lets a change land. `human-twice`: a request whose token expires, then the token and a confirmation, also before
 * anything is pushed. `label` and `tracker-state`: somebody trusted sets the label or moves the issue.
 */
export const APPROVAL_POLICIES = ['auto', 'human', 'human-twice', 'label', 'tracker-state'] as const
export type ApprovalPolicy = (typeof APPROVAL_POLICIES)[number]

export interface Policy {
  pipeline: Pipeline
  /** Hash of everything that judges (this object and the pipeline); evidence names it. */
  configHash: string
  base: string | null
  /** Folders that checkouts hold, with all root files; empty means everything. Policies pinned before there was this key lack it. */
  checkout?: { sparse: string[] }
  setup: string[]
  /** `none`: the project says that it has nothing to verify with. Empty: nobody said, so nothing may land. */
  verify: VerifyCommand[] | 'none'
  verifyParallel: boolean
  /** Failing output that matches one of these was failing before: it does not count. */
  knownFailures: string[]
  env: { pass: string[]; set: Record<string, string> }
  approval: ApprovalPolicy
  /** What says yes under the policies of the same names. Policies pinned before there was this key lack it. */
  approveBy?: { label: string; column: string }
  land: {
    method: 'merge' | 'squash' | 'rebase'
    /** Who moves main: Orch by a push, or the forge. Absent: a push. */
    via?: 'push' | 'forge'
    /** Texts that main must never lose (C-25). */
    markers?: string[]
  }
  /** How a change is shown at a forge. */
  change?: { draft: boolean; labels: string[]; reviewers: string[]; followUps: boolean }
  roles: Record<string, RoleChoice>
  agents: Record<string, AgentProgram>
  limits: {
    /** Code attempts a task may spend. */
    attempts: number
    transient: number
    infra: number
    runMinutes: number
    /** A run that prints nothing for so long is ended. Policies pinned before there was this key lack it. */
    stallMinutes?: number
    /** Runs of one project at once. */
    parallel: number
  }
  protected: string[]
  diffBudget: { files: number; addedLines: number }
  sandbox: { network: boolean; read: string[] }
  commits: { pattern: string | null }
}

/**
 * Minutes a run may print nothing where nobody chose: agents say nothing while a long tool works (a test suite, a build),
 * so it is long. Half an hour is what ORCH came to (its `stuck_timeout` of 1,800 s).
 */
export const STALL_MINUTES = 30

/** What one run at a stage may take, in ms: of time, and of time in which it prints nothing. */
export interface RunLimits {
  timeLimitMs: number
  stallMs: number
}

export function runLimitsOf(policy: Policy, stage: string): RunLimits {
  return {
    timeLimitMs: (stageOf(policy.pipeline, stage)?.timeoutMinutes ?? policy.limits.runMinutes) * 60_000,
    stallMs: (policy.limits.stallMinutes ?? STALL_MINUTES) * 60_000,
  }
}

/** Base and ceiling of every back-off, in milliseconds (C-46: min(base·2^n, max)). */
const BACKOFF = { baseMs: 5_000, maxMs: 300_000 } as const

/** Longer than any limit an agent's vendor sets (a week); more is a misread stream, not a time to wait for. */
const MAX_RETRY_AFTER_MS = 8 * 24 * 3_600_000

/** Delay before repeat number `attempt` (0 for the first), in ms. A server's own word (`retryAfterMs`) wins, within reason. */
export function backoffMs(attempt: number, retryAfterMs?: number): number {
  if (retryAfterMs !== undefined && !Number.isNaN(retryAfterMs))
    return Math.min(Math.max(0, retryAfterMs), MAX_RETRY_AFTER_MS)
  return Math.min(BACKOFF.baseMs * 2 ** Math.min(attempt, 20), BACKOFF.maxMs)
}

/** Whether another agent may take over in a role: one that was named for it, or any where nobody chose. */
export function mayFailOver(policy: Policy, role: string): boolean {
  const { agent, fallback = [] } = policy.roles[role] ?? {}
  return agent === undefined || fallback.some((name) => name !== agent)
}

/** How an agent's program is called in a role: what the role says, else what the agent's own entry says. */
export function programOf(policy: Policy, use: { role: string; agent: string }): AgentProgram {
  const { agent: chosen, bin, command } = policy.roles[use.role] ?? {}
  const own =
    chosen === use.agent ? { ...(bin === undefined ? {} : { bin }), ...(command === undefined ? {} : { command }) } : {}
  return { ...policy.agents[use.agent], ...own }
}
