// The decisions on what workers report: a step begun, a run ended, a stage judged, a change published, a merge.
// Invariant: a report of another epoch changes nothing but the books (what a run cost).

import {
  type Decision,
  type Draft,
  addEffect,
  decided,
  emit,
  emitAccount,
  gatesPassedBefore,
  hold,
  leaveTrain,
  passStage,
  pipelineOf,
  queueStep,
} from './draft.ts'
import { isTerminal } from './lifecycle.ts'
import type { Command } from './messages.ts'
import { accountEventsOf } from './account.ts'
import { moverOf } from './liveness.ts'
import { applyTrouble, canFailOver, cancelNow, judgedStage, stepOf, troubleOf } from './outcomes.ts'
import { firstStage, nextStage } from './pipeline.ts'
import { type Policy, mayFailOver, runLimitsOf } from './policy.ts'
import { type RefusalCode, refuse } from './refusals.ts'
import { mayBegin } from './schedule.ts'
import { approvalOf } from './task.ts'
import { plan } from './train.ts'

type StepCommand = Extract<Command, { epoch: number }>
/** Reports of a step under way. */
type StepReport = Exclude<StepCommand, { type: 'end-run' | 'confirm-merge' | 'recover-step' }>

/** Decides what a worker reports about the step it carries out. */
export function decideStep(draft: Draft, command: StepCommand): Decision {
  if (command.type === 'end-run') return endRun(draft, command)
  if (command.type === 'confirm-merge') return confirmMerge(draft, command)
  if (command.type === 'recover-step') return recoverStep(draft, command.epoch)
  const stale = staleness(draft, command)
  if (stale) return refuse(stale)
  switch (command.type) {
    case 'begin-step':
      return beginStep(draft)
    case 'start-task':
      return startTask(draft, command)
    case 'begin-run':
      return beginRun(draft, command)
    case 'judge-stage':
      return judgeStage(draft, command)
    case 'intend-change':
    case 'confirm-change':
      return publishChange(draft, command)
    case 'intend-merge':
      return intendMerge(draft, command)
    case 'abandon-merge':
      return abandonMerge(draft, command.why)
    case 'report-trouble':
      return reportTrouble(draft, command)
    case 'wait-outside':
      return waitOutside(draft, command)
    default:
      return command satisfies never
  }
}

function staleness(draft: Draft, command: StepReport): RefusalCode | null {
  const { status, epoch, step } = draft.task
  if (isTerminal(status)) return 'task-ended'
  if (epoch !== command.epoch || !step || status === 'needs_review') return 'stale-step'
  // A look at CI or reviews begins nothing: its task goes on waiting.
  const looks = step.kind === 'await' && (command.type === 'wait-outside' || command.type === 'judge-stage')
  const asks = command.type === 'begin-step' || command.type === 'report-trouble' || looks
  return status === 'running' || asks ? null : 'stale-step'
}

/** The worker has the job: from here the task runs. Asked twice (a job reclaimed) is one event. */
function beginStep(draft: Draft): Decision {
  const { task } = draft
  if (task.status === 'needs_review') return refuse('stale-step')
  if (task.paused && task.status !== 'running') return refuse('task-paused')
  if (task.openDeps.length > 0) return refuse('task-blocked')
  if (task.step?.kind === 'land' && !task.landing) {
    const planned = plan(draft.repository.train).some((test) => test.prefix.some((entry) => entry.task === task.id))
    if (!planned) return refuse('not-first-in-train')
  }
  if (task.status !== 'running') emit(draft, { type: 'step.begun', data: { epoch: task.epoch } })
  return decided(draft)
}

/** Pins what the task is judged by; it goes on at the pinned pipeline's first stage. Asked twice is one event. */
function startTask(draft: Draft, command: Extract<Command, { type: 'start-task' }>): Decision {
  const { policy, baseSha, branch } = command
  if (draft.task.policy && !draft.task.repin) return decided(draft)
  const first = firstStage(policy.pipeline).name
  emit(draft, { type: 'task.started', data: { policy, baseSha, branch: draft.task.branch ?? branch } })
  // Pinned where nothing has been judged yet: a pipeline that begins elsewhere by now is gone through from its beginning.
  if (draft.task.stage !== first) {
    emit(draft, { type: 'stage.entered', data: { stage: first } })
    queueStep(draft, { kind: 'run', stage: first }, { why: 'the pipeline begins there' })
  }
  return decided(draft)
}

function beginRun(draft: Draft, command: Extract<Command, { type: 'begin-run' }>): Decision {
  const { task, now } = draft
  if (task.step?.kind !== 'run' || !task.policy) return refuse('stale-step')
  if (task.runId === command.runId) return decided(draft)
  const { runId, role, agent, model, why } = command
  const may = mayBegin(draft.account, now)
  if (!may.ok) {
    // It could begin when it was chosen; since then another run has met a limit. Who can begin now is soon seen.
    const soon = !command.lastResort && mayFailOver(task.policy, role) ? now + CHOOSE_AGAIN_MS : may.until
    queueStep(draft, task.step, {
      why: `${agent} ${may.why}`,
      runAt: Math.min(soon, may.until),
      waitingFor: 'limit',
      waitingAgent: agent,
    })
    return decided(draft)
  }
  if (may.canary) {
    const until = now + longestRunMs(task.policy, task.step.stage)
    emitAccount(draft, { type: 'account.canary_begun', data: { runId, until } })
  }
  emit(draft, {
    type: 'run.begun',
    data: { runId, stage: task.step.stage, role, agent, model, attempt: task.attempts.code + 1, why },
  })
  return decided(draft)
}

/** Long enough for the decision that was overtaken to be on the books, short beside any limit. */
const CHOOSE_AGAIN_MS = 1_000

/** A run's start, the time it is given to end and its work to be taken out: ten minutes beside its limit are far more. */
const AROUND_A_RUN_MS = 10 * 60_000

function longestRunMs(policy: Policy, stage: string): number {
  return runLimitsOf(policy, stage).timeLimitMs + AROUND_A_RUN_MS
}

function endRun(draft: Draft, command: Extract<Command, { type: 'end-run' }>): Decision {
  const { type: _, task: __, epoch, ...data } = command
  const current = draft.task.epoch === epoch && draft.task.runId === command.runId && !isTerminal(draft.task.status)
  emit(draft, { type: 'run.ended', data })
  const wasCanary = draft.account?.breaker?.canary?.runId === command.runId
  const told = draft.account ? accountEventsOf(draft.account, command, draft.now) : []
  for (const event of told) emitAccount(draft, event)
  const step = draft.task.step
  if (!current || step?.kind !== 'run') return decided(draft)
  const trouble = troubleOf(command.outcome)
  if (trouble) {
    // An agent's own trouble needs a person, who was told when it began. Where it has been seen to last, a task that
    // only tried the agent again, or that another agent may do, needs none.
    const lasts = told.some(({ type }) => type === 'account.opened') && (wasCanary || canFailOver(draft, step))
    const { class: kind, code, text } = trouble
    applyTrouble(draft, kind === 'hold' && lasts ? { class: 'infra', code, text } : trouble, step)
  } else if (draft.task.headSha === null) {
    applyTrouble(
      draft,
      { class: 'infra', code: 'no-head', text: 'the run ended and no commit could be taken out of its workspace' },
      step,
    )
  } else {
    queueStep(
      draft,
      { kind: 'judge', stage: step.stage, sha: draft.task.headSha, runId: command.runId },
      { why: 'the run ended' },
    )
  }
  return decided(draft)
}

function judgeStage(draft: Draft, command: Extract<Command, { type: 'judge-stage' }>): Decision {
  const { stage, sha, verdicts } = command
  const kind = draft.task.step?.kind
  if ((kind !== 'judge' && kind !== 'await') || draft.task.stage !== stage || draft.task.headSha !== sha)
    return refuse('stale-step')
  judgedStage(draft, { stage, sha, verdicts })
  return decided(draft)
}

/** Said again it is no event: the job looks again by itself. */
function waitOutside(draft: Draft, command: Extract<Command, { type: 'wait-outside' }>): Decision {
  const { step, status, waitingFor, paused } = draft.task
  if (step?.kind !== 'await') return refuse('stale-step')
  if (paused) return refuse('task-paused')
  if (status !== 'waiting' || waitingFor !== command.for)
    emit(draft, { type: 'step.waiting', data: { for: command.for, why: command.why } })
  return decided(draft)
}

function publishChange(
  draft: Draft,
  command: Extract<Command, { type: 'intend-change' | 'confirm-change' }>,
): Decision {
  const { step, id } = draft.task
  const { branch, sha } = command
  if (step?.kind !== 'publish' || step.sha !== sha) return refuse('stale-step')
  if (command.type === 'intend-change') {
    draft.intents.push({ op: 'open', kind: 'change', task: id, key: sha, data: { branch } })
    emit(draft, { type: 'change.intended', data: { branch, sha } })
    return decided(draft)
  }
  draft.intents.push({ op: 'settle', kind: 'change', task: id, key: sha, as: 'confirmed' })
  emit(draft, { type: 'change.published', data: { branch, sha } })
  passStage(draft, step.stage)
  return decided(draft)
}

/** The last word before main moves: everything S8 asks for is checked here, in the transaction that records the intent. */
function intendMerge(draft: Draft, command: Extract<Command, { type: 'intend-merge' }>): Decision {
  const { task } = draft
  if (task.step?.kind !== 'land' || task.step.sha !== task.headSha) return refuse('stale-step')
  if (task.landing) return task.landing.mergeSha === command.mergeSha ? decided(draft) : refuse('landing-under-way')
  if (task.policy?.approval !== 'auto' && !approvalOf(task, task.headSha)) return refuse('not-approved')
  if (!command.verified || !gatesPassedBefore(task, task.stage)) return refuse('not-verified')
  const { mergeSha, onto, tree, configHash, via } = command
  const by = via === undefined ? {} : { via }
  emit(draft, { type: 'merge.intended', data: { mergeSha, onto, tree, configHash, ...by } })
  draft.intents.push({
    op: 'open',
    kind: 'merge',
    task: task.id,
    key: mergeSha,
    data: { onto, tree, configHash, sha: task.headSha ?? '', ...by },
  })
  return decided(draft)
}

/** The merge did not happen (main moved first): the intent is settled and the landing goes on, or ends if a cancel waited. */
function abandonMerge(draft: Draft, why: string): Decision {
  const { landing, cancelRequested } = draft.task
  if (!landing) return decided(draft)
  draft.intents.push({ op: 'settle', kind: 'merge', task: draft.task.id, key: landing.mergeSha, as: 'compensated' })
  emit(draft, { type: 'merge.abandoned', data: { why } })
  if (cancelRequested) cancelNow(draft, 'the cancel that waited for the merge')
  return decided(draft)
}

/** Main holds the merge: that is the truth whatever else happened meanwhile, so the epoch is not asked. */
function confirmMerge(draft: Draft, command: Extract<Command, { type: 'confirm-merge' }>): Decision {
  const { task } = draft
  if (isTerminal(task.status)) return refuse('task-ended')
  if (task.landing?.mergeSha !== command.mergeSha) return refuse('stale-step')
  draft.intents.push({ op: 'settle', kind: 'merge', task: task.id, key: command.mergeSha, as: 'confirmed' })
  emit(draft, { type: 'task.landed', data: { mergedSha: command.mergedSha } })
  leaveTrain(draft)
  // What was merged is merged; a cancel that waited for it stops what would come after.
  if (task.cancelRequested && nextStage(pipelineOf(task), task.stage))
    cancelNow(draft, 'the cancel that waited for the merge')
  else passStage(draft, task.stage)
  return decided(draft)
}

/**
 * Nothing moves the task any more (see liveness.ts): its step is queued again, with a new epoch, so that whatever was left
 * of the old one is void. Refused while a person or another task has the next move.
 */
function recoverStep(draft: Draft, epoch: number): Decision {
  const { task } = draft
  if (isTerminal(task.status)) return refuse('task-ended')
  if (task.epoch !== epoch || moverOf(task, { hasJob: false, train: draft.repository.train }) !== null)
    return refuse('stale-step')
  stopLiveRun(draft)
  queueStep(draft, task.step ?? stepOf(task), { why: 'nothing was moving it; it is queued again' })
  return decided(draft)
}

/** A step that is left while its run goes on: two agents must never work in one workspace. */
function stopLiveRun(draft: Draft): void {
  const { runId, id } = draft.task
  if (runId) addEffect(draft, { kind: 'stop-run', task: id, runId })
}

function reportTrouble(draft: Draft, command: Extract<Command, { type: 'report-trouble' }>): Decision {
  const step = draft.task.step
  if (!step) return refuse('stale-step')
  stopLiveRun(draft)
  if (command.trouble.class === 'code' && !draft.task.policy) {
    hold(draft, { code: command.trouble.code, text: command.trouble.text })
  } else {
    applyTrouble(draft, command.trouble, step)
  }
  return decided(draft)
}
