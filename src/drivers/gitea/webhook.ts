// Deliveries of Gitea and Forgejo: signed over their bytes, read by event. They carry GitHub's headers beside their own, and
// never mean GitHub.

import { z } from 'zod'
import { problems, sha } from '../answers.ts'
import type { Happening, Parsed, Person, RawDelivery, Verified, WebhookSource } from '../driver.ts'
import { checkSignature } from '../signature.ts'
import { isOurs } from './comments.ts'
import { account, comment, toComment } from './wire.ts'

/** What a webhook of Orch must hear, by Gitea's names of what may be chosen (not of what is then sent). */
export const EVENTS = [
  'delete',
  'issue_assign',
  'issue_comment',
  'issue_label',
  'issues',
  'pull_request',
  'pull_request_comment',
  'pull_request_label',
  'pull_request_review_approved',
  'pull_request_review_comment',
  'pull_request_review_rejected',
  'pull_request_sync',
  'push',
] as const
/** Of newer servers; without them CI is asked for. */
export const NEWER_EVENTS = ['status', 'workflow_job', 'workflow_run'] as const

export const webhooks: WebhookSource = { verify, parse }

const NAMES = ['gitea', 'forgejo'] as const

function verify({ headers, body }: RawDelivery, options: { secrets: readonly string[]; unsigned: boolean }): Verified {
  // Not GitHub's of the same delivery: whoever is not Gitea is not heard here.
  const name = NAMES.find((one) => headers[`x-${one}-event`])
  const event = name && headers[`x-${name}-event`]
  const id = name && headers[`x-${name}-delivery`]
  if (!id || !event) return { ok: false, status: 400, reason: 'x-gitea-delivery or x-gitea-event is missing' }
  const missing = 'x-gitea-signature is missing or empty: give the webhook a secret'
  return checkSignature({ id, event, body, signatures: signaturesOf(headers) }, { ...options, missing })
}

/** Those that are not empty, as bare hex. GitHub's has a prefix, which is there without a secret too. */
function signaturesOf(headers: RawDelivery['headers']): string[] {
  const own = NAMES.map((name) => headers[`x-${name}-signature`])
  const prefixed = headers['x-hub-signature-256']
  return [...own, prefixed?.replace(/^sha256=/, '')].filter((value): value is string => Boolean(value))
}

interface Delivery {
  payload: unknown
  action: string
  self: readonly string[]
}

/** Gives what happened, or why it is of no use. Throws ZodError where something is missing. */
type Reader = (delivery: Delivery) => Happening[] | string

const READERS: Record<string, Reader> = {
  issues: readIssue,
  issue_comment: readComment,
  pull_request: readPull,
  pull_request_approved: readPull,
  pull_request_rejected: readPull,
  // A review's comment; one in the conversation is an issue_comment.
  pull_request_comment: readPull,
  pull_request_review_request: readPull,
  status: ({ payload }) => [{ kind: 'checks', sha: z.object({ sha }).parse(payload).sha }],
  workflow_job: (delivery) => readActions(delivery, 'workflow_job'),
  workflow_run: (delivery) => readActions(delivery, 'workflow_run'),
  push: readPush,
  delete: readDelete,
}

const envelope = z.object({
  action: z.string().nullish(),
  repository: z.object({ full_name: z.string().regex(/^[^/\s]+\/[^/\s]+$/) }),
})

function parse({ event, body, self }: { event: string; body: Uint8Array; self: readonly string[] }): Parsed {
  const reader = Object.hasOwn(READERS, event) ? READERS[event] : undefined
  if (!reader) return { kind: 'ignored', reason: `Orch has no use for the event ${event}` }
  let payload: unknown
  try {
    payload = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    return { kind: 'rejected', reason: 'the body is no JSON: set the content type of the webhook to application/json' }
  }
  try {
    const { action, repository } = envelope.parse(payload)
    const read = reader({ payload, action: action ?? '', self })
    if (typeof read === 'string') return { kind: 'ignored', reason: read }
    return { kind: 'happened', ref: repository.full_name, happenings: read }
  } catch (error) {
    return { kind: 'rejected', reason: `${event} is not what Gitea sends: ${problems(error)}` }
  }
}

const numbered = z.object({ number: z.number().int().positive() })

/** A delivery does not hold what an issue depends on, so the issue is always asked for. */
function readIssue({ payload }: Delivery): Happening[] {
  const { issue } = z.object({ issue: numbered.extend({ pull_request: z.object({}).nullish() }) }).parse(payload)
  if (issue.pull_request) return [{ kind: 'change', number: issue.number }]
  return [{ kind: 'issue', id: String(issue.number), issue: null }]
}

/** The account alone doesn't tell: a person may have lent Orch their token. */
function isOwn(user: Person, body: string | null | undefined, self: readonly string[]): boolean {
  return self.some((login) => isOurs({ user, body: body ?? '' }, login))
}

const commented = z.object({
  comment: z.object({ id: z.number(), user: account, body: z.string().nullish() }),
  issue: numbered.extend({ pull_request: z.object({}).nullish() }),
  is_pull: z.boolean().nullish(),
})

function readComment({ payload, action, self }: Delivery): Happening[] | string {
  const { comment: said, issue, is_pull: isPull } = commented.parse(payload)
  if (isOwn(said.user, said.body, self)) return 'a comment that Orch wrote'
  const whole = z.object({ comment }).safeParse(payload)
  const read = whole.success ? toComment(whole.data.comment, '') : null
  const deleted = action === 'deleted'
  if (isPull === true || issue.pull_request)
    return [{ kind: 'change-comment', number: issue.number, comment: read, deleted }]
  return [{ kind: 'issue-comment', issue: String(issue.number), comment: read, deleted }]
}

/** A review comes with its kind and its text only: who said it is the sender. */
function readPull({ payload, self }: Delivery): Happening[] | string {
  const said = z.object({ content: z.string().nullish() })
  const { sender, review, ...read } = z
    .object({ pull_request: numbered, sender: account, review: said.nullish() })
    .parse(payload)
  if (review && isOwn(sender, review.content, self)) return 'a review that Orch wrote'
  return [{ kind: 'change', number: read.pull_request.number }]
}

function readActions({ payload }: Delivery, field: string): Happening[] {
  const read = z.object({ [field]: z.object({ head_sha: sha }) }).parse(payload)[field]
  return read ? [{ kind: 'checks', sha: read.head_sha }] : []
}

function readPush({ payload }: Delivery): Happening[] | string {
  const { ref, after } = z.object({ ref: z.string(), after: z.string() }).parse(payload)
  const branch = /^refs\/heads\/(.+)$/s.exec(ref)?.[1]
  if (branch === undefined) return `a push to ${ref}, which is no branch`
  return [{ kind: 'push', branch, sha: /^0+$/.test(after) ? null : sha.parse(after) }]
}

function readDelete({ payload }: Delivery): Happening[] | string {
  const { ref, ref_type: type } = z.object({ ref: z.string().min(1), ref_type: z.string() }).parse(payload)
  if (type !== 'branch') return `a ${type} was deleted`
  return [{ kind: 'push', branch: ref.replace(/^refs\/heads\//, ''), sha: null }]
}
