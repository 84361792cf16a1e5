// What people and late workers do in the middle of things: nothing is orphaned, blocked behind, or left open.

import { expect, test } from 'vitest'
import {
  HEAD,
  MAKE_GREEN,
  OPEN,
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
  world,
} from './test-spec.ts'

const OTHER = 'd'.repeat(40)
const infra = { class: 'infra', code: 'git-unreachable', text: 'no route' } as const

function intentsOf(w: World): unknown[] {
  return w.last.ok ? w.last.intents : []
}

/** At the publication, its intent committed. */
function publishing(): World {
  let w = started()
  w = when(w, report(w).end())
  w = judging(w, MAKE_GREEN)
  w = when(w, report(w).begin)
  return when(w, report(w).intendChange)
}

test('a landing that meets trouble while its task is paused gives up its place in the train', () => {
  let w = when(atLanding(), { type: 'pause', task: 'T-1' })
  expect(w.state.repository.train.entries).toHaveLength(1)
  w = when(w, report(w).trouble(infra))
  expect(w.state.repository.train.entries).toEqual([])
  expect(effectKinds(w.last)).toEqual([])
  w = when(w, { type: 'resume', task: 'T-1' })
  expect(effectKinds(w.last)).toEqual(['land'])
  expect(w.state.repository.train.entries).toHaveLength(1)
})

test('a step left in trouble while its run lives has that run stopped', () => {
  const w = started()
  const { runId } = taskIn(w)
  const left = when(w, report(w).trouble({ class: 'infra', code: 'internal-error', text: 'x' }))
  expect(left.last.ok && left.last.effects.map(({ effect }) => effect)).toContainEqual({
    kind: 'stop-run',
    task: 'T-1',
    runId,
  })
  const recovered = when(w, { type: 'recover-step', task: 'T-1', epoch: taskIn(w).epoch })
  expect(effectKinds(recovered.last)).toEqual(['stop-run', 'run'])
})

test('a superseded run that ends late changes the books, not the head that is being judged', () => {
  let w = started()
  const late = report(w).end({ headSha: OTHER })
  w = when(w, report(w).trouble(infra))
  w = when(when(w, report(w).begin), report(w).run())
  w = when(w, report(w).end())
  w = when(w, late)
  expect(taskIn(w)).toMatchObject({ headSha: HEAD, step: { kind: 'judge', sha: HEAD }, costUsd: 1 })
})

test('a cancel of a task that was parked in the middle of its merge sets it going to settle the merge', () => {
  let w = atLanding()
  w = when(w, report(w).intendMerge())
  w = when(w, { type: 'pause', task: 'T-1' })
  w = when(w, report(w).trouble(infra))
  expect(taskIn(w)).toMatchObject({ paused: true, status: 'waiting', landing: { mergeSha: expect.any(String) } })
  w = when(w, { type: 'cancel', task: 'T-1' })
  expect(taskIn(w)).toMatchObject({ paused: false, cancelRequested: true })
  expect(effectKinds(w.last)).toEqual(['land'])
  w = when(w, report(w).begin)
  expect(taskIn(when(w, report(w).abandonMerge)).status).toBe('cancelled')
})

test('a cancel that waited for the merge stops what would come after it', () => {
  const after = { name: 'tell', kind: 'agent' as const, role: 'teller', gates: [] }
  const policy = { ...POLICY, pipeline: { ...POLICY.pipeline, stages: [...POLICY.pipeline.stages, after] } }
  let w = atLanding(policy)
  w = when(w, report(w).intendMerge())
  w = when(w, { type: 'cancel', task: 'T-1' })
  w = when(w, report(w).confirmMerge)
  expect(taskIn(w)).toMatchObject({ status: 'cancelled', mergedSha: expect.any(String) })
  expect(effectKinds(w.last)).not.toContain('run')
})

test('a short back-off of one run never cuts the long limit that another run met', () => {
  let w = started()
  const until = w.now + 3_600_000
  const account = { id: 'bot', limitedUntil: until, limitReason: 'agent-rate-limit', spentUsd: 0, runs: 0 }
  w = { ...w, state: { ...w.state, account } }
  w = when(w, report(w).end({ outcome: { kind: 'failed', code: 'overload', text: 'busy', exitCode: 1 } }))
  expect(w.state.account?.limitedUntil).toBe(until)
})

test('a person who retries a task that waits for a limit lifts the limit', () => {
  let w = started()
  const outcome = { kind: 'failed', code: 'rate-limit', text: 'later', exitCode: 1, retryAfterMs: 9e9 } as const
  w = when(w, report(w).end({ outcome }))
  w = when(w, { type: 'retry', task: 'T-1', parallel: 1 })
  w = when(when(w, report(w).begin), report(w).run())
  expect(taskIn(w)).toMatchObject({ status: 'running', runId: expect.any(String) })
})

test('a time to wait that no vendor would ask for is a misread stream', () => {
  let w = started()
  const outcome = { kind: 'failed', code: 'rate-limit', text: 'later', exitCode: 1, retryAfterMs: 1e300 } as const
  w = when(w, report(w).end({ outcome }))
  expect(taskIn(w).waitingUntil).toBeLessThan(w.now + 9 * 86_400_000)
})

test('a retry whose pipeline begins elsewhere by now goes through it from its beginning', () => {
  let w = started()
  w = when(w, report(w).end())
  w = judging(w, [verdict('changes', 'make', 'pass'), verdict('verify', 'make', 'unknown', { retryable: false })])
  w = when(w, { type: 'retry', task: 'T-1', parallel: 1 })
  const first = { name: 'think', kind: 'agent' as const, role: 'thinker', gates: [] }
  const policy = { ...POLICY, pipeline: { ...POLICY.pipeline, stages: [first, ...POLICY.pipeline.stages] } }
  w = when(w, report(w).begin)
  w = when(w, report(w).start(policy))
  expect(taskIn(w)).toMatchObject({ stage: 'think', step: { kind: 'run', stage: 'think' }, repin: false })
})

test('S9: a publication that is cancelled, held or sent back leaves no open intent', () => {
  const w = publishing()
  const settled = (as: string) => ({ op: 'settle', kind: 'change', task: 'T-1', key: HEAD, as })
  expect(intentsOf(when(w, { type: 'cancel', task: 'T-1' }))).toEqual([settled('compensated')])
  const held = when(w, report(w).trouble({ class: 'hold', code: 'push-refused', text: 'no' }))
  expect(intentsOf(held)).toEqual([settled('held')])
  expect(intentsOf(when(held, { type: 'reject', task: 'T-1', reason: 'no' }))).toEqual([settled('compensated')])
})

test('what starts a task again finds it pinned: the policy of a task under way is never replaced', () => {
  const w = inReview()
  const again = when(w, report(w).start({ ...POLICY, configHash: 'c2' }))
  expect(eventTypes(again.last)).toEqual([])
  expect(taskIn(again).policy?.configHash).toBe('c1')
  expect(eventTypes(when(world(), OPEN).last)).toEqual(['task.opened'])
})
