// One sentence for where a task is, whose move it is, and the commands that move it (L6).
// Invariant: every open task gets an owner; each action is a command that works in this very state.

import type { Task } from './task.ts'

export interface WhyFacts {
  serviceRunning: boolean
  /** The task's live run, as the books know it. */
  liveRun: { agent: string; startedAt: number; lastActivityAt: number | null } | null
  now: number
  /** What happened that the task waits for a time; null when the books don't say. */
  because?: string | null
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
  const base = explainStatus(task, facts)
  const paused = task.paused && task.status !== 'done' && task.status !== 'cancelled'
  if (!paused) return base
  return {
    because: `It is paused: nothing new starts for it. Before that: ${base.because}`,
    owner: 'you',
    actions: [`orch task resume ${task.id}`, `orch task cancel ${task.id}`],
  }
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
      return { because: 'It was cancelled.', owner: 'nobody', actions: [] }
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
        because: `It waits for your approval of ${short(task.headSha)} (${waitingGates(task).join('; ')}).`,
        owner: 'you',
        actions: [
          `orch change diff ${task.id}`,
          `orch approve ${task.id}`,
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
      return service(facts, 'It waits for CI.', 'ci')
    case 'review':
      return { because: 'It waits for a review.', owner: 'you', actions: [`orch change show ${task.id}`] }
    default:
      return { because: 'It waits.', owner: 'you', actions: [`orch task retry ${task.id}`] }
  }
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
  const because = `It needs you (${reason.code}): ${reason.text}.`
  switch (reason.code) {
    case 'dependency-cancelled':
      return { because, owner: 'you', actions: [`orch task unblock ${task.id}`, cancel] }
    case 'attempts-spent':
      return {
        because,
        owner: 'you',
        actions: [
          `orch task show ${task.id}`,
          ...look,
          retry,
          `orch reject ${task.id} --reason "what to do instead"`,
          cancel,
        ],
      }
    default:
      return { because, owner: 'you', actions: ['orch doctor', retry, cancel] }
  }
}

function short(sha: string | null): string {
  return sha ? sha.slice(0, 10) : 'nothing'
}

/** 42 s, 3 min, 2 h 5 min. */
function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 90) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 90) return `${minutes} min`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** Names of what an approval given now would cover. */
export function waitingGates(task: Task): string[] {
  const gates = task.verdicts
    .filter(
      (verdict) =>
        verdict.stage === task.stage &&
        verdict.sha === task.headSha &&
        verdict.result === 'wait' &&
        verdict.waitFor === 'approval',
    )
    .map((verdict) => `${verdict.gate}: ${verdict.note}`)
  return task.policy?.approval === 'human' ? [...gates, 'landing'] : gates
}
