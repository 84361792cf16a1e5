// Deliveries as Gitea and Forgejo send them: written after the headers and payloads seen on real servers.

import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { marked } from '../marked.ts'
import { webhookContract } from '../webhooks.contract.ts'
import { EVENTS, NEWER_EVENTS, webhooks } from './webhook.ts'

type Vendor = 'gitea' | 'forgejo'

/** A hook without a secret sends its headers all the same: empty, or with a prefix alone. */
function sign(
  vendor: Vendor,
  delivery: { id: string; event: string; body: Uint8Array; secret: string },
): Record<string, string> {
  const { id, event, body, secret } = delivery
  const hex = secret === '' ? '' : createHmac('sha256', secret).update(body).digest('hex')
  const sha1 = secret === '' ? '' : createHmac('sha1', secret).update(body).digest('hex')
  const own = (name: string): Record<string, string> => ({
    [`x-${name}-delivery`]: id,
    [`x-${name}-event`]: event,
    [`x-${name}-event-type`]: event,
    [`x-${name}-signature`]: hex,
  })
  return {
    'content-type': 'application/json',
    ...(vendor === 'forgejo' ? own('forgejo') : {}),
    ...own('gitea'),
    ...own('gogs'),
    'x-hub-signature': `sha1=${sha1}`,
    'x-hub-signature-256': `sha256=${hex}`,
    'x-github-delivery': id,
    'x-github-event': event,
    'x-github-event-type': event,
  }
}

const repository = { id: 1, name: 'web', full_name: 'shop/web', owner: { id: 90, login: 'shop' } }
const ada = { id: 2, login: 'ada', full_name: '', email: 'ada@noreply.example' }
const time = '2026-11-02T09:30:00Z'
const issue = {
  id: 1_007,
  number: 7,
  title: 'Round totals',
  body: 'Once.',
  user: ada,
  labels: [],
  assignees: null,
  state: 'open',
  html_url: 'https://git.example/shop/web/issues/7',
  pull_request: null,
  created_at: time,
  updated_at: time,
  repository: { id: 1, name: 'web', owner: 'shop', full_name: 'shop/web' },
}
const comment = {
  id: 31,
  user: ada,
  body: '/orch retry',
  created_at: time,
  updated_at: time,
  html_url: 'https://git.example/shop/web/issues/7#issuecomment-31',
}
const pull = { id: 2_009, number: 9, title: 'Round totals', state: 'open' }
const sha = 'ab'.repeat(20)

const samples = {
  issue: {
    event: 'issues',
    body: { action: 'opened', number: 7, issue, repository, sender: ada },
    ref: 'shop/web',
    happening: { kind: 'issue', id: '7', issue: null },
  },
  comment: {
    event: 'issue_comment',
    body: { action: 'created', issue, comment, repository, sender: ada, is_pull: false },
    ref: 'shop/web',
    happening: {
      kind: 'issue-comment',
      issue: '7',
      comment: {
        id: '31',
        author: { login: 'ada', isBot: false },
        isOwn: false,
        body: '/orch retry',
        url: comment.html_url,
        createdAt: Date.parse(time),
        updatedAt: Date.parse(time),
      },
      deleted: false,
    },
  },
  change: {
    event: 'pull_request',
    body: { action: 'synchronized', number: 9, pull_request: pull, repository, sender: ada },
    ref: 'shop/web',
    happening: { kind: 'change', number: 9 },
  },
} as const

for (const vendor of ['gitea', 'forgejo'] as const)
  webhookContract(vendor, {
    source: webhooks,
    sign: (delivery) => sign(vendor, delivery),
    // Forgejo sends both; either will do.
    needed: vendor === 'gitea' ? ['x-gitea-event', 'x-gitea-delivery'] : [],
    signatures: [...(vendor === 'forgejo' ? ['x-forgejo-signature'] : []), 'x-gitea-signature', 'x-hub-signature-256'],
    samples: { issue: samples.issue, comment: samples.comment, change: samples.change },
    commenter: 'ada',
    ownComment: { ...samples.comment.body, comment: { ...comment, body: marked('/orch retry', 'k') } },
  })

const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))
const parse = (event: string, body: unknown, self: string[] = []) => webhooks.parse({ event, body: bytes(body), self })

describe('whose delivery it is', () => {
  const body = bytes(samples.issue.body)
  const signed = sign('gitea', { id: 'd-1', event: 'issues', body, secret: 's' })
  const verify = (headers: Record<string, string | undefined>, unsigned = false) =>
    webhooks.verify({ headers, body }, { secrets: ['s'], unsigned })

  test("GitHub's own headers alone are none of ours", () => {
    const github = Object.fromEntries(Object.entries(signed).filter(([name]) => /github|hub-/.test(name)))
    expect(github).toHaveProperty('x-github-event')
    expect(verify(github)).toMatchObject({ ok: false, status: 400 })
    expect(verify(github, true)).toMatchObject({ ok: false, status: 400 })
  })

  test('Forgejo is heard without the headers of Gitea', () => {
    const headers = sign('forgejo', { id: 'd-2', event: 'issues', body, secret: 's' })
    const own = Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith('x-gitea')))
    expect(verify(own)).toEqual({ ok: true, id: 'd-2', event: 'issues' })
  })

  test('one signature is enough, and one that does not fit spoils those that do', () => {
    const { 'x-gitea-signature': own, ...without } = signed
    expect(verify(without)).toMatchObject({ ok: true })
    expect(verify({ ...signed, 'x-hub-signature-256': undefined })).toMatchObject({ ok: true })
    expect(verify({ ...signed, 'x-hub-signature-256': `sha256=${'0'.repeat(64)}` })).toMatchObject({ status: 401 })
    expect(verify({ ...without, 'x-gitea-signature': `sha256=${own}` })).toMatchObject({ status: 401 })
  })

  test('a hook without a secret is refused although its headers are there', () => {
    const empty = sign('gitea', { id: 'd-3', event: 'issues', body, secret: '' })
    expect(empty['x-hub-signature-256']).toBe('sha256=')
    expect(verify(empty)).toMatchObject({ ok: false, status: 401, reason: expect.stringContaining('secret') as string })
    expect(verify(empty, true)).toEqual({ ok: true, id: 'd-3', event: 'issues' })
  })
})

describe('events that are called otherwise than what was chosen', () => {
  test.each(['label_updated', 'label_cleared', 'edited', 'closed', 'reopened', 'assigned', 'milestoned'])(
    'issues, %s',
    (action) => {
      expect(parse('issues', { ...samples.issue.body, action })).toMatchObject({
        happenings: [{ kind: 'issue', id: '7', issue: null }],
      })
    },
  )

  test.each([
    ['pull_request_approved', 'pull_request_review_approved'],
    ['pull_request_rejected', 'pull_request_review_rejected'],
    ['pull_request_comment', 'pull_request_review_comment'],
  ])('%s: a review, which comes with its kind and text only', (event, type) => {
    const body = { ...samples.change.body, action: 'reviewed', review: { type, content: 'Round once.' } }
    expect(parse(event, body)).toMatchObject({ kind: 'happened', happenings: [{ kind: 'change', number: 9 }] })
    const own = { ...body, review: { type, content: marked('Round once.', 'k') } }
    expect(parse(event, own, ['ADA'])).toMatchObject({ kind: 'ignored' })
    expect(parse(event, own, ['eve'])).toMatchObject({ kind: 'happened' })
    expect(parse(event, body, ['ada'])).toMatchObject({ kind: 'happened' })
    // What we ourselves pushed must be looked at all the same.
    expect(parse('pull_request', samples.change.body, ['ada'])).toMatchObject({ kind: 'happened' })
  })

  test('a comment at a change, by its flag or by its issue', () => {
    const expected = { happenings: [{ kind: 'change-comment', number: 7, deleted: true }] }
    const body = { ...samples.comment.body, action: 'deleted' }
    expect(parse('issue_comment', { ...body, is_pull: true })).toMatchObject(expected)
    const at = { ...issue, pull_request: { merged: false } }
    expect(parse('issue_comment', { ...body, issue: at, is_pull: undefined })).toMatchObject(expected)
  })
})

describe('what else is heard', () => {
  const happened = (event: string, body: Record<string, unknown>) => parse(event, { repository, sender: ada, ...body })

  test('CI: statuses, jobs and runs', () => {
    const checks = { happenings: [{ kind: 'checks', sha }] }
    expect(happened('status', { sha, state: 'failure', context: 'test' })).toMatchObject(checks)
    expect(happened('workflow_job', { action: 'completed', workflow_job: { head_sha: sha } })).toMatchObject(checks)
    expect(happened('workflow_run', { action: 'completed', workflow_run: { head_sha: sha } })).toMatchObject(checks)
    expect(happened('status', { sha: 'main' })).toMatchObject({ kind: 'rejected' })
  })

  test('pushes and deleted branches', () => {
    const push = (ref: string, after: string) => happened('push', { ref, before: sha, after, commits: [] })
    const branch = 'orch/shop-7'
    expect(push(`refs/heads/${branch}`, sha)).toMatchObject({ happenings: [{ kind: 'push', branch, sha }] })
    expect(push(`refs/heads/${branch}`, '0'.repeat(40))).toMatchObject({ happenings: [{ sha: null }] })
    expect(push('refs/tags/v1', sha)).toMatchObject({ kind: 'ignored' })
    const gone = { happenings: [{ kind: 'push', branch, sha: null }] }
    expect(happened('delete', { ref: branch, ref_type: 'branch' })).toMatchObject(gone)
    expect(happened('delete', { ref: 'v1', ref_type: 'tag' })).toMatchObject({ kind: 'ignored' })
  })

  test('what is chosen is known, and read where it is sent under its own name', () => {
    expect(new Set([...EVENTS, ...NEWER_EVENTS]).size).toBe(EVENTS.length + NEWER_EVENTS.length)
    for (const event of ['wiki', 'release', 'fork', 'constructor', '__proto__'])
      expect(happened(event, {})).toMatchObject({ kind: 'ignored' })
  })
})
