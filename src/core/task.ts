// The task: one issue on its way to a merged change, as a value, and how each event changes it.
// Invariant: `evolve` is total and pure; the stored row is always the fold of the journal (S17).

import { type Reason, type Step, type TaskStatus, type WaitingFor, isTerminal } from './lifecycle.ts'
import { NO_USAGE, type Usage, addUsage } from './run.ts'
import type { Policy } from './policy.ts'
import type { Finding, Verdict } from './verdict.ts'
import { stagesFrom } from './pipeline.ts'
import type { TaskEvent, TaskFields } from './messages.ts'

export interface Approval {
  sha: string
  by: string
  at: number
  /** What was waiting for it when it was given. */
  covers: string[]
  /** Why it was given although the definition of done was not met; absent: it was met, or there was none to meet. */
  bypass?: string
}

export interface Session {
  agent: string
  sessionId: string
}

export interface Task extends TaskFields {
  id: string
  /** Pinned at start; null before. */
  policy: Policy | null
  /** The next step reads the configuration afresh from the base (a person retried). */
  repin: boolean
  stage: string
  status: TaskStatus
  waitingFor: WaitingFor | null
  waitingUntil: number | null
  /** Whose limit or cooldown it waits out; rows of older versions lack it. */
  waitingAgent?: string | null
  reason: Reason | null
  paused: boolean
  step: Step | null
  /** Grows with every step; a result that names another epoch is refused. */
  epoch: number
  attempts: { code: number; transient: number; infra: number }
  /** Value of `attempts.code` when the present budget was granted. */
  codeBase: number
  branch: string | null
  baseSha: string | null
  headSha: string | null
  publishedSha: string | null
  /** The head that a person or a reviewer sent back: the very same head is no answer to that. */
  sentBackSha: string | null
  mergedSha: string | null
  /** A merge whose intent is committed and not yet settled: nothing may undo it. */
  landing: { mergeSha: string; onto: string; tree?: string; via?: 'forge' } | null
  /** Under `human-twice`: what was asked for last. Rows of older versions lack it. */
  request?: { sha: string; tokenHash: string; expiresAt: number; bypass?: string } | null
  cancelRequested: boolean
  /** Who a person wants to write the change; rows of older versions lack it. */
  preferredAgent?: string | null
  runId: string | null
  sessions: Record<string, Session>
  findings: Finding[]
  answers: string[]
  approvals: Approval[]
  /** The latest verdict of each gate at each stage. */
  verdicts: Verdict[]
  costUsd: number
  tokens: Usage
  createdAt: number
  updatedAt: number
  /** Since when it is where it is (status, stage or reason changed). */
  since: number
}

/** Folds one event into the task; `null` is a task that does not exist yet. `at` is the event's time, in ms. */
export function evolve(task: Task | null, event: TaskEvent, at: number): Task {
  if (event.type === 'task.opened') return open(event, at)
  if (!task) throw new Error(`${event.type} without a task`)
  const next = change(task, event, at)
  const moved =
    next.status !== task.status ||
    next.stage !== task.stage ||
    next.reason?.code !== task.reason?.code ||
    next.waitingFor !== task.waitingFor
  return { ...next, updatedAt: at, since: moved ? at : task.since }
}

function open(event: Extract<TaskEvent, { type: 'task.opened' }>, at: number): Task {
  const { data } = event
  return {
    ...data,
    openDeps: data.openDeps,
    policy: null,
    repin: false,
    status: data.openDeps.length > 0 ? 'blocked' : 'queued',
    waitingFor: null,
    waitingUntil: null,
    waitingAgent: null,
    reason: null,
    paused: false,
    step: data.openDeps.length > 0 ? null : { kind: 'run', stage: data.stage },
    epoch: 1,
    attempts: { code: 0, transient: 0, infra: 0 },
    codeBase: 0,
    branch: null,
    baseSha: null,
    headSha: null,
    publishedSha: null,
    sentBackSha: null,
    mergedSha: null,
    landing: null,
    cancelRequested: false,
    runId: null,
    sessions: {},
    findings: [],
    answers: [],
    approvals: [],
    verdicts: [],
    costUsd: 0,
    tokens: NO_USAGE,
    createdAt: at,
    updatedAt: at,
    since: at,
  }
}

const settled = { waitingFor: null, waitingUntil: null, waitingAgent: null, reason: null } as const

type Folds = {
  [K in Exclude<TaskEvent['type'], 'task.opened'>]: (
    task: Task,
    data: Extract<TaskEvent, { type: K }>['data'],
    at: number,
  ) => Task
}

/** What each event changes. */
const FOLDS: Folds = {
  'task.edited': (task, data) => ({ ...task, ...data }),
  'task.dependencies_set': (task, data) => ({
    ...task,
    ...data,
    ...(data.openDeps.length > 0 && task.status !== 'needs_review'
      ? { ...settled, status: 'blocked' as const, step: null, epoch: task.epoch + 1 }
      : {}),
  }),
  'task.unblocked': (task, data) => {
    const openDeps = task.openDeps.filter((id) => !data.dependencies.includes(id))
    return { ...task, openDeps }
  },
  'task.started': (task, data) => ({
    ...task,
    policy: data.policy,
    baseSha: data.baseSha,
    branch: data.branch,
    repin: false,
  }),
  'step.queued': (task, data) => ({
    ...task,
    ...settled,
    status: 'queued',
    stage: data.step.stage,
    step: data.step,
    epoch: data.epoch,
    runId: null,
    ...(data.waiting ? waitingFor(data.waiting) : {}),
  }),
  'stage.entered': (task, data) => ({ ...task, stage: data.stage }),
  'step.begun': (task) => ({ ...task, ...settled, status: 'running' }),
  'step.waiting': (task, data) => ({ ...task, ...settled, status: 'waiting', waitingFor: data.for }),
  'run.begun': (task, data) => ({ ...task, ...settled, status: 'running', runId: data.runId }),
  'run.ended': (task, data) => runEnded(task, data),
  'stage.judged': (task, data) => ({ ...task, verdicts: mergeVerdicts(task.verdicts, data.verdicts) }),
  'stage.passed': (task) => ({
    ...task,
    findings: [],
    answers: [],
    attempts: { ...task.attempts, transient: 0, infra: 0 },
  }),
  'task.sent_back': (task, data) => ({
    ...task,
    stage: data.to,
    findings: data.findings,
    attempts: { code: task.attempts.code + 1, transient: 0, infra: 0 },
    codeBase: data.freshBudget ? task.attempts.code + 1 : task.codeBase,
    landing: null,
    sentBackSha: data.findings.some((f) => f.gate === 'person' || f.gate === 'review')
      ? task.headSha
      : task.sentBackSha,
    verdicts: dropStages(task, data.to),
  }),
  'task.waiting': (task, data) => ({
    ...task,
    status: 'waiting',
    reason: null,
    waitingFor: data.for,
    waitingUntil: data.until,
    step: null,
  }),
  'task.held': (task, data) => ({
    ...task,
    ...settled,
    status: 'needs_review',
    reason: data.reason,
    step: data.step,
    runId: null,
  }),
  'retry.counted': (task, data) => ({
    ...task,
    attempts: { ...task.attempts, [data.budget]: task.attempts[data.budget] + 1 },
  }),
  'task.retried': (task, data) => ({
    ...task,
    ...settled,
    codeBase: task.attempts.code,
    attempts: { ...task.attempts, transient: 0, infra: 0 },
    repin: data.repin,
    ...(task.openDeps.length > 0 ? { status: 'blocked' as const, step: null, epoch: task.epoch + 1 } : {}),
  }),
  'change.intended': (task, data) => ({ ...task, branch: data.branch }),
  'change.published': (task, data) => ({ ...task, branch: data.branch, publishedSha: data.sha }),
  'merge.intended': (task, { mergeSha, onto, tree, via }) => ({
    ...task,
    landing: { mergeSha, onto, tree, ...(via === undefined ? {} : { via }) },
  }),
  'merge.abandoned': (task) => ({ ...task, landing: null }),
  'task.landed': (task, data) => ({ ...task, landing: null, mergedSha: data.mergedSha }),
  'approval.requested': (task, { sha, tokenHash, expiresAt, bypass }) => ({
    ...task,
    request: { sha, tokenHash, expiresAt, ...(bypass === null ? {} : { bypass }) },
  }),
  'task.approved': (task, data, at) => ({
    ...task,
    // A token says yes once.
    ...(task.request ? { request: null } : {}),
    approvals: [
      ...task.approvals,
      { sha: data.sha, by: data.by, covers: data.covers, at, ...bypassOf(task, data.sha) },
    ],
  }),
  'task.answered': (task, data) => ({ ...task, answers: [...task.answers, data.text] }),
  'task.rerouted': (task, data) => ({ ...task, preferredAgent: data.agent }),
  'task.paused': (task) => ({ ...task, paused: true }),
  'task.resumed': (task) => ({ ...task, paused: false }),
  'task.cancel_requested': (task) => ({ ...task, cancelRequested: true }),
  'task.cancelled': (task) => ({
    ...task,
    ...settled,
    status: 'cancelled',
    step: null,
    epoch: task.epoch + 1,
    runId: null,
    landing: null,
  }),
  'task.done': (task) => ({ ...task, ...settled, status: 'done', step: null, epoch: task.epoch + 1, runId: null }),
}

/** A yes to what was not done by its definition says so for ever. */
function bypassOf({ request }: Task, sha: string): Pick<Approval, 'bypass'> {
  return request?.sha === sha && request.bypass !== undefined ? { bypass: request.bypass } : {}
}

function waitingFor({
  for: what,
  until,
  agent,
}: NonNullable<Extract<TaskEvent, { type: 'step.queued' }>['data']['waiting']>) {
  return { status: 'waiting', waitingFor: what, waitingUntil: until, waitingAgent: agent ?? null } as const
}

function change(task: Task, event: Exclude<TaskEvent, { type: 'task.opened' }>, at: number): Task {
  // One table entry per type: the compiler can't tie the union's type to its data, the table's own type does.
  const fold = FOLDS[event.type] as (task: Task, data: unknown, at: number) => Task
  return fold(task, event.data, at)
}

function runEnded(task: Task, data: Extract<TaskEvent, { type: 'run.ended' }>['data']): Task {
  // A run that was superseded is on the books; its head is not the one the present step is about (S12).
  const current = task.runId === data.runId && !isTerminal(task.status)
  const { [data.role]: before, ...others } = task.sessions
  const session = data.sessionId ? { agent: data.agent, sessionId: data.sessionId } : before
  // A session that is full can't be gone on with.
  const full = data.outcome.kind === 'failed' && data.outcome.code === 'context-overflow'
  return {
    ...task,
    runId: task.runId === data.runId ? null : task.runId,
    sessions: session && !full ? { ...others, [data.role]: session } : others,
    headSha: current ? (data.headSha ?? task.headSha) : task.headSha,
    costUsd: task.costUsd + data.costUsd,
    tokens: addUsage(task.tokens, data.usage),
  }
}

/** A new verdict replaces the old one of the same gate at the same stage. */
function mergeVerdicts(old: Verdict[], fresh: Verdict[]): Verdict[] {
  const replaced = (verdict: Verdict): boolean =>
    fresh.some((f) => f.gate === verdict.gate && f.stage === verdict.stage)
  return [...old.filter((verdict) => !replaced(verdict)), ...fresh]
}

/** Verdicts of later stages were about a head that is about to change; those of `to` stay for people to read. */
function dropStages(task: Task, to: string): Verdict[] {
  if (!task.policy) return task.verdicts
  const voided = stagesFrom(task.policy.pipeline, to).slice(1)
  return task.verdicts.filter((verdict) => !voided.includes(verdict.stage) || verdict.result === 'fail')
}

/** It came from Orch's own list: there is no tracker to be told. */
export function isOwnIssue(task: Pick<Task, 'origin'>): boolean {
  return task.origin.startsWith('local:')
}

/** A person said yes to exactly this head. */
export function approvalOf(task: Task, sha: string | null): Approval | undefined {
  return task.approvals.find((approval) => approval.sha === sha)
}

/** The attempt a task is at, counted from 1; when all are spent, the last one made. */
export function attemptOf(task: Pick<Task, 'attempts' | 'reason'>): number {
  return task.attempts.code + (task.reason?.code === 'attempts-spent' ? 0 : 1)
}
