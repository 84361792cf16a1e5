// Comments at Plane. Each role may speak as its own bot (C-60); a comment of ours is known by its pair of external ids and
// by its account, whoever of ours wrote it.

import { ExternalError } from '../../lib/errors.ts'
import type { IssueComment, OwnComment } from '../driver.ts'
import type { Catalog } from './catalog.ts'
import type { Account, Api } from './connection.ts'
import { toMarkdown } from './html.ts'
import { externalId, SOURCE, toHtml } from './texts.ts'
import { comment, duplicate, isUuid, read, type WireComment } from './wire.ts'

export async function listComments(
  api: Api,
  catalog: Catalog,
  { issue, since }: { issue: string; since: number | null },
): Promise<IssueComment[]> {
  const comments: IssueComment[] = []
  for (const wire of await readComments(api, issue))
    if (since === null || wire.updated_at >= since)
      comments.push({ ...toComment(api, issue, wire), author: await catalog.personOf(wire.actor) })
  return comments
}

/** Without its author, whom Plane names by an id. */
export function toComment(api: Pick<Api, 'urlOf'>, issue: string, wire: WireComment): Omit<IssueComment, 'author'> {
  return {
    id: wire.id,
    isOwn: wire.external_source === SOURCE,
    body: toMarkdown(wire.comment_html),
    url: commentUrl(api, issue, wire.id),
    createdAt: wire.created_at,
    updatedAt: wire.updated_at,
  }
}

function commentUrl(api: Pick<Api, 'urlOf'>, issue: string, id: string): string {
  return `${api.urlOf(issue)}#comment-${id}`
}

/** Oldest first. Plane gives the newest first and can't be asked otherwise. */
async function readComments(api: Api, issue: string): Promise<WireComment[]> {
  const doing = `read the comments of issue ${issue} of ${api.ref}`
  // What never was an issue has no comments, and reaches no address.
  if (!isUuid(issue)) throw new ExternalError({ system: 'plane', kind: 'not-found', message: `could not ${doing}` })
  const { items } = await api.list({
    path: `/work-items/${issue}/comments/`,
    doing,
    schema: comment,
    key: ({ id }) => id,
    stamp: ({ id, updated_at: at }) => `${id} ${at}`,
  })
  return items.toSorted((a, b) => a.created_at - b.created_at || (a.id < b.id ? -1 : 1))
}

/** Writes or edits our comment of that key; looks first. */
export async function ensureComment(
  api: Api,
  issue: string,
  { key, body, role }: OwnComment,
): Promise<{ url: string }> {
  const id = externalId(issue, key)
  const accounts = await api.accounts()
  const comments = await readComments(api, issue)
  const ours = comments.find((wire) => hasKey(wire, id) && accountOf(accounts, wire) !== undefined)
  if (ours) return edit(api, { issue, ours, body, accounts })
  const doing = `comment on issue ${issue} of ${api.ref}`
  const answer = await api.call({
    method: 'POST',
    path: `/work-items/${issue}/comments/`,
    body: { comment_html: toHtml(body), external_source: SOURCE, external_id: id },
    doing,
    accept: [409],
    account: await api.accountOf(role),
  })
  if (answer.status !== 409) return { url: commentUrl(api, issue, read(comment, answer.json, doing).id) }
  // It was written since we looked.
  const twin = read(duplicate, answer.json, doing).id
  const path = `/work-items/${issue}/comments/${twin}/`
  const found = read(comment, (await api.call({ path, doing })).json, doing)
  if (accountOf(accounts, found)) return edit(api, { issue, ours: found, body, accounts })
  throw new ExternalError({
    system: 'plane',
    kind: 'conflict',
    message: `could not ${doing}: comment ${twin} has our external id and is of another account; delete it`,
  })
}

function hasKey({ external_source: source, external_id: id }: WireComment, key: string): boolean {
  return source === SOURCE && id === key
}

function accountOf(accounts: Account[], { actor }: WireComment): Account | undefined {
  return accounts.find(({ id }) => id === actor)
}

/** By the account that wrote it: nobody else's words are put into a bot's mouth. */
async function edit(
  api: Api,
  { issue, ours, body, accounts }: { issue: string; ours: WireComment; body: string; accounts: Account[] },
): Promise<{ url: string }> {
  const html = toHtml(body)
  const url = commentUrl(api, issue, ours.id)
  // Plane writes HTML its own way; what is read is what counts.
  if (toMarkdown(ours.comment_html) === toMarkdown(html)) return { url }
  const account = accountOf(accounts, ours)
  await api.call({
    method: 'PATCH',
    path: `/work-items/${issue}/comments/${ours.id}/`,
    body: { comment_html: html },
    doing: `edit comment ${ours.id} of issue ${issue} of ${api.ref}`,
    ...(account ? { account } : {}),
  })
  return { url }
}
