// What the played Gitea answers about pull requests, reviews, merges, statuses and Actions. Its statuses are those seen on
// a real server: a duplicate 409, one's own approval 422, what can't be merged (yet) 405, what was merged 404.

import { makeIssue, editIssue } from './fake-gitea-issues.ts'
import { type Answer, type Asked, no, type Routes, textOf } from './fake-gitea-routes.ts'
import {
  type FakeIssue,
  type FakePull,
  type FakeReview,
  type FakeState,
  endPull,
  historyOf,
  isDraft,
  lineCommentJson,
  makeSha,
  nextId,
  nowSeconds,
  pullJson,
  reviewJson,
  statusJson,
} from './fake-gitea-state.ts'

const REPO = '/repos/{owner}/{repo}'
export type PullIssue = FakeIssue & { pull: FakePull }

export const pullRoutes: Routes = {
  [`GET ${REPO}/pulls`]: ({ state, query }) => {
    const wanted = query.get('state') ?? 'open'
    const list = pullsOf(state).filter((one) => wanted === 'all' || one.state === wanted)
    return { status: 200, list: list.toSorted((a, b) => b.number - a.number).map((one) => pullJson(state, one)) }
  },
  [`POST ${REPO}/pulls`]: createPull,
  [`GET ${REPO}/pulls/{index}`]: (asked) =>
    withPull(asked, (pull) => ({ status: 200, json: pullJson(asked.state, pull) })),
  // The oldest, open or not.
  [`GET ${REPO}/pulls/{base}/{head}`]: ({ state, values }) => {
    const [, , base, head = ''] = values
    const found = pullsOf(state)
      .filter(({ pull }) => pull.base === base && pull.head === head && pull.headRepo === 1)
      .toSorted((a, b) => a.number - b.number)[0]
    return found ? { status: 200, json: pullJson(state, found) } : no(404, 'The target could not be found.')
  },
  [`PATCH ${REPO}/pulls/{index}`]: (asked) =>
    withPull(asked, (issue) => {
      if (asked.body['state'] !== undefined && issue.pull.mergedSha !== null)
        return no(412, 'cannot change state of this pull request, it was already merged')
      editIssue(asked, issue)
      return { status: 201, json: pullJson(asked.state, issue) }
    }),
  [`GET ${REPO}/pulls/{index}/merge`]: (asked) =>
    withPull(asked, ({ pull }) => (pull.mergedSha === null ? no(404, 'not merged') : { status: 204 })),
  [`POST ${REPO}/pulls/{index}/merge`]: (asked) => withPull(asked, (issue) => mergePull(asked, issue)),
  [`GET ${REPO}/compare/{basehead}`]: ({ state, values }) => {
    const [base = '', head = ''] = (values[2] ?? '').split('...')
    const [from, to] = [state.branches.get(base), state.branches.get(head)]
    if (from === undefined || to === undefined) return no(404, 'The target could not be found.')
    const held = historyOf(state, from)
    return { status: 200, json: { total_commits: [...historyOf(state, to)].filter((sha) => !held.has(sha)).length } }
  },
  [`POST ${REPO}/branch_protections`]: ({ state, body }) => {
    state.approvalsNeeded = Number(body['required_approvals'] ?? 0)
    return { status: 201, json: { branch_name: 'main', required_approvals: state.approvalsNeeded } }
  },
  ...reviewRoutes(),
  ...statusRoutes(),
}

function pullsOf(state: FakeState): PullIssue[] {
  return [...state.issues.values()].filter((issue): issue is PullIssue => issue.pull !== null)
}

function withPull(asked: Asked, answer: (issue: PullIssue) => Answer): Answer {
  const found = pullsOf(asked.state).find(({ number }) => number === Number(asked.values[2]))
  return found ? answer(found) : no(404, 'The target could not be found.')
}

function createPull({ state, me, body }: Asked): Answer {
  const [head, base] = [textOf(body['head']), textOf(body['base'])]
  if (head === base) return no(422, 'Invalid PullRequest: There are no changes between the head and the base')
  const [owner, forkHead] = head.split(':')
  const branch = forkHead ?? owner ?? ''
  const branches = forkHead === undefined ? state.branches : state.forkBranches
  if (!branches.has(branch) || !state.branches.has(base)) return no(404, 'The target could not be found.')
  const headRepo = forkHead === undefined ? 1 : 2
  const existing = pullsOf(state).some(
    (one) =>
      one.state === 'open' && one.pull.head === branch && one.pull.base === base && one.pull.headRepo === headRepo,
  )
  if (existing) return no(409, `pull request already exists for these targets [head_branch: ${branch}]`)
  const none = { mergedSha: null, checking: false, conflict: false, requested: [] }
  const pull: FakePull = { head: branch, base, headRepo, ...none }
  const words = { title: textOf(body['title']), body: textOf(body['body']), user: me.login }
  return { status: 201, json: pullJson(state, makeIssue(state, { ...words, pull }) as PullIssue) }
}

function mergePull({ state, me, body }: Asked, issue: PullIssue): Answer {
  const { pull } = issue
  const style = textOf(body['Do'])
  if (pull.mergedSha !== null || issue.state === 'closed') return no(404, 'The target could not be found.')
  if (!['owner', 'admin', 'write'].includes(me.may)) return no(405, 'User not allowed to merge PR')
  if (style === 'manually-merged') {
    const sha = textOf(body['MergeCommitID'])
    if (!state.allow.manual) return no(405, 'manually-merged is not allowed an allowed merge style for this repository')
    if (!historyOf(state, state.branches.get(pull.base)).has(sha)) return { status: 409, json: {} }
    return settle(state, issue, sha)
  }
  if (isDraft(issue)) return no(405, 'Work in progress PRs cannot be merged')
  if (pull.checking || pull.conflict) return no(405, 'Please try again later')
  const approvals = state.reviews.filter((one) => one.issue === issue.number && one.state === 'APPROVED').length
  if (approvals < state.approvalsNeeded) return no(405, 'Does not have enough approvals')
  const allowed = { merge: state.allow.merge, squash: state.allow.squash, rebase: state.allow.rebase }
  if (!allowed[style as keyof typeof allowed])
    return no(405, `${style} is not allowed an allowed merge style for this repository`)
  const head = state.branches.get(pull.head) ?? ''
  if (body['head_commit_id'] && body['head_commit_id'] !== head) return no(409, 'head out of date')
  const sha = moveBase(state, { pull, head, body })
  if (sha === null) return no(409, 'conflict')
  if (body['delete_branch_after_merge'] === true) {
    state.branches.delete(pull.head)
    state.git?.deleteBranch(pull.head)
  }
  return settle(state, issue, sha)
}

function moveBase(state: FakeState, at: { pull: FakePull; head: string; body: Asked['body'] }): string | null {
  const { pull, head, body } = at
  const method = textOf(body['Do']) as 'merge' | 'squash' | 'rebase'
  const base = state.branches.get(pull.base) ?? ''
  const [title, message] = [textOf(body['MergeTitleField']), textOf(body['MergeMessageField'])]
  const sha = state.git
    ? state.git.merge({ base: pull.base, head, method, title: title || 'Merge', message })
    : makeSha()
  if (sha === null) return null
  state.commits.set(sha, method === 'merge' ? [base, head] : [base])
  for (const [commit, parents] of state.git?.commits() ?? []) state.commits.set(commit, parents)
  state.branches.set(pull.base, sha)
  return sha
}

function settle(state: FakeState, issue: PullIssue, sha: string): Answer {
  endPull(state, issue, sha)
  return { status: 200 }
}

function reviewRoutes(): Routes {
  const reviewsOf = (state: FakeState, number: number) => state.reviews.filter(({ issue }) => issue === number)
  return {
    [`GET ${REPO}/pulls/{index}/reviews`]: (asked) =>
      withPull(asked, ({ number }) => ({
        status: 200,
        list: reviewsOf(asked.state, number).map((one) => reviewJson(asked.state, one)),
      })),
    [`GET ${REPO}/pulls/{index}/reviews/{id}/comments`]: (asked) =>
      withPull(asked, () => ({
        status: 200,
        json: asked.state.comments
          .filter(({ line }) => line?.review === Number(asked.values[3]))
          .map((one) => lineCommentJson(asked.state, one)),
      })),
    [`POST ${REPO}/pulls/{index}/reviews`]: (asked) => withPull(asked, (issue) => addReview(asked, issue)),
    [`POST ${REPO}/pulls/{index}/requested_reviewers`]: (asked) =>
      withPull(asked, (issue) => askReviewers(asked, issue)),
  }
}

function addReview({ state, me, body }: Asked, issue: PullIssue): Answer {
  const verdict = textOf(body['event']) as FakeReview['state']
  const comments = (body['comments'] ?? []) as Record<string, unknown>[]
  const text = textOf(body['body'])
  if (issue.state === 'closed') return no(422, "can't submit review for a closed or merged PR")
  const ownVerdict = verdict === 'APPROVED' ? 'approve' : verdict === 'REQUEST_CHANGES' ? 'reject' : null
  if (ownVerdict && issue.user === me.login) return no(422, `${ownVerdict} your own pull is not allowed`)
  if (text.trim() === '' && verdict !== 'APPROVED' && !(verdict === 'COMMENT' && comments.length > 0))
    return no(422, `review event ${verdict} requires a body or a comment`)
  const sha = textOf(body['commit_id']) || (state.branches.get(issue.pull.head) ?? '')
  const made: FakeReview = {
    id: nextId(state),
    issue: issue.number,
    user: me.login,
    body: text,
    state: verdict,
    sha,
    dismissed: false,
    at: nowSeconds(),
  }
  // Whoever has spoken is asked no more.
  state.reviews = state.reviews.filter((one) => !(one.user === me.login && one.state === 'REQUEST_REVIEW'))
  issue.pull.requested = issue.pull.requested.filter((login) => login !== me.login)
  state.reviews.push(made)
  for (const comment of comments) {
    const old = Number(comment['old_position'] ?? 0)
    const line = old > 0 ? -old : Number(comment['new_position'] ?? 0)
    const at = nowSeconds()
    state.comments.push({
      id: nextId(state),
      issue: issue.number,
      user: me.login,
      body: textOf(comment['body']),
      createdAt: at,
      updatedAt: at,
      signs: [],
      line: { review: made.id, path: textOf(comment['path']), line, hunk: '', resolver: null },
    })
  }
  return { status: 200, json: reviewJson(state, made) }
}

function askReviewers({ state, body }: Asked, issue: PullIssue): Answer {
  const asked: FakeReview[] = []
  for (const name of (body['reviewers'] ?? []) as string[]) {
    const login = state.users.find((one) => one.login === name.toLowerCase())?.login
    if (login === undefined) return no(404, `User '${name}' not exist`)
    if (login === issue.user) return no(422, 'poster of pr can not be reviewer')
    if (issue.pull.requested.includes(login)) continue
    issue.pull.requested.push(login)
    const sha = state.branches.get(issue.pull.head) ?? ''
    const words = { body: '', state: 'REQUEST_REVIEW', dismissed: false } as const
    asked.push({ id: nextId(state), issue: issue.number, user: login, sha, at: nowSeconds(), ...words })
  }
  state.reviews.push(...asked)
  return { status: 201, json: asked.map((one) => reviewJson(state, one)) }
}

function statusRoutes(): Routes {
  return {
    [`POST ${REPO}/statuses/{sha}`]: ({ state, values, body }) => {
      const [, , sha = ''] = values
      const said = { context: textOf(body['context']), state: textOf(body['state']), at: nowSeconds() }
      const more = { description: textOf(body['description']), targetUrl: textOf(body['target_url']) }
      state.statuses.push({ sha, ...said, ...more })
      const made = state.statuses.at(-1) as FakeState['statuses'][number]
      return { status: 201, json: statusJson(state, made, state.statuses.length) }
    },
    [`GET ${REPO}/commits/{ref}/status`]: ({ state, values, query }) => {
      const newest = new Map(state.statuses.filter(({ sha }) => sha === values[2]).map((one) => [one.context, one]))
      const all = [...newest.values()].map((one, index) => statusJson(state, one, index + 1))
      const [page, limit] = [Number(query.get('page') ?? 1), Number(query.get('limit') ?? 30)]
      const statuses = all.length === 0 ? null : all.slice((page - 1) * limit, page * limit)
      return { status: 200, json: { sha: values[2], state: '', total_count: all.length, statuses } }
    },
    [`GET ${REPO}/actions/runs`]: ({ state, query }) => {
      if (!state.hasActionsApi) return no(404, 'Not Found')
      const runs = new Set(state.jobs.filter(({ sha }) => sha === query.get('head_sha')).map(({ run }) => run))
      return { status: 200, json: { total_count: runs.size, workflow_runs: [...runs].map((id) => ({ id })) } }
    },
    [`GET ${REPO}/actions/runs/{run}/jobs`]: ({ state, values }) => {
      const jobs = state.jobs.filter(({ run }) => run === Number(values[2]))
      const shown = jobs.map(({ id, page }) => ({ id, html_url: `${state.url}${page}`, status: 'completed' }))
      return { status: 200, json: { total_count: jobs.length, jobs: shown } }
    },
    [`GET ${REPO}/actions/jobs/{job_id}/logs`]: ({ state, values }) => {
      const job = state.jobs.find(({ id }) => id === Number(values[2]))
      return job ? { status: 200, text: job.log } : no(404, 'job not found')
    },
  }
}
