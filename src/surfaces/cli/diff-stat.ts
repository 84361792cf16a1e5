// The size of a change, as people read it.

import type { ChangeStat, DiffFile } from '../../flow/app.ts'
import { type Column, table } from './print.ts'
import type { CliContext } from './context.ts'

/** `3 files, +40 −2`. */
export function statText(stat: ChangeStat): string {
  const { length } = stat.files
  return `${length} ${length === 1 ? 'file' : 'files'}, +${stat.addedLines} −${stat.deletedLines}`
}

const COLUMNS: Column<DiffFile>[] = [
  { title: 'ADDED', text: (file) => (file.binary ? '-' : `+${file.addedLines}`), paint: () => 'green' },
  { title: 'DELETED', text: (file) => (file.binary ? '-' : `−${file.deletedLines}`), paint: () => 'red' },
  { title: 'HOW', text: (file) => (file.binary ? `${file.status}, binary` : file.status) },
  { title: 'FILE', text: (file) => (file.from ? `${file.from} → ${file.path}` : file.path) },
]

/** A line for each file, and the sum. */
export function statLines(stat: ChangeStat, context: CliContext): string[] {
  return [...table(COLUMNS, stat.files, context), '', statText(stat)]
}
