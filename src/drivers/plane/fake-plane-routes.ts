// What a played Plane answers, path by path: P is below the project, W below the workspace.

import {
  addComment,
  addIssue,
  addLabel,
  addState,
  type Exchange,
  type FakeComment,
  type FakeIssue,
  type FakeUser,
  type FakeWorld,
  type Reply,
} from './fake-plane-state.ts'

type Route = (exchange: Exchange) => Reply

const GONE: Reply = { status: 404, json: { error: 'The requested resource does not exist.' } }

export const routes: Record<string, Route> = {
  'GET /users/me/': ({ me }) => ok(lite(me)),
  'GET W/members/': ({ world, me }) =>
    me.role === 20
      ? ok(world.users.filter(({ role }) => role !== null).map((user) => ({ ...lite(user), role: user.role })))
      : { status: 403, json: { detail: 'You do not have permission to perform this action.' } },
  'GET P/': ({ world }) => ok({ id: world.project, name: 'Shop', identifier: 'SHOP', workspace: world.slug }),
  'GET P/project-members/': ({ world }) => (world.members === 'old-path' ? GONE : ok(membersOf(world))),
  'GET P/members/': ({ world }) => ok(membersOf(world)),
  'GET P/states/': ({ world, query }) => pageOf(world.states.filter(inProject(world)), query),
  'POST P/states/': ({ world, body }) => makeNamed(world, { kind: 'states', body }),
  'GET P/states/:id/': ({ world, ids: [id] }) => one(world.states.filter(inProject(world)), id),
  'GET P/labels/': ({ world, query }) => pageOf(world.labels.filter(inProject(world)), query),
  'POST P/labels/': ({ world, body }) => makeNamed(world, { kind: 'labels', body }),
  'GET P/labels/:id/': ({ world, ids: [id] }) => one(world.labels.filter(inProject(world)), id),
  'GET P/work-items/': listIssues,
  'POST P/work-items/': createIssue,
  'GET P/work-items/:id/': ({ world, ids: [id] }) => one(world.issues, id),
  'PATCH P/work-items/:id/': changeIssue,
  'DELETE P/work-items/:id/': ({ world, ids: [id] }) => {
    world.issues = world.issues.filter((issue) => issue.id !== id)
    return { status: 204 }
  },
  'GET P/work-items/:id/relations/': readRelations,
  'POST P/work-items/:id/relations/': addRelation,
  'GET P/work-items/:id/comments/': ({ world, ids: [id], query }) =>
    pageOf(world.comments.filter(({ issue }) => issue === id).toReversed(), query),
  'POST P/work-items/:id/comments/': createComment,
  'GET P/work-items/:id/comments/:id/': ({ world, ids: [issue, id] }) =>
    one(
      world.comments.filter((comment) => comment.issue === issue),
      id,
    ),
  'PATCH P/work-items/:id/comments/:id/': changeComment,
}

/** What is no text is no field of a text. */
function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function ok(json: unknown): Reply {
  return { status: 200, json }
}

function inProject({ project }: FakeWorld): (item: { project: string }) => boolean {
  return (item) => item.project === project
}

function lite({ id, display_name, email }: FakeUser): object {
  return { id, display_name, email, first_name: display_name, last_name: '', avatar: '', avatar_url: null }
}

function membersOf(world: FakeWorld): object[] {
  const members = world.users.filter(({ role }) => role !== null)
  if (world.members !== 'with-roles') return members.map(lite)
  return members.map((user) => ({ ...lite(user), role: user.role, role_slug: null }))
}

function one<T extends { id: string }>(items: T[], id: string | undefined): Reply {
  const found = items.find((item) => item.id === id)
  return found ? ok(found) : GONE
}

/** Pages by offset, as the server has them (utils/paginator.py): what changes meanwhile shifts them. */
function pageOf(items: readonly unknown[], query: URLSearchParams): Reply {
  const limit = Number(query.get('per_page') ?? 1_000)
  const cursor = /^\d+:(\d+):[01]$/.exec(query.get('cursor') ?? '')
  if (query.has('cursor') && !cursor) return { status: 400, json: { detail: 'Invalid cursor parameter.' } }
  const page = Number(cursor?.[1] ?? 0)
  const results = items.slice(page * limit, (page + 1) * limit)
  return ok({
    grouped_by: null,
    sub_grouped_by: null,
    total_count: items.length,
    count: results.length,
    next_cursor: `${limit}:${page + 1}:0`,
    prev_cursor: `${limit}:${page - 1}:1`,
    next_page_results: (page + 1) * limit < items.length,
    prev_page_results: page > 0,
    total_pages: Math.ceil(items.length / limit),
    total_results: items.length,
    extra_stats: null,
    results,
  })
}

function makeNamed(
  world: FakeWorld,
  { kind, body }: { kind: 'states' | 'labels'; body: Record<string, unknown> },
): Reply {
  const { name, color, group } = body
  if (typeof name !== 'string' || (kind === 'states' && typeof color !== 'string'))
    return { status: 400, json: { color: ['This field is required.'] } }
  const twin = world[kind].filter(inProject(world)).find((item) => item.name === name)
  if (twin) return { status: 409, json: { error: 'The same name already exists in the project', id: twin.id } }
  if (kind === 'labels') return { status: 201, json: addLabel(world, { name }) }
  const state = { name, group: text(group), color: text(color), sequence: 65_535, default: false }
  return ok(addState(world, state))
}

function listIssues({ world, query }: Exchange): Reply {
  const [id, source] = [query.get('external_id'), query.get('external_source')]
  if (id && source) {
    const found = world.issues.find((issue) => issue.external_id === id && issue.external_source === source)
    return found ? ok(found) : GONE
  }
  const order = query.get('order_by') ?? '-created_at'
  const field = order.replace(/^-/, '') as 'created_at' | 'updated_at'
  const ascending = world.issues.toSorted((a, b) => a[field].localeCompare(b[field]))
  return pageOf(order.startsWith('-') ? ascending.toReversed() : ascending, query)
}

function createIssue({ world, me, body }: Exchange): Reply {
  const { name, external_id: id, external_source: source } = body
  if (typeof name !== 'string') return { status: 400, json: { name: ['This field is required.'] } }
  const twin = world.issues.find((issue) => id && issue.external_id === id && issue.external_source === source)
  const error = 'Issue with the same external id and external source already exists'
  if (twin) return { status: 409, json: { error, id: twin.id } }
  const html = { description_html: clean(text(body['description_html'] ?? '')) }
  const made = addIssue(world, { ...(body as Partial<FakeIssue>), name, created_by: me.id, ...html })
  return { status: 201, json: made }
}

function changeIssue({ world, ids: [id], body }: Exchange): Reply {
  const issue = world.issues.find((item) => item.id === id)
  if (!issue) return GONE
  const { state, labels, ...rest } = body
  if (state !== undefined && !world.states.some((item) => item.id === state && item.project === world.project))
    return { status: 400, json: { non_field_errors: ['State is not valid please pass a valid state_id'] } }
  if (state !== undefined) issue.state = text(state)
  // What the project does not have is dropped without a word.
  if (Array.isArray(labels))
    issue.labels = labels.filter((one) =>
      world.labels.some((label) => label.id === one && label.project === world.project),
    )
  Object.assign(issue, rest, { updated_at: world.tick() })
  return ok(issue)
}

function readRelations({ world, ids: [id] }: Exchange): Reply {
  if (!world.issues.some((issue) => issue.id === id)) return GONE
  const link = (project_id: string, issue_id: string): object => ({ project_id, issue_id })
  return ok({
    blocking: world.blockers.filter(({ by }) => by === id).map(({ issue, project }) => link(project, issue)),
    blocked_by: world.blockers.filter(({ issue }) => issue === id).map(({ by, project }) => link(project, by)),
    duplicate: [],
    relates_to: [],
    start_after: [],
    start_before: [],
    finish_after: [],
    finish_before: [],
  })
}

function addRelation({ world, ids: [id = ''], body }: Exchange): Reply {
  const issue = world.issues.find((item) => item.id === id)
  if (!issue || !Array.isArray(body['issues'])) return GONE
  for (const by of body['issues'].map(String)) {
    if (body['relation_type'] === 'blocked_by') world.blockers.push({ issue: id, by, project: world.project })
    if (body['relation_type'] === 'blocking') world.blockers.push({ issue: by, by: id, project: world.project })
  }
  issue.updated_at = world.tick()
  return { status: 201, json: [] }
}

function createComment({ world, me, ids: [issue = ''], body }: Exchange): Reply {
  if (!world.issues.some((item) => item.id === issue)) return GONE
  const { external_id: id = null, external_source: source = null } = body as Partial<FakeComment>
  const twin = world.comments.find((item) => id && item.external_id === id && item.external_source === source)
  const error = 'Work item comment with the same external id and external source already exists'
  if (twin) return { status: 409, json: { error, id: twin.id } }
  const html = clean(text(body['comment_html'] ?? ''))
  const made = { issue, comment_html: html, actor: me.id, external_id: id, external_source: source }
  return { status: 201, json: addComment(world, made) }
}

function changeComment({ world, me, ids: [issue, id], body }: Exchange): Reply {
  const comment = world.comments.find((item) => item.issue === issue && item.id === id)
  if (!comment) return GONE
  comment.comment_html = clean(text(body['comment_html'] ?? comment.comment_html))
  Object.assign(comment, { updated_at: world.tick(), updated_by: me.id })
  return ok(comment)
}

/** What Plane's cleaning (nh3) leaves: no HTML comments, no scripts, no attributes but addresses. */
function clean(html: string): string {
  return html
    .replaceAll(/<!--.*?-->/gs, '')
    .replaceAll(/<(script|style)\b.*?<\/\1>/gs, '')
    .replaceAll(/<(\w+)(\s[^>]*)>/g, (_whole, tag: string, attributes: string) => {
      const kept = /\s(?:href|src)="[^"]*"/.exec(attributes)?.[0] ?? ''
      return `<${tag}${kept}>`
    })
}
