// Landing: the head merged with the present main in memory, exactly that tree verified, main moved to it by
// compare-and-swap, and recorded only when main holds it (S4, S5). Main's own configuration judges.

import type { Command } from '../core/messages.ts'
import type { Policy } from '../core/policy.ts'
import { settle } from '../core/train.ts'
import type { Judgement } from '../core/verdict.ts'
import { ExternalError } from '../lib/errors.ts'
import { heedClosed } from './closed-change.ts'
import { StepOver, StepTrouble } from './dispatch.ts'
import { resolveAt } from './project.ts'
import { mergeAtForge } from './forge-merge.ts'
import { type Candidate, type LandDeps, type Landing, abandon, confirm, verifyOnce } from './landing.ts'
import { proveMerge } from './prove-merge.ts'
import type { Again, Handler } from './worker.ts'

/** Main may move while a tree is tested; after this many times somebody else is landing faster than the tests run. */
const MAX_ROUNDS = 10

export function makeLandHandler(deps: LandDeps): Handler {
  return async (job, context) => {
    if (job.effect.kind !== 'land') throw new Error(`not a landing: ${job.effect.kind}`)
    const { epoch } = job.effect
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const place = await deps.dispatch.place(context, epoch)
      if (place.task.step?.kind !== 'land') return null
      const landing: Landing = { ...place, deps, context }
      const settled = await settleIntent(landing)
      if (settled) return settled
      const candidate = await makeCandidate(landing)
      const failed = await test(landing, candidate)
      if (failed) return failed
      await heedClosed(deps.capabilities, landing)
      const merged = await merge(landing, candidate)
      if (merged) return merged
    }
    throw new StepTrouble({
      class: 'infra',
      code: 'main-moves',
      text: `main moved ${MAX_ROUNDS} times while the change was tested`,
    })
  }
}

/** An intent from before a crash is settled by looking at main, not by doing it again (S9). */
async function settleIntent(landing: Landing): Promise<Command | Again | null> {
  const { task, mirror, base } = landing
  if (!task.landing) return null
  const { mergeSha, onto, tree = '' } = task.landing
  const via = task.landing.via ?? ('push' as const)
  const merge = { mergeSha, onto, tree, head: task.headSha ?? '', via }
  if (via === 'forge') return mergeAtForge(landing, merge, { asked: true })
  const proof = await proveMerge(mirror, merge, base.sha)
  if (proof.kind === 'merged') return confirm(landing, mergeSha, proof.mergedSha)
  // Whoever cancelled while the merge was interrupted doesn't want it made now.
  if (base.sha === onto && !task.cancelRequested) return pushMerge(landing, { mergeSha, onto })
  await abandon(landing, `main is at ${base.sha.slice(0, 10)} and does not hold ${mergeSha.slice(0, 10)}`)
  return null
}

async function makeCandidate(landing: Landing): Promise<Candidate> {
  const { task, mirror, base, project } = landing
  const head = task.headSha
  if (!head) throw new StepOver()
  if (await mirror.isAncestor(head, base.sha)) {
    const text = `${base.branch} holds ${head.slice(0, 10)} already: somebody merged it outside of Orch; cancel the task`
    throw new StepTrouble({ class: 'hold', code: 'already-merged', text })
  }
  const merged = await mirror.mergeTree(base.sha, head)
  if (!merged.ok) {
    const text = `Merging ${base.branch} (${base.sha}) conflicts in: ${merged.files.join(', ')}. Merge \`origin/${base.branch}\` into your branch, solve the conflicts, run the tests and commit.`
    throw new StepTrouble({
      class: 'code',
      code: 'conflict',
      text: `conflicts with ${base.branch} in ${merged.files.join(', ')}`,
      findings: [{ gate: 'land', severity: 'P0', text }],
    })
  }
  const { policy } = await resolveAt(landing.deps.capabilities, {
    project,
    mirror,
    sha: base.sha,
    baseName: base.branch,
    pipeline: task.pipeline || null,
  })
  const mergeSha = await mirror.commitTree({
    tree: merged.tree,
    parents: policy.land.method === 'squash' ? [base.sha] : [base.sha, head],
    message:
      policy.land.method === 'squash'
        ? `${task.title}\n\nOrch-Task: ${task.id}\n`
        : `Merge ${task.id}: ${task.title}\n\nOrch-Task: ${task.id}\nOrch-Head: ${head}\n`,
    author: task.creator ?? ORCH,
    committer: ORCH,
  })
  await mirror.pin(`refs/orch/${task.id}/merge`, mergeSha)
  await requireMarkers(landing, { mergeSha, policy })
  return { mergeSha, onto: base.sha, tree: merged.tree, policy }
}

/** Regression markers (C-25): what a merge may never lose. Read from main, so a branch can't drop one from the list. */
async function requireMarkers(landing: Landing, at: { mergeSha: string; policy: Policy }): Promise<void> {
  const { mirror, base } = landing
  for (const marker of at.policy.land.markers ?? []) {
    if (await mirror.holdsText(at.mergeSha, marker)) continue
    const text = `merged with ${base.branch} it would lose the marker "${marker}" (land.markers); see who took it out, then retry or reject`
    throw new StepTrouble({ class: 'hold', code: 'marker-lost', text })
  }
}

/** Null when the tree is green; a command when the task ends here; a red is seen twice before anyone is blamed. */
async function test(landing: Landing, candidate: Candidate): Promise<Command | null> {
  if (candidate.policy.verify === 'none') return null
  if (candidate.policy.verify.length === 0) {
    throw new StepTrouble({
      class: 'hold',
      code: 'no-verify',
      text: "main has no verify command, so the merge can't be proved; set `verify` in .orch.yml, or `verify: none`",
    })
  }
  const entry = { task: landing.task.id, epoch: landing.task.epoch, sha: landing.task.headSha ?? '', enteredAt: 0 }
  for (let reds = 0; ;) {
    const judgement = await verifyOnce(landing, candidate, { fresh: reds > 0 })
    if (judgement.result === 'unknown') {
      const code = judgement.reason ?? 'verify-unknown'
      throw new StepTrouble({
        class: judgement.retryable ? 'infra' : 'hold',
        code,
        text: `verifying the merge: ${judgement.note}`,
      })
    }
    const green = judgement.result === 'pass'
    if (!green) reds++
    const next = settle({ prefix: [entry] }, { green, reds })
    if (next.kind === 'land') return null
    if (next.kind === 'reject') return rejected(landing, judgement)
  }
}

function rejected(landing: Landing, judgement: Judgement): Command {
  const text = `merged with ${landing.base.branch} at ${landing.base.sha.slice(0, 10)} it fails: ${judgement.note}`
  const findings = judgement.findings.map((finding) => ({
    ...finding,
    text: `This passes on your branch, but not merged with \`origin/${landing.base.branch}\`. Merge it into your branch and mend this:\n${finding.text}`,
  }))
  return {
    type: 'report-trouble',
    task: landing.task.id,
    epoch: landing.task.epoch,
    trouble: { class: 'code', code: 'red-on-main', text, findings },
  }
}

/** Null: main moved first, go round again. */
async function merge(landing: Landing, candidate: Candidate): Promise<Command | Again | null> {
  const { task, context } = landing
  const { mergeSha, onto, tree, policy } = candidate
  const intended = await context.submit({
    type: 'intend-merge',
    task: task.id,
    epoch: task.epoch,
    mergeSha,
    onto,
    tree,
    configHash: policy.configHash,
    verified: true,
    ...(policy.land.via === 'forge' ? { via: 'forge' } : {}),
  })
  if (intended.ok && policy.land.via === 'forge')
    return mergeAtForge(landing, { mergeSha, onto, tree, head: task.headSha ?? '', via: 'forge' }, { asked: false })
  if (intended.ok) return pushMerge(landing, { mergeSha, onto })
  if (intended.because === 'refused' && intended.refusal.code === 'not-verified') {
    throw new StepTrouble({ class: 'hold', code: 'gates-void', text: intended.refusal.text })
  }
  throw new StepOver()
}

/** Moves main by compare-and-swap and proves it. An answer that leaves open whether it was applied leaves the intent open. */
async function pushMerge(landing: Landing, intent: { mergeSha: string; onto: string }): Promise<Command | null> {
  const { mirror, base } = landing
  const pushed = await mirror.push({ sha: intent.mergeSha, branch: base.branch, expected: intent.onto })
  if (pushed.ok) {
    const now = await mirror.fetchBase(base.branch)
    if (await mirror.isAncestor(intent.mergeSha, now.sha)) return confirm(landing, intent.mergeSha, intent.mergeSha)
    const text = `the remote took ${intent.mergeSha.slice(0, 10)} but ${base.branch} does not hold it; look at the remote`
    throw new StepTrouble({ class: 'hold', code: 'merge-unproved', text })
  }
  const text = `pushing ${base.branch}: ${pushed.text}`
  if (pushed.because === 'unreachable' || pushed.because === 'auth') {
    throw new ExternalError({ system: 'push', kind: pushed.because, message: text })
  }
  await abandon(landing, text)
  if (pushed.because === 'refused') throw new StepTrouble({ class: 'hold', code: 'push-refused', text })
  return null
}

/** Who commits merges; the author is the task's creator. */
const ORCH = { name: 'Orch', email: 'orch@localhost' }
