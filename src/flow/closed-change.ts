// A change that a person closed at the forge, heard of by looking, right before something is done about it: its delivery may
// be lost, and nothing is landed or opened again behind their back.

import type { Task } from '../core/task.ts'
import type { Project } from '../store/store.ts'
import type { Capabilities } from './capabilities.ts'
import { StepOver } from './dispatch.ts'
import { findPresent } from './follow-change.ts'
import type { JobContext } from './worker.ts'

/** Throws StepOver when it is closed, with the task ended; ExternalError when the forge can't say. */
export async function heedClosed(
  { store, remoteForgeOf }: Pick<Capabilities, 'store' | 'remoteForgeOf'>,
  of: { task: Task; project: Project; context: JobContext },
): Promise<void> {
  const { task, project, context } = of
  const forge = remoteForgeOf(project)
  const change = forge && (await findPresent({ store }, { forge, task: task.id }))
  if (change?.state !== 'closed') return
  const why = `change ${change.number} was closed at the forge`
  await context.submit({ type: 'close-outside', task: task.id, why })
  throw new StepOver()
}
