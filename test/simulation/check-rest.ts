// What must hold when everything has come to rest: the books agree with the world, and nothing is left over.

import { isTerminal } from '../../src/core/lifecycle.ts'
import type { Task } from '../../src/core/task.ts'
import { rowMismatches } from '../../src/store/test-fold-journal.ts'
import { COST_USD } from './runs.ts'
import { checkVendors } from './check-vendor.ts'
import { HOME } from './capabilities.ts'
import { type Sim, remoteOf, violate } from './sim.ts'

export function checkAtRest(sim: Sim): void {
  for (const text of rowMismatches(sim.store)) violate(sim, `S17: ${text}`)
  for (const id of taskIds(sim)) {
    const task = sim.store.getTask(id)?.state
    if (!task) continue
    checkMerged(sim, task)
    checkLeftovers(sim, task)
    checkBooks(sim, task)
    checkChangeOf(sim, task)
  }
  checkVendors(sim)
  checkQueues(sim)
  checkAccounts(sim)
}

export function taskIds(sim: Sim): string[] {
  return sim.store.listTasks({ limit: 1_000 }).map((line) => line.id)
}

/** S4 both ways, and each merge once. */
function checkMerged(sim: Sim, task: Task): void {
  const { objects } = sim
  const remote = remoteOf(sim, task.project)
  const landings = remote.moves.filter(
    ({ branch, to, by }) => branch === remote.base && by === 'orch' && to !== null && objects.get(to).task === task.id,
  )
  const isMerged = task.mergedSha !== null
  const isByOrch = isMerged && !isByPerson(sim, task)
  if (landings.length !== (isByOrch ? 1 : 0))
    violate(sim, `S4: ${task.id} is ${isMerged ? '' : 'not '}recorded merged, and was landed ${landings.length} times`)
  if (isByOrch && landings[0]?.to !== task.mergedSha)
    violate(sim, `S4: ${task.id} is recorded merged as something else`)
  if (task.status === 'done' && !isMerged) violate(sim, `S4: ${task.id} is done and was not merged`)
  const main = remote.refs.get(remote.base) ?? ''
  if (isMerged && !objects.isAncestor(task.mergedSha ?? '', main)) violate(sim, `S4: main does not hold ${task.id}`)
  // What a person merges at the vendor is what they see there.
  if (isByOrch && !objects.get(main).files[`tasks/${task.id}`]) violate(sim, `S4: main lacks the work of ${task.id}`)
}

/** A person merged it at the vendor: it was found in main, and adopted. */
function isByPerson(sim: Sim, { project, mergedSha }: Task): boolean {
  const changes = sim.vendors.get(project)?.changes ?? []
  return changes.some((change) => change.endedBy === 'person' && change.mergedSha === mergedSha)
}

function checkLeftovers(sim: Sim, task: Task): void {
  if (!isTerminal(task.status)) return
  for (const run of sim.runs.values())
    if (run.task === task.id && run.state === 'running')
      violate(sim, `run ${run.id} of ${task.id}, which is ${task.status}, lives`)
  for (const place of sim.places.values())
    if (place.task === task.id) violate(sim, `${place.path} of ${task.id}, which is ${task.status}, is still there`)
  for (const file of sim.files.keys())
    if (file.startsWith(`${HOME}/logins/${task.id}/`))
      violate(sim, `${file} of ${task.id}, which is ${task.status}, is still there`)
  const remote = remoteOf(sim, task.project)
  for (const [branch, sha] of remote.refs) {
    const isOurs = remote.moves.findLast((one) => one.branch === branch)?.by === 'orch'
    const ofTask = sim.objects.get(sha).task === task.id && branch !== remote.base
    if (ofTask && isOurs) violate(sim, `branch ${branch} of ${task.id}, which is ${task.status}, is still there`)
  }
}

function checkBooks(sim: Sim, task: Task): void {
  const { store } = sim
  for (const intent of store.listIntents({ task: task.id }))
    if (intent.state === 'open')
      violate(sim, `S9: the ${intent.kind} intent of ${task.id} (${intent.key.slice(0, 10)}) is open`)
  const runs = store.listRuns({ task: task.id })
  for (const run of runs) if (run.endedAt === null) violate(sim, `run ${run.id} has no end on the books`)
  const begun = store.listEvents({ task: task.id }).filter((entry) => entry.type === 'run.begun')
  const ended = store.listEvents({ task: task.id }).filter((entry) => entry.type === 'run.ended')
  if (begun.length !== runs.length || ended.length !== runs.length)
    violate(sim, `S1: ${task.id} has ${runs.length} runs, ${begun.length} begun and ${ended.length} ended`)
  const cost = runs.reduce((sum, run) => sum + run.costUsd, 0)
  if (Math.abs(cost - task.costUsd) > 1e-9) violate(sim, `S10: ${task.id} cost ${cost}, its row says ${task.costUsd}`)
  for (const run of sim.runs.values())
    if (run.task === task.id && store.getRun(run.id)?.costUsd !== COST_USD)
      violate(sim, `S10: what run ${run.id} cost is not on the books`)
  if (store.jobsOf(task.id).length > 0) violate(sim, `L4: ${task.id} has ended and has jobs`)
}

function checkChangeOf(sim: Sim, task: Task): void {
  const change = sim.store.getChange(task.id)
  if (!change) return
  const wanted = task.mergedSha ? 'merged' : 'closed'
  // Merged by a person in the moment of its cancel: both are so.
  const there = sim.vendors.get(task.project)?.changes.find((one) => one.number === change.number)
  if (change.state === 'merged' && there?.state === 'merged' && there.endedBy !== 'orch') return
  if (change.state !== wanted) violate(sim, `the change of ${task.id} (${task.status}) is ${change.state}`)
}

function checkQueues(sim: Sim): void {
  const lanes = sim.sql.all<{ key: string; running: number; head_id: number | null }>(
    'SELECT key, running, head_id FROM lanes WHERE running > 0 OR head_id IS NOT NULL',
  )
  for (const lane of lanes)
    violate(sim, `L2: lane ${lane.key} counts ${lane.running} running jobs, head ${lane.head_id}`)
  for (const { id } of sim.store.listProjects()) {
    const entries = sim.store.getRepository(id)?.state.train.entries ?? []
    if (entries.length > 0)
      violate(sim, `L4: the train of ${id} holds ${entries.map((entry) => entry.task).join(', ')}`)
  }
}

/** S10: each run is charged once. */
function checkAccounts(sim: Sim): void {
  for (const agent of ['bot', 'alt']) {
    const account = sim.store.getAccount(agent)?.state
    const runs = sim.store.listRuns({}).filter((run) => run.agent === agent && run.endedAt !== null)
    const cost = runs.reduce((sum, run) => sum + run.costUsd, 0)
    if (account && (account.runs !== runs.length || Math.abs(account.spentUsd - cost) > 1e-9))
      violate(
        sim,
        `S10: ${agent} had ${runs.length} runs for ${cost}; its account says ${account.runs} for ${account.spentUsd}`,
      )
  }
}
