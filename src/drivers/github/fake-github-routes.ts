// What the played GitHub does, operation by operation. Each answer holds what matters; the rest is filled in by its description.

import {
  addComment,
  addIssue,
  closeIssue,
  contains,
  endPull,
  type FakeComment,
  type FakeIssue,
  type FakePull,
  type FakeState,
  newCommit,
  push,
  putLabel,
  type Reply,
} from './fake-github-state.ts'
import {
  privateUser,
  showIssue,
  moved,
  linked,
  showComment,
  showReview,
  showLine,
  repo,
  showPull,
  showHook,
  showLabel,
  showLabelEvent,
} from './fake-github-shown.ts'

type Body = Record<string, string & string[] & boolean & Record<string, string>>

interface Asked {
  values: Record<string, string>
  query: URLSearchParams
  body: Body
  token: string
}

type Route = (state: FakeState, asked: Asked) => Reply

const R = '/repos/{owner}/{repo}'
const ok = (json: unknown): Reply => ({ status: 200, json })
const created = (json: unknown): Reply => ({ status: 201, json })
const NOT_FOUND: Reply = { status: 404, json: { message: 'Not Found' } }
const refused = (...messages: string[]): Reply => ({
  status: 422,
  json: {
    message: 'Validation Failed',
    documentation_url: 'x',
    errors: messages.map((message) => ({ resource: 'x', code: 'custom', message })),
  },
})
const plainly = (message: string): Reply => ({
  status: 422,
  json: { message, documentation_url: 'x', errors: [message] },
})

export const routes: Record<string, Route> = {
  'GET /user': (state, { token }) => ok(privateUser(state, state.tokens.get(token) ?? '')),
  'GET /app': () => ok({ slug: 'orch', permissions: { issues: 'write', contents: 'read' } }),
  [`GET ${R}/installation`]: () => ok({ id: 77 }),
  'POST /app/installations/{installation_id}/access_tokens': (state) => {
    const token = `ghs_fake_${(state.installationTokens += 1)}`
    state.tokens.set(token, 'orch[bot]')
    return created({ token, expires_at: new Date(Date.now() + 3_600_000).toISOString() })
  },
  [`GET ${R}`]: (state) =>
    ok({
      ...repo(state),
      name: state.ref.split('/')[1],
      clone_url: `${state.web}/${state.ref}.git`,
      default_branch: 'main',
      allow_merge_commit: state.methods.has('merge'),
      allow_squash_merge: state.methods.has('squash'),
      allow_rebase_merge: state.methods.has('rebase'),
    }),
  [`GET ${R}/issues`]: listIssues,
  [`GET ${R}/issues/{issue_number}`]: (state, { values }) => {
    const number = Number(values['issue_number'])
    const to = state.transferred.get(number)
    const wire = state.issues.get(number)
    if (to !== undefined)
      return ok({ ...showIssue(state, moved(number)), url: `https://api.github.com/repos/${to}/issues/5` })
    if (state.deleted.has(number)) return { status: 410, json: { message: 'This issue was deleted' } }
    return wire ? ok(showIssue(state, wire)) : NOT_FOUND
  },
  [`PATCH ${R}/issues/{issue_number}`]: (state, { values, body }) =>
    withIssue(state, values, (issue) => {
      if (body['state'] === 'closed') closeIssue(state, issue, body['state_reason'] ?? 'completed')
      return ok(showIssue(state, issue))
    }),
  [`GET ${R}/issues/{issue_number}/comments`]: (state, { values, query }) =>
    withIssue(state, values, ({ comments }) => {
      const since = Date.parse(query.get('since') ?? '1970-01-01')
      return ok(comments.filter(({ updated_at: at }) => Date.parse(at) >= since).map((one) => showComment(state, one)))
    }),
  [`POST ${R}/issues/{issue_number}/comments`]: (state, { values, body, token }) =>
    withIssue(state, values, (issue) => {
      const made = addComment(state, who(state, token), body['body'] ?? '')
      issue.comments.push(made)
      issue.updated_at = made.updated_at
      return created(showComment(state, made))
    }),
  [`PATCH ${R}/issues/comments/{comment_id}`]: (state, { values, body, token }) => {
    const found = allComments(state).find(({ id }) => id === Number(values['comment_id']))
    if (!found || found.user !== who(state, token)) return plainly('not yours')
    Object.assign(found, { body: body['body'], updated_at: state.now() })
    return ok(showComment(state, found))
  },
  [`DELETE ${R}/issues/comments/{comment_id}`]: (state, { values, token }) => {
    const id = Number(values['comment_id'])
    const issue = [...state.issues.values()].find(({ comments }) => comments.some((one) => one.id === id))
    const found = issue?.comments.find((one) => one.id === id)
    if (!issue || found?.user !== who(state, token)) return NOT_FOUND
    issue.comments = issue.comments.filter((one) => one !== found)
    return { status: 204 }
  },
  [`POST ${R}/issues/comments/{comment_id}/reactions`]: react,
  [`POST ${R}/pulls/comments/{comment_id}/reactions`]: react,
  [`POST ${R}/issues/{issue_number}/labels`]: (state, { values, body, token }) =>
    withIssue(state, values, (issue) => {
      // GitHub makes what it does not know.
      for (const label of body['labels'] ?? []) {
        if (!state.labels.includes(label)) state.labels.push(label)
        putLabel(state, issue, { label, actor: who(state, token), on: true })
      }
      return ok(issue.labels.map(showLabel))
    }),
  [`DELETE ${R}/issues/{issue_number}/labels/{name}`]: (state, { values, token }) =>
    withIssue(state, values, (issue) => {
      if (!issue.labels.includes(values['name'] ?? '')) return NOT_FOUND
      putLabel(state, issue, { label: values['name'] ?? '', actor: who(state, token), on: false })
      return ok(issue.labels.map(showLabel))
    }),
  [`GET ${R}/issues/{issue_number}/events`]: (state, { values }) =>
    withIssue(state, values, ({ labelEvents }) => ok(labelEvents.map((one) => showLabelEvent(state, one)))),
  [`GET ${R}/issues/{issue_number}/dependencies/blocked_by`]: (state, { values }) =>
    withIssue(state, values, ({ blockedBy }) => ok(linked(state, blockedBy))),
  [`GET ${R}/issues/{issue_number}/sub_issues`]: (state, { values }) =>
    withIssue(state, values, ({ parts }) => ok(linked(state, parts))),
  [`GET ${R}/labels`]: (state) => ok(state.labels.map(showLabel)),
  [`POST ${R}/labels`]: (state, { body }) => {
    const name = body['name'] ?? ''
    if (state.labels.some((label) => label.toLowerCase() === name.toLowerCase())) return refused('already_exists')
    state.labels.push(name)
    return created(showLabel(name))
  },
  [`GET ${R}/collaborators/{username}/permission`]: (state, { values }) => {
    const user = state.users.find(({ login }) => login === values['username'])
    return user ? ok({ permission: user.permission, role_name: user.permission }) : NOT_FOUND
  },
  [`GET ${R}/pulls`]: (state, { query }) => {
    const [owner, branch] = (query.get('head') ?? '').split(/:(.*)/s)
    const pulls = [...state.issues.values()].filter(({ pull }) => {
      const from = pull?.head.repo.split('/')[0]
      return pull && from === owner && pull.head.ref === branch && pull.base === query.get('base')
    })
    return ok(pulls.toReversed().map((issue) => showPull(state, issue)))
  },
  [`POST ${R}/pulls`]: openPull,
  [`GET ${R}/pulls/{pull_number}`]: (state, { values }) =>
    withPull(state, values, (issue) => ok(showPull(state, issue))),
  [`PATCH ${R}/pulls/{pull_number}`]: (state, { values, body }) =>
    withPull(state, values, (issue, pull) => {
      if (body['state'] === 'open' && !state.branches.has(pull.head.ref))
        return refused('state cannot be changed. The branch was deleted.')
      if (body['state'] !== undefined && pull.mergedSha === null) issue.state = body['state'] as 'open'
      if (body['title'] !== undefined) issue.title = body['title']
      if (body['body'] !== undefined) issue.body = body['body']
      issue.updated_at = state.now()
      return ok(showPull(state, issue))
    }),
  [`PUT ${R}/pulls/{pull_number}/merge`]: mergePull,
  [`GET ${R}/pulls/{pull_number}/reviews`]: (state, { values }) =>
    withPull(state, values, (_issue, { reviews }) => ok(reviews.map((review) => showReview(state, review)))),
  [`POST ${R}/pulls/{pull_number}/reviews`]: (state, { values, body, token }) =>
    withPull(state, values, (issue, pull) => {
      const by = who(state, token)
      if (body['event'] !== 'COMMENT' && issue.user === by) return plainly('Can not approve your own pull request')
      if (!contains(state, pull.head.sha, body['commit_id'] ?? ''))
        return plainly('Commit is not part of the pull request')
      const made = {
        ...addComment(state, by, body['body'] ?? ''),
        state: 'COMMENTED',
        commit_id: body['commit_id'] ?? '',
      }
      pull.reviews.push(made)
      return ok(showReview(state, made))
    }),
  [`PUT ${R}/pulls/{pull_number}/reviews/{review_id}`]: (state, { values, body }) =>
    withPull(state, values, (_issue, { reviews }) => {
      const found = reviews.find(({ id }) => id === Number(values['review_id']))
      if (!found) return plainly('no such review')
      found.body = body['body'] ?? ''
      return ok(showReview(state, found))
    }),
  [`GET ${R}/pulls/{pull_number}/comments`]: (state, { values }) =>
    withPull(state, values, (_issue, { lines }) => ok(lines.map((line) => showLine(state, line)))),
  [`POST ${R}/pulls/{pull_number}/comments/{comment_id}/replies`]: (state, { values, body, token }) =>
    withPull(state, values, (_issue, { lines }) => {
      const root = lines.find(({ id }) => id === Number(values['comment_id']))
      if (!root || root.in_reply_to_id !== undefined) return NOT_FOUND
      const { path, line, diff_hunk } = root
      const made = {
        ...addComment(state, who(state, token), body['body'] ?? ''),
        path,
        line,
        diff_hunk,
        in_reply_to_id: root.id,
      }
      lines.push(made)
      return created(showLine(state, made))
    }),
  [`POST ${R}/pulls/{pull_number}/requested_reviewers`]: (state, { values, body }) =>
    withPull(state, values, (issue, pull) => {
      const strange = (body['reviewers'] ?? []).find((login) => !state.users.some((user) => user.login === login))
      if (strange !== undefined) return plainly('Reviews may only be requested from collaborators.')
      pull.reviewers.push(...(body['reviewers'] ?? []))
      return created(showPull(state, issue))
    }),
  [`GET ${R}/commits/{ref}/check-runs`]: (state, { values }) => {
    const runs = state.checkRuns.filter(({ sha }) => sha === values['ref'])
    return ok({
      total_count: runs.length,
      check_runs: runs.map(({ sha, app, suite, text, ...run }) => ({
        ...run,
        head_sha: sha,
        html_url: `${state.web}/${state.ref}/runs/${run.id}`,
        app: { slug: app },
        check_suite: { id: suite },
        output: { title: null, summary: null, text: text || null },
      })),
    })
  },
  [`GET ${R}/commits/{ref}/status`]: (state, { values }) =>
    ok({
      sha: values['ref'],
      statuses: state.statuses.filter(({ sha }) => sha === values['ref']).map(({ sha: _s, ...one }) => one),
      repository: repo(state),
    }),
  [`GET ${R}/actions/runs`]: (state, { query }) => {
    const runs = state.workflowRuns.filter(({ sha }) => sha === query.get('head_sha'))
    return ok({
      total_count: runs.length,
      workflow_runs: runs.map(({ sha, suite, ...run }) => ({ ...run, head_sha: sha, check_suite_id: suite })),
    })
  },
  [`GET ${R}/actions/jobs/{job_id}/logs`]: (state, { values }) =>
    state.logs.has(Number(values['job_id']))
      ? { status: 302, headers: { location: values['job_id'] ?? '' } }
      : NOT_FOUND,
  [`GET ${R}/rules/branches/{branch}`]: (state) =>
    ok(
      state.queue === 'rules'
        ? [{ type: 'merge_queue', ruleset_id: 1, ruleset_source: state.ref, ruleset_source_type: 'Repository' }]
        : [],
    ),
  [`GET ${R}/compare/{basehead}`]: (state, { values }) => {
    const [from = '', to = ''] = (values['basehead'] ?? '').split('...')
    if (!state.commits.has(from) || !state.commits.has(to)) return NOT_FOUND
    const status =
      from === to
        ? 'identical'
        : contains(state, from, to)
          ? 'behind'
          : contains(state, to, from)
            ? 'ahead'
            : 'diverged'
    return ok({ status })
  },
  [`GET ${R}/hooks`]: (state) => ok(state.hooks.map(showHook)),
  [`POST ${R}/hooks`]: (state, { body }) => {
    const { url = '', content_type = 'form', secret = null } = body['config'] ?? {}
    const events = [...(body['events'] ?? [])]
    const made = { id: state.id(), active: body['active'] ?? true, events, url, content_type, secret }
    state.hooks.push(made)
    return created(showHook(made))
  },
  [`PATCH ${R}/hooks/{hook_id}`]: (state, { values, body }) => {
    const found = state.hooks.find(({ id }) => id === Number(values['hook_id']))
    if (!found) return NOT_FOUND
    if (body['active'] !== undefined) found.active = body['active']
    if (body['events'] !== undefined) found.events = [...body['events']]
    Object.assign(found, body['config'])
    return ok(showHook(found))
  },
}

const who = (state: FakeState, token: string): string => state.tokens.get(token) ?? ''

function withIssue(state: FakeState, values: Record<string, string>, then: (issue: FakeIssue) => Reply): Reply {
  const found = state.issues.get(Number(values['issue_number']))
  return found ? then(found) : NOT_FOUND
}

function withPull(
  state: FakeState,
  values: Record<string, string>,
  then: (issue: FakeIssue, pull: FakePull) => Reply,
): Reply {
  const found = state.issues.get(Number(values['pull_number']))
  return found?.pull ? then(found, found.pull) : NOT_FOUND
}

function allComments(state: FakeState): FakeComment[] {
  return [...state.issues.values()].flatMap(({ comments, pull }) => [...comments, ...(pull?.lines ?? [])])
}

function listIssues(state: FakeState, { query }: Asked): Reply {
  const since = Date.parse(query.get('since') ?? '1970-01-01')
  const by = query.get('sort') === 'updated' ? 'updated_at' : 'created_at'
  const found = [...state.issues.values()]
    .filter((issue) => query.get('state') === 'all' || issue.state === 'open')
    .filter(({ updated_at: at }) => Date.parse(at) >= since)
    .toSorted((a, b) => Date.parse(a[by]) - Date.parse(b[by]))
  if (query.get('direction') !== 'asc') found.reverse()
  return ok(found.map((issue) => showIssue(state, issue)))
}

function react(state: FakeState, { values, body, token }: Asked): Reply {
  const found = allComments(state).find(({ id }) => id === Number(values['comment_id']))
  if (!found) return plainly('no such comment')
  const signs = state.reactions.get(String(found.id)) ?? new Set()
  state.reactions.set(String(found.id), signs)
  const sign = `${who(state, token)} ${body['content']}`
  const status = signs.has(sign) ? 200 : 201
  signs.add(sign)
  return { status, json: { content: body['content'] } }
}

function openPull(state: FakeState, { body, token }: Asked): Reply {
  const { head = '', base = '', title = '' } = body
  const sha = state.branches.get(head)
  if (sha === undefined) return refused('head is invalid')
  if (contains(state, state.branches.get(base) ?? '', sha)) return refused(`No commits between ${base} and ${head}`)
  const twin = [...state.issues.values()].some(
    ({ pull, state: at }) =>
      pull?.head.ref === head && pull.head.repo === state.ref && pull.base === base && at === 'open',
  )
  if (twin) return refused(`A pull request already exists for acme:${head}.`)
  if (body['draft'] && !state.hasDrafts) return refused('Draft pull requests are not supported in this repository.')
  const issue = addPull(state, {
    user: who(state, token),
    title,
    body: body['body'] ?? '',
    base,
    head: { ref: head, repo: state.ref, sha },
  })
  if (issue.pull) issue.pull.draft = body['draft'] ?? false
  return created(showPull(state, issue))
}

export function addPull(
  state: FakeState,
  {
    user,
    title,
    body,
    base,
    head,
  }: { user: string; title: string; body: string; base: string; head: FakePull['head'] },
): FakeIssue {
  const rest = { draft: false, mergedSha: null, reviewers: [], reviews: [], lines: [], conflicts: false, queued: false }
  return addIssue(state, { user, title, body, pull: { head, base, ...rest, resolved: new Set() } })
}

function mergePull(state: FakeState, { values, body }: Asked): Reply {
  return withPull(state, values, (issue, pull) => {
    const no = (status: number, message: string): Reply => ({ status, json: { message, documentation_url: 'x' } })
    if (issue.state === 'closed' || pull.conflicts || pull.draft) return no(405, 'Pull Request is not mergeable')
    if (body['sha'] !== pull.head.sha) return no(409, 'Head branch was modified. Review and try the merge again.')
    if (state.queue !== 'none') return no(405, 'Changes must be made through the merge queue')
    if (state.needsReview) return no(405, 'At least 1 approving review is required by reviewers with write access.')
    if (!state.methods.has(body['merge_method'] ?? 'merge'))
      return no(405, 'Merge commits are not allowed on this repository.')
    const sha = mergeSha(state, pull, body)
    if (sha === null) return no(405, 'Pull Request is not mergeable')
    endPull(state, issue, sha)
    push(state, pull.base, sha)
    return ok({ merged: true, sha, message: 'Pull Request successfully merged' })
  })
}

function mergeSha(state: FakeState, pull: FakePull, body: Body): string | null {
  const { merge_method = 'merge', commit_title: title = 'Merge', commit_message: message = '' } = body
  const main = state.branches.get(pull.base) ?? ''
  if (!state.git) return newCommit(state, merge_method === 'merge' ? [main, pull.head.sha] : [main])
  const method = merge_method as 'merge'
  const sha = state.git.merge({ base: pull.base, head: pull.head.sha, method, title, message })
  for (const [commit, parents] of state.git.commits()) state.commits.set(commit, parents)
  return sha
}

/** Of GraphQL only what the driver says, word by word. */
export function graphql(
  state: FakeState,
  { query, variables }: { query: string; variables: Record<string, never> },
): Reply {
  const byNode = [...state.issues.values()].find((issue) => `PR_${issue.number}` === variables['id'])
  const issue = state.issues.get(variables['number'] ?? 0) ?? byNode
  const pull = issue?.pull
  const data = (value: unknown): Reply => ok({ data: value })
  if (/\bviewer\b/.test(query)) return data({ viewer: { login: 'github-actions[bot]' } })
  if (!issue || !pull)
    return ok({ data: null, errors: [{ type: 'NOT_FOUND', message: 'Could not resolve to a PullRequest' }] })
  if (query.includes('reviewThreads')) {
    const roots = pull.lines.filter(({ in_reply_to_id: root }) => root === undefined)
    const nodes = roots.map(({ id }) => ({
      isResolved: pull.resolved.has(id),
      comments: { nodes: [{ databaseId: id }] },
    }))
    const pageInfo = { hasNextPage: false, endCursor: null }
    return data({ repository: { pullRequest: { reviewThreads: { pageInfo, nodes } } } })
  }
  if (query.includes('isMergeQueueEnabled')) {
    const entry = { id: `PR_${issue.number}`, isInMergeQueue: pull.queued, isMergeQueueEnabled: state.queue !== 'none' }
    return data({ repository: { pullRequest: entry } })
  }
  if (query.includes('enqueuePullRequest')) {
    if (variables['head'] !== pull.head.sha)
      return ok({ data: null, errors: [{ type: 'UNPROCESSABLE', message: 'Head has moved' }] })
    pull.queued = true
    return data({ enqueuePullRequest: { mergeQueueEntry: { id: 'MQE_1' } } })
  }
  const ready = query.includes('markPullRequestReadyForReview')
  if (ready || query.includes('convertPullRequestToDraft')) {
    if (!state.hasDrafts) return ok({ data: null, errors: [{ type: 'UNPROCESSABLE', message: 'No drafts here' }] })
    pull.draft = !ready
    return data({
      [ready ? 'markPullRequestReadyForReview' : 'convertPullRequestToDraft']: { pullRequest: { isDraft: pull.draft } },
    })
  }
  throw new Error(`nobody expected this of GraphQL: ${query}`)
}
