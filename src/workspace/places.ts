// Names and paths that come from outside, checked before they become a place on the disk.

import { createHash } from 'node:crypto'
import { chmod, lstat, readdir, realpath, rm } from 'node:fs/promises'
import path from 'node:path'
import { ExternalError } from '../lib/errors.ts'

/** A name that may be a folder's: no separators, no leading dot or dash. Throws ExternalError `rejected`. */
export function safeName(name: string, what: string): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$/.test(name) && !name.includes('..') && !name.endsWith('.lock')) return name
  throw new ExternalError({
    system: 'workspace',
    kind: 'rejected',
    message: `${what} ${JSON.stringify(name)} can't be the name of a folder; use letters, digits, dots and dashes`,
  })
}

/** A branch name git accepts, and that can't be taken for an option or a path upwards. Throws ExternalError `rejected`. */
export function safeBranch(branch: string): string {
  const bad =
    branch === '' ||
    branch === 'HEAD' ||
    branch.startsWith('-') ||
    branch.startsWith('/') ||
    branch.endsWith('/') ||
    branch.endsWith('.') ||
    branch.includes('..') ||
    branch.includes('//') ||
    branch.includes('@{') ||
    /[\x00-\x20\x7f~^:?*[\\]/.test(branch) ||
    branch.split('/').some((part) => part.startsWith('.') || part.endsWith('.lock'))
  if (!bad) return branch
  throw new ExternalError({
    system: 'workspace',
    kind: 'rejected',
    message: `${JSON.stringify(branch)} can't be a branch's name`,
  })
}

/** A full object name. Throws ExternalError `rejected`: short names and options never reach git. */
export function safeSha(sha: string): string {
  if (/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(sha)) return sha
  throw new ExternalError({
    system: 'workspace',
    kind: 'rejected',
    message: `${JSON.stringify(sha)} is not a full commit name`,
  })
}

/** The place of `relative` inside `root`, links followed. Throws ExternalError `rejected` when it lies outside, `not-found` when it isn't there. */
export async function placeInside(root: string, relative: string): Promise<string> {
  const realRoot = await realpath(root)
  const wanted = path.resolve(realRoot, relative)
  let real: string
  try {
    real = isInside(realRoot, wanted) ? await realpath(wanted) : wanted
  } catch (error) {
    throw new ExternalError({
      system: 'workspace',
      kind: 'not-found',
      message: `There is no ${relative} in the repository`,
      cause: error,
    })
  }
  if (isInside(realRoot, real)) return real
  throw new ExternalError({ system: 'workspace', kind: 'rejected', message: `${relative} leads out of the repository` })
}

/** True for the root itself and everything under it. Both must be absolute. */
export function isInside(root: string, place: string): boolean {
  return place === root || place.startsWith(root === '/' ? '/' : `${root}/`)
}

/** True when it is a real directory: neither a link nor absent. */
export async function isRealDirectory(place: string): Promise<boolean> {
  const info = await lstat(place).catch(() => null)
  return info?.isDirectory() ?? false
}

/** Removes a tree, read-only folders (a Go module cache) included. Nothing there is fine. Never follows a link. */
export async function removeTree(place: string): Promise<void> {
  try {
    await rm(place, { recursive: true, force: true, maxRetries: 3, retryDelay: 50 })
  } catch (error) {
    if (!['EACCES', 'EPERM', 'ENOTEMPTY'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    await makeWritable(place)
    await rm(place, { recursive: true, force: true, maxRetries: 3, retryDelay: 50 })
  }
}

async function makeWritable(folder: string): Promise<void> {
  await chmod(folder, 0o700).catch(() => undefined)
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  for (const entry of entries) if (entry.isDirectory()) await makeWritable(path.join(folder, entry.name))
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
