// What must hold at the vendor: when Orch merges or shows something there, and when all has come to rest.

import { gatesPassedBefore } from '../../src/core/draft.ts'
import { isTerminal } from '../../src/core/lifecycle.ts'
import type { Task } from '../../src/core/task.ts'
import { approvalOf } from '../../src/core/task.ts'
import { STATUS_LABELS } from '../../src/flow/tracker-view.ts'
import { type Sim, violate } from './sim.ts'
import { DRIVER, MEMBERS } from './vendor.ts'
import type { Vendor, VendorChange, VendorIssue } from './vendor-state.ts'

/** Called for a merge that the vendor is about to make for Orch. */
export function checkForgeMerge(sim: Sim, change: VendorChange): void {
  const task = sim.store.getTask(change.task)?.state
  if (!task) return violate(sim, `change ${change.number} is merged for no task`)
  const { id } = task
  if (isTerminal(task.status)) violate(sim, `S12: the forge is asked to merge ${id}, which is ${task.status}`)
  if (task.headSha !== change.head) violate(sim, `S8: the forge merges a head of ${id} that is not the one judged`)
  if (task.policy && !gatesPassedBefore(task, task.stage)) violate(sim, `S8: ${id} is merged past a gate`)
  if (task.policy?.approval === 'human' && !approvalOf(task, task.headSha))
    violate(sim, `S8: ${id} is merged without an approval of its head`)
  const intent = sim.store.listIntents({ task: id }).find((row) => row.key === task.landing?.mergeSha)
  if (intent?.state !== 'open' && intent?.state !== 'held')
    violate(sim, `S9: the forge merges ${id} with an intent that is ${intent?.state ?? 'not there'}`)
}

/** Called for a closed change that Orch opens again. */
export function checkReopened(sim: Sim, change: VendorChange): void {
  if (change.endedBy === 'person')
    violate(sim, `change ${change.number} of ${change.task}, which a person closed, is opened again`)
}

/** Called when an issue was shown differently. */
export function checkShown(
  sim: Sim,
  { vendor, issue, text }: { vendor: Vendor; issue: VendorIssue; text: string },
): void {
  const tasks = sim.store.tasksOfOrigin({ project: vendor.project, origin: `${DRIVER}:${issue.id}` })
  if (tasks.length === 0) violate(sim, `issue ${issue.id} of nobody's task is changed`)
  issue.shown = text
}

export function checkVendors(sim: Sim): void {
  for (const vendor of sim.vendors.values()) {
    for (const issue of vendor.issues.values()) checkIssue(sim, vendor, issue)
    for (const change of vendor.changes) checkChangeThere(sim, vendor, change)
    checkCommands(sim, vendor)
  }
}

function tasksOf(sim: Sim, vendor: Vendor, issue: VendorIssue): Task[] {
  const ids = sim.store.tasksOfOrigin({ project: vendor.project, origin: `${DRIVER}:${issue.id}` })
  return ids.flatMap((id) => sim.store.getTask(id)?.state ?? [])
}

function checkIssue(sim: Sim, vendor: Vendor, issue: VendorIssue): void {
  const tasks = tasksOf(sim, vendor, issue)
  const isWanted = issue.state === 'open' && issue.labels.includes('orch') && issue.author.login in MEMBERS
  if (isWanted && tasks.length === 0) violate(sim, `issue ${issue.id} of ${vendor.project} was never heard of`)
  const wishes = issue.wishes + (sim.reopened.get(`${vendor.project}/${issue.id}`) ?? 0)
  if (tasks.length > wishes)
    violate(sim, `S7: issue ${issue.id} was wanted ${wishes} times, and has ${tasks.map((task) => task.id).join(', ')}`)
  const last = tasks.at(-1)
  if (!last) return
  const shown = issue.labels.filter((name) => name.startsWith('orch:'))
  if (shown.join() !== STATUS_LABELS[last.status])
    violate(sim, `issue ${issue.id} shows ${shown.join() || 'nothing'}, and ${last.id} is ${last.status}`)
  if (last.status === 'done' && issue.state === 'open' && !issue.isReopened)
    violate(sim, `issue ${issue.id} is open, and ${last.id} is done`)
  for (const task of tasks) {
    const status = issue.comments.filter((comment) => comment.key === `status-${task.id}`)
    if (status.length > 1) violate(sim, `issue ${issue.id} has ${status.length} comments on the status of ${task.id}`)
    checkOverruled(sim, issue, task)
  }
}

/** What a person overruled by reopening its issue ends no task; only what was done at the tracker afterwards does. */
function checkOverruled(sim: Sim, issue: VendorIssue, { id, project, status }: Task): void {
  const isOverruled = sim.store.mark({ project, what: `reopened:${id}` }) === `closed ${issue.closedAt ?? ''}`
  if (status !== 'cancelled' || issue.state === 'open' || !isOverruled) return
  const end = sim.store.listEvents({ task: id }).findLast(({ type }) => type.startsWith('task.cancel'))
  if (String(end?.data['why']).startsWith('its issue was closed'))
    violate(sim, `${id} was reopened, and ended by the closing of issue ${issue.id} from before`)
}

function checkChangeThere(sim: Sim, vendor: Vendor, change: VendorChange): void {
  const task = sim.store.getTask(change.task)?.state
  const short = `change ${change.number} of ${change.task}`
  if (!task) return violate(sim, `${short} is of no task`)
  const isTaken = vendor.remote.moves.findLast(({ branch }) => branch === change.branch)?.by === 'outside'
  if (change.state === 'open' && !isTaken) violate(sim, `${short}, which is ${task.status}, is open`)
  const others = vendor.changes.filter((other) => other.task === change.task && other.branch === change.branch)
  if (others.length > 1) violate(sim, `${change.task} has ${others.length} changes from ${change.branch}`)
  const main = vendor.remote.refs.get(change.base) ?? ''
  if (change.endedBy === 'person' && change.state === 'closed' && task.status === 'done')
    violate(sim, `${short} was closed by a person, and landed`)
  if (change.endedBy === 'person' && change.state === 'merged' && task.mergedSha !== change.mergedSha)
    if (task.status === 'done') violate(sim, `${short} was merged by a person, and ${task.mergedSha} is on record`)
  if (task.mergedSha && !sim.objects.isAncestor(task.mergedSha, main)) violate(sim, `S4: main lacks ${task.id}`)
}

/** Looks come each two minutes; outages and clocks that jump add hours to that at the most. */
const HEARD_WITHIN_MS = 4 * 3_600_000

function endOf(sim: Sim, task: string): number {
  const entry = sim.store.listEvents({ task }).findLast(({ type }) => type === 'task.done' || type === 'task.cancelled')
  return entry?.at ?? 0
}

/** Every command of somebody with rights was obeyed or answered, whichever delivery was lost. */
function checkCommands(sim: Sim, vendor: Vendor): void {
  const places = [...vendor.issues.values(), ...vendor.changes]
  for (const { place, comment } of places.flatMap((one) => one.comments.map((comment) => ({ place: one, comment })))) {
    if (comment.toldTo === null || comment.author.login === 'eve') continue
    // Nobody looks at the change of a task that has ended.
    const ended = 'number' in place && 'branch' in place ? endOf(sim, comment.toldTo) : Number.POSITIVE_INFINITY
    if (ended < comment.createdAt + HEARD_WITHIN_MS) continue
    const mark = sim.store.mark({ project: vendor.project, what: `comment:${comment.id}` })
    if (mark === null) violate(sim, `comment ${comment.id} (${comment.body}) to ${comment.toldTo} was never read`)
  }
}
