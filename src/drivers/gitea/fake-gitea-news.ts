// The deliveries that a played Gitea owes its webhooks: told from what has changed since the last look. Its events are called
// otherwise when they are chosen than when they are sent, and CI is told of by no hook of 1.23.

import {
  commentJson,
  type FakeComment,
  type FakeIssue,
  type FakeState,
  issueJson,
  pullJson,
  repositoryJson,
  seePushes,
  userJson,
} from './fake-gitea-state.ts'
import type { PullIssue } from './fake-gitea-pulls.ts'

export interface FakeNews {
  /** What a hook must have chosen. */
  choice: string
  event: string
  payload: Record<string, unknown>
}

type Json = Record<string, unknown>

/** Gives, at each call, what happened since the one before. */
export function makeNews(state: FakeState): () => FakeNews[] {
  let before = snapshot(state)
  return () => {
    seePushes(state)
    const now = snapshot(state)
    const news = [
      ...pushes(state, before.branches),
      ...[...state.issues.values()].flatMap((issue) => issueNews(state, issue, before)),
      ...state.comments.flatMap((comment) => commentNews(state, comment, before.comments)),
      ...reviewNews(state, before.reviews.length),
    ]
    before = now
    return news
  }
}

function snapshot({ issues, branches, comments, reviews }: FakeState) {
  return structuredClone({ issues, branches, comments, reviews })
}
type Snapshot = ReturnType<typeof snapshot>

function pushes(state: FakeState, before: Map<string, string>): FakeNews[] {
  const none = '0'.repeat(40)
  return [...new Set([...before.keys(), ...state.branches.keys()])].flatMap((name): FakeNews[] => {
    const [old = none, after = none] = [before.get(name), state.branches.get(name)]
    if (old === after) return []
    if (after === none)
      return [tell(state, 'delete', { choice: 'delete', ref: name, ref_type: 'branch', pusher_type: 'user' })]
    return [tell(state, 'push', { choice: 'push', ref: `refs/heads/${name}`, before: old, after, commits: [] })]
  })
}

function issueNews(state: FakeState, issue: FakeIssue, before: Snapshot): FakeNews[] {
  const old = before.issues.get(issue.number)
  const kind = issue.pull ? 'pull_request' : 'issue'
  const event = issue.pull ? 'pull_request' : 'issues'
  const about = issue.pull ? { pull_request: pullJson(state, issue as PullIssue) } : { issue: issueJson(state, issue) }
  const say = (action: string, choice = event): FakeNews =>
    tell(state, event, { choice, action, number: issue.number, ...about }, issue.user)
  if (!old) return [say('opened'), ...(issue.labels.length > 0 ? [say('label_updated', `${kind}_label`)] : [])]
  const news: FakeNews[] = []
  if (issue.labels.join() !== old.labels.join()) news.push(say('label_updated', `${kind}_label`))
  if (issue.title !== old.title || issue.body !== old.body) news.push(say('edited'))
  if (issue.pull && isMoved(state, issue as PullIssue, before)) news.push(say('synchronized', 'pull_request_sync'))
  if (issue.state !== old.state) news.push(say(issue.state === 'open' ? 'reopened' : 'closed'))
  return news
}

function isMoved(state: FakeState, { pull, ...issue }: PullIssue, before: Snapshot): boolean {
  if (issue.state !== 'open') return false
  const now = state.branches.get(pull.head)
  return now !== undefined && before.branches.get(pull.head) !== now
}

/** One in the conversation; what stands at a line comes with its review. */
function commentNews(state: FakeState, comment: FakeComment, before: FakeComment[]): FakeNews[] {
  const old = before.find(({ id }) => id === comment.id)
  const issue = state.issues.get(comment.issue)
  if (!issue || comment.line || old?.body === comment.body) return []
  const is_pull = issue.pull !== null
  const about = { issue: issueJson(state, issue), comment: commentJson(state, comment), is_pull }
  const choice = is_pull ? 'pull_request_comment' : 'issue_comment'
  return [tell(state, 'issue_comment', { choice, action: old ? 'edited' : 'created', ...about }, comment.user)]
}

const REVIEWS = {
  APPROVED: ['pull_request_approved', 'pull_request_review_approved'],
  REQUEST_CHANGES: ['pull_request_rejected', 'pull_request_review_rejected'],
  COMMENT: ['pull_request_comment', 'pull_request_review_comment'],
  REQUEST_REVIEW: ['pull_request_review_request', 'pull_request_review_request'],
} as const

/** Of a review the payload holds its kind and its text alone. */
function reviewNews(state: FakeState, seen: number): FakeNews[] {
  return state.reviews.slice(seen).flatMap((review) => {
    const issue = state.issues.get(review.issue)
    if (!issue?.pull || review.state === 'PENDING') return []
    const [event, choice] = REVIEWS[review.state]
    const said = { action: 'reviewed', review: { type: event, content: review.body }, number: issue.number }
    return [tell(state, event, { choice, ...said, pull_request: pullJson(state, issue as PullIssue) }, review.user)]
  })
}

function tell(
  state: FakeState,
  event: string,
  { choice, ...payload }: Json & { choice: string },
  sender = 'orch-bot',
): FakeNews {
  return {
    choice,
    event,
    payload: { ...payload, repository: repositoryJson(state), sender: userJson(state, sender) },
  }
}
