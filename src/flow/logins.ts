// Where an agent keeps its configuration, its sessions and its copy of the person's login: a folder for each agent in each
// role of a task, so that one that takes over sees nothing of the other's.
// Invariant: what was refreshed goes back before a copy is removed, and no copy outlives its task.

import { rm } from 'node:fs/promises'
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
export async function takeBackLogin(deps: LoginDeps, of: { task: Task; role: string; agent: string }): Promise<void> {
  const { adapters, home, credentials, env } = deps
  const { task, role, agent } = of
  const configDir = configDirOf(home, { task: task.id, role, agent })
  const program = task.policy ? programOf(task.policy, { role, agent }) : {}
  const asked = { program, path: '', model: null, effort: null, resume: null, configDir, sandboxed: true, env }
  const command = adapters[agent]?.command(asked)
  if (command) await credentials.takeBack(command.credentials, configDir)
}

/** Ends what a task's agents were lent: taken back, then removed. Only when none of its runs lives. */
export async function removeLogins(deps: LoginDeps & { store: Pick<Store, 'listRuns'> }, task: Task): Promise<void> {
  const { store, home } = deps
  for (const { role, agent } of store.listRuns({ task: task.id })) await takeBackLogin(deps, { task, role, agent })
  await rm(join(home, 'logins', task.id), { recursive: true, force: true, maxRetries: 3 })
}
