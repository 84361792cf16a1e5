// Given events, when a command, then events or a refusal: the form in which the core's tests are written.

import type { Decision, State } from './draft.ts'
import { decide } from './decide.ts'
import { newAccount } from './account.ts'
import type { Command } from './messages.ts'
import type { Pipeline } from './pipeline.ts'
import type { Policy } from './policy.ts'
import { newRepository } from './repository.ts'
import type { Task } from './task.ts'
import type { GateName } from './pipeline.ts'
import type { Verdict, VerdictResult } from './verdict.ts'

const PIPELINE: Pipeline = {
  name: 'test',
  description: 'two agents, one landing',
  stages: [
    { name: 'make', kind: 'agent', role: 'maker', gates: ['changes', 'verify'] },
    { name: 'show', kind: 'publish', gates: [] },
    { name: 'look', kind: 'agent', role: 'judge', independent: true, gates: ['review'], onFail: 'make' },
    { name: 'merge', kind: 'land', gates: [], onFail: 'make' },
  ],
}

export const POLICY: Policy = {
  pipeline: PIPELINE,
  configHash: 'c1',
  base: null,
  checkout: { sparse: [] },
  setup: [],
  verify: [{ run: 'true', timeoutSeconds: 60, cwd: '.', paths: [] }],
  verifyParallel: false,
  knownFailures: [],
  env: { pass: [], set: {} },
  approval: 'auto',
  land: { method: 'merge' },
  roles: { maker: { agent: 'bot' }, judge: { agent: 'bot' } },
  agents: {},
  limits: { attempts: 3, transient: 2, infra: 2, runMinutes: 60, stallMinutes: 30, parallel: 4 },
  protected: [],
  diffBudget: { files: 10, addedLines: 100 },
  sandbox: { network: true, read: [] },
  commits: { pattern: null },
}

/** In ms. */
export const MINUTE = 60_000

export const HEAD = 'a'.repeat(40)
const BASE = 'b'.repeat(40)
export const MERGE = 'c'.repeat(40)

export const OPEN: Extract<Command, { type: 'open-task' }> = {
  type: 'open-task',
  task: 'T-1',
  project: 'T',
  origin: 'local:1',
  title: 'Do it',
  body: '',
  labels: [],
  priority: 0,
  creator: null,
  dependsOn: [],
  openDeps: [],
  pipeline: 'test',
  firstStage: 'make',
  parallel: 4,
}

const EMPTY: State = { task: null, repository: newRepository('T'), account: newAccount('bot') }

/** A world in which commands are applied one after the other; time passes one second each. */
export interface World {
  state: State
  now: number
  last: Decision
}

export function world(state: State = EMPTY): World {
  return { state, now: 1_000, last: { ok: true, state, events: [], effects: [], intents: [], supersede: null } }
}

/** Applies a command; a refusal leaves the state as it is. */
export function when(before: World, command: Command): World {
  const now = before.now + 1_000
  const last = decide(before.state, command, { now, actor: 'ann' })
  return { state: last.ok ? last.state : before.state, now, last }
}

export function taskIn(world: World): Task {
  if (!world.state.task) throw new Error('no task')
  return world.state.task
}

export function eventTypes(decision: Decision): string[] {
  return decision.ok ? decision.events.map(({ body }) => body.event.type) : [`refused: ${decision.refusal.code}`]
}

export function effectKinds(decision: Decision): string[] {
  return decision.ok ? decision.effects.map(({ effect }) => effect.kind) : []
}

export function verdict(gate: GateName, stage: string, result: VerdictResult, more: Partial<Verdict> = {}): Verdict {
  return { gate, stage, result, sha: HEAD, configHash: 'c1', note: `${gate} ${result}`, findings: [], ...more }
}

/** Commands a worker sends for the step the task is at. */
export function report(world: World) {
  const task = taskIn(world)
  const at = { task: task.id, epoch: task.epoch }
  return {
    begin: { type: 'begin-step', ...at } as const,
    start: (policy: Policy = POLICY) =>
      ({ type: 'start-task', ...at, policy, baseSha: BASE, branch: 'orch/T-1-do-it' }) as const,
    run: (role = 'maker') =>
      ({
        type: 'begin-run',
        ...at,
        runId: `${task.id}-${task.epoch}`,
        role,
        agent: 'bot',
        model: null,
        why: 'test',
      }) as const,
    end: (more: Partial<Extract<Command, { type: 'end-run' }>> = {}) =>
      ({
        type: 'end-run',
        ...at,
        runId: `${task.id}-${task.epoch}`,
        role: 'maker',
        agent: 'bot',
        model: null,
        outcome: { kind: 'succeeded' },
        sessionId: 's1',
        headSha: HEAD,
        usage: { input: 10, output: 5, cacheRead: 0, cacheWrite: 0 },
        costUsd: 0.5,
        ...more,
      }) as Extract<Command, { type: 'end-run' }>,
    judge: (verdicts: Verdict[], stage = task.stage) =>
      ({ type: 'judge-stage', ...at, stage, sha: task.headSha ?? '', verdicts }) as const,
    intendChange: { type: 'intend-change', ...at, branch: 'orch/T-1-do-it', sha: task.headSha ?? '' } as const,
    confirmChange: { type: 'confirm-change', ...at, branch: 'orch/T-1-do-it', sha: task.headSha ?? '' } as const,
    intendMerge: (verified = true) =>
      ({ type: 'intend-merge', ...at, mergeSha: MERGE, onto: BASE, tree: 'tree', configHash: 'c1', verified }) as const,
    confirmMerge: { type: 'confirm-merge', ...at, mergeSha: MERGE, mergedSha: MERGE } as const,
    abandonMerge: { type: 'abandon-merge', ...at, why: 'main moved' } as const,
    trouble: (trouble: Extract<Command, { type: 'report-trouble' }>['trouble']) =>
      ({ type: 'report-trouble', ...at, trouble }) as const,
  }
}

/** The judge's job is claimed and reports. */
export function judging(before: World, verdicts: Verdict[]): World {
  const begun = when(before, report(before).begin)
  return when(begun, report(begun).judge(verdicts))
}

/** From nothing to a started run at the first stage. */
export function started(policy: Policy = POLICY): World {
  let w = when(world(), OPEN)
  w = when(w, report(w).begin)
  w = when(w, report(w).start(policy))
  return when(w, report(w).run())
}

export const MAKE_GREEN = [verdict('changes', 'make', 'pass'), verdict('verify', 'make', 'pass')]

/** On to the reviewer's run, under way. */
export function inReview(policy: Policy = POLICY): World {
  let w = started(policy)
  w = when(w, report(w).end())
  w = judging(w, MAKE_GREEN)
  w = when(w, report(w).begin)
  w = when(w, report(w).intendChange)
  w = when(w, report(w).confirmChange)
  w = when(w, report(w).begin)
  return when(w, report(w).run('judge'))
}

/** On to the stage that lands: begun, or waiting for an approval where the policy asks for one. */
export function atLanding(policy: Policy = POLICY): World {
  let w = inReview(policy)
  w = when(w, report(w).end({ role: 'judge', headSha: null }))
  w = judging(w, [verdict('review', 'look', 'pass')])
  return policy.approval === 'auto' ? when(w, report(w).begin) : w
}
