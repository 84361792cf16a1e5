// The part of the façade that is about trackers and forges.

import { UserError } from '../lib/errors.ts'
import type { Project } from '../store/store.ts'
import type { App } from './app.ts'
import type { Capabilities } from './capabilities.ts'
import { makeConfigOf } from './config-of.ts'
import type { Engine } from './engine.ts'
import { requestApproval } from './request-approval.ts'
import { onboardProject } from './onboard-project.ts'
import { sync } from './sync.ts'

export function makeOutsideApp({
  capabilities,
  engine,
  changeStat,
}: {
  capabilities: Capabilities
  engine: Engine
  changeStat: App['changeStat']
}): Pick<App, 'onboard' | 'sync' | 'requestApproval'> {
  const configOf = makeConfigOf(capabilities)
  return {
    onboard: (id, request) =>
      onboardProject({ ...capabilities, configOf }, { project: needProject(capabilities, id), request }),
    requestApproval: (request, actor) =>
      requestApproval({ ...capabilities, engine, changeStat }, { ...request, actor }),
    sync: ({ project, dryRun }) => {
      const only = project === null ? null : needProject(capabilities, project)
      const clones = { ...capabilities.clones, catchUp: async () => undefined }
      const reading = dryRun ? makeConfigOf({ ...capabilities, clones }) : configOf
      return sync({ ...capabilities, engine, configOf: reading }, { only, dryRun })
    },
  }
}

/** Throws UserError (3). */
export function needProject({ store }: Pick<Capabilities, 'store'>, id: string): Project {
  const project = store.listProjects().find((one) => one.id === id)
  if (project) return project
  throw new UserError(3, 'no-project', `there is no project ${id}; see \`orch project list\``)
}
