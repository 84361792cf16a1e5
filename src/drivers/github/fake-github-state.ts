// What the played GitHub remembers: one repository with its issues, pull requests, commits, checks and webhooks.

import type { FakeGit } from '../fake-git.ts'

/** What a route answers; `json` is filled up to what GitHub's answer must hold. */
export interface Reply {
  status: number
  json?: unknown
  text?: string
  headers?: Record<string, string>
}

export interface FakeUser {
  login: string
  type?: 'User' | 'Bot'
  permission: 'admin' | 'write' | 'read' | 'none'
}

export interface FakeComment {
  id: number
  user: string
  body: string
  created_at: string
  updated_at: string
}

export interface FakeIssue {
  number: number
  title: string
  body: string
  state: 'open' | 'closed'
  state_reason: 'completed' | 'not_planned' | 'duplicate' | null
  labels: string[]
  labelEvents: { id: number; event: 'labeled' | 'unlabeled'; actor: string; created_at: string; label: string }[]
  user: string
  created_at: string
  updated_at: string
  closed_at: string | null
  comments: FakeComment[]
  blockedBy: number[]
  parts: number[]
  pull: FakePull | null
}

export interface FakePull {
  head: { ref: string; repo: string; sha: string }
  base: string
  draft: boolean
  mergedSha: string | null
  reviewers: string[]
  reviews: (FakeComment & { state: string; commit_id: string })[]
  lines: (FakeComment & { path: string; line: number; diff_hunk: string; in_reply_to_id?: number })[]
  resolved: Set<number>
  conflicts: boolean
  queued: boolean
}

export interface FakeState {
  ref: string
  /** Where its pages are. */
  web: string
  /** Real git behind it; null: commits are names alone. */
  git: FakeGit | null
  formerRefs: string[]
  tokens: Map<string, string>
  users: FakeUser[]
  labels: string[]
  issues: Map<number, FakeIssue>
  transferred: Map<number, string>
  deleted: Set<number>
  reactions: Map<string, Set<string>>
  /** Parents of each commit. */
  commits: Map<string, string[]>
  branches: Map<string, string>
  checkRuns: {
    id: number
    sha: string
    name: string
    status: string
    conclusion: string | null
    app: string
    suite: number
    text: string
  }[]
  statuses: { sha: string; context: string; state: string; description: string }[]
  workflowRuns: { id: number; sha: string; name: string; status: string; conclusion: string | null; suite: number }[]
  logs: Map<number, string>
  hooks: { id: number; active: boolean; events: string[]; url: string; content_type: string; secret: string | null }[]
  methods: Set<string>
  needsReview: boolean
  /** `rules`: named among the branch's rules; `protection`: of the older kind, which is not. */
  queue: 'none' | 'rules' | 'protection'
  hasDrafts: boolean
  /** Of every token. */
  scopes: string
  installationTokens: number
  id(): number
  now(): string
}

const START = 'a1'.repeat(20)

export function makeState(): FakeState {
  let last = 100
  let clock = Math.floor(Date.now() / 1_000) * 1_000
  return {
    ref: 'acme/shop',
    web: 'https://github.com',
    git: null,
    formerRefs: [],
    tokens: new Map([['ghp_fake0123456789', 'orch-bot']]),
    users: [
      { login: 'orch-bot', permission: 'write' },
      { login: 'olga', permission: 'admin' },
      { login: 'mia', permission: 'write' },
      { login: 'stan', permission: 'read' },
    ],
    labels: ['bug'],
    issues: new Map(),
    transferred: new Map(),
    deleted: new Set(),
    reactions: new Map(),
    commits: new Map([[START, []]]),
    branches: new Map([['main', START]]),
    checkRuns: [],
    statuses: [],
    workflowRuns: [],
    logs: new Map(),
    hooks: [],
    methods: new Set(['merge', 'squash', 'rebase']),
    needsReview: false,
    queue: 'none',
    hasDrafts: true,
    scopes: 'repo, read:org',
    installationTokens: 0,
    id: () => (last += 1),
    now: () => new Date((clock += 1_000)).toISOString().replace('.000Z', 'Z'),
  }
}

/** Sets a label or takes it off, as somebody. */
export function putLabel(
  state: FakeState,
  issue: FakeIssue,
  { label, actor, on }: { label: string; actor: string; on: boolean },
): void {
  if (issue.labels.includes(label) === on) return
  issue.labels = on ? [...issue.labels, label] : issue.labels.filter((one) => one !== label)
  const event = on ? 'labeled' : 'unlabeled'
  issue.labelEvents.push({ id: state.id(), event, actor, created_at: state.now(), label })
}

export function addIssue(state: FakeState, issue: Partial<FakeIssue> & { title: string; user: string }): FakeIssue {
  const number = state.issues.size + state.deleted.size + state.transferred.size + 1
  const at = state.now()
  const made: FakeIssue = {
    number,
    body: '',
    state: 'open',
    state_reason: null,
    labels: [],
    labelEvents: [],
    created_at: at,
    updated_at: at,
    closed_at: null,
    comments: [],
    blockedBy: [],
    parts: [],
    pull: null,
    ...issue,
  }
  state.issues.set(number, made)
  return made
}

export function addComment(state: FakeState, user: string, body: string): FakeComment {
  const at = state.now()
  return { id: state.id(), user, body, created_at: at, updated_at: at }
}

/** A commit on top of the branch, which is made from main where it is not there. */
export function commit(state: FakeState, branch: string): string {
  const parent = state.branches.get(branch) ?? state.branches.get('main') ?? START
  const sha = newCommit(state, [parent])
  push(state, branch, sha)
  return sha
}

export function newCommit(state: FakeState, parents: string[]): string {
  const sha = state.id().toString(16).padStart(40, 'c')
  state.commits.set(sha, parents)
  return sha
}

/** Moves the branch: open changes from it get a new head, those whose head is now in their base are merged. */
export function push(state: FakeState, branch: string, sha: string): void {
  state.branches.set(branch, sha)
  for (const issue of state.issues.values()) {
    const { pull } = issue
    if (!pull || issue.state !== 'open') continue
    if (pull.head.ref === branch && pull.head.repo === state.ref) pull.head.sha = sha
    if (pull.base === branch && contains(state, sha, pull.head.sha)) endPull(state, issue, sha)
  }
}

/** Sees what was pushed to the real repository behind it, if there is one. */
export function seePushes(state: FakeState): void {
  const { git } = state
  if (!git) return
  const { gone, moved } = git.movedSince(state.branches)
  if (gone.length === 0 && moved.length === 0) return
  for (const [sha, parents] of git.commits()) state.commits.set(sha, parents)
  for (const [branch, sha] of moved) push(state, branch, sha)
  for (const branch of gone) state.branches.delete(branch)
  for (const issue of state.issues.values()) {
    const { pull } = issue
    if (!pull || issue.state !== 'open') continue
    if (gone.includes(pull.head.ref)) issue.state = 'closed'
    else pull.conflicts = git.conflicts(state.branches.get(pull.base) ?? '', pull.head.sha)
  }
}

export function contains(state: FakeState, sha: string, wanted: string): boolean {
  if (sha === wanted) return true
  return (state.commits.get(sha) ?? []).some((parent) => contains(state, parent, wanted))
}

export function closeIssue(
  state: FakeState,
  issue: FakeIssue,
  state_reason: NonNullable<FakeIssue['state_reason']>,
): void {
  const at = state.now()
  Object.assign(issue, { state: 'closed', state_reason, updated_at: at, closed_at: at })
}

export function endPull(state: FakeState, issue: FakeIssue, mergedSha: string): void {
  issue.state = 'closed'
  issue.updated_at = state.now()
  if (issue.pull) issue.pull.mergedSha = mergedSha
  // What is merged into the default branch closes what it names.
  if (issue.pull?.base !== 'main') return
  for (const [, number] of issue.body.matchAll(/\b(?:close|fix|resolve)[sd]? #(\d+)/gi)) {
    const named = state.issues.get(Number(number))
    if (named?.state === 'open') closeIssue(state, named, 'completed')
  }
}
