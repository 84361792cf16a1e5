// Reading one file at a commit for a gate: what the mirror refuses (a link, a file too large) is an answer, not an accident.

import { ExternalError } from '../lib/errors.ts'
import type { Mirror } from '../workspace/workspace.ts'

export type FileText = { kind: 'text'; text: string } | { kind: 'absent' } | { kind: 'refused' }

/** Throws only when git itself can't work. */
export async function readText(mirror: Pick<Mirror, 'readFile'>, at: { sha: string; path: string }): Promise<FileText> {
  try {
    const text = await mirror.readFile(at.sha, at.path)
    return text === null ? { kind: 'absent' } : { kind: 'text', text }
  } catch (error) {
    if (error instanceof ExternalError && error.kind === 'rejected') return { kind: 'refused' }
    throw error
  }
}

/** The text, or null for anything that isn't there as text. */
export async function findText(
  mirror: Pick<Mirror, 'readFile'>,
  at: { sha: string; path: string },
): Promise<string | null> {
  const file = await readText(mirror, at)
  return file.kind === 'text' ? file.text : null
}
