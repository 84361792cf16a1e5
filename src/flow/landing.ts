// What the parts of a landing share: where the task and main are, and the words that end it.

import type { Command } from '../core/messages.ts'
import type { Policy } from '../core/policy.ts'
import type { Judgement } from '../core/verdict.ts'
import type { Capabilities } from './capabilities.ts'
import { type Dispatch, type Place, StepOver } from './dispatch.ts'
import type { Verifier } from './verifier.ts'
import type { JobContext } from './worker.ts'

export interface Candidate {
  mergeSha: string
  onto: string
  tree: string
  policy: Policy
}

export interface LandDeps {
  capabilities: Capabilities
  dispatch: Dispatch
  verifier: Verifier
}

/** One round of a landing: where the task and main are, and the way back to the engine. */
export interface Landing extends Place {
  deps: LandDeps
  context: JobContext
}

/** The merge did not happen: its intent is settled. Throws StepOver when the task ended with it. */
export async function abandon(landing: Landing, why: string): Promise<void> {
  const abandoned = await landing.context.submit({
    type: 'abandon-merge',
    task: landing.task.id,
    epoch: landing.task.epoch,
    why,
  })
  if (!abandoned.ok || abandoned.task.status === 'cancelled') throw new StepOver()
}

export function confirm(landing: Landing, mergeSha: string, mergedSha: string): Command {
  return { type: 'confirm-merge', task: landing.task.id, epoch: landing.task.epoch, mergeSha, mergedSha }
}

export function verifyOnce(
  landing: Landing,
  candidate: Pick<Candidate, 'mergeSha' | 'policy'>,
  options: { fresh: boolean },
): Promise<Judgement> {
  return landing.deps.verifier.judge({
    project: landing.project.id,
    task: landing.task.id,
    stage: landing.stage.name,
    mirror: landing.mirror,
    sha: candidate.mergeSha,
    policy: candidate.policy,
    changedPaths: null,
    signal: landing.context.signal,
    fresh: options.fresh,
  })
}
