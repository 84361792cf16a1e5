import { expect, test } from 'vitest'
import { describeStatus } from './describe-status.ts'
import { shortTime } from './time.ts'

test('a status says what is waited for and until when, in whichever form the time comes', () => {
  const task = { status: 'waiting', waitingFor: 'limit', paused: false }
  const far = new Date(2030, 0, 2, 14, 5)
  expect(describeStatus({ ...task, waitingUntil: far.getTime() })).toBe('waiting for limit until 2030-01-02 14:05')
  expect(describeStatus({ ...task, waitingUntil: far.toISOString() })).toBe('waiting for limit until 2030-01-02 14:05')
  expect(describeStatus({ ...task, waitingUntil: null })).toBe('waiting for limit')
  expect(describeStatus({ ...task, status: 'queued', waitingUntil: far.getTime() })).toBe('queued')
})

test('a time of today needs no date', () => {
  expect(shortTime(new Date(2030, 0, 2, 4, 5), new Date(2030, 0, 2, 23, 59))).toBe('04:05')
  expect(shortTime(new Date(2030, 0, 3, 0, 0), new Date(2030, 0, 2, 23, 59))).toBe('2030-01-03 00:00')
})
