// A restore: the backup is proved, the present state moved aside, the backup's put in its place. What the world has done
// since then is found out by the next `orch up`, before it does anything else (settle-restore.ts).
// Invariant: at every moment there is a whole database under its name, and nothing of the state from before is deleted.

import { link, lstat, mkdir, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { UserError } from '../lib/errors.ts'
import type { Runner } from '../agents/agent.ts'
import type { OpenedBackup } from '../store/store.ts'
import { type BackupDeps, syncFolder, viewOf } from './backup.ts'
import { checkName, isSame, putBack } from './home-files.ts'
import { MARKER, type RestoreMark } from './settle-restore.ts'
import type { RestoreView, Vault } from './vault.ts'
import { iso } from './views.ts'

export interface RestoreDeps extends BackupDeps {
  runner: Pick<Runner, 'state'>
  /** Null when an `orch up` runs. */
  lock: () => { release(): void } | null
}

/** See `Vault.restore`. */
export async function restoreBackup(deps: RestoreDeps, request: Parameters<Vault['restore']>[0]): Promise<RestoreView> {
  const started = performance.now()
  const { home } = deps
  const { file, force } = request
  const opened = deps.backups.open(file)
  try {
    for (const one of opened.facts.files) checkName(one.path)
    await mkdir(home, { recursive: true, mode: 0o700 })
    const lock = deps.lock()
    if (!lock) throw new UserError(4, 'already-up', `an \`orch up\` runs on ${home}; stop it first, then restore`)
    try {
      await refuseLiveRuns(deps)
      const database = join(home, 'orch.db')
      const present = (await lstat(database).catch(() => null)) !== null
      if (present && !force) {
        const text = `${home} holds a database already; \`--force\` moves it aside and puts the backup in its place`
        throw new UserError(4, 'state-exists', text)
      }
      const { before, moved } = await replaceState(deps, { opened, database, present })
      const bytes = (await stat(file)).size
      return { ...viewOf(opened.facts, { file, bytes, durationMs: performance.now() - started }), before, moved }
    } finally {
      lock.release()
    }
  } finally {
    opened.close()
  }
}

/** Asked of the processes and not of a database, which may be the one that is damaged. */
async function refuseLiveRuns({ home, runner }: RestoreDeps): Promise<void> {
  const live: string[] = []
  for (const run of await readdir(join(home, 'runs')).catch(() => []))
    if (/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(run) && (await runner.state(run)) === 'running') live.push(run)
  if (live.length === 0) return
  const tasks = [...new Set(live.map((run) => run.replace(/-\d+$/, '')))]
  throw new UserError(
    4,
    'runs-live',
    `agents are at work on ${home} (run ${live.join(', ')}); let \`orch up\` see them to their end, or end them: ${tasks.map((task) => `\`orch task cancel ${task}\``).join(', ')}`,
  )
}

async function replaceState(
  deps: RestoreDeps,
  at: { opened: OpenedBackup; database: string; present: boolean },
): Promise<{ before: string | null; moved: string[] }> {
  const { home, backups } = deps
  const { opened, database, present } = at
  const name = `before-restore-${iso(deps.now()).replace(/[:.]/g, '-')}`
  const aside = join(home, name)
  await mkdir(aside, { mode: 0o700 })
  const draft = `${database}.restoring`
  try {
    for (const suffix of ['', '-journal', '-wal', '-shm']) await rm(`${draft}${suffix}`, { force: true })
    await opened.writeDatabase(draft, await lastNumbers(deps, database))
    // First of all: should this be interrupted anywhere below, the next `orch up` looks at the world before it acts.
    const mark: RestoreMark = { at: iso(deps.now()), aside: name, runsMoved: false, settled: [] }
    await writeFile(join(home, MARKER), JSON.stringify(mark), { mode: 0o600, flush: true })
    const moved = await putFiles(deps, { opened, aside })
    if (present) {
      backups.settle(database)
      await link(database, join(aside, 'orch.db'))
      for (const suffix of ['-wal', '-shm'])
        await rename(`${database}${suffix}`, join(aside, `orch.db${suffix}`)).catch(ignoreAbsent)
    }
    await syncFolder(aside)
    await rename(draft, database)
    await syncFolder(home)
    await wake(home)
    return { before: present || moved.length > 0 ? aside : null, moved }
  } finally {
    await rm(draft, { force: true })
  }
}

const ignoreAbsent = (error: NodeJS.ErrnoException): void => {
  if (error.code !== 'ENOENT') throw error
}

/** What is there and differs is moved aside; what is the same is left. Logs only ever grow: the present ones stay. */
async function putFiles(
  { home }: RestoreDeps,
  { opened, aside }: { opened: OpenedBackup; aside: string },
): Promise<string[]> {
  const moved: string[] = []
  for (const file of opened.facts.files) {
    const state = await isSame(home, file, opened.content(file.path))
    if (state === 'same' || (state === 'other' && file.path.startsWith('runs/'))) continue
    if (state === 'other') {
      await mkdir(dirname(join(aside, file.path)), { recursive: true, mode: 0o700 })
      await rename(join(home, file.path), join(aside, file.path))
      moved.push(file.path)
    }
    await putBack(home, file, opened.content(file.path))
  }
  return moved
}

/** A number that was given once is not given again, also by a database that doesn't know of it: branches and files bear it. */
async function lastNumbers(deps: RestoreDeps, database: string): Promise<Record<string, number>> {
  const last = { ...deps.backups.numbersOf(database) }
  for (const folder of ['artifacts', 'runs', 'workspaces', 'saved', 'handoffs']) {
    for (const name of await readdir(join(deps.home, folder)).catch(() => [])) {
      const [, project, number] = /^([A-Z][A-Z0-9]*)-(\d{1,9})(?:-|$)/.exec(name) ?? []
      if (project && number) last[project] = Math.max(last[project] ?? 0, Number(number))
    }
  }
  return last
}

/** Whoever watches a board sees the other state. */
async function wake(home: string): Promise<void> {
  const file = join(home, 'wake')
  await writeFile(file, '', { flag: 'a', mode: 0o600 })
  const now = new Date()
  await utimes(file, now, now)
}
