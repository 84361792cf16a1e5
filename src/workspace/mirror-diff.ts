// Reads what `git diff-tree --raw --numstat -z` says of a change's files.

import type { DiffFile } from './workspace.ts'

/** Reads `--raw --numstat -z`: first every raw record, then every numstat record. */
export function parseDiff(output: string): DiffFile[] {
  const fields = output.split('\0')
  const at = (index: number): string => fields[index] ?? ''
  const files = new Map<string, DiffFile>()
  let index = 0
  while (at(index).startsWith(':')) {
    const file = parseRaw(at(index), at(index + 1), at(index + 2))
    files.set(file.path, file)
    index += hasTwoPaths(at(index)) ? 3 : 2
  }
  while (at(index) !== '') {
    const [added = '', deleted = '', inline = ''] = splitFirst(at(index), 2)
    // A rename's record has no path of its own; the old and the new one follow.
    const file = files.get(inline === '' ? at(index + 2) : inline)
    index += inline === '' ? 3 : 1
    if (!file) continue
    file.binary = added === '-'
    file.addedLines = Number(added) || 0
    file.deletedLines = Number(deleted) || 0
  }
  return [...files.values()]
}

/** The letter of a raw record says whether it names two paths: a rename or a copy. */
const hasTwoPaths = (record: string): boolean => /^[RC]/.test(record.split(' ')[4] ?? '')

function parseRaw(record: string, first: string, second: string): DiffFile {
  const [oldMode, newMode, oldSha, newSha, letter = ''] = record.slice(1).split(' ')
  const onlyMode = letter === 'M' && oldSha === newSha && oldMode !== newMode
  return {
    path: hasTwoPaths(record) ? second : first,
    ...(letter.startsWith('R') ? { from: first } : {}),
    status: onlyMode ? 'mode' : statusOf(letter),
    addedLines: 0,
    deletedLines: 0,
    binary: false,
  }
}

/** Splits at the first `count` tabs only: a path may hold tabs. */
function splitFirst(line: string, count: number): string[] {
  const parts: string[] = []
  let rest = line
  for (let n = 0; n < count; n += 1) {
    const tab = rest.indexOf('\t')
    if (tab < 0) break
    parts.push(rest.slice(0, tab))
    rest = rest.slice(tab + 1)
  }
  return [...parts, rest]
}

function statusOf(letter: string): DiffFile['status'] {
  switch (letter[0]) {
    case 'A':
    case 'C':
      return 'added'
    case 'D':
      return 'deleted'
    case 'R':
      return 'renamed'
    default:
      return 'modified'
  }
}
