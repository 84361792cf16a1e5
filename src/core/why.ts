// One sentence for where a task is, whose move it is, and the commands that move it (L6).
// Invariant: every open task gets an owner; each action is a command that works in this very state.

import { isTerminal } from './lifecycle.ts'
import { stageOf } from './pipeline.ts'
import { type LiveRun, duration, quietOf, quietText } from './quiet.ts'
import type { Task } from './task.ts'

export interface WhyFacts {
  serviceRunning: boolean
  /** The task's live run, as the books know it. */
  liveRun: LiveRun | null
  now: number
  /** What happened that the task waits, or what it was cancelled by; null when the books don't say. */
  because?: string | null
  /** What was to be done beside its steps, failed again and again and waits for a person. */
  parked?: { what: string; failures: number; error: string }[]
  /** A time in ms as people read it. */
  time: (at: number) => string
}

export interface Explanation {
  because: string
  owner: string
  actions: string[]
}

/** Explains any task. */
export function explain(task: Task, facts: WhyFacts): Explanation {
  const explained = explainPause(task, facts)
  const [parked] = facts.parked ?? []
  if (!parked) return explained
  const retry = `orch task retry ${task.id}`
  return {
    because: `${explained.because} But ${parked.what} failed ${parked.failures} times and is put aside: ${parked.error}.`,
    owner: 'you',
    actions: [
      'orch doctor',
      retry,
      ...explained.actions.filter((action) => action !== retry && action !== 'orch doctor'),
    ],
  }
}

function explainPause(task: Task, facts: WhyFacts): Explanation {
  const base = explainCancel(task, explainStatus(task, facts))
  const paused = task.paused && !isTerminal(task.status)
  if (!paused) return base
  return {
    because: `It is paused: nothing new starts for it. Before that: ${base.because}`,
    owner: 'you',
    actions: [`orch task resume ${task.id}`, `orch task cancel ${task.id}`],
  }
}

/** A cancel that came in the middle of a merge waits for it (S9). */
function explainCancel(task: Task, explained: Explanation): Explanation {
  if (!task.cancelRequested || isTerminal(task.status)) return explained
  return { ...explained, because: `${explained.because} It is cancelled as soon as its merge is settled.` }
}

function explainStatus(task: Task, facts: WhyFacts): Explanation {
  switch (task.status) {
    case 'done':
      return {
        because: task.mergedSha ? `Its change was merged as ${short(task.mergedSha)}.` : 'All of its stages passed.',
        owner: 'nobody',
        actions: [],
      }
    case 'cancelled':
      return { because: `It was cancelled${facts.because ? ` ${facts.because}` : ''}.`, owner: 'nobody', actions: [] }
    case 'blocked':
      return {
        because: `It waits until ${task.openDeps.join(', ')} ${task.openDeps.length > 1 ? 'are' : 'is'} done.`,
        owner: task.openDeps[0] ?? 'orch',
        actions: [`orch why ${task.openDeps[0]}`, `orch task unblock ${task.id}`],
      }
    case 'needs_review':
      return explainHeld(task)
    case 'waiting':
      return explainWaiting(task, facts)
    case 'queued':
      return service(facts, `It is next in line for ${describeStep(task)}.`)
    case 'running':
      return service(facts, explainRunning(task, facts), facts.liveRun?.agent ?? 'orch')
    default:
      return task.status satisfies never
  }
}

/** What the service will do by itself, if there is one. */
function service(facts: WhyFacts, because: string, owner = 'orch'): Explanation {
  if (facts.serviceRunning) return { because, owner, actions: [] }
  return { because: `${because} No \`orch up\` is running to do it.`, owner: 'you', actions: ['orch up'] }
}

function explainRunning(task: Task, facts: WhyFacts): string {
  if (!facts.liveRun) return `Orch is at work on ${describeStep(task)}.`
  const { agent, startedAt, lastActivityAt } = facts.liveRun
  const silence = quietOf(facts.liveRun, facts.now)
  if (silence) return `${quietText(agent, silence, facts.time)}.`
  const quiet = lastActivityAt === null ? '' : `, last output ${duration(facts.now - lastActivityAt)} ago`
  return `${agent} has been working at ${task.stage} for ${duration(facts.now - startedAt)}${quiet}.`
}

function describeStep(task: Task): string {
  switch (task.step?.kind) {
    case 'run':
      return `a run at ${task.step.stage}`
    case 'judge':
      return `judging ${task.step.stage} at ${short(task.step.sha)}`
    case 'publish':
      return `pushing ${short(task.step.sha)}`
    case 'await':
      return `a look at CI and reviews of ${short(task.step.sha)}`
    case 'land':
      return `landing ${short(task.step.sha)}`
    default:
      return task.stage
  }
}

function explainWaiting(task: Task, facts: WhyFacts): Explanation {
  const until = task.waitingUntil === null ? '' : ` until ${facts.time(task.waitingUntil)}`
  const what = facts.because ? ` (${facts.because})` : ''
  switch (task.waitingFor) {
    case 'approval':
      return {
        because: `It waits for your approval of ${short(task.headSha)} (${waitingGates(task).join('; ')})${otherWays(task)}.`,
        owner: 'you',
        actions: [
          `orch change diff ${task.id}`,
          task.policy?.approval === 'human-twice' ? `orch change request ${task.id}` : `orch approve ${task.id}`,
          `orch reject ${task.id} --reason "what to change"`,
        ],
      }
    case 'answers':
      return {
        because: `The agent asked: ${question(task)}`,
        owner: 'you',
        actions: [`orch answer ${task.id} "your answer"`, `orch task cancel ${task.id}`],
      }
    case 'train':
      return service(facts, 'Another change of this repository lands first; it is in line.')
    case 'limit':
      return withRetry(task, service(facts, explainLimit(task, facts)))
    case 'timer':
      return withRetry(task, service(facts, `Something outside the code went wrong${what}; it is tried again${until}.`))
    case 'ci':
      return withRetry(task, service(facts, `It waits for CI at ${short(task.headSha)}${what}.`, 'ci'))
    case 'review':
      return withRetry(task, {
        because: `It waits for a person's review of ${short(task.headSha)} at the forge${what}.`,
        owner: 'you',
        actions: [`orch change show ${task.id}`],
      })
    default:
      // No command leads here; the next sweep queues its step again.
      return service(facts, 'It waits for nothing that Orch knows.')
  }
}

/** Where a yes can be given beside Orch. */
function otherWays({ policy }: Task): string {
  if (policy?.approval === 'label')
    return `, here or by the label \`${policy.approveBy?.label ?? ''}\` at the forge, set by somebody who may write there`
  if (policy?.approval === 'tracker-state')
    return `, here or by moving its issue to "${policy.approveBy?.column ?? ''}"`
  return ''
}

/** Of a limit or of an agent that fails run after run: in both cases it goes on by itself, and the time is known. */
function explainLimit(task: Task, facts: WhyFacts): string {
  const at = task.waitingUntil === null ? '' : ` at ${facts.time(task.waitingUntil)}`
  return `It waits for its agent and goes on by itself${at}: ${facts.because ?? 'the agent is at its limit'}.`
}

function withRetry(task: Task, explanation: Explanation): Explanation {
  return { ...explanation, actions: [...explanation.actions, `orch task retry ${task.id}`] }
}

function question(task: Task): string {
  const asked = task.verdicts.filter((verdict) => verdict.waitFor === 'answers')
  return (
    asked.flatMap((v) => (v.findings.length > 0 ? v.findings.map((f) => f.text) : [v.note])).join(' ') || 'something'
  )
}

function explainHeld(task: Task): Explanation {
  const reason = task.reason ?? { code: 'unknown', text: 'it was held' }
  const retry = `orch task retry ${task.id}`
  const cancel = `orch task cancel ${task.id}`
  const look = task.headSha ? [`orch change diff ${task.id}`] : []
  const reject =
    task.headSha && task.policy && !task.landing ? [`orch reject ${task.id} --reason "what to do instead"`] : []
  const because = `It needs you (${reason.code}): ${reason.text}.`
  switch (reason.code) {
    case 'dependency-cancelled':
      return { because, owner: 'you', actions: [`orch task unblock ${task.id}`, cancel] }
    case 'attempts-spent':
      return {
        because,
        owner: 'you',
        actions: [`orch task show ${task.id}`, ...look, retry, ...reject, cancel],
      }
    // Tried again these would be held again: the change is in main already, or what was judged counts no more.
    case 'already-merged':
      return { because, owner: 'you', actions: [...look, cancel, ...reject] }
    case 'gates-void':
      return { because, owner: 'you', actions: [...look, ...reject, cancel] }
    default:
      return { because, owner: 'you', actions: ['orch doctor', retry, cancel] }
  }
}

function short(sha: string | null): string {
  return sha ? sha.slice(0, 10) : 'nothing'
}

/** Names of what an approval given now would cover. */
export function waitingGates(task: Task): string[] {
  const kind = task.policy ? stageOf(task.policy.pipeline, task.stage)?.kind : undefined
  const gates = task.verdicts
    .filter(
      (verdict) =>
        verdict.stage === task.stage &&
        verdict.sha === task.headSha &&
        verdict.result === 'wait' &&
        verdict.waitFor === 'approval',
    )
    .map((verdict) => `${verdict.gate}: ${verdict.note}`)
  const needsPerson = task.policy !== null && task.policy.approval !== 'auto'
  return needsPerson ? [...gates, kind === 'publish' ? 'publishing' : 'landing'] : gates
}
