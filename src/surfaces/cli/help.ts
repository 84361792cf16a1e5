// Help as text, made from the descriptions of the verbs; nothing is written twice.

import type { Command } from './command.ts'
import type { CliContext } from './context.ts'
import { EXIT_MEANINGS } from './exit-codes.ts'
import { type Block, type Row, allVerbs, synopsis, verbPage } from './help-page.ts'
import { displayWidth, paint, wrap } from './print.ts'
import { NOUNS, SECTIONS, type Load, findNoun } from './routes.ts'

type Screen = Pick<CliContext, 'columns' | 'color'>

/** Longer lines are hard to read. */
const WIDEST = 100

/** `orch --help`. */
export async function mainHelp(screen: Screen): Promise<string> {
  const sections = await Promise.all(
    SECTIONS.map(async (section) => [`${section.title}:`, ...rows(await summaries(section.verbs), screen)]),
  )
  const nouns = Object.entries(NOUNS).map(([name, noun]): Row => [
    name,
    `${noun.about} (${Object.keys(noun.verbs).join(', ')})`,
  ])
  const codes = EXIT_MEANINGS.map(([code, meaning]): Row => [String(code), meaning])
  return lines([
    'Orch turns issues into merged changes.',
    '',
    'Usage: orch COMMAND [ARGUMENTS] [OPTIONS]',
    ...sections.flatMap((section) => ['', ...section]),
    '',
    'Manage:',
    ...rows(nouns, screen),
    '',
    'Exit codes:',
    ...rows(codes, screen),
    '',
    'Try `orch demo` first, then `orch init` in a clone of your own.',
    '`orch help COMMAND` shows one command, `orch help --all` lists all; every command takes --json.',
    'One that changes something takes a quick look first whether it can (exit 6 if not); --skip-doctor leaves that out.',
    'ORCH_HOME (default ~/.orch) is where all state is kept.',
  ])
}

/** `orch help --all`: every command with its arguments and what it does. */
export async function allHelp(screen: Screen): Promise<string> {
  const verbs = (await allVerbs()).map(({ name, command }): Row => [bare(name, command), command.summary])
  return lines([
    ...rows(verbs, screen),
    '',
    '`orch help COMMAND` shows the options and examples of one; every command takes --json.',
  ])
}

/** `orch task --help`. */
export async function nounHelp(name: string, screen: Screen): Promise<string> {
  const noun = findNoun(name)
  if (!noun) return mainHelp(screen)
  const verbs = await Promise.all(
    Object.entries(noun.verbs).map(async ([verb, load]): Promise<Row> => {
      const { command } = await load()
      return [bare(`${name} ${verb}`, command), command.summary]
    }),
  )
  return lines([
    noun.about,
    '',
    `Usage: orch ${name} VERB [ARGUMENTS] [OPTIONS]`,
    '',
    ...rows(verbs, screen),
    '',
    `\`orch ${name} VERB --help\` shows the options and examples of one.`,
  ])
}

/** `orch task add --help`, in the order of a manual page. */
export function commandHelp(name: string, command: Command, screen: Screen): string {
  const { sections } = verbPage(name, command)
  return lines(
    sections.flatMap(({ title, blocks }, index) => [
      ...(index === 0 ? [] : ['']),
      paint(screen, 'bold', title),
      ...blocks.flatMap((block, at) => [...(at === 0 ? [] : ['']), ...blockLines(block, screen)]),
    ]),
  )
}

function blockLines(block: Block, screen: Screen): string[] {
  switch (block.kind) {
    case 'text':
      return wrap(block.text, widthOf(screen) - INDENT.length).map((line) => INDENT + line)
    case 'rows':
      return rows(block.rows, screen)
    case 'lines':
      return block.lines.map((line) => INDENT + line)
    default:
      return block satisfies never
  }
}

const bare = (name: string, command: Command): string => synopsis(name, command).replace(' [OPTIONS]', '')

async function summaries(verbs: Readonly<Record<string, Load>>): Promise<Row[]> {
  return Promise.all(
    Object.entries(verbs).map(async ([name, load]): Promise<Row> => [name, (await load()).command.summary]),
  )
}

const INDENT = '  '
/** Terms that are longer stand on a line of their own, where the texts would get too narrow beside them. */
const WIDEST_TERM = 38

const widthOf = (screen: Screen): number => Math.max(20, Math.min(WIDEST, screen.columns))

/** Terms with their texts beside them, wrapped. */
function rows(entries: readonly Row[], screen: Screen): string[] {
  const limit = Math.min(WIDEST_TERM, Math.floor(widthOf(screen) / 2))
  const width = Math.max(...entries.map(([term]) => displayWidth(term)).filter((length) => length <= limit), 0)
  const room = Math.max(10, widthOf(screen) - INDENT.length - width - 2)
  return entries.flatMap(([term, text]) => {
    const [first = '', ...rest] = wrap(text, room)
    const beside = ' '.repeat(INDENT.length + width + 2)
    const more = rest.map((line) => beside + line)
    if (displayWidth(term) > width) return [INDENT + term, beside + first, ...more]
    return [`${INDENT}${term}${' '.repeat(width - displayWidth(term))}  ${first}`, ...more]
  })
}

const lines = (parts: string[]): string => `${parts.join('\n')}\n`
