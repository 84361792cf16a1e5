// The definition of done (A-54): what must be so before a person is asked for the first of two confirmations. Judged from the
// books and from what the forge shows now, never from an agent's word.

import type { Task } from '../core/task.ts'
import type { RemoteForge, ReviewThread } from '../drivers/driver.ts'
import { ExternalError } from '../lib/errors.ts'
import type { Queries } from '../store/store.ts'
import type { DefinitionOfDone } from './outside-views.ts'

type Criterion = DefinitionOfDone['criteria'][number]

/** Of the head that the task has now. Trouble with the forge is a criterion that is not met, and says why. */
export async function definitionOfDone(
  deps: { store: Pick<Queries, 'listArtifacts' | 'listRuns' | 'getChange'>; forge: RemoteForge | null },
  task: Task,
): Promise<DefinitionOfDone> {
  const { store, forge } = deps
  const threads = forge && store.getChange(task.id) ? await threadsOf(forge, task.id) : []
  const criteria = [gates(task), handoff(store, task), discussion(threads, forge !== null)]
  return { met: criteria.every(({ met }) => met), criteria }
}

/** Every gate up to here passed at exactly this head; what waits for this very approval has nothing else to wait for. */
function gates(task: Task): Criterion {
  const stages = task.policy?.pipeline.stages ?? []
  const here = stages.findIndex(({ name }) => name === task.stage)
  const wanted = stages
    .slice(0, here + 1)
    .flatMap(({ name: stage, gates: all }) => all.map((gate) => ({ stage, gate })))
  const open = wanted.filter(({ stage, gate }) => {
    const verdict = task.verdicts.find((one) => one.stage === stage && one.gate === gate)
    if (!verdict || verdict.sha !== task.headSha) return true
    const isThisYes = stage === task.stage && verdict.result === 'wait' && verdict.waitFor === 'approval'
    return verdict.result !== 'pass' && !isThisYes
  })
  const names = open.map(({ stage, gate }) => `${gate} at ${stage}`).join(', ')
  const met = here >= 0 && task.headSha !== null && open.length === 0
  return {
    name: 'gates',
    met,
    bypassable: false,
    text: met
      ? `all ${wanted.length} gates so far passed at ${task.headSha?.slice(0, 10)}`
      : `not passed at ${task.headSha?.slice(0, 10) ?? 'any head'}: ${names || 'any gate'}`,
  }
}

/** Who wrote the change says in a file what was done; the last of them counts. */
function handoff(store: Pick<Queries, 'listArtifacts' | 'listRuns'>, task: Task): Criterion {
  const stages = task.policy?.pipeline.stages ?? []
  const writing = stages.filter(({ kind, independent }) => kind === 'agent' && !independent)
  const names = new Set(writing.map(({ name }) => name))
  const run = store.listRuns({ task: task.id }).findLast(({ stage, headSha }) => names.has(stage) && headSha !== null)
  const met =
    run !== undefined &&
    store.listArtifacts(task.id).some((file) => file.runId === run.id && file.name === 'handoff.md')
  const text = met
    ? `the handoff of ${run.role} (run ${run.id}) is kept`
    : 'no handoff of whoever wrote the change is kept'
  return { name: 'handoff', met, bypassable: true, text }
}

function discussion(threads: ReviewThread[] | ExternalError, hasForge: boolean): Criterion {
  const name = 'threads'
  const bypassable = true
  if (threads instanceof ExternalError)
    return { name, bypassable, met: false, text: `the forge could not be asked for its threads: ${threads.message}` }
  // The conversation below a change belongs to no line and can't be resolved.
  const open = threads.filter(({ resolved, file }) => !resolved && file !== null)
  const [first] = open
  if (!first)
    return { name, bypassable, met: true, text: hasForge ? 'no thread is open at the forge' : 'there is no forge' }
  const where = `${first.file}${first.line === null ? '' : `:${first.line}`}`
  const text = `${open.length} unresolved ${open.length === 1 ? 'thread' : 'threads'} at the forge, the first at ${where}`
  return { name, bypassable, met: false, text }
}

async function threadsOf(forge: RemoteForge, task: string): Promise<ReviewThread[] | ExternalError> {
  try {
    return await forge.listThreads(task)
  } catch (error) {
    if (error instanceof ExternalError) return error
    throw error
  }
}
