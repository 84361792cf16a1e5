import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canMove, isTerminal } from './lifecycle.ts'
import type { Command, Trouble } from './messages.ts'
import { explain } from './why.ts'
import { HEAD, MAKE_GREEN, OPEN, POLICY, type World, report, taskIn, verdict, when, world } from './test-spec.ts'
import { evolve } from './task.ts'
import type { RunFailure } from './run.ts'
import { evolveAccount } from './account.ts'
import type { VerdictResult } from './verdict.ts'

const results: VerdictResult[] = ['pass', 'fail', 'wait', 'unknown']
const troubles: Trouble[] = [
  { class: 'code', code: 'conflict', text: 'x', findings: [] },
  { class: 'transient', code: 'overload', text: 'x' },
  { class: 'infra', code: 'setup-failed', text: 'x' },
  { class: 'hold', code: 'push-refused', text: 'x' },
]

const failures: RunFailure[] = ['auth', 'crash', 'overload', 'malformed-stream']

/** Everything anyone might say at any moment, sensible or not; `offset` makes some of it late. */
const moves: ((w: World, seed: number) => Command)[] = [
  (w) => report(w).begin,
  (w, n) => report(w).start({ ...POLICY, approval: n % 2 ? 'human' : 'auto' }),
  (w) => report(w).run(),
  (w) => report(w).end(),
  (w, n) =>
    report(w).end({
      headSha: n % 3 ? HEAD : null,
      outcome: n % 2 ? { kind: 'lost', text: 'x' } : { kind: 'failed', code: 'rate-limit', text: 'x', exitCode: 1 },
    }),
  (w, n) => report(w).end({ outcome: { kind: 'failed', code: failures[n % 4] ?? 'crash', text: 'x', exitCode: 1 } }),
  (w) => report(w).judge(MAKE_GREEN),
  (w) => report(w).judge([verdict('review', 'look', 'pass')]),
  (w, n) =>
    report(w).judge([
      verdict('changes', taskIn(w).stage, results[n % 4] ?? 'pass', {
        waitFor: n % 2 ? 'approval' : 'answers',
        retryable: n % 3 === 0,
      }),
    ]),
  (w) => report(w).intendChange,
  (w) => report(w).confirmChange,
  (w) => report(w).intendMerge(),
  (w) => report(w).confirmMerge,
  (w) => report(w).abandonMerge,
  (w, n) => report(w).trouble(troubles[n % 4] ?? { class: 'hold', code: 'x', text: 'x' }),
  () => ({ type: 'approve', task: 'T-1' }),
  () => ({ type: 'reject', task: 'T-1', reason: 'no' }),
  () => ({ type: 'answer', task: 'T-1', text: 'yes' }),
  () => ({ type: 'retry', task: 'T-1', parallel: 2 }),
  () => ({ type: 'unblock', task: 'T-1' }),
  () => ({ type: 'pause', task: 'T-1' }),
  () => ({ type: 'resume', task: 'T-1' }),
  () => ({ type: 'close-dependency', task: 'T-1', dependency: 'T-0', outcome: 'done' }),
]

const script = fc.array(fc.record({ move: fc.nat(moves.length - 1), seed: fc.nat(11), late: fc.boolean() }), {
  // fast-check's own choice would seldom go beyond ten.
  size: 'max',
  maxLength: 60,
})

function play(
  steps: { move: number; seed: number; late: boolean }[],
  check: (before: World, after: World) => void,
): World {
  let w = when(world(), {
    ...OPEN,
    ...((steps[0]?.seed ?? 0) % 5 === 0 ? { dependsOn: ['T-0'], openDeps: ['T-0'] } : {}),
  })
  for (const { move, seed, late } of steps) {
    const command = moves[move]?.(w, seed)
    if (!command) continue
    const sent = late && 'epoch' in command ? { ...command, epoch: command.epoch - 1 } : command
    const after = when(w, sent as Command)
    check(w, after)
    w = after
  }
  return w
}

test('no command ever leaves the table of statuses, nor an ended task', () => {
  fc.assert(
    fc.property(script, (steps) => {
      play(steps, (before, after) => {
        const [from, to] = [taskIn(before).status, taskIn(after).status]
        if (isTerminal(from)) expect(to).toBe(from)
        // A decision may pass through several statuses; each single event must be allowed.
        if (!after.last.ok) return
        let task = taskIn(before)
        for (const { body } of after.last.events) {
          if (body.stream !== 'task') continue
          const next = evolve(task, body.event, after.now)
          expect(
            next.status === task.status || canMove(task.status, next.status),
            `${task.status} to ${next.status} by ${body.event.type}`,
          ).toBe(true)
          task = next
        }
        expect(task).toEqual(taskIn(after))
      })
    }),
    { numRuns: 2_000 },
  )
})

test('S17: an account is the fold of its events, and whatever it puts off has a time that is ahead', () => {
  fc.assert(
    fc.property(script, (steps) => {
      play(steps, (before, after) => {
        const { account } = before.state
        if (!after.last.ok || !account) return
        const told = after.last.events.flatMap(({ body }) => (body.stream === 'account' ? [body.event] : []))
        expect(after.state.account).toEqual(told.reduce(evolveAccount, account))
        for (const { body } of after.last.events) {
          if (body.event.type !== 'step.queued' || body.event.data.waiting?.for !== 'limit') continue
          expect(body.event.data.waiting.until).toBeGreaterThan(after.now)
        }
      })
    }),
    { numRuns: 1_000 },
  )
})

test('S10: budgets are never passed', () => {
  fc.assert(
    fc.property(script, (steps) => {
      play(steps, (_, after) => {
        const task = taskIn(after)
        const limits = task.policy?.limits ?? { attempts: 3, transient: 6, infra: 3 }
        expect(task.attempts.code - task.codeBase).toBeLessThanOrEqual(limits.attempts)
        expect(task.attempts.infra).toBeLessThanOrEqual(Math.max(limits.infra, 3))
        expect(task.attempts.transient).toBeLessThanOrEqual(Math.max(limits.transient, 6))
      })
    }),
    { numRuns: 1_000 },
  )
})

test('S13: only a code failure or a person spends a code attempt', () => {
  fc.assert(
    fc.property(script, (steps) => {
      play(steps, (before, after) => {
        if (taskIn(after).attempts.code === taskIn(before).attempts.code || !after.last.ok) return
        expect(after.last.events.map(({ body }) => body.event.type)).toContain('task.sent_back')
      })
    }),
    { numRuns: 500 },
  )
})

test('L6: an open task has a job asked for, a wait, or an owner; and every explanation names one', () => {
  fc.assert(
    fc.property(script, (steps) => {
      const end = play(steps, () => undefined)
      const task = taskIn(end)
      const facts = { serviceRunning: true, liveRun: null, now: end.now, time: String }
      expect(explain(task, facts).owner).not.toBe('')
      if (task.status === 'queued' || task.status === 'running') expect(task.step).not.toBeNull()
      if (task.status === 'needs_review') expect(task.reason?.code).toBeTruthy()
      if (task.status === 'waiting') expect(task.waitingFor).toBeTruthy()
      if (task.status === 'blocked') expect(task.openDeps.length).toBeGreaterThan(0)
    }),
    { numRuns: 1_000 },
  )
})

test('S6: the train holds a task at most once, and nothing that has ended', () => {
  fc.assert(
    fc.property(script, (steps) => {
      play(steps, (_, after) => {
        const { entries } = after.state.repository.train
        expect(new Set(entries.map((entry) => entry.task)).size).toBe(entries.length)
        if (isTerminal(taskIn(after).status)) expect(entries.map((entry) => entry.task)).not.toContain('T-1')
      })
    }),
    { numRuns: 500 },
  )
})
