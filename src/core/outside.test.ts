// What is said outside: CI and reviews that are waited for, and the policies by which a person says yes.

import { expect, test } from 'vitest'
import { moverOf } from './liveness.ts'
import type { Policy } from './policy.ts'
import {
  HEAD,
  MAKE_GREEN,
  MINUTE,
  OPEN,
  POLICY,
  type World,
  atLanding,
  effectKinds,
  eventTypes,
  judging,
  report,
  started,
  taskIn,
  verdict,
  when,
  world,
} from './test-spec.ts'
import { explain } from './why.ts'

const AWAITED: Policy = {
  ...POLICY,
  pipeline: {
    ...POLICY.pipeline,
    stages: [
      ...POLICY.pipeline.stages.slice(0, 2),
      { name: 'hear', kind: 'await', gates: ['ci', 'reviews'], onFail: 'make' },
      ...POLICY.pipeline.stages.slice(3),
    ],
  },
}

/** A change was published and its CI and reviews are to be heard. */
function awaiting(policy: Policy = AWAITED): World {
  let w = started(policy)
  w = when(w, report(w).end())
  w = judging(w, MAKE_GREEN)
  w = when(w, report(w).begin)
  w = when(w, report(w).intendChange)
  return when(w, report(w).confirmChange)
}

const look = (w: World, what: 'ci' | 'review') =>
  ({ type: 'wait-outside', task: 'T-1', epoch: taskIn(w).epoch, for: what, why: 'nothing yet' }) as const
const heard = (w: World, ci: 'pass' | 'fail', reviews: 'pass' | 'fail' | 'wait' = 'pass') =>
  report(w).judge([verdict('ci', 'hear', ci), verdict('reviews', 'hear', reviews)])

test('a look that finds nothing yet is one event, however often it is repeated, and keeps its job', () => {
  let w = awaiting()
  expect(taskIn(w)).toMatchObject({ status: 'queued', step: { kind: 'await', stage: 'hear', sha: HEAD } })
  expect(effectKinds(w.last)).toContain('await')
  const { epoch } = taskIn(w)
  w = when(w, look(w, 'ci'))
  expect(eventTypes(w.last)).toEqual(['step.waiting'])
  expect(taskIn(w)).toMatchObject({ status: 'waiting', waitingFor: 'ci', epoch })
  expect(eventTypes(when(w, look(w, 'ci')).last)).toEqual([])
  w = when(w, look(w, 'review'))
  expect(taskIn(w)).toMatchObject({ waitingFor: 'review', epoch })
  const { train } = w.state.repository
  expect(moverOf(taskIn(w), { hasJob: true, train })).toBe('job')
  expect(moverOf(taskIn(w), { hasJob: false, train })).toBeNull()
})

test('a person who asks for changes spends nobody’s attempts; a red CI spends one, whatever people say beside it', () => {
  const spent = (w: World): number => taskIn(w).attempts.code - taskIn(w).codeBase
  expect(spent(when(awaiting(), heard(awaiting(), 'pass', 'fail')))).toBe(0)
  expect(spent(when(awaiting(), heard(awaiting(), 'fail', 'pass')))).toBe(1)
  expect(spent(when(awaiting(), heard(awaiting(), 'fail', 'fail')))).toBe(1)
})

test('what was waited for in vain is waited for anew when a person says so, and for as long', () => {
  let w = awaiting()
  const since = w.now
  const inVain = { ...verdict('ci', 'hear', 'unknown'), reason: 'ci-timeout', retryable: false }
  w = when({ ...w, now: since + 24 * 60 * MINUTE }, report(w).judge([inVain, verdict('reviews', 'hear', 'pass')]))
  expect(taskIn(w)).toMatchObject({ status: 'needs_review', reason: { code: 'ci-timeout' } })
  w = when(w, { type: 'retry', task: 'T-1', parallel: 1 })
  expect(taskIn(w).step).toEqual({ kind: 'await', stage: 'hear', sha: HEAD, since: w.now })
  expect(w.now).toBeGreaterThan(since)
})

test('L6: a cancelled dependency is a person’s to pass over, also when the tracker has the link no more', () => {
  let w = when(world(), { ...OPEN, dependsOn: ['T-0'], openDeps: ['T-0'] })
  w = when(w, { type: 'close-dependency', task: 'T-1', dependency: 'T-0', outcome: 'cancelled' })
  expect(taskIn(w)).toMatchObject({ status: 'needs_review', reason: { code: 'dependency-cancelled' } })
  const linked = { type: 'set-dependencies' as const, task: 'T-1', openDeps: [] }
  const still = when(w, { ...linked, dependsOn: ['T-0'] })
  expect(eventTypes(still.last)).toEqual([])
  expect(taskIn(when(still, { type: 'unblock', task: 'T-1' })).status).toBe('queued')
  // Nothing goes on by itself: it may have been held for its author before.
  const unlinked = when(w, { ...linked, dependsOn: [] })
  expect(taskIn(unlinked)).toMatchObject({ status: 'needs_review', openDeps: [] })
  expect(taskIn(when(unlinked, { type: 'unblock', task: 'T-1' })).status).toBe('queued')
})

test('L6: what a person lets go on waits for what it depends on, where that is still open', () => {
  const held = { code: 'untrusted-author', text: 'eve has no rights' }
  let w = when(world(), { ...OPEN, dependsOn: ['T-0'], openDeps: ['T-0'], held })
  w = when(w, { type: 'retry', task: 'T-1', parallel: 1 })
  expect(taskIn(w)).toMatchObject({ status: 'blocked', reason: null, step: null })
  expect(effectKinds(w.last)).not.toContain('run')
  w = when(w, { type: 'close-dependency', task: 'T-1', dependency: 'T-0', outcome: 'done' })
  expect(taskIn(w)).toMatchObject({ status: 'queued', step: { kind: 'run' } })
})

test('CI red sends back with its findings; green and approved goes on; both judge a waiting task', () => {
  let w = awaiting()
  w = when(w, look(w, 'ci'))
  const finding = { gate: 'ci', severity: 'P0' as const, text: 'lint failed' }
  const red = when(w, report(w).judge([verdict('ci', 'hear', 'fail', { findings: [finding] })]))
  expect(taskIn(red)).toMatchObject({ stage: 'make', findings: [finding], attempts: { code: 1 } })
  const green = when(w, heard(w, 'pass'))
  expect(taskIn(green)).toMatchObject({ stage: 'merge', step: { kind: 'land' } })
})

test('S8: without every gate of the stage nothing goes on', () => {
  const w = when(awaiting(), report(awaiting()).judge([verdict('ci', 'hear', 'pass')]))
  expect(taskIn(w)).toMatchObject({ status: 'needs_review', reason: { code: 'gate-missing' } })
})

test('news has it looked at once, by a new job; the old look’s report is void', () => {
  let w = awaiting()
  w = when(w, look(w, 'ci'))
  const before = w
  const since = taskIn(w).step
  w = when(w, { type: 'look-again', task: 'T-1', why: 'checks' })
  // Whoever follows it sees it waiting all the while: nothing is told of a look.
  expect(taskIn(w)).toMatchObject({ status: 'waiting', waitingFor: 'ci', step: since })
  expect(effectKinds(w.last)).toEqual(['await'])
  expect(eventTypes(when(w, heard(before, 'pass')).last)).toEqual(['refused: stale-step'])
  expect(eventTypes(when(atLanding(), { type: 'look-again', task: 'T-1', why: 'x' }).last)).toEqual([
    'refused: wrong-status',
  ])
})

test('paused it does not look; resumed it goes on with the same wait', () => {
  let w = awaiting()
  w = when(w, look(w, 'ci'))
  const { step } = taskIn(w)
  w = when(w, { type: 'pause', task: 'T-1' })
  expect(eventTypes(when(w, look(w, 'ci')).last)).toEqual(['refused: task-paused'])
  expect(eventTypes(when(w, { type: 'look-again', task: 'T-1', why: 'x' }).last)).toEqual(['refused: wrong-status'])
  w = when(w, { type: 'resume', task: 'T-1' })
  expect(taskIn(w).step).toEqual(step)
  expect(effectKinds(w.last)).toEqual(['await'])
})

const TWICE: Policy = { ...POLICY, approval: 'human-twice' }

/** Its gates have passed, and nothing has left the machine. */
function beforePublishing(): World {
  let w = started(TWICE)
  w = when(w, report(w).end())
  return judging(w, MAKE_GREEN)
}

const request = (tokenHash: string, expiresAt = 1e9) =>
  ({ type: 'request-approval', task: 'T-1', tokenHash, expiresAt, bypass: null }) as const

test('human-twice: nothing is pushed before a request, its token and a confirmation, and the landing is covered', () => {
  let w = beforePublishing()
  expect(taskIn(w)).toMatchObject({ stage: 'show', status: 'waiting', waitingFor: 'approval', step: null })
  const approve = { type: 'approve', task: 'T-1' } as const
  const refusal = (world: World, more: object): string[] => eventTypes(when(world, { ...approve, ...more }).last)
  expect(refusal(w, {})).toEqual(['refused: no-token'])
  w = when(w, request('h1'))
  expect(refusal(w, {})).toEqual(['refused: no-token'])
  expect(refusal(w, { tokenHash: 'h2', confirmed: true })).toEqual(['refused: wrong-token'])
  expect(refusal(w, { tokenHash: 'h1' })).toEqual(['refused: not-confirmed'])
  const later = when(w, request('h3'))
  expect(refusal(later, { tokenHash: 'h1', confirmed: true })).toEqual(['refused: wrong-token'])
  w = when(w, { ...approve, tokenHash: 'h1', confirmed: true })
  expect(taskIn(w)).toMatchObject({ step: { kind: 'publish' }, request: null })
  expect(taskIn(w).approvals).toMatchObject([{ sha: HEAD, covers: ['publishing'] }])
})

test('human-twice: a token is for its head and its time', () => {
  let w = beforePublishing()
  w = when(w, request('h1', w.now + MINUTE))
  const late = { ...w, now: w.now + 2 * MINUTE }
  const yes = { type: 'approve', task: 'T-1', tokenHash: 'h1', confirmed: true } as const
  expect(eventTypes(when(late, yes).last)).toEqual(['refused: token-expired'])
  const moved = { ...w, state: { ...w.state, task: { ...taskIn(w), headSha: 'd'.repeat(40) } } }
  expect(eventTypes(when(moved, yes).last)).toEqual(['refused: wrong-token'])
})

test.each(['label', 'tracker-state'] as const)(
  '%s: landing waits for a yes, and why says where to give it',
  (approval) => {
    const policy = { ...POLICY, approval, approveBy: { label: 'go', column: 'Ready' } }
    const w = atLanding(policy)
    expect(taskIn(w)).toMatchObject({ status: 'waiting', waitingFor: 'approval' })
    const why = explain(taskIn(w), { serviceRunning: true, liveRun: null, now: 0, time: String })
    expect(why.because).toContain(approval === 'label' ? 'label `go`' : 'moving its issue to "Ready"')
    const yes = when(w, { type: 'approve', task: 'T-1', sha: HEAD })
    expect(taskIn(yes).step).toMatchObject({ kind: 'land' })
  },
)

test('who follows the issue is told of every move, one from Orch’s own list is not', () => {
  const own = started()
  expect(effectKinds(own.last)).not.toContain('tell')
  const empty = { ...own, state: { ...own.state, task: null } }
  const w = when(empty, { ...OPEN, origin: 'github:12' })
  expect(effectKinds(w.last)).toEqual(['run', 'tell'])
  expect(effectKinds(when(w, { type: 'edit-task', task: 'T-1', title: 'Other' }).last)).toEqual([])
  expect(effectKinds(when(w, { type: 'pause', task: 'T-1' }).last)).toEqual(['tell'])
})

test('a merge of the forge is intended with the tree that was tested', () => {
  const w = atLanding()
  const intended = when(w, { ...report(w).intendMerge(), via: 'forge' })
  expect(taskIn(intended).landing).toEqual({
    mergeSha: expect.any(String),
    onto: expect.any(String),
    tree: 'tree',
    via: 'forge',
  })
  expect(intended.last.ok && intended.last.intents[0]).toMatchObject({
    op: 'open',
    data: { via: 'forge', tree: 'tree' },
  })
})
