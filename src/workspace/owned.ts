// Folders that a process makes something in: each names its owner, so that what a crash left is told from what is in work.
// Invariant: a folder of a live process is never removed, one of a dead process is removed by the next sweep.

import { mkdir, readdir, rename, stat } from 'node:fs/promises'
import path from 'node:path'
import { type ProcessIdentity, identifyProcess } from '../lib/process-identity.ts'
import { ensureFolder } from './context.ts'
import { removeTree } from './places.ts'

/** What is being made, and what is being removed. */
const MAKING = 'making-'
const REMOVING = 'removing-'

/** Makes a folder of this process below `parent`, its name random and used nowhere else. The caller removes it. */
export async function newOwnedFolder(parent: string): Promise<string> {
  await ensureFolder(parent)
  const folder = path.join(parent, ownedName(MAKING, identifyProcess(process.pid)))
  await mkdir(folder, { mode: 0o700 })
  return folder
}

/** Removes something whole at once for everybody else: a crash in the middle leaves a folder that the next sweep takes. */
export async function removeAtOnce(place: string): Promise<void> {
  const trash = path.join(path.dirname(place), ownedName(REMOVING, identifyProcess(process.pid)))
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

const isInWork = (name: string): boolean => name.startsWith(MAKING) || name.startsWith(REMOVING)

/** A name that tells no owner is nobody's that we know: it is left alone for so long. */
const OWNERLESS_MS = 60_000

/** Removes folders of processes that are gone, also half-made or half-removed ones. `owned` says by name which are a process's at all. */
export async function removeAbandoned(parent: string, owned: (name: string) => boolean = isInWork): Promise<void> {
  for (const name of await readdir(parent).catch(() => [])) {
    if (!owned(name)) continue
    const folder = path.join(parent, name)
    const isAlive = isOwnerAlive(name)
    const made = isAlive === null ? await stat(folder).catch(() => null) : null
    if (isAlive === false || (made !== null && Date.now() - made.mtimeMs > OWNERLESS_MS)) await removeTree(folder)
  }
}

/**
 * The owner stands in the name itself, so that no moment is between the folder and its owner: a file in it would be missing
 * after a kill or on a full disk, and could be changed by what runs there.
 */
export function ownedName(prefix: string, owner: ProcessIdentity | null): string {
  const { pid, startTime, bootId } = owner ?? { pid: process.pid, startTime: 0, bootId: '' }
  const random = crypto.randomUUID().slice(0, 8)
  return `${prefix}${pid.toString(36)}.${startTime.toString(36)}.${bootTag(bootId)}.${random}`
}

/** Short, since paths to sockets may have 107 bytes; with the start time enough to tell boots apart. */
function bootTag(bootId: string): string {
  return bootId.replaceAll('-', '').slice(0, 8)
}

/** Null for a name that tells no owner. */
function isOwnerAlive(name: string): boolean | null {
  const [, pid, startTime, tag] =
    /^(?:making|removing)-([0-9a-z]+)\.([0-9a-z]+)\.([0-9a-f]*)\.[0-9a-f]+$/.exec(name) ?? []
  if (pid === undefined || startTime === undefined) return null
  const now = identifyProcess(Number.parseInt(pid, 36))
  return now !== null && now.startTime === Number.parseInt(startTime, 36) && bootTag(now.bootId) === tag
}
