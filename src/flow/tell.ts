// Telling the tracker where a task is. The effect was committed with what is told, and telling is looking at what is shown
// and changing what differs: again after a crash it finds itself done (S9). Nothing is told twice, and nothing of a task
// that has ended is told once more (the ancestors sent 191 equal notices in a night, and re-stamped finished work).

import { createHash } from 'node:crypto'
import { isTerminal } from '../core/lifecycle.ts'
import type { Task } from '../core/task.ts'
import { explain } from '../core/why.ts'
import type { Capabilities } from './capabilities.ts'
import { makeInLine } from './in-line.ts'
import { becauseOf } from './journal-facts.ts'
import { iso } from './views.ts'
import { type TrackerView, trackerView } from './tracker-view.ts'
import type { Handler } from './worker.ts'

type TellDeps = Pick<
  Capabilities,
  'store' | 'now' | 'trackerOf' | 'config' | 'env' | 'flags' | 'userConfig' | 'cloneFiles'
>

/** Last word about a task: after it nothing is told any more. */
const LAST = 'ended:'

export function makeTellHandler(deps: TellDeps): Handler {
  const { store, now } = deps
  const inLine = makeInLine()
  return async ({ effect }) => {
    if (effect.kind !== 'tell') throw new Error(`nothing to tell: ${effect.kind}`)
    // A slow vendor must not show the older of two states last.
    return inLine(effect.task, () => tellOnce(effect.task))
  }

  async function tellOnce(id: string): Promise<null> {
    const task = store.getTask(id)?.state
    const project = store.listProjects().find((one) => one.id === task?.project)
    const tracker = project && deps.trackerOf(project)
    if (!task || !project || !tracker) return null
    // A newer task of the same issue has the word.
    if (store.tasksOfOrigin({ project: project.id, origin: task.origin }).at(-1) !== task.id) return null
    const issue = task.origin.slice(task.origin.indexOf(':') + 1)
    const mark = { project: project.id, what: `told:${task.id}` }
    let before = store.mark(mark)
    if (before?.startsWith(LAST)) return null
    // The task may have moved on meanwhile, and another job have told it: what is shown last must be what is so.
    for (;;) {
      const present = await presentOf(deps, task.id, tracker.speakers ?? [])
      if (!present || present.value === before) return null
      const { view, comments } = present.told
      const { missing } = await tracker.ensureView(issue, view)
      for (const comment of comments) await tracker.ensureComment(issue, comment)
      if (missing.length > 0) await noteMissing(deps, { task: task.id, project: project.id, missing })
      await store.putMark({ ...mark, value: present.value, at: now() })
      before = present.value
    }
  }
}

/** What is to be shown now, and how it is known again. */
async function presentOf(
  deps: TellDeps,
  id: string,
  speakers: readonly string[],
): Promise<{ told: TrackerView; value: string } | null> {
  const task = deps.store.getTask(id)?.state
  const told = task && (await viewOf(deps, task, speakers))
  if (!told) return null
  const hash = createHash('sha256').update(JSON.stringify(told)).digest('hex')
  return { told, value: isTerminal(task.status) ? `${LAST}${hash}` : hash }
}

async function viewOf(deps: TellDeps, task: Task, speakers: readonly string[]): Promise<TrackerView | null> {
  const { store, now } = deps
  const { id } = task
  const project = store.listProjects().find((one) => one.id === task.project)
  if (!project) return null
  const layers = { flags: deps.flags, env: deps.env, user: deps.userConfig(), projectId: project.id }
  const resolution = deps.config.resolve({ layers, files: await deps.cloneFiles(project), pipeline: null })
  if (!resolution.ok) return null
  return trackerView(task, {
    settings: resolution.project.tracker.show,
    explained: explain(task, {
      serviceRunning: true,
      liveRun: null,
      // Of a wait it changes along, and an edit of a comment is no news; what ended the task is.
      because: task.status === 'cancelled' ? becauseOf(store, task) : null,
      now: now(),
      time: iso,
    }),
    changeUrl: store.getChange(id)?.url ?? null,
    runs: store
      .listRuns({ task: id })
      .filter((run) => run.endedAt !== null)
      .map(({ stage, role, agent, model, outcome, costUsd, usage }) => ({
        stage,
        role,
        agent,
        model,
        outcome: outcome?.kind ?? 'lost',
        costUsd,
        tokens: usage.input + usage.output + usage.cacheRead + usage.cacheWrite,
      })),
    artifacts: [...new Set(store.listArtifacts(id).map(({ name }) => name))],
    speakers,
  })
}

/** A label or column that the tracker doesn't have stays away from it, and the books say so: nothing is guessed (C-59). */
async function noteMissing(
  { store, now }: TellDeps,
  at: { task: string; project: string; missing: string[] },
): Promise<void> {
  const { task, project, missing } = at
  const state = store.getTask(task)?.state
  const note = `the tracker has no ${missing.join(', ')}; \`orch onboard ${project}\` makes what is missing`
  await store.putEvidence([
    {
      id: `${task}-tracker-${missing.join('-')}`,
      task,
      project,
      gate: 'tracker',
      stage: state?.stage ?? '',
      sha: state?.headSha ?? '',
      tree: null,
      configHash: '',
      environmentId: null,
      result: 'unknown',
      at: now(),
      data: { note, missing },
    },
  ])
}
