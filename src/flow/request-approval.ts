// The first of two confirmations: somebody means to approve a head, sees what it is and whether it is done, and gets a
// token that says yes for a while. Invariant: the token is handed out once; its hash alone is kept.

import { createHash } from 'node:crypto'
import type { Actor } from '../core/messages.ts'
import { refuse } from '../core/refusals.ts'
import type { Task } from '../core/task.ts'
import { UserError } from '../lib/errors.ts'
import type { Answer, App } from './app.ts'
import type { ApprovalRequest, DefinitionOfDone } from './outside-views.ts'
import type { Capabilities } from './capabilities.ts'
import { changeText } from './change-text.ts'
import { definitionOfDone } from './definition-of-done.ts'
import type { Engine } from './engine.ts'
import { iso } from './views.ts'

/** as long as somebody needs who has just looked. */
const VALID_MS = 30 * 60_000

export interface RequestDeps extends Pick<Capabilities, 'store' | 'now' | 'newId' | 'remoteForgeOf'> {
  engine: Engine
  changeStat: App['changeStat']
}

export const hashOf = (token: string): string => createHash('sha256').update(token.trim()).digest('hex')

/** Throws UserError: the project wants one confirmation (4), not done and not bypassed (5). A new request voids the one before. */
export async function requestApproval(
  deps: RequestDeps,
  request: { task: string; bypass: string | null; actor: Actor },
): Promise<Answer<ApprovalRequest>> {
  const { store, engine } = deps
  const task = store.getTask(request.task)?.state
  const project = store.listProjects().find(({ id }) => id === task?.project)
  if (!task || !project) return refuse('no-such-task')
  const { headSha } = task
  if (task.status !== 'waiting' || task.waitingFor !== 'approval' || headSha === null)
    return refuse('not-waiting-for-approval')
  refuseOne(task)
  const done = await definitionOfDone({ store, forge: deps.remoteForgeOf(project) }, task)
  const bypass = done.met ? null : bypassOf({ task, done, reason: request.bypass })
  const token = deps.newId()
  const expiresAt = deps.now() + VALID_MS
  const submitted = await engine.submit(
    { type: 'request-approval', task: task.id, tokenHash: hashOf(token), expiresAt, bypass },
    { actor: request.actor, cause: 'command:request-approval', correlation: deps.newId() },
  )
  if (!submitted.ok) {
    if (submitted.because === 'refused') return { ok: false, refusal: submitted.refusal }
    throw new Error('a command without a job can lose no lease')
  }
  // What was looked at is no longer what would be approved: the token for it is handed to nobody.
  if (submitted.task.request?.sha !== headSha) return refuse('head-moved')
  const stat = await deps.changeStat(task.id)
  return {
    ok: true,
    value: {
      task: task.id,
      sha: headSha,
      token,
      expiresAt: iso(expiresAt),
      ...changeText(task, project, headSha),
      files: stat?.files.length ?? 0,
      addedLines: stat?.addedLines ?? 0,
      deletedLines: stat?.deletedLines ?? 0,
      done,
      bypass,
    },
  }
}

function refuseOne({ id, policy }: Task): void {
  if (policy?.approval === 'human-twice') return
  const text = `${id} needs one confirmation alone (approval: ${policy?.approval ?? 'human'}): \`orch approve ${id}\``
  throw new UserError(4, 'one-confirmation', text)
}

/** What gates say is never passed over. */
function bypassOf(at: { task: Task; done: DefinitionOfDone; reason: string | null }): string {
  const { task, done, reason } = at
  const unmet = done.criteria.filter(({ met }) => !met)
  const said = unmet.map(({ text }) => text).join('; ')
  if (unmet.some(({ bypassable }) => !bypassable))
    throw new UserError(
      5,
      'not-done',
      `${task.id} is not done: ${said}; gates can't be passed over: see \`orch why ${task.id}\``,
    )
  const given = reason?.trim() ?? ''
  if (given !== '') return given
  throw new UserError(
    5,
    'not-done',
    `${task.id} is not done by its definition: ${said}; mend that, or in an emergency --allow-dod-bypass "REASON", which is written down`,
  )
}
