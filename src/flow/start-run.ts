// Starting a run: its place prepared, its agent chosen, its prompt and environment made, its supervisor up.
// Invariant: the run is begun on the books before anything is started, and started at most once.

import { join } from 'node:path'
import type { RunReport, RunSpec } from '../agents/agent.ts'
import { programOf, runLimitsOf } from '../core/policy.ts'
import { mayBegin } from '../core/schedule.ts'
import { addUsage, NO_USAGE } from '../core/run.ts'
import { ExternalError, messageOf } from '../lib/errors.ts'
import type { Workspace } from '../workspace/workspace.ts'
import type { Capabilities } from './capabilities.ts'
import { type ChosenAgent, chooseAgent } from './choose-agent.ts'
import { type Dispatch, type Place, StepOver } from './dispatch.ts'
import { configDirOf } from './logins.ts'
import { renderPrompt } from './prompt.ts'
import { Interrupted, type JobContext } from './worker.ts'

/** Between SIGTERM and SIGKILL of a run's tree (ORCH's agent_kill_grace_seconds). */
const GRACE_MS = 20_000
/** A run that prints more than this is broken; real runs of an hour stay below a tenth of it. */
const LOG_CAP_BYTES = 256 << 20
const SETUP_TIMEOUT_MS = 30 * 60_000
/** What a judging role is shown of the change; it has the checkout for the rest. */
const DIFF_BYTES = 200_000

interface RunPlace extends Place {
  runId: string
  /** Its commits count: the stage's role writes the change. */
  writes: boolean
  workspace: Workspace
  agent: ChosenAgent
  configDir: string
}

/**
 * Prepares and starts the run of a step. Null when it is up; a report when it could not be started.
 * Throws StepOver when the step is not ours (any more), StepTrouble and ExternalError before anything was spent.
 */
export type StartRun = (context: JobContext, step: { epoch: number; runId: string }) => Promise<RunReport | null>

interface StartDeps extends Capabilities {
  dispatch: Dispatch
}

export function makeStartRun(deps: StartDeps): StartRun {
  const { dispatch } = deps
  const { store, runner, now } = deps

  return async (context, { epoch, runId }) => {
    const place = await dispatch.place(context, epoch)
    const agent = await chooseAgent(deps, { ...place, runId })
    const begin = async (): Promise<void> => {
      const { name, model, why, lastResort } = agent
      const task = place.task.id
      const begun = await context.submit({
        type: 'begin-run',
        task,
        epoch,
        runId,
        role: place.stage.role ?? '',
        agent: name,
        model,
        why,
        lastResort,
      })
      if (!begun.ok || begun.task.runId !== runId) throw new StepOver()
    }
    // A limited agent's run is put off before anything is prepared for it.
    if (!mayBegin(store.getAccount(agent.name)?.state ?? null, now()).ok) await begin()
    await stillHolds(context, { task: place.task.id, epoch })
    const run = await prepare(deps, place, { runId, agent, signal: context.signal })
    // What can't be prepared is the project's or the host's trouble, and no mark against the agent.
    const spec = await specOf(deps, run)
    if (context.signal.aborted) throw new Interrupted()
    await begin()
    const startedAt = now()
    try {
      await runner.start(spec)
      return null
    } catch (error) {
      if (error instanceof ExternalError) throw error
      // Its supervisor died or never came up: the host's trouble. An agent that can't be started is its outcome's to tell.
      const outcome = { kind: 'lost' as const, text: `${agent.name} was not started: ${messageOf(error)}` }
      // It may have come up after all: two agents must never work in one workspace, and what it spent is spent.
      await runner.stop(runId, 'start-failed')
      const never = { sessionId: null, model: null, usage: NO_USAGE, costUsd: 0, startedAt, endedAt: now() }
      return { ...((await runner.state(runId)) === 'absent' ? never : await runner.wait(runId)), outcome }
    }
  }
}

/**
 * A look at the world may take longer than a lease (a machine that slept), and whoever has the step by now works in its
 * workspace: it is touched only right after the lease was seen to hold (S2).
 */
async function stillHolds(context: JobContext, step: { task: string; epoch: number }): Promise<void> {
  if (context.signal.aborted) throw new Interrupted()
  const asked = await context.submit({ type: 'begin-step', ...step })
  if (!asked.ok) throw new StepOver()
}

async function prepare(
  deps: StartDeps,
  place: Place,
  { signal, ...at }: { runId: string; agent: ChosenAgent; signal: AbortSignal },
): Promise<RunPlace> {
  const { home, workspaces } = deps
  const { task, mirror, base, policy, stage } = place
  // An independent role judges: it reads a copy, and what it changes there counts for nothing.
  const writes = !stage.independent
  const head = task.headSha
  const startSha = head ? base.sha : (task.baseSha ?? base.sha)
  const sparse = policy.checkout?.sparse ?? []
  const workspace = writes
    ? await workspaces.ensure(mirror, {
        task: task.id,
        branch: task.branch ?? `orch/${task.id}`,
        baseSha: startSha,
        headSha: head,
        baseBranch: base.branch,
        sparse,
      })
    : await workspaces.ensureReadCopy(mirror, {
        task: task.id,
        runId: at.runId,
        sha: head ?? base.sha,
        baseSha: base.sha,
        baseBranch: base.branch,
        sparse,
      })
  if (policy.setup.length > 0) {
    const { network, read } = policy.sandbox
    const { note } = await workspaces.setup(mirror, workspace, {
      sha: head ?? (writes ? startSha : base.sha),
      commands: policy.setup,
      env: policy.env,
      network,
      read,
      sparse,
      timeoutMs: SETUP_TIMEOUT_MS,
      signal,
    })
    if (note !== null) await noteSetup(deps, { ...place, runId: at.runId }, note)
  }
  // Nobody removes what is put into the place of a task that was cleaned away meanwhile.
  if (signal.aborted) throw new Interrupted()
  const configDir = configDirOf(home, { task: task.id, role: stage.role ?? '', agent: at.agent.name })
  await deps.files.makeDir(configDir, 0o700)
  return { ...place, ...at, writes, workspace, configDir }
}

/** Why setup runs in every checkout: on the books once, for whoever asks where the time goes. */
async function noteSetup(deps: StartDeps, run: Place & { runId: string }, note: string): Promise<void> {
  const { task, policy, stage, project, runId } = run
  const facts = { task: task.id, project: project.id, gate: 'setup', stage: stage.name, tree: null, at: deps.now() }
  const sha = task.headSha ?? run.base.sha
  const { configHash } = policy
  const row = { ...facts, sha, configHash, environmentId: await deps.workspaces.environmentId(), data: { note } }
  await deps.store.putEvidence([{ ...row, id: `${runId}-setup`, result: 'pass' }])
}

async function specOf(deps: StartDeps, run: RunPlace): Promise<RunSpec> {
  const { adapters, workspaces } = deps
  const { task, policy, stage, workspace, agent } = run
  const adapter = adapters[agent.name]
  if (!adapter) throw new Error(`no adapter ${agent.name}`)
  const handoffDir = await ensureHandoffDir(deps, run.runId)
  const session = run.writes ? task.sessions[stage.role ?? ''] : undefined
  const resume = session?.agent === agent.name ? session.sessionId : null
  const sandboxed = workspaces.sandbox.means.kind === 'bubblewrap'
  const program = programOf(policy, { role: stage.role ?? '', agent: agent.name })
  const command = adapter.command({
    program,
    path: agent.found.path,
    model: agent.model,
    effort: agent.effort,
    resume,
    configDir: run.configDir,
    sandboxed,
    writable: [workspace.path, workspace.runtimeDir, handoffDir],
    env: deps.env,
  })
  const resumed = command.resumes === false ? null : resume
  await deps.credentials.lend(command.credentials, run.configDir)
  await deps.credentials.writeSettings(command.files ?? [], run.configDir)
  const identity = await deps.identity(run.project)
  const attempt = task.attempts.code + 1
  const env = {
    ...workspaces.environment(workspace.runtimeDir, workspace.path, policy.env, { passSecrets: false }),
    GIT_AUTHOR_NAME: identity.name,
    GIT_AUTHOR_EMAIL: identity.email,
    GIT_COMMITTER_NAME: identity.name,
    GIT_COMMITTER_EMAIL: identity.email,
    ...command.env,
    ORCH_RUN: run.runId,
    ORCH_TASK: task.id,
    ORCH_STAGE: stage.name,
    ORCH_ROLE: stage.role ?? '',
    ORCH_ATTEMPT: String(attempt),
    ORCH_HANDOFF: handoffDir,
  }
  const wrapped = workspaces.sandbox.wrap({
    argv: [command.file, ...command.args],
    cwd: workspace.path,
    env,
    writable: [workspace.path, workspace.runtimeDir, handoffDir, run.configDir],
    readable: [join(run.mirror.path, 'objects'), ...command.reads, ...policy.sandbox.read],
    network: policy.sandbox.network,
    masked: run.mirror.masked,
  })
  return {
    runId: run.runId,
    task: task.id,
    agent: agent.name,
    resumed: resumed !== null,
    ...usedBefore(deps, run, resumed),
    ...wrapped,
    cwd: workspace.path,
    prompt: await promptOf(deps, run, { handoffDir, attempt }),
    ...runLimitsOf(policy, stage.name),
    graceMs: GRACE_MS,
    logCapBytes: LOG_CAP_BYTES,
  }
}

/** What the resumed session has used and cost so far, for agents that report the session's total. */
function usedBefore(
  deps: StartDeps,
  run: RunPlace,
  resume: string | null,
): Pick<RunSpec, 'previousUsage' | 'previousCostUsd'> {
  const { store } = deps
  const earlier = store
    .listRuns({ task: run.task.id })
    .filter((row) => resume !== null && row.sessionId === resume && row.id !== run.runId)
  return {
    previousUsage: earlier.map((row) => row.usage).reduce(addUsage, NO_USAGE),
    previousCostUsd: earlier.reduce((sum, row) => sum + row.costUsd, 0),
  }
}

async function promptOf(deps: StartDeps, run: RunPlace, at: { handoffDir: string; attempt: number }): Promise<string> {
  const { dispatch } = deps
  const { task, stage, mirror, base } = run
  const head = task.headSha
  const diff =
    run.writes || !head
      ? null
      : await mirror.diffText((await mirror.mergeBase(base.sha, head)) ?? base.sha, head, { maxBytes: DIFF_BYTES })
  return renderPrompt({
    task,
    stage: stage.name,
    role: stage.role ?? '',
    attempt: at.attempt,
    handoffDir: at.handoffDir,
    instructions: await dispatch.instructions(run),
    delimiter: deps.newId(),
    branch: task.branch ?? '',
    baseBranch: base.branch,
    headSha: head,
    baseSha: base.sha,
    diff,
    network: run.policy.sandbox.network,
  })
}

/** A directory that only this run knows: a fresh nonce in its name, empty at the start. */
async function ensureHandoffDir(deps: StartDeps, runId: string): Promise<string> {
  const { home, files } = deps
  const dir = join(home, 'handoffs', runId)
  await files.makeDir(dir, 0o700)
  const known = (await files.list(dir))[0]
  const handoff = join(dir, known ?? `handoff-${deps.newId()}`)
  await files.makeDir(handoff, 0o700)
  return handoff
}
