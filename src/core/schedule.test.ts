import fc from 'fast-check'
import { expect, test } from 'vitest'
import { newAccount } from './account.ts'
import type { EffectKind } from './messages.ts'
import { mayBegin, queueEffect, rank } from './schedule.ts'
import { POLICY, started, taskIn } from './test-spec.ts'
import { EMPTY_TRAIN, enter, leave, plan, settle } from './train.ts'

const HOUR = 3_600_000

test('at the same moment a higher priority goes first', () => {
  expect(rank(1, 1_000)).toBeLessThan(rank(0, 1_000))
})

test('L3: age bounds order: what has waited longer than its priority is behind goes first', () => {
  fc.assert(
    fc.property(fc.integer({ min: -5, max: 5 }), fc.integer({ min: -5, max: 5 }), fc.nat(1_000), (low, high, extra) => {
      const behind = Math.max(0, high - low)
      expect(rank(low, 0)).toBeLessThanOrEqual(rank(high, behind * HOUR + extra))
    }),
  )
})

test('a limited account begins nothing until its limit is over', () => {
  const account = { ...newAccount('bot'), limitedUntil: 5_000, limitReason: 'rate-limit' }
  expect(mayBegin(account, 4_999)).toEqual({ ok: false, until: 5_000, why: 'is limited (rate limit)' })
  expect(mayBegin(account, 5_000)).toEqual({ ok: true, canary: false, why: '' })
  expect(mayBegin(null, 0)).toMatchObject({ ok: true })
})

const entry = (task: string) => ({ task, epoch: 1, sha: task, enteredAt: 0 })

test('the train is first in, first out; entering again keeps the place and takes the new head', () => {
  let train = enter(enter(EMPTY_TRAIN, entry('a')), entry('b'))
  train = enter(train, { ...entry('a'), sha: 'a2', enteredAt: 9 })
  expect(plan(train)).toEqual([{ prefix: [{ task: 'a', epoch: 1, sha: 'a2', enteredAt: 0 }] }])
  expect(plan(leave(train, 'a'))).toEqual([{ prefix: [entry('b')] }])
  expect(plan(EMPTY_TRAIN)).toEqual([])
})

test('S11: a red is looked at twice before the change is rejected; a green lands', () => {
  const test = { prefix: [entry('a')] }
  expect(settle(test, { green: false, reds: 1 }).kind).toBe('again')
  expect(settle(test, { green: false, reds: 2 })).toEqual({ kind: 'reject', entry: entry('a') })
  expect(settle(test, { green: true, reds: 1 }).kind).toBe('land')
})

test('S6, S10: landings and verifications go one at a time, runs up to the project’s limit, each project by itself', () => {
  const task = taskIn(started())
  const laneOf = (kind: EffectKind, more: Partial<typeof task> = {}): [string, number] => {
    const effect = { kind, task: 'T-1', epoch: 1 } as Parameters<typeof queueEffect>[0]
    const { lane, laneCapacity } = queueEffect(effect, { ...task, ...more }, { now: 1 })
    return [lane, laneCapacity]
  }
  expect(laneOf('land')).toEqual(['land:T', 1])
  expect(laneOf('run')).toEqual(['run:T', 4])
  expect(laneOf('judge')).toEqual(['judge:T', 1])
  expect(laneOf('judge', { policy: { ...POLICY, verifyParallel: true } })).toEqual(['judge:T', 4])
  expect(laneOf('run', { project: 'U' })[0]).toBe('run:U')
})

test('S11: nobody is blamed for a predecessor: a red of several together rejects none of them', () => {
  const [a, b] = ['A', 'B'].map((task) => ({ task, epoch: 3, sha: task, enteredAt: 1 }))
  if (!a || !b) throw new Error('no entries')
  const test = { prefix: [a, b] }
  expect(settle(test, { green: false, reds: 5 })).toEqual({ kind: 'again', prefix: [a, b] })
  expect(plan({ entries: [a, b] })).toEqual([{ prefix: [a] }])
  expect(leave({ entries: [a, b] }, 'A')).toEqual({ entries: [b] })
})
