// After a restore, before anything else is done: what the books don't know of the world is looked up there.
// Invariant: the branch on the remote is the truth about merges. A task that main holds is done, whatever the books say,
// and a run's folder that the books don't know is never taken for a new run's.

import { access, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TASK_STATUSES, isTerminal } from '../core/lifecycle.ts'
import { ExternalError, messageOf } from '../lib/errors.ts'
import { type Files, diskFiles } from '../lib/files.ts'
import type { Project, Store } from '../store/store.ts'
import type { WorkKeeper } from '../workspace/workspace.ts'
import type { Engine } from './engine.ts'
import { BUNDLES } from './home-files.ts'

/** The file in ORCH_HOME that says a restore has not been settled yet. */
export const MARKER = 'restored.json'

export interface RestoreMark {
  at: string
  /** Folder of ORCH_HOME with the state from before. */
  aside: string
  /** Whether runs that the books don't know were moved there: later ones are new. */
  runsMoved: boolean
  /** Projects whose main has been looked at. */
  settled: string[]
}

export interface SettleDeps {
  home: string
  store: Pick<Store, 'listProjects' | 'listTasks' | 'getTask' | 'getRun'>
  engine: Engine
  work: WorkKeeper
}

/** Settles what a restore left to be settled; gives what it did, in sentences. Idempotent; nothing to do costs one look. */
export async function settleRestore(deps: SettleDeps): Promise<string[]> {
  const mark = await readMark({ home: deps.home, files: diskFiles })
  if (!mark) return []
  const done: string[] = []
  const save = (): Promise<void> =>
    writeFile(join(deps.home, MARKER), JSON.stringify(mark), { mode: 0o600, flush: true })
  if (!mark.runsMoved) {
    const moved = await moveUnknownRuns(deps, mark)
    if (moved > 0) done.push(`moved ${moved} folder(s) of runs that the restored state doesn't know to ${mark.aside}`)
    mark.runsMoved = true
    await save()
  }
  for (const project of deps.store.listProjects()) {
    if (mark.settled.includes(project.id)) continue
    try {
      done.push(...(await settleProject(deps, project)))
    } catch (error) {
      if (!(error instanceof ExternalError)) throw error
      done.push(`${project.id} is not settled after the restore, and lands nothing until it is: ${messageOf(error)}`)
      continue
    }
    mark.settled.push(project.id)
    await save()
  }
  if (deps.store.listProjects().every((project) => mark.settled.includes(project.id)))
    await rm(join(deps.home, MARKER), { force: true })
  return done
}

/** Where the mark of a restore is looked for. */
interface MarkDeps {
  home: string
  files: Pick<Files, 'read'>
}

/** Throws ExternalError while it isn't known what main holds of the project's tasks. */
export async function requireSettled(at: MarkDeps, project: string): Promise<void> {
  const mark = await readMark(at)
  if (!mark || mark.settled.includes(project)) return
  const message = `main has not been looked at since the restore of ${mark.at}, so nothing of ${project} is landed yet; \`orch up\` looks again each minute`
  throw new ExternalError({ system: 'restore', kind: 'unreachable', message })
}

async function readMark({ home, files }: MarkDeps): Promise<RestoreMark | null> {
  try {
    return JSON.parse(Buffer.from(await files.read(join(home, MARKER))).toString('utf8')) as RestoreMark
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    // Cut off by a crash of the restore: it had not replaced anything yet, and looking at everything does no harm.
    if (error instanceof SyntaxError)
      return { at: 'an unknown time', aside: 'before-restore-unknown', runsMoved: false, settled: [] }
    throw error
  }
}

/** Ids of runs are counted, so a later run would find the outcome of one that the books have forgotten. */
async function moveUnknownRuns({ home, store }: SettleDeps, mark: RestoreMark): Promise<number> {
  let moved = 0
  for (const folder of ['runs', 'handoffs']) {
    for (const run of await readdir(join(home, folder)).catch(() => [])) {
      if (store.getRun(run) !== null) continue
      const to = join(home, mark.aside, folder)
      await mkdir(to, { recursive: true, mode: 0o700 })
      await rename(join(home, folder, run), join(to, run))
      moved += folder === 'runs' ? 1 : 0
    }
  }
  return moved
}

const OPEN = TASK_STATUSES.filter((status) => !isTerminal(status))

async function settleProject(deps: SettleDeps, project: Project): Promise<string[]> {
  const { store, work } = deps
  const lines = store.listTasks({ project: project.id, statuses: OPEN, limit: Number.MAX_SAFE_INTEGER })
  const tasks = lines.flatMap((line) => store.getTask(line.id)?.state ?? [])
  const done: string[] = []
  for (const base of new Set(tasks.map((task) => task.policy?.base ?? null))) {
    const on = tasks.filter((task) => (task.policy?.base ?? null) === base)
    const landed = await work.landings(project, { base, since: Math.min(...on.map((task) => task.createdAt)) })
    for (const task of on) {
      const sha = landed.get(task.id)
      if (sha === undefined) continue
      const adopted = await deps.engine.submit(
        { type: 'adopt-merge', task: task.id, mergedSha: sha },
        { actor: { kind: 'engine', name: 'orch' }, cause: 'settle-restore', correlation: task.id },
      )
      if (adopted.ok) done.push(`${task.id} was landed as ${sha.slice(0, 10)} after the backup was made; it is done`)
    }
  }
  const bundle = join(deps.home, BUNDLES, `${project.id}.bundle`)
  if (
    await access(bundle).then(
      () => true,
      () => false,
    )
  )
    done.push(...(await takeBundle(deps, project, bundle)))
  return done
}

/** A bundle that can't be taken in stays where it is, for a person. */
async function takeBundle(deps: SettleDeps, project: Project, bundle: string): Promise<string[]> {
  try {
    const refs = await deps.work.take(project, bundle)
    await rm(bundle)
    return refs > 0 ? [`took ${refs} ref(s) of unpushed work of ${project.id} from the backup`] : []
  } catch (error) {
    if (!(error instanceof ExternalError) || error.kind !== 'rejected') throw error
    return [`${messageOf(error)}; it stays there`]
  }
}
