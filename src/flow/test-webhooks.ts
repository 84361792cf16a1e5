// A vendor for tests: signs with a bare HMAC, and says in its bodies what happened, word for word.

import { createHmac, timingSafeEqual } from 'node:crypto'
import { HEAD, POLICY } from '../core/test-spec.ts'
import type { ResolvedProject } from '../config/config.ts'
import type { ChangeState, Happening, Issue, WebhookSource } from '../drivers/driver.ts'
import type { Project } from '../store/store.ts'
import type { Audit, AuditLine } from './webhook-audit.ts'

export const SECRET = 'It is a secret'

const signatureOf = (body: Uint8Array, secret: string): string =>
  createHmac('sha256', secret).update(body).digest('hex')

/** Headers of a signed delivery. */
export function signed(delivery: { id: string; body: Uint8Array; event?: string; secret?: string }) {
  const { id, body, event = 'issues', secret = SECRET } = delivery
  return { 'x-test-delivery': id, 'x-test-event': event, 'x-test-signature': signatureOf(body, secret) }
}

export const testSource: WebhookSource = {
  verify: ({ headers, body }, { secrets, unsigned }) => {
    const id = headers['x-test-delivery']
    const event = headers['x-test-event']
    if (!id || !event) return { ok: false, status: 400, reason: 'a header is missing' }
    const given = headers['x-test-signature']
    if (!given && unsigned) return { ok: true, id, event }
    const isGood = secrets.some((secret) => {
      const wanted = Buffer.from(signatureOf(body, secret))
      return given?.length === wanted.length && timingSafeEqual(wanted, Buffer.from(given))
    })
    return isGood ? { ok: true, id, event } : { ok: false, status: 401, reason: 'the signature is not ours' }
  },
  parse: ({ event, body }) => {
    try {
      const value = JSON.parse(Buffer.from(body).toString()) as { ref: string; happenings: Happening[] }
      if (event === 'gollum') return { kind: 'ignored', reason: 'gollum is nothing to Orch' }
      return { kind: 'happened', ...value }
    } catch {
      return { kind: 'rejected', reason: 'the body is no JSON' }
    }
  },
}

export const PROJECT: Project = {
  id: 'T',
  name: 't',
  path: '/t',
  remote: '/t.git',
  createdAt: 1,
  tracker: { driver: 'github', ref: 'ann/shop' },
}

export const CONFIG: ResolvedProject = {
  policy: POLICY,
  prefix: 'T',
  tracker: {
    intake: { labels: ['orch'], columns: [], assignees: [], mention: null, people: [], strangers: 'ignore' },
    show: { columns: {}, labels: true, comments: true },
    commands: null,
  },
  prompts: {},
  sources: [],
}

export function issue(number: number, change: Partial<Issue> = {}): Issue {
  return {
    id: String(number),
    number,
    title: `Issue ${number}`,
    body: 'Once, at the end.',
    state: 'open',
    column: null,
    labels: ['orch'],
    assignees: [],
    priority: null,
    author: { login: 'bob', isBot: false },
    url: `https://github.com/ann/shop/issues/${number}`,
    createdAt: 1,
    updatedAt: 1,
    closedAt: null,
    blockedBy: [],
    ...change,
  }
}

/** The body of a delivery that tells of issues. */
export function about(issues: Issue[], ref = 'ann/shop'): Buffer {
  const happenings = issues.map((one): Happening => ({ kind: 'issue', id: one.id, issue: one }))
  return Buffer.from(JSON.stringify({ ref, happenings }))
}

/** Keeps its lines where a test can see them. */
export function memoryAudit(): Audit & { lines: AuditLine[] } {
  const lines: AuditLine[] = []
  return { lines, add: (line) => void lines.push(line), flush: async () => undefined }
}

/** A change as the forge shows it, open and at the head of the task that the core's own specs have. */
export function shownChange(): ChangeState {
  return {
    number: 7,
    url: '',
    state: 'open',
    draft: false,
    branch: 'orch/T-1-do-it',
    base: 'main',
    head: HEAD,
    mergedSha: null,
    mergeable: null,
    queued: false,
    labels: [],
    updatedAt: 1,
  }
}
