// Looks into folders that agents write, for the sessions that runs left there.
// Invariant: links are never followed and nothing but plain files is opened: what an agent put there can't hold up Orch.

import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'

/** Paths of the real folders in a real folder; none when it is anything else. */
export function foldersIn(folder: string): string[] {
  return entriesIn(folder, 'isDirectory')
}

/** Paths of the plain files in a real folder; none when it is anything else. */
export function filesIn(folder: string): string[] {
  return entriesIn(folder, 'isFile')
}

function entriesIn(folder: string, kind: 'isDirectory' | 'isFile'): string[] {
  try {
    if (!lstatSync(folder).isDirectory()) return []
    const entries = readdirSync(folder, { withFileTypes: true })
    return entries.filter((entry) => entry[kind]()).map(({ name }) => join(folder, name))
  } catch {
    return []
  }
}

/** The beginning of a plain file, and its size in bytes; null when there is none that can be read. */
export function headOf(path: string, bytes: number): { head: string; size: number } | null {
  try {
    const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      const stat = fstatSync(file)
      if (!stat.isFile()) return null
      const buffer = Buffer.alloc(Math.min(bytes, stat.size))
      return { head: buffer.toString('utf8', 0, readSync(file, buffer)), size: stat.size }
    } finally {
      closeSync(file)
    }
  } catch {
    return null
  }
}
