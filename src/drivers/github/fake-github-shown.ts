// How the played GitHub shows what it remembers; the rest of each object is filled in by its description.

import type { FakeComment, FakeIssue, FakePull, FakeState } from './fake-github-state.ts'

function showUser(state: FakeState, login: string) {
  return { login, type: state.users.find((user) => user.login === login)?.type ?? 'User' }
}

export function privateUser(state: FakeState, login: string) {
  return { ...showUser(state, login), user_view_type: 'private' }
}

export const showLabel = (name: string) => ({ name, color: 'ededed', description: '' })

export function showLabelEvent(state: FakeState, { actor, label, ...event }: FakeIssue['labelEvents'][number]) {
  return { ...event, actor: showUser(state, actor), label: { name: label, color: 'ededed' } }
}

export function showIssue(state: FakeState, issue: FakeIssue) {
  const { number, title, body, state: at, state_reason, created_at, updated_at, closed_at } = issue
  return {
    number,
    title,
    body,
    state: at,
    state_reason,
    created_at,
    updated_at,
    closed_at,
    labels: issue.labels.map(showLabel),
    assignees: [],
    user: showUser(state, issue.user),
    url: `https://api.github.com/repos/${state.ref}/issues/${number}`,
    html_url: `${state.web}/${state.ref}/issues/${number}`,
    ...(issue.pull ? { pull_request: {} } : {}),
    issue_dependencies_summary: {
      blocked_by: issue.blockedBy.length,
      blocking: 0,
      total_blocked_by: issue.blockedBy.length,
      total_blocking: 0,
    },
    sub_issues_summary: {
      total: issue.parts.length,
      completed: 0,
      percent_completed: 0,
    },
  }
}

export function moved(number: number): FakeIssue {
  const at = '2026-01-01T00:00:00Z'
  const none = { comments: [], blockedBy: [], parts: [], pull: null, labels: [], labelEvents: [] }
  const never = { state_reason: null, closed_at: null }
  return {
    ...none,
    ...never,
    number,
    title: 'Moved',
    body: '',
    state: 'open',
    user: 'olga',
    created_at: at,
    updated_at: at,
  }
}

/** An issue of another repository where the number is negative. */
export function linked(state: FakeState, numbers: number[]) {
  return numbers.map((number) => {
    const issue = state.issues.get(number)
    if (issue) return showIssue(state, issue)
    return { ...showIssue(state, moved(-number)), url: `https://api.github.com/repos/acme/other/issues/${-number}` }
  })
}

export function showComment(state: FakeState, { user, ...comment }: FakeComment) {
  return {
    ...comment,
    user: showUser(state, user),
    html_url: `${state.web}/${state.ref}/issues/1#issuecomment-${comment.id}`,
  }
}

export function showReview(
  state: FakeState,
  { user, created_at: submitted_at, updated_at: _u, ...review }: FakePull['reviews'][number],
) {
  return {
    ...review,
    submitted_at,
    user: showUser(state, user),
    html_url: `${state.web}/${state.ref}/pull/1#review-${review.id}`,
  }
}

export function showLine(state: FakeState, { user, ...line }: FakePull['lines'][number]) {
  return {
    ...line,
    user: showUser(state, user),
    html_url: `${state.web}/${state.ref}/pull/1#discussion_r${line.id}`,
  }
}

export function repo(state: FakeState) {
  const url = `${state.web}/${state.ref}`
  return { full_name: state.ref, html_url: url, clone_url: `${url}.git` }
}

export function showPull(state: FakeState, issue: FakeIssue) {
  const { number, title, body, created_at, updated_at, pull } = issue
  if (!pull) throw new Error(`${number} is no pull request`)
  const blocked = state.needsReview || state.queue === 'rules' || pull.draft
  return {
    number,
    title,
    body,
    state: issue.state,
    created_at,
    updated_at,
    node_id: `PR_${number}`,
    html_url: `${state.web}/${state.ref}/pull/${number}`,
    draft: pull.draft,
    merged: pull.mergedSha !== null,
    merged_at: pull.mergedSha === null ? null : updated_at,
    merge_commit_sha: pull.mergedSha,
    mergeable: issue.state === 'open' ? !pull.conflicts : null,
    mergeable_state: pull.conflicts ? 'dirty' : blocked ? 'blocked' : 'clean',
    user: showUser(state, issue.user),
    labels: issue.labels.map(showLabel),
    requested_reviewers: pull.reviewers.map((login) => showUser(state, login)),
    head: {
      ref: pull.head.ref,
      sha: pull.head.sha,
      repo: { full_name: pull.head.repo },
    },
    base: {
      ref: pull.base,
      sha: state.branches.get(pull.base) ?? '',
      repo: repo(state),
    },
  }
}

export function showHook({ id, active, events, url, content_type, secret }: FakeState['hooks'][number]) {
  return {
    id,
    active,
    events,
    config: { url, content_type, ...(secret === null ? {} : { secret: '********' }), insecure_ssl: '0' },
  }
}
