// What no webhook told: the same questions asked on a timer, and their answers led the same way (U13). Nothing is asked where
// webhooks are healthy, nothing is open and nothing was told, and a reserve of the vendor's budget is left for what people wait for.

import { isTerminal } from '../core/lifecycle.ts'
import type { PollIntervals } from '../config/config.ts'
import type { Issue, Quota, RemoteForge, Tracker } from '../drivers/driver.ts'
import { ExternalError, type ExternalKind } from '../lib/errors.ts'
import type { Project } from '../store/store.ts'
import { type HappeningDeps, applyHappenings } from './happenings.ts'
import { makePollTroubles } from './poll-troubles.ts'

/** Looks back a little further than the last one: changes come out of order. */
const OVERLAP_MS = 120_000
/** A first look that finds nothing tells nothing of the vendor's clock: ours is surely not further ahead of it. */
const CLOCKS_DIFFER_MS = 24 * 3_600_000
/** After this no change comes that has the same time: vendors keep whole seconds, and clocks differ by as much. */
const SETTLED_MS = 5_000
/** Deliveries are given up in about the order in which they came. */
const LOOKED_AT = 20
/** Part of the budget that polling leaves alone. */
const RESERVE = 0.2
/** Whoever is asked next would get the same answer. */
const IS_AWAY: readonly ExternalKind[] = ['auth', 'rate-limited', 'timed-out', 'unreachable']

export interface PollDeps extends HappeningDeps {
  webhooksHealthy: (driver: string) => boolean
  quotaOf: (driver: string) => Quota | null
  pollIntervals: () => PollIntervals
  /** When a delivery of this vendor came last; null: never. */
  heardAt: (driver: string) => number | null
  /** A fault of Orch itself. */
  onError: (error: unknown) => void
  onNotice: (sentence: string) => void
}

export interface Poll {
  /**
   * Asks what is due; gives what came of it, in sentences. `force`: asks everything now (`orch sync`), `only` of one
   * project; who forces hears by `onTrouble` what could not be asked, and why.
   */
  (options?: { force?: boolean; only?: string; onTrouble?: (error: unknown) => void }): Promise<string[]>
}

export function makePoll(deps: PollDeps): Poll {
  const next = new Map<string, number>()
  const troubles = makePollTroubles()
  // When the last look began of those where it came to its end while webhooks were healthy: nothing is missing of them.
  // Another's has to be done again, whatever else is open: after a start, after trouble, when webhooks reach us again.
  const upToDate = new Map<string, number>()
  return async ({ force = false, only, onTrouble } = {}) => {
    const said: string[] = []
    for (const project of deps.store.listProjects()) {
      if ((!project.tracker && !project.forge) || (only !== undefined && project.id !== only)) continue
      const isDue = deps.now() >= (next.get(project.id) ?? 0) && hasReason(deps, project, upToDate)
      if (!force && !isDue) continue
      const healthy = isHealthy(deps, project)
      const { healthyMs, unhealthyMs } = deps.pollIntervals()
      next.set(project.id, deps.now() + (healthy ? healthyMs : unhealthyMs))
      const again = !upToDate.has(project.id)
      const startedAt = deps.now()
      upToDate.delete(project.id)
      const look = await pollProject(deps, project, again)
      said.push(...look.said)
      if (!look.trouble) {
        if (healthy) upToDate.set(project.id, startedAt)
        troubles.succeeded(project.id)
        continue
      }
      const { error } = look.trouble
      onTrouble?.(error)
      if (!troubles.failed(project.id, error)) deps.onError(error)
      if (error instanceof ExternalError && error.retryAfterMs !== undefined)
        next.set(project.id, deps.now() + error.retryAfterMs)
    }
    troubles.tell(deps.onNotice)
    return said
  }
}

function isHealthy(deps: PollDeps, project: Project): boolean {
  return [project.tracker, project.forge].every((remote) => !remote || deps.webhooksHealthy(remote.driver))
}

/**
 * While webhooks are healthy only open work is looked after, and where something was told since, since what came before it
 * may be lost; and never at the cost of the reserve, but after a start.
 */
function hasReason(deps: PollDeps, project: Project, upToDate: ReadonlyMap<string, number>): boolean {
  for (const remote of [project.tracker, project.forge]) {
    const quota = remote ? deps.quotaOf(remote.driver) : null
    if (quota && quota.resetAt > deps.now() && quota.remaining < quota.limit * RESERVE) return false
  }
  const lookedAt = upToDate.get(project.id)
  if (!isHealthy(deps, project) || lookedAt === undefined || hasGivenUp(deps, project, lookedAt)) return true
  if ([project.tracker, project.forge].some((remote) => remote && (deps.heardAt(remote.driver) ?? 0) > lookedAt))
    return true
  const { queued, running, waiting, blocked, needs_review: held } = deps.store.countTasks(project.id)
  return queued + running + waiting + blocked + held > 0
}

/** What a delivery told that could not be followed then is found by looking, once the vendor lets us. */
function hasGivenUp({ store }: PollDeps, { tracker, forge }: Project, since: number): boolean {
  return [tracker, forge].some((remote) => {
    if (!remote) return false
    const failed = store.listDeliveries({ source: remote.driver, states: ['failed'], limit: LOOKED_AT })
    return failed.some(({ settledAt }) => (settledAt ?? 0) >= since)
  })
}

/** What came of it so far, and what it came to an end by. */
interface Look {
  said: string[]
  trouble: { error: unknown } | null
}

/** `again`: an earlier look did not come to its end, so that what a vendor calls unchanged may still be to be followed. */
async function pollProject(deps: PollDeps, project: Project, again: boolean): Promise<Look> {
  const look: Look = { said: [], trouble: null }
  // The tracker may be at another vendor than the forge: trouble with one leaves the other alone.
  for (const part of [pollIssues, pollChanges]) {
    try {
      await part(deps, { project, again, look })
    } catch (error) {
      look.trouble ??= { error }
    }
  }
  return look
}

interface At {
  project: Project
  again: boolean
  look: Look
}

async function pollIssues(deps: PollDeps, at: At): Promise<void> {
  const { project, again, look } = at
  const { tracker: remote } = project
  const tracker = remote && deps.trackerOf(project)
  if (!remote || !tracker) return
  const mark = { project: project.id, what: 'polled-issues' }
  const before = deps.store.mark(mark)?.split(' ').map(Number)
  const [newest = null, lookedAt = 0] = before ?? []
  const startedAt = deps.now()
  // Where nothing came the same is asked again, word for word, so that the vendor can say that nothing changed.
  const { unchanged, issues } = await tracker.listIssues({ since: newest === null ? null : newest - OVERLAP_MS })
  if (unchanged && !again) return
  const from = { ...remote, cause: 'poll' }
  const isWhole = await eachAlone(look, issues, async (issue) => {
    const seen = deps.store.seenIssue({ project: project.id, issue: issue.id })
    if (!isKnown(issue.updatedAt, { seen: seen?.updatedAt ?? null, lookedAt }))
      look.said.push(...(await applyHappenings(deps, from, [{ kind: 'issue', id: issue.id, issue }])))
    await pollComments(deps, { ...at, tracker, issue, polledAt: newest })
  })
  if (!isWhole) return
  // By the vendor's clock: ours may be hours off.
  const first = issues.length === 0 ? startedAt - CLOCKS_DIFFER_MS : 0
  const latest = issues.reduce((time, { updatedAt }) => Math.max(time, updatedAt), newest ?? first)
  await deps.store.putMark({ ...mark, value: `${latest} ${startedAt}`, at: startedAt })
}

/** Whether what changed at that time was seen already, and nothing that came after it can have the same time. */
function isKnown(updatedAt: number, { seen, lookedAt }: { seen: number | null; lookedAt: number }): boolean {
  return seen === updatedAt && updatedAt + SETTLED_MS < lookedAt
}

/** One that can't be followed holds up no other (L2); a vendor that is away would fail them all. */
async function eachAlone<T>(look: Look, all: readonly T[], follow: (one: T) => Promise<void>): Promise<boolean> {
  let isWhole = true
  for (const one of all) {
    try {
      await follow(one)
    } catch (error) {
      if (error instanceof ExternalError && IS_AWAY.includes(error.kind)) throw error
      isWhole = false
      look.trouble ??= { error }
    }
  }
  return isWhole
}

/**
 * Comments are asked for at issues that have changed since they were last followed to the end: a comment changes its issue,
 * and a webhook that told of the change may not have told of the comment. At those that have a task; where a mention makes
 * one, at the others too, but not for what was said before the first look.
 */
async function pollComments(
  deps: PollDeps,
  at: At & { tracker: Tracker; issue: Issue; polledAt: number | null },
): Promise<void> {
  const { project, tracker, issue, look, polledAt } = at
  const remote = project.tracker
  if (!remote) return
  const [first] = deps.store.tasksOfOrigin({ project: project.id, origin: `${remote.driver}:${issue.id}` })
  if (first === undefined && (polledAt === null || !(await countsMentions(deps, project)))) return
  const what = `comments:${issue.id}`
  const since = sinceOf(deps, { project, what, updatedAt: issue.updatedAt })
  if (since === 'followed') return
  const startedAt = deps.now()
  // What was said before there was a task was said to nobody.
  const openedAt = first === undefined ? (polledAt ?? 0) : (deps.store.getTask(first)?.state.createdAt ?? startedAt)
  const comments = await tracker.listComments({ issue: issue.id, since: since ?? openedAt - OVERLAP_MS })
  const from = { ...remote, cause: 'poll' }
  for (const comment of comments) {
    const happening = { kind: 'issue-comment', issue: issue.id, comment, deleted: false } as const
    look.said.push(...(await applyHappenings(deps, from, [happening])))
  }
  await deps.store.putMark({ project: project.id, what, value: `${issue.updatedAt} ${startedAt}`, at: startedAt })
}

async function countsMentions({ configOf }: PollDeps, project: Project): Promise<boolean> {
  return (await configOf(project, null)).tracker.intake.mention !== null
}

/** From when comments are to be read: null where none were read yet; `followed` when those of this very state were followed to the end. */
function sinceOf(
  { store }: PollDeps,
  at: { project: Project; what: string; updatedAt: number },
): number | null | 'followed' {
  const last = store.mark({ project: at.project.id, what: at.what })
  if (last === null) return null
  const [seen = 0, lookedAt = 0] = last.split(' ').map(Number)
  return isKnown(at.updatedAt, { seen, lookedAt }) ? 'followed' : seen - OVERLAP_MS
}

async function pollChanges(deps: PollDeps, { project, look }: At): Promise<void> {
  const forge = project.forge && deps.remoteForgeOf(project)
  if (!project.forge || !forge) return
  const from = { ...project.forge, cause: 'poll' }
  const isOpen = (task: string): boolean => !isTerminal(deps.store.getTask(task)?.state.status ?? 'done')
  // One that was merged while its task worked on is a person's word too, which its task has yet to hear.
  const open = deps.store.listChanges(project.id).filter(({ state, task }) => state === 'open' || isOpen(task))
  await eachAlone(look, open, async ({ number, task }) => {
    look.said.push(...(await applyHappenings(deps, from, [{ kind: 'change', number }])))
    // Nobody obeys what is said to a task that has ended.
    if (!isOpen(task)) return
    await pollTalk(deps, { project, forge, task, number, look })
  })
}

/** What was said at a change, below no line of it: commands stand there. */
async function pollTalk(
  deps: PollDeps,
  at: { project: Project; forge: RemoteForge; task: string; number: number; look: Look },
): Promise<void> {
  const { project, forge, task, number, look } = at
  const mark = { project: project.id, what: `comments:change-${number}` }
  const [seen = 0, lookedAt = 0] = deps.store.mark(mark)?.split(' ').map(Number) ?? []
  const startedAt = deps.now()
  const comments = await forge.listComments({ task, since: seen === 0 ? null : seen - OVERLAP_MS })
  const newest = comments.reduce((time, { updatedAt }) => Math.max(time, updatedAt), seen)
  if (!project.forge || comments.length === 0 || isKnown(newest, { seen, lookedAt })) return
  const from = { ...project.forge, cause: 'poll' }
  for (const comment of comments) {
    const happening = { kind: 'change-comment', number, comment, deleted: false } as const
    look.said.push(...(await applyHappenings(deps, from, [happening])))
  }
  await deps.store.putMark({ ...mark, value: `${newest} ${startedAt}`, at: startedAt })
}
