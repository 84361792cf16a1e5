// What the played Gitea answers about its repository, issues, labels, comments and webhooks.

import { type Answer, type Asked, no, pageOf, type Routes, textOf } from './fake-gitea-routes.ts'
import {
  commentJson,
  type FakeHook,
  type FakeIssue,
  type FakeState,
  hookJson,
  issueJson,
  labelEventJson,
  labelJson,
  labelsOf,
  nextId,
  closeIssue,
  nowSeconds,
  putLabels,
  repositoryJson,
  userJson,
} from './fake-gitea-state.ts'

const REPO = '/repos/{owner}/{repo}'

export const issueRoutes: Routes = {
  'GET /user': ({ state, me }) => ({ status: 200, json: userJson(state, me.login) }),
  [`GET ${REPO}`]: ({ state }) => ({ status: 200, json: repositoryJson(state) }),
  [`PATCH ${REPO}`]: ({ state, body }) => {
    const flags = { merge: 'allow_merge_commits', squash: 'allow_squash_merge', rebase: 'allow_rebase' } as const
    for (const [name, flag] of Object.entries(flags))
      if (typeof body[flag] === 'boolean') state.allow[name as keyof typeof flags] = body[flag]
    return { status: 200, json: repositoryJson(state) }
  },
  [`GET ${REPO}/collaborators/{collaborator}/permission`]: ({ state, values }) => {
    if (!state.hasPermissionToAsk)
      return no(403, 'Only admins can query all permissions, repo admins can query all repo permissions')
    const user = state.users.find(({ login }) => login === values[2])
    if (!user) return no(404, 'user does not exist')
    return { status: 200, json: { permission: user.may, role_name: user.may, user: userJson(state, user.login) } }
  },
  [`GET ${REPO}/issues`]: listIssues,
  [`POST ${REPO}/issues`]: createIssue,
  [`GET ${REPO}/issues/{index}`]: (asked) => withIssue(asked, (issue) => issueJson(asked.state, issue)),
  [`PATCH ${REPO}/issues/{index}`]: (asked) => withIssue(asked, (issue) => editIssue(asked, issue), 201),
  [`DELETE ${REPO}/issues/{index}`]: ({ state, values }) => {
    state.issues.delete(Number(values[2]))
    return { status: 204 }
  },
  [`GET ${REPO}/issues/{index}/dependencies`]: ({ state, values, query }) => {
    if (!state.dependencies) return no(404, 'The target could not be found.')
    const list = (state.issues.get(Number(values[2]))?.blockedBy ?? []).map((number) => state.issues.get(number))
    const page = Number(query.get('page') ?? 1)
    // No word of how many there are.
    return { status: 200, json: page === 1 ? list.flatMap((one) => (one ? [issueJson(state, one)] : [])) : [] }
  },
  ...labelRoutes(),
  ...commentRoutes(),
  ...hookRoutes(),
}

function withIssue(asked: Asked, show: (issue: FakeIssue) => unknown, status = 200): Answer {
  const issue = asked.state.issues.get(Number(asked.values[2]))
  return issue ? { status, json: show(issue) } : no(404, 'The target could not be found.')
}

/** Newest first, in whole seconds, as Gitea does. */
function listIssues({ state, query }: Asked): Answer {
  const since = Date.parse(query.get('since') ?? '1970-01-01')
  const wanted = query.get('state') ?? 'open'
  const list = [...state.issues.values()]
    .filter((issue) => wanted === 'all' || issue.state === wanted)
    .filter((issue) => query.get('type') !== 'issues' || issue.pull === null)
    .filter(({ updatedAt }) => updatedAt >= since)
    .toSorted((a, b) => b.number - a.number)
  return { status: 200, list: list.map((issue) => issueJson(state, issue)) }
}

export function makeIssue(state: FakeState, issue: Pick<FakeIssue, 'title' | 'body' | 'user' | 'pull'>): FakeIssue {
  const number = Math.max(0, ...state.issues.keys()) + 1
  const at = nowSeconds()
  const made: FakeIssue = {
    ...issue,
    number,
    state: 'open',
    labels: [],
    labelEvents: [],
    createdAt: at,
    updatedAt: at,
    closedAt: null,
    blockedBy: [],
  }
  state.issues.set(number, made)
  return made
}

function createIssue({ state, me, body }: Asked): Answer {
  const made = makeIssue(state, {
    title: textOf(body['title']),
    body: textOf(body['body']),
    user: me.login,
    pull: null,
  })
  made.labels = (body['labels'] as number[] | undefined) ?? []
  return { status: 201, json: issueJson(state, made) }
}

export function editIssue({ state, body }: Pick<Asked, 'state' | 'body'>, issue: FakeIssue): unknown {
  if (typeof body['title'] === 'string' && body['title'] !== '') issue.title = body['title']
  if (typeof body['body'] === 'string') issue.body = body['body']
  issue.updatedAt = nowSeconds()
  if (body['state'] === 'open') Object.assign(issue, { state: 'open', closedAt: null })
  else if (body['state'] === 'closed' && issue.state === 'open') closeIssue(issue)
  return issueJson(state, issue)
}

function labelRoutes(): Routes {
  return {
    [`GET ${REPO}/labels`]: ({ state }) => ({ status: 200, list: state.labels.map(labelJson) }),
    'GET /orgs/{org}/labels': ({ state }) =>
      state.orgLabels
        ? { status: 200, list: state.orgLabels.map(labelJson) }
        : no(404, "GetOrgByName: user doesn't exist"),
    [`POST ${REPO}/labels`]: ({ state, body }) => {
      if (!/^#[0-9a-f]{6}$/i.test(textOf(body['color']))) return no(422, 'invalid color')
      const label = { id: nextId(state), name: textOf(body['name']), color: textOf(body['color']).slice(1) }
      state.labels.push({ ...label, description: textOf(body['description']) })
      return { status: 201, json: labelJson(state.labels.at(-1) as FakeState['labels'][number]) }
    },
    [`PATCH ${REPO}/labels/{id}`]: ({ state, values, body }) => {
      const label = state.labels.find(({ id }) => id === Number(values[2]))
      if (!label) return no(404, 'label does not exist')
      label.name = textOf(body['name']) || label.name
      return { status: 200, json: labelJson(label) }
    },
    [`DELETE ${REPO}/labels/{id}`]: ({ state, values }) => {
      state.labels = state.labels.filter(({ id }) => id !== Number(values[2]))
      for (const issue of state.issues.values()) issue.labels = issue.labels.filter((id) => id !== Number(values[2]))
      return { status: 204 }
    },
    // The number of all is that of the page, and beyond the last there is null.
    [`GET ${REPO}/issues/{index}/timeline`]: (asked) => {
      const { state, values, query } = asked
      const issue = state.issues.get(Number(values[2]))
      if (!issue) return no(404, 'The target could not be found.')
      const shown = issue.labelEvents.map((event) => labelEventJson(state, event))
      const page = pageOf({ status: 200, list: shown }, query) as unknown[]
      return { status: 200, json: page.length === 0 ? null : page, total: page.length }
    },
    // Numbers that no label has are passed over in silence.
    [`POST ${REPO}/issues/{index}/labels`]: (asked) =>
      withIssue(asked, (issue) => {
        const known = [...asked.state.labels, ...(asked.state.orgLabels ?? [])].map(({ id }) => id)
        const ids = (asked.body['labels'] as number[]).filter((id) => known.includes(id))
        putLabels(asked.state, issue, { ids, user: asked.me.login, on: true })
        issue.updatedAt = nowSeconds()
        return labelsOf(asked.state, issue.labels)
      }),
    [`DELETE ${REPO}/issues/{index}/labels/{id}`]: ({ state, me, values }) => {
      const issue = state.issues.get(Number(values[2]))
      const known = [...state.labels, ...(state.orgLabels ?? [])].some(({ id }) => id === Number(values[3]))
      if (!issue) return no(404, 'The target could not be found.')
      if (!known) return no(422, 'label does not exist')
      putLabels(state, issue, { ids: [Number(values[3])], user: me.login, on: false })
      return { status: 204 }
    },
  }
}

const SIGNS = ['+1', '-1', 'laugh', 'hooray', 'confused', 'heart', 'rocket', 'eyes']

function commentRoutes(): Routes {
  return {
    // All at once, whatever page is asked for.
    [`GET ${REPO}/issues/{index}/comments`]: (asked) =>
      withIssue(asked, ({ number }) => {
        const since = Date.parse(asked.query.get('since') ?? '1970-01-01')
        return asked.state.comments
          .filter((one) => one.issue === number && one.line === null && one.updatedAt >= since)
          .map((one) => commentJson(asked.state, one))
      }),
    [`POST ${REPO}/issues/{index}/comments`]: (asked) =>
      withIssue(
        asked,
        (issue) => {
          const at = nowSeconds()
          const comment = { id: nextId(asked.state), issue: issue.number, user: asked.me.login, createdAt: at }
          const text = textOf(asked.body['body'])
          asked.state.comments.push({ ...comment, body: text, updatedAt: at, signs: [], line: null })
          issue.updatedAt = at
          return commentJson(asked.state, asked.state.comments.at(-1) as FakeState['comments'][number])
        },
        201,
      ),
    [`PATCH ${REPO}/issues/comments/{id}`]: ({ state, me, values, body }) => {
      const comment = state.comments.find(({ id }) => id === Number(values[2]))
      if (!comment) return no(404, 'comment does not exist')
      if (comment.user !== me.login && me.may !== 'owner') return no(403, 'not your comment')
      comment.body = textOf(body['body'])
      comment.updatedAt = nowSeconds()
      return { status: 200, json: commentJson(state, comment) }
    },
    [`DELETE ${REPO}/issues/comments/{id}`]: ({ state, me, values }) => {
      const comment = state.comments.find(({ id }) => id === Number(values[2]))
      if (!comment) return no(404, 'comment does not exist')
      if (comment.user !== me.login && me.may !== 'owner') return no(403, 'not your comment')
      state.comments = state.comments.filter((one) => one !== comment)
      return { status: 204 }
    },
    [`POST ${REPO}/issues/comments/{id}/reactions`]: ({ state, me, values, body }) => {
      const comment = state.comments.find(({ id }) => id === Number(values[2]))
      if (!comment) return no(404, 'comment does not exist')
      const content = textOf(body['content'])
      if (!SIGNS.includes(content)) return no(403, `'${content}' is not an allowed reaction`)
      const json = { user: userJson(state, me.login), content, created_at: new Date(nowSeconds()).toISOString() }
      if (comment.signs.some((one) => one.user === me.login && one.content === content)) return { status: 200, json }
      comment.signs.push({ user: me.login, content })
      return { status: 201, json }
    },
  }
}

function hookRoutes(): Routes {
  const change = (hook: FakeHook, body: Asked['body']): void => {
    const config = (body['config'] ?? {}) as Record<string, string>
    hook.url = config['url'] ?? hook.url
    hook.contentType = config['content_type'] ?? hook.contentType
    hook.secret = config['secret'] ?? hook.secret
    // What is not sent is lost.
    hook.events = expand((body['events'] as string[] | undefined) ?? ['push'])
    hook.branchFilter = textOf(body['branch_filter'])
    hook.authorization = textOf(body['authorization_header'])
    if (typeof body['active'] === 'boolean') hook.active = body['active']
  }
  return {
    [`GET ${REPO}/hooks`]: ({ state }) => ({ status: 200, list: state.hooks.map(hookJson) }),
    [`POST ${REPO}/hooks`]: ({ state, body }) => {
      const empty = { url: '', contentType: '', secret: '', active: false, events: [] }
      const hook: FakeHook = { id: nextId(state), ...empty, branchFilter: '', authorization: '' }
      change(hook, body)
      state.hooks.push(hook)
      return { status: 201, json: hookJson(hook) }
    },
    [`PATCH ${REPO}/hooks/{id}`]: ({ state, values, body }) => {
      const hook = state.hooks.find(({ id }) => id === Number(values[2]))
      if (!hook) return no(404, 'hook does not exist')
      change(hook, body)
      return { status: 200, json: hookJson(hook) }
    },
  }
}

const CHOICES = [
  'create',
  'delete',
  'fork',
  'push',
  'issues',
  'issue_assign',
  'issue_label',
  'issue_milestone',
  'issue_comment',
  'pull_request',
  'pull_request_assign',
  'pull_request_label',
  'pull_request_milestone',
  'pull_request_comment',
  'pull_request_review_approved',
  'pull_request_review_rejected',
  'pull_request_review_comment',
  'pull_request_sync',
  'pull_request_review_request',
  'wiki',
  'repository',
  'release',
  'package',
]

/** `issues` and `pull_request` stand for all of their kind; what this version does not know is dropped (1.23: status too). */
function expand(events: readonly string[]): string[] {
  return CHOICES.filter(
    (one) =>
      events.includes(one) ||
      (one.startsWith('issue') && events.includes('issues')) ||
      (one.startsWith('pull_request') && events.includes('pull_request')),
  )
}
