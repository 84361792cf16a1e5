import { describe, expect, test } from 'vitest'
import { resetIn } from './reset-time.ts'

const NOW = Date.parse('2026-11-21T12:00:00Z')
const [SECOND, MINUTE, HOUR, DAY] = [1_000, 60_000, 3_600_000, 86_400_000] as const

describe('when a limit ends', () => {
  test.each([
    ['try again in 2 days', 2 * DAY],
    ['try again in 3 days 4 hours', 3 * DAY + 4 * HOUR],
    ['Your quota will reset after 12h3m5s.', 12 * HOUR + 3 * MINUTE + 5 * SECOND],
    ['Please try again in 6m0.5s. Visit', 6 * MINUTE + 500],
    ['resets in 1 hour 30 minutes', 90 * MINUTE],
    ['resets in 1 hour, 30 mins and 5 seconds', 90 * MINUTE + 5 * SECOND],
    ['try again in 20ms.', 20],
    ['retry after 1 week', 7 * DAY],
    ['"retryDelay": "34.07s"', 34_070],
    ['retry-after: 30', 30 * SECOND],
    ['{"retry_after_seconds":7}', 7 * SECOND],
    ['retry-after-ms: 1500', 1_500],
    ['retry after 12', 12 * SECOND],
    ['retry-after: 12 x-request-id: 9', 12 * SECOND],
  ])('a wait: %s', (text, ms) => {
    expect(resetIn(text, NOW)).toBe(ms)
  })

  test.each([
    ['resets at 2026-11-21T12:00:05Z', 5 * SECOND],
    ['retry after 2026-11-21T14:00:00.500+01:00', HOUR + 500],
    ['try again at 2026-11-21 13:00:00 UTC', HOUR],
    ['resets at 2026-11-21T11:00:00Z', 0],
    [`x-ratelimit-reset: ${NOW / 1_000 + 60}`, MINUTE],
    [`"resetsAt":${NOW + 60_500}`, 60_500],
    [`usage limit reached|${NOW / 1_000 + 5}`, 5 * SECOND],
  ])('a moment: %s', (text, ms) => {
    expect(resetIn(text, NOW)).toBe(ms)
  })

  test.each([
    ['resets 3pm (UTC)', 3 * HOUR],
    ['resets 3:15pm (Europe/Berlin)', 2 * HOUR + 15 * MINUTE],
    ['resets at 15:15 (Europe/Berlin)', 2 * HOUR + 15 * MINUTE],
    ['resets 9am (UTC)', 21 * HOUR],
    ['resets 12am (UTC)', 12 * HOUR],
    ['resets 12pm (UTC)', 0],
    ['resets Nov 23, 3pm (UTC)', 2 * DAY + 3 * HOUR],
    ['resets Jan 2 at 3:30pm (UTC)', 42 * DAY + 3.5 * HOUR],
    ['resets Nov 21, 11am (UTC)', 0],
    ['resets Nov 23rd, 2027 12:00 PM (UTC)', 367 * DAY],
    // Over the end of its summer time.
    ['resets Mar 28, 2027 12:00 PM (Europe/Berlin)', Date.parse('2027-03-28T10:00:00Z') - NOW],
  ])('a time of day: %s', (text, ms) => {
    expect(resetIn(text, NOW)).toBe(ms)
  })

  test.each(['resets 3pm', 'resets 3pm (Nowhere/Land)', "You've hit your 5-hour limit · resets 3pm"])(
    "without a zone that is known it is this machine's: %s",
    (text) => {
      const now = new Date(2026, 10, 21, 10, 0)
      expect(resetIn(text, now.getTime())).toBe(new Date(2026, 10, 21, 15, 0).getTime() - now.getTime())
    },
  )

  test.each([
    'rate limit',
    'try again later',
    'try again in 5 attempts',
    'retry after 2 months',
    'resets 25:00',
    'resets 3',
  ])('what does not say it: %s', (text) => {
    expect(resetIn(text, NOW)).toBeNull()
  })
})
