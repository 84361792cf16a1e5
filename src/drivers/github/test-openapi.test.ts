// The judge itself: a description whose constraints were lost on the way would let everything pass.

import { describe, expect, test } from 'vitest'
import { readDescription } from './test-openapi.ts'

const api = readDescription()
const R = '/repos/{owner}/{repo}'

/** For each request with a body that the driver sends: one that GitHub refuses. */
const BAD_REQUESTS: Record<string, unknown> = {
  'POST /app/installations/{installation_id}/access_tokens': { repositories: 'all' },
  [`PATCH ${R}/issues/{issue_number}`]: { state: 'done' },
  [`POST ${R}/issues/{issue_number}/comments`]: { body: 7 },
  [`PATCH ${R}/issues/comments/{comment_id}`]: {},
  [`POST ${R}/issues/comments/{comment_id}/reactions`]: { content: 'thumbs' },
  [`POST ${R}/pulls/comments/{comment_id}/reactions`]: { content: null },
  [`POST ${R}/issues/{issue_number}/labels`]: { labels: 7 },
  [`POST ${R}/labels`]: { color: 'ff0000' },
  [`POST ${R}/pulls`]: { title: 'a', head: 'b' },
  [`PATCH ${R}/pulls/{pull_number}`]: { state: 'merged' },
  [`PUT ${R}/pulls/{pull_number}/merge`]: { merge_method: 'fast-forward' },
  [`POST ${R}/pulls/{pull_number}/reviews`]: { event: 'LGTM' },
  [`PUT ${R}/pulls/{pull_number}/reviews/{review_id}`]: {},
  [`POST ${R}/pulls/{pull_number}/comments/{comment_id}/replies`]: { body: null },
  [`POST ${R}/pulls/{pull_number}/requested_reviewers`]: { reviewers: 'mia' },
  [`POST ${R}/hooks`]: { events: 'push' },
  [`PATCH ${R}/hooks/{hook_id}`]: { active: 'yes' },
}

describe('the official description', () => {
  test.each(Object.entries(BAD_REQUESTS))('%s refuses a bad body', (operation, body) => {
    expect(api.judgeRequest(operation, { query: [], body })).toContain(operation)
  })

  test('every operation in use that takes a body is among these', () => {
    const writes = api.operations().filter((operation) => /^(POST|PUT|PATCH) /.test(operation))
    expect(writes.toSorted()).toEqual(Object.keys(BAD_REQUESTS).toSorted())
  })

  test.each(api.operations())('%s refuses a bad answer, and takes the plainest good one', (operation) => {
    const status = [200, 201, 302].find((one) => api.describes(operation, one)) ?? 204
    if (status === 302) return expect(api.judgeAnswer(operation, { status, body: 7 })).toContain(operation)
    for (const body of [7, 'x']) expect(api.judgeAnswer(operation, { status, body })).toContain(operation)
    const good = api.complete(operation, status, undefined)
    expect(api.judgeAnswer(operation, { status, body: good })).toBeNull()
  })

  test('a field or a query that is not described is seen', () => {
    const operation = `POST ${R}/pulls`
    const body = { title: 'a', head: 'b', base: 'main', colour: 'red' }
    expect(api.judgeRequest(operation, { query: [], body })).toContain('colour')
    expect(api.judgeRequest(`GET ${R}/pulls`, { query: ['heads'], body: undefined })).toContain('heads')
  })

  test('what may be null may be null, and nothing else', () => {
    const operation = `GET ${R}/issues/{issue_number}`
    const issue = api.complete(operation, 200, {}) as Record<string, unknown>
    expect(api.judgeAnswer(operation, { status: 200, body: { ...issue, body: null, user: null } })).toBeNull()
    expect(api.judgeAnswer(operation, { status: 200, body: { ...issue, user: 'mia' } })).not.toBeNull()
    expect(api.judgeAnswer(operation, { status: 200, body: { ...issue, title: null } })).not.toBeNull()
  })
})
