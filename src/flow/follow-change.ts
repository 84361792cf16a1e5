// A change at a forge, followed to its end whatever becomes of the agent's session: merged or closed by a person, its branch
// moved by somebody, a label that says yes, news of CI and reviews. It acts on what the forge shows now.

import { isTerminal } from '../core/lifecycle.ts'
import type { Actor, Command } from '../core/messages.ts'
import type { Task } from '../core/task.ts'
import type { ChangeState, RemoteForge } from '../drivers/driver.ts'
import type { Project } from '../store/store.ts'
import type { Capabilities } from './capabilities.ts'
import type { ConfigOf } from './config-of.ts'
import type { Engine, Submitted } from './engine.ts'
import { trusts } from './follow-issue.ts'

export interface FollowChangeDeps extends Pick<Capabilities, 'store' | 'workspaces' | 'now'> {
  engine: Engine
  configOf: ConfigOf
}

/** What came of it, as a sentence for the audit. May be called again and again. Throws ExternalError. */
export async function followChange(
  deps: FollowChangeDeps,
  of: { project: Project; forge: RemoteForge; task: string; cause: string },
): Promise<string> {
  const task = deps.store.getTask(of.task)?.state
  if (!task || isTerminal(task.status)) return 'its task has ended'
  // Inside a merge main is the truth, and the landing itself looks at it.
  if (task.landing) return 'it is being merged'
  const change = await findPresent(deps, of)
  if (!change) return 'the forge shows no change for it'
  const engine: Actor = { kind: 'engine', name: of.project.forge?.driver ?? 'forge' }
  const send = (command: Command, actor = engine): Promise<Submitted> =>
    deps.engine.submit(command, {
      actor,
      cause: of.cause,
      correlation: `change:${of.project.id}/${change.number}`,
    })
  switch (change.state) {
    case 'merged':
      return mergedOutside(deps, { ...of, task, change, send })
    case 'closed':
      await send({ type: 'close-outside', task: task.id, why: `change ${change.number} was closed at the forge` })
      return 'it was closed without being merged'
    case 'open':
      return openChange(deps, { ...of, task, change, send })
    default:
      return change.state satisfies never
  }
}

/**
 * The task's change as it is now, by the number that all further looks go by: one that a person opened in the place of ours,
 * which they closed, is the task's from here on. Throws ExternalError.
 */
export async function findPresent(
  { store }: Pick<Capabilities, 'store'>,
  { forge, task }: { forge: Pick<RemoteForge, 'findChange'>; task: string },
): Promise<ChangeState | null> {
  const change = await forge.findChange(task)
  const row = store.getChange(task)
  if (change?.state !== 'open' || !row || row.number === change.number) return change
  const { number, url, head, updatedAt } = change
  await store.saveChange({ ...row, number, url, head, state: 'open', mergedSha: null, updatedAt })
  return change
}

interface AtChange {
  task: Task
  change: ChangeState
  /** In the forge's name where no actor is given. */
  send: (command: Command, actor?: Actor) => Promise<Submitted>
}

interface AtOpenChange extends AtChange {
  project: Project
  forge: RemoteForge
}

/** Recorded when main holds it (S4): the forge's word alone is a claim. */
async function mergedOutside(
  { workspaces }: FollowChangeDeps,
  { project, task, change, send }: AtChange & { project: Project },
): Promise<string> {
  const mirror = await workspaces.mirror(project)
  const base = await mirror.fetchBase(task.policy?.base ?? null)
  const sha = change.mergedSha
  if (change.base !== base.branch || sha === null || !(await mirror.isAncestor(sha, base.sha)))
    return `the forge says merged, and ${base.branch} does not hold ${sha?.slice(0, 10) ?? 'it'} (yet)`
  await send({ type: 'adopt-merge', task: task.id, mergedSha: sha })
  return `somebody merged it as ${sha.slice(0, 10)}`
}

async function openChange(deps: FollowChangeDeps, at: AtOpenChange): Promise<string> {
  const { task, change, send } = at
  const isOurs = change.head === task.publishedSha
  const isShown = task.step?.kind === 'await' || task.step?.kind === 'land'
  if (!isOurs && isShown && task.publishedSha === task.headSha) {
    const text = `branch ${change.branch} at the forge is at ${change.head.slice(0, 10)}, which Orch did not push; reset it to ${task.headSha?.slice(0, 10)} and retry, or cancel and go on by hand`
    const trouble = { class: 'hold' as const, code: 'branch-moved', text }
    await send({ type: 'report-trouble', task: task.id, epoch: task.epoch, trouble })
    return 'somebody moved its branch'
  }
  const byLabel = await approveByLabel(deps, at)
  if (byLabel !== null) return byLabel
  // A look that finds it as it was is no news: what waits looks by itself, and the journal stays quiet.
  const mark = { project: task.project, what: `change:${task.id}` }
  const state = `${change.head} ${change.updatedAt}`
  if (deps.store.mark(mark) === state) return 'it is as it was'
  const looked = await send({ type: 'look-again', task: task.id, why: 'news from the forge' })
  await deps.store.putMark({ ...mark, value: state, at: deps.now() })
  return looked.ok ? 'CI and reviews are looked at' : 'nothing waits for it'
}

/**
 * A label says yes to the head it was first seen at: one that was there for an earlier head must go and come again (S8).
 * Who set it is asked of the forge: those who may only triage set labels too. Null: nothing to say.
 */
async function approveByLabel(deps: FollowChangeDeps, at: AtOpenChange): Promise<string | null> {
  const { store, now } = deps
  const { task, change, send } = at
  const { policy } = task
  if (policy?.approval !== 'label') return null
  const label = policy.approveBy?.label ?? ''
  const mark = { project: task.project, what: `label:${task.id}` }
  const seenAt = store.mark(mark) ?? ''
  if (!change.labels.some((one) => one.toLowerCase() === label.toLowerCase())) {
    if (seenAt !== '') await store.putMark({ ...mark, value: '', at: now() })
    return null
  }
  // Also while nothing waits for it: by then another head may have come.
  if (seenAt === '') await store.putMark({ ...mark, value: change.head, at: now() })
  const waits = task.status === 'waiting' && task.waitingFor === 'approval' && change.head === task.headSha
  if (!waits) return null
  if (seenAt !== '' && seenAt !== change.head)
    return `the label ${label} is from an earlier head; take it off and set it again`
  const by = await at.forge.labelledBy({ task: task.id, label })
  if (by === null) return `the forge does not say who set the label ${label}; take it off and set it again`
  const { tracker: settings } = await deps.configOf(at.project, null)
  if (!(await trusts({ tracker: at.forge, settings }, by.login)))
    return `the label ${label} was set by ${by.login}, who may not write here and is not named in \`intake.people\``
  const approved = await send({ type: 'approve', task: task.id, sha: change.head }, { kind: 'person', name: by.login })
  return approved.ok ? `approved by the label ${label}, which ${by.login} set` : null
}

/** Tasks whose present head is this commit and that wait to hear of it. */
export async function followChecks(
  deps: FollowChangeDeps,
  of: { project: Project; sha: string; cause: string },
): Promise<string> {
  const looked: string[] = []
  for (const change of deps.store.listChanges(of.project.id)) {
    if (change.state !== 'open' || change.head !== of.sha) continue
    const asked = await deps.engine.submit(
      { type: 'look-again', task: change.task, why: 'news of CI' },
      {
        actor: { kind: 'engine', name: of.project.forge?.driver ?? 'forge' },
        cause: of.cause,
        correlation: `checks:${of.sha}`,
      },
    )
    if (asked.ok) looked.push(change.task)
  }
  return looked.length > 0 ? `looked at for ${looked.join(', ')}` : 'no change of ours is at that commit'
}
