// A task that has ended: whatever anybody still says of it, nothing changes inside nor is asked of the outside (S12).

import { describe, expect, test } from 'vitest'
import type { Command } from './messages.ts'
import {
  HEAD,
  MERGE,
  OPEN,
  POLICY,
  type World,
  atLanding,
  eventTypes,
  report,
  started,
  taskIn,
  verdict,
  when,
  world,
} from './test-spec.ts'

const merged = (): World => {
  const w = atLanding()
  return when(when(w, report(w).intendMerge()), report(w).confirmMerge)
}

const cancelled = (before: World): World => when(before, { type: 'cancel', task: 'T-1' })

const ENDED: [string, () => World][] = [
  ['done', merged],
  ['cancelled while it ran', () => cancelled(started())],
  [
    'cancelled while it was blocked',
    () => cancelled(when(world(), { ...OPEN, dependsOn: ['T-0'], openDeps: ['T-0'] })),
  ],
  ['cancelled while it was paused', () => cancelled(when(started(), { type: 'pause', task: 'T-1' }))],
  ['cancelled before it landed', () => cancelled(atLanding())],
]

const PEOPLE: Command[] = [
  { type: 'edit-task', task: 'T-1', title: 'other' },
  { type: 'approve', task: 'T-1' },
  { type: 'reject', task: 'T-1', reason: 'no' },
  { type: 'answer', task: 'T-1', text: 'yes' },
  { type: 'retry', task: 'T-1', parallel: 1 },
  { type: 'unblock', task: 'T-1' },
  { type: 'pause', task: 'T-1' },
  { type: 'resume', task: 'T-1' },
]

/** What a worker may report that began before the end, whichever step it was at, named right or wrong. */
function lateReports(before: World, ended: World): Command[] {
  return [before, ended].flatMap((w) => {
    const r = report(w)
    const trouble = { class: 'infra', code: 'x', text: 'x' } as const
    return [
      r.begin,
      r.start({ ...POLICY, configHash: 'c2' }),
      r.run(),
      r.judge([verdict('review', 'look', 'pass')]),
      r.intendChange,
      r.confirmChange,
      r.intendMerge(),
      r.confirmMerge,
      { type: 'recover-step' as const, task: 'T-1', epoch: taskIn(w).epoch },
      r.trouble(trouble),
    ]
  })
}

describe.each(ENDED)('a task that is %s', (_, end) => {
  test('refuses what people ask of it', () => {
    const w = end()
    for (const command of PEOPLE)
      expect([command.type, eventTypes(when(w, command).last)]).toEqual([command.type, ['refused: task-ended']])
  })

  test('refuses what late workers report of it', () => {
    const w = end()
    for (const command of lateReports(atLanding(), w))
      expect([command.type, eventTypes(when(w, command).last)]).toEqual([command.type, ['refused: task-ended']])
    expect(eventTypes(when(w, report(w).abandonMerge).last)).toEqual(['refused: task-ended'])
  })

  test('takes a late run on its books, and that is all', () => {
    const w = end()
    const late = when(w, report(w).end({ runId: 'T-1-1', headSha: MERGE }))
    expect(eventTypes(late.last)).toEqual(['run.ended', 'account.charged'])
    expect(late.last).toMatchObject({ effects: [], intents: [], supersede: null })
    const { status, epoch, headSha, step, mergedSha } = taskIn(w)
    expect(taskIn(late)).toMatchObject({ status, epoch, headSha, step, mergedSha })
  })

  test('is told of no dependency any more', () => {
    const w = end()
    for (const outcome of ['done', 'cancelled'] as const)
      expect(eventTypes(when(w, { type: 'close-dependency', task: 'T-1', dependency: 'T-0', outcome }).last)).toEqual(
        [],
      )
  })
})

test('cancelled twice is cancelled once; what is done is not cancelled', () => {
  const w = cancelled(started())
  expect(when(w, { type: 'cancel', task: 'T-1' }).last).toMatchObject({ events: [], effects: [] })
  const done = merged()
  expect(taskIn(done)).toMatchObject({ status: 'done', mergedSha: MERGE, headSha: HEAD })
  expect(eventTypes(cancelled(done).last)).toEqual(['refused: task-ended'])
})

test('an end is an epoch of its own: nothing that was queued before it is current', () => {
  for (const [before, after] of [
    [started(), cancelled(started())],
    [atLanding(), merged()],
  ] as const)
    expect(taskIn(after).epoch).toBeGreaterThan(taskIn(before).epoch)
})

test('a dependency that closes is told to a task that waits for it, once, and others still count', () => {
  const both = { dependsOn: ['T-0', 'T-9'], openDeps: ['T-0', 'T-9'] }
  const close = { type: 'close-dependency', task: 'T-1', dependency: 'T-0', outcome: 'done' } as const
  const first = when(when(world(), { ...OPEN, ...both }), close)
  expect(taskIn(first)).toMatchObject({ status: 'blocked', openDeps: ['T-9'], step: null })
  expect(first.last).toMatchObject({ effects: [] })
  expect(eventTypes(when(first, close).last)).toEqual([])
  const stranger = { ...close, dependency: 'T-7' }
  expect(eventTypes(when(first, { ...stranger, outcome: 'cancelled' }).last)).toEqual([])
})

test('a blocked task begins no step', () => {
  const w = when(world(), { ...OPEN, dependsOn: ['T-0'], openDeps: ['T-0'] })
  const state = {
    ...w.state,
    task: { ...taskIn(w), status: 'queued' as const, step: { kind: 'run' as const, stage: 'make' } },
  }
  expect(eventTypes(when({ ...w, state }, report(w).begin).last)).toEqual(['refused: task-blocked'])
})
