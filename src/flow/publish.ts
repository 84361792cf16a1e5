// Publishing: the task's branch on the remote is at its head, and its change is open. Only the engine pushes.

import type { Task } from '../core/task.ts'
import type { ChangeRequest } from '../drivers/driver.ts'
import { ExternalError } from '../lib/errors.ts'
import type { ChangeRow, Project, Store } from '../store/store.ts'
import type { Mirror } from '../workspace/workspace.ts'
import type { Capabilities } from './capabilities.ts'
import { changeText } from './change-text.ts'
import { heedClosed } from './closed-change.ts'
import { type Dispatch, type Place, StepOver, StepTrouble, branchName } from './dispatch.ts'
import type { Handler } from './worker.ts'

/** Free names are looked for up to this suffix; a project with more is misconfigured. */
const MAX_SUFFIX = 50

export function makePublishHandler(
  capabilities: Pick<Capabilities, 'forgeOf' | 'remoteForgeOf' | 'store'>,
  dispatch: Dispatch,
): Handler {
  return async (job, context) => {
    if (job.effect.kind !== 'publish') throw new Error(`not a publication: ${job.effect.kind}`)
    const { epoch } = job.effect
    const place = await dispatch.place(context, epoch)
    const { task, mirror } = place
    if (task.step?.kind !== 'publish') return null
    const { sha } = task.step
    if (task.publishedSha !== null) await heedClosed(capabilities, { ...place, context })
    const { branch, expected } = await chooseBranch(mirror, task, {
      sha,
      meant: intendedHeads(capabilities.store, task),
    })
    const intended = await context.submit({ type: 'intend-change', task: task.id, epoch, branch, sha })
    if (!intended.ok) throw new StepOver()
    if (expected !== sha) await push(mirror, { sha, branch, expected })
    await capabilities.forgeOf(place.project).ensureChange(changeOf(place, { branch, sha }))
    return { type: 'confirm-change', task: task.id, epoch, branch, sha }
  }
}

/** Heads that Orch meant to push, by branch: one of them may be there although nobody heard of it. */
function intendedHeads({ listIntents }: Pick<Store, 'listIntents'>, task: Task): Set<string> {
  const changes = listIntents({ task: task.id }).filter((intent) => intent.kind === 'change')
  return new Set(changes.map((intent) => `${intent.data['branch']} ${intent.key}`))
}

/** The task's branch, where what is there is ours to move; another's of the same name gets ours a suffix. */
async function chooseBranch(
  mirror: Mirror,
  task: Task,
  { sha, meant }: { sha: string; meant: Set<string> },
): Promise<{ branch: string; expected: string | null }> {
  const name = task.branch ?? branchName(task)
  const taken = await mirror.remoteBranches(task.publishedSha ? name : branchName(task))
  const at = taken.get(name) ?? null
  const isOurs = at === null || at === sha || at === task.publishedSha || meant.has(`${name} ${at}`)
  if (isOurs) return { branch: name, expected: at }
  if (task.publishedSha !== null) {
    throw new StepTrouble({
      class: 'hold',
      code: 'branch-moved',
      text: `branch ${name} on the remote is at ${at.slice(0, 10)}, which Orch did not push; delete or reset it, then retry`,
    })
  }
  for (let suffix = 2; suffix <= MAX_SUFFIX; suffix++) {
    const free = `${branchName(task)}-${suffix}`
    if (!taken.has(free)) return { branch: free, expected: null }
  }
  throw new StepTrouble({
    class: 'hold',
    code: 'branch-taken',
    text: `all branch names ${name}-2 to -${MAX_SUFFIX} are taken on the remote; delete some`,
  })
}

async function push(mirror: Mirror, request: { sha: string; branch: string; expected: string | null }): Promise<void> {
  const pushed = await mirror.push(request)
  if (pushed.ok) return
  const text = `pushing ${request.branch}: ${pushed.text}`
  if (pushed.because === 'refused') throw new StepTrouble({ class: 'hold', code: 'push-refused', text })
  if (pushed.because === 'auth') throw new StepTrouble({ class: 'hold', code: 'push-auth', text })
  throw new ExternalError({
    system: 'push',
    kind: pushed.because === 'moved' ? 'conflict' : 'unreachable',
    message: text,
  })
}

function changeOf(place: Place, at: { branch: string; sha: string }): ChangeRequest {
  const { task, base, project, policy } = place
  const { draft = true, labels = [], reviewers = [] } = policy.change ?? {}
  return {
    project: project.id,
    task: task.id,
    branch: at.branch,
    base: base.branch,
    head: at.sha,
    ...changeText(task, project, at.sha),
    // What is left to judge is judged before a person is asked to look.
    draft,
    labels,
    reviewers: draft ? [] : reviewers,
  }
}

/** The change as people are asked to look at it: no draft any more, its reviewers asked, its evidence up to date. */
export function readyChange(task: Task, project: Project, change: ChangeRow): ChangeRequest {
  const { labels = [], reviewers = [] } = task.policy?.change ?? {}
  const { branch, base, head } = change
  const text = changeText(task, project, head)
  return { project: project.id, task: task.id, branch, base, head, ...text, draft: false, labels, reviewers }
}
