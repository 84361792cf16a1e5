// What the halves of a mirror share: where it is, and how git is run on it.

import { stat, unlink } from 'node:fs/promises'
import path from 'node:path'
import { type ProcessResult, sleep } from '../lib/process.ts'
import { expectGood, type GitRequest, isLocked, runGit } from './git.ts'

/** What the parts of a mirror share. */
export interface MirrorAccess {
  folder: string
  /** Environment without any configuration. */
  local: Record<string, string>
  /** The user's environment and credentials. */
  remote: Record<string, string>
  address: string
}

/**
 * Git locks a ref of the mirror for the milliseconds in which it writes it: a lock this old has lost its owner to a kill.
 * Less than the first repeats of a step's trouble wait together (5, 10 and 20 s), so that they see its end.
 */
const STALE_LOCK_MS = 30_000
/** How often a lock is waited for, each time 50 ms longer: 1.4 s in all, for another process at the same ref. */
const LOCK_TRIES = 8

/** Runs git on the mirror with no configuration but its own. */
export async function mirrorGit(
  access: MirrorAccess,
  what: string,
  request: Pick<GitRequest, 'args' | 'input' | 'okCodes' | 'outputCapBytes'> & { env?: Record<string, string> },
): Promise<ProcessResult> {
  const { args, env, ...rest } = request
  const full = { ...rest, args: [`--git-dir=${access.folder}`, ...args], env: { ...access.local, ...env } }
  return expectGood(what, full, await whenUnlocked(access.folder, () => runGit(full)))
}

/** Runs git on a mirror; what another process has locked is waited for, a lock without an owner is removed. */
export async function whenUnlocked(folder: string, run: () => Promise<ProcessResult>): Promise<ProcessResult> {
  for (let attempt = 1; ; attempt += 1) {
    const result = await run()
    if (result.exitCode === 0 || !isLocked(result.stderr) || attempt === LOCK_TRIES) return result
    await removeStaleLock(folder, result.stderr)
    await sleep(50 * attempt)
  }
}

async function removeStaleLock(folder: string, text: string): Promise<void> {
  const lock = /Unable to create '(.*\.lock)'/.exec(text)?.[1]
  const place = lock ? path.resolve(folder, lock) : null
  if (!place?.startsWith(`${folder}/`)) return
  const info = await stat(place).catch(() => null)
  if (info && Date.now() - info.mtimeMs > STALE_LOCK_MS) await unlink(place).catch(() => undefined)
}
