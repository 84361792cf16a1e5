// People: those who say anything at any moment, some of it twice, and the sensible one who does what `orch why` says.

import type { Reader, TaskAction } from '../../src/flow/app.ts'
import { makeIntake, type Intake } from '../../src/flow/intake.ts'
import { makeReader } from '../../src/flow/reader.ts'
import { stopRun } from '../../src/flow/run.ts'
import { isTerminal } from '../../src/core/lifecycle.ts'
import type { Task } from '../../src/core/task.ts'
import type { Actor } from '../../src/core/messages.ts'
import { type Instance, makeInstance } from './orchestrator.ts'
import { HOME } from './capabilities.ts'
import { taskIds } from './check-rest.ts'
import { move } from './git.ts'
import { type Sim, remoteOf, violate } from './sim.ts'
import { meddleAt, openIssue, tendChanges } from './vendor-people.ts'

const ANN: Actor = { kind: 'person', name: 'ann' }

export interface People {
  /** Opens a task, on one or more that are there or not. */
  open(): Promise<void>
  /** Says something to some task. */
  meddle(): Promise<void>
  /** Does what `orch why` says for every task that waits for a person. */
  tend(): Promise<void>
}

export async function makePeople(sim: Sim): Promise<People> {
  const instance = await makeInstance(sim, 'command')
  const intake = makeIntake({ ...instance.capabilities, engine: instance.engine })
  const reader = makeReader({
    queries: sim.store,
    home: HOME,
    service: () => ({ running: true, pid: 1, since: null }),
    lastActivity: () => null,
    listener: () => null,
    now: sim.scheduler.now,
    close: () => undefined,
  })
  const tended = new Map<string, number>()
  return {
    open: () => open(sim, intake),
    meddle: () => meddle(sim, instance, intake),
    tend: async () => {
      for (const vendor of sim.vendors.values()) tendChanges(sim, vendor)
      for (const id of taskIds(sim)) await tend(sim, { instance, intake, reader, tended }, id)
    },
  }
}

async function open(sim: Sim, intake: Intake): Promise<void> {
  const { random, plan } = sim
  const there = [...sim.vendors.values()]
  if (there.length > 0 && random.chance(0.8)) return openIssue(sim, random.pick(there))
  const others = openTasks(sim).map((task) => task.id)
  const dependsOn = others.length > 0 && random.chance(plan.isRestless ? 0.7 : 0.3) ? [random.pick(others)] : []
  const request = {
    project: random.pick(plan.projects),
    title: 'Do it',
    body: '',
    labels: [],
    priority: random.int(0, 2),
  }
  await intake.addTask({ ...request, dependsOn, pipeline: null }, ANN)
}

function openTasks(sim: Sim): Task[] {
  return taskIds(sim)
    .map((id) => sim.store.getTask(id)?.state)
    .filter((task) => task !== undefined && !isTerminal(task.status)) as Task[]
}

/** Mostly what fits, now and then anything. */
function thought(sim: Sim, task: Task): TaskAction {
  const { random } = sim
  const id = task.id
  if (sim.plan.isRestless && task.runId !== null && random.chance(0.4)) return { type: 'cancel', task: id }
  const fits: TaskAction[] = []
  if (task.waitingFor === 'approval')
    fits.push({ type: 'approve', task: id }, { type: 'reject', task: id, reason: 'no' })
  if (task.waitingFor === 'answers') fits.push({ type: 'answer', task: id, text: 'this way' })
  if (task.status === 'needs_review' || task.waitingFor === 'timer') fits.push({ type: 'retry', task: id })
  if (task.paused) fits.push({ type: 'resume', task: id })
  if (fits.length > 0 && random.chance(0.7)) return random.pick(fits)
  return random.pick<TaskAction>([
    { type: 'pause', task: id },
    { type: 'resume', task: id },
    { type: 'retry', task: id },
    { type: 'approve', task: id },
    { type: 'reject', task: id, reason: 'not like this' },
    { type: 'unblock', task: id },
    { type: 'edit', task: id, title: 'Do it well', priority: random.int(0, 3) },
    ...(random.chance(0.3) ? [{ type: 'cancel', task: id } as const] : []),
  ])
}

async function meddle(sim: Sim, instance: Instance, intake: Intake): Promise<void> {
  const { random } = sim
  const there = [...sim.vendors.values()]
  if (there.length > 0 && random.chance(0.6)) return meddleAt(sim, random.pick(there))
  const cancelled = taskIds(sim).filter((id) => sim.store.getTask(id)?.state.status === 'cancelled')
  const tasks = openTasks(sim)
  if (tasks.length + cancelled.length === 0) return
  const isRegretted = cancelled.length > 0 && (tasks.length === 0 || random.chance(0.1))
  const action: TaskAction = isRegretted
    ? { type: 'reopen', task: random.pick(cancelled) }
    : thought(sim, random.pick(tasks))
  if (action.type === 'edit' || action.type === 'retry' || action.type === 'reopen' || random.chance(0.5)) {
    await act(sim, { instance, intake }, action)
    // A double click.
    if (random.chance(0.2)) await act(sim, { instance, intake }, action)
    return
  }
  await deliver(sim, instance, action)
}

async function act(sim: Sim, by: { instance: Instance; intake: Intake }, action: TaskAction): Promise<void> {
  const { capabilities, engine } = by.instance
  const submitted = await by.intake.act(action, ANN)
  if (action.type === 'reopen' && submitted.ok) noteReopened(sim, submitted.task)
  // As `orch task cancel` does where no service is there to do it.
  const isAlone = !sim.machine.live.some((process) => process.kind === 'service')
  if (action.type !== 'cancel' || !submitted.ok || submitted.task.status !== 'cancelled' || !isAlone) return
  for (const run of sim.store.listRuns({ task: action.task, live: true })) await stopRun(capabilities, engine, run.id)
}

function noteReopened({ reopened }: Sim, { project, origin }: Task): void {
  const key = `${project}/${origin.slice(origin.indexOf(':') + 1)}`
  reopened.set(key, (reopened.get(key) ?? 0) + 1)
}

/** The same message, delivered up to three times, in any order with others: it counts once. */
async function deliver(
  sim: Sim,
  { engine }: Instance,
  action: Exclude<TaskAction, { type: 'edit' | 'retry' | 'reopen' }>,
): Promise<void> {
  const { random } = sim
  const key = `delivery-${random.hex()}`
  const times = random.int(1, 3)
  const options = { actor: ANN, cause: `command:${action.type}`, correlation: key, idempotencyKey: key }
  let applied = 0
  for (let n = 0; n < times; n++) {
    await sim.scheduler.pause(null, [0, 30_000])
    const before = sim.store.lastSeq()
    const submitted = await engine.submit(action, options)
    if (submitted.ok && eventsOf(sim, { after: before, correlation: key }) > 0) applied += 1
  }
  if (applied > 1) violate(sim, `S1: one delivery of ${action.type} for ${action.task} was applied ${applied} times`)
}

function eventsOf({ store }: Sim, of: { after: number; correlation: string }): number {
  return store.listEvents({ after: of.after }).filter((entry) => entry.correlation === of.correlation).length
}

/** Retries before a person gives a task up. */
const PATIENCE = 4

interface Tending {
  instance: Instance
  intake: Intake
  reader: Reader
  tended: Map<string, number>
}

async function tend(sim: Sim, by: Tending, id: string): Promise<void> {
  const task = sim.store.getTask(id)?.state
  const why = by.reader.why(id)
  if (!task || why?.owner !== 'you') return
  const { actions } = why
  const times = (by.tended.get(id) ?? 0) + 1
  by.tended.set(id, times)
  const choice =
    times > PATIENCE
      ? (actions.find((action) => action.includes(' cancel ')) ?? actions.find(isMove))
      : actions.find(isMove)
  if (!choice) return violate(sim, `L6: ${id} waits for a person, who is told: ${actions.join('; ')}`)
  lookAround(sim, task)
  const before = stateOf(sim, id)
  await act(sim, by, actionOf(choice, id))
  const isOver = isTerminal(sim.store.getTask(id)?.state.status ?? 'done')
  if (stateOf(sim, id) === before && !isOver) violate(sim, `L6: \`${choice}\` was said and moved nothing`)
}

function stateOf({ store }: Sim, id: string): string {
  return JSON.stringify([store.getTask(id)?.version, store.jobsOf(id)])
}

const isMove = (action: string): boolean => /^orch (approve|answer|task (retry|resume|unblock|cancel))\b/.test(action)

function actionOf(line: string, task: string): TaskAction {
  const word = line.replace(/^orch (task )?/, '').split(' ')[0] ?? ''
  switch (word) {
    case 'approve':
    case 'retry':
    case 'unblock':
    case 'resume':
    case 'cancel':
      return { type: word, task }
    case 'answer':
      return { type: 'answer', task, text: 'this way' }
    default:
      throw new Error(`nobody can say "${line}"`)
  }
}

/** "Delete or reset it, then retry": somebody else's branch in the way is taken away by the person. */
function lookAround(sim: Sim, task: Task): void {
  const { branch, reason, project, publishedSha } = task
  if (branch && reason?.code === 'branch-moved' && sim.vendors.has(project))
    return move(remoteOf(sim, project), { branch, to: publishedSha, by: 'outside' })
  if (branch && (reason?.code === 'branch-moved' || reason?.code === 'branch-taken'))
    remoteOf(sim, project).refs.delete(branch)
}
