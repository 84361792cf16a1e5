// What many verbs need: a task by the name the user gave, the person who acts, texts read with a limit.

import { userInfo } from 'node:os'
import type { Actor } from '../../core/messages.ts'
import type { Answer, App, Project, Reader, TaskAction, TaskView } from '../../flow/app.ts'
import { UserError } from '../../lib/errors.ts'
import type { PositionalSpec } from './command.ts'
import type { CliContext } from './context.ts'
import { EXIT, refusalError } from './exit-codes.ts'

/** The argument of every verb that is about one task. */
export const TASK_ID: PositionalSpec = {
  name: 'ID',
  required: true,
  description: 'The task: `SHOP-1`, or `1` in its project’s folder',
  complete: 'task',
}

/** The reader, or UserError(3) when nothing was ever registered here. */
export async function needReader(context: CliContext): Promise<Reader> {
  const reader = await context.reader()
  if (reader) return reader
  throw new UserError(
    EXIT.notFound,
    'no-project',
    `nothing is kept in ${context.home} yet: run \`orch init\` in a clone first`,
  )
}

/** The full id of the task the user named. Throws UserError: 2 for what can't be an id, 3 when there is none. */
export async function needTaskId(text: string, context: CliContext): Promise<string> {
  if (!/^(?:[A-Za-z][A-Za-z0-9]*-)?\d{1,9}$/.test(text)) {
    throw new UserError(EXIT.usage, 'bad-id', `"${text}" is no task id: write SHOP-1, or 1 in the project's folder`)
  }
  const reader = await needReader(context)
  const id = reader.resolveTaskId(text, context.cwd)
  if (id !== null) return id
  if (/^\d+$/.test(text) && reader.projectAt(context.cwd) === null && reader.projects().length > 1)
    throw whichProject(reader)
  throw new UserError(
    EXIT.notFound,
    'no-such-task',
    `there is no task ${text.toUpperCase()}: \`orch task list --all\` shows all of them`,
  )
}

/** The task itself. */
export async function needTask(text: string, context: CliContext): Promise<TaskView> {
  const id = await needTaskId(text, context)
  const task = (await needReader(context)).task(id)
  if (!task) throw new UserError(EXIT.notFound, 'no-such-task', `there is no task ${id}`)
  return task
}

/** The project named, or the one of this folder. Throws UserError: 3 unknown name, 2 can't be told, 6 none at all. */
export async function needProject(name: string | undefined, context: CliContext): Promise<Project> {
  const reader = await context.reader()
  const projects = reader?.projects() ?? []
  if (!reader || projects.length === 0) {
    throw new UserError(
      EXIT.notReady,
      'no-project',
      `no project is registered in ${context.home}: run \`orch init\` in a clone first`,
    )
  }
  if (name === undefined) {
    const here = reader.projectAt(context.cwd)
    if (here) return here
    throw whichProject(reader)
  }
  const found = projects.find((project) => project.id === name.toUpperCase())
  if (found) return found
  throw new UserError(
    EXIT.notFound,
    'no-such-project',
    `there is no project ${name}; known: ${projects.map((project) => project.id).join(', ')}`,
  )
}

function whichProject(reader: Reader): UserError {
  const known = reader.projects().map((project) => project.id)
  return new UserError(
    EXIT.usage,
    'which-project',
    `this folder belongs to no project: name one (--project ${known[0]}, or the full id ${known[0]}-1); known: ${known.join(', ')}`,
  )
}

/** Who acts: the name this machine knows the caller by. */
export function callerOf(context: Pick<CliContext, 'env'>): Actor {
  return { kind: 'person', name: context.env.USER || context.env.LOGNAME || systemUser() }
}

function systemUser(): string {
  try {
    return userInfo().username
  } catch {
    // A container's numeric user may have no name.
    return `uid-${process.getuid?.() ?? 0}`
  }
}

/** The value, or the refusal as an error. */
export function unwrap<T>(answer: Answer<T>): T {
  if (answer.ok) return answer.value
  throw refusalError(answer.refusal)
}

/** Carries out one action of the caller on a task. */
export async function act(action: TaskAction, context: CliContext): Promise<TaskView> {
  const app: App = await context.app()
  return unwrap(await app.act(action, callerOf(context)))
}

/** A whole number within limits. Throws UserError(2). */
export function parseWholeNumber(text: string, rule: { option: string; min: number; max: number }): number {
  const value = /^[+-]?\d{1,15}$/.test(text) ? Number(text) : NaN
  if (value >= rule.min && value <= rule.max) return value
  throw new UserError(
    EXIT.usage,
    'bad-value',
    `${rule.option}: "${text}" is no whole number between ${rule.min} and ${rule.max}`,
  )
}
