// How stored rows look from outside: plain data, times as ISO 8601, nothing that only the engine needs.

import type { RunOutcome } from '../core/run.ts'
import type { Task } from '../core/task.ts'
import type { EffectKind } from '../core/messages.ts'
import type { ArtifactRow, EvidenceRow, ParkedJob, RunRow } from '../store/store.ts'
import type { RunView, TaskView } from './app.ts'

/** A task with its runs (oldest first) and kept files. */
export function taskView(
  task: Task,
  rows: { runs: RunRow[]; artifacts: ArtifactRow[]; tampering?: EvidenceRow[] },
): TaskView {
  return {
    id: task.id,
    project: task.project,
    title: task.title,
    body: task.body,
    labels: task.labels,
    priority: task.priority,
    pipeline: task.pipeline,
    stage: task.stage,
    status: task.status,
    ...(task.reason ? { reason: task.reason.code, reasonText: task.reason.text } : {}),
    paused: task.paused,
    dependsOn: task.dependsOn,
    openDependencies: task.openDeps,
    attempts: task.attempts,
    branch: task.branch,
    baseSha: task.baseSha,
    headSha: task.headSha,
    ...(task.mergedSha ? { mergedSha: task.mergedSha } : {}),
    ...(task.waitingFor ? { waitingFor: task.waitingFor } : {}),
    ...(task.waitingUntil === null ? {} : { waitingUntil: iso(task.waitingUntil) }),
    costUsd: task.costUsd,
    tokens: task.tokens,
    createdAt: iso(task.createdAt),
    updatedAt: iso(task.updatedAt),
    runs: rows.runs.map(runView),
    verdicts: task.verdicts.map(({ gate, stage, result, sha, note, findings }) => ({
      gate,
      stage,
      result,
      sha,
      note,
      findings,
    })),
    findings: task.findings,
    approvals: task.approvals.map((approval) => ({ ...approval, at: iso(approval.at) })),
    ...requestView(task),
    ...(task.preferredAgent ? { preferredAgent: task.preferredAgent } : {}),
    artifacts: rows.artifacts.map((artifact) => ({ ...artifact, at: iso(artifact.at) })),
    ...(rows.tampering?.length ? { tampering: rows.tampering.map(tamperingView) } : {}),
  }
}

/** Without the hash: whoever guesses tokens needs nothing to try them on. */
function requestView({ request }: Task): Pick<TaskView, 'request'> {
  if (!request) return {}
  const { sha, expiresAt, bypass } = request
  return { request: { sha, expiresAt: iso(expiresAt), ...(bypass === undefined ? {} : { bypass }) } }
}

function tamperingView({ data }: EvidenceRow): { run: string; agent: string; tried: string[] } {
  const tried = Array.isArray(data['tried']) ? data['tried'].map(String) : []
  return { run: String(data['run']), agent: String(data['agent']), tried }
}

export function runView(run: RunRow): RunView {
  return {
    id: run.id,
    stage: run.stage,
    role: run.role,
    agent: run.agent,
    model: run.model,
    attempt: run.attempt,
    ...outcomeView(run.outcome),
    startedAt: iso(run.startedAt),
    endedAt: run.endedAt === null ? null : iso(run.endedAt),
    ...(run.sessionId ? { sessionId: run.sessionId } : {}),
    usage: run.usage,
    // While a run goes on, what it costs isn't known.
    ...(run.endedAt === null ? {} : { costUsd: run.costUsd }),
  }
}

function outcomeView(outcome: RunOutcome | null): Pick<RunView, 'outcome' | 'failure' | 'text' | 'exitCode'> {
  if (outcome === null) return { outcome: 'running' }
  switch (outcome.kind) {
    case 'succeeded':
      return { outcome: outcome.kind, exitCode: 0 }
    case 'failed':
      return {
        outcome: outcome.kind,
        failure: outcome.code,
        text: outcome.text,
        ...(outcome.exitCode === null ? {} : { exitCode: outcome.exitCode }),
      }
    case 'cancelled':
      return { outcome: outcome.kind, text: `by ${outcome.by}` }
    case 'timed-out':
    case 'stalled':
    case 'could-not-start':
    case 'lost':
      return { outcome: outcome.kind, text: outcome.text }
    default:
      return outcome satisfies never
  }
}

export function iso(at: number): string {
  return new Date(at).toISOString()
}

const WORK: Record<EffectKind, string> = {
  run: 'its run',
  judge: 'judging it',
  publish: 'publishing it',
  await: 'looking at CI and reviews',
  tell: 'telling the tracker',
  land: 'landing it',
  'stop-run': 'ending its run',
  'release-dependants': 'telling the tasks that wait for it',
  clean: 'cleaning up after it',
}

/** A parked job in words. */
export function parkedView({ kind, failures, error }: ParkedJob): { what: string; failures: number; error: string } {
  return { what: WORK[kind], failures, error: firstLine(error) }
}

export function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}
