// The deliveries that a played Plane owes its webhook: one for each changed field, told from what has changed since the last
// look, in the shape that bgtasks/webhook_task.py gives them.

import { randomUUID } from 'node:crypto'
import type { FakeComment, FakeIssue, FakeWorld } from './fake-plane-state.ts'

export interface FakeNews {
  event: 'issue' | 'issue_comment'
  payload: { action: string; activity: { field: string | null } }
}

const FIELDS = ['name', 'description_html', 'priority', 'state', 'labels', 'assignees'] as const
const WORKSPACE = randomUUID()
const HOOK = randomUUID()

/** Gives, at each call, what happened since the one before. */
export function makeNews(world: FakeWorld): () => FakeNews[] {
  const copy = () => structuredClone({ issues: world.issues, comments: world.comments })
  let before = copy()
  return () => {
    const now = copy()
    const gone = before.issues.filter(({ id }) => !now.issues.some((issue) => issue.id === id))
    const news = [
      ...now.issues.flatMap((issue) => issueNews(world, issue, before.issues)),
      ...now.comments.flatMap((comment) => commentNews(world, comment, before.comments)),
      ...gone.map(({ id, created_by: by }) => tell(world, { event: 'issue', action: 'deleted', data: { id }, by })),
    ]
    before = now
    return news
  }
}

function issueNews(world: FakeWorld, issue: FakeIssue, before: FakeIssue[]): FakeNews[] {
  const old = before.find(({ id }) => id === issue.id)
  const data = shown(world, issue)
  const by = issue.created_by
  if (!old) return [tell(world, { event: 'issue', action: 'created', data, by })]
  return FIELDS.filter((field) => JSON.stringify(old[field]) !== JSON.stringify(issue[field])).map((field) =>
    tell(world, { event: 'issue', action: 'updated', data, by, field, was: old[field], is: issue[field] }),
  )
}

/** With the state and the labels as things, not ids. */
function shown(world: FakeWorld, issue: FakeIssue): object {
  const { description_html: _text, ...rest } = issue
  return {
    ...rest,
    workspace: WORKSPACE,
    state: world.states.find(({ id }) => id === issue.state),
    labels: world.labels.filter(({ id }) => issue.labels.includes(id)),
    assignees: world.users.filter(({ id }) => issue.assignees.includes(id)).map(({ id, email }) => ({ id, email })),
  }
}

function commentNews(world: FakeWorld, comment: FakeComment, before: FakeComment[]): FakeNews[] {
  const old = before.find(({ id }) => id === comment.id)
  if (old?.comment_html === comment.comment_html) return []
  const action = old ? 'updated' : 'created'
  const data = { ...comment, workspace: WORKSPACE, access: 'INTERNAL' }
  return [tell(world, { event: 'issue_comment', action, data, by: comment.actor })]
}

function tell(
  world: FakeWorld,
  what: {
    event: FakeNews['event']
    action: string
    data: object
    by: string
    field?: string
    was?: unknown
    is?: unknown
  },
): FakeNews {
  const { event, action, data, by, field = null, was = null, is = null } = what
  const user = world.users.find(({ id }) => id === by)
  const actor = user && { id: user.id, display_name: user.display_name, email: user.email }
  const activity = { field, new_value: is, old_value: was, actor, old_identifier: null, new_identifier: null }
  const payload = { event, action, webhook_id: HOOK, workspace_id: WORKSPACE, data, activity }
  return { event, payload }
}
