import { expect, test } from 'vitest'
import { quietOf, quietText } from './quiet.ts'

const MINUTE = 60_000
const limits = { timeLimitMs: 60 * MINUTE, stallMs: 30 * MINUTE }
const at = (startedAt: number, lastActivityAt: number | null) => ({ startedAt, lastActivityAt, limits })

test('a run is named from half of its stall limit on, with the time at which it is ended', () => {
  const run = at(0, 5 * MINUTE)
  expect(quietOf(run, 20 * MINUTE - 1)).toBeNull()
  expect(quietOf(run, 20 * MINUTE)).toEqual({ forMs: 15 * MINUTE, endsAt: 35 * MINUTE })
  expect(quietOf(run, 21 * MINUTE)).toEqual({ forMs: 16 * MINUTE, endsAt: 35 * MINUTE })
})

test('before any output the silence began with the run', () => {
  expect(quietOf(at(MINUTE, null), 16 * MINUTE)).toEqual({ forMs: 15 * MINUTE, endsAt: 31 * MINUTE })
  // Files of a run are made a moment before it is on the books as started, or carry an older time after a copy.
  expect(quietOf(at(MINUTE, 0), 16 * MINUTE)).toEqual({ forMs: 15 * MINUTE, endsAt: 31 * MINUTE })
})

test('a time limit that comes first is the time that is told; one that is overdue is now', () => {
  expect(quietOf(at(0, 40 * MINUTE), 56 * MINUTE)?.endsAt).toBe(60 * MINUTE)
  expect(quietOf(at(0, 0), 90 * MINUTE)?.endsAt).toBe(90 * MINUTE)
})

test('without a policy nothing is known of its limits', () => {
  expect(quietOf({ startedAt: 0, lastActivityAt: null, limits: null }, 90 * MINUTE)).toBeNull()
})

test('the sentence names the agent, how long and until when', () => {
  expect(quietText('claude', { forMs: 16 * MINUTE, endsAt: 7 }, (time) => `T${time}`)).toBe(
    'claude has printed nothing for 16 min; it is ended at T7 unless it goes on',
  )
})
