// Limits, take-overs and the breaker: when an agent can't work, who waits, until when, and what a person can do about it.

import { expect, test } from 'vitest'
import { type Account, newAccount } from './account.ts'
import type { RunOutcome } from './run.ts'
import type { Policy } from './policy.ts'
import {
  MINUTE,
  OPEN,
  POLICY,
  type World,
  effectKinds,
  eventTypes,
  report,
  started,
  taskIn,
  when,
  world,
} from './test-spec.ts'

const LIMITED = { kind: 'failed', code: 'rate-limit', text: 'later', exitCode: 1, retryAfterMs: 60 * MINUTE } as const
const BUSY = { kind: 'failed', code: 'overload', text: 'busy', exitCode: 1 } as const
const CRASH = { kind: 'failed', code: 'crash', text: 'segfault\nat 0x0', exitCode: 139 } as const
const AUTH = { kind: 'failed', code: 'auth', text: 'not logged in', exitCode: 1 } as const
const ROOMY: Policy = { ...POLICY, limits: { ...POLICY.limits, infra: 20, transient: 20 } }
const SHARED: Policy = { ...ROOMY, roles: { maker: { agent: 'bot', fallback: ['other'] } } }

function accountOf(w: World): Account {
  return w.state.account ?? expect.fail('no account')
}

/** The same agent's account, in the hands of another task whose run is about to begin. */
function another(before: World, id: string, policy: Policy = ROOMY): World {
  let w = when(world({ ...before.state, task: null }), { ...OPEN, task: id, origin: `local:${id}` })
  w = { ...w, now: Math.max(w.now, before.now) }
  w = when(w, report(w).begin)
  return when(w, report(w).start(policy))
}

/** Begins the step's run at a time, as its job does. */
function begin(before: World, at = before.now, more = {}): World {
  const w = when({ ...before, now: at }, report(before).begin)
  return when(w, { ...report(w).run(), ...more })
}

function fails(before: World, outcome: RunOutcome): World {
  return when(before, report(before).end({ outcome, headSha: null }))
}

/** An agent that three tasks have found to crash. */
function opened(policy: Policy = ROOMY): World {
  let w = started(policy)
  for (let n = 1; n <= 3; n++) {
    w = fails(w, CRASH)
    if (n < 3) w = begin(w, taskIn(w).waitingUntil ?? 0)
  }
  return w
}

const retryAt = (w: World): number => accountOf(w).breaker?.retryAt ?? expect.fail('the breaker is closed')

test('a limited step is queued at once where another agent may take over, and waits where none may', () => {
  const shared = fails(started(SHARED), LIMITED)
  expect(taskIn(shared)).toMatchObject({ status: 'queued', attempts: { transient: 1, code: 0 } })
  expect(shared.last.ok && shared.last.effects.map(({ runAt }) => runAt)).toEqual([shared.now])
  expect(accountOf(shared).limitedUntil).toBe(shared.now + 60 * MINUTE)
  const open = fails(started({ ...ROOMY, roles: {} }), LIMITED)
  expect(taskIn(open).status).toBe('queued')
  const alone = fails(started(ROOMY), LIMITED)
  expect(taskIn(alone)).toMatchObject({
    status: 'waiting',
    waitingFor: 'limit',
    waitingUntil: alone.now + 60 * MINUTE,
    waitingAgent: 'bot',
  })
})

test('when no other agent can begin either, the step waits until the one that is free first', () => {
  let w = fails(started(SHARED), LIMITED)
  const { limitedUntil } = accountOf(w)
  w = begin(w, w.now, { lastResort: true })
  expect(taskIn(w)).toMatchObject({ status: 'waiting', waitingFor: 'limit', waitingUntil: limitedUntil, runId: null })
})

test('an agent that met a limit after it was chosen is chosen about again soon, not waited for', () => {
  const limited = fails(started(SHARED), LIMITED)
  const w = begin(another(limited, 'T-2', SHARED))
  expect(taskIn(w)).toMatchObject({ status: 'waiting', waitingUntil: w.now + 1_000 })
  const alone = begin(another(limited, 'T-2', ROOMY))
  expect(taskIn(alone).waitingUntil).toBe(accountOf(limited).limitedUntil)
})

test('a take-over keeps branch and head, and the session stays the agent it belongs to', () => {
  const before = fails(started(SHARED), LIMITED)
  const { branch, headSha } = taskIn(before)
  const took = { ...before, state: { ...before.state, account: newAccount('other') } }
  let w = begin(took, before.now, { agent: 'other', why: 'bot is limited; other may take over' })
  expect(w.last.ok && w.last.events.map(({ body }) => body.event)).toContainEqual(
    expect.objectContaining({
      type: 'run.begun',
      data: expect.objectContaining({ agent: 'other', why: 'bot is limited; other may take over' }),
    }),
  )
  expect(taskIn(w)).toMatchObject({ branch, headSha, status: 'running' })
  w = when(w, report(w).end({ agent: 'other', sessionId: 's2' }))
  expect(taskIn(w).sessions['maker']).toEqual({ agent: 'other', sessionId: 's2' })
})

test('back-offs that no vendor set grow with each one in a row, and a success ends the row', () => {
  const waits: number[] = []
  let w = started(ROOMY)
  for (let n = 0; n < 3; n++) {
    w = fails(w, BUSY)
    waits.push((accountOf(w).limitedUntil ?? 0) - w.now)
    w = begin(w, taskIn(w).waitingUntil ?? 0)
  }
  expect(waits).toEqual([5_000, 10_000, 20_000])
  w = when(w, report(w).end())
  expect(accountOf(w)).toEqual({
    ...newAccount('bot'),
    limitedUntil: expect.any(Number),
    limitReason: 'agent-overload',
    spentUsd: 2,
    runs: 4,
  })
})

test('runs of one account that meet the same overload at once lengthen it once', () => {
  let w = fails(started(ROOMY), BUSY)
  const first = accountOf(w)
  w = fails({ ...started(ROOMY), now: w.now, state: { ...started(ROOMY).state, account: first } }, BUSY)
  expect(accountOf(w).backoffs).toBe(1)
})

test('a vendor that says "at once" is still waited for: nothing loops hot', () => {
  const w = fails(started(ROOMY), { ...LIMITED, retryAfterMs: 0 })
  expect(taskIn(w).waitingUntil).toBeGreaterThan(w.now)
})

test('three failures in a row that speak against the agent open its breaker, for every task', () => {
  const w = opened()
  expect(accountOf(w).breaker).toMatchObject({ failures: 3, reason: 'crash: segfault', retryAt: w.now + 5 * MINUTE })
  expect(taskIn(w)).toMatchObject({
    status: 'waiting',
    waitingFor: 'limit',
    waitingUntil: retryAt(w),
    waitingAgent: 'bot',
  })
  const other = begin(another(w, 'T-2'))
  expect(taskIn(other)).toMatchObject({ status: 'waiting', waitingFor: 'limit', waitingUntil: retryAt(w), runId: null })
  expect(eventTypes(other.last)).toEqual(['step.queued'])
})

test('a success in between resets the count', () => {
  let w = fails(started(ROOMY), CRASH)
  w = begin(w, taskIn(w).waitingUntil ?? 0)
  w = fails(w, CRASH)
  w = when(begin(w, taskIn(w).waitingUntil ?? 0), report(begin(w)).end())
  expect(accountOf(w).breaker).toBeUndefined()
})

test.each<[string, RunOutcome]>([
  ['a limit', LIMITED],
  ['an overflow of its context', { kind: 'failed', code: 'context-overflow', text: 'x', exitCode: 1 }],
  ['a time limit', { kind: 'timed-out', text: 'x' }],
  ['a stall', { kind: 'stalled', text: 'x' }],
  ['a lost supervisor', { kind: 'lost', text: 'x' }],
  ['work that could not be taken out', { kind: 'failed', code: 'crash', text: 'x', exitCode: 0 }],
])('%s says nothing against the agent', (_, outcome) => {
  expect(accountOf(fails(started(ROOMY), outcome)).breaker).toBeUndefined()
})

test('after the cooldown exactly one run tries the agent; the others look again, at a time that is ahead', () => {
  const w = opened()
  const canary = begin(another(w, 'T-2'), retryAt(w))
  expect(taskIn(canary)).toMatchObject({ status: 'running', runId: expect.any(String) })
  expect(accountOf(canary).breaker?.canary).toMatchObject({ runId: taskIn(canary).runId })
  const other = begin(another(canary, 'T-3'))
  expect(taskIn(other)).toMatchObject({ status: 'waiting', waitingFor: 'limit', waitingUntil: other.now + MINUTE })
  // Its job is carried out again after a crash: the same run is no second one.
  const again = when(canary, report(canary).run())
  expect(eventTypes(again.last)).toEqual([])
})

test('the trial succeeds and everything goes on; it fails and the next cooldown is twice as long, up to an hour', () => {
  const w = opened()
  let canary = begin(another(w, 'T-2'), retryAt(w))
  expect(accountOf(when(canary, report(canary).end())).breaker).toBeUndefined()
  const cooldowns: number[] = []
  for (let n = 0; n < 5; n++) {
    canary = fails(canary, CRASH)
    cooldowns.push((retryAt(canary) - canary.now) / MINUTE)
    canary = begin(canary, retryAt(canary))
  }
  expect(cooldowns).toEqual([10, 20, 40, 60, 60])
})

test.each<[string, RunOutcome]>([
  ['cancelled', { kind: 'cancelled', by: 'ann' }],
  ['lost', { kind: 'lost', text: 'x' }],
  ['timed out', { kind: 'timed-out', text: 'x' }],
  ['stalled', { kind: 'stalled', text: 'x' }],
  ['limited', BUSY],
])('a trial that is %s tells nothing: the next run is the trial', (_, outcome) => {
  const w = opened()
  const canary = fails(begin(another(w, 'T-2'), retryAt(w)), outcome)
  expect(accountOf(canary).breaker).toMatchObject({ canary: null, retryAt: canary.now, opened: 1 })
  const next = begin(another(canary, 'T-3'), canary.now + MINUTE)
  expect(accountOf(next).breaker?.canary?.runId).toBe(taskIn(next).runId)
})

test('a trial of which nothing is ever heard again is given up', () => {
  const w = opened()
  const canary = begin(another(w, 'T-2'), retryAt(w))
  const until = accountOf(canary).breaker?.canary?.until ?? 0
  expect(until).toBe(canary.now + 70 * MINUTE)
  const next = begin(another(canary, 'T-3'), until)
  expect(accountOf(next).breaker?.canary?.runId).toBe(taskIn(next).runId)
})

test('a run from before the breaker opened: its success closes it, its failure does not lengthen it', () => {
  const slow = started(ROOMY)
  const w = opened()
  const meets = { ...slow, now: w.now, state: { ...slow.state, account: accountOf(w) } }
  expect(accountOf(when(meets, report(meets).end())).breaker).toBeUndefined()
  const failed = fails(meets, CRASH)
  expect(retryAt(failed)).toBe(retryAt(w))
})

test('a missing login holds the task at once; once it lasts, other tasks only try it and are not held for it', () => {
  let w = started(ROOMY)
  for (const id of ['T-2', 'T-3']) {
    w = fails(w, AUTH)
    expect(taskIn(w)).toMatchObject({ status: 'needs_review', reason: { code: 'agent-auth' } })
    w = begin(another(w, id))
  }
  w = fails(w, AUTH)
  const canary = fails(begin(another(w, 'T-4'), retryAt(w)), AUTH)
  expect(taskIn(canary)).toMatchObject({ status: 'waiting', waitingFor: 'limit', attempts: { infra: 1, code: 0 } })
})

test('the third missing login in a row leaves the task to another agent where one may take over', () => {
  let w = started(SHARED)
  for (const id of ['T-2', 'T-3']) w = begin(another(fails(w, AUTH), id, SHARED))
  expect(taskIn(fails(w, AUTH))).toMatchObject({ status: 'waiting', waitingFor: 'timer', attempts: { infra: 1 } })
})

test('retry moves a task that was put off before its first run: it lifts the limit, or is the trial', () => {
  const limited = begin(another(fails(started(ROOMY), LIMITED), 'T-2'))
  expect(taskIn(limited)).toMatchObject({ status: 'waiting', waitingFor: 'limit' })
  const lifted = begin(when(limited, { type: 'retry', task: 'T-2', parallel: 1 }))
  expect(taskIn(lifted).status).toBe('running')
  const open = begin(another(opened(), 'T-2'))
  const trial = begin(when(open, { type: 'retry', task: 'T-2', parallel: 1 }))
  expect(taskIn(trial).status).toBe('running')
  expect(accountOf(trial).breaker?.canary?.runId).toBe(taskIn(trial).runId)
})

test('retry moves a task that waits for another run’s trial', () => {
  const w = opened()
  const canary = begin(another(w, 'T-2'), retryAt(w))
  const waits = begin(another(canary, 'T-3'))
  expect(taskIn(begin(when(waits, { type: 'retry', task: 'T-3', parallel: 1 }))).status).toBe('running')
})

test('retry of a task held for its agent moves it though the breaker stands open', () => {
  let w = started(ROOMY)
  for (const id of ['T-2', 'T-3']) w = begin(another(fails(w, AUTH), id))
  w = fails(w, AUTH)
  expect(taskIn(w)).toMatchObject({ status: 'needs_review', reason: { code: 'agent-auth' } })
  expect(taskIn(begin(when(w, { type: 'retry', task: 'T-3', parallel: 1 }))).status).toBe('running')
})

test('a limit met with no budget left is known to other tasks all the same, and a retry lifts it', () => {
  const strict = { ...POLICY, limits: { ...POLICY.limits, transient: 0 } }
  const w = fails(started(strict), LIMITED)
  expect(taskIn(w)).toMatchObject({ status: 'needs_review', reason: { code: 'agent-rate-limit' } })
  expect(taskIn(begin(another(w, 'T-2')))).toMatchObject({ status: 'waiting', waitingFor: 'limit' })
  expect(taskIn(begin(when(w, { type: 'retry', task: 'T-1', parallel: 1 }))).status).toBe('running')
})

test('a retry for another reason lifts nobody’s limit', () => {
  let w = fails(started(ROOMY), LIMITED)
  const account = accountOf(w)
  w = started(ROOMY)
  w = when(w, report(w).trouble({ class: 'hold', code: 'push-refused', text: 'no' }))
  w = when({ ...w, state: { ...w.state, account } }, { type: 'retry', task: 'T-1', parallel: 1 })
  expect(accountOf(w)).toBe(account)
  expect(effectKinds(w.last)).toEqual(['run'])
})

test('a trial whose task is cancelled, or whose step is left, is over when its run is: the next one tries', () => {
  const w = opened()
  const canary = begin(another(w, 'T-2'), retryAt(w))
  const late = report(canary).end({ outcome: { kind: 'cancelled', by: 'cancel' }, headSha: null })
  for (const left of [
    when(canary, { type: 'cancel', task: 'T-2' }),
    when(canary, { type: 'recover-step', task: 'T-2', epoch: taskIn(canary).epoch }),
  ]) {
    expect(effectKinds(left.last)).toContain('stop-run')
    expect(accountOf(left).breaker?.canary).not.toBeNull()
    expect(accountOf(when(left, late)).breaker?.canary).toBeNull()
  }
})
