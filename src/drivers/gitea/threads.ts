// What people say at a pull request: reviews, threads at lines, and the conversation, which counts as one thread. Gitea
// keeps no threads: comments at the same line of the same file are one, as its own page shows them.

import { ExternalError } from '../../lib/errors.ts'
import type { ReviewRow } from '../../store/store.ts'
import type { ChangeReview, ReviewThread } from '../driver.ts'
import { ensureComment, isOurs, readComments } from './comments.ts'
import type { Api } from './connection.ts'
import { hasKey, isSelf, marked, sameText } from '../marked.ts'
import { lineComment, read, review, toComment, toReview, type WireLineComment, type WireReview } from './wire.ts'

/** O-24. */
const MAX_DIFF = 2_000
const CONVERSATION = 'conversation'

async function readReviews(api: Api, number: number): Promise<WireReview[]> {
  const { items } = await api.list({
    path: `/pulls/${number}/reviews`,
    doing: `read the reviews of ${api.ref}#${number}`,
    schema: review,
    key: ({ id }) => id,
  })
  return items
}

/** Who has said something of it, other than that they were asked to. */
export async function reviewersOf(api: Api, number: number): Promise<string[]> {
  return (await readReviews(api, number)).flatMap((wire) => (toReview(wire) ? [wire.user.login] : []))
}

export async function listReviews(api: Api, number: number): Promise<ChangeReview[]> {
  const self = await api.self()
  return (await readReviews(api, number))
    .filter((wire) => !isOurs(wire, self))
    .flatMap((wire) => toReview(wire) ?? [])
    .toSorted((a, b) => a.at - b.at || Number(a.id) - Number(b.id))
}

/**
 * Records a verdict of one of Orch's own agents as a comment on that head. Never as an approval: Gitea refuses one on one's
 * own pull request, and an agent's word must not open what is protected by people's. A review can't be edited there: another
 * text is another review.
 */
export async function addReview(api: Api, { change, sha, by, verdict, text }: ReviewRow): Promise<void> {
  const self = await api.self()
  const key = `review:${sha}:${by}`
  const said = verdict === 'approve' ? 'approves' : 'requests changes to'
  const body = `**${by}** ${said} ${sha}\n\n${text}`
  const own = (await readReviews(api, change)).filter((wire) => isSelf(wire.user, self) && hasKey(wire.body, key))
  if (own.some((wire) => sameText(wire.body, marked(body, key)))) return
  const doing = `record the review of ${api.ref}#${change} by ${by}`
  const request = { commit_id: sha, event: 'COMMENT', body: marked(body, key) }
  const path = `/pulls/${change}/reviews`
  const answer = await api.call({ method: 'POST', path, body: request, doing, accept: [422] })
  // One that is closed takes no reviews.
  if (answer.status === 422) await ensureComment(api, String(change), { key, body })
}

/** Comments at lines, oldest first. They are asked for review by review. */
async function readLineComments(api: Api, number: number): Promise<WireLineComment[]> {
  const comments: WireLineComment[] = []
  for (const { id, comments_count: count } of await readReviews(api, number)) {
    if (count === 0) continue
    const { items } = await api.list({
      path: `/pulls/${number}/reviews/${id}/comments`,
      doing: `read the comments at lines of ${api.ref}#${number}`,
      schema: lineComment,
      key: (wire) => wire.id,
      whole: true,
    })
    comments.push(...items)
  }
  return comments.toSorted((a, b) => a.created_at - b.created_at || a.id - b.id)
}

/** Threads by their first comment's id. */
function threadsIn(lines: readonly WireLineComment[]): WireLineComment[][] {
  const threads = new Map<string, WireLineComment[]>()
  for (const wire of lines) {
    const place = JSON.stringify([wire.path, lineOf(wire)])
    threads.set(place, [...(threads.get(place) ?? []), wire])
  }
  return [...threads.values()]
}

/** Below zero: a line of the old file. */
function lineOf({ position, original_position: original }: WireLineComment): number {
  return position ? position : -(original ?? 0)
}

export async function listThreads(api: Api, number: number): Promise<ReviewThread[]> {
  const self = await api.self()
  const threads = threadsIn(await readLineComments(api, number)).map((lines) => toThread(lines, self))
  const talk = await readComments(api, String(number), null)
  // Where Orch alone has spoken there is nothing to answer.
  if (talk.every((wire) => isOurs(wire, self))) return threads
  const comments = talk.map((wire) => toComment(wire, self))
  return [...threads, { id: CONVERSATION, resolved: false, file: null, line: null, diff: null, comments }]
}

function toThread(lines: readonly WireLineComment[], self: string): ReviewThread {
  const [first] = lines as [WireLineComment, ...WireLineComment[]]
  return {
    id: String(first.id),
    // Gitea writes down who settled it at the first comment that it shows.
    resolved: lines.some(({ resolver }) => Boolean(resolver)),
    file: first.path,
    line: Math.abs(lineOf(first)) || null,
    diff: diffOf(first.diff_hunk),
    comments: lines.map((wire) => toComment(wire, self)),
  }
}

/** Its end: the line that is spoken of is a hunk's last. */
function diffOf(hunk: string): string | null {
  if (hunk.length <= MAX_DIFF) return hunk === '' ? null : hunk
  const [header = ''] = hunk.split('\n', 1)
  const first = header.length < MAX_DIFF / 4 ? `${header}\n…\n` : ''
  return `${first}${hunk.slice(-(MAX_DIFF - first.length))}`
}

/** An answer is a review of one comment at the same line: that is what puts it into the thread. */
export async function ensureReply(
  api: Api,
  number: number,
  { thread, key, body }: { thread: string; key: string; body: string },
): Promise<void> {
  if (thread === CONVERSATION) {
    await ensureComment(api, String(number), { key, body })
    return
  }
  const self = await api.self()
  const doing = `answer in thread ${thread} of ${api.ref}#${number}`
  const lines = threadsIn(await readLineComments(api, number)).find(([first]) => String(first?.id) === thread)
  const [first] = lines ?? []
  if (!lines || !first) {
    const message = `could not ${doing}: the thread is not there (any more)`
    throw new ExternalError({ system: 'gitea', kind: 'not-found', message })
  }
  if (lines.some((wire) => isSelf(wire.user, self) && hasKey(wire.body, key))) return
  const line = lineOf(first)
  const place = line < 0 ? { old_position: -line } : { new_position: line }
  const comment = { path: first.path, body: marked(body, key), ...place }
  const path = `/pulls/${number}/reviews`
  const { json } = await api.call({ method: 'POST', path, body: { event: 'COMMENT', comments: [comment] }, doing })
  read(review, json, doing)
}
