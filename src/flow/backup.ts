// A backup while others work: first the database as it is at one moment, then what it names. Everything it names was
// there before it was named, so nothing is missing.
// Invariant: under the name asked for there is a whole, proved backup or what was there before.

import { createReadStream } from 'node:fs'
import { link, lstat, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { UserError, messageOf } from '../lib/errors.ts'
import type { BackupDraft, BackupFacts, Backups } from '../store/store.ts'
import type { WorkKeeper } from '../workspace/workspace.ts'
import { BUNDLES, homeFiles } from './home-files.ts'
import type { BackupView, Vault } from './vault.ts'
import { iso } from './views.ts'

export interface BackupDeps {
  /** ORCH_HOME. */
  home: string
  backups: Backups
  work: WorkKeeper
  now: () => number
  /** A fresh unique id. */
  newId: () => string
  /** Whether a process of this number lives. */
  isAlive: (pid: number) => boolean
}

/** See `Vault.backup`. */
export async function makeBackup(deps: BackupDeps, request: Parameters<Vault['backup']>[0]): Promise<BackupView> {
  const started = performance.now()
  const { file, force } = request
  const database = join(deps.home, 'orch.db')
  if (!(await isThere(database)))
    throw new UserError(3, 'no-database', `there is nothing to back up: ${database} does not exist`)
  if (!force && (await isThere(file))) throw exists(file)
  await checkFolder(file)
  await sweep(deps, file)
  const draft = `${file}.part-${process.pid}-${deps.newId().slice(0, 8)}`
  const removeDraft = async (): Promise<void> => {
    for (const name of ['', '-journal', '.bundle', '.bundle.lock']) await rm(`${draft}${name}`, { force: true })
  }
  try {
    const backup = await deps.backups.begin(database, draft)
    let facts: BackupFacts
    try {
      await addFiles(deps, backup, request.logs)
      await addBundles(deps, backup, `${draft}.bundle`)
      facts = await backup.finish(deps.now())
    } finally {
      backup.close()
    }
    await publish({ draft, file, force })
    return viewOf(facts, { file, bytes: (await stat(file)).size, durationMs: performance.now() - started })
  } finally {
    await removeDraft()
  }
}

async function addFiles(deps: BackupDeps, backup: BackupDraft, logs: boolean): Promise<void> {
  for await (const file of homeFiles(deps.home, { endedRuns: backup.facts.endedRuns, logs })) {
    if (file.kind === 'link') backup.addLink(file)
    else await backup.addFile({ path: file.path, mode: file.mode, content: file.content() })
  }
}

async function addBundles(deps: BackupDeps, backup: BackupDraft, bundle: string): Promise<void> {
  for (const project of backup.facts.projects) {
    if (!(await deps.work.bundle(project, bundle))) continue
    await backup.addFile({
      path: `${BUNDLES}/${project.id}.bundle`,
      mode: 0o600,
      content: createReadStream(bundle),
    })
    await rm(bundle)
  }
}

/** Gives the draft its name. Without `force` a file that came there meanwhile is left alone: a link never replaces one. */
async function publish({ draft, file, force }: { draft: string; file: string; force: boolean }): Promise<void> {
  if (force) await rename(draft, file)
  else {
    try {
      await link(draft, file)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EEXIST') throw exists(file)
      // A file system without hard links.
      if (await isThere(file)) throw exists(file)
      await rename(draft, file)
    }
  }
  await syncFolder(dirname(file))
}

export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r')
  await folder.sync()
}

/** What backups to the same file left that were killed. */
async function sweep(deps: BackupDeps, file: string): Promise<void> {
  const name = `${basename(file)}.part-`
  for (const entry of await readdir(dirname(file))) {
    const pid = entry.startsWith(name) ? /^\d+/.exec(entry.slice(name.length))?.[0] : undefined
    if (pid !== undefined && !deps.isAlive(Number(pid))) await rm(join(dirname(file), entry), { force: true })
  }
}

async function checkFolder(file: string): Promise<void> {
  const folder = await stat(dirname(file)).catch((error: unknown) => {
    throw new UserError(3, 'no-folder', `can't write ${file}: ${messageOf(error)}; make the folder first`)
  })
  if (!folder.isDirectory()) throw new UserError(2, 'no-folder', `can't write ${file}: ${dirname(file)} is no folder`)
  const there = await lstat(file).catch(() => null)
  if (there && !there.isFile()) throw new UserError(2, 'not-a-file', `${file} is no plain file; name another one`)
}

const exists = (file: string): UserError =>
  new UserError(4, 'file-exists', `${file} exists already; name another file, or replace it with --force`)

const isThere = async (path: string): Promise<boolean> => (await lstat(path).catch(() => null)) !== null

/** See `Vault.check`. */
export async function checkBackup(deps: Pick<BackupDeps, 'backups'>, file: string): Promise<BackupView> {
  const started = performance.now()
  const opened = deps.backups.open(file)
  opened.close()
  return viewOf(opened.facts, { file, bytes: (await stat(file)).size, durationMs: performance.now() - started })
}

export function viewOf(facts: BackupFacts, about: { file: string; bytes: number; durationMs: number }): BackupView {
  const bundles = facts.files.filter((file) => file.path.startsWith(`${BUNDLES}/`)).length
  return {
    file: about.file,
    bytes: about.bytes,
    madeAt: facts.madeAt === null ? null : iso(facts.madeAt),
    version: facts.version,
    projects: facts.projects.map((project) => project.id),
    tasks: facts.tasks,
    events: facts.events,
    liveRuns: facts.liveRuns.length,
    files: facts.files.length - bundles,
    bundles,
    durationMs: Math.round(about.durationMs),
  }
}
