// Manual pages (man(7) macros) from the same data as `orch help`: one for orch, one for each verb.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Block, type Page, allVerbs, mainPage, verbPage } from '../src/surfaces/cli/help-page.ts'

/** Writes `orch.1`, `orch-status.1` … into a folder. Gives their names. */
export async function writeManPages(dir: string, version: string): Promise<string[]> {
  const pages = [await mainPage(), ...(await allVerbs()).map(({ name, command }) => verbPage(name, command))]
  mkdirSync(dir, { recursive: true })
  return pages.map((page) => {
    const file = `${page.name}.1`
    writeFileSync(join(dir, file), roffOf(page, version))
    return file
  })
}

/** One page as roff. No date: the same sources give the same bytes. */
export function roffOf(page: Page, version: string): string {
  const title = `.TH "${escaped(page.name.toUpperCase())}" 1 "" "orch ${escaped(version)}" "Orch"`
  // Adjusted lines and hyphens make commands hard to copy.
  const parts = [
    title,
    '.ad l',
    '.nh',
    ...page.sections.flatMap(({ title: heading, blocks }) => [`.SH ${heading}`, ...blocks.flatMap(blockLines)]),
  ]
  return `${parts.join('\n')}\n`
}

function blockLines(block: Block, index: number): string[] {
  switch (block.kind) {
    case 'text':
      return [...(index > 0 ? ['.PP'] : []), line(block.text)]
    case 'rows':
      return block.rows.flatMap(([term, text]) => ['.TP', `\\fB${escaped(term)}\\fR`, line(text)])
    case 'lines':
      return ['.nf', ...block.lines.map(line), '.fi']
    default:
      return block satisfies never
  }
}

/** A line of text: `code` is bold, and no first character makes a request of it. */
function line(text: string): string {
  const shown = text
    .split('`')
    .map((part, index) => (index % 2 === 1 ? `\\fB${escaped(part)}\\fR` : escaped(part)))
    .join('')
  return /^[.']/.test(shown) ? `\\&${shown}` : shown
}

/** Special characters by name, all beyond ASCII by number: what `man` of every system can read. */
function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('"', '\\(dq')
    .replaceAll(/[^\u0000-\u007f]/gu, (character) => {
      const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase()
      return `\\[u${code.padStart(4, '0')}]`
    })
}
