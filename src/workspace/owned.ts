// Folders that a process makes something in: each names its owner, so that what a crash left is told from what is in work.
// Invariant: a folder of a live process is never removed, one of a dead process is removed by the next sweep.

import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { type ProcessIdentity, identifyProcess, isSameProcessAlive } from '../lib/process-identity.ts'
import { ensureFolder } from './context.ts'
import { removeTree } from './places.ts'

const OWNER = 'owner.json'
const DRAFT = 'new-'
const MAKING = 'making-'

/** Makes a folder of this process below `parent`, its name random and used nowhere else. The caller removes it. */
export async function newOwnedFolder(parent: string): Promise<string> {
  await ensureFolder(parent)
  const draft = path.join(parent, `${DRAFT}${crypto.randomUUID()}`)
  const folder = path.join(parent, `${MAKING}${crypto.randomUUID().slice(0, 13)}`)
  await mkdir(draft, { mode: 0o700 })
  await writeFile(path.join(draft, OWNER), JSON.stringify(identifyProcess(process.pid)))
  await rename(draft, folder)
  return folder
}

/** Removes something whole at once for everybody else: a crash in the middle leaves a folder that the next sweep takes. */
export async function removeAtOnce(place: string): Promise<void> {
  const trash = path.join(path.dirname(place), `${DRAFT}${crypto.randomUUID()}`)
  try {
    await rename(place, trash)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  await removeTree(trash)
}

/** Names below `parent` that are things, not folders somebody is making one in. A parent that isn't there has none. */
export async function finishedIn(parent: string): Promise<string[]> {
  const names = await readdir(parent).catch(() => [])
  return names.filter((name) => !isInWork(name))
}

const isInWork = (name: string): boolean => name.startsWith(DRAFT) || name.startsWith(MAKING)

/** Far above what writing one small file takes: a folder that names no owner by then was left by a crash. */
const OWNERLESS_MS = 60_000

/** Removes folders of processes that are gone, also half-made or half-removed ones. `owned` says by name which are a process's at all. */
export async function removeAbandoned(parent: string, owned: (name: string) => boolean = isInWork): Promise<void> {
  for (const name of await readdir(parent).catch(() => [])) {
    if (!owned(name)) continue
    const folder = path.join(parent, name)
    const owner = await readOwner(folder)
    const made = owner ? null : await stat(folder).catch(() => null)
    const gone = owner ? !isSameProcessAlive(owner) : made !== null && Date.now() - made.mtimeMs > OWNERLESS_MS
    if (gone) await removeTree(folder)
  }
}

/** Null for a folder that names none: it is being made or removed, or a process was killed doing that. */
async function readOwner(folder: string): Promise<ProcessIdentity | null> {
  try {
    return JSON.parse(await readFile(path.join(folder, OWNER), 'utf8')) as ProcessIdentity | null
  } catch {
    return null
  }
}
