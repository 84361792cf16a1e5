// Lends an agent's login to a run: a private copy in the run's configuration directory, and back what was refreshed;
// and writes the settings it works by.
// Invariants: the user's file is replaced only by a whole newer one, by one process at a time; the run's directory is
// an agent's to write, so nothing in it is followed: a link there neither brings a file out nor sends one elsewhere.

import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, mkdir, open, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { sleep } from '../lib/process.ts'

export interface CredentialFile {
  /** On this machine. */
  from: string
  /** Relative to the run's configuration directory. */
  to: string
}

/** A lock older than this belongs to a process that died: taking back is a matter of milliseconds. */
const STALE_LOCK_MS = 30_000
/** Logins have a few kilobytes; more is none. */
const MAX_LOGIN_BYTES = 1 << 20

/** Copies each login file that exists. May be called again: the newer of the two stays. */
export async function lendCredentials(files: CredentialFile[], configDir: string): Promise<void> {
  for (const { from, to } of files) {
    const target = join(configDir, to)
    const theirs = await userModifiedAt(from)
    if (theirs === null) continue
    await mkdir(dirname(target), { recursive: true, mode: 0o700 })
    if (!(await isInPlace(configDir, to))) continue
    const ours = await runModifiedAt(target)
    if (ours !== null && ours >= theirs) continue
    const temporary = `${target}.${randomUUID()}`
    await writeFile(temporary, await readFile(from), { mode: 0o600, flag: 'wx' })
    // What isn't a file is no login: an agent put it there.
    if (ours === null) await rm(target, { recursive: true, force: true })
    await rename(temporary, target)
  }
}

/** Writes the run's settings for its agent anew, each whole. Throws when its place in the run's directory was tampered with. */
export async function writeSettings(files: { to: string; text: string }[], configDir: string): Promise<void> {
  for (const { to, text } of files) {
    const target = join(configDir, to)
    await mkdir(dirname(target), { recursive: true, mode: 0o700 })
    if (!(await isInPlace(configDir, to))) throw new Error(`${dirname(target)} was replaced by a link to another place`)
    const temporary = `${target}.${randomUUID()}`
    await writeFile(temporary, text, { mode: 0o600, flag: 'wx' })
    await rm(target, { recursive: true, force: true })
    await rename(temporary, target)
  }
}

/** Writes a login the agent refreshed back to the user's file, whole and under a lock. */
export async function takeBackCredentials(files: CredentialFile[], configDir: string): Promise<void> {
  for (const { from, to } of files) {
    const target = join(configDir, to)
    const [theirs, ours] = [await userModifiedAt(from), await runModifiedAt(target)]
    if (theirs === null || ours === null || ours <= theirs || !(await isInPlace(configDir, to))) continue
    const real = await realpath(from)
    await withLock(`${real}.orch-lock`, async () => {
      const [known, fresh] = [await readFile(real), await readLogin(target)]
      if (fresh === null || fresh.equals(known) || !isSameKind(known, fresh)) return
      const temporary = `${real}.orch-${process.pid}`
      await writeFile(temporary, fresh, { mode: 0o600 })
      await rename(temporary, real)
    })
  }
}

/** The folder of a lent file is the one it is meant to be, no link on the way. */
async function isInPlace(configDir: string, to: string): Promise<boolean> {
  const [root, folder] = await Promise.all([realpath(configDir), realpath(dirname(join(configDir, to)))])
  return folder === dirname(join(root, to))
}

async function readLogin(path: string): Promise<Buffer | null> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    const { size } = await file.stat()
    return size === 0 || size > MAX_LOGIN_BYTES ? null : await file.readFile()
  } catch {
    return null
  }
}

/** A JSON login is replaced only by JSON with the same keys: what an agent broke costs nobody their login. */
function isSameKind(known: Buffer, fresh: Buffer): boolean {
  const keys = keysOf(known)
  return keys === null || keys === keysOf(fresh)
}

function keysOf(text: Buffer): string | null {
  try {
    const value: unknown = JSON.parse(text.toString('utf8'))
    return value && typeof value === 'object' ? Object.keys(value).sort().join('\n') : null
  } catch {
    return null
  }
}

async function userModifiedAt(path: string): Promise<number | null> {
  const found = await stat(path).catch(() => null)
  return found?.isFile() ? found.mtimeMs : null
}

async function runModifiedAt(path: string): Promise<number | null> {
  const found = await lstat(path).catch(() => null)
  return found?.isFile() ? found.mtimeMs : null
}

async function withLock(path: string, work: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      await (await open(path, 'wx', 0o600)).close()
      break
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      const age = Date.now() - ((await userModifiedAt(path)) ?? Date.now())
      if (age > STALE_LOCK_MS) await rm(path, { force: true })
      await sleep(20)
    }
  }
  try {
    await work()
  } finally {
    await rm(path, { force: true })
  }
}
