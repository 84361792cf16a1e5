// What people say at a change without asking for changes is easily lost with its merge. Where the project wants it
// (`change.followUps`), each thread that is open when the reviews pass becomes a task of its own, which begins when the
// change has landed (O-22 to O-27; docs/decisions tells why not sooner).

import { firstStage } from '../core/pipeline.ts'
import type { Task } from '../core/task.ts'
import type { RemoteForge, ReviewThread, Tracker } from '../drivers/driver.ts'
import type { Project } from '../store/store.ts'
import type { Capabilities } from './capabilities.ts'
import { BODY_MAX_BYTES, TITLE_MAX, plainTitle } from './entry-check.ts'
import type { JobContext } from './worker.ts'

export interface FollowUpDeps extends Pick<Capabilities, 'store' | 'trackerOf'> {}

interface At {
  task: Task
  project: Project
  forge: RemoteForge
  /** Those in which somebody with rights spoke last. */
  threads: readonly ReviewThread[]
}

/** Again with the same threads opens nothing twice. Throws ExternalError; whoever calls again goes on where it ended. */
export async function openFollowUps(deps: FollowUpDeps, at: At, submit: JobContext['submit']): Promise<string[]> {
  const opened: string[] = []
  for (const thread of at.threads) {
    const id = await openOne(deps, { ...at, thread }, submit)
    if (id === null) continue
    opened.push(id)
    const body = `${id} takes this up when ${at.task.id} has landed.`
    await at.forge.ensureReply(at.task.id, { thread: thread.id, key: `follow-up-${id}`, body })
  }
  const tracker = deps.trackerOf(at.project)
  if (opened.length > 0 && tracker) await tellIssue(tracker, at.task, opened)
  return opened
}

async function openOne(
  { store }: FollowUpDeps,
  { task, project, thread }: At & { thread: ReviewThread },
  submit: JobContext['submit'],
): Promise<string | null> {
  const { policy } = task
  const change = store.getChange(task.id)
  if (!policy || !change) return null
  // Of Orch's own list: no issue of a tracker stands for it.
  const origin = `local:review/${change.number}/${thread.id}`
  const [known] = store.tasksOfOrigin({ project: project.id, origin })
  if (known !== undefined) return known
  const id = `${project.id}-${await store.nextNumber(project.id)}`
  const submitted = await submit({
    type: 'open-task',
    task: id,
    project: project.id,
    origin,
    title: titleOf(task, thread),
    body: bodyOf(task, thread, change.url),
    labels: task.labels,
    priority: task.priority,
    creator: task.creator,
    dependsOn: [task.id],
    openDeps: [task.id],
    pipeline: policy.pipeline.name,
    firstStage: firstStage(policy.pipeline).name,
    parallel: policy.limits.parallel,
  })
  if (!submitted.ok) return store.tasksOfOrigin({ project: project.id, origin })[0] ?? null
  const agent = store.listRuns({ task: task.id }).findLast((run) => run.headSha !== null)?.agent
  // O-23: whoever wrote the change knows it best.
  if (agent !== undefined) await submit({ type: 'reroute', task: id, agent })
  return id
}

function titleOf(task: Task, { file, line, comments }: ReviewThread): string {
  const words = plainTitle(comments[0]?.body.split('\n', 1)[0] ?? '')
  const where = file === null ? task.id : `${file}${line === null ? '' : `:${line}`}`
  return plainTitle(`${where}: ${words || 'a comment'}`).slice(0, TITLE_MAX)
}

/** O-24. */
function bodyOf(task: Task, { file, line, diff, comments }: ReviewThread, url: string | null): string {
  const where = file === null ? 'at the change' : `at \`${file}\`${line === null ? '' : `, line ${line}`}`
  const parts = [
    `Said ${where} of ${task.id} (${task.title})${url === null ? '' : `, ${url}`}, which has landed since:`,
    ...comments.map(({ author, body }) => `${author.login} wrote:\n\n${body}`),
    ...(diff === null ? [] : [`The place as it was then:\n\n\`\`\`diff\n${diff}\n\`\`\``]),
  ]
  const text = Buffer.from(parts.join('\n\n'))
  return text.byteLength > BODY_MAX_BYTES ? text.subarray(0, BODY_MAX_BYTES).toString('utf8') : text.toString('utf8')
}

async function tellIssue(tracker: Tracker, task: Task, opened: string[]): Promise<void> {
  if (task.origin.startsWith('local:')) return
  const issue = task.origin.slice(task.origin.indexOf(':') + 1)
  const body = `What was said at the change is taken up when ${task.id} has landed: ${opened.join(', ')}.`
  await tracker.ensureComment(issue, { key: `follow-ups-${task.id}`, body, role: null })
}
