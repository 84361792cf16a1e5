// The quick part of the doctor, before every command that changes something: a few system calls, at most one process.
// Shared with the whole doctor: the proof by writing, what is enough disk, which git will do.

import { closeSync, mkdirSync, openSync, readdirSync, statfsSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '../lib/errors.ts'
import { identifyProcess, isSameProcessAlive } from '../lib/process-identity.ts'
import type { QuickNeeds, QuickTrouble } from './app.ts'

export interface QuickDeps {
  home: string
  gitVersion: () => Promise<string | null>
  /** Opens the books as the command itself will. Throws UserError for those that can't be used. */
  openBooks: () => Promise<unknown>
}

/** The first thing that keeps a command from its work, or null. Throws what `openBooks` throws. Leaves nothing behind. */
export async function quickLook(deps: QuickDeps, needs: readonly QuickNeeds[]): Promise<QuickTrouble | null> {
  const { home } = deps
  if (needs.includes('home')) {
    const trouble = homeTrouble(home)
    if (trouble) return trouble
    await deps.openBooks()
  }
  if (!needs.includes('git')) return null
  const version = await deps.gitVersion()
  if (version === null) return { code: 'tool-missing', text: `git can't be run: install git ${GIT_NEEDED}` }
  return isGitEnough(version)
    ? null
    : { code: 'tool-too-old', text: `git ${version} is too old: install git ${GIT_NEEDED}` }
}

/** merge-tree --write-tree, without which nothing lands, came with git 2.38. */
const GIT_MIN = [2, 38] as const
export const GIT_NEEDED = `${GIT_MIN.join('.')} or newer`

export const isGitEnough = (version: string): boolean => atLeast(version, GIT_MIN)

export function atLeast(version: string, min: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > min[0] || (major === min[0] && minor >= min[1])
}

/**
 * A command's commits take some tens of kilobytes, and what a full disk does to them is known; this is for a disk that
 * will be full in the middle. What a task needs beside that is the whole doctor's to say.
 */
const LEAST_BYTES = 2 ** 20
const LEAST_FILES = 16

function homeTrouble(home: string): QuickTrouble | null {
  try {
    mkdirSync(home, { recursive: true, mode: 0o700 })
  } catch (error) {
    return { code: 'no-access', text: `ORCH_HOME can't be made: ${messageOf(error)}; set it to a folder of yours` }
  }
  const { bytes, files } = room(home)
  if (bytes < LEAST_BYTES || (files !== null && files < LEAST_FILES))
    return { code: 'disk-full', text: `the disk where ${home} is is full: make room and try again` }
  const problem = proveWritable(home)
  if (!problem) return null
  const full = problem.code === 'ENOSPC' || problem.code === 'EDQUOT'
  return full
    ? { code: 'disk-full', text: `${problem.text}: make room and try again` }
    : { code: 'no-access', text: `${problem.text}: check who owns it, or set ORCH_HOME to another folder` }
}

/** Free bytes and free files for this user; null where the file system counts no files. Throws when it can't be asked. */
export function room(folder: string): { bytes: number; files: number | null } {
  const { bavail, bsize, files, ffree } = statfsSync(folder)
  return { bytes: bavail * bsize, files: files > 0 ? ffree : null }
}

const PROBE = '.orch-probe-'

/** Writes a file of its own name and removes it. Null when that went well. Any number of processes may do it at once. */
export function proveWritable(folder: string): { code: string; text: string } | null {
  const identity = identifyProcess(process.pid)
  const owner = `${process.pid}-${identity?.startTime ?? 0}-${(identity?.bootId ?? '').slice(0, 8)}`
  const probe = join(folder, `${PROBE}${owner}-${crypto.randomUUID().slice(0, 8)}`)
  try {
    const file = openSync(probe, 'wx', 0o600)
    try {
      writeSync(file, Buffer.alloc(512))
    } finally {
      closeSync(file)
      unlinkSync(probe)
    }
    return null
  } catch (error) {
    return { code: (error as NodeJS.ErrnoException).code ?? '', text: messageOf(error) }
  }
}

/** Probes in a folder whose process died before it removed them. */
export function leftoverProbes(folder: string): string[] {
  return namesIn(folder)
    .filter((name) => name.startsWith(PROBE) && !isOfLiveProcess(name))
    .map((name) => join(folder, name))
}

function isOfLiveProcess(name: string): boolean {
  const [pid, startTime, boot] = name.slice(PROBE.length).split('-')
  const now = identifyProcess(Number(pid))
  if (!now || !now.bootId.startsWith(boot ?? '')) return false
  return isSameProcessAlive({ pid: Number(pid), startTime: Number(startTime), bootId: now.bootId })
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
