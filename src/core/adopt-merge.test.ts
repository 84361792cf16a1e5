// A landing that the books don't know, because they are older than it, ends the task wherever it stands in them.

import { expect, test } from 'vitest'
import { canMove } from './lifecycle.ts'
import {
  type World,
  HEAD,
  MERGE,
  OPEN,
  POLICY,
  atLanding,
  effectKinds,
  eventTypes,
  inReview,
  report,
  started,
  taskIn,
  when,
  world,
} from './test-spec.ts'
import { evolve } from './task.ts'

const MERGED = 'd'.repeat(40)
const adopt = (w: World, mergedSha = MERGED): World => when(w, { type: 'adopt-merge', task: 'T-1', mergedSha })

const opened = when(world(), OPEN)
const blocked = when(world(), { ...OPEN, dependsOn: ['T-0'], openDeps: ['T-0'] })
const running = started()
const held = when(running, report(running).trouble({ class: 'hold', code: 'test', text: 'test' }))
const waiting = atLanding({ ...POLICY, approval: 'human' })
const landing = atLanding()
const paused = when(opened, { type: 'pause', task: 'T-1' })

test.each([
  ['queued', opened],
  ['blocked', blocked],
  ['running', running],
  ['in review', inReview()],
  ['held', held],
  ['waiting for a person', waiting],
  ['in the train', landing],
  ['paused', paused],
])('a task that is %s is done, by allowed moves alone, and nothing of it goes on', (_, before) => {
  const after = adopt(before)
  expect(taskIn(after)).toMatchObject({ status: 'done', mergedSha: MERGED, step: null, runId: null, landing: null })
  expect(after.state.repository.train.entries).toEqual([])
  expect(effectKinds(after.last)).toEqual(
    expect.arrayContaining(['release-dependants', 'clean', ...(taskIn(before).runId ? ['stop-run'] : [])]),
  )
  expect(after.last.ok && after.last.supersede).toMatchObject({ task: 'T-1' })
  let task = taskIn(before)
  for (const { body } of after.last.ok ? after.last.events : []) {
    if (body.stream !== 'task') continue
    const next = evolve(task, body.event, 0)
    if (next.status !== task.status) expect([task.status, next.status, canMove(task.status, next.status)][2]).toBe(true)
    task = next
  }
  expect(eventTypes(adopt(after).last)).toEqual([])
})

test('an intent to merge that is open is settled by what main holds', () => {
  const intended = when(landing, report(landing).intendMerge())
  const settledAs = (w: World) => w.last.ok && w.last.intents
  expect(settledAs(adopt(intended, MERGE))).toEqual([
    { op: 'settle', kind: 'merge', task: 'T-1', key: MERGE, as: 'confirmed' },
  ])
  expect(settledAs(adopt(intended))).toEqual([
    { op: 'settle', kind: 'merge', task: 'T-1', key: MERGE, as: 'compensated' },
  ])
})

test('a cancelled task stays cancelled', () => {
  let w = when(running, report(running).end())
  expect(taskIn(w).headSha).toBe(HEAD)
  w = when(w, { type: 'cancel', task: 'T-1' })
  expect(eventTypes(adopt(w).last)).toEqual(['refused: task-ended'])
})
