// What must hold all the time once nothing goes wrong any more: everything open is moved by somebody, and soon enough.

import { isTerminal } from '../../src/core/lifecycle.ts'
import { moverOf } from '../../src/core/liveness.ts'
import { newRepository } from '../../src/core/repository.ts'
import { taskIds } from './check-rest.ts'
import { type Sim, violate } from './sim.ts'

/** A lease of 30 s and a sweep each 60 s, with as much again for a service that has to be started first (L1). */
const RECLAIMED_WITHIN_MS = 180_000
/** A lane may be full: two runs of at most 30 minutes, thrice. */
const STARTED_WITHIN_MS = 3 * 3_600_000

export function checkLive(sim: Sim): void {
  for (const id of taskIds(sim)) checkMoved(sim, id)
  const now = sim.scheduler.now()
  for (const job of sim.sql.all<{ id: number; kind: string }>(
    "SELECT id, kind FROM jobs WHERE state = 'running' AND lease_until < ?",
    now - RECLAIMED_WITHIN_MS,
  ))
    violate(sim, `L1: job ${job.id} (${job.kind}) is nobody's and was not taken back`)
  for (const job of sim.sql.all<{ id: number; kind: string }>(
    "SELECT id, kind FROM jobs WHERE state IN ('queued', 'delayed') AND run_at < ?",
    now - STARTED_WITHIN_MS,
  ))
    violate(sim, `L1: job ${job.id} (${job.kind}) could run and was not begun`)
}

/** L6: by a job of its step, its place in the train, a person, or other tasks that are open themselves. */
function checkMoved(sim: Sim, id: string): void {
  const { store } = sim
  const task = store.getTask(id)?.state
  if (!task || isTerminal(task.status)) return
  const hasJob = store.jobsOf(id).some((job) => job.epoch === task.epoch && job.state !== 'parked')
  const { train } = store.getRepository(task.project)?.state ?? newRepository(task.project)
  const mover = moverOf(task, { hasJob, train })
  if (mover === null) violate(sim, `L6: nothing moves ${id}, which is ${task.status}`)
  if (mover !== 'tasks') return
  const open = task.openDeps.filter((dependency) => !isTerminal(store.getTask(dependency)?.state.status ?? 'done'))
  if (open.length === 0) violate(sim, `L6: ${id} waits for ${task.openDeps.join(', ')}, which have ended`)
}
