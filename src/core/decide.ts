// The decisions: a command meets the present state and becomes events and effects, or a refusal. Pure and total.
// This file holds what people and other tasks ask; `decide-steps.ts` holds what workers report.

import { limitedUntil } from './account.ts'
import {
  type Decision,
  type Draft,
  type State,
  addEffect,
  decided,
  draftOf,
  emit,
  emitAccount,
  enterStage,
  hold,
  leaveTrain,
  queueStep,
} from './draft.ts'
import { decideStep } from './decide-steps.ts'
import { isTerminal } from './lifecycle.ts'
import type { Command, TaskEvent } from './messages.ts'
import { backStage, firstStage, stageOf } from './pipeline.ts'
import { refuse } from './refusals.ts'
import { mayBegin } from './schedule.ts'
import { type Task, evolve } from './task.ts'
import type { Step } from './lifecycle.ts'
import { cancelNow, judgedStage, sendBack } from './outcomes.ts'
import { waitingGates } from './why.ts'

export interface DecideContext {
  now: number
  /** Name of who asks, kept with approvals. */
  actor: string
}

/** Decides one command. Called again with fresh state after a lost race; never changes its arguments. */
export function decide(state: State, command: Command, context: DecideContext): Decision {
  if (command.type === 'open-task') return openTask(state, command, context)
  if (!state.task) return refuse('no-such-task')
  const draft = draftOf({ ...state, task: state.task }, context.now)
  switch (command.type) {
    case 'edit-task':
      return editTask(draft, command)
    case 'approve':
      return approve(draft, command, context)
    case 'reject':
      return reject(draft, command.reason)
    case 'answer':
      return answer(draft, command.text)
    case 'retry':
      return retry(draft, command.parallel)
    case 'unblock':
      return unblock(draft)
    case 'pause':
      return pause(draft)
    case 'resume':
      return resume(draft)
    case 'cancel':
      return cancel(draft, context)
    case 'close-dependency':
      return closeDependency(draft, command)
    default:
      return decideStep(draft, command)
  }
}

function openTask(state: State, command: Extract<Command, { type: 'open-task' }>, context: DecideContext): Decision {
  if (state.task) return refuse('task-exists')
  const { type: _, task: id, firstStage: stage, ...fields } = command
  const opened: TaskEvent = { type: 'task.opened', data: { ...fields, id, stage } }
  const task = evolve(null, opened, context.now)
  const draft = draftOf({ ...state, task }, context.now)
  draft.events.push({ id, body: { stream: 'task', event: opened } })
  if (task.step) addEffect(draft, { kind: 'run', task: id, epoch: task.epoch })
  return decided(draft)
}

function editTask(draft: Draft, command: Extract<Command, { type: 'edit-task' }>): Decision {
  if (isTerminal(draft.task.status)) return refuse('task-ended')
  const { type: _, task: __, ...changes } = command
  if (Object.keys(changes).length > 0) emit(draft, { type: 'task.edited', data: changes })
  return decided(draft)
}

/** One approval covers every gate that waits for a person on this head, landing included; a new head needs a new one. */
function approve(draft: Draft, command: Extract<Command, { type: 'approve' }>, context: DecideContext): Decision {
  const { task } = draft
  if (isTerminal(task.status)) return refuse('task-ended')
  if (task.status !== 'waiting' || task.waitingFor !== 'approval' || !task.headSha)
    return refuse('not-waiting-for-approval')
  if (command.sha && !task.headSha.startsWith(command.sha)) {
    return refuse('head-moved', `It is now ${task.headSha.slice(0, 10)}.`)
  }
  emit(draft, { type: 'task.approved', data: { sha: task.headSha, by: context.actor, covers: waitingGates(task) } })
  const stage = task.policy && stageOf(task.policy.pipeline, task.stage)
  if (!stage) return refuse('wrong-status')
  if (stage.kind === 'land') {
    enterStage(draft, stage, 'approved')
    return decided(draft)
  }
  const verdicts = task.verdicts.filter((verdict) => verdict.stage === task.stage && verdict.sha === task.headSha)
  const approved = verdicts.map((verdict) =>
    verdict.waitFor === 'approval' && verdict.result === 'wait'
      ? { ...verdict, result: 'pass' as const, note: `${verdict.note} (approved by ${context.actor})` }
      : verdict,
  )
  judgedStage(draft, { stage: task.stage, sha: task.headSha, verdicts: approved })
  return decided(draft)
}

function reject(draft: Draft, reason: string): Decision {
  const { task } = draft
  if (isTerminal(task.status)) return refuse('task-ended')
  if (task.landing) return refuse('landing-under-way')
  if (task.status !== 'waiting' && task.status !== 'needs_review')
    return refuse('wrong-status', 'Cancel it or wait until its present step ends.')
  if (!task.headSha || !task.policy) return refuse('nothing-to-reject')
  sendBack(draft, {
    why: 'rejected by a person',
    findings: [{ gate: 'person', severity: 'P0', text: reason }],
    freshBudget: true,
  })
  return decided(draft)
}

function answer(draft: Draft, text: string): Decision {
  const { task } = draft
  if (isTerminal(task.status)) return refuse('task-ended')
  if (task.status !== 'waiting' || task.waitingFor !== 'answers') return refuse('not-waiting-for-answers')
  emit(draft, { type: 'task.answered', data: { text } })
  queueStep(draft, { kind: 'run', stage: task.stage }, { why: 'answered' })
  return decided(draft)
}

/** A fresh budget, and the step that was held or waits for a time is done again now. */
function retry(draft: Draft, parallel: number): Decision {
  const { task } = draft
  draft.parallel = parallel
  if (isTerminal(task.status)) return refuse('task-ended')
  const waitsForTime = task.status === 'waiting' && (task.waitingFor === 'limit' || task.waitingFor === 'timer')
  if (task.status !== 'needs_review' && !waitsForTime) return refuse('nothing-to-retry')
  if (task.openDeps.length > 0) return refuse('task-blocked', task.openDeps.join(', '))
  const step = task.step ?? stepOf(task)
  // Where nothing has been judged yet, the configuration may have been mended: read it afresh. Later stages keep theirs.
  const repin = !task.policy || step.stage === firstStage(task.policy.pipeline).name
  emit(draft, { type: 'task.retried', data: { repin } })
  letAgentTry(draft, task)
  if (step.kind === 'land' && task.policy) {
    const stage = stageOf(task.policy.pipeline, step.stage)
    if (stage) enterStage(draft, stage, 'retried')
  } else {
    queueStep(draft, step, { why: 'retried' })
  }
  return decided(draft)
}

/** The person says that the agent can work again; if it can't, the next run tells. `task` is as it was before. */
function letAgentTry(draft: Draft, task: Task): void {
  const { account, now } = draft
  const isItsTrouble = task.waitingFor === 'limit' || task.reason?.code.startsWith('agent-') === true
  if (isItsTrouble && limitedUntil(account, now) !== null)
    emitAccount(draft, { type: 'account.limited', data: { until: now, reason: 'lifted' } })
  const isOpen = !mayBegin(draft.account, now).ok
  if (isOpen && account?.breaker && account.breaker.retryAt !== null && limitedUntil(draft.account, now) === null)
    emitAccount(draft, { type: 'account.canary_allowed', data: { from: now } })
}

/** The step a task without one goes on with: the work of its stage, done by an agent if only one can mend it. */
function stepOf(task: Task): Step {
  if (!task.policy) return { kind: 'run', stage: task.stage }
  const stage = stageOf(task.policy.pipeline, task.stage)
  if (task.headSha && (stage?.kind === 'publish' || stage?.kind === 'land')) {
    return { kind: stage.kind, stage: stage.name, sha: task.headSha }
  }
  return { kind: 'run', stage: backStage(task.policy.pipeline, task.stage).name }
}

function unblock(draft: Draft): Decision {
  const { task } = draft
  if (isTerminal(task.status)) return refuse('task-ended')
  if (task.openDeps.length === 0) return refuse('not-blocked')
  emit(draft, { type: 'task.unblocked', data: { dependencies: task.openDeps } })
  queueStep(draft, { kind: 'run', stage: task.stage }, { why: 'unblocked by a person' })
  return decided(draft)
}

function closeDependency(draft: Draft, command: Extract<Command, { type: 'close-dependency' }>): Decision {
  const { task } = draft
  if (isTerminal(task.status) || !task.openDeps.includes(command.dependency)) return decided(draft)
  if (command.outcome === 'cancelled') {
    hold(draft, {
      code: 'dependency-cancelled',
      text: `${command.dependency}, which this task depends on, was cancelled`,
    })
    return decided(draft)
  }
  emit(draft, { type: 'task.unblocked', data: { dependencies: [command.dependency] } })
  if (draft.task.openDeps.length === 0 && draft.task.status === 'blocked') {
    queueStep(draft, { kind: 'run', stage: task.stage }, { why: `${command.dependency} is done` })
  }
  return decided(draft)
}

/** Parks a task without holding up others: what runs goes on, nothing new starts, its place in the train is given up. */
function pause(draft: Draft): Decision {
  if (isTerminal(draft.task.status)) return refuse('task-ended')
  if (draft.task.paused) return refuse('already-paused')
  emit(draft, { type: 'task.paused', data: {} })
  if (draft.task.status === 'running') return decided(draft)
  leaveTrain(draft)
  draft.supersede = { task: draft.task.id, epoch: draft.task.epoch + 1 }
  return decided(draft)
}

function resume(draft: Draft): Decision {
  const { task } = draft
  if (isTerminal(task.status)) return refuse('task-ended')
  if (!task.paused) return refuse('not-paused')
  emit(draft, { type: 'task.resumed', data: {} })
  const parked = task.status === 'queued' || (task.status === 'waiting' && task.step !== null)
  if (parked && task.step) queueStep(draft, task.step, { why: 'resumed' })
  return decided(draft)
}

/** Idempotent. Inside a merge it is deferred: the merge is settled first. */
function cancel(draft: Draft, context: DecideContext): Decision {
  const { task } = draft
  if (task.status === 'cancelled') return decided(draft)
  if (task.status === 'done') return refuse('task-ended')
  if (task.landing) {
    if (!task.cancelRequested) emit(draft, { type: 'task.cancel_requested', data: {} })
    // Held or parked in the middle of a merge: settle it now, by looking at main, so that the cancel can follow.
    if (task.paused) emit(draft, { type: 'task.resumed', data: {} })
    const parked = task.status === 'needs_review' || (task.paused && task.status !== 'running')
    if (parked && task.step) queueStep(draft, task.step, { why: 'settling the merge for a cancel' })
    return decided(draft)
  }
  cancelNow(draft, context.actor)
  return decided(draft)
}
