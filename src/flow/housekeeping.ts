// What follows a task's end: its run stopped, its dependants told, its workspace and branch removed, its change closed.

import type { Task } from '../core/task.ts'
import { ExternalError } from '../lib/errors.ts'
import type { Project } from '../store/store.ts'
import type { Capabilities } from './capabilities.ts'
import type { Engine } from './engine.ts'
import { removeLogins } from './logins.ts'
import { type RunDeps, stopRun } from './run.ts'
import type { Handler } from './worker.ts'

/** What housekeeping needs of the world. */
export type HousekeepingDeps = Omit<RunDeps, 'workspaces'> &
  Pick<Capabilities, 'forgeOf' | 'timers'> & {
    workspaces: RunDeps['workspaces'] & Pick<Capabilities['workspaces'], 'remove'>
  }

/** Steps of an ended task end within moments, but for a setup or a verification that has yet to notice. */
const STEPS_END_MS = 2_000
/** A remote that takes no pushes for some minutes, and not one whose rule it is, is waited out. */
const REFUSALS = 4

export function makeHousekeeping(
  capabilities: HousekeepingDeps,
  engine: Engine,
): { stopRun: Handler; releaseDependants: Handler; clean: Handler } {
  const { store, runner, workspaces } = capabilities

  const stop: Handler = async (job) => {
    if (job.effect.kind === 'stop-run') await stopRun(capabilities, engine, job.effect.runId)
    return null
  }

  const releaseDependants: Handler = async (job) => {
    if (job.effect.kind !== 'release-dependants') return null
    const { task: dependency, outcome } = job.effect
    for (const task of store.dependantsOf(dependency)) {
      await engine.submit(
        { type: 'close-dependency', task, dependency, outcome },
        { actor: { kind: 'engine', name: 'orch' }, cause: `job:${job.id}/release-dependants`, correlation: dependency },
      )
    }
    return null
  }

  const clean: Handler = async (job) => {
    if (job.effect.kind !== 'clean') return null
    const task = store.getTask(job.effect.task)?.state
    const project = store.listProjects().find((p) => p.id === task?.project)
    if (!task || !project) return null
    for (const run of store.listRuns({ task: task.id, live: true })) await runner.stop(run.id, 'cancel')
    await untilStepsAreOver(capabilities, task.id)
    await keepCommits(task, project)
    await workspaces.remove(task.id)
    await removeLogins(capabilities, task)
    const forge = capabilities.forgeOf(project)
    if (task.mergedSha) await forge.markMerged(task.id, task.mergedSha)
    // A branch that is kept is for a person to merge: so is its change.
    else if (!job.effect.keepBranch) await forge.closeChange(task.id)
    if (!job.effect.keepBranch) await deleteBranch(capabilities, { task, project, isLast: job.failures >= REFUSALS })
    return null
  }

  /** A cancelled run may have committed: its commits stay in the mirror under refs/orch/, as far as they can be read. */
  async function keepCommits(task: Task, project: Project): Promise<void> {
    const workspace = workspaces.find(task.id)
    if (!workspace || task.mergedSha || !task.branch) return
    const mirror = await workspaces.mirror(project)
    const request = {
      branch: task.branch,
      baseSha: task.baseSha ?? '',
      n: 'last',
      identity: mirror.identity,
      message: `${task.title}\n\nKept by Orch when the task ended.`,
    }
    // What can't be read here is saved as files by `remove`.
    await workspaces.collect(mirror, workspace, request).catch(() => undefined)
  }

  return { stopRun: stop, releaseDependants, clean }
}

/** Work under way would go on in what is removed here, or put back what was. Throws when it takes its time: later, then. */
async function untilStepsAreOver({ store, timers }: HousekeepingDeps, task: string): Promise<void> {
  const deadline = timers.elapsedMs() + STEPS_END_MS
  while (store.jobsOf(task).some((job) => job.epoch !== null && job.state === 'running')) {
    if (timers.elapsedMs() > deadline) {
      const message = `a step of ${task} is still being ended; its workspace is removed after that`
      throw new ExternalError({ system: 'clean', kind: 'conflict', message })
    }
    await timers.sleep(50)
  }
}

/** The branch as Orch pushed it, or meant to when it was interrupted. `isLast`: it is not asked for again. */
async function deleteBranch(
  { store, workspaces }: HousekeepingDeps,
  of: { task: Task; project: Project; isLast: boolean },
): Promise<void> {
  const { task, project, isLast } = of
  const { branch } = task
  const pushed = store.listIntents({ task: task.id }).filter((intent) => intent.kind === 'change')
  if (!branch || pushed.length === 0) return
  const mirror = await workspaces.mirror(project)
  for (const expected of new Set(pushed.map((intent) => intent.key).reverse())) {
    const deleted = await mirror.deleteBranch({ branch, expected })
    if (deleted.ok) return
    // Moved: the branch is somebody else's by now. Refused again and again: the remote keeps it. Neither is ours to force.
    const passes = deleted.because === 'unreachable' || (deleted.because === 'refused' && !isLast)
    const kind = deleted.because === 'refused' ? 'rejected' : 'unreachable'
    if (passes) throw new ExternalError({ system: 'push', kind, message: `deleting ${branch}: ${deleted.text}` })
  }
}
