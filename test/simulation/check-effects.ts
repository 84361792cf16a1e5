// What must hold at the very moment in which Orch touches the outside: proofs first, then the effect.

import type { ChangeRequest } from '../../src/drivers/driver.ts'
import { isTerminal } from '../../src/core/lifecycle.ts'
import { type Task, approvalOf } from '../../src/core/task.ts'
import { gatesPassedBefore } from '../../src/core/draft.ts'
import type { Process } from './chaos.ts'
import { isRed, projectOf } from './agents.ts'
import { type Sim, remoteOf, violate } from './sim.ts'

/** Called for a push that is about to be applied. */
export function checkPush(
  sim: Sim,
  _process: Process,
  push: { project: string; sha: string; branch: string; from: string | null },
): void {
  const remote = remoteOf(sim, push.project)
  if (push.branch === remote.base) {
    checkLanding(sim, push)
    return
  }
  const commit = sim.objects.get(push.sha)
  const intent = sim.store
    .listIntents({ task: commit.task ?? '' })
    .find((row) => row.kind === 'change' && row.key === push.sha)
  if (!intent) violate(sim, `S9: ${push.branch} is pushed at ${push.sha.slice(0, 10)} without an intent`)
}

function checkLanding(sim: Sim, { project, sha, from }: { project: string; sha: string; from: string | null }): void {
  const { objects, store } = sim
  const commit = objects.get(sha)
  const short = sha.slice(0, 10)
  const task = commit.task ? store.getTask(commit.task)?.state : undefined
  if (!task) {
    violate(sim, `main of ${project} moves to ${short}, which is no task's`)
    return
  }
  if (commit.parents[0] !== from) violate(sim, `S5: ${short} is not made on main as it is`)
  checkVerdicts(sim, { tree: commit.tree, config: objects.get(from ?? sha).files['.orch.yml'] ?? '', short })
  checkRight(sim, task)
  checkIntent(sim, task, sha)
}

/** S8, S12: the task may land at all. */
function checkRight(sim: Sim, task: Task): void {
  if (isTerminal(task.status)) violate(sim, `S12: main moves for ${task.id}, which is ${task.status}`)
  if (task.policy && !gatesPassedBefore(task, task.stage)) violate(sim, `S8: ${task.id} lands past a gate`)
  if (task.policy?.approval === 'human' && !approvalOf(task, task.headSha))
    violate(sim, `S8: ${task.id} lands without an approval of its head`)
}

function checkIntent(sim: Sim, task: Task, sha: string): void {
  const short = sha.slice(0, 10)
  const intent = sim.store.listIntents({ task: task.id }).find((row) => row.kind === 'merge' && row.key === sha)
  if (intent?.state !== 'open' && intent?.state !== 'held')
    violate(sim, `S9: main moves to ${short} with an intent that is ${intent?.state ?? 'not there'}`)
  if (task.landing?.mergeSha !== sha) violate(sim, `S9: main moves to ${short}, and ${task.id} is not landing it`)
  if (intent && intent.data['sha'] !== task.headSha)
    violate(sim, `S8: ${task.id} lands another head than the one judged`)
}

function checkVerdicts(sim: Sim, { tree, config, short }: { tree: string; config: string; short: string }): void {
  const rows = sim.store.listEvidence({ gate: 'verify', tree, configHash: `config-${config}` })
  if (!rows.some((row) => row.result === 'pass'))
    violate(sim, `S5: main moves to ${short} without a green verdict of that tree`)
  if (!sim.verified.some((seen) => seen.tree === tree && seen.isGreen))
    violate(sim, `S5: the tree of ${short} was never seen green`)
  if (isRed(sim.objects.treeOf(tree))) violate(sim, `S5: the tree of ${short} is red`)
}

export function checkChange(sim: Sim, request: ChangeRequest): void {
  const intent = sim.store
    .listIntents({ task: request.task })
    .find((row) => row.kind === 'change' && row.key === request.head)
  if (!intent) violate(sim, `S9: the change of ${request.task} is opened without an intent`)
  if (projectOf(request.task) !== request.project)
    violate(sim, `the change of ${request.task} is opened in ${request.project}`)
}
