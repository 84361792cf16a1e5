// Drift between the books and a project's remote: branches of tasks that are over, commits kept for tasks nobody knows.

import type { Task } from '../core/task.ts'
import { messageOf } from '../lib/errors.ts'
import type { Project } from '../store/store.ts'
import type { Mirror } from '../workspace/workspace.ts'
import type { Check } from './app.ts'
import { type Books, type Finding, type Mended, count, named, reporter } from './doctor-parts.ts'
import { overBecause } from './doctor-runs.ts'

const { ok, warning } = reporter('project')

interface Place {
  books: Books
  project: Project
  mirror: Mirror
}

/** Asks the remote once for the branches under `orch/`. */
export async function checkBranches(place: Place): Promise<Finding[]> {
  try {
    return [await remoteBranches(place), { check: await pinsCheck(place) }]
  } catch (error) {
    const fix = 'check that `git fetch origin` works in the clone without asking for anything'
    return [{ check: warning('project.branches', `can't be told: ${messageOf(error)}`, fix) }]
  }
}

interface Branch {
  name: string
  sha: string
  /** Null: the books know no such task. */
  task: Task | null
}

async function remoteBranches({ books, project, mirror }: Place): Promise<Finding> {
  const { store } = books
  const left: Branch[] = []
  for (const [name, sha] of await mirror.remoteBranches(`orch/${project.id}-`)) {
    const id = /^orch\/([A-Za-z][A-Za-z0-9]*-\d+)(?:-|$)/.exec(name)?.[1]
    if (id === undefined) continue
    const task = store.getTask(id)?.state ?? null
    if (!task || isWithoutChange(store, task, name)) left.push({ name, sha, task })
  }
  if (left.length === 0)
    return {
      check: ok('project.branches', `every branch under orch/${project.id}- is of a change that is open or kept`),
    }
  const told = left.map(({ name, task }) => `${name} (${task ? 'its task has ended' : 'no such task'})`)
  const check = warning(
    'project.branches',
    `${count(left.length, 'branch', 'branches')} without a change: ${named(told)}`,
    '`orch doctor --fix` deletes those that are as Orch pushed them; look at the others and delete them by hand',
  )
  return { check, mend: { alone: true, run: () => deleteBranches({ books, mirror, left }) } }
}

/** One that ended unmerged and uncancelled is kept for a person to merge; another name may be anybody's. */
function isWithoutChange(store: Books['store'], task: Task, name: string): boolean {
  if (overBecause(store, task.id) !== 'ended') return false
  return task.branch === name && (task.status === 'cancelled' || task.mergedSha !== null)
}

async function deleteBranches(at: { books: Books; mirror: Mirror; left: Branch[] }): Promise<Mended> {
  const { books, mirror, left } = at
  const mended: Mended = { fixed: [], notFixed: [] }
  for (const { name, sha, task } of left) {
    const pushed = task ? books.store.listIntents({ task: task.id }).filter((intent) => intent.kind === 'change') : []
    if (!pushed.some((intent) => intent.key === sha)) {
      const why = task ? `it is at ${sha.slice(0, 10)}, which Orch did not push` : 'the books know no such task'
      mended.notFixed.push(`branch ${name}: ${why}`)
      continue
    }
    const deleted = await mirror.deleteBranch({ branch: name, expected: sha }).catch((error: unknown) => ({
      ok: false as const,
      text: messageOf(error),
    }))
    if (deleted.ok) mended.fixed.push(`deleted branch ${name} on the remote`)
    else mended.notFixed.push(`branch ${name}: ${deleted.text}`)
  }
  return mended
}

/** What ended tasks had committed stays in the mirror on purpose; only what no task accounts for is drift. */
async function pinsCheck({ books, mirror }: Place): Promise<Check> {
  const pins = await mirror.listPins()
  const tasks = new Set(pins.map((ref) => ref.split('/')[2] ?? ''))
  const unknown = [...tasks].filter((id) => !books.store.getTask(id))
  if (unknown.length === 0)
    return ok('project.pins', `${count(pins.length, 'commit')} kept in the mirror, each for a known task`)
  return warning(
    'project.pins',
    `the mirror keeps commits for tasks that are not on the books: ${named(unknown.toSorted())}`,
    `they take room and do no harm; \`git --git-dir=${mirror.path} for-each-ref refs/orch\` lists them`,
  )
}
