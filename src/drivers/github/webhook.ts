// Deliveries of GitHub: signed over their bytes, read by event. Events that may be sent and are not named here are ignored.

import { z } from 'zod'
import { problems, sha } from '../answers.ts'
import type { Happening, Parsed, Person, RawDelivery, Verified, WebhookSource } from '../driver.ts'
import { checkSignature } from '../signature.ts'
import { isOurs } from './comments.ts'
import { account, comment, hasLinks, issue, toComment, toIssue } from './wire.ts'

/** What a webhook of Orch hears. https://docs.github.com/en/webhooks/webhook-events-and-payloads */
export const EVENTS = [
  'check_run',
  'check_suite',
  'issue_comment',
  'issue_dependencies',
  'issues',
  'label',
  'pull_request',
  'pull_request_review',
  'pull_request_review_comment',
  'pull_request_review_thread',
  'push',
  'repository',
  'status',
  'sub_issues',
  'workflow_run',
] as const

export const webhooks: WebhookSource = { verify, parse }

function verify({ headers, body }: RawDelivery, options: { secrets: readonly string[]; unsigned: boolean }): Verified {
  const id = headers['x-github-delivery']
  const event = headers['x-github-event']
  if (!id || !event) return { ok: false, status: 400, reason: 'x-github-delivery or x-github-event is missing' }
  const signature = headers['x-hub-signature-256']
  const signatures = signature ? [signature.replace(/^sha256=/, '')] : []
  const missing = 'x-hub-signature-256 is missing: give the webhook a secret'
  return checkSignature({ id, event, body, signatures }, { ...options, missing })
}

interface Delivery {
  payload: unknown
  ref: string
  action: string
  self: readonly string[]
}

/** Gives what happened, or why it is of no use. Throws ZodError where something is missing. */
type Reader = (delivery: Delivery) => Happening[] | string

const READERS: Record<string, Reader> = {
  issues: readIssue,
  issue_comment: readComment,
  sub_issues: readParent,
  issue_dependencies: readDependency,
  pull_request: readPull,
  pull_request_review: readPull,
  pull_request_review_comment: readPull,
  pull_request_review_thread: readPull,
  check_run: (delivery) => readChecks(delivery, 'check_run'),
  check_suite: (delivery) => readChecks(delivery, 'check_suite'),
  workflow_run: (delivery) => readChecks(delivery, 'workflow_run'),
  workflow_job: (delivery) => readChecks(delivery, 'workflow_job'),
  status: ({ payload }) => [{ kind: 'checks', sha: z.object({ sha }).parse(payload).sha }],
  push: readPush,
  label: ({ action }) => `a label was ${action}: labels are read afresh when they are used`,
  repository: ({ action, ref }) =>
    `the repository, now ${ref}, was ${action}: its address is asked for when it is used`,
  ping: () => 'a webhook was made: GitHub says that it works',
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
  // One for all of an organisation.
  if (event === 'ping') return { kind: 'ignored', reason: reader({ payload, ref: '', action: '', self }) as string }
  try {
    const { action, repository } = envelope.parse(payload)
    const read = reader({ payload, ref: repository.full_name, action: action ?? '', self })
    if (typeof read === 'string') return { kind: 'ignored', reason: read }
    return { kind: 'happened', ref: repository.full_name, happenings: read }
  } catch (error) {
    return { kind: 'rejected', reason: `${event} is not what GitHub sends: ${problems(error)}` }
  }
}

const numbered = z.object({ number: z.number().int().positive() })

function readIssue({ payload, ref, action }: Delivery): Happening[] {
  const id = String(z.object({ issue: numbered }).parse(payload).issue.number)
  const whole = z.object({ issue }).safeParse(payload)
  // One that is gone is asked for, and so is one whose links the delivery does not hold.
  const gone = action === 'deleted' || action === 'transferred'
  const isWhole = whole.success && !gone && !hasLinks(whole.data.issue)
  return [{ kind: 'issue', id, issue: isWhole ? toIssue(whole.data.issue, ref, []) : null }]
}

/** The account alone doesn't tell: a person may have lent Orch their token. */
function isOwn({ user, body }: { user: Person; body?: string | null | undefined }, self: readonly string[]): boolean {
  return self.some((login) => isOurs({ user, body: body ?? '' }, login))
}

const commented = z.object({
  comment: z.object({ id: z.number(), user: account, body: z.string().nullish() }),
  issue: z.object({ number: numbered.shape.number, pull_request: z.object({}).nullish() }),
})

function readComment({ payload, action, self }: Delivery): Happening[] | string {
  const { comment: said, issue: at } = commented.parse(payload)
  if (isOwn(said, self)) return 'a comment that Orch wrote'
  const whole = z.object({ comment }).safeParse(payload)
  const read = whole.success ? toComment(whole.data.comment, '') : null
  const deleted = action === 'deleted'
  if (at.pull_request) return [{ kind: 'change-comment', number: at.number, comment: read, deleted }]
  return [{ kind: 'issue-comment', issue: String(at.number), comment: read, deleted }]
}

/** A part was added to an issue or taken from it: it is told of the part, the parent and both. */
function readParent({ payload, ref }: Delivery): Happening[] | string {
  const { parent_issue: parent, parent_issue_repo: place } = z
    .object({ parent_issue: numbered, parent_issue_repo: z.object({ full_name: z.string() }).nullish() })
    .parse(payload)
  if (place && place.full_name !== ref) return `the issue it is a part of is in ${place.full_name}`
  return [{ kind: 'issue', id: String(parent.number), issue: null }]
}

function readDependency({ payload }: Delivery): Happening[] {
  const { blocked_issue: blocked } = z.object({ blocked_issue: numbered }).parse(payload)
  return [{ kind: 'issue', id: String(blocked.number), issue: null }]
}

function readPull({ payload, self }: Delivery): Happening[] | string {
  const said = z.object({ user: account, body: z.string().nullish() })
  const read = z.object({ pull_request: numbered, comment: said.nullish(), review: said.nullish() }).parse(payload)
  const words = read.comment ?? read.review
  if (words && isOwn(words, self)) return 'a comment that Orch wrote'
  return [{ kind: 'change', number: read.pull_request.number }]
}

function readChecks({ payload }: Delivery, field: string): Happening[] {
  const read = z.object({ [field]: z.object({ head_sha: sha }) }).parse(payload)[field]
  return read ? [{ kind: 'checks', sha: read.head_sha }] : []
}

function readPush({ payload }: Delivery): Happening[] | string {
  const { ref, after, deleted } = z
    .object({ ref: z.string(), after: z.string(), deleted: z.boolean().nullish() })
    .parse(payload)
  const branch = /^refs\/heads\/(.+)$/s.exec(ref)?.[1]
  if (branch === undefined) return `a push to ${ref}, which is no branch`
  return [{ kind: 'push', branch, sha: deleted === true || /^0+$/.test(after) ? null : sha.parse(after) }]
}
