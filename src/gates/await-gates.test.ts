// Judging CI and people's reviews from what a forge says of one head.

import { expect, test } from 'vitest'
import type { ChangeReview, Check, Checks, ReviewThread } from '../drivers/driver.ts'
import { ciGate } from './ci.ts'
import type { AwaitInput } from './gate.ts'
import { reviewsGate } from './reviews.ts'

const HEAD = 'a'.repeat(40)
const DAY = 24 * 3_600_000

interface Said {
  checks?: Checks
  reviews?: Partial<ChangeReview>[]
  threads?: ReviewThread[]
  waited?: number
  strangers?: string[]
}

function input({ checks, reviews = [], threads = [], waited = 0, strangers = [] }: Said): AwaitInput {
  return {
    headSha: HEAD,
    since: 1_000,
    now: 1_000 + waited,
    forge: {
      checks: async () => checks ?? { state: 'none', checks: [] },
      reviews: async () =>
        reviews.map((review, n) => ({
          id: String(n),
          author: { login: 'ann', isBot: false },
          sha: HEAD,
          verdict: 'approve' as const,
          body: '',
          at: n,
          url: `https://forge/${n}`,
          ...review,
        })),
      threads: async () => threads,
      isTrusted: async (login) => !strangers.includes(login),
    },
  }
}

const check = (name: string, state: Check['state'], text: string | null = null): Check => ({
  name,
  state,
  url: null,
  text,
})

test('CI still pending one second too early is waited for, never failed', async () => {
  const pending: Checks = { state: 'pending', checks: [check('build', 'passed'), check('test', 'pending')] }
  for (const waited of [0, 119_000, 120_000, 121_000, DAY - 1]) {
    expect(await ciGate.collect(input({ checks: pending, waited }))).toMatchObject({ result: 'wait', waitFor: 'ci' })
  }
  expect(await ciGate.collect(input({ checks: pending, waited: DAY }))).toMatchObject({
    result: 'unknown',
    reason: 'ci-timeout',
    retryable: false,
  })
})

test('nothing reported is not green: it is waited for, and then a person looks', async () => {
  expect(await ciGate.collect(input({ waited: 600_000 }))).toMatchObject({ result: 'wait', waitFor: 'ci' })
  expect(await ciGate.collect(input({ waited: DAY }))).toMatchObject({ result: 'unknown', reason: 'ci-timeout' })
})

test('one failed check fails at once, whatever still runs, with the end of its log', async () => {
  const log = `${'x'.repeat(20_000)}the end`
  const checks: Checks = { state: 'failed', checks: [check('lint', 'failed', log), check('test', 'pending')] }
  const judged = await ciGate.collect(input({ checks }))
  expect(judged).toMatchObject({ result: 'fail', note: '`lint` failed' })
  expect(judged.findings).toHaveLength(1)
  expect(judged.findings[0]?.text.endsWith('the end')).toBe(true)
  expect(judged.findings[0]?.text.length).toBeLessThan(8_100)
})

test('all passed is a pass', async () => {
  const checks: Checks = { state: 'passed', checks: [check('test', 'passed'), check('docs', 'skipped')] }
  expect(await ciGate.collect(input({ checks }))).toMatchObject({ result: 'pass' })
})

test('one who asks for changes outweighs all who approve; the threads come word for word with file, line and diff', async () => {
  const thread: ReviewThread = {
    id: 't',
    resolved: false,
    file: 'src/a.ts',
    line: 7,
    diff: '@@ -1 +1 @@\n-a\n+b',
    comments: [
      {
        id: '1',
        author: { login: 'bob', isBot: false },
        isOwn: false,
        body: 'No.',
        url: '',
        createdAt: 1,
        updatedAt: 1,
      },
    ],
  }
  const judged = await reviewsGate.collect(
    input({
      reviews: [{}, { author: { login: 'bob', isBot: false }, verdict: 'request_changes', body: 'Please mend' }],
      threads: [thread],
    }),
  )
  expect(judged).toMatchObject({ result: 'fail', note: 'bob asked for changes in 1 thread(s)' })
  expect(judged.findings).toEqual([
    { gate: 'review', severity: 'P1', text: 'bob wrote:\nPlease mend' },
    {
      gate: 'review',
      severity: 'P1',
      text: 'At this place:\n@@ -1 +1 @@\n-a\n+b\n\nbob wrote:\nNo.',
      file: 'src/a.ts',
      line: 7,
    },
  ])
})

test('a request for changes without a word still says who to ask', async () => {
  const judged = await reviewsGate.collect(input({ reviews: [{ verdict: 'request_changes' }] }))
  expect(judged.findings[0]?.text).toContain('https://forge/0')
})

test('the latest word of each counts; a comment takes none back', async () => {
  const ann = { login: 'ann', isBot: false }
  const changed = [{ verdict: 'request_changes' as const }, { verdict: 'approve' as const }]
  expect(await reviewsGate.collect(input({ reviews: changed }))).toMatchObject({ result: 'pass' })
  const commented = [{ verdict: 'request_changes' as const }, { verdict: 'comment' as const, author: ann }]
  expect(await reviewsGate.collect(input({ reviews: commented }))).toMatchObject({ result: 'fail' })
})

test('S8: a review of an earlier head, of a bot or of somebody without rights judges nothing', async () => {
  for (const [reviews, strangers] of [
    [[{ sha: 'b'.repeat(40) }], []],
    [[{ sha: null }], []],
    [[{ author: { login: 'ci', isBot: true } }], []],
    [[{ author: { login: 'eve', isBot: false } }], ['eve']],
    [[{ author: { login: 'eve', isBot: false }, verdict: 'request_changes' as const }], ['eve']],
  ] as const)
    expect(await reviewsGate.collect(input({ reviews: [...reviews], strangers: [...strangers] }))).toMatchObject({
      result: 'wait',
      waitFor: 'review',
    })
})

test('S8: a word on an earlier head that comes late takes none back that was said of this one', async () => {
  const late = [{ verdict: 'approve' as const }, { verdict: 'request_changes' as const, sha: 'e'.repeat(40) }]
  expect(await reviewsGate.collect(input({ reviews: late }))).toMatchObject({ result: 'pass' })
})

test('a review is waited for a week, then a person is told', async () => {
  expect(await reviewsGate.collect(input({ waited: 7 * DAY - 1 }))).toMatchObject({ result: 'wait' })
  expect(await reviewsGate.collect(input({ waited: 7 * DAY }))).toMatchObject({ reason: 'review-timeout' })
})
