// What the played Gitea keeps, and how it shows it. Shapes are those of modules/structs; the fake judges them by the
// description before they leave.

import { randomBytes } from 'node:crypto'
import type { FakeGit } from '../fake-git.ts'

export interface FakeUser {
  id: number
  login: string
  token: string
  may: 'owner' | 'admin' | 'write' | 'read' | 'none'
}

export interface FakePull {
  head: string
  base: string
  /** 1 is the repository itself. */
  headRepo: number
  mergedSha: string | null
  checking: boolean
  conflict: boolean
  requested: string[]
}

export interface FakeIssue {
  number: number
  title: string
  body: string
  state: 'open' | 'closed'
  labels: number[]
  labelEvents: { id: number; label: number; user: string; on: boolean; at: number }[]
  user: string
  createdAt: number
  updatedAt: number
  closedAt: number | null
  blockedBy: number[]
  pull: FakePull | null
}

export interface FakeComment {
  id: number
  issue: number
  user: string
  body: string
  createdAt: number
  updatedAt: number
  signs: { user: string; content: string }[]
  /** At a line: below zero of the old file. */
  line: { review: number; path: string; line: number; hunk: string; resolver: string | null } | null
}

export interface FakeReview {
  id: number
  issue: number
  user: string
  body: string
  state: 'APPROVED' | 'REQUEST_CHANGES' | 'COMMENT' | 'PENDING' | 'REQUEST_REVIEW'
  sha: string
  dismissed: boolean
  at: number
}

export interface FakeHook {
  id: number
  url: string
  contentType: string
  secret: string
  active: boolean
  events: string[]
  branchFilter: string
  authorization: string
}

export interface FakeState {
  /** `owner/name` as it is called now, and as it was once. */
  ref: string
  oldRef: string | null
  url: string
  /** Real git behind it; null: commits are names alone. */
  git: FakeGit | null
  users: FakeUser[]
  issues: Map<number, FakeIssue>
  comments: FakeComment[]
  reviews: FakeReview[]
  labels: { id: number; name: string; color: string; description: string }[]
  /** Null: the owner is a person. */
  orgLabels: { id: number; name: string; color: string; description: string }[] | null
  hooks: FakeHook[]
  branches: Map<string, string>
  forkBranches: Map<string, string>
  commits: Map<string, string[]>
  statuses: { sha: string; context: string; state: string; description: string; targetUrl: string; at: number }[]
  jobs: { id: number; run: number; sha: string; page: string; log: string }[]
  allow: { merge: boolean; squash: boolean; rebase: boolean; manual: boolean }
  approvalsNeeded: number
  dependencies: boolean
  /** 1.23 has no API for the logs of Actions. */
  hasActionsApi: boolean
  hasPermissionToAsk: boolean
  lastId: number
}

export type Json = Record<string, unknown>

export function nextId(state: FakeState): number {
  state.lastId += 1
  return state.lastId
}

export function makeSha(): string {
  return randomBytes(20).toString('hex')
}

/** Whole seconds, as Gitea keeps them. */
export function nowSeconds(): number {
  return Math.floor(Date.now() / 1_000) * 1_000
}

function time(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z')
}

export function userJson(state: FakeState, login: string): Json {
  const user = state.users.find((one) => one.login === login)
  if (!user) return { id: -1, login: 'Ghost', full_name: '', email: '' }
  return { id: user.id, login, full_name: '', email: `${login}@noreply.example`, is_admin: false }
}

export function repositoryJson(state: FakeState): Json {
  const [owner = '', name = ''] = state.ref.split('/')
  return {
    id: 1,
    owner: { id: 90, login: owner },
    name,
    full_name: state.ref,
    html_url: `${state.url}/${state.ref}`,
    clone_url: `${state.url}/${state.ref}.git`,
    default_branch: 'main',
    allow_merge_commits: state.allow.merge,
    allow_squash_merge: state.allow.squash,
    allow_rebase: state.allow.rebase,
  }
}

export function labelJson(label: FakeState['labels'][number]): Json {
  return { ...label, exclusive: false, is_archived: false, url: '' }
}

export function labelsOf(state: FakeState, ids: readonly number[]): Json[] {
  return [...state.labels, ...(state.orgLabels ?? [])].filter(({ id }) => ids.includes(id)).map(labelJson)
}

/** Sets labels or takes them off, as somebody. */
export function putLabels(
  state: FakeState,
  issue: FakeIssue,
  { ids, user, on }: { ids: readonly number[]; user: string; on: boolean },
): void {
  for (const label of ids.filter((id) => issue.labels.includes(id) !== on)) {
    issue.labels = on ? [...issue.labels, label] : issue.labels.filter((id) => id !== label)
    issue.labelEvents.push({ id: nextId(state), label, user, on, at: nowSeconds() })
  }
}

export function labelEventJson(state: FakeState, event: FakeIssue['labelEvents'][number]): Json {
  return {
    id: event.id,
    type: 'label',
    user: userJson(state, event.user),
    body: event.on ? '1' : '',
    label: labelsOf(state, [event.label])[0] ?? null,
    created_at: time(event.at),
    updated_at: time(event.at),
  }
}

export function isDraft(issue: FakeIssue): boolean {
  return /^(wip:|\[wip\])/i.test(issue.title)
}

export function issueJson(state: FakeState, issue: FakeIssue): Json {
  const [owner = '', name = ''] = state.ref.split('/')
  const page = `${state.url}/${state.ref}/${issue.pull ? 'pulls' : 'issues'}/${issue.number}`
  return {
    id: 1_000 + issue.number,
    url: `${state.url}/api/v1/repos/${state.ref}/issues/${issue.number}`,
    html_url: page,
    number: issue.number,
    user: userJson(state, issue.user),
    title: issue.title,
    body: issue.body,
    labels: labelsOf(state, issue.labels),
    assignees: null,
    state: issue.state,
    comments: state.comments.filter((one) => one.issue === issue.number).length,
    created_at: time(issue.createdAt),
    updated_at: time(issue.updatedAt),
    closed_at: issue.closedAt === null ? null : time(issue.closedAt),
    pull_request: issue.pull ? { merged: issue.pull.mergedSha !== null, html_url: page, draft: isDraft(issue) } : null,
    repository: { id: 1, name, owner, full_name: state.ref },
  }
}

export function pullJson(state: FakeState, issue: FakeIssue & { pull: FakePull }): Json {
  const { pull } = issue
  const branches = pull.headRepo === 1 ? state.branches : state.forkBranches
  const head = branches.get(pull.head)
  const { repository: _repository, pull_request: _pull, id: _id, ...shown } = issueJson(state, issue)
  const merged = pull.mergedSha !== null
  return {
    ...shown,
    id: 2_000 + issue.number,
    draft: isDraft(issue),
    merged,
    mergeable: !pull.checking && !pull.conflict && !isDraft(issue),
    merge_commit_sha: pull.mergedSha,
    requested_reviewers: pull.requested.length > 0 ? pull.requested.map((login) => userJson(state, login)) : null,
    base: { label: pull.base, ref: pull.base, sha: state.branches.get(pull.base) ?? '', repo_id: 1 },
    head: {
      label: pull.head,
      ref: head === undefined ? `refs/pull/${issue.number}/head` : pull.head,
      sha: head ?? '0'.repeat(40),
      repo_id: pull.headRepo,
    },
  }
}

export function commentJson(state: FakeState, comment: FakeComment): Json {
  const isPull = Boolean(state.issues.get(comment.issue)?.pull)
  const page = `${state.url}/${state.ref}/${isPull ? 'pulls' : 'issues'}/${comment.issue}`
  return {
    id: comment.id,
    html_url: `${page}#issuecomment-${comment.id}`,
    issue_url: isPull ? '' : page,
    pull_request_url: isPull ? page : '',
    user: userJson(state, comment.user),
    body: comment.body,
    created_at: time(comment.createdAt),
    updated_at: time(comment.updatedAt),
  }
}

export function lineCommentJson(state: FakeState, comment: FakeComment): Json {
  const { line } = comment
  const { issue_url: _issue, ...shown } = commentJson(state, comment)
  return {
    ...shown,
    path: line?.path,
    position: Math.max(line?.line ?? 0, 0),
    original_position: Math.max(-(line?.line ?? 0), 0),
    diff_hunk: line?.hunk,
    pull_request_review_id: line?.review,
    resolver: line?.resolver ? userJson(state, line.resolver) : null,
    commit_id: state.reviews.find(({ id }) => id === line?.review)?.sha,
    original_commit_id: '',
  }
}

export function reviewJson(state: FakeState, review: FakeReview): Json {
  return {
    id: review.id,
    user: userJson(state, review.user),
    state: review.state,
    body: review.body,
    commit_id: review.sha,
    stale: false,
    official: false,
    dismissed: review.dismissed,
    comments_count: state.comments.filter(({ line }) => line?.review === review.id).length,
    submitted_at: time(review.at),
    html_url: `${state.url}/${state.ref}/pulls/${review.issue}#issuecomment-${review.id}`,
    pull_request_url: `${state.url}/${state.ref}/pulls/${review.issue}`,
  }
}

export function hookJson(hook: FakeHook): Json {
  return {
    id: hook.id,
    type: 'gitea',
    active: hook.active,
    events: hook.events,
    branch_filter: hook.branchFilter,
    authorization_header: hook.authorization,
    config: { url: hook.url, content_type: hook.contentType },
  }
}

export function statusJson(state: FakeState, status: FakeState['statuses'][number], id: number): Json {
  return {
    id,
    status: status.state,
    context: status.context,
    description: status.description,
    target_url: status.targetUrl,
    created_at: time(status.at),
    url: `${state.url}/api/v1/repos/${state.ref}/statuses/${status.sha}`,
  }
}

/** Sees what was pushed to the real repository behind it, if there is one. */
export function seePushes(state: FakeState): void {
  const { git } = state
  if (!git) return
  const { gone, moved } = git.movedSince(state.branches)
  if (gone.length === 0 && moved.length === 0) return
  for (const [sha, parents] of git.commits()) state.commits.set(sha, parents)
  for (const [branch, sha] of moved) state.branches.set(branch, sha)
  for (const branch of gone) state.branches.delete(branch)
  for (const issue of state.issues.values()) {
    const { pull } = issue
    if (!pull || issue.state !== 'open') continue
    const [base, head] = [state.branches.get(pull.base), state.branches.get(pull.head)]
    if (head === undefined || base === undefined) closeIssue(issue)
    // Its own look at the base: a head that is in it already was merged by a push.
    else if (historyOf(state, base).has(head)) endPull(state, issue, base)
    else pull.conflict = git.conflicts(base, head)
  }
}

export function closeIssue(issue: FakeIssue): void {
  const at = nowSeconds()
  Object.assign(issue, { state: 'closed', updatedAt: at, closedAt: at })
}

export function endPull(state: FakeState, issue: FakeIssue, sha: string): void {
  if (issue.pull) issue.pull.mergedSha = sha
  closeIssue(issue)
  for (const [, number] of issue.body.matchAll(/\b(?:closes|fixes|resolves) #(\d+)/gi)) {
    const named = state.issues.get(Number(number))
    if (named) closeIssue(named)
  }
}

/** Everything that a commit holds, itself included. */
export function historyOf(state: FakeState, sha: string | undefined): Set<string> {
  const seen = new Set<string>()
  const rest = sha === undefined ? [] : [sha]
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    if (seen.has(next)) continue
    seen.add(next)
    rest.push(...(state.commits.get(next) ?? []))
  }
  return seen
}
