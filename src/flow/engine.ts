// The only writer of aggregates and events: load, decide, commit; a lost race decides again.
// Invariant: what a decision emits is stored whole or not at all, and an effect exists only with its events (S1, S9).

import { newAccount } from '../core/account.ts'
import { decide } from '../core/decide.ts'
import type { Decision, State } from '../core/draft.ts'
import type { Actor, Command } from '../core/messages.ts'
import { type Refusal, type RefusalCode, refuse } from '../core/refusals.ts'
import { newRepository } from '../core/repository.ts'
import type { Task } from '../core/task.ts'
import type { AggregateChange, Commit, Fence, RunWrite, Store } from '../store/store.ts'

export interface SubmitOptions {
  actor: Actor
  /** What made it happen, such as `command:approve` or `job:17/run`. */
  cause: string
  correlation: string
  /** A worker's proof; its job ends with the commit when `then` is `done`. */
  fence?: Fence
  /** The same key for the same task is applied once. */
  idempotencyKey?: string
}

export type Submitted =
  | { ok: true; task: Task }
  | { ok: false; because: 'refused'; refusal: Refusal }
  /** The job belongs to somebody else by now: write nothing more for it. */
  | { ok: false; because: 'stale-lease' }

export interface Engine {
  /** Applies a command. Refusals are data; throws only when the store can't be used. */
  submit(command: Command, options: SubmitOptions): Promise<Submitted>
}

/** A race lost this often in a row means something is spinning, not racing. */
const MAX_RACES = 50

export function makeEngine(deps: { store: Store; now: () => number; wake: () => void }): Engine {
  const { store, now, wake } = deps

  async function submit(command: Command, options: SubmitOptions): Promise<Submitted> {
    for (let race = 0; race < MAX_RACES; race++) {
      const loaded = load(store, command)
      const at = now()
      const decision = decide(loaded.state, command, { now: at, actor: options.actor.name })
      if (!decision.ok) return { ok: false, because: 'refused', refusal: decision.refusal }
      if (decision.events.length + decision.intents.length === 0 && !options.fence) return answer(decision.state.task)
      const result = await store.commit(commitOf({ decision, loaded, options, at, task: command.task }))
      if (result.ok) {
        wake()
        return answer(decision.state.task)
      }
      if (result.because === 'duplicate') {
        // The same issue has an open task under another id.
        if (command.type === 'open-task' && !loaded.state.task) return refused('task-exists')
        return answer(loaded.state.task)
      }
      if (result.because === 'stale-lease') return { ok: false, because: 'stale-lease' }
    }
    throw new Error(`${command.type} on ${command.task} lost ${MAX_RACES} races in a row`)
  }

  return { submit }
}

function answer(task: Task | null): Submitted {
  return task ? { ok: true, task } : refused('no-such-task')
}

function refused(code: RefusalCode): Submitted {
  return { ok: false, because: 'refused', refusal: refuse(code).refusal }
}

interface Loaded {
  state: State
  versions: { task: number; repository: number; account: number }
}

function load(store: Store, command: Command): Loaded {
  const task = store.getTask(command.task)
  const project = command.type === 'open-task' ? command.project : (task?.state.project ?? '')
  const repository = store.getRepository(project)
  const agent = 'agent' in command ? command.agent : accountOf(store, command, task?.state)
  const account = agent ? (store.getAccount(agent) ?? { version: 0, state: newAccount(agent) }) : null
  return {
    state: {
      task: task?.state ?? null,
      repository: repository?.state ?? newRepository(project),
      account: account?.state ?? null,
    },
    versions: { task: task?.version ?? 0, repository: repository?.version ?? 0, account: account?.version ?? 0 },
  }
}

/** The account a step's trouble is about: that of the task's live run. A retry may lift what the task waits out or met last. */
function accountOf(store: Store, command: Command, task: Task | undefined): string | null {
  if (task?.runId) return store.getRun(task.runId)?.agent ?? null
  if (command.type !== 'retry' || !task) return null
  return task.waitingAgent ?? store.listRuns({ task: task.id }).at(-1)?.agent ?? null
}

interface CommitParts {
  decision: Extract<Decision, { ok: true }>
  loaded: Loaded
  options: SubmitOptions
  at: number
  task: string
}

function commitOf({ decision, loaded, options, at, task }: CommitParts): Commit {
  const { actor, cause, correlation, fence, idempotencyKey } = options
  const runs = runWrites(decision, at)
  return {
    at,
    actor,
    cause,
    correlation,
    aggregates: changesOf(decision, loaded),
    events: decision.events,
    effects: decision.effects,
    intents: decision.intents,
    ...(decision.supersede ? { supersede: decision.supersede } : {}),
    ...(runs.length > 0 ? { runs } : {}),
    ...(fence ? { fence } : {}),
    ...(idempotencyKey ? { idempotencyKey: { task, key: idempotencyKey } } : {}),
  }
}

function changesOf(decision: Extract<Decision, { ok: true }>, loaded: Loaded): AggregateChange[] {
  const changes: AggregateChange[] = []
  const { task, repository, account } = decision.state
  if (task && task !== loaded.state.task)
    changes.push({ kind: 'task', id: task.id, expected: loaded.versions.task, state: task })
  if (repository !== loaded.state.repository) {
    changes.push({ kind: 'repository', id: repository.id, expected: loaded.versions.repository, state: repository })
  }
  if (account && account !== loaded.state.account) {
    changes.push({ kind: 'account', id: account.id, expected: loaded.versions.account, state: account })
  }
  return changes
}

/** Rows of runs follow their events in the same transaction. */
function runWrites(decision: Extract<Decision, { ok: true }>, at: number): RunWrite[] {
  const writes: RunWrite[] = []
  const task = decision.state.task
  for (const { body } of decision.events) {
    if (body.stream !== 'task' || !task) continue
    const { event } = body
    if (event.type === 'run.begun') {
      const { runId: id, stage, role, agent, model, attempt, why } = event.data
      writes.push({
        op: 'begin',
        run: { id, task: task.id, project: task.project, stage, role, agent, model, attempt, why, startedAt: at },
      })
    } else if (event.type === 'run.ended') {
      const { runId: id, model, outcome, sessionId, usage, costUsd, headSha } = event.data
      writes.push({ op: 'end', id, endedAt: at, model, outcome, sessionId, usage, costUsd, headSha })
    }
  }
  return writes
}
