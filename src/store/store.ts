// The contract of a store: versioned aggregates, their journal, and the queue of jobs. Asynchronous and small.
// Invariant: a commit is all or nothing; it is refused when a version moved or a lease was lost, and then changes nothing.

import type { Account } from '../core/account.ts'
import type { TaskStatus } from '../core/lifecycle.ts'
import type { Actor, Effect, IntentWrite, QueuedEffect, StreamEvent } from '../core/messages.ts'
import type { RunOutcome, Usage } from '../core/run.ts'
import type { Repository } from '../core/repository.ts'
import type { Task } from '../core/task.ts'

/** The database stayed locked by others for the whole time a write may wait. Nothing was written; it may be tried again. */
export class StoreBusyError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'StoreBusyError'
  }
}

export interface Versioned<T> {
  version: number
  state: T
}

export type AggregateChange =
  | { kind: 'task'; id: string; /** 0: must not exist yet. */ expected: number; state: Task }
  | { kind: 'repository'; id: string; expected: number; state: Repository }
  | { kind: 'account'; id: string; expected: number; state: Account }

export interface NewEvent {
  /** The id within the stream's kind: a task id, a project id, an agent's name. */
  id: string
  body: StreamEvent
}

/** One line of the journal. `task` is null for events of repositories and accounts. */
export interface JournalEntry {
  seq: number
  at: number
  stream: StreamEvent['stream']
  id: string
  task: string | null
  type: string
  v: number
  actor: Actor
  /** What made it happen: `command:approve`, `job:17/run`. */
  cause: string
  /** Ties together everything that one outside stimulus led to. */
  correlation: string
  data: Record<string, unknown>
}

/** A worker's proof that it still owns the job it writes for (S2). */
export interface Fence {
  jobId: number
  token: number
  /** `done` ends the job in the same transaction; `keep` only checks. */
  then: 'done' | 'keep'
}

export interface Commit {
  at: number
  actor: Actor
  cause: string
  correlation: string
  aggregates: AggregateChange[]
  events: NewEvent[]
  effects: QueuedEffect[]
  intents: IntentWrite[]
  /** Step jobs of this task with a lower epoch that have not been claimed are cancelled. */
  supersede?: { task: string; epoch: number }
  runs?: RunWrite[]
  evidence?: EvidenceRow[]
  fence?: Fence
  /** The same key for the same task is one event, for ever. */
  idempotencyKey?: { task: string; key: string }
}

export type CommitResult =
  | { ok: true; seqs: number[]; jobIds: number[] }
  | { ok: false; because: 'conflict' | 'stale-lease' | 'duplicate' }

export interface Job {
  id: number
  effect: Effect
  lane: string
  /** Fencing token: grows with every claim of this job. */
  token: number
  /** Claims so far, this one included. */
  claims: number
  leaseUntil: number
}

export type RunWrite =
  | { op: 'begin'; run: Omit<RunRow, 'endedAt' | 'outcome' | 'sessionId' | 'usage' | 'costUsd' | 'headSha'> }
  | {
      op: 'end'
      id: string
      endedAt: number
      /** Null keeps the one the run began with. */
      model: string | null
      outcome: RunOutcome
      sessionId: string | null
      usage: Usage
      costUsd: number
      headSha: string | null
    }

export interface RunRow {
  id: string
  task: string
  project: string
  stage: string
  role: string
  agent: string
  model: string | null
  attempt: number
  why: string
  startedAt: number
  endedAt: number | null
  outcome: RunOutcome | null
  sessionId: string | null
  usage: Usage
  costUsd: number
  headSha: string | null
}

/** Facts the engine collected, bound to what they were collected on. */
export interface EvidenceRow {
  id: string
  task: string | null
  project: string
  gate: string
  stage: string
  sha: string
  /** The tree verified, for landing and base evidence; null where only the sha matters. */
  tree: string | null
  configHash: string
  environmentId: string | null
  result: 'pass' | 'fail' | 'wait' | 'unknown'
  at: number
  data: Record<string, unknown>
}

export interface ArtifactRow {
  task: string
  runId: string | null
  name: string
  /** Path of the kept copy, relative to ORCH_HOME. */
  path: string
  bytes: number
  at: number
}

export interface IntentRow {
  id: number
  kind: 'change' | 'merge'
  task: string
  key: string
  data: Record<string, string>
  state: 'open' | 'confirmed' | 'compensated' | 'held'
  openedAt: number
  settledAt: number | null
}

export interface Project {
  /** The task prefix, unique, such as `SHOP`. */
  id: string
  name: string
  /** The registered clone. */
  path: string
  /** URL or path that the clone's `origin` had when it was registered. */
  remote: string
  createdAt: number
}

/** What the local forge knows of a change. */
export interface ChangeRow {
  project: string
  number: number
  task: string
  branch: string
  base: string
  head: string
  title: string
  body: string
  state: 'open' | 'merged' | 'closed'
  mergedSha: string | null
  createdAt: number
  updatedAt: number
}

export interface ReviewRow {
  project: string
  change: number
  sha: string
  by: string
  verdict: 'approve' | 'request_changes'
  text: string
  at: number
}

/** A line of a task list; never needs the journal or the task's whole state. */
export interface TaskLine {
  id: string
  project: string
  title: string
  pipeline: string
  stage: string
  status: TaskStatus
  waitingFor: string | null
  waitingUntil: number | null
  reasonCode: string | null
  paused: boolean
  priority: number
  attempt: number
  agent: string | null
  runId: string | null
  costUsd: number
  createdAt: number
  updatedAt: number
  since: number
}

export interface TaskFilter {
  project?: string
  statuses?: TaskStatus[]
  /** Default 50. Ordered: open ones oldest first, ended ones newest first. */
  limit?: number
}

/** Reads that never block a writer. May be opened alone, without the rest, by a short-lived command. */
export interface Queries {
  listTasks(filter: TaskFilter): TaskLine[]
  countTasks(project?: string): Record<TaskStatus, number>
  getTask(id: string): Versioned<Task> | null
  getRepository(id: string): Versioned<Repository> | null
  getAccount(id: string): Versioned<Account> | null
  /** Ids of tasks that name this one among their open dependencies. */
  dependantsOf(task: string): string[]
  /** Oldest first. `after` is a seq; limit default: all. */
  listEvents(filter: { task?: string; after?: number; limit?: number }): JournalEntry[]
  lastSeq(): number
  listRuns(filter: { task?: string; live?: boolean }): RunRow[]
  getRun(id: string): RunRow | null
  listEvidence(filter: {
    task?: string
    project?: string
    gate?: string
    tree?: string
    configHash?: string
  }): EvidenceRow[]
  listArtifacts(task: string): ArtifactRow[]
  listIntents(filter: { state?: IntentRow['state']; task?: string }): IntentRow[]
  listProjects(): Project[]
  listChanges(project?: string): ChangeRow[]
  getChange(task: string): ChangeRow | null
  listReviews(project: string, change: number): ReviewRow[]
  /** Counts by state, and when the next delayed job is due (ms), null when none is. */
  jobSummary(): { ready: number; delayed: number; running: number; nextDueAt: number | null }
  /** Live (queued, delayed or running) jobs of one task. */
  jobsOf(task: string): {
    id: number
    kind: Effect['kind']
    state: 'queued' | 'delayed' | 'running'
    epoch: number | null
    runAt: number
  }[]
  /** Changes whenever another connection committed; costs microseconds. */
  dataVersion(): number
}

export interface Store extends Queries {
  /** All writes retry a busy database without blocking the event loop, for at most 30 s, then throw StoreBusyError. */
  commit(commit: Commit): Promise<CommitResult>
  /** Takes the next job of a lane with free capacity, or null. Never gives one whose `runAt` is ahead. */
  claim(options: { worker: string; now: number; leaseMs: number }): Promise<Job | null>
  /** False when the lease was lost: the worker must stop writing for it. */
  renew(options: { jobId: number; token: number; now: number; leaseMs: number }): Promise<boolean>
  /** Puts a claimed job back, to run at `runAt`; false when the lease was lost. */
  release(options: { jobId: number; token: number; runAt: number }): Promise<boolean>
  /** Ends a claimed job that needs no commit; false when the lease was lost. */
  finish(options: { jobId: number; token: number; error?: string }): Promise<boolean>
  /** Puts back every job whose lease is over or whose worker is among `deadWorkers`; gives their ids. */
  reclaim(options: { now: number; deadWorkers: string[] }): Promise<number[]>
  /** Names of workers that hold a lease. */
  leaseHolders(): string[]
  /** Next number of a project's tasks: 1, 2, 3 …; never given twice. */
  nextNumber(project: string): Promise<number>
  addProject(project: Project): Promise<'added' | 'exists'>
  removeProject(id: string): Promise<boolean>
  putEvidence(rows: EvidenceRow[]): Promise<void>
  putArtifact(row: ArtifactRow): Promise<void>
  /** Insert or update by (project, task); the number stays. Idempotent. */
  saveChange(change: Omit<ChangeRow, 'number'>): Promise<ChangeRow>
  /** One review of the same sha by the same reviewer is one row. */
  saveReview(review: ReviewRow): Promise<void>
  close(): void
}
