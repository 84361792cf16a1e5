// Where an agent keeps its configuration, its sessions and its copy of the person's login: a folder for each agent in each
// role of a task, so that one that takes over sees nothing of the other's.
// Invariant: what was refreshed goes back before a copy is removed, and no copy outlives its task.

import { join } from 'node:path'
import { programOf } from '../core/policy.ts'
import type { Task } from '../core/task.ts'
import type { Store } from '../store/store.ts'
import type { Capabilities } from './capabilities.ts'

type LoginDeps = Pick<Capabilities, 'adapters' | 'home' | 'credentials' | 'env'>

/** The same for all runs of an agent in a role, so that a session can be resumed. */
export function configDirOf(home: string, of: { task: string; role: string; agent: string }): string {
  return join(home, 'logins', of.task, `${of.role || 'agent'}-${of.agent}`)
}

/** Gives a login that the agent refreshed back to the person. Nothing there is fine; may be called again. */
export async function takeBackLogin(
  deps: LoginDeps,
  of: { task: Pick<Task, 'id' | 'policy'>; role: string; agent: string },
): Promise<void> {
  const { adapters, home, credentials, env } = deps
  const { task, role, agent } = of
  const configDir = configDirOf(home, { task: task.id, role, agent })
  const program = task.policy ? programOf(task.policy, { role, agent }) : {}
  const asked = { program, path: '', model: null, effort: null, resume: null, configDir, sandboxed: true, env }
  const command = adapters[agent]?.command(asked)
  if (command) await credentials.takeBack(command.credentials, configDir)
}

/**
 * The same as far as the folders tell it, for a task that is not on the books: `ROLE-AGENT` each, and no agent's name has a
 * dash. Only when none of its runs lives.
 */
export async function removeUnknownLogins(deps: LoginDeps & Pick<Capabilities, 'files'>, task: string): Promise<void> {
  const folder = join(deps.home, 'logins', task)
  for (const name of await deps.files.list(folder).catch(() => [])) {
    const dash = name.lastIndexOf('-')
    const [role, agent] = [name.slice(0, dash), name.slice(dash + 1)]
    await takeBackLogin(deps, { task: { id: task, policy: null }, role, agent })
  }
  await deps.files.removeDir(folder)
}

/** Ends what a task's agents were lent: taken back, then removed. Only when none of its runs lives. */
export async function removeLogins(
  deps: LoginDeps & Pick<Capabilities, 'files'> & { store: Pick<Store, 'listRuns'> },
  task: Task,
): Promise<void> {
  const { store, home, files } = deps
  for (const { role, agent } of store.listRuns({ task: task.id })) await takeBackLogin(deps, { task, role, agent })
  await files.removeDir(join(home, 'logins', task.id))
}
