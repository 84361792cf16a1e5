// What happened at a tracker or a forge, led to the task it is about. Webhooks and polling both end here.
// Invariant: an event of a project that nobody registered changes nothing, and is said so.

import type { TrackerSettings } from '../config/config.ts'
import { isTerminal } from '../core/lifecycle.ts'
import type { Happening, Issue, IssueComment, RemoteForge, Tracker } from '../drivers/driver.ts'
import type { Project } from '../store/store.ts'
import { type FollowChangeDeps, followChange, followChecks } from './follow-change.ts'
import { type CommentDeps, followComment } from './follow-comment.ts'
import { type FollowDeps, followIssue, mentions, trusts } from './follow-issue.ts'
import type { RemoteNames } from './remote-names.ts'

export interface HappeningDeps extends FollowDeps, FollowChangeDeps, CommentDeps {
  trackerOf: (project: Project) => Tracker | null
  remoteForgeOf: (project: Project) => RemoteForge | null
  names: RemoteNames
}

export interface From {
  driver: string
  /** The vendor's name of the project. */
  ref: string
  /** `webhook:github/DELIVERY` or `poll`. */
  cause: string
}

/** One sentence for each thing that was done or left alone. May be called again with the same. Throws ExternalError. */
export async function applyHappenings(deps: HappeningDeps, from: From, happenings: Happening[]): Promise<string[]> {
  const projects = await findProjects(deps, from)
  if (projects.length === 0) return [`no project of ${from.driver} ${from.ref} is registered here`]
  const said: string[] = []
  for (const happening of happenings)
    for (const project of projects) said.push(...(await apply(deps, { project, from, happening })))
  return said
}

export function projectsAt({ store }: Pick<HappeningDeps, 'store'>, { driver, ref }: Omit<From, 'cause'>): Project[] {
  const is = (remote: { driver: string; ref: string } | undefined): boolean =>
    remote?.driver === driver && fits(remote.ref.toLowerCase(), ref.toLowerCase())
  return store.listProjects().filter((project) => is(project.tracker) || is(project.forge))
}

/**
 * Those that are registered under that name, or under one that the vendor now calls so: what a renamed repository tells is
 * not lost. Throws ExternalError.
 */
export async function findProjects(
  deps: Pick<HappeningDeps, 'store' | 'names'>,
  at: Omit<From, 'cause'>,
): Promise<Project[]> {
  const known = projectsAt(deps, at)
  // Without an owner it is an id, which stays.
  if (known.length > 0 || !at.ref.includes('/')) return known
  const remotes = deps.store.listProjects().flatMap(({ tracker, forge }) => [tracker, forge])
  const refs = new Set(remotes.flatMap((remote) => (remote?.driver === at.driver ? [remote.ref] : [])))
  for (const ref of refs) {
    const name = await deps.names.recall({ driver: at.driver, ref })
    if (name?.toLowerCase() === at.ref.toLowerCase()) return projectsAt(deps, { driver: at.driver, ref })
  }
  return []
}

/** A delivery may tell less of a project than its whole name: the last part, which alone is unique then, or nothing. */
function fits(ref: string, told: string): boolean {
  return ref === told || told === '' || (!told.includes('/') && ref.endsWith(`/${told}`))
}

interface At {
  project: Project
  from: From
  happening: Happening
}

async function apply(deps: HappeningDeps, at: At): Promise<string[]> {
  const { project, from, happening } = at
  // A project may have its tracker at one vendor and its forge at another: each hears its own.
  const tracker = project.tracker?.driver === from.driver ? deps.trackerOf(project) : null
  const forge = project.forge?.driver === from.driver ? deps.remoteForgeOf(project) : null
  switch (happening.kind) {
    case 'issue':
      return tracker ? [await onIssue(deps, { ...at, tracker, id: happening.id, issue: happening.issue })] : []
    case 'issue-comment':
      return tracker && happening.comment && !happening.deleted
        ? [
            await commentInLine(deps, at, happening.comment, (comment) =>
              onIssueComment(deps, { ...at, tracker, issue: happening.issue, comment }),
            ),
          ]
        : []
    case 'change': {
      const task = forge && (await forge.taskOf(happening.number))
      return forge && task ? [`${task}: ${await followChange(deps, { project, forge, task, cause: from.cause })}`] : []
    }
    case 'change-comment':
      return forge && happening.comment && !happening.deleted
        ? await commentInLine(deps, at, happening.comment, (comment) =>
            onChangeComment(deps, { ...at, forge, number: happening.number, comment }),
          )
        : []
    case 'checks':
      return forge ? [await followChecks(deps, { project, sha: happening.sha, cause: from.cause })] : []
    case 'push':
      return []
    default:
      return happening satisfies never
  }
}

/** A webhook and a look may bring the same comment in one moment; whoever comes second finds it obeyed and answered. */
function commentInLine<T>(
  deps: HappeningDeps,
  { project }: At,
  comment: IssueComment,
  follow: (comment: IssueComment) => Promise<T>,
): Promise<T> {
  return deps.inLine(`${project.id}/comment/${comment.id}`, () => follow(comment))
}

async function onIssue(
  deps: HappeningDeps,
  at: At & { tracker: Tracker; id: string; issue: Issue | null },
): Promise<string> {
  const { project, tracker, from } = at
  // A delivery that holds only a part of the issue (C-8) is as good as its id.
  const issue = at.issue ?? (await tracker.findIssue(at.id))
  if (!issue) return goneIssue(deps, at)
  const merged = issue.state === 'completed' ? await closedByMerge(deps, at) : null
  if (merged !== null) return merged
  const followed = await followIssue(deps, { project, tracker, issue, cause: from.cause })
  return `${followed.task ?? `issue ${issue.number}`}: ${followed.did}, ${followed.note}`
}

/**
 * A change that is merged closes the issue it names, and of the two the issue may be told of first: it is the merge that
 * ends the task then. Null: nothing was merged.
 */
async function closedByMerge(deps: HappeningDeps, { project, id, from }: At & { id: string }): Promise<string | null> {
  const forge = deps.remoteForgeOf(project)
  const origin = `${from.driver}:${id}`
  const task = deps.store.tasksOfOrigin({ project: project.id, origin }).findLast((one) => isOpen(deps, one))
  if (!forge || task === undefined || !deps.store.getChange(task)) return null
  if ((await forge.findChange(task))?.state !== 'merged') return null
  return `${task}: ${await followChange(deps, { project, forge, task, cause: from.cause })}`
}

/** Deleted or moved to another project: nobody asks for it any more. */
async function goneIssue(deps: HappeningDeps, { project, id, from }: At & { id: string }): Promise<string> {
  const { store, engine } = deps
  const origin = `${from.driver}:${id}`
  for (const task of store.tasksOfOrigin({ project: project.id, origin })) {
    const state = store.getTask(task)?.state
    if (!state || isTerminal(state.status)) continue
    await engine.submit(
      { type: 'cancel', task, why: 'its issue is gone' },
      { actor: { kind: 'engine', name: from.driver }, cause: from.cause, correlation: origin },
    )
    return `${task}: cancelled, its issue is gone`
  }
  return `issue ${id} is gone, and no task was open for it`
}

async function onIssueComment(
  deps: HappeningDeps,
  at: At & { tracker: Tracker; issue: string; comment: IssueComment },
): Promise<string> {
  const { project, tracker, from, issue, comment } = at
  const { tracker: settings } = await deps.configOf(project, null)
  const origin = `${from.driver}:${issue}`
  const open = deps.store.tasksOfOrigin({ project: project.id, origin }).findLast((id) => isOpen(deps, id)) ?? null
  if (open === null && (await asksForTask({ settings, tracker }, comment))) return onMention(deps, at)
  return followComment(deps, {
    project,
    task: open ?? deps.store.tasksOfOrigin({ project: project.id, origin }).at(-1) ?? null,
    comment,
    settings,
    cause: from.cause,
    place: {
      trustOf: (login) => trusts({ tracker, settings }, login),
      reply: (answer) => tracker.ensureComment(issue, { ...answer, role: null }),
      sign: (id, sign) => tracker.ensureReaction({ issue, comment: id, sign }),
    },
  })
}

async function asksForTask(
  { settings, tracker }: { settings: TrackerSettings; tracker: Tracker },
  comment: IssueComment,
): Promise<boolean> {
  const { mention } = settings.intake
  if (mention === null || comment.author.isBot || comment.isOwn) return false
  return mentions(comment.body, mention) && (await trusts({ tracker, settings }, comment.author.login))
}

/** Somebody with rights called for Orch below an issue: that is a wish for it, as a label would be. Once for each comment. */
async function onMention(
  deps: HappeningDeps,
  { project, tracker, from, issue: id, comment }: At & { tracker: Tracker; issue: string; comment: IssueComment },
): Promise<string> {
  const mark = { project: project.id, what: `comment:${comment.id}` }
  if (deps.store.mark(mark) !== null) return 'it was obeyed before'
  const issue = await tracker.findIssue(id)
  if (!issue) return `issue ${id} is gone`
  const wish = `called for by ${comment.author.login} in a comment`
  const followed = await followIssue(deps, { project, tracker, issue, cause: from.cause, wish })
  await deps.store.putMark({ ...mark, value: String(comment.updatedAt), at: deps.now() })
  return `${followed.task ?? `issue ${issue.number}`}: ${followed.did}, ${followed.note}`
}

async function onChangeComment(
  deps: HappeningDeps,
  at: At & { forge: RemoteForge; number: number; comment: IssueComment },
): Promise<string[]> {
  const { project, forge, from, number, comment } = at
  const task = await forge.taskOf(number)
  if (task === null) return []
  const { tracker: settings } = await deps.configOf(project, null)
  const isNamed = (login: string): boolean =>
    settings.intake.people.some((one) => one.toLowerCase() === login.toLowerCase())
  const said = await followComment(deps, {
    project,
    task,
    comment,
    settings,
    cause: from.cause,
    place: {
      trustOf: async (login) => isNamed(login) || (await forge.trustOf(login)) !== 'none',
      reply: (answer) => forge.ensureComment(task, { ...answer, role: null }),
      sign: (id, sign) => forge.ensureReaction({ task, comment: id, sign }),
    },
  })
  return [`${task}: ${said}`]
}

function isOpen({ store }: HappeningDeps, id: string): boolean {
  return !isTerminal(store.getTask(id)?.state.status ?? 'done')
}
