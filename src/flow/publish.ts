// Publishing: the task's branch on the remote is at its head, and its change is open. Only the engine pushes.

import type { Task } from '../core/task.ts'
import { ExternalError } from '../lib/errors.ts'
import type { Mirror } from '../workspace/workspace.ts'
import type { Capabilities } from './capabilities.ts'
import { type Dispatch, type Place, StepOver, StepTrouble, branchName } from './dispatch.ts'
import type { Handler } from './worker.ts'

/** Free names are looked for up to this suffix; a project with more is misconfigured. */
const MAX_SUFFIX = 50

export function makePublishHandler(capabilities: Pick<Capabilities, 'forge'>, dispatch: Dispatch): Handler {
  return async (job, context) => {
    if (job.effect.kind !== 'publish') throw new Error(`not a publication: ${job.effect.kind}`)
    const { epoch } = job.effect
    const place = await dispatch.place(context, epoch)
    const { task, mirror } = place
    if (task.step?.kind !== 'publish') return null
    const { sha } = task.step
    const { branch, expected } = await chooseBranch(mirror, task, sha)
    const intended = await context.submit({ type: 'intend-change', task: task.id, epoch, branch, sha })
    if (!intended.ok) throw new StepOver()
    if (expected !== sha) await push(mirror, { sha, branch, expected })
    await capabilities.forge.ensureChange(changeOf(place, { branch, sha }))
    return { type: 'confirm-change', task: task.id, epoch, branch, sha }
  }
}

/** The task's branch, where what is there is ours to move; another's of the same name gets ours a suffix. */
async function chooseBranch(
  mirror: Mirror,
  task: Task,
  sha: string,
): Promise<{ branch: string; expected: string | null }> {
  const name = task.branch ?? branchName(task)
  const taken = await mirror.remoteBranches(task.publishedSha ? name : branchName(task))
  const at = taken.get(name) ?? null
  if (at === null || at === sha || at === task.publishedSha) return { branch: name, expected: at }
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

function changeOf(place: Place, at: { branch: string; sha: string }) {
  const { task, base, project } = place
  const gates = task.verdicts
    .filter((verdict) => verdict.sha === at.sha)
    .map((verdict) => `- ${verdict.gate}: ${verdict.result}, ${verdict.note}`)
  const body = [task.body.trim(), '', 'Evidence, collected by Orch:', ...gates].join('\n').trim()
  return {
    project: project.id,
    task: task.id,
    branch: at.branch,
    base: base.branch,
    head: at.sha,
    title: `${task.id}: ${task.title}`,
    body,
  }
}
