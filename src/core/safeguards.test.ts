// What a step's worker may not do: too early, twice, for another head, past a person, past an intent.

import { describe, expect, test } from 'vitest'
import { gatesPassed, gatesPassedBefore } from './draft.ts'
import type { Task } from './task.ts'
import {
  HEAD,
  MAKE_GREEN,
  MERGE,
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
  OPEN,
} from './test-spec.ts'

const OTHER = 'd'.repeat(40)
const infra = { class: 'infra', code: 'git-unreachable', text: 'no route' } as const
const holding = { class: 'hold', code: 'push-refused', text: 'no' } as const

function intentsOf(w: World): unknown[] {
  return w.last.ok ? w.last.intents : []
}

/** The same world with its task changed by hand: states that no command leads to, should one ever. */
function changed(w: World, fields: Partial<Task>): World {
  return { ...w, state: { ...w.state, task: { ...taskIn(w), ...fields } } }
}

function publishing(): World {
  let w = started()
  w = when(w, report(w).end())
  w = judging(w, MAKE_GREEN)
  return when(w, report(w).begin)
}

function intended(): World {
  const w = atLanding()
  return when(w, report(w).intendMerge())
}

describe('S1: a step', () => {
  test('is begun once, its run is begun once', () => {
    const w = started()
    expect(eventTypes(when(w, report(w).begin).last)).toEqual([])
    expect(eventTypes(when(w, report(w).run()).last)).toEqual([])
  })

  test('is reported on only when it was begun, and not while it is held', () => {
    let w = started()
    w = when(w, report(w).end())
    expect(eventTypes(when(w, report(w).judge(MAKE_GREEN)).last)).toEqual(['refused: stale-step'])
    w = when(when(w, report(w).begin), report(w).trouble(holding))
    expect(taskIn(w).status).toBe('needs_review')
    for (const command of [report(w).begin, report(w).judge(MAKE_GREEN), report(w).trouble(infra)])
      expect(eventTypes(when(w, command).last)).toEqual(['refused: stale-step'])
  })

  test('is not begun while its task is paused', () => {
    let w = when(world(), OPEN)
    w = when(w, { type: 'pause', task: 'T-1' })
    expect(eventTypes(when(w, report(w).begin).last)).toEqual(['refused: task-paused'])
  })

  test('is current alone: whatever was queued before it, and all that is paused or held, is withdrawn (L4)', () => {
    let w = started()
    w = when(w, report(w).end())
    expect(w.last).toMatchObject({ supersede: { task: 'T-1', epoch: taskIn(w).epoch } })
    const after = { task: 'T-1', epoch: taskIn(w).epoch + 1 }
    expect(when(w, { type: 'pause', task: 'T-1' }).last).toMatchObject({ supersede: after, effects: [] })
    w = when(w, report(w).begin)
    expect(when(w, report(w).trouble(holding)).last).toMatchObject({ supersede: after, effects: [] })
    const done = when(intended(), report(intended()).confirmMerge)
    expect(done.last).toMatchObject({ supersede: { task: 'T-1', epoch: taskIn(done).epoch } })
  })
})

test('S12: an earlier run that ends late does not end the run that goes on', () => {
  let w = started()
  const late = report(w).end({ headSha: OTHER })
  w = when(w, report(w).trouble(infra))
  w = when(when(w, report(w).begin), report(w).run())
  const { runId } = taskIn(w)
  w = when(w, late)
  expect(eventTypes(w.last)).toEqual(['run.ended', 'account.charged'])
  expect(taskIn(w)).toMatchObject({ status: 'running', runId, step: { kind: 'run' }, headSha: null })
})

describe('S8: a verdict', () => {
  test('counts for the stage and the head it names, and no other', () => {
    let w = started()
    w = when(w, report(w).end())
    w = when(w, report(w).begin)
    const judged = report(w).judge(MAKE_GREEN)
    expect(eventTypes(when(w, { ...judged, sha: OTHER }).last)).toEqual(['refused: stale-step'])
    expect(eventTypes(when(w, { ...judged, stage: 'look' }).last)).toEqual(['refused: stale-step'])
    expect(eventTypes(when(w, judged).last)).toContain('stage.passed')
  })

  test.each([
    ['of another head', { sha: OTHER }],
    ['of another configuration', { configHash: 'c0' }],
    ['of another stage', { stage: 'look' }],
    ['that is no pass', { result: 'wait' as const }],
    ['that could not be had', { result: 'unknown' as const }],
  ])('%s passes no gate', (_, more) => {
    const w = changed(inReview(), {
      verdicts: [verdict('changes', 'make', 'pass', more), verdict('verify', 'make', 'pass')],
    })
    expect(gatesPassed(taskIn(w), 'make')).toBe(false)
    expect(gatesPassedBefore(taskIn(w), 'merge')).toBe(false)
    expect(gatesPassed({ ...taskIn(w), verdicts: MAKE_GREEN }, 'make')).toBe(true)
  })

  test('is needed of every gate of every stage before', () => {
    const task = taskIn(atLanding())
    expect(gatesPassedBefore(task, 'merge')).toBe(true)
    for (const missing of task.verdicts)
      expect(gatesPassedBefore({ ...task, verdicts: task.verdicts.filter((one) => one !== missing) }, 'merge')).toBe(
        false,
      )
  })
})

describe('S8: an approval', () => {
  const waits = { waitFor: 'approval' as const }

  test('is refused where none was asked for', () => {
    const asking = judging(when(started(), report(started()).end()), [
      verdict('changes', 'make', 'wait', { waitFor: 'answers' }),
    ])
    const held = when(started(), report(started()).trouble(holding))
    for (const w of [started(), inReview(), atLanding(), asking, held])
      expect(eventTypes(when(w, { type: 'approve', task: 'T-1' }).last)).toEqual(['refused: not-waiting-for-approval'])
  })

  test('passes what waits for a person, and nothing that could not be judged', () => {
    let w = started()
    w = when(w, report(w).end())
    w = judging(w, [verdict('verify', 'make', 'unknown', { retryable: true, reason: 'verify-timeout' })])
    w = judging(w, [verdict('changes', 'make', 'wait', waits)])
    w = when(w, { type: 'approve', task: 'T-1' })
    expect(taskIn(w).verdicts.map(({ gate, result }) => [gate, result])).toContainEqual(['verify', 'unknown'])
    expect(eventTypes(w.last)).not.toContain('stage.passed')
  })

  test('says nothing of what waited on an earlier head', () => {
    let w = started()
    w = when(w, report(w).end())
    w = judging(w, [verdict('changes', 'make', 'wait', waits), verdict('verify', 'make', 'pass')])
    w = when(w, { type: 'reject', task: 'T-1', reason: 'no' })
    w = when(when(w, report(w).begin), report(w).run())
    w = when(w, report(w).end({ headSha: OTHER }))
    w = judging(w, [verdict('verify', 'make', 'wait', { ...waits, sha: OTHER })])
    w = when(w, { type: 'approve', task: 'T-1' })
    expect(taskIn(w).verdicts).toContainEqual(verdict('changes', 'make', 'wait', waits))
    expect(eventTypes(w.last)).not.toContain('stage.passed')
  })

  test('is asked for once more in the transaction of the merge', () => {
    const w = changed(atLanding(), { policy: { ...POLICY, approval: 'human' } })
    expect(eventTypes(when(w, report(w).intendMerge()).last)).toEqual(['refused: not-approved'])
  })
})

describe('S9: an effect on the outside', () => {
  const change = { kind: 'change', task: 'T-1', key: HEAD }
  const merge = { kind: 'merge', task: 'T-1', key: MERGE }

  test('has its intent committed with its step, for the head that was judged', () => {
    const w = publishing()
    expect(intentsOf(when(w, report(w).intendChange))).toEqual([
      { op: 'open', ...change, data: { branch: 'orch/T-1-do-it' } },
    ])
    for (const command of [report(w).intendChange, report(w).confirmChange])
      expect(eventTypes(when(w, { ...command, sha: OTHER }).last)).toEqual(['refused: stale-step'])
    expect(intentsOf(intended())).toEqual([{ op: 'open', ...merge, data: expect.objectContaining({ sha: HEAD }) }])
    const moved = changed(atLanding(), { headSha: OTHER })
    expect(eventTypes(when(moved, report(moved).intendMerge()).last)).toEqual(['refused: stale-step'])
  })

  test('has its intent settled by what became of it', () => {
    const w = when(publishing(), report(publishing()).intendChange)
    expect(intentsOf(when(w, report(w).confirmChange))).toEqual([{ op: 'settle', ...change, as: 'confirmed' }])
    const m = intended()
    expect(intentsOf(when(m, report(m).confirmMerge))).toEqual([{ op: 'settle', ...merge, as: 'confirmed' }])
    expect(intentsOf(when(m, report(m).abandonMerge))).toEqual([{ op: 'settle', ...merge, as: 'compensated' }])
    expect(intentsOf(when(m, report(m).trouble(holding)))).toEqual([{ op: 'settle', ...merge, as: 'held' }])
  })

  test('a merge is one at a time: the same is intended already, another is refused', () => {
    const w = intended()
    expect(eventTypes(when(w, report(w).intendMerge()).last)).toEqual([])
    expect(intentsOf(when(w, report(w).intendMerge()))).toEqual([])
    const other = { ...report(w).intendMerge(), mergeSha: OTHER }
    expect(eventTypes(when(w, other).last)).toEqual(['refused: landing-under-way'])
    expect(eventTypes(when(w, { ...report(w).confirmMerge, mergeSha: OTHER }).last)).toEqual(['refused: stale-step'])
  })

  test('nobody sends back what is being merged; a second cancel asks for nothing more', () => {
    const held = when(intended(), report(intended()).trouble(holding))
    expect(eventTypes(when(held, { type: 'reject', task: 'T-1', reason: 'no' }).last)).toEqual([
      'refused: landing-under-way',
    ])
    const once = when(intended(), { type: 'cancel', task: 'T-1' })
    expect(eventTypes(once.last)).toEqual(['task.cancel_requested'])
    expect(when(once, { type: 'cancel', task: 'T-1' }).last).toMatchObject({ events: [], effects: [] })
  })
})

test('L2: a task that is paused in front of the train lets the next one pass', () => {
  let w = inReview()
  w = when(w, report(w).end({ role: 'judge', headSha: null }))
  w = judging(w, [verdict('review', 'look', 'pass')])
  expect(taskIn(w)).toMatchObject({ status: 'queued', step: { kind: 'land' } })
  w = when(w, { type: 'pause', task: 'T-1' })
  expect(w.state.repository.train.entries).toEqual([])
})

test('S16: a retry at a later stage keeps the configuration that judged the earlier ones', () => {
  let w = inReview()
  w = when(w, report(w).trouble(holding))
  w = when(w, { type: 'retry', task: 'T-1', parallel: 1 })
  expect(taskIn(w)).toMatchObject({ stage: 'look', repin: false })
  w = when(w, report(w).begin)
  expect(eventTypes(when(w, report(w).start({ ...POLICY, configHash: 'c2' })).last)).toEqual([])
})

test('a change that nobody merged keeps its branch; what was merged needs none', () => {
  const stages = POLICY.pipeline.stages.slice(0, 2)
  let w = started({ ...POLICY, pipeline: { ...POLICY.pipeline, stages } })
  w = when(w, report(w).end())
  w = judging(w, MAKE_GREEN)
  w = when(w, report(w).begin)
  w = when(w, report(w).intendChange)
  w = when(w, report(w).confirmChange)
  expect(effectKinds(w.last)).toEqual(['release-dependants', 'clean'])
  expect(w.last.ok && w.last.effects.at(-1)?.effect).toMatchObject({ kind: 'clean', keepBranch: true })
  const merged = when(intended(), report(intended()).confirmMerge)
  expect(merged.last.ok && merged.last.effects.at(-1)?.effect).toMatchObject({ kind: 'clean', keepBranch: false })
})
