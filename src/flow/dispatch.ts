// From a claimed job to a place in which work can be done: the base fetched and seen green, the configuration pinned.
// What is wrong here spends no token.

import { awaitStage, firstStage, stageOf, type Stage } from '../core/pipeline.ts'
import type { Policy } from '../core/policy.ts'
import type { Task } from '../core/task.ts'
import type { Trouble } from '../core/messages.ts'
import { ExternalError } from '../lib/errors.ts'
import type { Project } from '../store/store.ts'
import type { Mirror } from '../workspace/workspace.ts'
import type { Capabilities } from './capabilities.ts'
import { resolveAt } from './project.ts'
import type { Verifier } from './verifier.ts'
import { type JobContext, troubleFrom } from './worker.ts'

export interface Place {
  task: Task
  project: Project
  mirror: Mirror
  policy: Policy
  stage: Stage
  base: { branch: string; sha: string }
}

/** A step that can't go on, as the command that says so. Thrown through the handler to its end. */
export class StepTrouble extends Error {
  readonly trouble: Trouble

  constructor(trouble: Trouble) {
    super(trouble.text)
    this.name = 'StepTrouble'
    this.trouble = trouble
  }
}

/** The step is not ours any more (superseded, paused, ended): stop without a word. */
export class StepOver extends Error {
  constructor() {
    super('the step is over')
    this.name = 'StepOver'
  }
}

export interface Dispatch {
  /** Begins the step and brings the project up to date: mirror, base, pinned policy. Throws StepOver, StepTrouble, ExternalError. */
  place(context: JobContext, epoch: number): Promise<Place>
  /** The role's instructions, as the pinned base has them: a branch can't change what its judge is told. */
  instructions(place: Place): Promise<string>
}

interface DispatchDeps extends Capabilities {
  verifier: Verifier
}

export function makeDispatch(deps: DispatchDeps): Dispatch {
  return {
    place: (context, epoch) => place(deps, context, epoch),
    instructions: (at) => instructions(deps, at),
  }
}

async function place(deps: DispatchDeps, context: JobContext, epoch: number): Promise<Place> {
  const { store, workspaces } = deps
  const id = context.job.effect.task
  const begun = await context.submit({ type: 'begin-step', task: id, epoch })
  if (!begun.ok) throw new StepOver()
  const project = store.listProjects().find((p) => p.id === begun.task.project)
  if (!project)
    throw new StepTrouble({
      class: 'hold',
      code: 'no-project',
      text: `project ${begun.task.project} is not registered any more; add it with \`orch project add\``,
    })
  const mirror = await workspaces.mirror(project)
  const base = await mirror.fetchBase(begun.task.policy?.base ?? null)
  const task =
    !begun.task.policy || begun.task.repin
      ? await pin(deps, context, { task: begun.task, project, mirror, base })
      : begun.task
  if (task.epoch !== epoch || !task.policy) throw new StepOver()
  const stage = stageOf(task.policy.pipeline, task.stage)
  if (!stage) throw new StepOver()
  return { task, project, mirror, policy: task.policy, stage, base }
}

async function instructions(deps: DispatchDeps, place: Place): Promise<string> {
  const { task, project, mirror, base } = place
  const sha = task.baseSha ?? base.sha
  const resolved = await resolveAt(deps, {
    project,
    mirror,
    sha,
    baseName: base.branch,
    pipeline: task.pipeline || null,
  })
  return resolved.prompts[place.stage.role ?? ''] ?? ''
}

async function pin(
  deps: DispatchDeps,
  context: JobContext,
  at: { task: Task; project: Project; mirror: Mirror; base: { branch: string; sha: string } },
): Promise<Task> {
  const { task, project, mirror } = at
  let base = at.base
  let resolved = await resolveAt(deps, {
    project,
    mirror,
    sha: base.sha,
    baseName: base.branch,
    pipeline: task.pipeline || null,
  })
  if (resolved.policy.base && resolved.policy.base !== base.branch) {
    base = await mirror.fetchBase(resolved.policy.base)
    resolved = await resolveAt(deps, {
      project,
      mirror,
      sha: base.sha,
      baseName: base.branch,
      pipeline: task.pipeline || null,
    })
  }
  requireForge(project, resolved.policy)
  await requireGreenBase(deps, context, { project, mirror, base, task, policy: resolved.policy })
  const branch = task.branch ?? branchName(task)
  await mirror.pin(`refs/orch/${task.id}/base`, base.sha)
  const command = {
    type: 'start-task' as const,
    task: task.id,
    epoch: task.epoch,
    policy: resolved.policy,
    baseSha: base.sha,
    branch,
  }
  const started = await context.submit(command)
  if (!started.ok) throw new StepOver()
  return started.task
}

/** What waits for a forge, or lands by one, would come to nothing at its end: that is said before anything is spent. */
function requireForge(project: Project, policy: Policy): void {
  const text = project.forge ? null : whyForge(policy)
  if (text !== null)
    throw new StepTrouble({ class: 'hold', code: 'no-forge', text: `${text}; ${forgeAdvice(project)}` })
}

/** Why a project with this policy needs a forge; null when it needs none. */
export function whyForge({ pipeline, land }: Policy): string | null {
  const waits = awaitStage(pipeline)
  if (waits)
    return `stage ${waits.name} of pipeline ${pipeline.name} waits for a forge's CI and reviews, and there is no forge`
  return land.via === 'forge' ? '`land.via: forge` lets the forge merge, and there is no forge' : null
}

export const forgeAdvice = ({ path }: Project): string =>
  `\`orch project add ${path} --forge NAME\` gives the project one, or choose another pipeline and \`land.via: push\``

/** A red base would fail every change: it is a person's to mend, and no token is spent on it. */
async function requireGreenBase(
  deps: DispatchDeps,
  context: JobContext,
  at: { project: Project; mirror: Mirror; base: { branch: string; sha: string }; task: Task; policy: Policy },
): Promise<void> {
  const { verifier } = deps
  const { policy, base, task } = at
  if (policy.verify === 'none') return
  if (policy.verify.length === 0) {
    throw new StepTrouble({
      class: 'hold',
      code: 'no-verify',
      text: 'the project has no verify command, so nothing could ever be proved; set `verify` in .orch.yml, or `verify: none` if that is meant',
    })
  }
  // The task has no policy yet, so its project's budget goes along.
  const limit = policy.limits.infra
  const judgement = await verifier
    .judge({
      project: at.project.id,
      task: task.id,
      stage: firstStage(policy.pipeline).name,
      mirror: at.mirror,
      sha: base.sha,
      policy,
      changedPaths: null,
      signal: context.signal,
    })
    .catch((error: unknown) => {
      const trouble = error instanceof ExternalError ? troubleFrom(error) : null
      throw trouble?.class === 'infra' ? new StepTrouble({ ...trouble, limit }) : error
    })
  if (judgement.result === 'fail') {
    const output = judgement.findings.map((finding) => finding.text).join('\n')
    throw new StepTrouble({
      class: 'hold',
      code: 'base-red',
      text: `${base.branch} at ${base.sha.slice(0, 10)} fails its own verification, before any change: ${output || judgement.note}`,
    })
  }
  if (judgement.result === 'unknown') {
    const code = judgement.reason ?? 'verify-unknown'
    const text = `verifying ${base.branch}: ${judgement.note}`
    throw new StepTrouble(judgement.retryable ? { class: 'infra', code, text, limit } : { class: 'hold', code, text })
  }
}

/** A slug's limit (ORCH's); it ends at a word. */
const SLUG_MAX = 30

/** `orch/<task-id>-<slug>`: only letters, digits and dashes of the title, so that no title can break a ref name. */
export function branchName(task: Pick<Task, 'id' | 'title'>): string {
  const words =
    task.title
      .normalize('NFKD')
      .toLowerCase()
      .match(/[a-z0-9]+/g) ?? []
  let slug = ''
  for (const word of words) {
    const longer = slug ? `${slug}-${word}` : word.slice(0, SLUG_MAX)
    if (longer.length > SLUG_MAX) break
    slug = longer
  }
  return slug ? `orch/${task.id}-${slug}` : `orch/${task.id}`
}
