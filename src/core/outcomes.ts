// What a judged stage or a step in trouble leads to: on, back with findings, again later, or a person.
// Invariant: only a code failure sends work back and spends a code attempt (S13); every repeat is counted in its own budget (S10).

import {
  type Decision,
  type Draft,
  addEffect,
  decided,
  emit,
  endDone,
  enterStage,
  gatesPassed,
  hold,
  leaveTrain,
  passStage,
  pipelineOf,
  queueStep,
  settleChange,
} from './draft.ts'
import type { Trouble } from './messages.ts'
import type { RunOutcome } from './run.ts'
import { type Step, isTerminal } from './lifecycle.ts'
import { RUN_GATES, backStage, stageOf } from './pipeline.ts'
import { refuse } from './refusals.ts'
import { backoffMs, mayFailOver } from './policy.ts'
import { mayBegin } from './schedule.ts'
import type { Task } from './task.ts'
import { type Finding, type Verdict, combine } from './verdict.ts'

/** Budgets of a task whose project's policy is not known yet (its start itself is in trouble). */
const START_LIMITS = { attempts: 3, transient: 6, infra: 3 } as const

/** Records a stage's verdicts and does what they ask for. */
export function judgedStage(draft: Draft, judged: { stage: string; sha: string; verdicts: Verdict[] }): void {
  emit(draft, { type: 'stage.judged', data: judged })
  const { verdicts, stage } = judged
  switch (combine(verdicts)) {
    case 'fail':
      sendBack(draft, {
        why: verdicts
          .filter((v) => v.result === 'fail')
          .map((v) => `${v.gate}: ${v.note}`)
          .join('; '),
        findings: [...verdicts.filter((v) => v.result === 'fail').flatMap((v) => v.findings), ...unanswered(draft)],
        // A person who reads and asks for changes spends nobody's attempts, as one who rejects doesn't.
        freshBudget: verdicts.every((v) => v.result !== 'fail' || v.gate === 'reviews'),
      })
      return
    case 'unknown':
      unjudged(draft, judged)
      return
    case 'wait':
      waitForPerson(draft, verdicts)
      return
    case 'pass':
      if (gatesPassed(draft.task, stage)) passStage(draft, stage)
      else
        hold(
          draft,
          { code: 'gate-missing', text: `stage ${stage} was judged without all of its gates` },
          { kind: 'run', stage },
        )
      return
  }
}

/** An attempt that changed nothing has answered none of the findings it was given. */
function unanswered(draft: Draft): Finding[] {
  const { headSha, sentBackSha, findings } = draft.task
  return headSha !== null && headSha === sentBackSha ? findings : []
}

function unjudged(draft: Draft, judged: { stage: string; sha: string; verdicts: Verdict[] }): void {
  const verdict = judged.verdicts.find((v) => v.result === 'unknown')
  if (!verdict) return
  const current = draft.task.step
  const again: Step = RUN_GATES.includes(verdict.gate) || !current ? { kind: 'run', stage: judged.stage } : current
  const reason = { code: verdict.reason ?? 'unknown', text: `${verdict.gate}: ${verdict.note}` }
  if (verdict.retryable) applyTrouble(draft, { class: 'infra', ...reason }, again)
  else hold(draft, reason, again)
}

function waitForPerson(draft: Draft, verdicts: Verdict[]): void {
  const waiting = verdicts.filter((v) => v.result === 'wait')
  const asked = waiting.some((v) => v.waitFor === 'answers')
  emit(draft, {
    type: 'task.waiting',
    data: {
      for: asked ? 'answers' : 'approval',
      until: null,
      why: waiting.map((v) => `${v.gate}: ${v.note}`).join('; '),
    },
  })
}

/** A code failure: findings go back word for word, one attempt is spent; without one left, a person decides. */
export function sendBack(draft: Draft, failure: { why: string; findings: Finding[]; freshBudget: boolean }): void {
  const from = draft.task.stage
  const target = backStage(pipelineOf(draft.task), from)
  leaveTrain(draft)
  settleChange(draft, 'compensated')
  emit(draft, { type: 'task.sent_back', data: { from, to: target.name, ...failure } })
  const { attempts, codeBase, policy } = draft.task
  const limit = policy?.limits.attempts ?? START_LIMITS.attempts
  if (attempts.code - codeBase >= limit) {
    const text = `${attempts.code - codeBase} of ${limit} attempts are spent; the last failed at ${from}: ${failure.why}`
    hold(draft, { code: 'attempts-spent', text }, { kind: 'run', stage: target.name })
    return
  }
  enterStage(draft, target, failure.why)
}

/** Trouble of a step: who must act decides what happens. `step` is what is repeated. */
export function applyTrouble(draft: Draft, trouble: Trouble, step: Step): void {
  switch (trouble.class) {
    case 'code':
      sendBack(draft, { why: trouble.text, findings: trouble.findings, freshBudget: false })
      return
    case 'hold':
      hold(draft, { code: trouble.code, text: trouble.text }, step)
      return
    case 'infra':
      repeat(draft, { budget: 'infra', trouble, step })
      return
    case 'transient':
      repeat(draft, { budget: 'transient', trouble, step })
      return
    default:
      trouble satisfies never
  }
}

function repeat(
  draft: Draft,
  again: {
    budget: 'infra' | 'transient'
    trouble: { code: string; text: string; retryAfterMs?: number; limit?: number }
    step: Step
  },
): void {
  const { budget, trouble, step } = again
  const spent = draft.task.attempts[budget]
  const limit = draft.task.policy?.limits[budget] ?? trouble.limit ?? START_LIMITS[budget]
  if (spent >= limit) {
    hold(draft, { code: trouble.code, text: `${trouble.text} (after ${spent} repeats)` }, step)
    return
  }
  emit(draft, { type: 'retry.counted', data: { budget, why: `${trouble.code}: ${trouble.text}` } })
  const backoff = draft.now + backoffMs(spent, trouble.retryAfterMs)
  const may = mayBegin(draft.account, draft.now)
  const agent = draft.account?.id
  if (may.ok || agent === undefined) {
    queueStep(draft, step, {
      why: trouble.text,
      runAt: backoff,
      waitingFor: budget === 'transient' ? 'limit' : 'timer',
    })
    return
  }
  const why = `${agent} ${may.why}: ${trouble.text}`
  if (!canFailOver(draft, step)) {
    queueStep(draft, step, { why, runAt: Math.max(backoff, may.until), waitingFor: 'limit', waitingAgent: agent })
  } else if (budget === 'transient') {
    // Whether another agent is there and free is seen when one is chosen; if none is, the step waits then.
    queueStep(draft, step, { why })
  } else {
    queueStep(draft, step, { why, runAt: backoff, waitingFor: 'timer' })
  }
}

/** The step a task without one goes on with: the work of its stage, done by an agent if only one can mend it. */
export function stepOf(task: Task): Step {
  if (!task.policy) return { kind: 'run', stage: task.stage }
  const stage = stageOf(task.policy.pipeline, task.stage)
  if (task.headSha && (stage?.kind === 'publish' || stage?.kind === 'land')) {
    return { kind: stage.kind, stage: stage.name, sha: task.headSha }
  }
  return { kind: 'run', stage: backStage(task.policy.pipeline, task.stage).name }
}

/** Whether the policy lets another agent do this step. */
export function canFailOver(draft: Draft, step: Step): boolean {
  const { policy } = draft.task
  if (!policy) return false
  const role = stageOf(policy.pipeline, step.stage)?.role
  return role !== undefined && mayFailOver(policy, role)
}

/** What an ended run asks for, when it did not succeed. Whose fault it is follows from how it ended, never from its words. */
export function troubleOf(outcome: RunOutcome): Trouble | null {
  switch (outcome.kind) {
    case 'succeeded':
      return null
    case 'timed-out':
      return { class: 'infra', code: 'run-timeout', text: outcome.text }
    case 'stalled':
      return { class: 'infra', code: 'run-stalled', text: outcome.text }
    case 'could-not-start':
      return { class: 'infra', code: 'run-could-not-start', text: outcome.text }
    case 'lost':
      return { class: 'infra', code: 'run-lost', text: outcome.text }
    case 'cancelled':
      return { class: 'hold', code: 'run-stopped', text: `the run was stopped by ${outcome.by}` }
    case 'failed':
      return failureTrouble(outcome)
    default:
      return outcome satisfies never
  }
}

function failureTrouble(outcome: Extract<RunOutcome, { kind: 'failed' }>): Trouble {
  const code = `agent-${outcome.code}`
  switch (outcome.code) {
    case 'rate-limit':
    case 'overload':
      return {
        class: 'transient',
        code,
        text: outcome.text,
        ...(outcome.retryAfterMs === undefined ? {} : { retryAfterMs: outcome.retryAfterMs }),
      }
    // Trying again as it is can't help: a login, a model's name, a permission or a tool must change first.
    case 'auth':
    case 'model-unavailable':
    case 'permission':
    case 'missing-tool':
    case 'waiting-for-input':
      return { class: 'hold', code, text: outcome.text }
    case 'context-overflow':
    case 'output-flood':
    case 'malformed-stream':
    case 'crash':
      return { class: 'infra', code, text: outcome.text }
    default:
      return outcome.code satisfies never
  }
}

/** Ends the task; its run is stopped, its workspace and branch removed, what depends on it told. */
export function cancelNow(draft: Draft, by: string, why?: string): void {
  const { runId, id } = draft.task
  leaveTrain(draft)
  settleChange(draft, 'compensated')
  emit(draft, { type: 'task.cancelled', data: { by, ...(why === undefined ? {} : { why }) } })
  draft.supersede = { task: id, epoch: draft.task.epoch }
  if (runId) addEffect(draft, { kind: 'stop-run', task: id, runId })
  addEffect(draft, { kind: 'release-dependants', task: id, outcome: 'cancelled' })
  addEffect(draft, { kind: 'clean', task: id, keepBranch: false })
}

/**
 * Main holds the task's merge although the books, older than it, don't say so: what was merged was proved then, and is
 * done now. Idempotent.
 */
export function adoptMerge(draft: Draft, mergedSha: string): Decision {
  const { id, runId, landing, status, openDeps, stage } = draft.task
  if (status === 'done') return decided(draft)
  if (isTerminal(status)) return refuse('task-ended')
  if (openDeps.length > 0) emit(draft, { type: 'task.unblocked', data: { dependencies: openDeps } })
  if (status === 'blocked') {
    const step: Step = draft.task.step ?? { kind: 'run', stage }
    emit(draft, { type: 'step.queued', data: { step, epoch: draft.task.epoch + 1, why: 'main holds it already' } })
  }
  if (status !== 'running') emit(draft, { type: 'step.begun', data: { epoch: draft.task.epoch } })
  leaveTrain(draft)
  settleChange(draft, 'compensated')
  if (landing) {
    const as = landing.mergeSha === mergedSha ? 'confirmed' : 'compensated'
    draft.intents.push({ op: 'settle', kind: 'merge', task: id, key: landing.mergeSha, as })
  }
  emit(draft, { type: 'task.landed', data: { mergedSha } })
  endDone(draft)
  if (runId) addEffect(draft, { kind: 'stop-run', task: id, runId })
  return decided(draft)
}
