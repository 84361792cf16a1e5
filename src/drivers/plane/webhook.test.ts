import { createHmac } from 'node:crypto'
import { expect, test } from 'vitest'
import { webhookContract } from '../webhooks.contract.ts'
import { makePlaneDriver } from './driver.ts'
import { addIssue, typed } from './fake-plane-state.ts'
import { openPlane, trackerOf, userOf } from './fake-plane-world.ts'

const PROJECT = '5d2c1a7e-90b1-4c1e-8a52-0c9c0f1f2a01'
const ISSUE = '5d2c1a7e-90b1-4c1e-8a52-0c9c0f1f2a02'
const COMMENT = '5d2c1a7e-90b1-4c1e-8a52-0c9c0f1f2a03'
const MIA = '5d2c1a7e-90b1-4c1e-8a52-0c9c0f1f2a04'

const actor = { id: MIA, display_name: 'mia', email: 'mia@example.org', first_name: 'Mia', last_name: '', avatar: '' }

/** One for each changed field; `data` as bgtasks/webhook_task.py makes it, with names where it has them. */
function issueChanged(field: string, action = 'updated'): Record<string, unknown> {
  return {
    event: 'issue',
    action,
    webhook_id: COMMENT,
    workspace_id: COMMENT,
    data: {
      id: ISSUE,
      name: 'Round totals',
      project: PROJECT,
      workspace: COMMENT,
      sequence_id: 7,
      priority: 'none',
      state: {
        id: COMMENT,
        name: 'Doing',
        group: 'started',
        color: '#f59e0b',
      },
      labels: [],
      assignees: [],
      created_at: '2026-03-01T10:00:00Z',
      updated_at: '2026-03-01T10:00:00.123456Z',
      created_by: MIA,
    },
    activity: {
      field,
      new_value: 'Doing',
      old_value: 'Todo',
      actor,
      old_identifier: null,
      new_identifier: null,
    },
  }
}

function commented(change: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    event: 'issue_comment',
    action: 'created',
    webhook_id: COMMENT,
    workspace_id: COMMENT,
    data: {
      id: COMMENT,
      issue: ISSUE,
      project: PROJECT,
      workspace: COMMENT,
      actor: MIA,
      access: 'INTERNAL',
      comment_html: '<p>/orch <strong>retry</strong></p>',
      external_id: null,
      external_source: null,
      created_at: '2026-03-01T10:00:00+02:00',
      updated_at: '2026-03-01T10:00:00+02:00',
      ...change,
    },
    activity: {
      field: null,
      new_value: null,
      old_value: null,
      actor,
    },
  }
}

const driver = makePlaneDriver({ url: 'http://127.0.0.1:9', token: 't', now: Date.now })
const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))

webhookContract('plane', {
  source: driver.webhooks,
  sign: ({ id, event, body, secret }) => ({
    'x-plane-delivery': id,
    'x-plane-event': event,
    'x-plane-signature': secret === '' ? '' : createHmac('sha256', secret).update(body).digest('hex'),
  }),
  needed: ['x-plane-delivery', 'x-plane-event'],
  signatures: ['x-plane-signature'],
  commenter: 'mia',
  ownComment: commented({ external_source: 'orch', external_id: `${ISSUE}:k` }),
  samples: {
    issue: {
      event: 'issue',
      ref: PROJECT,
      body: issueChanged('state'),
      happening: {
        kind: 'issue',
        id: ISSUE,
        issue: null,
      },
    },
    comment: {
      event: 'issue_comment',
      ref: PROJECT,
      body: commented(),
      happening: {
        kind: 'issue-comment',
        issue: ISSUE,
        deleted: false,
        comment: {
          id: COMMENT,
          author: {
            login: MIA,
            isBot: false,
          },
          isOwn: false,
          body: '/orch **retry**',
          createdAt: Date.parse('2026-03-01T08:00:00Z'),
          updatedAt: Date.parse('2026-03-01T08:00:00Z'),
          url: expect.any(String) as string,
        },
      },
    },
  },
})

const parse = (event: string, body: unknown, self: string[] = [], of = driver) =>
  of.webhooks.parse({ event, body: bytes(body), self })

test('each changed field is a hint to look at the issue anew, whoever changed it', () => {
  for (const field of ['state', 'labels', 'description', 'assignees'])
    expect(parse('issue', issueChanged(field), ['mia'])).toMatchObject({ kind: 'happened', ref: PROJECT })
})

test('of a deleted issue the id alone is told, and no project', () => {
  for (const action of ['deleted', 'delete']) {
    const body = { ...issueChanged('', action), data: { id: ISSUE } }
    const happenings = [{ kind: 'issue', id: ISSUE, issue: null }]
    expect(parse('issue', body)).toEqual({ kind: 'happened', ref: '', happenings })
  }
  expect(parse('issue', { ...issueChanged(''), data: { id: ISSUE } }).kind).toBe('rejected')
  expect(parse('issue', { ...issueChanged('', 'deleted'), data: { id: '../../x' } }).kind).toBe('rejected')
})

test('somebody who edits a comment is not taken for who wrote it', () => {
  const other = '5d2c1a7e-90b1-4c1e-8a52-0c9c0f1f2a99'
  const parsed = parse('issue_comment', commented({ actor: other }))
  expect(parsed).toMatchObject({ happenings: [{ comment: { author: { login: other } } }] })
})

test('a signature by an empty secret opens nothing', () => {
  const body = bytes(issueChanged('state'))
  const signature = createHmac('sha256', '').update(body).digest('hex')
  const headers = { 'x-plane-delivery': 'd', 'x-plane-event': 'issue', 'x-plane-signature': signature }
  const verified = driver.webhooks.verify({ headers, body }, { secrets: [''], unsigned: false })
  expect(verified).toMatchObject({ ok: false, status: 401 })
})

test('a deleted comment, and events of cycles, modules and projects, are ignored by name', () => {
  expect(parse('issue_comment', { ...commented(), action: 'deleted', data: { id: COMMENT } }).kind).toBe('ignored')
  for (const event of ['cycle', 'module', 'project', 'cycle_issue', 'intake_issue'])
    expect(parse(event, {})).toMatchObject({ kind: 'ignored', reason: expect.stringContaining(event) as string })
})

test('an author has the name that the tracker knows, not the one that the delivery tells', async () => {
  const opened = await openPlane()
  try {
    const { world } = opened
    const [mia, olga] = [userOf(world, 'mia'), userOf(world, 'olga')]
    const issue = addIssue(world, { name: 'a', description_html: typed('b'), created_by: olga })
    const where = { project: world.project, issue: issue.id }
    const authorOf = (body: Record<string, unknown>): unknown => {
      const parsed = parse('issue_comment', body, [], opened.driver)
      const [happening] = parsed.kind === 'happened' ? parsed.happenings : []
      return happening?.kind === 'issue-comment' ? happening.comment?.author.login : parsed
    }
    // A guest who calls themselves olga.
    const borrowed = {
      ...commented({ ...where, actor: mia }),
      activity: { actor: { ...actor, id: mia, display_name: 'olga' } },
    }
    expect(authorOf(borrowed)).toBe(mia)
    await trackerOf(opened).findIssue(issue.id)
    expect(authorOf(borrowed)).toBe('mia')
  } finally {
    await opened.close()
  }
})
