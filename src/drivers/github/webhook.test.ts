import { createHmac } from 'node:crypto'
import examples from '@octokit/webhooks-examples' with { type: 'json' }
import { describe, expect, test } from 'vitest'
import { marked } from '../marked.ts'
import { webhookContract, type WebhookWorld } from '../webhooks.contract.ts'
import { EVENTS, webhooks } from './webhook.ts'

const SHA = 'a'.repeat(40)
const repository = { full_name: 'acme/shop' }
const user = { login: 'Mia', type: 'User' }
const comment = {
  id: 7,
  user,
  body: 'Any news?',
  html_url: 'https://github.com/acme/shop/issues/5#issuecomment-7',
  created_at: '2026-01-01T00:00:00Z',
  updated_at: '2026-01-01T00:00:01Z',
}
const issue = {
  number: 5,
  title: 'Totals',
  body: 'Blocked by #2',
  state: 'open',
  labels: [{ name: 'bug' }],
  assignees: [user],
  user,
  html_url: 'https://github.com/acme/shop/issues/5',
  url: 'https://api.github.com/repos/acme/shop/issues/5',
  created_at: '2026-01-01T00:00:00Z',
  updated_at: '2026-01-01T00:00:00Z',
}

const world: WebhookWorld = {
  source: webhooks,
  sign: ({ id, event, body, secret }) => ({
    'content-type': 'application/json',
    'x-github-delivery': id,
    'x-github-event': event,
    'x-hub-signature-256': secret === '' ? '' : `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
  }),
  needed: ['x-github-delivery', 'x-github-event'],
  signatures: ['x-hub-signature-256'],
  commenter: 'Mia',
  ownComment: {
    action: 'created',
    repository,
    issue: { number: 5 },
    comment: { ...comment, body: marked(comment.body, 'k') },
  },
  samples: {
    issue: {
      event: 'issues',
      body: { action: 'opened', repository, issue },
      ref: 'acme/shop',
      happening: {
        kind: 'issue',
        id: '5',
        issue: {
          id: '5',
          number: 5,
          title: 'Totals',
          body: 'Blocked by #2',
          state: 'open',
          column: null,
          labels: ['bug'],
          assignees: ['Mia'],
          priority: null,
          author: {
            login: 'Mia',
            isBot: false,
          },
          blockedBy: ['2'],
          url: issue.html_url,
          createdAt: 17672256e5,
          updatedAt: 17672256e5,
          closedAt: null,
        },
      },
    },
    comment: {
      event: 'issue_comment',
      body: { action: 'created', repository, issue: { number: 5 }, comment },
      ref: 'acme/shop',
      happening: {
        kind: 'issue-comment',
        issue: '5',
        deleted: false,
        comment: {
          id: '7',
          author: {
            login: 'Mia',
            isBot: false,
          },
          isOwn: false,
          body: comment.body,
          url: comment.html_url,
          createdAt: 17672256e5,
          updatedAt: 1767225601e3,
        },
      },
    },
    change: {
      event: 'pull_request',
      body: { action: 'closed', repository, pull_request: { number: 8 } },
      ref: 'acme/shop',
      happening: { kind: 'change', number: 8 },
    },
  },
}

webhookContract('github', world)

const parse = (event: string, body: unknown, self: string[] = []) =>
  webhooks.parse({ event, body: new TextEncoder().encode(JSON.stringify(body)), self })

const happens: [string, object, object][] = [
  ['issues', { action: 'deleted', issue }, { kind: 'issue', id: '5', issue: null }],
  ['issues', { action: 'transferred', issue }, { kind: 'issue', id: '5', issue: null }],
  // The links are not in the delivery: the issue is asked for.
  ['issues', { issue: { ...issue, sub_issues_summary: { total: 1 } } }, { kind: 'issue', id: '5', issue: null }],
  ['issues', { issue: { number: 5, title: 7 } }, { kind: 'issue', id: '5', issue: null }],
  ['issue_comment', { issue: { number: 8, pull_request: {} }, comment }, { kind: 'change-comment', number: 8 }],
  ['issue_comment', { action: 'deleted', issue, comment }, { kind: 'issue-comment', issue: '5', deleted: true }],
  ['sub_issues', { parent_issue: { number: 4 }, sub_issue: { number: 5 } }, { kind: 'issue', id: '4', issue: null }],
  ['issue_dependencies', { blocked_issue: { number: 4 }, blocking_issue: { number: 5 } }, { kind: 'issue', id: '4' }],
  ['pull_request_review', { pull_request: { number: 8 }, review: { user } }, { kind: 'change', number: 8 }],
  ['pull_request_review_comment', { pull_request: { number: 8 }, comment: { user } }, { kind: 'change', number: 8 }],
  ['pull_request_review_thread', { pull_request: { number: 8 }, thread: {} }, { kind: 'change', number: 8 }],
  ['check_run', { check_run: { head_sha: SHA } }, { kind: 'checks', sha: SHA }],
  ['check_suite', { check_suite: { head_sha: SHA } }, { kind: 'checks', sha: SHA }],
  ['workflow_run', { workflow_run: { head_sha: SHA } }, { kind: 'checks', sha: SHA }],
  ['status', { sha: SHA }, { kind: 'checks', sha: SHA }],
  ['push', { ref: 'refs/heads/orch/shop-1', after: SHA }, { kind: 'push', branch: 'orch/shop-1', sha: SHA }],
  ['push', { ref: 'refs/heads/x', after: '0'.repeat(40), deleted: true }, { kind: 'push', branch: 'x', sha: null }],
]

test('a signature with an empty secret, which anybody can make, opens nothing', () => {
  const body = new TextEncoder().encode('{}')
  const signature = `sha256=${createHmac('sha256', '').update(body).digest('hex')}`
  const headers = { 'x-github-delivery': 'd', 'x-github-event': 'issues', 'x-hub-signature-256': signature }
  for (const secrets of [[''], ['', 'real'], []])
    expect(webhooks.verify({ headers, body }, { secrets, unsigned: true })).toMatchObject({ ok: false, status: 401 })
})

describe('what happened', () => {
  test.each(happens)('%s %j', (event, body, happening) => {
    const parsed = parse(event, { repository, ...body })
    expect(parsed).toMatchObject({ kind: 'happened', ref: 'acme/shop', happenings: [happening] })
  })

  test.each([
    ['push', { ref: 'refs/tags/v1', after: SHA }, 'refs/tags/v1'],
    ['repository', { action: 'renamed' }, 'renamed'],
    ['label', { action: 'edited', label: { name: 'bug' } }, 'label'],
    ['sub_issues', { parent_issue: { number: 4 }, parent_issue_repo: { full_name: 'acme/other' } }, 'acme/other'],
    ['ping', { zen: 'x' }, 'webhook'],
  ])('%s %j is ignored with a reason', (event, body, words) => {
    const reason = expect.stringContaining(words) as string
    expect(parse(event, { repository, ...body })).toMatchObject({ kind: 'ignored', reason })
  })

  test('who copies a key of ours is not taken for Orch', () => {
    const said = { ...comment, body: marked('/orch approve', 'k') }
    const parsed = parse('issue_comment', { repository, issue: { number: 5 }, comment: said }, ['orch-bot'])
    expect(parsed).toMatchObject({ happenings: [{ comment: { isOwn: false, body: said.body } }] })
  })

  test.each(['pull_request_review', 'pull_request_review_comment'])('%s of our own is ignored', (event) => {
    const said = { user, body: marked('Addressed.', 'k') }
    const body = { repository, pull_request: { number: 8 }, review: said, comment: said }
    expect(parse(event, body, ['mia'])).toMatchObject({ kind: 'ignored' })
    expect(parse(event, body, ['eve'])).toMatchObject({ kind: 'happened' })
    const typed = { ...body, review: { user }, comment: { user, body: 'Hm.' } }
    expect(parse(event, typed, ['mia'])).toMatchObject({ kind: 'happened' })
  })

  test('a sha or a number that is none is rejected by name', () => {
    const evil = parse('status', { repository, sha: '../../x' })
    expect(evil).toMatchObject({ kind: 'rejected', reason: expect.stringContaining('sha') as string })
    expect(parse('pull_request', { repository, pull_request: { number: '8/../9' } }).kind).toBe('rejected')
    expect(parse('issues', { repository: { full_name: 'a/b/c' }, issue }).kind).toBe('rejected')
  })

  test('a body that is no UTF-8 is rejected', () => {
    const body = new Uint8Array([0x22, 0xff, 0x22])
    expect(webhooks.parse({ event: 'issues', body, self: [] })).toMatchObject({ kind: 'rejected' })
  })
})

describe('what GitHub really sends', () => {
  const all = examples as unknown as { name: string; examples: object[] }[]

  test('these are 58 events in 329 payloads', () => {
    expect(all).toHaveLength(58)
    expect(all.flatMap((event) => event.examples)).toHaveLength(329)
  })

  test.each(all.map((event) => [event.name, event.examples] as const))('%s', (event, payloads) => {
    for (const payload of payloads) {
      const parsed = parse(event, payload)
      expect(['happened', 'ignored']).toContain(parsed.kind)
      if (parsed.kind === 'happened') expect(parsed.happenings.length).toBeGreaterThan(0)
    }
  })

  test('issues and comments come whole', () => {
    const kept = all
      .filter(({ name }) => name === 'issues' || name === 'issue_comment')
      .flatMap(({ name, examples: payloads }) => payloads.map((payload) => parse(name, payload)))
    const happenings = kept.flatMap((parsed) => (parsed.kind === 'happened' ? parsed.happenings : []))
    const isWhole = (one: object): boolean => Object.values(one).every((value) => value !== null)
    // The rest is of issues that were deleted or moved, which are asked for.
    expect(happenings.filter(isWhole).length).toBeGreaterThan(happenings.length * 0.8)
  })

  test('each event that a webhook of ours hears has a reader', () => {
    for (const event of EVENTS) {
      const parsed = parse(event, { repository, action: 'x' })
      if (parsed.kind === 'ignored') expect(parsed.reason).not.toContain('no use')
    }
  })
})
