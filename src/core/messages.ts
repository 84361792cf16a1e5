// The three closed unions of the core: commands ask, events tell what happened, effects are work for a worker.
// Invariant: nothing reaches a task, a repository or an account except through these.

import type { Reason, Step, WaitingFor } from './lifecycle.ts'
import type { Policy } from './policy.ts'
import type { RunOutcome, Usage } from './run.ts'
import type { Finding, Verdict } from './verdict.ts'

/** Who asked: a person by name, the engine itself, or a run. */
export interface Actor {
  kind: 'person' | 'engine' | 'run'
  name: string
}

/** What went wrong with a step, told apart by who has to act (S13). */
export type Trouble =
  /** The change is at fault: spends a code attempt and goes back with findings. */
  | { class: 'code'; code: string; text: string; findings: Finding[] }
  /** Rate limit or overload of an agent: waits, own budget. `retryAfterMs` is the server's own word. */
  | { class: 'transient'; code: string; text: string; retryAfterMs?: number }
  /** Tool or host trouble: tried again, then held. `limit`: the project's repeats, for a task that has no policy yet. */
  | { class: 'infra'; code: string; text: string; limit?: number }
  /** Trying again can't help: a person must act. */
  | { class: 'hold'; code: string; text: string }

/** What a task is opened with. */
export interface TaskFields {
  project: string
  /** The issue it came from, unique in its project, such as `local:7`. */
  origin: string
  title: string
  body: string
  labels: string[]
  priority: number
  creator: { name: string; email: string } | null
  dependsOn: string[]
  /** Those of `dependsOn` that are not done yet. */
  openDeps: string[]
  pipeline: string
  /** Runs of its project at once, as configured when it was opened; its policy says so later. */
  parallel: number
}

export type Command =
  /** `held`: why a person must look before anything is done. */
  | ({ type: 'open-task'; task: string; firstStage: string; held?: { code: string; text: string } } & TaskFields)
  | { type: 'edit-task'; task: string; title?: string; body?: string; labels?: string[]; priority?: number }
  /** The tracker says that the task waits for others; all of them, and those that are not done yet. */
  | { type: 'set-dependencies'; task: string; dependsOn: string[]; openDeps: string[] }
  /** Who shall write the change from now on, whatever the policy prefers; null: as the policy says. */
  | { type: 'reroute'; task: string; agent: string | null }
  /** The forge shows the change merged or closed, by somebody else: so it is. */
  | { type: 'close-outside'; task: string; why: string }
  | { type: 'start-task'; task: string; epoch: number; policy: Policy; baseSha: string; branch: string }
  | { type: 'begin-step'; task: string; epoch: number }
  | {
      type: 'begin-run'
      task: string
      epoch: number
      runId: string
      role: string
      agent: string
      model: string | null
      why: string
      /** No agent that may work here can begin now, and this one can soonest: wait for it. */
      lastResort?: boolean
    }
  | {
      type: 'end-run'
      task: string
      epoch: number
      runId: string
      role: string
      agent: string
      /** The one that worked, when the agent said it; else the one that was asked for stands. */
      model: string | null
      outcome: RunOutcome
      sessionId: string | null
      headSha: string | null
      usage: Usage
      costUsd: number
    }
  | { type: 'judge-stage'; task: string; epoch: number; stage: string; sha: string; verdicts: Verdict[] }
  | { type: 'intend-change'; task: string; epoch: number; branch: string; sha: string }
  | { type: 'confirm-change'; task: string; epoch: number; branch: string; sha: string }
  | {
      type: 'intend-merge'
      task: string
      epoch: number
      mergeSha: string
      onto: string
      tree: string
      configHash: string
      verified: boolean
      /** Who moves main. Absent: Orch, by a push of exactly `mergeSha`. */
      via?: 'forge'
    }
  | { type: 'abandon-merge'; task: string; epoch: number; why: string }
  | { type: 'confirm-merge'; task: string; epoch: number; mergeSha: string; mergedSha: string }
  | { type: 'report-trouble'; task: string; epoch: number; trouble: Trouble }
  /** A look at CI and reviews found that somebody outside has yet to speak. The step and its job stay. */
  | { type: 'wait-outside'; task: string; epoch: number; for: 'ci' | 'review'; why: string }
  /** There is news of what the task waits for outside: look at once. */
  | { type: 'look-again'; task: string; why: string }
  /** Nothing moves the task any more (a reconciler saw it): queue its step again. */
  | { type: 'recover-step'; task: string; epoch: number }
  /** The base was seen to hold the task's landing, which the books don't know (they are older: a backup was restored). */
  | { type: 'adopt-merge'; task: string; mergedSha: string }
  | { type: 'close-dependency'; task: string; dependency: string; outcome: 'done' | 'cancelled' }
  /** `tokenHash`, `confirmed`: of a request, under `human-twice`. */
  | { type: 'approve'; task: string; sha?: string; tokenHash?: string; confirmed?: boolean }
  /** Somebody means to approve this head: from now until `expiresAt` (ms) the token says yes. `bypass`: why the definition of done is passed over. */
  | { type: 'request-approval'; task: string; tokenHash: string; expiresAt: number; bypass: string | null }
  | { type: 'reject'; task: string; reason: string }
  | { type: 'answer'; task: string; text: string }
  | { type: 'retry'; task: string; parallel: number }
  | { type: 'unblock'; task: string }
  | { type: 'pause'; task: string }
  | { type: 'resume'; task: string }
  /** `why`: what was seen outside that ends it; absent: whoever asks wants it so. */
  | { type: 'cancel'; task: string; why?: string }

export type TaskEvent =
  | { type: 'task.opened'; data: { id: string; stage: string } & TaskFields }
  | { type: 'task.edited'; data: { title?: string; body?: string; labels?: string[]; priority?: number } }
  | { type: 'task.unblocked'; data: { dependencies: string[] } }
  | { type: 'task.dependencies_set'; data: { dependsOn: string[]; openDeps: string[] } }
  | { type: 'task.started'; data: { policy: Policy; baseSha: string; branch: string } }
  | {
      type: 'step.queued'
      data: {
        step: Step
        epoch: number
        why: string
        /** `agent`: whose limit or cooldown it waits out. */
        waiting?: { for: WaitingFor; until: number | null; agent?: string }
      }
    }
  | { type: 'stage.entered'; data: { stage: string } }
  | { type: 'step.begun'; data: { epoch: number } }
  /** Its job looks again and again, without another event, until what it finds is another. */
  | { type: 'step.waiting'; data: { for: 'ci' | 'review'; why: string } }
  | {
      type: 'run.begun'
      data: {
        runId: string
        stage: string
        role: string
        agent: string
        model: string | null
        attempt: number
        why: string
      }
    }
  | {
      type: 'run.ended'
      data: {
        runId: string
        role: string
        agent: string
        model: string | null
        outcome: RunOutcome
        sessionId: string | null
        headSha: string | null
        usage: Usage
        costUsd: number
      }
    }
  | { type: 'stage.judged'; data: { stage: string; sha: string; verdicts: Verdict[] } }
  | { type: 'stage.passed'; data: { stage: string; sha: string } }
  | {
      type: 'task.sent_back'
      data: { from: string; to: string; why: string; findings: Finding[]; freshBudget: boolean }
    }
  | { type: 'task.waiting'; data: { for: WaitingFor; until: number | null; why: string } }
  | { type: 'task.held'; data: { reason: Reason; step: Step | null } }
  | { type: 'retry.counted'; data: { budget: 'transient' | 'infra'; why: string } }
  | { type: 'task.retried'; data: { repin: boolean } }
  | { type: 'change.intended'; data: { branch: string; sha: string } }
  | { type: 'change.published'; data: { branch: string; sha: string } }
  | {
      type: 'merge.intended'
      data: { mergeSha: string; onto: string; tree: string; configHash: string; via?: 'forge' }
    }
  | { type: 'merge.abandoned'; data: { why: string } }
  | { type: 'task.landed'; data: { mergedSha: string } }
  | { type: 'task.approved'; data: { sha: string; by: string; covers: string[] } }
  | {
      type: 'approval.requested'
      data: { sha: string; tokenHash: string; expiresAt: number; by: string; bypass: string | null }
    }
  | { type: 'task.answered'; data: { text: string } }
  | { type: 'task.rerouted'; data: { agent: string | null } }
  | { type: 'task.paused'; data: Record<string, never> }
  | { type: 'task.resumed'; data: Record<string, never> }
  | { type: 'task.cancel_requested'; data: { why?: string } }
  | { type: 'task.cancelled'; data: { by: string; why?: string } }
  | { type: 'task.done'; data: Record<string, never> }

export type RepositoryEvent =
  | { type: 'train.entered'; data: { task: string; epoch: number; sha: string } }
  | { type: 'train.left'; data: { task: string } }

export type AccountEvent =
  /** `backoffs`: how many times in a row Orch itself chose how long, this one included. */
  | { type: 'account.limited'; data: { until: number; reason: string; backoffs?: number } }
  | { type: 'account.charged'; data: { costUsd: number } }
  /** A run ended in a way that speaks against the agent and not against its task. */
  | { type: 'account.failed'; data: { runId: string; reason: string } }
  /** Too many of those in a row: no run begins before `until`. */
  | { type: 'account.opened'; data: { until: number } }
  /** The one run that tries the agent again; given up past `until`. */
  | { type: 'account.canary_begun'; data: { runId: string; until: number } }
  /** The last one told nothing, or a person asks: the next run from then on tries the agent. */
  | { type: 'account.canary_allowed'; data: { from: number } }
  /** A run succeeded: nothing speaks against the agent any more. */
  | { type: 'account.recovered'; data: Record<string, never> }

/** An event on its stream. `stream` is a task's id, `repo:<project>` or `account:<agent>`. */
export type StreamEvent =
  | { stream: 'task'; event: TaskEvent }
  | { stream: 'repository'; event: RepositoryEvent }
  | { stream: 'account'; event: AccountEvent }

/** Version of the events' shape; a reader meets older ones in old journals. */
export const EVENT_VERSION = 1

/** Work for a worker. `task` and `epoch` tie a step's effect to the state that asked for it. */
export type Effect =
  | { kind: 'run'; task: string; epoch: number }
  | { kind: 'judge'; task: string; epoch: number }
  | { kind: 'publish'; task: string; epoch: number }
  | { kind: 'await'; task: string; epoch: number }
  | { kind: 'land'; task: string; epoch: number }
  | { kind: 'stop-run'; task: string; runId: string }
  | { kind: 'release-dependants'; task: string; outcome: 'done' | 'cancelled' }
  | { kind: 'clean'; task: string; keepBranch: boolean }
  /** The tracker and the forge are to show where the task is now. One waiting job tells all that came before it. */
  | { kind: 'tell'; task: string }

export type EffectKind = Effect['kind']

/** An effect with what the queue has to know about it. */
export interface QueuedEffect {
  effect: Effect
  /** Jobs of one lane share its capacity. */
  lane: string
  laneCapacity: number
  /** Smaller goes first; see `schedule.rank`. */
  rank: number
  /** Not before, ms. */
  runAt: number
}

/** What must be recorded before an effect touches the outside, and how it ended (S9). */
export type IntentWrite =
  | { op: 'open'; kind: 'change' | 'merge'; task: string; key: string; data: Record<string, string> }
  | { op: 'settle'; kind: 'change' | 'merge'; task: string; key: string; as: 'confirmed' | 'compensated' | 'held' }
