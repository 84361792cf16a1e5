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
import { firstStage, stageOf } from './pipeline.ts'
import { type RefusalCode, refuse } from './refusals.ts'
import { mayBegin } from './schedule.ts'
import { type Task, evolve } from './task.ts'
import { adoptMerge, cancelNow, judgedStage, sendBack, stepOf } from './outcomes.ts'
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
    case 'set-dependencies':
      return setDependencies(draft, command)
    case 'approve':
      return approve(draft, command, context)
    case 'request-approval':
      return requestApproval(draft, command, context)
    case 'reject':
      return reject(draft, command.reason)
    case 'answer':
      return answer(draft, command.text)
    case 'retry':
      return retry(draft, command.parallel)
    case 'unblock':
      return unblock(draft)
    case 'reroute':
      return reroute(draft, command.agent)
    case 'close-outside':
      return closeOutside(draft, command.why, context)
    case 'pause':
      return pause(draft)
    case 'resume':
      return resume(draft)
    case 'cancel':
      return cancel(draft, command.why, context)
    case 'look-again':
      return lookAgain(draft, command.why)
    case 'adopt-merge':
      return adoptMerge(draft, command.mergedSha)
    case 'close-dependency':
      return closeDependency(draft, command)
    default:
      return decideStep(draft, command)
  }
}

function openTask(state: State, command: Extract<Command, { type: 'open-task' }>, context: DecideContext): Decision {
  if (state.task) return refuse('task-exists')
  const { type: _, task: id, firstStage: stage, held, ...fields } = command
  const opened: TaskEvent = { type: 'task.opened', data: { ...fields, id, stage } }
  const task = evolve(null, opened, context.now)
  const draft = draftOf({ ...state, task }, context.now, null)
  draft.events.push({ id, body: { stream: 'task', event: opened } })
  if (held) hold(draft, held, { kind: 'run', stage })
  else if (task.step) addEffect(draft, { kind: 'run', task: id, epoch: task.epoch })
  return decided(draft)
}

function editTask(draft: Draft, command: Extract<Command, { type: 'edit-task' }>): Decision {
  if (isTerminal(draft.task.status)) return refuse('task-ended')
  const { type: _, task: __, ...changes } = command
  if (Object.keys(changes).length > 0) emit(draft, { type: 'task.edited', data: changes })
  return decided(draft)
}

/** Links that the tracker has. Work that has begun goes on: what it waits for now comes too late for it. */
function setDependencies(draft: Draft, command: Extract<Command, { type: 'set-dependencies' }>): Decision {
  const { task } = draft
  const { dependsOn } = command
  if (isTerminal(task.status)) return refuse('task-ended')
  // One that was cancelled is a person's to pass over, for as long as the link is there.
  const isAsked = task.reason?.code === 'dependency-cancelled'
  const asked = isAsked ? task.openDeps.filter((id) => dependsOn.includes(id)) : []
  const openDeps = [...new Set([...command.openDeps, ...asked])]
  const same = (a: string[], b: string[]): boolean => a.length === b.length && a.every((id) => b.includes(id))
  if (same(task.dependsOn, dependsOn) && same(task.openDeps, openDeps)) return decided(draft)
  const isWaiting = task.status === 'blocked' || isAsked || (task.status === 'queued' && !task.policy)
  if (!isWaiting && openDeps.length > 0) return refuse('wrong-status', 'It is under way already.')
  const wasBlocked = task.status === 'blocked'
  emit(draft, { type: 'task.dependencies_set', data: { dependsOn, openDeps } })
  if (openDeps.length > 0) draft.supersede = { task: task.id, epoch: draft.task.epoch }
  else if (wasBlocked) queueStep(draft, { kind: 'run', stage: task.stage }, { why: 'it waits for nothing any more' })
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
  const missing = task.policy?.approval === 'human-twice' ? whatIsMissing(draft, command) : null
  if (missing) return refuse(missing)
  emit(draft, { type: 'task.approved', data: { sha: task.headSha, by: context.actor, covers: waitingGates(task) } })
  const stage = task.policy && stageOf(task.policy.pipeline, task.stage)
  if (!stage) return refuse('wrong-status')
  if (stage.kind === 'land' || stage.kind === 'publish') {
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

/** The second yes: the token of a request for exactly this head, in its time, and a word that it is meant. */
function whatIsMissing({ task, now }: Draft, command: Extract<Command, { type: 'approve' }>): RefusalCode | null {
  const { request } = task
  if (command.tokenHash === undefined || !request) return 'no-token'
  if (request.sha !== task.headSha || request.tokenHash !== command.tokenHash) return 'wrong-token'
  if (request.expiresAt <= now) return 'token-expired'
  return command.confirmed === true ? null : 'not-confirmed'
}

/** A new request voids the one before. */
function requestApproval(
  draft: Draft,
  command: Extract<Command, { type: 'request-approval' }>,
  context: DecideContext,
): Decision {
  const { task } = draft
  if (isTerminal(task.status)) return refuse('task-ended')
  if (task.status !== 'waiting' || task.waitingFor !== 'approval' || !task.headSha)
    return refuse('not-waiting-for-approval')
  const { tokenHash, expiresAt, bypass } = command
  emit(draft, {
    type: 'approval.requested',
    data: { sha: task.headSha, tokenHash, expiresAt, by: context.actor, bypass },
  })
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

/** News of CI or of a review. Refused where nothing waits for them; asked twice it looks twice. */
function lookAgain(draft: Draft, why: string): Decision {
  const { step, status, waitingFor, paused } = draft.task
  if (isTerminal(status)) return refuse('task-ended')
  if (step?.kind !== 'await' || paused || status === 'needs_review') return refuse('wrong-status')
  // What it waits for stays what it waits for, until a look says otherwise.
  queueStep(draft, step, { why, ...(status === 'waiting' && waitingFor ? { waitingFor } : {}) })
  return decided(draft)
}

/** What a person may have looked at again before its time. */
const RETRIABLE_WAITS: ReadonlySet<Task['waitingFor']> = new Set(['limit', 'timer', 'ci', 'review'])

/** A fresh budget, and the step that was held or waits for a time is done again now. */
function retry(draft: Draft, parallel: number): Decision {
  const { task } = draft
  draft.parallel = parallel
  if (isTerminal(task.status)) return refuse('task-ended')
  const waitsForTime = task.status === 'waiting' && RETRIABLE_WAITS.has(task.waitingFor)
  if (task.status !== 'needs_review' && !waitsForTime) return refuse('nothing-to-retry')
  if (task.openDeps.length > 0) {
    if (task.status !== 'needs_review' || task.reason?.code === 'dependency-cancelled')
      return refuse('task-blocked', task.openDeps.join(', '))
    // Whatever it was held for is settled; what it depends on is not.
    emit(draft, { type: 'task.retried', data: { repin: !task.policy } })
    draft.supersede = { task: task.id, epoch: draft.task.epoch }
    return decided(draft)
  }
  const before = task.step ?? stepOf(task)
  // What was waited for in vain is waited for once more, and for as long.
  const step = before.kind === 'await' ? { ...before, since: draft.now } : before
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

function unblock(draft: Draft): Decision {
  const { task } = draft
  if (isTerminal(task.status)) return refuse('task-ended')
  // Its links may have gone meanwhile; what it was held for is a person's to say all the same.
  if (task.openDeps.length === 0 && task.reason?.code !== 'dependency-cancelled') return refuse('not-blocked')
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

/** The next run is another agent's; what waits for the present one's limit goes on at once. */
function reroute(draft: Draft, agent: string | null): Decision {
  const { task } = draft
  if (isTerminal(task.status)) return refuse('task-ended')
  if ((task.preferredAgent ?? null) !== agent) emit(draft, { type: 'task.rerouted', data: { agent } })
  const waits = task.status === 'waiting' && (task.waitingFor === 'limit' || task.waitingFor === 'timer')
  if (waits && task.step?.kind === 'run') queueStep(draft, task.step, { why: 'rerouted' })
  return decided(draft)
}

/** A person closed the change: nothing is landed behind their back. Inside a merge the merge is settled first. */
function closeOutside(draft: Draft, why: string, context: DecideContext): Decision {
  const { task } = draft
  if (isTerminal(task.status)) return decided(draft)
  if (!task.landing) cancelNow(draft, context.actor, why)
  else if (!task.cancelRequested) emit(draft, { type: 'task.cancel_requested', data: { why } })
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
function cancel(draft: Draft, why: string | undefined, context: DecideContext): Decision {
  const { task } = draft
  if (task.status === 'cancelled') return decided(draft)
  if (task.status === 'done') return refuse('task-ended')
  if (task.landing) {
    if (!task.cancelRequested) emit(draft, { type: 'task.cancel_requested', data: why === undefined ? {} : { why } })
    // Held or parked in the middle of a merge: settle it now, by looking at main, so that the cancel can follow.
    if (task.paused) emit(draft, { type: 'task.resumed', data: {} })
    const parked = task.status === 'needs_review' || (task.paused && task.status !== 'running')
    if (parked && task.step) queueStep(draft, task.step, { why: 'settling the merge for a cancel' })
    return decided(draft)
  }
  cancelNow(draft, context.actor, why)
  return decided(draft)
}
