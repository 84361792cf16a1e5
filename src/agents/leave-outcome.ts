// The supervisor's last word: the outcome's place is taken while there is room, and written whatever happens.
// Lean: the supervisor loads this.

import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { sleep } from '../lib/process.ts'
import { type OutcomeRecord, syncFolder } from './run-files.ts'

/** An outcome is never longer, so its space is taken while there is some (a full disk must not cost the outcome). */
const OUTCOME_BYTES = 4096
const RETRY_OUTCOME_MS = 1_000

/** Takes the outcome's space on disk before anything can fill it. */
export function openOutcome(path: string): number {
  const descriptor = openSync(temporaryOf(path), 'w', 0o600)
  try {
    writeSync(descriptor, Buffer.alloc(OUTCOME_BYTES, ' '))
    fsyncSync(descriptor)
  } catch (error) {
    console.error(`no space reserved for the outcome: ${String(error)}`)
  }
  return descriptor
}

/** Gives the space back: it is somebody else's run. */
export function dropOutcome(path: string, descriptor: number): void {
  closeSync(descriptor)
  unlinkSync(temporaryOf(path))
}

/** Writes the outcome, also on a full disk: into the reserved space, at last at the log's expense, again until it is there. */
export async function leaveOutcome(request: {
  path: string
  descriptor: number
  record: OutcomeRecord
  output: number
}): Promise<void> {
  const { path, descriptor, record, output } = request
  const startError = record.startError?.slice(0, 1_000)
  const text = JSON.stringify({ ...record, ...(startError === undefined ? {} : { startError }) })
  for (let attempt = 0; ; attempt += 1) {
    try {
      const length = writeSync(descriptor, text, 0)
      ftruncateSync(descriptor, length)
      fsyncSync(descriptor)
      renameSync(temporaryOf(path), path)
      syncFolder(dirname(path))
      return
    } catch (error) {
      console.error(`outcome not written (attempt ${attempt + 1}): ${String(error)}`)
      // Its folder was removed: there is nobody left to tell.
      if (!existsSync(dirname(path))) return
      if (attempt === 3) ftruncateSync(output, Math.floor(fstatSync(output).size / 2))
      await sleep(RETRY_OUTCOME_MS)
    }
  }
}

const temporaryOf = (path: string): string => `${path}.${process.pid}.tmp`
