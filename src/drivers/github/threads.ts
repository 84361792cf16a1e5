// What people say at a pull request: reviews, threads at lines, and the conversation, which counts as one thread.

import type { ReviewRow } from '../../store/store.ts'
import { z } from 'zod'
import { ExternalError } from '../../lib/errors.ts'
import type { ChangeReview, IssueComment, ReviewThread } from '../driver.ts'
import { ensureComment, isOurs, readComments } from './comments.ts'
import type { Api } from './connection.ts'
import { hasKey, isMarked, isSelf, marked, sameText } from '../marked.ts'
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

/** Who has reviewed it: whoever has is asked no more, and GitHub no longer names them among those asked. */
export async function reviewersOf(api: Api, number: number): Promise<string[]> {
  return (await readReviews(api, number)).map(({ user }) => user.login)
}

export async function listReviews(api: Api, number: number): Promise<ChangeReview[]> {
  const self = await api.self()
  const reviews = await readReviews(api, number)
  return reviews
    .filter((wire) => !isOurs(wire, self))
    .flatMap((wire) => toReview(wire) ?? [])
    .toSorted((a, b) => a.at - b.at)
}

/**
 * Records a verdict of one of Orch's own agents as a comment on that head. Never as an approval: GitHub refuses one on
 * one's own pull request, and an agent's word must not open what is protected by people's.
 */
export async function addReview(api: Api, { change, sha, by, verdict, text }: ReviewRow): Promise<void> {
  const self = await api.self()
  const key = `review:${sha}:${by}`
  const said = verdict === 'approve' ? 'approves' : 'requests changes to'
  const body = `**${by}** ${said} ${sha}\n\n${text}`
  const own = (await readReviews(api, change)).find((wire) => isSelf(wire.user, self) && hasKey(wire.body, key))
  if (own && sameText(own.body, marked(body, key))) return
  const doing = `record the review of ${api.ref}#${change} by ${by}`
  const path = `/pulls/${change}/reviews`
  if (own) {
    await api.call({ method: 'PUT', path: `${path}/${own.id}`, body: { body: marked(body, key) }, doing })
    return
  }
  try {
    const request = { commit_id: sha, event: 'COMMENT', body: marked(body, key) }
    await api.call({ method: 'POST', path, body: request, doing })
  } catch (error) {
    // A head that is no longer among the change's commits can't carry one.
    if (!(error instanceof ExternalError) || error.kind !== 'rejected') throw error
    await ensureComment(api, String(change), { key, body })
  }
}

async function readLineComments(api: Api, number: number): Promise<WireLineComment[]> {
  const { items } = await api.list({
    path: `/pulls/${number}/comments`,
    doing: `read the comments at lines of ${api.ref}#${number}`,
    schema: lineComment,
    key: ({ id }) => id,
  })
  return items.toSorted((a, b) => a.created_at - b.created_at || a.id - b.id)
}

export async function listThreads(api: Api, number: number): Promise<ReviewThread[]> {
  const self = await api.self()
  const lines = await readLineComments(api, number)
  const resolved = lines.length === 0 ? new Set<number>() : await resolvedRoots(api, number)
  const threads = new Map<number, ReviewThread>()
  for (const wire of lines) {
    const root = wire.in_reply_to_id ?? wire.id
    const thread = threads.get(root) ?? makeThread(root, wire, resolved.has(root))
    threads.set(root, thread)
    thread.comments.push({ ...toComment(wire, self), id: `r${wire.id}` })
  }
  const talk = await readComments(api, String(number), null)
  const comments: IssueComment[] = talk.map((wire) => toComment(wire, self))
  const conversation = { id: CONVERSATION, resolved: false, file: null, line: null, diff: null, comments }
  // Where Orch alone has spoken there is nothing to answer.
  return [...threads.values(), ...(talk.every((wire) => isOurs(wire, self)) ? [] : [conversation])]
}

function makeThread(root: number, wire: WireLineComment, resolved: boolean): ReviewThread {
  const line = wire.line ?? wire.original_line ?? null
  return { id: String(root), resolved, file: wire.path, line, diff: diffOf(wire.diff_hunk), comments: [] }
}

/** Its end: the line that is spoken of is a hunk's last. */
function diffOf(hunk: string): string | null {
  if (hunk.length <= MAX_DIFF) return hunk === '' ? null : hunk
  const [header = ''] = hunk.split('\n', 1)
  const first = header.length < MAX_DIFF / 4 ? `${header}\n…\n` : ''
  return `${first}${hunk.slice(-(MAX_DIFF - first.length))}`
}

const RESOLVED = `query($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) { pullRequest(number: $number) {
    reviewThreads(first: 100, after: $after) {
      pageInfo { hasNextPage endCursor }
      nodes { isResolved comments(first: 1) { nodes { databaseId } } }
    } } } }`

const resolvedAnswer = z.object({
  repository: z.object({
    pullRequest: z.object({
      reviewThreads: z.object({
        pageInfo: z.object({ hasNextPage: z.boolean(), endCursor: z.string().nullish() }),
        nodes: z.array(
          z.object({
            isResolved: z.boolean(),
            comments: z.object({ nodes: z.array(z.object({ databaseId: z.number().nullish() })) }),
          }),
        ),
      }),
    }),
  }),
})

/** First comments of resolved threads. REST does not say whether one is. */
async function resolvedRoots(api: Api, number: number): Promise<Set<number>> {
  const [owner, name] = api.ref.split('/')
  const roots = new Set<number>()
  let after: string | null = null
  do {
    const doing = `ask which threads of ${api.ref}#${number} are resolved`
    const variables = { owner, name, number, after }
    const answer: z.infer<typeof resolvedAnswer> = await api.graphql({
      query: RESOLVED,
      variables,
      doing,
      schema: resolvedAnswer,
    })
    const { nodes, pageInfo } = answer.repository.pullRequest.reviewThreads
    for (const { isResolved, comments } of nodes) {
      const root = comments.nodes[0]?.databaseId
      if (isResolved && typeof root === 'number') roots.add(root)
    }
    after = pageInfo.hasNextPage ? (pageInfo.endCursor ?? null) : null
  } while (after !== null)
  return roots
}

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
  const root = Number(thread)
  const comments = (await readLineComments(api, number)).filter((wire) => (wire.in_reply_to_id ?? wire.id) === root)
  if (comments.length === 0) {
    const message = `could not ${doing}: the thread is not there (any more)`
    throw new ExternalError({ system: 'github', kind: 'not-found', message })
  }
  if (comments.some((wire) => isSelf(wire.user, self) && isMarked(wire.body) && hasKey(wire.body, key))) return
  const path = `/pulls/${number}/comments/${root}/replies`
  const { json } = await api.call({ method: 'POST', path, body: { body: marked(body, key) }, doing })
  read(lineComment, json, doing)
}
