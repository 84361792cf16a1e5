// What bad answers, and a world that moves, come to.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ExternalError } from '../../lib/errors.ts'
import { badAnswersContract } from '../bad-answers.contract.ts'
import type { Tracker } from '../driver.ts'
import { makeGithubDriver } from './driver.ts'
import { rename, TOKEN } from './fake-github.ts'
import { addIssue, type FakeState } from './fake-github-state.ts'
import { openForge, openGithub, type Opened } from './fake-github-world.ts'

let opened: Opened
let state: FakeState
let tracker: Tracker

beforeEach(async () => {
  opened = await openGithub()
  ;({ state } = opened.fake)
  tracker = opened.driver.tracker('acme/shop') as Tracker
})
afterEach(() => opened.close())

async function failure(work: Promise<unknown>): Promise<ExternalError> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof ExternalError)) throw new Error(`not an ExternalError: ${String(error)}`)
  expect(error.message).not.toContain(TOKEN)
  return error
}

const every = (): boolean => true
const words = (text: string): string => expect.stringContaining(text) as string

const REFUSALS: [string, number, unknown, Record<string, string>, string, string][] = [
  [
    'a token that is not valid',
    401,
    { message: 'Bad credentials' },
    {},
    'auth',
    'the credential of configuration is not valid',
  ],
  [
    'a token without the scope',
    403,
    { message: 'Resource not accessible by personal access token' },
    { 'x-accepted-github-permissions': 'issues=write', 'x-ratelimit-remaining': '4000' },
    'auth',
    'needs the permission issues=write',
  ],
  [
    'an older token without the scope',
    403,
    { message: 'Must have admin rights' },
    { 'x-accepted-oauth-scopes': 'repo' },
    'auth',
    'needs one of the scopes repo',
  ],
  ['a conflict', 409, { message: 'Conflict' }, {}, 'conflict', 'Conflict'],
  [
    'a field that is wrong',
    422,
    {
      message: 'Validation Failed',
      errors: [{ resource: 'Issue', field: 'title', code: 'missing_field' }, 'and more'],
    },
    {},
    'rejected',
    'Validation Failed; Issue title missing_field; and more',
  ],
  ['a server that is ill', 502, { message: 'Server Error' }, {}, 'unreachable', 'answered 502'],
  ['a page of HTML', 403, '<html>blocked by your company</html>', {}, 'unreachable', 'no JSON'],
  ['an answer that lacks what it must have', 200, { number: 1 }, {}, 'rejected', 'title'],
]

describe('refusals, each by its reason', () => {
  test.each(REFUSALS)('%s', async (_name, status, body, headers, kind, text) => {
    opened.proxy.answerNext(every, { status, body, headers: headers as Record<string, string> })
    expect(await failure(tracker.findIssue('1'))).toMatchObject({ kind, message: words(text) })
  })

  test('a cut connection, and one that hangs', async () => {
    opened.proxy.answerNext(every, 'cut')
    expect(await failure(tracker.findIssue('1'))).toMatchObject({ kind: 'unreachable' })
    const hasty = makeGithubDriver({
      apiUrl: opened.proxy.url,
      auth: { token: TOKEN, env: {} },
      now: Date.now,
      timeoutMs: 100,
    })
    opened.proxy.answerNext(every, 'hang')
    expect(await failure((hasty.tracker('acme/shop') as Tracker).findIssue('1'))).toMatchObject({ kind: 'timed-out' })
  })

  test('a GraphQL refusal that comes as a success', async () => {
    const { forge, world } = openForge(opened)
    const head = await world.push('orch/shop-1')
    const request = {
      project: 'SHOP',
      task: 'SHOP-1',
      branch: 'orch/shop-1',
      base: 'main',
      head,
      title: 'a',
      body: 'b',
    }
    await forge.ensureChange({ ...request, draft: true })
    const fits = ({ path }: { path: string }): boolean => path === '/graphql'
    const answer = (type: string) => ({ status: 200, body: { data: null, errors: [{ type, message: 'no' }] } })
    for (const [type, kind] of [
      ['FORBIDDEN', 'auth'],
      ['RATE_LIMITED', 'rate-limited'],
      ['UNPROCESSABLE', 'rejected'],
    ] as const) {
      opened.proxy.answerNext(fits, answer(type))
      expect(await failure(forge.ensureChange({ ...request, draft: false }))).toMatchObject({ kind })
    }
    expect(await forge.findChange('SHOP-1')).toMatchObject({ draft: true })
    await forge.ensureChange({ ...request, draft: false })
    expect(await forge.findChange('SHOP-1')).toMatchObject({ draft: false })
    await forge.ensureChange({ ...request, draft: true })
    expect(await forge.findChange('SHOP-1')).toMatchObject({ draft: true })
  })
})

describe('limits are never taken for a missing right', () => {
  const inTwoMinutes = Math.floor(Date.now() / 1_000) + 120
  test.each([
    ['429 with seconds', 429, { message: 'x' }, { 'retry-after': '30' }, [30_000, 30_000]],
    [
      '429 with a date',
      429,
      { message: 'x' },
      { 'retry-after': new Date(Date.now() + 90_000).toUTCString() },
      [60_000, 90_000],
    ],
    ['429 without', 429, { message: 'x' }, {}, [60_000, 60_000]],
    ['429 in HTML', 429, '<html>slow down</html>', {}, [60_000, 60_000]],
    [
      'a spent budget',
      403,
      { message: 'API rate limit exceeded' },
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(inTwoMinutes) },
      [90_000, 121_000],
    ],
    [
      'a spent budget whose time is over',
      403,
      { message: 'API rate limit exceeded' },
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1' },
      [60_000, 60_000],
    ],
    [
      'a secondary limit',
      403,
      { message: 'You have exceeded a secondary rate limit' },
      { 'x-ratelimit-remaining': '4000' },
      [60_000, 60_000],
    ],
    ['a secondary limit with a time', 403, { message: 'slow' }, { 'retry-after': '7' }, [7_000, 7_000]],
    [
      'a secondary limit that only its link names',
      403,
      {
        message: 'Please wait',
        documentation_url: 'https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#secondary',
      },
      {},
      [60_000, 60_000],
    ],
  ])('%s', async (_name, status, body, headers, [least = 0, most = 0]) => {
    opened.proxy.answerNext(every, { status, body, headers: headers as Record<string, string> })
    const error = await failure(tracker.findIssue('1'))
    expect(error.kind).toBe('rate-limited')
    expect(error.retryAfterMs).toBeGreaterThanOrEqual(least)
    expect(error.retryAfterMs).toBeLessThanOrEqual(most)
  })

  test('the budget is told by each answer, and GraphQL has another', async () => {
    expect(opened.driver.quota()).toBeNull()
    await tracker.trustOf('mia')
    expect(opened.driver.quota()).toEqual({ limit: 5_000, remaining: 4_990, resetAt: 1_900_000_000_000 })
    const headers = {
      'x-ratelimit-limit': '5000',
      'x-ratelimit-remaining': '1',
      'x-ratelimit-reset': '5',
      'x-ratelimit-resource': 'graphql',
    }
    opened.proxy.answerNext(every, { status: 404, body: {}, headers })
    await tracker.trustOf('mia')
    expect(opened.driver.quota()?.remaining).toBe(4_990)
  })
})

describe('a list that has not changed costs nothing', () => {
  test('of one page and of several', async () => {
    for (const count of [2, 110]) {
      while (state.issues.size < count) addIssue(state, { title: 'a', user: 'olga' })
      const first = await tracker.listIssues({ since: null })
      const before = opened.driver.counts()
      const again = await tracker.listIssues({ since: null })
      expect(again).toEqual({ unchanged: true, issues: first.issues })
      const after = opened.driver.counts()
      expect(after.requests - before.requests).toBe(after.unchanged - before.unchanged)
    }
    addIssue(state, { title: 'new', user: 'olga' })
    expect((await tracker.listIssues({ since: null })).unchanged).toBe(false)
  })
})

describe('issues that are elsewhere', () => {
  test('a pull request is no issue', async () => {
    const { forge, world } = openForge(opened)
    const head = await world.push('b')
    const change = await forge.ensureChange({
      project: 'P',
      task: 'P-1',
      branch: 'b',
      base: 'main',
      head,
      title: 'a',
      body: 'b',
    })
    expect(await tracker.findIssue(String(change.number))).toBeNull()
    expect((await tracker.listIssues({ since: null })).issues).toEqual([])
  })

  test('one that was moved to another repository is gone', async () => {
    state.transferred.set(1, 'acme/other')
    expect(await tracker.findIssue('1')).toBeNull()
  })

  test('those of a repository that was renamed are still there, and it says its new name', async () => {
    const { number } = addIssue(state, { title: 'a', user: 'olga' })
    rename(state, 'acme/store')
    expect(await tracker.findIssue(String(number))).toMatchObject({ title: 'a' })
    expect(await opened.driver.findProject('acme/shop')).toMatchObject({ ref: 'acme/store', defaultBranch: 'main' })
    await tracker.ensureComment(String(number), { key: 'k', body: 'Still here.', role: null })
    expect(state.issues.get(number)?.comments).toHaveLength(1)
    expect(await opened.driver.findProject('acme/unknown')).toBeNull()
  })

  test.each(['', '0', '-1', '1/../2', '../../user', '1?x', 'abc', '1e3'])('%j is no id', async (id) => {
    addIssue(state, { title: 'a', user: 'olga' })
    expect(await tracker.findIssue(id)).toBeNull()
  })

  test.each(['acme', 'acme/shop/x', '../user', 'acme/..', 'acme/sh op', 'acme/shop?x'])(
    '%j is no repository',
    (ref) => {
      expect(() => opened.driver.tracker(ref)).toThrow('owner/name')
    },
  )

  test('blockers: links, parts and words, of this repository only', async () => {
    const body = 'Blocked by #1\n- [ ] #2'
    for (const title of ['a', 'b', 'c', 'd']) addIssue(state, { title, user: 'olga' })
    const { number } = addIssue(state, { title: 'e', user: 'olga', body, blockedBy: [3, -7], parts: [4] })
    expect((await tracker.findIssue(String(number)))?.blockedBy).toEqual(['1', '2', '3', '4'])
    expect((await tracker.listIssues({ since: null })).issues.at(-1)?.blockedBy).toEqual(['1', '2', '3', '4'])
  })
})

test('a change of a repository that was renamed is still its task’s, by the old name and by the new', async () => {
  const { forge, memory, world } = openForge(opened)
  const head = await world.push('orch/p-1')
  const text = { title: 'a', body: 'b' }
  const { number } = await forge.ensureChange({
    project: 'P',
    task: 'P-1',
    branch: 'orch/p-1',
    base: 'main',
    head,
    ...text,
  })
  rename(state, 'acme/store')
  for (const ref of ['acme/shop', 'acme/store']) {
    const asked = opened.driver.forge(ref, memory)
    expect(await asked?.taskOf(number)).toBe('P-1')
    expect(await asked?.findChange('P-1')).toMatchObject({ number, state: 'open', url: words('/acme/store/pull/') })
    expect(await asked?.listReviews('P-1')).toEqual([])
  }
  // Asked about once, not at each look.
  const asked = opened.driver.forge('acme/store', memory)
  await asked?.taskOf(number)
  const before = opened.proxy.asked().length
  expect(await asked?.taskOf(number)).toBe('P-1')
  expect(opened.proxy.asked()).toHaveLength(before)
  expect(await forge.merge({ task: 'P-1', head, method: 'merge', title: 't', message: 'm' })).toMatchObject({
    ok: true,
  })
})

badAnswersContract('github', async () => {
  const world = await openGithub({ timeoutMs: 1_000 })
  const { forge, world: git } = openForge(world)
  const head = await git.push('orch/shop-1')
  const request = { project: 'SHOP', task: 'SHOP-1', branch: 'orch/shop-1', base: 'main', head, title: 'a', body: 'b' }
  const { number } = await forge.ensureChange(request)
  const issue = String(addIssue(world.fake.state, { title: 'a', user: 'olga' }).number)
  const ref = 'acme/shop'
  const change = { forge, branch: request.branch, head, number }
  return { ...world, ref, tracker: world.driver.tracker(ref) as Tracker, forge: change, token: TOKEN, issue }
})
