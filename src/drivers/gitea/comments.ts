// What issues and pull requests have in common at Gitea: comments, signs at them, and what somebody may do.

import type { IssueComment, OwnComment, Person, Sign, Trust } from '../driver.ts'
import type { Api } from './connection.ts'
import { hasKey, isMarked, isSelf, marked, sameText } from '../marked.ts'
import { comment, permission, read, timelineEvent, toComment, type WireComment, written } from './wire.ts'

const SIGNS: Record<Sign, string> = { seen: 'eyes', done: '+1', refused: '-1' }

/** Comments of the conversation, oldest first. */
export async function readComments(api: Api, number: string, since: number | null): Promise<WireComment[]> {
  // Whole seconds at Gitea: rounded down, nothing is missed.
  const query = since === null ? '' : `?since=${isoSeconds(since)}`
  const { items } = await api.list({
    path: `/issues/${number}/comments${query}`,
    doing: `read the comments of ${api.ref}#${number}`,
    schema: comment,
    key: (wire) => wire.id,
    whole: true,
  })
  return items.toSorted((a, b) => a.created_at - b.created_at || a.id - b.id)
}

export async function listComments(api: Api, number: string, since: number | null): Promise<IssueComment[]> {
  const self = await api.self()
  return (await readComments(api, number, since)).map((wire) => toComment(wire, self))
}

/**
 * Writes or edits our comment of that key; looks first. What a try that was given up for lost has written after all, once the
 * next one had looked, is taken away: the vendor has no key of its own, so nothing hinders it there.
 */
export async function ensureComment(
  api: Api,
  number: string,
  { key, body }: Pick<OwnComment, 'key' | 'body'>,
): Promise<{ url: string }> {
  const self = await api.self()
  const comments = await readComments(api, number, null)
  const [ours, ...doubles] = comments.filter((wire) => isSelf(wire.user, self) && hasKey(wire.body, key))
  for (const { id } of doubles) {
    const doing = `take away comment ${id} of ${api.ref}#${number}, which is there twice`
    await api.call({ method: 'DELETE', path: `/issues/comments/${id}`, doing, accept: [404] })
  }
  const text = marked(body, key)
  if (ours && sameText(ours.body, text)) return { url: ours.html_url }
  const doing = `comment on ${api.ref}#${number}`
  const { json } = await api.call(
    ours
      ? { method: 'PATCH', path: `/issues/comments/${ours.id}`, body: { body: text }, doing }
      : { method: 'POST', path: `/issues/${number}/comments`, body: { body: text }, doing },
  )
  return { url: read(written, json, doing).html_url }
}

/** Whether one of ours, which Orch itself wrote. */
export function isOurs(wire: { user: WireComment['user']; body: string }, self: string): boolean {
  return isSelf(wire.user, self) && isMarked(wire.body)
}

/**
 * Gitea keeps each sign of one account once, so it is simply sent. Comments at lines are counted with the others. False for
 * a comment that is gone or locked, and where the server does not know the sign: its administrator chooses them.
 */
export async function ensureReaction(api: Api, id: string, sign: Sign): Promise<boolean> {
  if (!/^\d+$/.test(id)) return false
  const path = `/issues/comments/${id}/reactions`
  const doing = `put a sign at comment ${id} of ${api.ref}`
  const answer = await api.call({ method: 'POST', path, body: { content: SIGNS[sign] }, doing, accept: [403, 404] })
  return answer.status < 300
}

export async function labelledBy(api: Api, number: number, name: string): Promise<Person | null> {
  const { items } = await api.list({
    path: `/issues/${number}/timeline`,
    doing: `ask who set the label ${name} at ${api.ref}#${number}`,
    schema: timelineEvent,
    key: ({ id }) => id,
    grows: true,
  })
  const last = items
    .filter(({ type, label }) => type === 'label' && label?.name.toLowerCase() === name.toLowerCase())
    .toSorted((a, b) => a.created_at - b.created_at || a.id - b.id)
    .at(-1)
  return last?.body === '1' ? last.user : null
}

export async function trustOf(api: Api, login: string): Promise<Trust> {
  const doing = `ask what ${login} may do in ${api.ref}`
  const path = `/collaborators/${encodeURIComponent(login)}/permission`
  const answer = await api.call({ path, doing, accept: [404] })
  if (answer.status === 404) {
    // Nobody of that name; or a repository that we may not see any more, of which nobody's rights are known: that throws.
    await api.call({ path: '', doing })
    return 'none'
  }
  const may = read(permission, answer.json, doing).permission
  if (may === 'owner' || may === 'admin') return 'owner'
  // Everybody may read a public repository.
  return may === 'write' ? 'member' : 'none'
}

export function isoSeconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}
