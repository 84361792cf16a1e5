// The contract of a gate's collector: it looks at the world through what it is handed and says what it saw.
// Invariant: a collector never believes an agent; a tool that could not run is `unknown`, never clean.

import type { AwaitGateName, GateName } from '../core/pipeline.ts'
import type { Policy } from '../core/policy.ts'
import type { Judgement } from '../core/verdict.ts'
import type { ChangeReview, Checks, ReviewThread } from '../drivers/driver.ts'
import type { CommandRun, Mirror } from '../workspace/workspace.ts'

/** A handoff as read from the run's own directory, after its process tree was dead. */
export type Handoff =
  | { ok: true; keys: Record<string, unknown>; prose: string }
  /** `problem` is a sentence the agent can act on. */
  | { ok: false; problem: string }

export interface GateInput {
  stage: string
  role: string
  headSha: string
  /** merge-base of head and the base branch's present tip. */
  baseSha: string
  /** The head that was last sent back by a person or a reviewer; null when none was. */
  sentBackSha: string | null
  policy: Policy
  handoff: Handoff
  mirror: Mirror
  /** Runs setup and verify commands at `headSha` in an engine-owned checkout, or gives the earlier result for the same tree and configuration. */
  verify(): Promise<CommandRun>
  /** A person approved exactly this head. */
  approved: boolean
}

export interface Gate {
  name: Exclude<GateName, AwaitGateName>
  /** Costly gates run only when no cheap one has failed. */
  costly: boolean
  /** What an `unknown` does: `closed` holds or retries, `open` lets the stage pass with a warning. */
  onUnknown: 'closed' | 'open'
  describe: string
  collect(input: GateInput): Promise<Judgement>
}

/** What a gate that waits for somebody outside is handed. Times are in ms. */
export interface AwaitInput {
  headSha: string
  /** When the waiting for this head began. */
  since: number
  now: number
  forge: {
    checks(): Promise<Checks>
    /** Of people, oldest first; those of earlier heads too. */
    reviews(): Promise<ChangeReview[]>
    /** Those in which somebody with rights waits for an answer. */
    threads(): Promise<ReviewThread[]>
    /** Whether somebody may write to the repository: nobody else's word counts. */
    isTrusted(login: string): Promise<boolean>
  }
}

export interface AwaitGate {
  name: AwaitGateName
  describe: string
  /** Throws ExternalError when the forge can't be asked: whoever calls asks again later. */
  collect(input: AwaitInput): Promise<Judgement>
}
