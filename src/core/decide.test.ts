import { expect, test } from 'vitest'
import {
  HEAD,
  MAKE_GREEN,
  MERGE,
  OPEN,
  POLICY,
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

const HUMAN = { ...POLICY, approval: 'human' as const }

test('a new task is queued with its first run', () => {
  const w = when(world(), OPEN)
  expect(eventTypes(w.last)).toEqual(['task.opened'])
  expect(effectKinds(w.last)).toEqual(['run'])
  expect(taskIn(w)).toMatchObject({ status: 'queued', stage: 'make', epoch: 1 })
})

test('a task with open dependencies is blocked and has no job', () => {
  const w = when(world(), { ...OPEN, dependsOn: ['T-0'], openDeps: ['T-0'] })
  expect(taskIn(w).status).toBe('blocked')
  expect(effectKinds(w.last)).toEqual([])
  const released = when(w, { type: 'close-dependency', task: 'T-1', dependency: 'T-0', outcome: 'done' })
  expect(taskIn(released).status).toBe('queued')
  expect(effectKinds(released.last)).toEqual(['run'])
})

test('a cancelled dependency holds its dependant, and unblock sets it free', () => {
  const w = when(when(world(), { ...OPEN, dependsOn: ['T-0'], openDeps: ['T-0'] }), {
    type: 'close-dependency',
    task: 'T-1',
    dependency: 'T-0',
    outcome: 'cancelled',
  })
  expect(taskIn(w)).toMatchObject({ status: 'needs_review', reason: { code: 'dependency-cancelled' } })
  expect(eventTypes(when(w, { type: 'retry', task: 'T-1', parallel: 1 }).last)).toEqual(['refused: task-blocked'])
  expect(taskIn(when(w, { type: 'unblock', task: 'T-1' })).status).toBe('queued')
})

test('opening the same task twice is refused', () => {
  expect(eventTypes(when(when(world(), OPEN), OPEN).last)).toEqual(['refused: task-exists'])
})

test('the whole way: run, judge, publish, review, land, done', () => {
  let w = atLanding()
  expect(taskIn(w)).toMatchObject({ stage: 'merge', status: 'running', step: { kind: 'land', sha: HEAD } })
  w = when(w, report(w).intendMerge())
  expect(w.last.ok && w.last.intents).toEqual([
    { op: 'open', kind: 'merge', task: 'T-1', key: MERGE, data: expect.anything() },
  ])
  w = when(w, report(w).confirmMerge)
  expect(taskIn(w)).toMatchObject({
    status: 'done',
    mergedSha: MERGE,
    attempts: { code: 0, transient: 0, infra: 0 },
    costUsd: 1,
  })
  expect(effectKinds(w.last)).toEqual(['release-dependants', 'clean'])
  expect(w.state.repository.train.entries).toEqual([])
})

test('a failed gate sends back with its findings and spends one code attempt', () => {
  let w = started()
  w = when(w, report(w).end())
  const finding = { gate: 'verify', severity: 'P0' as const, text: 'expected 2, got 3' }
  w = judging(w, [verdict('changes', 'make', 'pass'), verdict('verify', 'make', 'fail', { findings: [finding] })])
  expect(taskIn(w)).toMatchObject({
    status: 'queued',
    stage: 'make',
    attempts: { code: 1 },
    findings: [finding],
    step: { kind: 'run', stage: 'make' },
  })
})

test('a review sent back goes to the stage it names', () => {
  let w = inReview()
  w = when(w, report(w).end({ role: 'judge', headSha: null }))
  w = judging(w, [verdict('review', 'look', 'fail')])
  expect(taskIn(w)).toMatchObject({ stage: 'make', status: 'queued', attempts: { code: 1 } })
})

test('spent attempts hold the task; retry grants a fresh budget and counting goes on', () => {
  let w = started()
  for (let attempt = 1; attempt <= 3; attempt++) {
    if (attempt > 1) w = when(when(w, report(w).begin), report(w).run())
    w = when(w, report(w).end())
    w = judging(w, [verdict('changes', 'make', 'pass'), verdict('verify', 'make', 'fail')])
  }
  expect(taskIn(w)).toMatchObject({ status: 'needs_review', reason: { code: 'attempts-spent' }, attempts: { code: 3 } })
  w = when(w, { type: 'retry', task: 'T-1', parallel: 1 })
  expect(taskIn(w)).toMatchObject({ status: 'queued', attempts: { code: 3 }, codeBase: 3 })
  w = when(when(w, report(w).begin), report(w).run())
  w = when(w, report(w).end())
  w = judging(w, [verdict('changes', 'make', 'pass'), verdict('verify', 'make', 'fail')])
  expect(taskIn(w).status).toBe('queued')
})

test('infrastructure trouble keeps the code attempts, is repeated, then held', () => {
  let w = started()
  for (let repeat = 0; repeat < 2; repeat++) {
    w = when(w, report(w).end({ outcome: { kind: 'lost', text: 'gone' } }))
    expect(taskIn(w)).toMatchObject({
      status: 'waiting',
      waitingFor: 'timer',
      attempts: { code: 0, infra: repeat + 1 },
    })
    w = when(when(w, report(w).begin), report(w).run())
  }
  w = when(w, report(w).end({ outcome: { kind: 'lost', text: 'gone' } }))
  expect(taskIn(w)).toMatchObject({ status: 'needs_review', reason: { code: 'run-lost' }, attempts: { code: 0 } })
})

test('an unreadable review is run again, not judged again, and costs the developer nothing', () => {
  let w = inReview()
  w = when(w, report(w).end({ role: 'judge', headSha: null }))
  w = judging(w, [verdict('review', 'look', 'unknown', { reason: 'review-unreadable', retryable: true })])
  expect(taskIn(w)).toMatchObject({
    stage: 'look',
    step: { kind: 'run', stage: 'look' },
    attempts: { code: 0, infra: 1 },
  })
})

test('a rate limit parks the account until its reset, for other tasks too', () => {
  let w = started()
  w = when(
    w,
    report(w).end({
      outcome: { kind: 'failed', code: 'rate-limit', text: 'later', exitCode: 1, retryAfterMs: 60_000 },
    }),
  )
  const until = w.now + 60_000
  expect(taskIn(w)).toMatchObject({
    status: 'waiting',
    waitingFor: 'limit',
    waitingUntil: until,
    attempts: { code: 0, transient: 1 },
  })
  expect(w.state.account?.limitedUntil).toBe(until)
  let other = when(world({ ...w.state, task: null }), { ...OPEN, task: 'T-2', origin: 'local:2' })
  other = when(when(other, report(other).begin), report(other).start())
  other = when(other, report(other).run())
  expect(taskIn(other)).toMatchObject({ status: 'waiting', waitingFor: 'limit', waitingUntil: until, runId: null })
})

test('a login that is missing holds at once', () => {
  let w = started()
  w = when(w, report(w).end({ outcome: { kind: 'failed', code: 'auth', text: '401', exitCode: 1 } }))
  expect(taskIn(w)).toMatchObject({ status: 'needs_review', reason: { code: 'agent-auth' } })
})

test('landing waits for a person where the policy says so; the approval names the head', () => {
  let w = atLanding(HUMAN)
  expect(taskIn(w)).toMatchObject({ status: 'waiting', waitingFor: 'approval', stage: 'merge' })
  expect(eventTypes(when(w, { type: 'approve', task: 'T-1', sha: 'ffff' }).last)).toEqual(['refused: head-moved'])
  w = when(w, { type: 'approve', task: 'T-1', sha: HEAD.slice(0, 8) })
  expect(taskIn(w).approvals).toEqual([{ sha: HEAD, by: 'ann', at: w.now, covers: ['landing'] }])
  expect(taskIn(w)).toMatchObject({ status: 'queued', step: { kind: 'land' } })
})

test('one approval covers a protected change and the landing of the same head', () => {
  const pipeline = {
    ...POLICY.pipeline,
    stages: POLICY.pipeline.stages.map((s) => (s.name === 'make' ? { ...s, gates: ['protected' as const] } : s)),
  }
  let w = started({ ...HUMAN, pipeline })
  w = when(w, report(w).end())
  w = judging(w, [verdict('protected', 'make', 'wait', { waitFor: 'approval' })])
  expect(taskIn(w)).toMatchObject({ status: 'waiting', waitingFor: 'approval', stage: 'make' })
  w = when(w, { type: 'approve', task: 'T-1' })
  expect(taskIn(w).approvals[0]?.covers).toEqual(['protected: protected wait', 'landing'])
  expect(taskIn(w)).toMatchObject({ stage: 'show', status: 'queued' })
})

test('a new head needs a new approval', () => {
  let w = when(atLanding(HUMAN), { type: 'approve', task: 'T-1' })
  w = when(w, report(w).begin)
  w = when(w, report(w).trouble({ class: 'code', code: 'conflict', text: 'conflict', findings: [] }))
  w = when(when(w, report(w).begin), report(w).run())
  const head = 'd'.repeat(40)
  w = when(w, report(w).end({ headSha: head }))
  w = judging(
    w,
    MAKE_GREEN.map((v) => ({ ...v, sha: head })),
  )
  w = when(when(w, report(w).begin), report(w).intendChange)
  w = when(w, report(w).confirmChange)
  w = when(when(w, report(w).begin), report(w).run('judge'))
  w = when(w, report(w).end({ role: 'judge', headSha: null }))
  w = judging(w, [verdict('review', 'look', 'pass', { sha: head })])
  expect(taskIn(w)).toMatchObject({ status: 'waiting', waitingFor: 'approval' })
})

test('S8: a merge is refused without verification, and without every gate passed on this very head', () => {
  const w = atLanding()
  expect(eventTypes(when(w, report(w).intendMerge(false)).last)).toEqual(['refused: not-verified'])
  const task = taskIn(w)
  const stale = {
    ...w,
    state: { ...w.state, task: { ...task, verdicts: task.verdicts.map((v) => ({ ...v, sha: 'old' })) } },
  }
  expect(eventTypes(when(stale, report(stale).intendMerge()).last)).toEqual(['refused: not-verified'])
  const missing = {
    ...w,
    state: { ...w.state, task: { ...task, verdicts: task.verdicts.filter((v) => v.gate !== 'review') } },
  }
  expect(eventTypes(when(missing, report(missing).intendMerge()).last)).toEqual(['refused: not-verified'])
})

test('a stage judged without one of its gates is held, not passed', () => {
  let w = started()
  w = when(w, report(w).end())
  w = judging(w, [verdict('changes', 'make', 'pass')])
  expect(taskIn(w)).toMatchObject({ status: 'needs_review', reason: { code: 'gate-missing' } })
})

test('cancel inside a merge waits until the merge is settled', () => {
  let w = atLanding()
  w = when(w, report(w).intendMerge())
  w = when(w, { type: 'cancel', task: 'T-1' })
  expect(taskIn(w)).toMatchObject({ status: 'running', cancelRequested: true })
  expect(taskIn(when(w, report(w).abandonMerge)).status).toBe('cancelled')
  expect(taskIn(when(w, report(w).confirmMerge)).status).toBe('done')
})

test('cancel stops the run, is idempotent, and a late result changes only the books', () => {
  let w = started()
  const late = report(w).end()
  w = when(w, { type: 'cancel', task: 'T-1' })
  expect(effectKinds(w.last)).toEqual(['stop-run', 'release-dependants', 'clean'])
  const again = when(w, { type: 'cancel', task: 'T-1' })
  expect(again.last).toMatchObject({ ok: true, events: [], effects: [] })
  w = when(w, late)
  expect(taskIn(w)).toMatchObject({ status: 'cancelled', headSha: null, costUsd: 0.5 })
  expect(effectKinds(w.last)).toEqual([])
})

test('pause withholds the next step, resume issues it', () => {
  let w = when(started(), { type: 'pause', task: 'T-1' })
  w = when(w, report(w).end())
  expect(taskIn(w)).toMatchObject({ status: 'queued', paused: true, step: { kind: 'judge' } })
  expect(effectKinds(w.last)).toEqual([])
  w = when(w, { type: 'resume', task: 'T-1' })
  expect(effectKinds(w.last)).toEqual(['judge'])
})

test('a result of an earlier step is refused', () => {
  const w = started()
  const stale = { ...report(w).begin, epoch: taskIn(w).epoch - 1 }
  expect(eventTypes(when(w, stale).last)).toEqual(['refused: stale-step'])
})

test('the train is served in order, and a paused head lets the next one pass', () => {
  const first = atLanding()
  let second = inReview()
  second = {
    ...second,
    state: { ...second.state, repository: first.state.repository, task: { ...taskIn(second), id: 'T-2' } },
  }
  second = when(second, { ...report(second).end({ role: 'judge', headSha: null }), runId: 'T-1-4' })
  second = judging(second, [verdict('review', 'look', 'pass')])
  expect(taskIn(second)).toMatchObject({ status: 'waiting', waitingFor: 'train' })
  expect(effectKinds(second.last)).toEqual([])
  expect(eventTypes(when(second, report(second).begin).last)).toEqual(['refused: not-first-in-train'])
  const left = when(
    { ...first, state: { ...first.state, repository: second.state.repository } },
    report(first).trouble({ class: 'hold', code: 'push-refused', text: 'no' }),
  )
  expect(left.last.ok && left.last.effects.map(({ effect }) => effect)).toEqual([
    { kind: 'land', task: 'T-2', epoch: taskIn(second).epoch },
  ])
})

test('answers bring a run back without spending an attempt', () => {
  let w = started()
  w = when(w, report(w).end())
  w = judging(w, [verdict('changes', 'make', 'wait', { waitFor: 'answers' }), verdict('verify', 'make', 'pass')])
  expect(taskIn(w)).toMatchObject({ status: 'waiting', waitingFor: 'answers' })
  w = when(w, { type: 'answer', task: 'T-1', text: 'blue' })
  expect(taskIn(w)).toMatchObject({ status: 'queued', step: { kind: 'run' }, answers: ['blue'], attempts: { code: 0 } })
})

test('a person may reject what waits for them, with a fresh budget', () => {
  const w = when(atLanding(HUMAN), { type: 'reject', task: 'T-1', reason: 'too clever' })
  expect(taskIn(w)).toMatchObject({
    stage: 'make',
    status: 'queued',
    attempts: { code: 1 },
    codeBase: 1,
    findings: [{ gate: 'person', text: 'too clever' }],
  })
})

test('an attempt that changes nothing after a review keeps the findings it has not answered', () => {
  const asked = { gate: 'review', severity: 'P1' as const, text: 'show the currency' }
  let w = inReview()
  w = when(w, report(w).end({ role: 'judge', headSha: null }))
  w = judging(w, [verdict('review', 'look', 'fail', { findings: [asked] })])
  expect(taskIn(w)).toMatchObject({ sentBackSha: HEAD, findings: [asked] })
  w = when(when(w, report(w).begin), report(w).run())
  w = when(w, report(w).end())
  const nothing = { gate: 'changes', severity: 'P1' as const, text: 'nothing changed' }
  w = judging(w, [verdict('changes', 'make', 'fail', { findings: [nothing] }), verdict('verify', 'make', 'pass')])
  expect(taskIn(w).findings).toEqual([nothing, asked])
})
