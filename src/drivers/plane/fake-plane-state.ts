// What a played Plane keeps, and how it is changed from its other side: by people, and by tests.

import { randomUUID } from 'node:crypto'

export interface FakeUser {
  id: string
  display_name: string
  email: string
  /** Of the API; null for who has none. */
  token: string | null
  /** In the project; null for who is no member. */
  role: number | null
}

export interface FakeNamed {
  id: string
  name: string
  project: string
  external_id: string | null
  external_source: string | null
  [field: string]: unknown
}

export interface FakeState extends FakeNamed {
  group: string
  sequence: number
  default: boolean
}

export interface FakeIssue {
  id: string
  name: string
  sequence_id: number
  description_html: string
  priority: string
  state: string
  labels: string[]
  assignees: string[]
  project: string
  created_by: string
  created_at: string
  updated_at: string
  external_id: string | null
  external_source: string | null
  [field: string]: unknown
}

export interface FakeComment {
  id: string
  issue: string
  project: string
  comment_html: string
  actor: string
  created_by: string
  created_at: string
  updated_at: string
  external_id: string | null
  external_source: string | null
  [field: string]: unknown
}

export interface FakeWorld {
  slug: string
  project: string
  /** Another one of the same workspace. */
  other: string
  users: FakeUser[]
  states: FakeState[]
  labels: FakeNamed[]
  issues: FakeIssue[]
  comments: FakeComment[]
  /** `issue` waits for `by`. */
  blockers: { issue: string; by: string; project: string }[]
  /** Requests that a token has a minute. */
  limit: number
  /** Older servers tell no roles of a project's members, and only administrators may ask for the workspace's. */
  members: 'with-roles' | 'without-roles' | 'old-path'
  /** Time that never stands still. */
  tick(): string
}

export interface Reply {
  status: number
  json?: unknown
}

export interface Exchange {
  world: FakeWorld
  me: FakeUser
  /** What stands in the holes of the path. */
  ids: string[]
  query: URLSearchParams
  body: Record<string, unknown>
}

export const TOKEN = 'plane_api_0123456789abcdef'
export const BOT_TOKEN = 'plane_api_developer_bot_01'

export function makeWorld(): FakeWorld {
  const project = randomUUID()
  let last = Date.now() - 60_000
  const user = (name: string, role: number | null, token: string | null = null): FakeUser => ({
    id: randomUUID(),
    display_name: name,
    email: `${name}@example.org`,
    token,
    role,
  })
  const world: FakeWorld = {
    slug: 'acme',
    project,
    other: randomUUID(),
    states: [],
    labels: [],
    issues: [],
    comments: [],
    blockers: [],
    users: [
      user('orch-bot', 15, TOKEN),
      user('dev-bot', 15, BOT_TOKEN),
      user('olga', 20),
      user('mia', 15),
      user('stan', 5),
    ],
    limit: 1e6,
    members: 'with-roles',
    tick() {
      last = Math.max(last + 1, Date.now() - 6e4)
      return new Date(last).toISOString()
    },
  }
  const columns = 'Backlog:backlog Todo:unstarted Doing:started Done:completed Cancelled:cancelled'
  for (const [index, column] of columns.split(' ').entries()) {
    const [name = '', group = ''] = column.split(':')
    addState(world, { name, group, sequence: (index + 1) * 10_000, default: name === 'Backlog' })
  }
  // The same names elsewhere, with ids that must never be used here.
  addState(world, { name: 'Doing', group: 'started', sequence: 1, default: false, project: world.other })
  addLabel(world, { name: 'bug', project: world.other })
  return world
}

export function addState(
  world: FakeWorld,
  state: { name: string; group: string; sequence: number; default: boolean; project?: string; color?: string },
): FakeState {
  const made = { project: world.project, ...state, id: randomUUID(), external_id: null, external_source: null }
  world.states.push(made)
  return made
}

export function addLabel(world: FakeWorld, label: { name: string; project?: string }): FakeNamed {
  const made = { project: world.project, ...label, id: randomUUID(), external_id: null, external_source: null }
  world.labels.push(made)
  return made
}

export function addIssue(
  world: FakeWorld,
  issue: { name: string; description_html: string; created_by: string } & Partial<FakeIssue>,
): FakeIssue {
  const at = world.tick()
  const backlog = world.states.find((one) => one.default && one.project === world.project)
  const made: FakeIssue = {
    id: randomUUID(),
    sequence_id: world.issues.length + 1,
    priority: 'none',
    labels: [],
    assignees: [],
    state: backlog?.id ?? '',
    project: world.project,
    created_at: at,
    updated_at: at,
    external_id: null,
    external_source: null,
    ...issue,
  }
  world.issues.push(made)
  return made
}

export function addComment(
  world: FakeWorld,
  comment: { issue: string; comment_html: string; actor: string } & Partial<FakeComment>,
): FakeComment {
  const at = world.tick()
  const made: FakeComment = {
    id: randomUUID(),
    project: world.project,
    created_by: comment.actor,
    created_at: at,
    updated_at: at,
    external_id: null,
    external_source: null,
    ...comment,
  }
  world.comments.push(made)
  return made
}

/** As the editor of Plane's pages keeps what somebody typed. */
export function typed(text: string): string {
  const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
  return escaped
    .split('\n\n')
    .map((part) => `<p class="editor-paragraph-block">${part.replaceAll('\n', '<br>')}</p>`)
    .join('')
}
