// A person had the issue of a cancelled task begun afresh. Their word outlives what ended the task before it, and yields to
// what is done at the tracker afterwards. The two are told apart by what the vendor says of the closing; no clock of ours
// is compared with one of theirs.

import type { Issue, Tracker } from '../drivers/driver.ts'
import { UserError } from '../lib/errors.ts'
import type { Project, Store } from '../store/store.ts'

const markOf = ({ project, task }: { project: string; task: string }) => ({ project, what: `reopened:${task}` })

/** Which closing it is. Of a vendor that keeps no times: closed, until it is seen open. */
const standingOf = ({ state, closedAt }: Issue): string => (state === 'open' ? 'open' : `closed ${closedAt ?? ''}`)

/** The issue that is to be begun afresh; null where no tracker of others has it. Throws UserError (3), ExternalError. */
export async function findReopened(
  trackerOf: (project: Project) => Pick<Tracker, 'findIssue'> | null,
  { project, origin }: { project: Project; origin: string },
): Promise<Issue | null> {
  const driver = origin.slice(0, origin.indexOf(':'))
  const id = origin.slice(origin.indexOf(':') + 1)
  const tracker = project.tracker?.driver === driver ? trackerOf(project) : null
  if (!tracker) return null
  const issue = await tracker.findIssue(id)
  if (issue) return issue
  throw new UserError(
    3,
    'issue-gone',
    `issue ${id} is gone from ${driver} ${project.tracker?.ref}, so it can't be started afresh; \`orch task add\` makes a task without it`,
  )
}

/** Remembered before the task is opened, so that nobody looks in between; `issue` null takes it back. */
export async function noteReopened(
  store: Pick<Store, 'putMark'>,
  of: { project: string; task: string; issue: Issue | null; at: number },
): Promise<void> {
  await store.putMark({ ...markOf(of), value: of.issue ? standingOf(of.issue) : '', at: of.at })
}

/**
 * Whether a person reopened the task, and whether the issue stands closed by what they overruled. An issue that is seen
 * open is remembered: whoever closes it then closes it anew.
 */
export async function heedReopened(
  store: Pick<Store, 'mark' | 'putMark'>,
  of: { project: string; task: string; issue: Issue; at: number },
): Promise<{ isReopened: boolean; isOldClosing: boolean }> {
  const known = store.mark(markOf(of)) ?? ''
  const standing = standingOf(of.issue)
  if (known === '') return { isReopened: false, isOldClosing: false }
  if (standing === 'open' && known !== 'open') await noteReopened(store, of)
  return { isReopened: true, isOldClosing: standing !== 'open' && standing === known }
}
