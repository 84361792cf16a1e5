// How a person's words become a task and a person's wishes become commands.

import { firstStage } from '../core/pipeline.ts'
import type { Actor, Command } from '../core/messages.ts'
import { type RefusalCode, refuse } from '../core/refusals.ts'
import { UserError } from '../lib/errors.ts'
import type { Project } from '../store/store.ts'
import type { ResolvedProject } from '../config/config.ts'
import type { AddTask, TaskAction } from './app.ts'
import type { Capabilities } from './capabilities.ts'
import type { Engine, Submitted } from './engine.ts'
import { BODY_MAX_BYTES, TITLE_MAX } from './entry-check.ts'
import { closeEndedDependencies } from './reconcile.ts'
import { findReopened, noteReopened } from './reopened.ts'
import { hashOf } from './request-approval.ts'

export interface Intake {
  /** Opens a task. Throws UserError for what a task can't be made of. */
  addTask(request: AddTask, actor: Actor): Promise<Submitted>
  act(action: TaskAction, actor: Actor): Promise<Submitted>
}

interface IntakeDeps extends Capabilities {
  engine: Engine
}

export function makeIntake(deps: IntakeDeps): Intake {
  return {
    addTask: (request, actor) => addTask(deps, request, actor),
    act: (action, actor) => act(deps, action, actor),
  }
}

async function addTask(deps: IntakeDeps, request: AddTask, actor: Actor): Promise<Submitted> {
  const { engine, store, tracker } = deps
  const project = store.listProjects().find((p) => p.id === request.project)
  if (!project)
    throw new UserError(3, 'no-project', `there is no project ${request.project}; see \`orch project list\``)
  checkText(request)
  const openDeps = request.dependsOn.filter((id) => isOpen(deps, id))
  const { policy } = await resolveClone(deps, project, request.pipeline)
  const issue = await tracker.createIssue(project.id)
  const opened = await engine.submit(
    {
      type: 'open-task',
      task: `${project.id}-${issue.number}`,
      project: project.id,
      origin: issue.origin,
      title: request.title.trim(),
      body: request.body,
      labels: request.labels,
      priority: request.priority,
      creator: await deps.identity(project),
      dependsOn: [...new Set(request.dependsOn)],
      openDeps: [...new Set(openDeps)],
      pipeline: policy.pipeline.name,
      firstStage: firstStage(policy.pipeline).name,
      parallel: policy.limits.parallel,
    },
    { actor, cause: 'command:open-task', correlation: deps.newId() },
  )
  if (openDeps.length === 0 || !opened.ok) return opened
  await closeEndedDependencies({ store, engine }, opened.task.id)
  return { ok: true, task: store.getTask(opened.task.id)?.state ?? opened.task }
}

function isOpen(deps: IntakeDeps, id: string): boolean {
  const { store } = deps
  const task = store.getTask(id)?.state
  if (!task)
    throw new UserError(
      3,
      'no-such-task',
      `it depends on ${id}, and there is no such task; see \`orch task list --all\``,
    )
  if (task.status === 'cancelled')
    throw new UserError(4, 'dependency-cancelled', `it depends on ${id}, which was cancelled`)
  return task.status !== 'done'
}

async function resolveClone(deps: IntakeDeps, project: Project, pipeline: string | null): Promise<ResolvedProject> {
  const { config } = deps
  const layers = { flags: deps.flags, env: deps.env, user: deps.userConfig(), projectId: project.id }
  const resolution = config.resolve({ layers, files: await deps.cloneFiles(project), pipeline })
  if (resolution.ok) return resolution.project
  const [first] = resolution.problems
  const where = first ? `${first.file}${first.line ? `:${first.line}` : ''}: ${first.key}: ${first.text}` : 'unknown'
  throw new UserError(6, 'bad-config', `the project's configuration can't be used: ${where}`)
}

async function act(deps: IntakeDeps, action: TaskAction, actor: Actor): Promise<Submitted> {
  const { engine, store } = deps
  if (action.type === 'reopen') return reopen(deps, action.task, actor)
  const by = { actor, cause: `command:${action.type}`, correlation: deps.newId() }
  const unparked = action.type === 'retry' ? await store.unpark(action.task) : []
  const submitted = await engine.submit(await commandOf(deps, action), by)
  const task = store.getTask(action.task)?.state
  // Beside its steps something was put aside: that was to be retried, also of a task that has ended.
  if (unparked.length === 0 || submitted.ok || !task) return submitted
  deps.wake()
  return { ok: true, task }
}

/**
 * A cancelled task is never left (S12): its issue gets a new task, which starts from scratch. The tracker is asked how the
 * issue stands, since a closing of before is overruled by this, and a later one is not. Throws UserError, ExternalError.
 */
async function reopen(deps: IntakeDeps, id: string, actor: Actor): Promise<Submitted> {
  const { engine, store } = deps
  const old = store.getTask(id)?.state
  if (!old) return refused('no-such-task')
  if (old.status !== 'cancelled') return refused('not-cancelled')
  const project = store.listProjects().find((p) => p.id === old.project)
  if (!project)
    throw new UserError(3, 'no-project', `project ${old.project} is not registered any more; see \`orch project add\``)
  const { policy } = await resolveClone(deps, project, old.pipeline || null)
  const { title, body, labels, priority, creator, origin } = old
  const issue = await findReopened(deps.trackerOf, { project, origin })
  const task = `${project.id}-${await store.nextNumber(project.id)}`
  if (issue) await noteReopened(store, { project: project.id, task, issue, at: deps.now() })
  const opened = await engine.submit(
    {
      type: 'open-task',
      task,
      project: project.id,
      origin,
      title,
      body,
      labels,
      priority,
      creator,
      dependsOn: old.dependsOn,
      openDeps: old.dependsOn.filter((dependency) => isOpen(deps, dependency)),
      pipeline: policy.pipeline.name,
      firstStage: firstStage(policy.pipeline).name,
      parallel: policy.limits.parallel,
    },
    { actor, cause: 'command:reopen', correlation: deps.newId() },
  )
  if (issue && !opened.ok) await noteReopened(store, { project: project.id, task, issue: null, at: deps.now() })
  return opened
}

function refused(code: RefusalCode): Submitted {
  return { ok: false, because: 'refused', refusal: refuse(code).refusal }
}

async function commandOf(deps: IntakeDeps, action: Exclude<TaskAction, { type: 'reopen' }>): Promise<Command> {
  switch (action.type) {
    case 'edit': {
      if (action.title !== undefined || action.body !== undefined)
        checkText({ title: action.title ?? 'kept', body: action.body ?? '' })
      return { ...action, type: 'edit-task' }
    }
    case 'retry':
      return { ...action, parallel: await parallelOf(deps, action.task) }
    case 'approve': {
      const { token, ...rest } = action
      return token === undefined ? rest : { ...rest, tokenHash: hashOf(token) }
    }
    case 'reroute':
      checkAgent(deps, action.agent)
      return action
    default:
      return action
  }
}

function checkAgent({ adapters }: IntakeDeps, agent: string | null): void {
  if (agent === null || Object.hasOwn(adapters, agent)) return
  const known = Object.keys(adapters).join(', ')
  throw new UserError(2, 'no-such-agent', `there is no agent ${agent}; there are ${known}`)
}

/** Capacity of the project's lane, when it can be told; a broken configuration must not stop a retry. */
async function parallelOf(deps: IntakeDeps, task: string): Promise<number> {
  const { store } = deps
  const found = store.getTask(task)?.state
  const project = store.listProjects().find((p) => p.id === found?.project)
  if (!project) return 1
  return resolveClone(deps, project, null).then(
    ({ policy }) => policy.limits.parallel,
    () => found?.policy?.limits.parallel ?? 1,
  )
}

function checkText(text: { title: string; body: string }): void {
  const title = text.title.trim()
  if (title === '') throw new UserError(2, 'empty-title', 'a task needs a title')
  if (title.length > TITLE_MAX)
    throw new UserError(
      2,
      'long-title',
      `the title has ${title.length} characters; the limit is ${TITLE_MAX}. Put the rest into the body`,
    )
  if (/[\u0000-\u001f\u007f-\u009f]/.test(title))
    throw new UserError(
      2,
      'control-characters',
      'the title holds control characters or line breaks; give one plain line',
    )
  const bytes = Buffer.byteLength(text.body)
  if (bytes > BODY_MAX_BYTES)
    throw new UserError(
      2,
      'long-body',
      `the body has ${bytes} bytes; the limit is ${BODY_MAX_BYTES}. Put the material into the repository and name it`,
    )
  if (text.body.includes('\u0000'))
    throw new UserError(2, 'control-characters', 'the body holds a zero byte; give plain text')
}
