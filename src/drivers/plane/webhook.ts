// Deliveries of Plane: signed over their bytes, one for each changed field. They hold neither the workspace's name nor what an
// issue waits for, and of what was deleted its id alone, so an issue is always asked for.

import { z } from 'zod'
import { problems } from '../answers.ts'
import type { Happening, IssueComment, Parsed, RawDelivery, Verified, WebhookSource } from '../driver.ts'
import { checkSignature } from '../signature.ts'
import { SOURCE } from './texts.ts'
import { comment, uuid, type WireComment } from './wire.ts'

/** What is known here of the projects that were asked for. */
export interface Known {
  /** Null where the project was not asked for yet; its `author` is null where that person is not known yet. */
  toComment(at: {
    project: string
    issue: string
    wire: WireComment
  }): Omit<IssueComment, 'author'> & { author: IssueComment['author'] | null }
}

export function makeWebhooks(known: Known): WebhookSource {
  return { verify, parse: (delivery) => parse(known, delivery) }
}

function verify({ headers, body }: RawDelivery, options: { secrets: readonly string[]; unsigned: boolean }): Verified {
  const id = headers['x-plane-delivery']
  const event = headers['x-plane-event']
  if (!id || !event) return { ok: false, status: 400, reason: 'x-plane-delivery or x-plane-event is missing' }
  const signature = headers['x-plane-signature']
  const signatures = signature ? [signature] : []
  return checkSignature({ id, event, body, signatures }, { ...options, missing: 'x-plane-signature is missing' })
}

const envelope = z.object({ action: z.string() })
const gone = z.object({ data: z.object({ id: uuid }) })
const changed = z.object({ data: z.object({ id: uuid, project: uuid }) })
const commented = z.object({ data: z.object({ ...comment.shape, project: uuid, issue: uuid }) })

interface Delivery {
  payload: unknown
  isDeletion: boolean
}

type Reader = (known: Known, delivery: Delivery) => { ref: string; happenings: Happening[] } | string

const READERS: Record<string, Reader> = { issue: readIssue, issue_comment: readComment }

function parse(known: Known, { event, body }: { event: string; body: Uint8Array }): Parsed {
  const reader = Object.hasOwn(READERS, event) ? READERS[event] : undefined
  if (!reader) return { kind: 'ignored', reason: `Orch has no use for the event ${event}` }
  let payload: unknown
  try {
    payload = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    return { kind: 'rejected', reason: 'the body is no JSON' }
  }
  try {
    const { action } = envelope.parse(payload)
    const isDeletion = action === 'deleted' || action === 'delete'
    const read = reader(known, { payload, isDeletion })
    return typeof read === 'string' ? { kind: 'ignored', reason: read } : { kind: 'happened', ...read }
  } catch (error) {
    return { kind: 'rejected', reason: `${event} is not what Plane sends: ${problems(error)}` }
  }
}

function readIssue(_known: Known, { payload, isDeletion }: Delivery): { ref: string; happenings: Happening[] } {
  if (isDeletion) {
    const { id } = gone.parse(payload).data
    // Whose it was is not told; no other project has an issue of that id.
    return { ref: '', happenings: [{ kind: 'issue', id, issue: null }] }
  }
  const { id, project } = changed.parse(payload).data
  return { ref: project, happenings: [{ kind: 'issue', id, issue: null }] }
}

function readComment(
  known: Known,
  { payload, isDeletion }: Delivery,
): { ref: string; happenings: Happening[] } | string {
  if (isDeletion) return `comment ${gone.parse(payload).data.id} was deleted`
  const { project, issue, ...wire } = commented.parse(payload).data
  if (wire.external_source === SOURCE) return 'a comment that Orch wrote'
  const read = known.toComment({ project, issue, wire })
  // A name that is not known here may be borrowed: the id is nobody else's.
  const author = read.author ?? { login: wire.actor ?? 'nobody', isBot: wire.actor === null }
  return { ref: project, happenings: [{ kind: 'issue-comment', issue, comment: { ...read, author }, deleted: false }] }
}
