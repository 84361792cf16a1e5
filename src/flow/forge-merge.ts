// Landing where the forge moves main: it is asked to merge exactly the head whose merge was tested, and what came of it is
// seen by looking at main. An answer that was lost, a native queue and a crash are all settled by that look (S4, S5, S9).

import type { Command } from '../core/messages.ts'
import type { Judgement } from '../core/verdict.ts'
import type { MergeAnswer } from '../drivers/driver.ts'
import { ExternalError } from '../lib/errors.ts'
import { StepTrouble } from './dispatch.ts'
import { type Landing, abandon, confirm, verifyOnce } from './landing.ts'
import { type IntendedMerge, proveMerge } from './prove-merge.ts'
import { resolveAt } from './project.ts'
import { readyChange } from './publish.ts'
import type { Again } from './worker.ts'

/** Repeats of an answer that may be another in a moment (C-42: three, 2 s, at most 5 s). */
const REPEATS = { n: 3, baseMs: 2_000, maxMs: 5_000 } as const
const PASSING: readonly ExternalError['kind'][] = ['unreachable', 'timed-out', 'conflict', 'rate-limited']
/** A native queue tests for minutes; its end is looked for as often as CI's. */
const QUEUE_LOOK_MS = 30_000

/** `asked`: the forge may have been asked before. Null: go round again. Throws StepTrouble and ExternalError. */
export async function mergeAtForge(
  landing: Landing,
  merge: IntendedMerge,
  before: { asked: boolean },
): Promise<Command | Again | null> {
  const { deps, task, project, policy } = landing
  const forge = deps.capabilities.remoteForgeOf(project)
  if (!forge) {
    await abandon(landing, 'the project has no forge any more')
    const text = `\`land.via: forge\` needs a forge, and project ${project.id} has none; set \`land.via: push\``
    throw new StepTrouble({ class: 'hold', code: 'no-forge', text })
  }
  if (before.asked) {
    const settled = await look(landing, merge)
    if (settled) return settled
    const change = await forge.findChange(task.id)
    if (change?.state === 'open' && change.queued) return { again: deps.capabilities.now() + QUEUE_LOOK_MS }
    // Whoever cancelled meanwhile doesn't want it made now; a closed change can't be.
    if (task.cancelRequested || change?.state !== 'open' || landing.base.sha !== merge.onto) {
      await abandon(landing, 'the forge has not merged it')
      return null
    }
  }
  const row = deps.capabilities.store.getChange(task.id)
  // A draft can't be merged; a pipeline without a stage that waits has not made it ready.
  if (row) await forge.ensureChange(readyChange(task, project, row))
  const answer = await ask(landing, () =>
    forge.merge({
      task: task.id,
      head: merge.head,
      method: policy.land.method,
      title: policy.land.method === 'merge' ? `Merge ${task.id}: ${task.title}` : `${task.title} (${task.id})`,
      message: `Orch-Task: ${task.id}\nOrch-Head: ${merge.head}`,
    }),
  )
  return settleAnswer(landing, merge, answer)
}

async function ask(landing: Landing, merge: () => Promise<MergeAnswer>): Promise<MergeAnswer> {
  const { timers } = landing.deps.capabilities
  for (let repeat = 0; ; repeat++) {
    try {
      return await merge()
    } catch (error) {
      const passes = error instanceof ExternalError && PASSING.includes(error.kind)
      if (!passes || repeat === REPEATS.n || landing.context.signal.aborted) throw error
      await timers.sleep(Math.min(error.retryAfterMs ?? REPEATS.baseMs * 2 ** repeat, REPEATS.maxMs))
    }
  }
}

async function settleAnswer(
  landing: Landing,
  merge: IntendedMerge,
  answer: MergeAnswer,
): Promise<Command | Again | null> {
  if (answer.ok) {
    if ('queued' in answer) return { again: landing.deps.capabilities.now() + QUEUE_LOOK_MS }
    const settled = await look(landing, merge)
    if (settled) return settled
    const text = `the forge says that ${landing.task.id} is merged, and ${landing.base.branch} does not hold it; look at the forge`
    throw new StepTrouble({ class: 'hold', code: 'merge-unproved', text })
  }
  await abandon(landing, answer.text)
  switch (answer.because) {
    case 'head-moved': {
      const text = `somebody moved the branch of ${landing.task.id} at the forge: ${answer.text}; reset it to ${merge.head.slice(0, 10)}, or cancel`
      throw new StepTrouble({ class: 'hold', code: 'branch-moved', text })
    }
    case 'not-mergeable':
      // Main moved since it was tested, or soon will have: the next round finds the conflict, if there is one.
      throw new StepTrouble({
        class: 'infra',
        code: 'merge-refused',
        text: `the forge could not merge: ${answer.text}`,
      })
    case 'blocked':
    case 'not-allowed':
      throw new StepTrouble({ class: 'hold', code: 'merge-blocked', text: `the forge will not merge: ${answer.text}` })
    default:
      return answer.because satisfies never
  }
}

/** What main says. Null: it does not hold the merge. */
async function look(landing: Landing, merge: IntendedMerge): Promise<Command | null> {
  const { mirror, base } = landing
  const now = await mirror.fetchBase(base.branch)
  const proof = await proveMerge(mirror, merge, now.sha)
  if (proof.kind === 'merged') return confirm(landing, merge.mergeSha, proof.mergedSha)
  if (proof.kind === 'absent') return null
  // Main moved between the test and the forge's merge: what came of it is tested now, and only then is it recorded. Where
  // that is red, main as it is by now may be mended.
  let note = ''
  const isGreen = async (sha: string): Promise<boolean> => {
    const judgement = await judgeAt(landing, sha)
    note = judgement?.note ?? ''
    return judgement === null || judgement.result === 'pass'
  }
  if ((await isGreen(proof.at)) || (now.sha !== proof.at && (await isGreen(now.sha))))
    return confirm(landing, merge.mergeSha, proof.at)
  const text = `${base.branch} moved while the forge merged, and with what it made of it (${proof.at.slice(0, 10)}) it does not pass: ${note}; mend ${base.branch}, then retry`
  throw new StepTrouble({ class: 'hold', code: 'merge-untested', text })
}

/** By its own configuration. Null: the project says that it has nothing to verify with. */
async function judgeAt(landing: Landing, sha: string): Promise<Judgement | null> {
  const { mirror, base, project, task } = landing
  const { policy } = await resolveAt(landing.deps.capabilities, {
    project,
    mirror,
    sha,
    baseName: base.branch,
    pipeline: task.pipeline || null,
  })
  return policy.verify === 'none' ? null : verifyOnce(landing, { mergeSha: sha, policy }, { fresh: false })
}
