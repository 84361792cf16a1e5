// What `why` tells people to do is tried: in every state that commands lead to, each action it names is accepted in this
// very state and moves the task, and whose move it is, is given something that does.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isTerminal } from './lifecycle.ts'
import type { Command, Trouble } from './messages.ts'
import type { Task } from './task.ts'
import {
  HEAD,
  MAKE_GREEN,
  OPEN,
  POLICY,
  type World,
  atLanding,
  inReview,
  judging,
  report,
  started,
  taskIn,
  verdict,
  when,
  world,
} from './test-spec.ts'
import type { VerdictResult } from './verdict.ts'
import { type WhyFacts, explain } from './why.ts'

const FACTS: WhyFacts = { serviceRunning: true, liveRun: null, now: 1, time: String }

/** Actions that only show something, each beside one that moves the task. */
const LOOKS = [
  /^orch doctor$/,
  /^orch task show T-1$/,
  /^orch change (diff|show) T-1$/,
  /^orch why T-\d+$/,
  /^orch task logs T-1$/,
]

/** The command a person gives by typing this; null for one that only looks. */
function commandOf(action: string): Command | null {
  if (LOOKS.some((look) => look.test(action))) return null
  const [, verb = '', task = '', text] = /^orch (?:task )?([a-z]+) (\S+)(?: (?:--reason )?"(.+)")?$/.exec(action) ?? []
  switch (verb) {
    case 'approve':
    case 'unblock':
    case 'pause':
    case 'resume':
    case 'cancel':
      return { type: verb, task }
    case 'retry':
      return { type: 'retry', task, parallel: 2 }
    case 'reject':
      return { type: 'reject', task, reason: text ?? expect.fail(`${action} gives no reason`) }
    case 'answer':
      return { type: 'answer', task, text: text ?? expect.fail(`${action} gives no answer`) }
    default:
      return expect.fail(`nobody knows how to do: ${action}`)
  }
}

/** Where a task is, as far as anybody who waits for it cares. */
function place({ status, stage, epoch, paused, openDeps, cancelRequested }: Task): string {
  return JSON.stringify([status, stage, epoch, paused, openDeps, cancelRequested])
}

/** Does each named thing in a copy of this state; gives the commands that were there to do. */
function tryActions(w: World): string[] {
  const task = taskIn(w)
  const { owner, actions } = explain(task, FACTS)
  const done = actions.flatMap((action) => {
    const command = commandOf(action)
    if (!command) return []
    const after = when(w, command)
    const state = `${task.status} ${task.reason?.code ?? task.waitingFor ?? ''}`
    if (!after.last.ok) expect.fail(`${action} in ${state}: ${after.last.refusal.text}`)
    if (place(taskIn(after)) === place(task)) expect.fail(`${action} in ${state} moves nothing`)
    return [command.type]
  })
  if (owner === 'you' && done.length === 0) expect.fail(`${task.status} is a person's move, and nothing moves it`)
  if (isTerminal(task.status) && actions.length > 0) expect.fail(`${task.status} and yet: ${actions.join(', ')}`)
  return done
}

const HOLD = (code: string): Trouble => ({ class: 'hold', code, text: code })
const blocked = () => when(world(), { ...OPEN, dependsOn: ['T-0', 'T-9'], openDeps: ['T-0', 'T-9'] })
/** Each has the one end that it can have. */
const ends = (outcome: 'done' | 'cancelled'): Command => {
  const dependency = outcome === 'done' ? 'T-0' : 'T-9'
  return { type: 'close-dependency', task: 'T-1', dependency, outcome }
}
const paused = (w: World) => when(w, { type: 'pause', task: 'T-1' })
const human = { ...POLICY, approval: 'human' as const }
const held = (w: World, code: string) => when(w, report(w).trouble(HOLD(code)))
const judged = (result: VerdictResult, more = {}) => {
  const w = started()
  const ended = when(w, report(w).end())
  return judging(ended, [verdict('changes', 'make', 'pass'), verdict('verify', 'make', result, more)])
}
const red = (w: World): World => {
  const begun = when(w, report(w).begin)
  const running = when(begun, report(begun).run())
  const ended = when(running, report(running).end())
  return judging(ended, [verdict('changes', 'make', 'pass'), verdict('verify', 'make', 'fail')])
}
const landing = () => {
  const w = atLanding()
  return when(w, report(w).intendMerge())
}
const failed = (code: 'auth' | 'rate-limit' | 'crash') => {
  const w = started()
  return when(w, report(w).end({ outcome: { kind: 'failed', code, text: code, exitCode: 1 } }))
}

test.each<[string, () => World, string[]]>([
  ['queued', () => when(world(), OPEN), []],
  ['running', () => started(), []],
  ['blocked', blocked, ['unblock']],
  ['blocked and paused', () => paused(blocked()), ['resume', 'cancel']],
  ['held for a cancelled dependency', () => when(blocked(), ends('cancelled')), ['unblock', 'cancel']],
  ['held before its start', () => held(when(world(), OPEN), 'base-red'), ['retry', 'cancel']],
  ['held in a run', () => held(started(), 'agent-missing'), ['retry', 'cancel']],
  ['held in review', () => held(inReview(), 'agent-missing'), ['retry', 'cancel']],
  ['held by an agent without login', () => failed('auth'), ['retry', 'cancel']],
  ['held at publishing', () => held(judged('pass'), 'push-refused'), ['retry', 'cancel']],
  ['held at landing', () => held(atLanding(), 'push-refused'), ['retry', 'cancel']],
  ['held inside a merge', () => held(landing(), 'push-unreachable'), ['retry', 'cancel']],
  ['held as merged by somebody else', () => held(atLanding(), 'already-merged'), ['cancel', 'reject']],
  ['held with its gates void', () => held(atLanding(), 'gates-void'), ['reject', 'cancel']],
  ['held with its attempts spent', () => red(red(judged('fail'))), ['retry', 'reject', 'cancel']],
  ['waiting for an approval to land', () => atLanding(human), ['approve', 'reject']],
  ['waiting for an approval of its change', () => judged('wait', { waitFor: 'approval' }), ['approve', 'reject']],
  ['waiting for an answer', () => judged('wait', { waitFor: 'answers' }), ['answer', 'cancel']],
  ['held because it can’t be judged', () => judged('unknown', { retryable: false }), ['retry', 'cancel']],
  ['about to be judged again', () => judged('unknown', { retryable: true }), ['retry']],
  ['at its agent’s limit', () => failed('rate-limit'), ['retry']],
  ['in trouble outside the code', () => failed('crash'), ['retry']],
  ['limited and paused', () => paused(failed('rate-limit')), ['resume', 'cancel']],
  ['held and paused', () => paused(held(started(), 'agent-missing')), ['resume', 'cancel']],
])('each action named for a task that is %s is accepted and moves it', (_, make, commands) => {
  expect(tryActions(make())).toEqual(commands)
})

test('inside a merge a task says that it will be cancelled, and a cancel of a held one goes on to settle it', () => {
  const cancelled = when(landing(), { type: 'cancel', task: 'T-1' })
  expect(explain(taskIn(cancelled), FACTS).because).toContain('It is cancelled as soon as its merge is settled')
  const stuck = held(cancelled, 'push-unreachable')
  expect(tryActions(stuck)).toContain('cancel')
})

const results: VerdictResult[] = ['pass', 'fail', 'wait', 'unknown']
const troubles: Trouble[] = [
  { class: 'code', code: 'conflict', text: 'x', findings: [] },
  { class: 'transient', code: 'overload', text: 'x' },
  { class: 'infra', code: 'setup-failed', text: 'x' },
  HOLD('push-refused'),
]

/** Some let a person decide, some give one attempt only. */
const policyOf = (seed: number): typeof POLICY => ({
  ...POLICY,
  approval: seed % 3 ? 'auto' : 'human',
  limits: { ...POLICY.limits, attempts: seed % 2 ? 3 : 1 },
})

/** What a worker says next when all goes well. */
function next(w: World, seed: number): Command {
  const task = taskIn(w)
  const { step, stage } = task
  const says = report(w)
  if (task.status !== 'running') return says.begin
  if (!task.policy || task.repin) return says.start(policyOf(seed))
  const isReview = stage === 'look'
  if (step?.kind === 'run' && !task.runId) return says.run(isReview ? 'judge' : 'maker')
  if (step?.kind === 'run') return says.end({ headSha: isReview ? null : HEAD })
  if (step?.kind === 'judge') return says.judge(isReview ? [verdict('review', 'look', 'pass')] : MAKE_GREEN)
  if (step?.kind === 'publish') return says.confirmChange
  return task.landing ? says.confirmMerge : says.intendMerge()
}

/** What workers, other tasks and people say. */
const moves: ((w: World, seed: number) => Command)[] = [
  ...Array<typeof next>(25).fill(next),
  (w, n) =>
    report(w).end({
      outcome: { kind: 'failed', code: n % 2 ? 'auth' : 'rate-limit', text: 'x', exitCode: 1 },
      headSha: null,
    }),
  (w, n) =>
    report(w).judge([
      verdict('changes', taskIn(w).stage, results[n % 4] ?? 'pass', {
        waitFor: n % 2 ? 'approval' : 'answers',
        retryable: n % 3 === 0,
      }),
    ]),
  (w) => report(w).judge([verdict('changes', taskIn(w).stage, 'fail')]),
  (w) => report(w).intendChange,
  (w) => report(w).abandonMerge,
  (w, n) => report(w).trouble(troubles[n % 4] ?? HOLD('x')),
  () => ({ type: 'approve', task: 'T-1' }),
  () => ({ type: 'reject', task: 'T-1', reason: 'no' }),
  () => ({ type: 'answer', task: 'T-1', text: 'yes' }),
  () => ({ type: 'retry', task: 'T-1', parallel: 2 }),
  () => ({ type: 'unblock', task: 'T-1' }),
  () => ({ type: 'pause', task: 'T-1' }),
  () => ({ type: 'resume', task: 'T-1' }),
  () => ends('done'),
  () => ends('cancelled'),
]

const script = fc.array(fc.record({ move: fc.nat(moves.length - 1), seed: fc.nat(11) }), { size: 'max', maxLength: 80 })

test('L6: whatever came before, each named action is accepted and moves the task, and a person is never left without one', () => {
  const seen = new Set<string>()
  fc.assert(
    fc.property(script, fc.integer({ min: 0, max: 200 }), (steps, cancelAt) => {
      let w = steps.length % 5 === 0 ? blocked() : when(world(), OPEN)
      for (const [n, { move, seed }] of steps.entries()) {
        const command: Command | undefined = n === cancelAt ? { type: 'cancel', task: 'T-1' } : moves[move]?.(w, seed)
        if (!command) continue
        w = when(w, command)
        const { status, reason, waitingFor } = taskIn(w)
        seen.add(`${status} ${reason?.code ?? waitingFor ?? ''}`.trim())
        tryActions(w)
      }
    }),
    { numRuns: 1_000 },
  )
  // What the property is worth: the states it has been in.
  for (const state of [
    'queued',
    'running',
    'blocked',
    'done',
    'cancelled',
    'waiting approval',
    'waiting answers',
    'waiting timer',
    'waiting limit',
    'needs_review dependency-cancelled',
    'needs_review push-refused',
    'needs_review attempts-spent',
  ])
    expect([...seen]).toContain(state)
})

test('what waits for nothing that has a name says that Orch moves it', () => {
  // No command leads there; a broken row would, and the next sweep queues its step again.
  const task: Task = { ...taskIn(started()), status: 'waiting', waitingFor: null, step: null }
  expect(explain(task, FACTS)).toMatchObject({ owner: 'orch', actions: [] })
  expect(explain(task, { ...FACTS, serviceRunning: false })).toMatchObject({ owner: 'you', actions: ['orch up'] })
})
