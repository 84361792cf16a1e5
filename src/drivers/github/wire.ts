// What GitHub sends, as far as it is used. Nothing passes unparsed: fields that are not named here are dropped, one that is
// missing is an error with its name. Fixed by https://docs.github.com/en/rest and its OpenAPI description.

import { z } from 'zod'
import { makeRead, sha, text, time } from '../answers.ts'
import type { ChangeReview, ChangeState, Issue, IssueComment, Person } from '../driver.ts'
import { parseBlockers } from '../blockers.ts'
import { isMarked, isSelf, unmarked } from '../marked.ts'

export const read = makeRead({ system: 'github', vendor: 'GitHub' })

/** Null: the account was deleted. */
export const account = z
  .object({ login: z.string().min(1), type: z.string().nullish() })
  .nullish()
  .transform((user): Person => ({ login: user?.login ?? 'ghost', isBot: user?.type === 'Bot' }))

const labels = z
  .array(z.union([z.string(), z.object({ name: z.string().nullish() }).transform(({ name }) => name ?? '')]))
  .transform((names) => names.filter((name) => name !== ''))

const summary = z.object({ total_blocked_by: z.number().nullish(), blocked_by: z.number().nullish() }).nullish()
const subIssues = z.object({ total: z.number() }).nullish()

export const issue = z.object({
  number: z.number().int().positive(),
  title: z.string(),
  body: text,
  state: z.enum(['open', 'closed']),
  state_reason: z.string().nullish(),
  labels,
  assignees: z.array(account).nullish(),
  user: account,
  html_url: z.string(),
  url: z.string(),
  created_at: time,
  updated_at: time,
  closed_at: time.nullish(),
  pull_request: z.object({}).nullish(),
  issue_dependencies_summary: summary,
  sub_issues_summary: subIssues,
})
export type WireIssue = z.infer<typeof issue>

/** `owner/name` of an issue's address in the API, lower case. */
export function repositoryOf(url: string): string | null {
  return /\/repos\/([^/]+\/[^/]+)\//.exec(url)?.[1]?.toLowerCase() ?? null
}

/** Whether GitHub keeps links that the issue itself does not name. */
export function hasLinks(wire: WireIssue): boolean {
  const { issue_dependencies_summary: links, sub_issues_summary: parts } = wire
  return (links?.total_blocked_by ?? links?.blocked_by ?? 0) > 0 || (parts?.total ?? 0) > 0
}

/** `linked`: numbers of issues that GitHub's own links say it waits for. */
export function toIssue(wire: WireIssue, ref: string, linked: readonly number[]): Issue {
  const named = parseBlockers(wire.body, { ref, self: wire.number })
  const closed = wire.state_reason === 'not_planned' || wire.state_reason === 'duplicate' ? 'cancelled' : 'completed'
  return {
    id: String(wire.number),
    number: wire.number,
    title: wire.title,
    body: wire.body,
    state: wire.state === 'open' ? 'open' : closed,
    column: null,
    labels: wire.labels,
    assignees: (wire.assignees ?? []).map(({ login }) => login),
    priority: null,
    author: wire.user,
    url: wire.html_url,
    createdAt: wire.created_at,
    updatedAt: wire.updated_at,
    closedAt: wire.state === 'open' ? null : (wire.closed_at ?? null),
    blockedBy: [...new Set([...linked, ...named])].toSorted((a, b) => a - b).map(String),
  }
}

export const linkedIssue = z.object({ number: z.number().int().positive(), url: z.string() })

export const comment = z.object({
  id: z.number().int().positive(),
  user: account,
  body: text,
  html_url: z.string(),
  created_at: time,
  updated_at: time,
})
export type WireComment = z.infer<typeof comment>

/** Without what is hidden in our own. `self`: whom Orch writes as. */
export function toComment(wire: WireComment, self: string): IssueComment {
  const isOwn = isSelf(wire.user, self) && isMarked(wire.body)
  return {
    id: String(wire.id),
    author: wire.user,
    isOwn,
    body: isOwn ? unmarked(wire.body) : wire.body,
    url: wire.html_url,
    createdAt: wire.created_at,
    updatedAt: wire.updated_at,
  }
}

const side = z.object({ ref: z.string(), sha, repo: z.object({ full_name: z.string() }).nullish() })

export const pull = z.object({
  number: z.number().int().positive(),
  node_id: z.string(),
  html_url: z.string(),
  state: z.enum(['open', 'closed']),
  title: z.string(),
  body: text,
  draft: z.boolean().nullish(),
  merged_at: z.string().nullish(),
  merged: z.boolean().nullish(),
  merge_commit_sha: sha.nullish(),
  mergeable: z.boolean().nullish(),
  mergeable_state: z.string().nullish(),
  user: account,
  labels,
  requested_reviewers: z.array(account).nullish(),
  requested_teams: z.array(z.object({ slug: z.string() })).nullish(),
  head: side,
  base: side,
  created_at: time,
  updated_at: time,
})
export type WirePull = z.infer<typeof pull>

export function stateOf(wire: WirePull): ChangeState['state'] {
  if (wire.merged === true || wire.merged_at) return 'merged'
  return wire.state
}

/** `queued`: in the merge queue, which REST does not say. */
export function toChange(wire: WirePull, queued = false): ChangeState {
  const state = stateOf(wire)
  return {
    number: wire.number,
    url: wire.html_url,
    state,
    draft: wire.draft ?? false,
    branch: wire.head.ref,
    base: wire.base.ref,
    head: wire.head.sha,
    // Of one that is open it is a trial merge that is in no branch.
    mergedSha: state === 'merged' ? (wire.merge_commit_sha ?? null) : null,
    mergeable: wire.mergeable ?? null,
    queued,
    labels: wire.labels,
    updatedAt: wire.updated_at,
  }
}

export const review = z.object({
  id: z.number().int().positive(),
  user: account,
  body: text,
  state: z.string(),
  commit_id: sha.nullish(),
  submitted_at: time.nullish(),
  html_url: z.string(),
})
export type WireReview = z.infer<typeof review>

const VERDICTS = { APPROVED: 'approve', CHANGES_REQUESTED: 'request_changes', COMMENTED: 'comment' } as const

/** Null for one that says nothing: not sent yet, or dismissed. */
export function toReview(wire: WireReview): ChangeReview | null {
  const verdict = VERDICTS[wire.state.toUpperCase() as keyof typeof VERDICTS]
  if (verdict === undefined) return null
  const at = wire.submitted_at ?? 0
  const { user: author, body, html_url: url } = wire
  return { id: String(wire.id), author, sha: wire.commit_id ?? null, verdict, body, at, url }
}

export const lineComment = z.object({
  ...comment.shape,
  path: z.string(),
  line: z.number().int().nullish(),
  original_line: z.number().int().nullish(),
  diff_hunk: text,
  in_reply_to_id: z.number().int().nullish(),
})
export type WireLineComment = z.infer<typeof lineComment>

export const checkRun = z.object({
  id: z.number().int().positive(),
  name: z.string(),
  status: z.string(),
  conclusion: z.string().nullish(),
  html_url: z.string().nullish(),
  details_url: z.string().nullish(),
  output: z.object({ title: text, summary: text, text }).nullish(),
  app: z.object({ slug: z.string().nullish() }).nullish(),
  check_suite: z.object({ id: z.number() }).nullish(),
})
export type WireCheckRun = z.infer<typeof checkRun>

export const status = z.object({
  context: z.string(),
  state: z.string(),
  description: text,
  target_url: z.string().nullish(),
})

export const workflowRun = z.object({
  id: z.number().int().positive(),
  name: z.string().nullish(),
  status: z.string().nullish(),
  conclusion: z.string().nullish(),
  html_url: z.string().nullish(),
  check_suite_id: z.number().nullish(),
})

export const label = z.object({ name: z.string() })
/** Of an issue or a pull request; `label` with those that are about one, as it was called then. */
export const issueEvent = z.object({
  id: z.number().int().positive(),
  event: z.string(),
  actor: account,
  created_at: time,
  label: label.nullish(),
})
export const permission = z.object({ permission: z.string() })
export const comparison = z.object({ status: z.enum(['ahead', 'behind', 'diverged', 'identical']) })
export const written = z.object({ html_url: z.string() })

export const repository = z.object({
  full_name: z.string(),
  name: z.string(),
  clone_url: z.string().nullish(),
  default_branch: z.string().nullish(),
  html_url: z.string(),
  allow_merge_commit: z.boolean().nullish(),
  allow_squash_merge: z.boolean().nullish(),
  allow_rebase_merge: z.boolean().nullish(),
})

export const branchRule = z.object({ type: z.string() })
export const mergeResult = z.object({ merged: z.boolean(), sha })

export const hook = z.object({
  id: z.number().int().positive(),
  active: z.boolean(),
  events: z.array(z.string()),
  config: z.object({ url: z.string().nullish(), content_type: z.string().nullish() }),
})

export const user = z.object({ login: z.string().min(1) })
export const app = z.object({ slug: z.string().min(1), permissions: z.record(z.string(), z.string()).nullish() })
export const installation = z.object({ id: z.number().int() })
export const installationToken = z.object({ token: z.string().min(1), expires_at: z.iso.datetime({ offset: true }) })

export const graphqlAnswer = z.object({
  data: z.unknown(),
  errors: z.array(z.object({ type: z.string().nullish(), message: z.string() })).nullish(),
})
