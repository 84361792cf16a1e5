// What Gitea and Forgejo send, as far as it is used. Nothing passes unparsed: fields that are not named here are dropped,
// one that is missing is an error with its name. Fixed by the servers' own description (/swagger.v1.json).

import { z } from 'zod'
import { makeRead, sha, text, time } from '../answers.ts'
import { parseBlockers } from '../blockers.ts'
import type { ChangeReview, ChangeState, Issue, IssueComment, Person } from '../driver.ts'
import { isMarked, isSelf, unmarked } from '../marked.ts'
import { isDraftTitle } from './titles.ts'

export const read = makeRead({ system: 'gitea', vendor: 'Gitea' })

/** Gitea's own sentence, as the end of ours. */
export function wordsOf(json: unknown): string {
  const parsed = z.object({ message: z.string().min(1) }).safeParse(json)
  return parsed.success ? `: ${parsed.data.message}` : ''
}

const id = z.number().int().positive()

/** The account that Actions act as; no other kind of bot is told from a person. */
const ACTIONS_ID = -2

/** Null: the account was deleted. */
export const account = z
  .object({ id: z.number().int(), login: z.string().min(1) })
  .nullish()
  .transform((user): Person => ({ login: user?.login ?? 'Ghost', isBot: user?.id === ACTIONS_ID }))

export const label = z.object({ id, name: z.string().min(1) })
export type WireLabel = z.infer<typeof label>
const labels = z
  .array(label)
  .nullish()
  .transform((list) => list ?? [])
const people = z
  .array(account)
  .nullish()
  .transform((list) => list ?? [])

export const issue = z.object({
  number: id,
  title: z.string(),
  body: text,
  state: z.enum(['open', 'closed']),
  labels,
  assignees: people,
  user: account,
  html_url: z.string(),
  created_at: time,
  updated_at: time,
  closed_at: time.nullish(),
  pull_request: z.object({}).nullish(),
  repository: z.object({ full_name: z.string() }).nullish(),
})
export type WireIssue = z.infer<typeof issue>

/** `linked`: numbers of issues of this repository that Gitea's own links say it depends on; its text may name others. */
export function toIssue(wire: WireIssue, ref: string, linked: readonly number[]): Issue {
  const blockedBy = [...linked, ...parseBlockers(wire.body, { ref, self: wire.number })]
  return {
    id: String(wire.number),
    number: wire.number,
    title: wire.title,
    body: wire.body,
    // Gitea keeps no reason.
    state: wire.state === 'open' ? 'open' : 'completed',
    column: null,
    labels: wire.labels.map(({ name }) => name),
    assignees: wire.assignees.map(({ login }) => login),
    priority: null,
    author: wire.user,
    url: wire.html_url,
    createdAt: wire.created_at,
    updatedAt: wire.updated_at,
    closedAt: wire.state === 'open' ? null : (wire.closed_at ?? null),
    blockedBy: [...new Set(blockedBy)].toSorted((a, b) => a - b).map(String),
  }
}

/** What an issue depends on; its repository may be another. */
export const linkedIssue = z.object({
  id,
  number: id,
  pull_request: z.object({}).nullish(),
  repository: z.object({ full_name: z.string() }).nullish(),
})

/** What happened at an issue; `label` as it is called now, null for one that was deleted. */
export const timelineEvent = z.object({
  id,
  type: z.string(),
  user: account,
  /** Of a label: `1` where it was set, empty where it was taken off. */
  body: text,
  created_at: time,
  label: label.nullish(),
})

export const comment = z.object({
  id,
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

const side = z.object({ ref: z.string(), sha: z.string(), repo_id: z.number().int() })

export const pull = z.object({
  number: id,
  html_url: z.string(),
  state: z.enum(['open', 'closed']),
  title: z.string(),
  body: text,
  draft: z.boolean().nullish(),
  merged: z.boolean(),
  merge_commit_sha: z.string().nullish(),
  mergeable: z.boolean(),
  user: account,
  labels,
  requested_reviewers: people,
  head: side.extend({ sha }),
  base: side,
  created_at: time,
  updated_at: time,
})
export type WirePull = z.infer<typeof pull>

export function stateOf(wire: WirePull): ChangeState['state'] {
  return wire.merged ? 'merged' : wire.state
}

export function isDraft(wire: WirePull): boolean {
  // Older servers don't say it.
  return wire.draft ?? isDraftTitle(wire.title)
}

export function toChange(wire: WirePull): ChangeState {
  const state = stateOf(wire)
  return {
    number: wire.number,
    url: wire.html_url,
    state,
    draft: isDraft(wire),
    branch: wire.head.ref,
    base: wire.base.ref,
    head: wire.head.sha,
    mergedSha: state === 'merged' ? (sha.safeParse(wire.merge_commit_sha).data ?? null) : null,
    // "No" is also said of a draft and of one that has not been looked at yet.
    mergeable: wire.mergeable || null,
    // A change that waits for its checks to be merged is in no queue: nobody else's is tested with it.
    queued: false,
    labels: wire.labels.map(({ name }) => name),
    updatedAt: wire.updated_at,
  }
}

export const review = z.object({
  id,
  user: account,
  body: text,
  state: z.string(),
  commit_id: z.string().nullish(),
  dismissed: z.boolean().nullish(),
  comments_count: z.number().int().nullish(),
  submitted_at: time,
  html_url: z.string(),
})
export type WireReview = z.infer<typeof review>

const VERDICTS = { APPROVED: 'approve', REQUEST_CHANGES: 'request_changes', COMMENT: 'comment' } as const

/** Null for one that says nothing: asked for, not sent yet, or dismissed. */
export function toReview(wire: WireReview): ChangeReview | null {
  const verdict = VERDICTS[wire.state as keyof typeof VERDICTS]
  if (verdict === undefined || wire.dismissed === true) return null
  const { user: author, body, html_url: url, submitted_at: at } = wire
  return { id: String(wire.id), author, sha: sha.safeParse(wire.commit_id).data ?? null, verdict, body, at, url }
}

export const lineComment = z.object({
  ...comment.shape,
  path: z.string(),
  /** Of the new file; 0 or absent for a line that only the old one has. */
  position: z.number().int().nullish(),
  original_position: z.number().int().nullish(),
  diff_hunk: text,
  resolver: z.object({ id: z.number().int() }).nullish(),
})
export type WireLineComment = z.infer<typeof lineComment>

export const status = z.object({
  context: z.string(),
  status: z.string(),
  description: text,
  target_url: z.string().nullish(),
})
export type WireStatus = z.infer<typeof status>

export const workflowRun = z.object({ id })
export const workflowJob = z.object({ id, html_url: z.string() })

export const permission = z.object({ permission: z.string() })
export const written = z.object({ html_url: z.string() })
export const comparison = z.object({ total_commits: z.number().int() })

export const repository = z.object({
  full_name: z.string(),
  name: z.string(),
  clone_url: z.string().nullish(),
  default_branch: z.string().nullish(),
  html_url: z.string(),
  allow_merge_commits: z.boolean().nullish(),
  allow_squash_merge: z.boolean().nullish(),
  allow_rebase: z.boolean().nullish(),
})

export const hook = z.object({
  id,
  active: z.boolean(),
  events: z
    .array(z.string())
    .nullish()
    .transform((list) => list ?? []),
  branch_filter: z.string().nullish(),
  authorization_header: z.string().nullish(),
  config: z.object({ url: z.string().nullish(), content_type: z.string().nullish() }),
})

export const user = z.object({ login: z.string().min(1) })
