// Drift between the books and the disk: places of tasks that are over, and intents that no step will settle.

import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { IntentRow } from '../store/store.ts'
import { type Books, type DoctorDeps, type Finding, count, mendEach, named, reporter } from './doctor-parts.ts'
import { overBecause } from './doctor-runs.ts'

const { ok, warning } = reporter('service')

/** Workspaces, read copies, logins and handoffs that nobody will come back to. */
export async function checkPlaces({ books, home }: DoctorDeps): Promise<Finding[]> {
  if (!books.ok) return []
  return [
    await workspacesOf(books.value),
    await readCopiesOf(books.value),
    await loginsOf(books.value, join(home, 'logins')),
    await handoffsOf(books.value, join(home, 'handoffs')),
  ]
}

interface Left {
  name: string
  why: string
}

const why = (store: Books['store'], task: string): string | null => {
  const over = overBecause(store, task)
  return over === null ? null : over === 'unknown' ? 'no such task' : 'its task has ended'
}

interface Drift<T extends Left> {
  name: string
  /** What there is too much of, in one and in many. */
  what: readonly [string, string]
  left: T[]
  fix: string
  work: (one: T) => Promise<string>
}

function drift<T extends Left>({ name, what, left, fix, work }: Drift<T>): Finding {
  if (left.length === 0) return { check: ok(name, `no ${what[1]} of tasks or runs that are over`) }
  const told = left.map((one) => `${one.name} (${one.why})`)
  const check = warning(name, `${count(left.length, ...what)} that nobody needs: ${named(told)}`, fix)
  return { check, mend: { alone: true, run: () => mendEach(left, { name: (one) => `${what[0]} ${one.name}`, work }) } }
}

async function workspacesOf({ store, workspaces }: Books): Promise<Finding> {
  const left = (await workspaces.list()).flatMap(({ task }) => {
    const because = why(store, task)
    return because === null ? [] : [{ name: task, why: because }]
  })
  return drift({
    name: 'drift.workspaces',
    what: ['workspace', 'workspaces'],
    left,
    fix: '`orch doctor --fix` removes them; what is not committed is saved first',
    work: async ({ name }) => {
      const { saved } = await workspaces.remove(name)
      return `removed the workspace of ${name}${saved === null ? '' : `; what only it had is in ${saved}`}`
    },
  })
}

/** In workspaces of open tasks; those of others go with them. */
async function readCopiesOf({ store, workspaces }: Books): Promise<Finding> {
  const left = (await workspaces.list()).flatMap(({ task, readCopies }) => {
    if (overBecause(store, task) !== null) return []
    return readCopies.flatMap((runId) => {
      const row = store.getRun(runId)
      if (row && row.endedAt === null) return []
      return [{ name: runId, why: row ? 'its run is over' : 'no such run', task, runId }]
    })
  })
  return drift({
    name: 'drift.read-copies',
    what: ['read copy', 'read copies'],
    left,
    fix: '`orch doctor --fix` removes them: what is written there counts for nothing',
    work: async ({ task, runId }) => {
      const copy = workspaces.findReadCopy({ task, runId })
      if (copy) await workspaces.discard(copy)
      return `removed the read copy of run ${runId}`
    },
  })
}

async function loginsOf({ store, removeLogins }: Books, folder: string): Promise<Finding> {
  const left = (await foldersIn(folder)).flatMap((task) => {
    const because = why(store, task)
    return because === null ? [] : [{ name: task, why: because }]
  })
  return drift({
    name: 'drift.logins',
    what: ['copy of logins', 'copies of logins'],
    left,
    fix: '`orch doctor --fix` gives back what was refreshed and removes them',
    work: async ({ name }) => {
      await removeLogins(name)
      return `removed the logins lent to ${name}`
    },
  })
}

/** Those of runs that were on the books stay, as their logs do. */
async function handoffsOf({ store }: Books, folder: string): Promise<Finding> {
  const left = (await foldersIn(folder)).filter((runId) => !store.getRun(runId) && !mayBegin(store, runId))
  return drift({
    name: 'drift.handoffs',
    what: ['handoff', 'handoffs'],
    left: left.map((name) => ({ name, why: 'no such run' })),
    fix: '`orch doctor --fix` removes them',
    work: async ({ name }) => {
      await rm(join(folder, name), { recursive: true, force: true, maxRetries: 3 })
      return `removed the handoff of run ${name}`
    },
  })
}

/** A run's folders may be made just before it is begun on the books. */
function mayBegin(store: Books['store'], runId: string): boolean {
  const task = runId.slice(0, runId.lastIndexOf('-'))
  const epoch = Number(runId.slice(task.length + 1))
  return store.jobsOf(task).some((job) => job.kind === 'run' && job.epoch === epoch)
}

async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort()
}

const STEP_OF = { change: 'publish', merge: 'land' } as const satisfies Record<IntentRow['kind'], string>

/** An intent is settled by its own step, which looks before it acts; one without that step stays open for ever. */
export async function checkIntents({ books }: DoctorDeps): Promise<Finding[]> {
  if (!books.ok) return []
  const { store } = books.value
  const left = store
    .listIntents({ state: 'open' })
    .filter((intent) => store.getTask(intent.task)?.state.step?.kind !== STEP_OF[intent.kind])
  if (left.length === 0) return [{ check: ok('drift.intents', 'every open intent has the step that settles it') }]
  const told = left.map(({ kind, task, key }) => `${kind} of ${task} (${key.slice(0, 10)})`)
  const check = warning(
    'drift.intents',
    `${count(left.length, 'intent')} that no step will settle: ${named(told)}`,
    'look at the remote whether it happened (`orch task inspect ID` shows what was meant); this is a fault of Orch and worth a report',
  )
  return [{ check }]
}
