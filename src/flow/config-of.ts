// A project's configuration as its base has it now, for whoever follows trackers and forges.

import type { ResolvedProject } from '../config/config.ts'
import type { Project } from '../store/store.ts'
import type { Capabilities } from './capabilities.ts'
import { resolveAt } from './project.ts'

/** The remote is asked anew after this: what comes from a tracker comes many at once. */
const FRESH_MS = 30_000

export type ConfigOf = (project: Project, pipeline: string | null) => Promise<ResolvedProject>

/** Throws ExternalError where the base can't be had or its configuration is broken. A clone of Orch's own is brought along. */
export function makeConfigOf(
  deps: Pick<Capabilities, 'workspaces' | 'now' | 'clones' | 'config' | 'env' | 'userConfig' | 'flags' | 'cloneFiles'>,
): ConfigOf {
  const known = new Map<string, { at: number; config: Promise<ResolvedProject> }>()
  const resolve = async (project: Project, pipeline: string | null): Promise<ResolvedProject> => {
    const mirror = await deps.workspaces.mirror(project)
    const base = await mirror.fetchBase(null)
    await deps.clones.catchUp({ dir: project.path, from: mirror.path, sha: base.sha })
    return resolveAt(deps, { project, mirror, sha: base.sha, baseName: `origin/${base.branch}`, pipeline })
  }
  return (project, pipeline) => {
    const key = `${project.id}/${pipeline ?? ''}`
    const found = known.get(key)
    if (found && deps.now() - found.at < FRESH_MS) return found.config
    const config = resolve(project, pipeline)
    known.set(key, { at: deps.now(), config })
    config.catch(() => known.delete(key))
    return config
  }
}
