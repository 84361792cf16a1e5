// From an issue of a tracker to its task, and along with it afterwards. Webhooks and polling call the same function with the
// same snapshot: it acts on what is so, not on what happened, so that lost, doubled and late deliveries make no difference.

import type { ResolvedProject, TrackerSettings } from '../config/config.ts'
import { isTerminal } from '../core/lifecycle.ts'
import type { Command } from '../core/messages.ts'
import { firstStage } from '../core/pipeline.ts'
import type { Task } from '../core/task.ts'
import type { Issue, Tracker } from '../drivers/driver.ts'
import type { Project, SeenIssue } from '../store/store.ts'
import type { Capabilities } from './capabilities.ts'
import { ownText } from './comment-commands.ts'
import type { Engine, Submitted } from './engine.ts'
import type { InLine } from './in-line.ts'
import { BODY_MAX_BYTES, TITLE_MAX, plainTitle } from './entry-check.ts'
import { dependenciesOf, issuesWaitingFor, linkDependencies, noteWaiting } from './issue-links.ts'
import { closeEndedDependencies } from './reconcile.ts'
import { heedReopened } from './reopened.ts'
import { STATUS_LABELS } from './tracker-view.ts'

export type Followed =
  | { did: 'opened' | 'changed' | 'cancelled' | 'approved'; task: string; note: string }
  | { did: 'nothing'; task: string | null; note: string }

export interface FollowDeps extends Pick<Capabilities, 'store' | 'now' | 'newId'> {
  engine: Engine
  /** The project's configuration as its base (or clone) has it now. Throws ExternalError for a broken one. */
  configOf: (project: Project, pipeline: string | null) => Promise<ResolvedProject>
  /** One for all handlers of a process: what is said at the vendor is looked for and then said, which is two steps. */
  inLine: InLine
}

interface At {
  project: Project
  tracker: Tracker
  issue: Issue
  settings: TrackerSettings
  config: ResolvedProject
  origin: string
}

/** Ids tried beside the issue's own number: those of tasks from Orch's own list may stand in the way (C-7). */
const MOST_NUMBERS = 1_000

/**
 * `cause` names what told of it: `webhook:github/…` or `poll`. May be called again and again with the same issue. `wish`:
 * somebody with rights has just asked for it, in these words; it is remembered, so that later looks don't miss it.
 */
export async function followIssue(
  deps: FollowDeps,
  of: { project: Project; tracker: Tracker; issue: Issue; cause: string; wish?: string },
): Promise<Followed> {
  const { store } = deps
  const { project, tracker, issue } = of
  const before = store.seenIssue({ project: project.id, issue: issue.id })
  if (before && before.updatedAt > issue.updatedAt)
    return { did: 'nothing', task: null, note: 'a newer state of this issue was seen already' }
  const config = await deps.configOf(project, null)
  const at: At = {
    project,
    tracker,
    issue,
    config,
    settings: config.tracker,
    origin: `${project.tracker?.driver ?? 'local'}:${issue.id}`,
  }
  const tasks = store.tasksOfOrigin({ project: project.id, origin: at.origin }).flatMap((id) => store.getTask(id) ?? [])
  const open = tasks.map(({ state }) => state).find((task) => !isTerminal(task.status))
  const asked = { project: project.id, what: `asked:${issue.id}` }
  if (of.wish !== undefined) await store.putMark({ ...asked, value: of.wish, at: deps.now() })
  const wanted = whyWanted(at) ?? of.wish ?? store.mark(asked)
  const isAnew = of.wish !== undefined
  const followed = open
    ? await alongWith(deps, at, { task: open, before, wanted: wanted !== null, cause: of.cause })
    : await maybeOpen(deps, at, { ended: tasks.at(-1)?.state ?? null, before, wanted, isAnew, cause: of.cause })
  // Once more for one that was opened in a moment of which nobody knew the end.
  if (followed.did === 'opened' || (open && before === null)) await linkWaiting(deps, of)
  const data = { open: issue.state === 'open', wanted: wanted !== null, column: issue.column }
  await store.putSeenIssue({ project: project.id, issue: issue.id, updatedAt: issue.updatedAt, data })
  return followed
}

/** What of the project's rules makes the issue a task; null when nothing does. */
function whyWanted({ issue, settings }: At): string | null {
  const { labels, columns, assignees, mention } = settings.intake
  const has = (wanted: string[], given: string[]): string | undefined =>
    given.find((name) => wanted.some((one) => one.toLowerCase() === name.toLowerCase()))
  const label = has(labels, issue.labels)
  if (label !== undefined) return `label ${label}`
  const column = issue.column === null ? undefined : has(columns, [issue.column])
  if (column !== undefined) return `column ${column}`
  const assignee = has(assignees, issue.assignees)
  if (assignee !== undefined) return `assigned to ${assignee}`
  return mention !== null && mentions(`${issue.title}\n${issue.body}`, mention) ? `mention of ${mention}` : null
}

/** The word stands by itself: `@orch` is not in `@orchestra`; a slash command begins a line. Not in quotes nor in code. */
export function mentions(text: string, word: string): boolean {
  const escaped = word.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
  const before = word.startsWith('/') ? String.raw`^\s*` : String.raw`(^|[^\w@/-])`
  return new RegExp(`${before}${escaped}(?![\\w-])`, 'im').test(ownText(text))
}

async function maybeOpen(
  deps: FollowDeps,
  at: At,
  known: {
    ended: Task | null
    before: SeenIssue | null
    wanted: string | null
    /** Asked for in this moment. */
    isAnew: boolean
    cause: string
  },
): Promise<Followed> {
  const { ended, before, wanted, isAnew, cause } = known
  const nothing = (note: string): Followed => ({ did: 'nothing', task: ended?.id ?? null, note })
  if (at.issue.state !== 'open') return nothing('the issue is closed')
  if (wanted === null) return nothing('no rule of `intake` matches it')
  // A task that has ended is not begun again by the same wish: the issue was opened anew, or asked for anew.
  if (ended && !isAnew && before && before.data.open && before.data.wanted)
    return nothing(`its task ${ended.id} has ended`)
  if (ended && !isAnew && !before)
    return nothing(`its task ${ended.id} has ended, and nothing says that it is wanted again`)
  const isTrusted = await trusts(at, at.issue.author.login)
  if (!isTrusted && at.settings.intake.strangers === 'ignore')
    return nothing(`${at.issue.author.login} is neither an owner nor a member, nor named in \`intake.people\``)
  const opened = await open(deps, at, { held: heldBecause(at, isTrusted), cause })
  if (!opened.ok) return nothing(opened.because === 'refused' ? opened.refusal.text : opened.because)
  await closeEndedDependencies({ store: deps.store, engine: deps.engine }, opened.task.id)
  return { did: 'opened', task: opened.task.id, note: wanted }
}

/** Whether somebody's word counts in the project. Throws ExternalError when the tracker can't say. */
export async function trusts(
  { tracker, settings }: { tracker: Pick<Tracker, 'trustOf'>; settings: TrackerSettings },
  login: string,
): Promise<boolean> {
  if (settings.intake.people.some((one) => one.toLowerCase() === login.toLowerCase())) return true
  return (await tracker.trustOf(login)) !== 'none'
}

/** QG-0 (C-9): a title and a description, in bounds. Held, not refused: the issue shows why, and mending it moves the task. */
function heldBecause({ issue }: At, isTrusted: boolean): { code: string; text: string } | null {
  if (!isTrusted) {
    const text = `${issue.author.login}, who wrote the issue, has no rights in the project; read it, then retry or cancel`
    return { code: 'untrusted-author', text }
  }
  const problem = entryProblem(issue)
  return problem === null ? null : { code: 'entry-check', text: problem }
}

function entryProblem(issue: Pick<Issue, 'title' | 'body'>): string | null {
  const title = issue.title.trim()
  if (title === '') return 'the issue has no title'
  if (title.length > TITLE_MAX)
    return `the issue's title has ${title.length} characters; at most ${TITLE_MAX} are taken`
  if (issue.body.trim() === '') return 'the issue has no description, so nobody could tell when it is done; add one'
  const bytes = Buffer.byteLength(issue.body)
  return bytes > BODY_MAX_BYTES
    ? `the issue's description has ${bytes} bytes; at most ${BODY_MAX_BYTES} are taken`
    : null
}

async function open(
  deps: FollowDeps,
  at: At,
  how: { held: { code: string; text: string } | null; cause: string },
): Promise<Submitted> {
  const { store, engine } = deps
  const { project, issue, config, origin } = at
  const { dependsOn, openDeps, unknown } = dependenciesOf(deps, at, null)
  await noteWaiting(deps, at, unknown)
  const command: Omit<Extract<Command, { type: 'open-task' }>, 'task'> = {
    type: 'open-task',
    project: project.id,
    origin,
    ...textOf(issue),
    labels: theirLabels(issue),
    priority: priorityOf(issue),
    creator: creatorOf(issue),
    dependsOn,
    openDeps,
    pipeline: config.policy.pipeline.name,
    firstStage: firstStage(config.policy.pipeline).name,
    parallel: config.policy.limits.parallel,
    ...(how.held ? { held: how.held } : {}),
  }
  for (let number = issue.number; number < issue.number + MOST_NUMBERS; number++) {
    const id = `${project.id}-${number}`
    if (store.getTask(id)) continue
    const submitted = await engine.submit({ ...command, task: id }, by(at, how.cause))
    // Somebody took the number in this moment; or the issue itself, which the next look at its origin tells.
    const isTaken = !submitted.ok && submitted.because === 'refused' && submitted.refusal.code === 'task-exists'
    const isOpen = (one: string): boolean => !isTerminal(store.getTask(one)?.state.status ?? 'done')
    if (!isTaken || store.tasksOfOrigin({ project: project.id, origin }).some(isOpen)) return submitted
  }
  throw new Error(`no free number for issue ${issue.id} of ${project.id} in ${MOST_NUMBERS}`)
}

/** What a person would not see in a title is taken out; what is too long is cut, and the task is held for it. */
function textOf(issue: Issue): { title: string; body: string } {
  const body = Buffer.from(issue.body.replaceAll('\0', ''))
  const title = plainTitle(issue.title) || `Issue ${issue.number}`
  return {
    title,
    body: body.byteLength > BODY_MAX_BYTES ? body.subarray(0, BODY_MAX_BYTES).toString('utf8') : body.toString('utf8'),
  }
}

/** Without those by which Orch shows where the task is: they change with each of its own moves. */
function theirLabels({ labels }: Issue): string[] {
  return labels.filter((one) => !OWN_LABELS.has(one.toLowerCase()))
}

const OWN_LABELS: ReadonlySet<string> = new Set(Object.values(STATUS_LABELS))

const PRIORITIES = { urgent: 2, high: 1, medium: 0, low: -1 } as const

function priorityOf(issue: Issue): number {
  return issue.priority === null ? 0 : PRIORITIES[issue.priority]
}

/** An issue has become a task: those that said before that they wait for it are looked at anew. */
async function linkWaiting(
  deps: FollowDeps,
  of: { project: Project; tracker: Tracker; issue: Issue; cause: string },
): Promise<void> {
  const { project, tracker, cause } = of
  for (const id of issuesWaitingFor(deps.store, of)) {
    const issue = await tracker.findIssue(id)
    if (issue) await followIssue(deps, { project, tracker, issue, cause })
  }
}

/** The issue of an open task: closed, edited, moved on its board, linked, or no longer wanted. */
async function alongWith(
  deps: FollowDeps,
  at: At,
  known: { task: Task; before: SeenIssue | null; wanted: boolean; cause: string },
): Promise<Followed> {
  const { engine } = deps
  const { issue } = at
  const { task, before, wanted, cause } = known
  const send = (command: Command): Promise<Submitted> => engine.submit(command, by(at, cause))
  const reopened = await heedReopened(deps.store, { project: at.project.id, task: task.id, issue, at: deps.now() })
  const ending = whyEnds(at, { task, wanted: wanted || reopened.isReopened, ...reopened })
  if (ending !== null) {
    await send({ type: 'cancel', task: task.id, why: ending })
    return { did: 'cancelled', task: task.id, note: ending }
  }
  const notes: string[] = []
  const { edit, left } = await allowedEdit(at, task)
  if (edit) {
    await send({ type: 'edit-task', task: task.id, ...edit })
    notes.push(`edited: ${Object.keys(edit).join(', ')}`)
  }
  if (left) notes.push(left)
  if (task.reason?.code === 'entry-check' && entryProblem(issue) === null) {
    await send({ type: 'retry', task: task.id, parallel: task.parallel })
    notes.push('its issue is complete now')
  }
  notes.push(...(await linkDependencies(deps, at, task, send)))
  if (before?.data.column !== issue.column && isApprovedByColumn(at, task)) {
    const approved = await send({ type: 'approve', task: task.id, ...(task.headSha ? { sha: task.headSha } : {}) })
    if (approved.ok) return { did: 'approved', task: task.id, note: `its issue is in column ${issue.column}` }
  }
  return notes.length > 0
    ? { did: 'changed', task: task.id, note: notes.join('; ') }
    : {
        did: 'nothing',
        task: task.id,
        note: reopened.isOldClosing ? 'it was reopened after its issue was closed' : 'as it was',
      }
}

function whyEnds(
  { issue }: At,
  { task, wanted, isOldClosing }: { task: Task; wanted: boolean; isOldClosing: boolean },
): string | null {
  if (issue.state !== 'open' && !isOldClosing) return `its issue was closed (${issue.state})`
  const hasBegun = task.policy !== null || task.runId !== null
  if (wanted || hasBegun || task.reason?.code === 'untrusted-author') return null
  return 'nothing asks for it any more, and it had not begun'
}

interface Edit {
  title?: string
  body?: string
  labels?: string[]
  priority?: number
}

/**
 * What somebody without rights writes was read by a person before an agent got it; what they write into it afterwards was
 * not, and does not reach the agent.
 */
async function allowedEdit(at: At, task: Task): Promise<{ edit: Edit | null; left: string | null }> {
  const { issue } = at
  const edit = editOf(task, issue)
  if (!edit || (edit.title === undefined && edit.body === undefined)) return { edit, left: null }
  const isUnread = task.reason?.code === 'untrusted-author'
  if (isUnread || (await trusts(at, issue.author.login))) return { edit, left: null }
  const { title: _title, body: _body, ...rest } = edit
  const left = `${issue.author.login} has no rights in the project: the new text of the issue is not followed`
  return { edit: Object.keys(rest).length > 0 ? rest : null, left }
}

function editOf(task: Task, issue: Issue): Edit | null {
  const { title, body } = textOf(issue)
  const priority = priorityOf(issue)
  const labels = theirLabels(issue)
  const sameLabels = task.labels.length === labels.length && task.labels.every((one) => labels.includes(one))
  const edit = {
    ...(title === task.title ? {} : { title }),
    ...(body === task.body ? {} : { body }),
    ...(sameLabels ? {} : { labels }),
    ...(issue.priority === null || priority === task.priority ? {} : { priority }),
  }
  return Object.keys(edit).length > 0 ? edit : null
}

/**
 * Who may move an issue on the board may approve by it: that is what the policy `tracker-state` says. The move is the yes,
 * not the place: an issue that still stands there when a new head comes has said nothing about that one (S8).
 */
function isApprovedByColumn({ issue }: At, task: Task): boolean {
  const { policy } = task
  if (policy?.approval !== 'tracker-state' || issue.column === null) return false
  const isThere = issue.column.toLowerCase() === policy.approveBy?.column.toLowerCase()
  return isThere && task.status === 'waiting' && task.waitingFor === 'approval'
}

function by({ project, issue }: At, cause: string) {
  const name = `${project.tracker?.driver ?? 'tracker'}`
  return { actor: { kind: 'engine' as const, name }, cause, correlation: `issue:${project.id}/${issue.id}` }
}

/**
 * Who a commit says it is of. At some vendors a login is a name that people choose freely; an address holds no space and no
 * sign that git gives a meaning to. Null: without an address, Orch itself stands for them.
 */
function creatorOf({ author, url }: Pick<Issue, 'author' | 'url'>): { name: string; email: string } | null {
  const name = plainTitle(author.login).replaceAll(/[<>]/g, '').trim()
  const local = name
    .replaceAll(/[^\p{L}\p{N}._+[\]-]+/gu, '-')
    .replaceAll(/^[.-]+|[.-]+$/g, '')
    .replaceAll(/\.{2,}/g, '.')
  const host = hostOf(url)
  return host === null || local === '' ? null : { name, email: `${local}@users.noreply.${host}` }
}

function hostOf(url: string): string | null {
  try {
    return new URL(url).hostname
  } catch {
    return null
  }
}
