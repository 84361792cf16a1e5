// How values become text: tables on a terminal, the same lines uncut and uncoloured in a pipe, JSON for scripts.

import type { CliContext } from './context.ts'
import { jsonText, sanitizeLine } from './sanitize.ts'

export type Paint = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'blue' | 'magenta' | 'cyan'
// SGR codes on and off (ECMA-48 8.3.117).
const PAINTS: Record<Paint, [number, number]> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  magenta: [35, 39],
  cyan: [36, 39],
}

type Screen = Pick<CliContext, 'isTty' | 'columns' | 'color'>

/** Colours a text that has been sanitised already; nothing without colour. */
export function paint(screen: Pick<CliContext, 'color'>, color: Paint | null, text: string): string {
  if (!screen.color || color === null) return text
  const [on, off] = PAINTS[color]
  return `\u001b[${on}m${text}\u001b[${off}m`
}

/** One JSON value on one line. */
export function printJson(context: Pick<CliContext, 'stdout'>, value: unknown): void {
  context.stdout.write(`${jsonText(value)}\n`)
}

export function printLines(context: Pick<CliContext, 'stdout'>, lines: readonly string[]): void {
  if (lines.length > 0) context.stdout.write(`${lines.join('\n')}\n`)
}

export interface Column<T> {
  title: string
  text: (row: T) => string
  paint?: (row: T) => Paint | null
}

/**
 * Aligned lines with a heading. On a terminal the last column is cut to the width that is left;
 * in a pipe nothing is. Cells are sanitised here, so that no caller can forget to.
 */
export function table<T>(columns: readonly Column<T>[], rows: readonly T[], screen: Screen): string[] {
  const cells = rows.map((row) => columns.map((column) => sanitizeLine(column.text(row))))
  const widths = columns.map((column, index) =>
    Math.max(displayWidth(column.title), ...cells.map((line) => displayWidth(line[index] ?? ''))),
  )
  const last = columns.length - 1
  const before = widths.slice(0, last).reduce((sum, width) => sum + width + GAP.length, 0)
  // Even a crowded line keeps 8 columns of its last cell: enough to tell titles apart.
  const room = screen.isTty ? Math.max(8, screen.columns - before) : Infinity
  const line = (texts: string[], color: (index: number) => Paint | null): string =>
    texts
      .map((text, index) => {
        const cut = index === last ? fit(text, room) : text
        const padding = index === last ? '' : ' '.repeat((widths[index] ?? 0) - displayWidth(text))
        return paint(screen, color(index), cut) + padding
      })
      .join(GAP)
      .trimEnd()
  return [
    line(
      columns.map((column) => column.title),
      () => 'dim',
    ),
    ...cells.map((texts, row) => line(texts, (index) => columns[index]?.paint?.(rows[row] as T) ?? null)),
  ]
}

const GAP = '  '

/** Name and value below each other, the values aligned; empty values are left out. */
export function pairs(
  entries: readonly (readonly [string, string | null | undefined])[],
  screen: Pick<CliContext, 'color'>,
): string[] {
  const shown = entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string' && entry[1] !== '')
  const width = Math.max(0, ...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${paint(screen, 'dim', name.padEnd(width))}  ${sanitizeLine(value)}`)
}

/** Cuts a text to a number of columns, with an ellipsis for what is gone. */
export function fit(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text
  let width = 0
  let kept = ''
  for (const character of text) {
    width += displayWidth(character)
    if (width > columns - 1) break
    kept += character
  }
  return `${kept}…`
}

/** Lines of at most so many columns, broken at spaces where there are some. At least one line. */
export function wrap(text: string, columns: number): string[] {
  if (displayWidth(text) <= columns) return [text]
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const joined = line === '' ? word : `${line} ${word}`
    if (displayWidth(joined) <= columns) {
      line = joined
      continue
    }
    if (line !== '') lines.push(line)
    const pieces = cutWord(word, Math.max(2, columns))
    line = pieces.pop() ?? ''
    lines.push(...pieces)
  }
  return [...lines, line]
}

/** A word longer than a line, in pieces of a line each. */
function cutWord(word: string, columns: number): string[] {
  const pieces: string[] = []
  let piece = ''
  let width = 0
  for (const character of word) {
    const more = displayWidth(character)
    if (width + more > columns) {
      pieces.push(piece)
      piece = ''
      width = 0
    }
    piece += character
    width += more
  }
  return [...pieces, piece]
}

const ASCII = /^[\u0020-\u007e]*$/
const COMBINING = /\p{Mark}|\p{Format}/u
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}|[\u{20000}-\u{3fffd}]/u

/** Columns a text takes on a terminal: East Asian wide characters and emoji take two, combining marks none. */
export function displayWidth(text: string): number {
  if (ASCII.test(text)) return text.length
  let width = 0
  for (const character of text) width += COMBINING.test(character) ? 0 : WIDE.test(character) ? 2 : 1
  return width
}
