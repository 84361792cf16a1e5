// The files of a run's folder, as the supervisor writes them and the runner reads them.
// Invariant: supervisor.json and outcome.json appear whole or not at all, each exactly once. Lean: the supervisor loads this.

import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { ProcessIdentity } from '../lib/process-identity.ts'
import type { RunSpec } from './agent.ts'

/** A run's spec as kept: the prompt is in prompt.md; the environment is dropped once the supervisor has read it. */
export type StoredSpec = Omit<RunSpec, 'prompt'>

export interface SupervisorRecord extends ProcessIdentity {
  startedAt: number
  /** Where its kernel's group of processes is or was to be; absent when it has none. */
  group?: string
}

export interface OutcomeRecord {
  exitCode: number | null
  signal: string | null
  /** Who ended it, when it did not end by itself. */
  endedBy: null | 'time-limit' | 'stalled' | 'flood' | 'cancelled'
  /** The person or part that cancelled; null otherwise. */
  by: string | null
  startedAt: number
  endedAt: number
  /** Why the agent could not be started at all. */
  startError?: string
  /** Processes that could not be ended, if any: never in silence. */
  survivors?: number[]
}

export interface StopRecord {
  by: string
}

/** Tells whatever an agent starts that it runs inside of a run, and of which. */
export const RUN_NAME = 'ORCH_RUN'
/**
 * The environment variable every process of a run carries, and by which its strays are found: the run's folder, since
 * run ids repeat from one ORCH_HOME to another and a stray of somebody else's run is not ours to end.
 */
export const RUN_MARKER = 'ORCH_RUN_FOLDER'

/** The marker's value: the same whichever way the folder is called. */
export function markOf(dir: string): string {
  try {
    return realpathSync(dir)
  } catch {
    return resolve(dir)
  }
}

export function runFiles(
  dir: string,
): Record<'prompt' | 'output' | 'stderr' | 'spec' | 'supervisor' | 'outcome' | 'stop' | 'supervisorLog', string> {
  return {
    prompt: join(dir, 'prompt.md'),
    output: join(dir, 'output.log'),
    stderr: join(dir, 'stderr.log'),
    spec: join(dir, 'spec.json'),
    supervisor: join(dir, 'supervisor.json'),
    outcome: join(dir, 'outcome.json'),
    stop: join(dir, 'stop.json'),
    supervisorLog: join(dir, 'supervisor.log'),
  }
}

/** What a record's file holds: `broken` after a power cut on a disk that kept less than it said, or by somebody's hand. */
export type Found<T> = { is: 'there'; record: T } | { is: 'absent' | 'broken' }

/** Fields without which a record says nothing. Others may be added by another version, and are let alone. */
const NEEDED = {
  spec: { runId: 'string', agent: 'string', resumed: 'boolean', file: 'string', cwd: 'string' },
  supervisor: { pid: 'number', startTime: 'number', bootId: 'string' },
  outcome: { startedAt: 'number', endedAt: 'number' },
  stop: { by: 'string' },
} as const

interface Records {
  spec: StoredSpec
  supervisor: SupervisorRecord
  outcome: OutcomeRecord
  stop: StopRecord
}

/** Reads a record of a run's folder. Throws only when the disk can't be read. */
export function findRecord<K extends keyof Records>(dir: string, name: K): Found<Records[K]> {
  let text: string
  try {
    text = readFileSync(runFiles(dir)[name], 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return { is: 'absent' }
    throw error
  }
  try {
    const record: unknown = JSON.parse(text)
    const fields = Object.entries(NEEDED[name])
    const isWhole =
      typeof record === 'object' &&
      record !== null &&
      fields.every(([key, type]) => typeof (record as Record<string, unknown>)[key] === type)
    return isWhole ? { is: 'there', record: record as Records[K] } : { is: 'broken' }
  } catch {
    return { is: 'broken' }
  }
}

/** A record, or null when it isn't there or says nothing. */
export function readRecord<K extends keyof Records>(dir: string, name: K): Records[K] | null {
  const found = findRecord(dir, name)
  return found.is === 'there' ? found.record : null
}

/** Writes a file whole: temporary file, fsync, rename, fsync of the folder. Readable by its owner only. */
export function writeWhole(path: string, content: string): void {
  const temporary = `${path}.${process.pid}.tmp`
  writeSynced(temporary, content)
  renameSync(temporary, path)
  syncFolder(dirname(path))
}

/** Like `writeWhole`, but only the first writer wins; false when there was one before. */
export function claimWhole(path: string, content: string): boolean {
  const temporary = `${path}.${process.pid}.tmp`
  writeSynced(temporary, content)
  try {
    linkSync(temporary, path)
    syncFolder(dirname(path))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    unlinkSync(temporary)
  }
}

function writeSynced(path: string, content: string): void {
  const descriptor = openSync(path, 'w', 0o600)
  try {
    const bytes = Buffer.from(content)
    let written = 0
    while (written < bytes.length) written += writeSync(descriptor, bytes, written)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

export function syncFolder(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
