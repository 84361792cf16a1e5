// The contract of a store: versioned aggregates, their journal, and the queue of jobs. Asynchronous and small.
// Invariant: a commit is all or nothing; it is refused when a version moved or a lease was lost, and then changes nothing.

import type { Account } from '../core/account.ts'
import type { TaskStatus } from '../core/lifecycle.ts'
import type { Actor, Effect, IntentWrite, QueuedEffect, StreamEvent } from '../core/messages.ts'
import type { RunOutcome, Usage } from '../core/run.ts'
import type { Repository } from '../core/repository.ts'
import type { Task } from '../core/task.ts'
import type { DeliveryQueries, DeliveryWrites } from './deliveries.ts'

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
  /** Kept with a job that ends: what Orch itself did wrong, with its stack. */
  error?: string
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
  /** How often it failed so far, or took its worker along. */
  failures: number
  leaseUntil: number
}

export interface JobLine {
  id: number
  kind: Effect['kind']
  state: 'queued' | 'delayed' | 'running' | 'parked'
  epoch: number | null
  runAt: number
}

/** A job that waits for a person, with the error that parked it. */
export interface ParkedJob {
  id: number
  kind: Effect['kind']
  task: string
  epoch: number | null
  failures: number
  error: string
}

/** A state that no code path leads to: a job that isn't running and has a worker, a lane's wrong count or head, a queued task with a run. */
export type Healed = 'impossible-job' | 'lane' | 'impossible-task'

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
  /** Where its issues come from beside Orch's own list; absent: nowhere. */
  tracker?: { driver: string; ref: string }
  /** Where its changes are shown; absent: in Orch alone. */
  forge?: { driver: string; ref: string }
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
  /** Its page, at a forge that has pages. */
  url: string | null
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

/** What was last seen of an issue of a tracker. */
export interface SeenIssue {
  updatedAt: number
  data: { open: boolean; wanted: boolean; column: string | null }
}

export interface TrackerQueries {
  /** Ids of all tasks that came from one issue, oldest first; at most one of them is open. */
  tasksOfOrigin(of: { project: string; origin: string }): string[]
  seenIssue(of: { project: string; issue: string }): SeenIssue | null
  /** A value that was put under a name; null when none was. */
  mark(of: { project: string; what: string }): string | null
}

/** Reads that never block a writer. May be opened alone, without the rest, by a short-lived command. */
export interface Queries extends TrackerQueries, DeliveryQueries {
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
  /** Live jobs of one task: those that will run or do, and those that wait for a person (`parked`). */
  jobsOf(task: string): JobLine[]
  /** All parked jobs, oldest first. */
  parkedJobs(): ParkedJob[]
  /** Jobs of one task that failed, live or over, with what went wrong. */
  faultsOf(task: string): { id: number; kind: Effect['kind']; state: string; failures: number; error: string }[]
  /** Open tasks whose step has no live job and that wait for no person and no other task, as far as columns tell (L6). */
  tasksWithoutJob(): string[]
  /** Open tasks that wait for one that has ended. */
  tasksWithEndedDependency(): string[]
  /** Merge and change intents that are open or held. */
  unsettledIntents(): IntentRow[]
  /** What `heal` has mended so far. */
  healed(): { what: Healed; n: number; lastAt: number }[]
  /** Differs whenever anything was written since, by this connection or another; costs microseconds. */
  changeMark(): string
  /** Changes whenever another connection committed; costs microseconds. */
  dataVersion(): number
}

/** What a store says of its own state, for a doctor. Lists of sentences are empty when all is well, and bounded. */
export interface StoreHealth {
  /** Of the data, and the newest that this program knows. */
  version: number
  knownVersion: number
  bytes: number
  /** Of the log of what was committed and not yet brought into the data itself. */
  logBytes: number
  /** What was looked at for `damage`, in words. */
  looked: string
  damage: string[]
  /** Rows whose parent is missing. */
  dangling: string[]
  /** Settings that durability needs and that don't hold. */
  settings: string[]
}

export interface Store extends Queries, DeliveryWrites {
  /** All writes retry a busy database without blocking the event loop, for at most 30 s, then throw StoreBusyError. */
  commit(commit: Commit): Promise<CommitResult>
  /** Takes the next job of a lane with free capacity, or null. Never gives one whose `runAt` is ahead. */
  claim(options: { worker: string; now: number; leaseMs: number }): Promise<Job | null>
  /** False when the lease was lost: the worker must stop writing for it. */
  renew(options: { jobId: number; token: number; now: number; leaseMs: number }): Promise<boolean>
  /** Puts a claimed job back, to run at `runAt`: `failed` with this error, or interrupted and next in its lane. False when the lease was lost. */
  release(options: { jobId: number; token: number; runAt: number; failed?: string }): Promise<boolean>
  /** Ends a claimed job that needs no commit; false when the lease was lost. */
  finish(options: { jobId: number; token: number; error?: string }): Promise<boolean>
  /** Takes a claimed job out of the queue until a person asks for it again; false when the lease was lost. */
  park(options: { jobId: number; token: number; error: string }): Promise<boolean>
  /** Puts a task's parked jobs back into the queue with a fresh count; gives their ids. */
  unpark(task: string): Promise<number[]>
  /**
   * Puts back every job whose lease is over or whose worker is among `deadWorkers`, next in their lanes; gives their ids. One that outlived
   * several workers waits a little longer each time, and is parked in the end.
   */
  reclaim(options: { now: number; deadWorkers: string[] }): Promise<number[]>
  /** Mends jobs and lanes that are in an impossible state, counts them, and names tasks that are in one. Idempotent. */
  heal(options: { now: number }): Promise<{ mended: { what: Healed; n: number }[]; tasks: string[] }>
  /** Names of workers that hold a lease. */
  leaseHolders(): string[]
  /** Next number of a project's tasks: 1, 2, 3 …; never given twice, and none that a task has already. */
  nextNumber(project: string): Promise<number>
  addProject(project: Project): Promise<'added' | 'exists'>
  /** Where its issues come from and its changes are shown, from now on (absent: nowhere), and where its origin is. False: no such project. */
  updateProject(project: Pick<Project, 'id' | 'remote' | 'tracker' | 'forge'>): Promise<boolean>
  removeProject(id: string): Promise<boolean>
  putEvidence(rows: EvidenceRow[]): Promise<void>
  putArtifact(row: ArtifactRow): Promise<void>
  /** Insert or update by (project, task); without a number it gets the project's next, and keeps it. Idempotent. */
  saveChange(change: Omit<ChangeRow, 'number'> & { number?: number }): Promise<ChangeRow>
  /** Remembers what was seen, unless something newer was seen already: false then. */
  putSeenIssue(seen: { project: string; issue: string } & SeenIssue): Promise<boolean>
  putMark(mark: { project: string; what: string; value: string; at: number }): Promise<void>
  /** One review of the same sha by the same reviewer is one row. */
  saveReview(review: ReviewRow): Promise<void>
  /** Reads everything once and blocks meanwhile: for a process that serves nobody. Throws when the data can't be read at all. */
  health(): StoreHealth
  close(): void
}

/** What a database holds, as far as a backup tells it. */
export interface DatabaseFacts {
  /** Number of its schema. */
  version: number
  tasks: number
  events: number
  projects: Project[]
  /** Runs that had not ended. */
  liveRuns: string[]
  endedRuns: string[]
}

/** A file kept beside the database in a backup. */
export interface BackupFile {
  /** Relative to ORCH_HOME, with slashes; never upwards. */
  path: string
  kind: 'file' | 'link'
  mode: number
  bytes: number
}

export interface BackupFacts extends DatabaseFacts {
  /** Null for a database that no `orch backup` made: a plain copy has no files beside it. */
  madeAt: number | null
  files: BackupFile[]
}

/** A backup in the making, in a file of its own that is nobody's backup yet. */
export interface BackupDraft {
  facts: DatabaseFacts
  addFile(file: { path: string; mode: number; content: AsyncIterable<Uint8Array> }): Promise<void>
  addLink(link: { path: string; target: string }): void
  /** Seals and proves it, and brings it to the disk. Throws UserError when what was copied is damaged. */
  finish(madeAt: number): Promise<BackupFacts>
  /** Closes it unfinished. May be called after `finish`. */
  close(): void
}

/** A backup that was proved whole. */
export interface OpenedBackup {
  facts: BackupFacts
  /** A file's bytes (a link's: its target), in pieces. */
  content(path: string): Iterable<Uint8Array>
  /** Writes the database alone to a new file and brings it to the disk; no task number up to `numbers` is given again. */
  writeDatabase(path: string, numbers: Record<string, number>): Promise<void>
  close(): void
}

/** Databases as files that nobody has open, or that others have. */
export interface Backups {
  /** A consistent copy of a database that others go on writing. Throws UserError(6) for one that can't be read. */
  begin(database: string, draft: string): Promise<BackupDraft>
  /** Opens a backup for reading and proves it: damaged or not ours (1), newer (6), not there (3) are UserErrors. */
  open(file: string): OpenedBackup
  /** The last task number of each project; empty where the database can't be read. */
  numbersOf(database: string): Record<string, number>
  /** Moves what a log beside the database holds into it, as far as that can be done. Changes nothing that can be read. */
  settle(database: string): void
}
