// Drift between the books and what runs: steps without a job, runs without a process, processes without a run.
// Invariant: what a job follows, or is about to end, is in order; only what nobody will come back to is drift.

import { isTerminal } from '../core/lifecycle.ts'
import type { SurveyedRun } from '../agents/agent.ts'
import type { RunRow } from '../store/store.ts'
import { type Books, type DoctorDeps, type Finding, count, mendEach, named, reporter } from './doctor-parts.ts'
import { isFollowed, isStuck, recover } from './reconcile.ts'

const { ok, warning } = reporter('service')

/** Open tasks whose step no job will carry on. */
export async function checkSteps({ books }: DoctorDeps): Promise<Finding[]> {
  if (!books.ok) return []
  const { store, engine } = books.value
  const tasks = store.tasksWithoutJob().filter((id) => isStuck(store, id))
  if (tasks.length === 0) return [{ check: ok('drift.steps', 'every step that should go on has its job') }]
  const check = warning(
    'drift.steps',
    `${count(tasks.length, 'task')} whose step has no job: ${named(tasks)}`,
    '`orch doctor --fix` queues them again; a running `orch up` does within a minute',
  )
  const work = async (id: string): Promise<string> => {
    if (await recover({ store, engine }, id)) return `queued the step of ${id} again`
    throw new Error("its step can't be queued again; `orch why` tells more")
  }
  return [{ check, mend: { alone: true, run: () => mendEach(tasks, { name: (id) => id, work }) } }]
}

/** Runs and processes, each against the other. */
export async function checkRuns({ books }: DoctorDeps): Promise<Finding[]> {
  if (!books.ok) return []
  const surveyed = await books.value.runner.survey()
  return [lostRuns(books.value, surveyed), strayProcesses(books.value, surveyed)]
}

/** On the books they are under way, and no job follows them or will end them. */
function lostRuns({ store, stopRun }: Books, surveyed: SurveyedRun[]): Finding {
  const states = new Map(surveyed.map((run) => [run.runId, run.state]))
  const lost = store.listRuns({ live: true }).filter((run) => !isFollowed(store, run))
  if (lost.length === 0) return { check: ok('drift.runs', 'every run on the books is followed') }
  const told = lost.map((run) => `${run.id} (${STATES[states.get(run.id) ?? 'absent']})`)
  const check = warning(
    'drift.runs',
    `${count(lost.length, 'run')} on the books that nobody follows: ${named(told)}`,
    '`orch doctor --fix` ends what is left of them and closes their books',
  )
  const work = async ({ id, task }: RunRow): Promise<string> => {
    await stopRun(id)
    return `closed the books of run ${id} of ${task}`
  }
  return { check, mend: { alone: true, run: () => mendEach(lost, { name: (run) => `run ${run.id}`, work }) } }
}

const STATES = {
  absent: 'never started',
  running: 'its process lives',
  ended: 'its process ended',
  lost: 'its process is gone',
} as const satisfies Record<SurveyedRun['state'], string>

/** They live, and the books know no such run, or one that is over. */
function strayProcesses({ store, runner }: Books, surveyed: SurveyedRun[]): Finding {
  const strays = surveyed.filter(({ runId, state, processes }) => {
    if (state !== 'running' && processes.length === 0) return false
    const row = store.getRun(runId)
    return !row || row.endedAt !== null
  })
  if (strays.length === 0)
    return { check: ok('drift.processes', 'every process of a run belongs to one that is under way') }
  const told = strays.map(({ runId, processes }) => {
    const why = store.getRun(runId) ? 'over' : 'unknown to the books'
    return `${runId} (${why}; ${processes.length === 0 ? 'its supervisor' : `pid ${processes.slice(0, 3).join(', ')}`})`
  })
  const check = warning(
    'drift.processes',
    `processes of ${count(strays.length, 'run')} that nobody waits for: ${named(told)}`,
    '`orch doctor --fix` ends them',
  )
  const work = async ({ runId }: SurveyedRun): Promise<string> => {
    const left = await runner.stopStrays(runId, 'doctor')
    if (left.length > 0) throw new Error(`pid ${left.join(', ')} could not be ended; look at it with \`ps\``)
    return `ended what lived of run ${runId}`
  }
  const run = () => mendEach(strays, { name: ({ runId }) => `run ${runId}`, work })
  return { check, mend: { alone: true, run } }
}

/** Whether a task has ended with nothing of it left to do, or is not on the books at all; null while it is open. */
export function overBecause(store: Books['store'], id: string): 'unknown' | 'ended' | null {
  const task = store.getTask(id)?.state
  if (!task) return 'unknown'
  if (!isTerminal(task.status) || store.jobsOf(id).some((job) => job.state !== 'parked')) return null
  return 'ended'
}
