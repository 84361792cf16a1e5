// Whose fault it was, and what it costs: only the code's own failures send work back (S13), each repeat has its budget (S10).

import { describe, expect, test } from 'vitest'
import type { Trouble } from './messages.ts'
import { backoffMs } from './policy.ts'
import type { RunFailure, RunOutcome } from './run.ts'
import {
  HEAD,
  MAKE_GREEN,
  POLICY,
  type World,
  atLanding,
  effectKinds,
  eventTypes,
  inReview,
  judging,
  report,
  started,
  taskIn,
  verdict,
  when,
} from './test-spec.ts'

const failed = (code: RunFailure): RunOutcome => ({ kind: 'failed', code, text: code, exitCode: 1 })

/** What the end of the first run leads to. */
function endedBy(outcome: RunOutcome): World {
  const w = started()
  return when(w, report(w).end({ outcome }))
}

describe('S13: a run that ended', () => {
  test.each([
    { kind: 'timed-out', text: 'an hour' },
    { kind: 'could-not-start', text: 'no program' },
    { kind: 'lost', text: 'the machine went down' },
    failed('crash'),
    failed('context-overflow'),
    failed('output-flood'),
    failed('malformed-stream'),
  ] satisfies RunOutcome[])('$kind $code is repeated as infrastructure', (outcome) => {
    const w = endedBy(outcome)
    expect(taskIn(w)).toMatchObject({ status: 'waiting', waitingFor: 'timer', stage: 'make', findings: [] })
    expect(taskIn(w).attempts).toEqual({ code: 0, transient: 0, infra: 1 })
    expect(eventTypes(w.last)).not.toContain('task.sent_back')
  })

  test.each(['rate-limit', 'overload'] as const)('by %s is waited out in a budget of its own', (code) => {
    const w = endedBy(failed(code))
    expect(taskIn(w)).toMatchObject({ status: 'waiting', waitingFor: 'limit' })
    expect(taskIn(w).attempts).toEqual({ code: 0, transient: 1, infra: 0 })
  })

  test.each(['auth', 'model-unavailable', 'permission', 'missing-tool', 'waiting-for-input'] as const)(
    'by %s needs a person at once',
    (code) => {
      const w = endedBy(failed(code))
      expect(taskIn(w)).toMatchObject({ status: 'needs_review', reason: { code: `agent-${code}` } })
      expect(taskIn(w).attempts).toEqual({ code: 0, transient: 0, infra: 0 })
    },
  )

  test('with nothing to show for it is infrastructure too', () => {
    const w = when(started(), report(started()).end({ headSha: null }))
    expect(taskIn(w)).toMatchObject({ status: 'waiting', attempts: { code: 0, infra: 1 } })
  })
})

test('S13: a gate that could not judge is asked again, or holds, and sends nothing back', () => {
  const at = when(started(), report(started()).end())
  const unsure = (retryable: boolean) =>
    judging(at, [
      verdict('changes', 'make', 'pass'),
      verdict('verify', 'make', 'unknown', { retryable, reason: 'verify-timeout' }),
    ])
  expect(taskIn(unsure(true))).toMatchObject({
    status: 'waiting',
    attempts: { code: 0, infra: 1 },
    step: { kind: 'judge' },
  })
  expect(taskIn(unsure(false))).toMatchObject({ status: 'needs_review', attempts: { code: 0, infra: 0 } })
})

test('S10: a repeat is not before its back-off, and each is longer, up to a bound', () => {
  let w = started()
  for (const waited of [5_000, 10_000]) {
    w = when(w, report(w).trouble({ class: 'infra', code: 'git-unreachable', text: 'no route' }))
    const at = w.now + waited
    expect(w.last.ok && w.last.effects.at(-1)).toMatchObject({ effect: { kind: 'run' }, runAt: at })
    expect(taskIn(w).waitingUntil).toBe(at)
    w = when(w, report(w).begin)
  }
  expect([6, 20, 1_000].map((attempt) => backoffMs(attempt))).toEqual([300_000, 300_000, 300_000])
})

test('S10: three budgets are three: none is spent by the others, and only a pass fills the repeats up again', () => {
  let w = started()
  w = when(w, report(w).trouble({ class: 'infra', code: 'x', text: 'x' }))
  w = when(when(w, report(w).begin), report(w).run())
  w = when(w, report(w).end({ outcome: { ...failed('overload'), retryAfterMs: 1_000 } as RunOutcome }))
  expect(taskIn(w).attempts).toEqual({ code: 0, transient: 1, infra: 1 })
  w = { ...w, now: w.now + 60_000 }
  w = when(when(w, report(w).begin), report(w).run())
  w = when(w, report(w).end())
  expect(taskIn(w).attempts).toEqual({ code: 0, transient: 1, infra: 1 })
  w = judging(w, MAKE_GREEN)
  expect(taskIn(w).attempts).toEqual({ code: 0, transient: 0, infra: 0 })
})

describe('what is red on main', () => {
  const red: Trouble = { class: 'code', code: 'red-on-main', text: 'FAIL', findings: [] }

  test('L2: gives up its place in the train and lets the next one land', () => {
    const w = atLanding()
    const next = { task: 'T-2', epoch: 7, sha: HEAD, enteredAt: w.now }
    const { repository } = w.state
    const queue = { ...repository, train: { entries: [...repository.train.entries, next] } }
    const back = when({ ...w, state: { ...w.state, repository: queue } }, report(w).trouble(red))
    expect(back.state.repository.train.entries).toEqual([next])
    expect(effectKinds(back.last)).toEqual(['land', 'run'])
    const gone = when({ ...w, state: { ...w.state, repository: queue } }, { type: 'cancel', task: 'T-1' })
    expect(gone.state.repository.train.entries).toEqual([next])
    expect(effectKinds(gone.last)).toContain('land')
  })

  test('S8: voids what later stages said of the head that is about to change', () => {
    const w = atLanding()
    expect(taskIn(w).verdicts.map(({ stage }) => stage)).toContain('look')
    const back = when(w, report(w).trouble(red))
    expect(taskIn(back)).toMatchObject({ stage: 'make', attempts: { code: 1 } })
    expect(taskIn(back).verdicts.map(({ stage }) => stage)).not.toContain('look')
  })
})

test('L4: a cancel withdraws what was queued and stops what runs', () => {
  const w = inReview()
  const cancelled = when(w, { type: 'cancel', task: 'T-1' })
  expect(cancelled.last).toMatchObject({ supersede: { task: 'T-1', epoch: taskIn(w).epoch + 1 } })
  expect(effectKinds(cancelled.last)).toEqual(['stop-run', 'release-dependants', 'clean'])
})

test('L6: a session that is full is not gone on with', () => {
  const w = started()
  const again = when(w, report(w).end({ sessionId: 's1', outcome: failed('crash') }))
  expect(taskIn(again).sessions).toEqual({ maker: { agent: 'bot', sessionId: 's1' } })
  const full = when(w, report(w).end({ sessionId: 's1', outcome: failed('context-overflow') }))
  expect(taskIn(full).sessions).toEqual({})
})

test('S10: spent attempts stay spent until a person grants more', () => {
  let w = started({ ...POLICY, limits: { ...POLICY.limits, attempts: 1 } })
  w = when(w, report(w).end())
  w = judging(w, [verdict('changes', 'make', 'pass'), verdict('verify', 'make', 'fail')])
  expect(taskIn(w)).toMatchObject({ status: 'needs_review', reason: { code: 'attempts-spent' }, attempts: { code: 1 } })
  expect(effectKinds(w.last)).toEqual([])
})
