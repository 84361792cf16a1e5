// The roles a driver may fill. A driver is one vendor; one connection serves all its roles (auth, rate limit, cache,
// retries, errors). Every method may throw ExternalError, whose kind says who must act, and nothing else for trouble of
// the outside. `ensureX` may be called any number of times; `findX` may give null.
// Invariant: nothing a vendor sent passes unparsed, and no vendor's field is in these types.

import type { ChangeRow, ReviewRow } from '../store/store.ts'

export type DriverName = 'local' | 'github' | 'gitea' | 'plane'

/** One project at a vendor: `owner/name` at a forge, `workspace/project-uuid` at Plane, empty for `local`. */
export interface RemoteRef {
  driver: DriverName
  ref: string
}

// ---- Issues: the tracker's role

export interface Person {
  login: string
  isBot: boolean
}

/** What the vendor says of somebody's rights: `owner` may administrate, `member` may write. */
export type Trust = 'owner' | 'member' | 'none'

/** An issue as it is at one moment. Its text is plain Markdown, whatever the vendor keeps. */
export interface Issue {
  /** Unique among the project's issues for ever: `12`, a uuid. With its driver it is a task's origin: `github:12`. */
  id: string
  /** What people call it; a task's number where that is free. */
  number: number
  title: string
  body: string
  /** By the group of its state, never by a state's name or id. */
  state: 'open' | 'completed' | 'cancelled'
  /** Name of its state on a board; null where the vendor has none. */
  column: string | null
  labels: string[]
  assignees: string[]
  /** Null where the vendor does not say. */
  priority: 'urgent' | 'high' | 'medium' | 'low' | null
  author: Person
  url: string
  createdAt: number
  /** Grows with every change: the older of two snapshots is the one with the smaller time. */
  updatedAt: number
  /** When it was closed last, by the vendor's clock; nothing else moves it. Null: it is open, or the vendor doesn't say. */
  closedAt: number | null
  /** Ids of issues of the same project that it says it waits for. */
  blockedBy: string[]
}

export interface IssueComment {
  id: string
  author: Person
  /** Written by Orch itself. A person whose own token Orch uses is not Orch: of their account only what carries a key of ours is. */
  isOwn: boolean
  body: string
  url: string
  createdAt: number
  updatedAt: number
}

/** How an issue should look. A name the project does not have is left out and named in the answer, never guessed. */
export interface IssueView {
  /** Board column to be in; null leaves it. */
  column: string | null
  labelsOn: string[]
  labelsOff: string[]
  /** Close it as, or null to leave it as it is. Never opens one. */
  close: 'completed' | 'cancelled' | null
}

/** A text of ours. The key is hidden in it, so that the same key is one comment, edited. */
export interface OwnComment {
  key: string
  body: string
  /** The role that says it, for vendors where each role has a bot of its own. */
  role: string | null
}

/** Where issues come from. Bound to one project. */
export interface Tracker {
  /** The issue as it is now; null when it is gone or moved elsewhere. Throws `not-found` when the project is not to be seen. */
  findIssue(id: string): Promise<Issue | null>
  /**
   * Issues changed at or after `since` (ms; null: all open ones), each once, also when pages change while they are listed.
   * `unchanged`: the vendor said that nothing is new since the same question was last asked, at little or no cost.
   */
  listIssues(request: { since: number | null }): Promise<{ unchanged: boolean; issues: Issue[] }>
  /** Oldest first. */
  listComments(request: { issue: string; since: number | null }): Promise<IssueComment[]>
  /** What somebody may do in the project. */
  trustOf(login: string): Promise<Trust>
  /** Brings the issue to look so; calls nothing where it does. Names of columns and labels that do not exist come back. */
  ensureView(issue: string, view: IssueView): Promise<{ missing: string[] }>
  /**
   * Writes the comment or edits the one with the same key; calls nothing where it reads so. Looking and writing are two
   * steps at a vendor that knows no keys, and the flow takes them in line within a process. What two processes at once, or a
   * try that was given up and carried out late, wrote twice is one again with the next call of that key; until then both stay.
   */
  ensureComment(issue: string, comment: OwnComment): Promise<{ url: string }>
  /** Roles that speak with an account of their own; absent where all share one. */
  speakers?: readonly string[]
  /** A small sign at a comment; false where the vendor has none. Twice is once. */
  ensureReaction(request: { issue: string; comment: string; sign: Sign }): Promise<boolean>
}

export type Sign = 'seen' | 'done' | 'refused'

/** Gives an issue of Orch's own list its number. */
export interface LocalTracker {
  /** Records an issue and gives its origin and number. Twice is two issues. */
  createIssue(project: string): Promise<{ origin: string; number: number }>
}

// ---- Changes: the forge's role

export interface ChangeRequest {
  project: string
  task: string
  branch: string
  base: string
  head: string
  title: string
  body: string
  /** Not ready for people yet; left as it is where absent. */
  draft?: boolean
  /** Added; none is taken away. */
  labels?: string[]
  reviewers?: string[]
}

/** A change as the forge shows it now. */
export interface ChangeState {
  number: number
  url: string
  state: 'open' | 'merged' | 'closed'
  draft: boolean
  branch: string
  base: string
  head: string
  /** What the base got, where it is merged and the forge says so. */
  mergedSha: string | null
  /** Null: not known (yet). */
  mergeable: boolean | null
  /** In the forge's own merge queue. */
  queued: boolean
  labels: string[]
  updatedAt: number
}

export interface Check {
  name: string
  state: 'pending' | 'passed' | 'failed' | 'skipped'
  url: string | null
  /** For a failed one: the end of its log, or what it says of itself; at most 8 KiB. Null where none is to be had. */
  text: string | null
}

/** All checks of one commit: check runs, statuses and workflows as one list. */
export interface Checks {
  /** `none`: nothing has reported, so nothing is known. */
  state: 'none' | 'pending' | 'passed' | 'failed'
  checks: Check[]
}

/** What a person said of one head. */
export interface ChangeReview {
  id: string
  author: Person
  /** The head it was given on; an older one judges nothing. */
  sha: string | null
  verdict: 'approve' | 'request_changes' | 'comment'
  body: string
  at: number
  url: string
}

/** A thread of comments at a change: at a line, or at all of it. */
export interface ReviewThread {
  id: string
  resolved: boolean
  file: string | null
  line: number | null
  /** The diff around it, at most 2,000 characters (O-24). */
  diff: string | null
  comments: IssueComment[]
}

export type MergeMethod = 'merge' | 'squash' | 'rebase'

export type MergeAnswer =
  | { ok: true; mergedSha: string | null }
  /** In the forge's own merge queue; its end is seen by looking. */
  | { ok: true; queued: true }
  | { ok: false; because: 'head-moved' | 'not-mergeable' | 'blocked' | 'not-allowed'; text: string }

/**
 * Where changes (branch and pull request) are kept. Git itself is the mirror's matter. A task has one change; the driver
 * is handed where its number is remembered (`ChangeMemory`), and finds it by its branch when that was lost.
 */
export interface Forge {
  /**
   * Opens the task's change or brings it up to date. Twice is one change. Never adopts one whose head repository, branch or
   * base is another. Throws `rejected` when the base holds the head already (nothing to show).
   */
  ensureChange(request: ChangeRequest): Promise<ChangeRow>
  /** Records a review of one head by one of Orch's own agents. Twice the same is one review. */
  addReview(review: ReviewRow): Promise<void>
  /** Marks the change merged at `mergedSha`, where Orch itself moved the base. Idempotent. Null when there is no change. */
  markMerged(task: string, mergedSha: string): Promise<ChangeRow | null>
  /** Closes without merging. Idempotent; a merged change stays merged. Null when there is no change. */
  closeChange(task: string): Promise<ChangeRow | null>
}

/** What a forge of other people's can do beside: look, wait for CI and people, and merge. */
export interface RemoteForge extends Forge {
  /**
   * Null when the task has no change there (any more). Where the remembered one is closed and another of the same branch and
   * base is open, it is that one: whoever goes on with it remembers its number. Writes nothing.
   */
  findChange(task: string): Promise<ChangeState | null>
  /** The task whose change this number is, by memory. Null: not one of ours. */
  taskOf(number: number): Promise<string | null>
  checksOf(sha: string): Promise<Checks>
  /** Oldest first; Orch's own are left out. */
  listReviews(task: string): Promise<ChangeReview[]>
  listThreads(task: string): Promise<ReviewThread[]>
  /** The change's conversation, oldest first; comments at lines are in its threads. */
  listComments(request: { task: string; since: number | null }): Promise<IssueComment[]>
  ensureComment(task: string, comment: OwnComment): Promise<{ url: string }>
  /** Answers in a thread, once for each key; as with comments, a try that was carried out late can't be known by it, and stays. */
  ensureReply(task: string, reply: { thread: string; key: string; body: string }): Promise<void>
  ensureReaction(request: { task: string; comment: string; sign: Sign }): Promise<boolean>
  /** Who set this label at the task's change, the last time that it was set. Null: it is not on, or the forge does not say. */
  labelledBy(request: { task: string; label: string }): Promise<Person | null>
  trustOf(login: string): Promise<Trust>
  /** Merges exactly this head. Safe to repeat: a merged change answers ok. */
  merge(request: {
    task: string
    head: string
    method: MergeMethod
    title: string
    message: string
  }): Promise<MergeAnswer>
}

/** Where a driver keeps which change is which task's. */
export interface ChangeMemory {
  getChange(task: string): ChangeRow | null
  listChanges(project?: string): ChangeRow[]
  saveChange(change: Omit<ChangeRow, 'number'> & { number?: number }): Promise<ChangeRow>
}

// ---- Deliveries: the role of a source of webhooks

/** Something that changed at the vendor. A hint to look: whoever handles it acts on the newest state, in any order. */
export type Happening =
  /** `issue` where the delivery held all of it, else its id to ask for. */
  | { kind: 'issue'; id: string; issue: Issue | null }
  | { kind: 'issue-comment'; issue: string; comment: IssueComment | null; deleted: boolean }
  /** Opened, closed, merged, new head, reviewed, commented at a line, labelled. */
  | { kind: 'change'; number: number }
  | { kind: 'change-comment'; number: number; comment: IssueComment | null; deleted: boolean }
  | { kind: 'checks'; sha: string }
  | { kind: 'push'; branch: string; sha: string | null }

export interface RawDelivery {
  /** Names in lower case. */
  headers: Readonly<Record<string, string | undefined>>
  /** The body exactly as it came: signatures are over bytes. */
  body: Uint8Array
}

export type Verified =
  | {
      ok: true
      /** The vendor's id of the delivery. */ id: string
      /** Its name of the event, such as `issues`. */ event: string
    }
  | { ok: false; status: 400 | 401; reason: string }

export type Parsed =
  | {
      kind: 'happened'
      /** The project's ref at the vendor; its last part where the delivery tells no more (Plane), empty where it tells none. */
      ref: string
      happenings: Happening[]
    }
  /** Nothing that concerns Orch, or sent by Orch itself. */
  | { kind: 'ignored'; reason: string }
  | { kind: 'rejected'; reason: string }

export interface WebhookSource {
  /** Looks at headers and bytes alone, in constant time as to secrets. `unsigned`: for local development, accepts what has no signature. */
  verify(delivery: RawDelivery, options: { secrets: readonly string[]; unsigned: boolean }): Verified
  /** Reads what was verified and kept. Never throws. `self`: logins that Orch writes under; what it wrote itself is ignored. */
  parse(delivery: { event: string; body: Uint8Array; self: readonly string[] }): Parsed
}

// ---- The driver

/** What is left of an API's budget. */
export interface Quota {
  limit: number
  remaining: number
  /** ms. */
  resetAt: number
}

export interface Identity {
  login: string
  /** Where the credential came from, such as `GITHUB_TOKEN` or `gh auth token`; never the credential. */
  source: string
  /** Scopes or permissions it lacks for what every project does, as the vendor names them; null where the vendor doesn't say. */
  missing: string[] | null
  /** Those it lacks that only some need, each with for what: its lack is told, and is no failure. */
  optional: string[]
}

/** What the vendor knows of a project. */
export interface RemoteProject {
  /** As the vendor writes it now; differs from what was asked when it was renamed or moved. */
  ref: string
  name: string
  /** For forges. */
  cloneUrl: string | null
  defaultBranch: string | null
  url: string
}

/** What a project needs at the vendor before Orch can live there, and how it gets it. Deletes nothing. */
export interface Onboarding {
  labels(): Promise<string[]>
  /** Names of the board's columns, in its order, with their group; null where the vendor has no board. */
  columns(): Promise<{ name: string; group: string }[] | null>
  ensureLabel(label: { name: string; color: string; description: string }): Promise<'existed' | 'created'>
  ensureColumn(column: { name: string; group: string }): Promise<'existed' | 'created'>
  /** Webhooks that lead to this address, by their full URL without query. */
  findWebhook(url: string): Promise<{ active: boolean; events: string[] } | null>
  /** Makes or mends the one that leads there. */
  ensureWebhook(request: { url: string; secret: string }): Promise<'existed' | 'created' | 'changed'>
}

export interface Driver {
  name: Exclude<DriverName, 'local'>
  /** Asks the vendor once, then remembers. */
  identity(): Promise<Identity>
  /** As the last answer said; null before the first or where the vendor doesn't say. Calls nobody. */
  quota(): Quota | null
  /** Requests made so far by this process, and how many of them an unchanged answer was enough for. */
  counts(): { requests: number; unchanged: number }
  findProject(ref: string): Promise<RemoteProject | null>
  onboarding(ref: string): Onboarding
  /** What git reaches the repository with over HTTP; null for a vendor that keeps none. Throws `auth` where there is none. */
  gitCredential(ref: string): Promise<{ username: string; password: string } | null>
  /** Null for a vendor that has none of that role. */
  tracker(ref: string): Tracker | null
  forge(ref: string, memory: ChangeMemory): RemoteForge | null
  webhooks: WebhookSource
}
