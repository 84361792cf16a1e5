// Whether Plane's own client takes the played Plane for one.

import { PlaneClient } from '@makeplane/plane-node-sdk'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { TOKEN } from './fake-plane-state.ts'
import { openPlane, type Opened, trackerOf } from './fake-plane-world.ts'

let opened: Opened
let client: PlaneClient
let at: [string, string]
beforeEach(async () => {
  opened = await openPlane()
  client = new PlaneClient({ baseUrl: opened.fake.url, apiKey: TOKEN })
  at = [opened.world.slug, opened.world.project]
})
afterEach(() => opened.close())

test('people and places', async () => {
  expect(await client.users.me()).toMatchObject({ display_name: 'orch-bot' })
  expect(await client.projects.retrieve(...at)).toMatchObject({ id: opened.world.project, identifier: 'SHOP' })
  expect((await client.projects.getMembers(...at)).find(({ role }) => role === 20)?.display_name).toBe('olga')
})

test('an issue is made, listed over pages, moved and labelled, and the driver reads it so', async () => {
  const { id: label } = await client.labels.create(...at, { name: 'bug' })
  const { results: states } = await client.states.list(...at)
  const doing = states.find(({ name }) => name === 'Doing')
  const made = await client.workItems.create(...at, {
    name: 'Round totals',
    description_html: '<p>Once, <strong>at the end</strong>.</p><script>alert(1)</script>',
    priority: 'urgent',
  })
  await client.workItems.create(...at, { name: 'Other' })
  const first = await client.workItems.list(...at, { per_page: 1, order_by: 'created_at' })
  expect(first).toMatchObject({ total_count: 2, next_page_results: true, results: [{ id: made.id }] })
  const second = await client.workItems.list(...at, {
    per_page: 1,
    order_by: 'created_at',
    cursor: String(first.next_cursor),
  })
  expect(second).toMatchObject({ next_page_results: false, results: [{ name: 'Other' }] })
  await client.workItems.update(...at, made.id, { state: String(doing?.id), labels: [String(label)] })
  expect(await trackerOf(opened).findIssue(made.id)).toMatchObject({
    title: 'Round totals',
    body: 'Once, **at the end**.',
    column: 'Doing',
    state: 'open',
    labels: ['bug'],
    priority: 'urgent',
    number: 1,
  })
})

test('comments, relations and what is deleted', async () => {
  const issue = await client.workItems.create(...at, { name: 'a' })
  const other = await client.workItems.create(...at, { name: 'b' })
  await client.workItems.comments.create(...at, issue.id, { comment_html: '<p>Hello</p>' })
  await trackerOf(opened).ensureComment(issue.id, { key: 'k', body: 'Ours', role: null })
  // Its types call this a list; the server gives a page.
  const page: { results?: unknown } = (await client.workItems.comments.list(...at, issue.id)) as object
  expect(page.results).toMatchObject([
    { comment_html: '<p>Ours</p>', external_source: 'orch', external_id: `${issue.id}:k` },
    { comment_html: '<p>Hello</p>' },
  ])
  await client.workItems.relations.create(...at, issue.id, { relation_type: 'blocked_by', issues: [other.id] })
  expect(await trackerOf(opened).findIssue(issue.id)).toMatchObject({ blockedBy: [other.id] })
  await client.workItems.delete(...at, other.id)
  expect(await trackerOf(opened).findIssue(other.id)).toBeNull()
})

test('a pair of external ids is one issue, asked for by it and told when it is there already', async () => {
  const made = await client.workItems.create(...at, {
    name: 'a',
    ...({
      external_id: '7',
      external_source: 'csv',
    } as object),
  })
  expect(await client.workItems.list(...at, { external_id: '7', external_source: 'csv' })).toMatchObject({
    id: made.id,
  })
  const again = client.workItems.create(...at, {
    name: 'a',
    ...({
      external_id: '7',
      external_source: 'csv',
    } as object),
  })
  await expect(again).rejects.toMatchObject({ statusCode: 409, response: { id: made.id } })
})
