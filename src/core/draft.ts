// A decision in the making: events are folded as they are emitted, so that each later step of the same decision
// sees what the earlier ones did. Local to one call of `decide`; nothing here outlives it.

import { type Account, evolveAccount } from './account.ts'
import type {
  AccountEvent,
  Effect,
  IntentWrite,
  QueuedEffect,
  RepositoryEvent,
  StreamEvent,
  TaskEvent,
} from './messages.ts'
import type { WaitingFor } from './lifecycle.ts'
import { type Pipeline, type Stage, nextStage, stageOf } from './pipeline.ts'
import type { Refusal } from './refusals.ts'
import { type Repository, evolveRepository } from './repository.ts'
import { queueEffect } from './schedule.ts'
import { type Task, approvalOf, evolve, isOwnIssue } from './task.ts'
import type { Step } from './lifecycle.ts'
import { plan } from './train.ts'

export interface State {
  task: Task | null
  repository: Repository
  account: Account | null
}

export interface Emitted {
  id: string
  body: StreamEvent
}

export type Decision =
  | {
      ok: true
      state: State
      events: Emitted[]
      effects: QueuedEffect[]
      intents: IntentWrite[]
      supersede: { task: string; epoch: number } | null
    }
  | { ok: false; refusal: Refusal }

export interface Draft {
  now: number
  /** The task as it was before; null when it is being opened. */
  before: Task | null
  task: Task
  repository: Repository
  account: Account | null
  events: Emitted[]
  effects: QueuedEffect[]
  intents: IntentWrite[]
  supersede: { task: string; epoch: number } | null
  /** Lane capacity for a task that has no policy yet. */
  parallel: number
}

export function draftOf(state: State & { task: Task }, now: number, before: Task | null = state.task): Draft {
  return { ...state, before, now, events: [], effects: [], intents: [], supersede: null, parallel: state.task.parallel }
}

export function decided(draft: Draft): Decision {
  tellTracker(draft)
  const { task, repository, account, events, effects, intents, supersede } = draft
  return { ok: true, state: { task, repository, account }, events, effects, intents, supersede }
}

/** Bursts of moves are told as one. */
const TELL_AFTER_MS = 2_000

/** Whoever follows the issue where it came from sees where its task is. */
function tellTracker(draft: Draft): void {
  const { before, task } = draft
  if (isOwnIssue(task)) return
  const moved =
    before?.status !== task.status ||
    before.stage !== task.stage ||
    before.waitingFor !== task.waitingFor ||
    before.reason?.code !== task.reason?.code ||
    before.paused !== task.paused
  if (moved) addEffect(draft, { kind: 'tell', task: task.id }, draft.now + TELL_AFTER_MS)
}

export function emit(draft: Draft, event: TaskEvent): void {
  draft.task = evolve(draft.task, event, draft.now)
  draft.events.push({ id: draft.task.id, body: { stream: 'task', event } })
}

function emitRepository(draft: Draft, event: RepositoryEvent): void {
  draft.repository = evolveRepository(draft.repository, event, draft.now)
  draft.events.push({ id: draft.repository.id, body: { stream: 'repository', event } })
}

export function emitAccount(draft: Draft, event: AccountEvent): void {
  if (!draft.account) return
  draft.account = evolveAccount(draft.account, event)
  draft.events.push({ id: draft.account.id, body: { stream: 'account', event } })
}

export function addEffect(draft: Draft, effect: Effect, runAt?: number): void {
  draft.effects.push(
    queueEffect(effect, draft.task, {
      now: draft.now,
      parallel: draft.parallel,
      ...(runAt === undefined ? {} : { runAt }),
    }),
  )
}

/** The task's pinned pipeline; a task that has not started has none. */
export function pipelineOf(task: Task): Pipeline {
  if (!task.policy) throw new Error(`task ${task.id} has not started: no pipeline is pinned`)
  return task.policy.pipeline
}

interface QueueOptions {
  why: string
  runAt?: number
  waitingFor?: WaitingFor
  /** Whose limit or cooldown is waited out. */
  waitingAgent?: string
}

/** Makes `step` the task's current one: a new epoch, its job (unless paused), and older jobs void. */
export function queueStep(draft: Draft, step: Step, options: QueueOptions): void {
  const epoch = draft.task.epoch + 1
  const waits = step.kind === 'land' && !isFirstInTrain(draft, epoch, step.sha)
  const waiting = waits
    ? { for: 'train' as const, until: null }
    : options.waitingFor
      ? {
          for: options.waitingFor,
          until: options.runAt ?? null,
          ...(options.waitingAgent === undefined ? {} : { agent: options.waitingAgent }),
        }
      : undefined
  emit(draft, { type: 'step.queued', data: { step, epoch, why: options.why, ...(waiting ? { waiting } : {}) } })
  draft.supersede = { task: draft.task.id, epoch }
  // A paused head would hold up every other change of the repository.
  if (draft.task.paused) leaveTrain(draft)
  if (draft.task.paused || waits) return
  addEffect(draft, { kind: step.kind, task: draft.task.id, epoch }, options.runAt)
}

/** Enters the train if need be; true when this task's landing is what the train wants next. */
function isFirstInTrain(draft: Draft, epoch: number, sha: string): boolean {
  if (draft.task.paused) return true
  emitRepository(draft, { type: 'train.entered', data: { task: draft.task.id, epoch, sha } })
  return plan(draft.repository.train).some((test) => test.prefix.some((entry) => entry.task === draft.task.id))
}

/** Leaves the train, if the task is in it, and starts what the train wants next. Idempotent. */
export function leaveTrain(draft: Draft): void {
  const before = draft.repository.train
  if (!before.entries.some((entry) => entry.task === draft.task.id)) return
  const planned = new Set(plan(before).flatMap((test) => test.prefix.map((entry) => entry.task)))
  emitRepository(draft, { type: 'train.left', data: { task: draft.task.id } })
  for (const entry of plan(draft.repository.train).flatMap((test) => test.prefix)) {
    if (planned.has(entry.task)) continue
    addEffect(draft, { kind: 'land', task: entry.task, epoch: entry.epoch })
  }
}

/** A publication that is given up or put off leaves no open intent behind (S9). */
export function settleChange(draft: Draft, as: 'compensated' | 'held'): void {
  const { step, id } = draft.task
  if (step?.kind === 'publish') draft.intents.push({ op: 'settle', kind: 'change', task: id, key: step.sha, as })
}

/** Goes to a stage and starts what it consists of. */
export function enterStage(draft: Draft, stage: Stage, why: string): void {
  if (draft.task.stage !== stage.name) emit(draft, { type: 'stage.entered', data: { stage: stage.name } })
  const sha = draft.task.headSha
  if (stage.kind === 'agent') {
    queueStep(draft, { kind: 'run', stage: stage.name }, { why })
  } else if (sha === null) {
    hold(draft, { code: 'no-head', text: `stage ${stage.name} needs a commit and there is none` })
  } else if (stage.kind === 'publish') {
    // Under this policy nothing leaves the machine without a person.
    if (draft.task.policy?.approval === 'human-twice' && !approvalOf(draft.task, sha))
      waitForApproval(draft, `publishing ${sha.slice(0, 10)} needs a person's approval`)
    else queueStep(draft, { kind: 'publish', stage: stage.name, sha }, { why })
  } else if (stage.kind === 'await') {
    queueStep(draft, { kind: 'await', stage: stage.name, sha, since: draft.now }, { why })
  } else if (stage.kind === 'land') {
    enterLanding(draft, { stage: stage.name, sha, why })
  } else {
    hold(draft, {
      code: 'stage-unsupported',
      text: `this version can't carry out stage ${stage.name} of kind ${stage.kind}`,
    })
  }
}

function enterLanding(draft: Draft, landing: { stage: string; sha: string; why: string }): void {
  const needsPerson = draft.task.policy?.approval !== 'auto'
  if (needsPerson && !approvalOf(draft.task, landing.sha)) {
    waitForApproval(draft, `landing ${landing.sha.slice(0, 10)} needs a person's approval`)
    return
  }
  queueStep(draft, { kind: 'land', stage: landing.stage, sha: landing.sha }, { why: landing.why })
}

function waitForApproval(draft: Draft, why: string): void {
  emit(draft, { type: 'task.waiting', data: { for: 'approval', until: null, why } })
}

/** The stage's work is accepted: on to the next one, or done. */
export function passStage(draft: Draft, stage: string): void {
  emit(draft, { type: 'stage.passed', data: { stage, sha: draft.task.headSha ?? '' } })
  const next = nextStage(pipelineOf(draft.task), stage)
  if (next) {
    enterStage(draft, next, `${stage} passed`)
    return
  }
  endDone(draft)
}

/** Done: nothing more is to do but what follows a task's end. */
export function endDone(draft: Draft): void {
  emit(draft, { type: 'task.done', data: {} })
  draft.supersede = { task: draft.task.id, epoch: draft.task.epoch }
  addEffect(draft, { kind: 'release-dependants', task: draft.task.id, outcome: 'done' })
  addEffect(draft, { kind: 'clean', task: draft.task.id, keepBranch: draft.task.mergedSha === null })
}

/** A person must act. `step` is what a retry repeats; default: the current one. */
export function hold(draft: Draft, reason: { code: string; text: string }, step: Step | null = draft.task.step): void {
  leaveTrain(draft)
  settleChange(draft, 'held')
  if (draft.task.landing) {
    draft.intents.push({
      op: 'settle',
      kind: 'merge',
      task: draft.task.id,
      key: draft.task.landing.mergeSha,
      as: 'held',
    })
  }
  emit(draft, { type: 'task.held', data: { reason, step } })
  draft.supersede = { task: draft.task.id, epoch: draft.task.epoch + 1 }
}

/** True when every gate of the stages before `stage` has a pass for the present head and configuration (S8). */
export function gatesPassedBefore(task: Task, stage: string): boolean {
  const pipeline = pipelineOf(task)
  const end = pipeline.stages.findIndex((other) => other.name === stage)
  return pipeline.stages.slice(0, end).every((earlier) => gatesPassed(task, earlier.name))
}

/** True when every gate of this stage has a pass for the present head and configuration (S8). */
export function gatesPassed(task: Task, stage: string): boolean {
  const gates = stageOf(pipelineOf(task), stage)?.gates ?? []
  return gates.every((gate) =>
    task.verdicts.some(
      (verdict) =>
        verdict.gate === gate &&
        verdict.stage === stage &&
        verdict.result === 'pass' &&
        verdict.sha === task.headSha &&
        verdict.configHash === task.policy?.configHash,
    ),
  )
}
