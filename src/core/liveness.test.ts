// A queue and its workers in miniature, with people who say anything at any moment: whatever happens, every open task
// has a job, a place in line, or a person who must act (L6), and nobody waits behind a task that does not move (L2).

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Account, evolveAccount, newAccount } from './account.ts'
import { decide } from './decide.ts'
import { isTerminal } from './lifecycle.ts'
import { moverOf } from './liveness.ts'
import type { Command, Effect, Trouble } from './messages.ts'
import { type Repository, newRepository } from './repository.ts'
import type { RunOutcome } from './run.ts'
import type { Task } from './task.ts'
import {
  HEAD,
  MERGE,
  OPEN,
  POLICY,
  atLanding,
  effectKinds,
  eventTypes,
  report,
  started,
  taskIn,
  when,
  world,
} from './test-spec.ts'
import { plan } from './train.ts'
import type { Verdict, VerdictResult } from './verdict.ts'

type StepEffect = Extract<Effect, { epoch: number }>
interface Job {
  effect: StepEffect
  state: 'queued' | 'running' | 'over'
  /** How far its worker is. */
  phase: number
  /** Not before. */
  runAt: number
}
interface Sim {
  now: number
  tasks: Map<string, Task>
  repository: Repository
  /** Of the one agent that all tasks share. */
  account: Account
  jobs: Job[]
}

/** Budgets so large that trouble seldom ends in a hold. */
const LIMITS = { ...POLICY.limits, attempts: 20, infra: 20, transient: 20 }
const IDS = ['T-1', 'T-2', 'T-3', 'T-4', 'T-5'] as const
const TROUBLES: Trouble[] = [
  { class: 'infra', code: 'x', text: 'x' },
  { class: 'code', code: 'x', text: 'x', findings: [] },
  { class: 'transient', code: 'x', text: 'x' },
  { class: 'hold', code: 'x', text: 'x' },
]

const OUTCOMES: RunOutcome[] = [
  ...Array<RunOutcome>(12).fill({ kind: 'succeeded' }),
  { kind: 'lost', text: 'x' },
  { kind: 'timed-out', text: 'x' },
  { kind: 'stalled', text: 'x' },
  { kind: 'failed', code: 'rate-limit', text: 'x', exitCode: 1, retryAfterMs: 3_600_000 },
  { kind: 'failed', code: 'overload', text: 'x', exitCode: 1 },
  ...Array<RunOutcome>(4).fill({ kind: 'failed', code: 'crash', text: 'x', exitCode: 1 }),
  { kind: 'failed', code: 'auth', text: 'x', exitCode: 1 },
]

/** Applies a command as the engine does; ends the job of whoever spoke last for it. */
function submit(sim: Sim, command: Command, job?: Job): boolean {
  const task = sim.tasks.get(command.task) ?? null
  const account = 'agent' in command || command.type === 'retry' || task?.runId ? sim.account : null
  const decision = decide({ task, repository: sim.repository, account }, command, { now: ++sim.now, actor: 'ann' })
  if (job) job.state = 'over'
  if (!decision.ok) return false
  if (decision.state.task) sim.tasks.set(command.task, decision.state.task)
  sim.repository = decision.state.repository
  const told = decision.events.flatMap(({ body }) => (body.stream === 'account' ? [body.event] : []))
  if (account) expect(decision.state.account).toEqual(told.reduce(evolveAccount, account))
  sim.account = decision.state.account ?? sim.account
  const { supersede } = decision
  for (const other of sim.jobs) {
    const isOld = supersede && other.effect.task === supersede.task && other.effect.epoch < supersede.epoch
    if (isOld && other.state === 'queued') other.state = 'over'
  }
  for (const { effect, runAt } of decision.effects)
    if ('epoch' in effect) sim.jobs.push({ effect, state: 'queued', phase: 0, runAt })
  return true
}

/** One step of a worker: it begins, says what it intends, and ends its job with its result or with trouble. */
function work(sim: Sim, job: Job, seed: number): void {
  const { kind, task: id, epoch } = job.effect
  const at = { task: id, epoch }
  sim.now = Math.max(sim.now, job.runAt)
  if (seed % 23 === 0) {
    // The service stops: the job goes back.
    Object.assign(job, { state: 'queued', phase: 0 })
    return
  }
  if (job.phase++ === 0) {
    job.state = 'running'
    if (!submit(sim, { type: 'begin-step', ...at })) job.state = 'over'
    return
  }
  const task = sim.tasks.get(id)
  if (!task || task.epoch !== epoch) {
    job.state = 'over'
    return
  }
  if (seed % 6 === 0) {
    submit(
      sim,
      { type: 'report-trouble', ...at, trouble: TROUBLES[seed % 4] ?? { class: 'hold', code: 'x', text: '' } },
      job,
    )
    return
  }
  if (!task.policy || task.repin) {
    submit(sim, {
      type: 'start-task',
      ...at,
      policy: { ...POLICY, limits: LIMITS, approval: seed % 5 ? 'auto' : 'human' },
      baseSha: 'b',
      branch: 'b',
    })
    return
  }
  if (kind === 'run') workRun(sim, job, { task, seed })
  else if (kind === 'judge')
    submit(
      sim,
      { type: 'judge-stage', ...at, stage: task.stage, sha: task.headSha ?? '', verdicts: verdicts(task, seed) },
      job,
    )
  else if (kind === 'publish') {
    const change = { ...at, branch: 'b', sha: task.headSha ?? '' }
    if (submit(sim, { type: 'intend-change', ...change })) submit(sim, { type: 'confirm-change', ...change }, job)
  } else workLanding(sim, job, { task, seed })
}

function workRun(sim: Sim, job: Job, { task, seed }: { task: Task; seed: number }): void {
  const { task: id, epoch } = job.effect
  const run = { task: id, epoch, runId: `${id}-${epoch}`, role: 'maker', agent: 'bot', model: null }
  if (!task.runId) {
    submit(sim, { type: 'begin-run', ...run, why: '' })
    return
  }
  const outcome = OUTCOMES[seed % OUTCOMES.length] ?? { kind: 'succeeded' }
  const used = { usage: { input: 1, output: 1, cacheRead: 0, cacheWrite: 0 }, costUsd: 1 }
  submit(sim, { type: 'end-run', ...run, outcome, sessionId: null, headSha: HEAD, ...used }, job)
}

function workLanding(sim: Sim, job: Job, { task, seed }: { task: Task; seed: number }): void {
  const at = { task: task.id, epoch: job.effect.epoch }
  const merge = { ...at, mergeSha: MERGE }
  if (!task.landing) {
    const intended = submit(sim, {
      type: 'intend-merge',
      ...merge,
      onto: 'b',
      tree: 't',
      configHash: 'c1',
      verified: true,
    })
    if (!intended)
      submit(sim, { type: 'report-trouble', ...at, trouble: { class: 'hold', code: 'gates-void', text: '' } }, job)
  } else if (seed % 3) submit(sim, { type: 'confirm-merge', ...merge, mergedSha: MERGE }, job)
  else submit(sim, { type: 'abandon-merge', ...at, why: 'x' })
}

function verdicts(task: Task, seed: number): Verdict[] {
  const stage = task.policy?.pipeline.stages.find((one) => one.name === task.stage)
  const results: VerdictResult[] = [...Array<VerdictResult>(17).fill('pass'), 'fail', 'wait', 'unknown']
  const result = results[seed % 20] ?? 'pass'
  const waitFor = seed % 2 ? ('approval' as const) : ('answers' as const)
  return (stage?.gates ?? []).map((gate) => ({
    gate,
    stage: task.stage,
    result,
    sha: task.headSha ?? '',
    configHash: 'c1',
    note: '',
    findings: [],
    waitFor,
    retryable: seed % 4 > 0,
  }))
}

const people: ((task: string) => Command)[] = [
  (task) => ({ type: 'approve', task }),
  (task) => ({ type: 'approve', task }),
  (task) => ({ type: 'reject', task, reason: 'no' }),
  (task) => ({ type: 'answer', task, text: 'yes' }),
  (task) => ({ type: 'retry', task, parallel: 2 }),
  (task) => ({ type: 'unblock', task }),
  (task) => ({ type: 'pause', task }),
  (task) => ({ type: 'resume', task }),
  (task) => ({ type: 'resume', task }),
  (task) => ({ type: 'close-dependency', task, dependency: 'T-0', outcome: 'done' }),
  (task) => ({ type: 'close-dependency', task, dependency: 'T-0', outcome: 'cancelled' }),
  (task) => ({ type: 'cancel', task }),
]

/** Why nothing moves a task, or null when something or somebody does. */
function stuck(sim: Sim, task: Task): string | null {
  if (isTerminal(task.status)) return null
  const hasJob = sim.jobs.some(
    ({ effect, state }) => effect.task === task.id && effect.epoch === task.epoch && state !== 'over',
  )
  if (!task.paused && task.waitingFor === 'limit' && (task.waitingUntil ?? 0) <= task.updatedAt)
    return 'put off to no later time'
  const mover = moverOf(task, { hasJob, train: sim.repository.train })
  return mover === null ? `${task.status} for ${task.waitingFor}, and nothing moves it` : null
}

function stuckInLine(sim: Sim): string | null {
  for (const { prefix } of plan(sim.repository.train))
    for (const { task: id } of prefix) {
      const task = sim.tasks.get(id)
      if (!task || isTerminal(task.status) || task.status === 'needs_review') return `${id} leads the train and is over`
      if (task.paused && task.status !== 'running') return `${id} leads the train and is paused`
      if (task.step?.kind !== 'land') return `${id} leads the train and does not land`
    }
  return null
}

const move = fc.record({ who: fc.nat(19), what: fc.nat(people.length - 1), task: fc.nat(4), seed: fc.nat(10_000) })

test('L2, L6: whatever people say and wherever workers stop, every open task moves or has its owner', () => {
  fc.assert(
    fc.property(fc.array(move, { minLength: 150, maxLength: 300 }), (moves) => {
      const sim: Sim = {
        now: 1,
        tasks: new Map(),
        repository: newRepository('T'),
        account: newAccount('bot'),
        jobs: [],
      }
      for (const [n, task] of IDS.entries()) {
        const dependencies = n === 2 ? ['T-0'] : []
        submit(sim, { ...OPEN, task, origin: task, dependsOn: dependencies, openDeps: dependencies })
      }
      for (const { who, what, task, seed } of moves) {
        const live = sim.jobs.filter((job) => job.state !== 'over')
        const job = live[seed % Math.max(live.length, 1)]
        const command = people[what]?.(IDS[task] ?? 'T-1')
        if (who > 3 && job) work(sim, job, seed)
        else if (command && (command.type !== 'cancel' || seed % 8 === 0)) submit(sim, command)
        for (const one of sim.tasks.values()) expect(stuck(sim, one), one.id).toBeNull()
        expect(stuckInLine(sim)).toBeNull()
      }
    }),
    // Shrinking a script of hundreds of moves would take minutes; its seed is enough to see it again.
    { numRuns: 60, endOnFailure: true },
  )
})

test('L6: what has neither a job nor an owner is seen, and its step queued again with whatever was left of it void', () => {
  const w = started()
  const { train } = w.state.repository
  expect(moverOf(taskIn(w), { hasJob: true, train })).toBe('job')
  expect(moverOf(taskIn(w), { hasJob: false, train })).toBeNull()
  const recovered = when(w, { type: 'recover-step', task: 'T-1', epoch: taskIn(w).epoch })
  expect(taskIn(recovered)).toMatchObject({ status: 'queued', step: { kind: 'run', stage: 'make' }, runId: null })
  expect(taskIn(recovered).epoch).toBe(taskIn(w).epoch + 1)
  expect(effectKinds(recovered.last)).toEqual(['stop-run', 'run'])
  // Seen twice by two reconcilers: the second sees another epoch.
  const again = when(recovered, { type: 'recover-step', task: 'T-1', epoch: taskIn(w).epoch })
  expect(eventTypes(again.last)).toEqual(['refused: stale-step'])
})

test('L6: while a person or another task has the next move, nothing is recovered', () => {
  const waiting = when(world(), { ...OPEN, dependsOn: ['T-0'], openDeps: ['T-0'] })
  const held = when(started(), report(started()).trouble({ class: 'hold', code: 'x', text: 'x' }))
  const asked = atLanding({ ...POLICY, approval: 'human' })
  const opened = when(world(), OPEN)
  const paused = when(opened, { type: 'pause', task: 'T-1' })
  for (const [w, mover] of [
    [waiting, 'tasks'],
    [held, 'person'],
    [asked, 'person'],
    [paused, 'person'],
  ] as const) {
    const { train } = w.state.repository
    expect(moverOf(taskIn(w), { hasJob: false, train })).toBe(mover)
    const recovered = when(w, { type: 'recover-step', task: 'T-1', epoch: taskIn(w).epoch })
    expect(eventTypes(recovered.last)).toEqual(['refused: stale-step'])
  }
})

test('a task that waits for nothing at all goes on with the work of its stage', () => {
  const w = when(world(), { ...OPEN, dependsOn: ['T-0'], openDeps: ['T-0'] })
  // No command leads there; a broken row would.
  const broken = { ...w, state: { ...w.state, task: { ...taskIn(w), openDeps: [] } } }
  const recovered = when(broken, { type: 'recover-step', task: 'T-1', epoch: taskIn(w).epoch })
  expect(taskIn(recovered)).toMatchObject({ status: 'queued', step: { kind: 'run', stage: 'make' } })
})

test('S4: a held merge that main holds after all is confirmed, whatever its task waits for', () => {
  let w = atLanding()
  w = when(w, report(w).intendMerge())
  w = when(w, report(w).trouble({ class: 'hold', code: 'push-unreachable', text: 'x' }))
  expect(taskIn(w).status).toBe('needs_review')
  const done = when(w, report(w).confirmMerge)
  expect(taskIn(done)).toMatchObject({ status: 'done', mergedSha: MERGE, landing: null })
  expect(done.last.ok && done.last.intents).toEqual([
    { op: 'settle', kind: 'merge', task: 'T-1', key: MERGE, as: 'confirmed' },
  ])
})
