// Judging a stage: each of its gates collects evidence, a verdict is bound to the head and the configuration.
// Invariant: a costly gate is skipped only when a cheap one has failed; what was not judged is not a pass (S8).

import type { AwaitGateName, GateName } from '../core/pipeline.ts'
import type { Judgement, Verdict } from '../core/verdict.ts'
import { approvalOf } from '../core/task.ts'
import type { Gate, GateInput, Handoff } from '../gates/gate.ts'
import type { EvidenceRow, ReviewRow } from '../store/store.ts'
import type { Capabilities } from './capabilities.ts'
import type { Dispatch, Place } from './dispatch.ts'
import { findHandoffDir } from './run.ts'
import type { Verifier } from './verifier.ts'
import type { Handler, JobContext } from './worker.ts'

interface JudgeDeps extends Capabilities {
  dispatch: Dispatch
  verifier: Verifier
}

export function makeJudgeHandler(deps: JudgeDeps): Handler {
  const { store } = deps

  return async (job, context) => {
    if (job.effect.kind !== 'judge') throw new Error(`not a judgement: ${job.effect.kind}`)
    const place = await deps.dispatch.place(context, job.effect.epoch)
    const { task } = place
    if (task.step?.kind !== 'judge') return null
    const { sha, runId } = task.step
    const input = await inputOf(deps, place, { sha, runId, context })
    const verdicts = await collectAll(deps, place, input)
    await store.putEvidence(verdicts.map((verdict) => evidenceOf(deps, place, verdict, { runId })))
    for (const verdict of verdicts) if (verdict.gate === 'review') await recordReview(deps, place, verdict, { runId })
    return { type: 'judge-stage', task: task.id, epoch: job.effect.epoch, stage: place.stage.name, sha, verdicts }
  }
}

async function inputOf(
  deps: JudgeDeps,
  place: Place,
  at: { sha: string; runId: string; context: JobContext },
): Promise<GateInput> {
  const { task, mirror, policy, stage, base, project } = place
  const baseSha = (await mirror.mergeBase(base.sha, at.sha)) ?? base.sha
  const dir = await findHandoffDir(deps, at.runId)
  const handoff: Handoff = dir
    ? await deps.readHandoff(dir)
    : { ok: false, problem: 'no handoff directory was made for this run' }
  const verify = async () => {
    // A move changes the folder that a file left as well.
    const changed = (await mirror.diffFiles(baseSha, at.sha)).flatMap(({ path, from }) =>
      from ? [path, from] : [path],
    )
    return deps.verifier.verify({
      project: project.id,
      task: task.id,
      stage: stage.name,
      mirror,
      sha: at.sha,
      policy,
      changedPaths: changed,
      signal: at.context.signal,
    })
  }
  const approved = approvalOf(task, at.sha) !== undefined
  return {
    stage: stage.name,
    role: stage.role ?? '',
    headSha: at.sha,
    sentBackSha: task.sentBackSha,
    baseSha,
    policy,
    handoff,
    mirror,
    verify,
    approved,
  }
}

async function collectAll(deps: JudgeDeps, place: Place, input: GateInput): Promise<Verdict[]> {
  const gates = place.stage.gates.flatMap((name) => (isAwaited(name) ? [] : [deps.gates[name]]))
  const verdicts: Verdict[] = []
  for (const gate of [...gates.filter((g) => !g.costly), ...gates.filter((g) => g.costly)]) {
    if (gate.costly && verdicts.some((verdict) => verdict.result === 'fail')) continue
    const judgement = settleUnknown(gate, await gate.collect(input))
    const verdict = bind(deps, place, gate.name, { judgement, sha: input.headSha })
    // An agent that asks, or says that it can't do the task, hands in no work that could pass or fail.
    if (gate.name === 'handoff' && (verdict.result === 'wait' || verdict.result === 'unknown')) return [verdict]
    verdicts.push(verdict)
  }
  return verdicts
}

/** A pipeline that has one at an agent's stage is refused when it is read. */
function isAwaited(name: GateName): name is AwaitGateName {
  return name === 'ci' || name === 'reviews'
}

function bind(deps: JudgeDeps, place: Place, gate: GateName, facts: { judgement: Judgement; sha: string }): Verdict {
  return { ...facts.judgement, gate, stage: place.stage.name, sha: facts.sha, configHash: place.policy.configHash }
}

function evidenceOf(deps: JudgeDeps, place: Place, verdict: Verdict, run: { runId: string }): EvidenceRow {
  const { now } = deps
  return {
    id: deps.newId(),
    task: place.task.id,
    project: place.project.id,
    gate: verdict.gate,
    stage: verdict.stage,
    sha: verdict.sha,
    tree: null,
    configHash: verdict.configHash,
    environmentId: null,
    result: verdict.result,
    at: now(),
    data: { note: verdict.note, findings: verdict.findings, run: run.runId },
  }
}

/** A readable review is shown with the change, whichever way it went. */
async function recordReview(deps: JudgeDeps, place: Place, verdict: Verdict, run: { runId: string }): Promise<void> {
  const { now, store } = deps
  const change = store.getChange(place.task.id)
  if (!change || (verdict.result !== 'pass' && verdict.result !== 'fail')) return
  const review: ReviewRow = {
    project: place.project.id,
    change: change.number,
    sha: verdict.sha,
    by: store.getRun(run.runId)?.agent ?? 'reviewer',
    verdict: verdict.result === 'pass' ? 'approve' : 'request_changes',
    text: [verdict.note, ...verdict.findings.map((finding) => `[${finding.severity}] ${finding.text}`)].join('\n'),
    at: now(),
  }
  await deps.forgeOf(place.project).addReview(review)
}

/** A gate that fails open says so in its note; one that fails closed stays unknown. */
function settleUnknown(gate: Gate, judgement: Judgement): Judgement {
  if (judgement.result !== 'unknown' || gate.onUnknown === 'closed') return judgement
  return { ...judgement, result: 'pass', note: `${judgement.note} (could not be judged; this gate lets that pass)` }
}
