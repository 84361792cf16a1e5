// What an issue says it waits for, as dependencies of its task: links that would close a circle are left out and told, and an
// issue that is no task yet is remembered by those that wait for it.

import type { TrackerSettings } from '../config/config.ts'
import { isTerminal } from '../core/lifecycle.ts'
import type { Command } from '../core/messages.ts'
import type { Task } from '../core/task.ts'
import type { Issue, Tracker } from '../drivers/driver.ts'
import type { Project, Store } from '../store/store.ts'
import type { Capabilities } from './capabilities.ts'
import type { Submitted } from './engine.ts'
import type { InLine } from './in-line.ts'

interface LinkDeps extends Pick<Capabilities, 'store' | 'now'> {
  inLine: InLine
}

interface At {
  project: Project
  tracker: Tracker
  issue: Issue
  settings: TrackerSettings
}

/** Issues that are tasks of ours; others say nothing about when Orch may begin. */
export function dependenciesOf(
  { store }: Pick<LinkDeps, 'store'>,
  { project, issue }: Pick<At, 'project' | 'issue'>,
  task: Task | null,
): { dependsOn: string[]; openDeps: string[]; cycles: string[]; unknown: string[] } {
  const dependsOn: string[] = []
  const unknown: string[] = []
  for (const id of new Set(issue.blockedBy)) {
    const origin = `${project.tracker?.driver ?? 'local'}:${id}`
    const found = store.tasksOfOrigin({ project: project.id, origin }).at(-1)
    if (found === undefined) unknown.push(id)
    else if (found !== task?.id) dependsOn.push(found)
  }
  const cycles = task === null ? [] : dependsOn.filter((id) => reaches(store, id, task.id))
  const allowed = dependsOn.filter((id) => !cycles.includes(id))
  return {
    dependsOn: allowed,
    openDeps: allowed.filter((id) => !isTerminal(store.getTask(id)?.state.status ?? 'done')),
    cycles,
    unknown,
  }
}

/** Issues that wait for one that is no task yet: should it become one, they wait for that. */
const waitingFor = ({ project }: Pick<At, 'project'>, issue: string) => ({
  project: project.id,
  what: `waits-for:${issue}`,
})

export async function noteWaiting(
  { store, now }: Pick<LinkDeps, 'store' | 'now'>,
  at: Pick<At, 'project' | 'issue'>,
  blockers: string[],
): Promise<void> {
  for (const blocker of blockers) {
    const mark = waitingFor(at, blocker)
    const known = readIds(store.mark(mark))
    if (!known.includes(at.issue.id))
      await store.putMark({ ...mark, value: JSON.stringify([...known, at.issue.id]), at: now() })
  }
}

const readIds = (mark: string | null): string[] => (mark === null ? [] : (JSON.parse(mark) as string[]))

/** Ids of issues that said before it was a task that they wait for this one. */
export function issuesWaitingFor(store: Pick<Store, 'mark'>, of: Pick<At, 'project' | 'issue'>): string[] {
  return readIds(store.mark(waitingFor(of, of.issue.id)))
}

/** Whether one task waits, over however many others, for the other. */
function reaches(store: Pick<Store, 'getTask'>, from: string, to: string): boolean {
  const seen = new Set<string>()
  const queue = [from]
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    if (id === to) return true
    if (seen.has(id)) continue
    seen.add(id)
    queue.push(...(store.getTask(id)?.state.openDeps ?? []))
  }
  return false
}

/** Brings the task's dependencies in step; gives what there is to say. May be called again with the same. */
export async function linkDependencies(
  deps: LinkDeps,
  at: At,
  task: Task,
  send: (command: Command) => Promise<Submitted>,
): Promise<string[]> {
  const { dependsOn, openDeps, cycles, unknown } = dependenciesOf(deps, at, task)
  await noteWaiting(deps, at, unknown)
  const notes: string[] = []
  for (const cycle of cycles) notes.push(await tellCycle(deps, at, { task: task.id, cycle }))
  // What a person or another source linked beside the tracker stays.
  const kept = task.dependsOn.filter((id) => !isOfTracker(deps, at, id))
  const all = [...new Set([...kept, ...dependsOn])]
  const openOnes = [...new Set([...task.openDeps.filter((id) => kept.includes(id)), ...openDeps])]
  const linked = await send({ type: 'set-dependencies', task: task.id, dependsOn: all, openDeps: openOnes })
  if (linked.ok && all.join() !== task.dependsOn.join()) notes.push(`waits for ${all.join(', ') || 'nothing'}`)
  return notes
}

/** Told where the link was made, once: nobody would see there that it is not followed. */
async function tellCycle(
  { store, now, inLine }: LinkDeps,
  { project, tracker, issue, settings }: At,
  { task, cycle }: { task: string; cycle: string },
): Promise<string> {
  const text = `it can't wait for ${cycle}, which waits for it: that link is left out`
  const mark = { project: project.id, what: `cycle:${task}/${cycle}` }
  const tellOnce = async (): Promise<void> => {
    if (store.mark(mark) !== null) return
    const body = `${task}: ${text}. Take one of the two links off, or neither is waited for as you mean it.`
    await tracker.ensureComment(issue.id, { key: `cycle-${task}-${cycle}`, role: null, body })
    await store.putMark({ ...mark, value: 'told', at: now() })
  }
  if (settings.show.comments) await inLine(`${project.id}/${mark.what}`, tellOnce)
  return text
}

function isOfTracker({ store }: LinkDeps, { project }: At, id: string): boolean {
  return store.getTask(id)?.state.origin.startsWith(`${project.tracker?.driver ?? 'local'}:`) === true
}
