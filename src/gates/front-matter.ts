// The one parser of handoffs (C-12, C-13): front matter is the verdict, prose never counts, what is broken is never a pass.
// Invariant: an agent wrote everything read here; nothing of it is followed, resolved, executed or guessed.

import { constants } from 'node:fs'
import { lstat, open } from 'node:fs/promises'
import { join } from 'node:path'
import { parsePlainYaml } from '../lib/plain-yaml.ts'
import type { Handoff } from './gate.ts'

export const MAX_HANDOFF_BYTES = 1 << 20
/** The machine keys of a handoff are a few lines and a list of findings; prose has the rest of the file. */
const MAX_FRONT_BYTES = 128 << 10

/** Reads `handoff.md` in a run's handoff directory. Links, other kinds of files and what is too big are problems, never followed. */
export async function readHandoff(dir: string): Promise<Handoff> {
  const folder = await lstat(dir).catch(() => null)
  if (!folder)
    return broken(
      'the handoff directory is gone; write handoff.md into the directory named by Orch-Handoff and leave the directory itself alone',
    )
  if (!folder.isDirectory())
    return broken('the handoff directory was replaced by something else; leave the directory itself alone')
  const path = join(dir, 'handoff.md')
  const file = await lstat(path).catch(() => null)
  if (!file) return broken('there is no handoff.md in the handoff directory; write one before you end')
  if (file.isSymbolicLink()) return broken('handoff.md is a link; write a regular file')
  if (!file.isFile()) return broken('handoff.md is not a regular file')
  // A second name may be a file of somebody else that only looks like this run's own.
  if (file.nlink > 1) return broken('handoff.md is a hard link; write a file of its own')
  if (file.size > MAX_HANDOFF_BYTES)
    return broken(`handoff.md has ${file.size} bytes; at most ${MAX_HANDOFF_BYTES} are read`)
  const bytes = await readRegular(path)
  if (!bytes) return broken("handoff.md can't be read; write a regular file that its owner can read")
  if (bytes.length > MAX_HANDOFF_BYTES) return broken(`handoff.md has more than ${MAX_HANDOFF_BYTES} bytes`)
  try {
    return parseFrontMatter(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return broken('handoff.md is not UTF-8 text')
  }
}

/** NOFOLLOW and NONBLOCK: neither a link nor a pipe put there since the look may be opened. */
async function readRegular(path: string): Promise<Buffer | null> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => null)
  if (!handle) return null
  try {
    if (!(await handle.stat()).isFile()) return null
    const buffer = Buffer.alloc(MAX_HANDOFF_BYTES + 1)
    let length = 0
    while (length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length)
      if (bytesRead === 0) break
      length += bytesRead
    }
    return buffer.subarray(0, length)
  } catch {
    return null
  } finally {
    await handle.close()
  }
}

/**
 * Splits a handoff into keys and prose. Keys are lower case; every scalar is text, so that a sha of digits or a
 * `no` stays what was written; an empty value is absent. Pure, never throws.
 */
export function parseFrontMatter(text: string): Handoff {
  const lines = text.split(/\r\n|\n/)
  if (!/^---[ \t]*$/.test(lines[0] ?? '')) {
    return broken('handoff.md does not begin with front matter; its first line must be ---, with nothing before it')
  }
  const end = lines.findIndex((line, index) => index > 0 && /^(?:---|\.\.\.)[ \t]*$/.test(line))
  if (end < 0) return broken('the front matter of handoff.md has no end; close it with a line ---')
  // The opening fence stays as an empty line, so that line numbers are those of the file.
  const front = ['', ...lines.slice(1, end)].join('\n')
  const parsed = parsePlainYaml(front, { maxBytes: MAX_FRONT_BYTES, maxAliases: 0, scalars: 'text' })
  if (!parsed.ok) {
    const first = parsed.problems[0]
    return broken(
      `the front matter of handoff.md is not plain YAML: line ${first?.line ?? 1}: ${first?.text ?? 'unreadable'} (put text with a colon in quotes)`,
    )
  }
  if (typeof parsed.value !== 'object' || parsed.value === null || Array.isArray(parsed.value)) {
    return broken('the front matter of handoff.md is not a list of keys and values')
  }
  const entries = Object.entries(parsed.value).map(([key, value]): [string, unknown] => [
    key.trim().toLowerCase(),
    value,
  ])
  const names = entries.map(([key]) => key)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) return broken(`the front matter of handoff.md has the key ${twice} twice`)
  // fromEntries defines own properties, also one called __proto__.
  const keys = Object.fromEntries(entries.filter(([, value]) => value !== '' && value !== null))
  return {
    ok: true,
    keys,
    prose: lines
      .slice(end + 1)
      .join('\n')
      .trim(),
  }
}

function broken(problem: string): Handoff {
  return { ok: false, problem }
}
