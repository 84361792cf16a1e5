// One run from its job's side: start it unless it was started, follow it to its end, take out what it committed.
// Every part finds itself done when it is done again after a crash, and following needs nothing but this machine.

import { join } from 'node:path'
import type { RunReport } from '../agents/agent.ts'
import type { Command } from '../core/messages.ts'
import { NO_USAGE, type RunOutcome } from '../core/run.ts'
import { stageOf } from '../core/pipeline.ts'
import type { Task } from '../core/task.ts'
import { messageOf } from '../lib/errors.ts'
import type { EvidenceRow, Project } from '../store/store.ts'
import type { Capabilities } from './capabilities.ts'
import { StepOver } from './dispatch.ts'
import type { Engine } from './engine.ts'
import { takeBackLogin } from './logins.ts'
import type { StartRun } from './start-run.ts'
import { type Handler, Interrupted, type JobContext, runIdOf } from './worker.ts'

/** What a run's end needs of the world. */
export type RunDeps = Pick<
  Capabilities,
  'home' | 'env' | 'now' | 'files' | 'store' | 'adapters' | 'credentials' | 'identity' | 'readHandoff'
> & {
  workspaces: Pick<Capabilities['workspaces'], 'find' | 'findReadCopy' | 'discard' | 'collect' | 'mirror'>
  runner: Pick<Capabilities['runner'], 'state' | 'stop' | 'wait'>
}

interface EndedRun {
  task: Task
  project: Project
  runId: string
  epoch: number
  stage: string
  role: string
  agent: string
  report: RunReport
}

export function makeRunHandler(deps: { capabilities: RunDeps; engine: Engine; startRun: StartRun }): Handler {
  const { capabilities, engine, startRun } = deps
  const { store, runner } = capabilities

  async function start(context: JobContext, step: { task: string; epoch: number; runId: string }) {
    const { task, runId } = step
    // A run of a step that was left in trouble works in the same workspace: it is over before this one is prepared.
    if (store.getTask(task)?.state.epoch === step.epoch)
      for (const row of store.listRuns({ task, live: true }))
        if (row.id !== runId) await stopRun(capabilities, engine, row.id)
    const failed = await startRun(context, step)
    // A cancel while it came up found nothing to stop yet.
    if (!failed && store.getTask(task)?.state.runId !== runId) await runner.stop(runId, 'cancel')
    return failed
  }

  return async (job, context) => {
    if (job.effect.kind !== 'run') throw new Error(`not a run: ${job.effect.kind}`)
    const { task: id, epoch } = job.effect
    const runId = runIdOf(job.effect)
    const absent = (await runner.state(runId)) === 'absent'
    const failed = absent ? await start(context, { task: id, epoch, runId }) : null
    const report = failed ?? (await follow(capabilities, runId, context))
    const task = store.getTask(id)?.state
    const row = store.getRun(runId)
    const project = store.listProjects().find((p) => p.id === task?.project)
    if (!task || !row || !project) throw new StepOver()
    return end(capabilities, {
      task,
      project,
      runId,
      epoch,
      stage: row.stage,
      role: row.role,
      agent: row.agent,
      report,
    })
  }
}

/**
 * Ends a run that nobody waits for any more: its whole tree, and its row in the books unless a job still follows it (none
 * does when its task was cancelled while no service was there). Idempotent; resolves when nothing of the run is left.
 */
export async function stopRun(capabilities: RunDeps, engine: Engine, runId: string): Promise<void> {
  const { store, runner, now } = capabilities
  await runner.stop(runId, 'cancel')
  const id = store.getRun(runId)?.task
  if (!id) return
  const epoch = Number(runId.slice(id.length + 1))
  if (store.jobsOf(id).some((job) => job.kind === 'run' && job.epoch === epoch)) return
  // Read after the job was seen gone: it ends together with its row.
  const row = store.getRun(runId)
  const task = store.getTask(id)?.state
  const project = store.listProjects().find((p) => p.id === row?.project)
  if (!row || row.endedAt !== null || !task || !project) return
  const { stage, role, agent, model, startedAt } = row
  const outcome: RunOutcome = { kind: 'cancelled', by: 'cancel' }
  const never = { outcome, sessionId: null, model, usage: NO_USAGE, costUsd: 0, startedAt, endedAt: now() }
  const report = (await runner.state(runId)) === 'absent' ? never : await runner.wait(runId)
  const command = await end(capabilities, { task, project, runId, epoch, stage, role, agent, report })
  await engine.submit(command, {
    actor: { kind: 'engine', name: 'orch' },
    cause: 'stop-run',
    correlation: id,
    // Two that stop it at once end it once.
    idempotencyKey: `end-run/${runId}`,
  })
}

async function follow(capabilities: RunDeps, runId: string, context: JobContext): Promise<RunReport> {
  const { runner } = capabilities
  try {
    return await runner.wait(runId, { signal: context.signal })
  } catch (error) {
    if (context.signal.aborted) throw new Interrupted()
    throw error
  }
}

async function end(capabilities: RunDeps, run: EndedRun): Promise<Command> {
  const { workspaces } = capabilities
  const { task, runId, epoch, role, agent, report } = run
  await afterRun(capabilities, run, { what: 'login', work: () => takeBackLogin(capabilities, { task, role, agent }) })
  const stage = task.policy ? stageOf(task.policy.pipeline, run.stage) : undefined
  let { outcome } = report
  let headSha: string | null = null
  if (stage?.independent) {
    const copy = workspaces.findReadCopy({ task: task.id, runId })
    if (copy) await afterRun(capabilities, run, { what: 'read copy', work: () => workspaces.discard(copy) })
  } else if (task.status !== 'cancelled' && task.epoch === epoch) {
    const taken = await takeOut(capabilities, run)
    if (taken.ok) headSha = taken.headSha
    else if (outcome.kind === 'succeeded')
      outcome = { kind: 'failed', code: 'crash', text: taken.problem, exitCode: 0 } satisfies RunOutcome
  }
  await afterRun(capabilities, run, { what: 'handoff', work: () => keepHandoff(capabilities, task.id, runId) })
  const { model, sessionId, usage, costUsd } = report
  const ended = { runId, role, agent, model, outcome, sessionId, headSha, usage, costUsd }
  return { type: 'end-run', task: task.id, epoch, ...ended }
}

/**
 * What follows a run must not cost its result: a login that can't be given back or a full disk would have the whole run
 * made again. What went wrong is kept as evidence.
 */
async function afterRun(
  capabilities: RunDeps,
  run: EndedRun,
  part: { what: string; work: () => Promise<void> },
): Promise<void> {
  try {
    await part.work()
  } catch (error) {
    const row = evidenceOf(capabilities, run, {
      gate: 'after-run',
      data: { what: part.what, problem: messageOf(error) },
    })
    // The store's own trouble shows at the commit that follows.
    await capabilities.store
      .putEvidence([{ ...row, id: `${row.id}-${part.what}`, result: 'unknown' }])
      .catch(() => undefined)
  }
}

/** Commits of a failed run are work too: they are taken out whatever the outcome. */
async function takeOut(
  capabilities: RunDeps,
  run: EndedRun,
): Promise<{ ok: true; headSha: string } | { ok: false; problem: string }> {
  const { workspaces } = capabilities
  const { task, project } = run
  try {
    const workspace = workspaces.find(task.id)
    if (!workspace) return { ok: false, problem: 'its workspace is gone; nothing of this run could be taken out' }
    const collected = await workspaces.collect(await workspaces.mirror(project), workspace, {
      branch: task.branch ?? `orch/${task.id}`,
      baseSha: task.baseSha ?? '',
      n: String(run.epoch),
      identity: await capabilities.identity(project),
      message: `${task.title}\n\nCommitted by Orch: ${run.agent} left this uncommitted.`,
    })
    if (collected.tampering.length > 0) await noteTampering(capabilities, run, collected.tampering)
    return { ok: true, headSha: collected.headSha }
  } catch (error) {
    return { ok: false, problem: `nothing could be taken out of its workspace: ${messageOf(error)}` }
  }
}

/** Names the run that tried; what it tried had no effect, so this is a record and no verdict. */
async function noteTampering(capabilities: RunDeps, run: EndedRun, tried: string[]): Promise<void> {
  await capabilities.store.putEvidence([evidenceOf(capabilities, run, { gate: 'tampering', data: { tried } })])
}

/** A fact about a run that no gate judges. */
function evidenceOf(
  { now }: RunDeps,
  run: EndedRun,
  fact: { gate: string; data: Record<string, unknown> },
): EvidenceRow {
  const { task, runId, agent } = run
  return {
    id: `${runId}-${fact.gate}`,
    task: task.id,
    project: task.project,
    gate: fact.gate,
    stage: run.stage,
    sha: task.headSha ?? task.baseSha ?? '',
    tree: null,
    configHash: task.policy?.configHash ?? '',
    environmentId: null,
    result: 'fail',
    at: now(),
    data: { run: runId, agent, ...fact.data },
  }
}

async function keepHandoff(capabilities: RunDeps, task: string, runId: string): Promise<void> {
  const { store, home, now, files } = capabilities
  const dir = await findHandoffDir(capabilities, runId)
  const handoff = dir ? await capabilities.readHandoff(dir) : null
  if (!dir || !handoff?.ok) return
  const text = await files.read(join(dir, 'handoff.md'))
  const path = join('artifacts', task, `${runId}-handoff.md`)
  await files.makeDir(join(home, 'artifacts', task))
  await files.write(join(home, path), text)
  await store.putArtifact({ task, runId, name: 'handoff.md', path, bytes: text.length, at: now() })
}

/** Where a run was told to write its handoff, or null when it never got that far. */
export async function findHandoffDir(
  { home, files }: Pick<Capabilities, 'home' | 'files'>,
  runId: string,
): Promise<string | null> {
  const dir = join(home, 'handoffs', runId)
  const names = await files.list(dir).catch(() => [])
  const name = names.find((entry) => entry.startsWith('handoff-'))
  return name ? join(dir, name) : null
}
