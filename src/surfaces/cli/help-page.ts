// The help of a command as data, in the order of a manual page; made from the verb's own description.
// `help.ts` makes text of it, `scripts/man-pages.ts` pages for man.

import type { Command, OptionSpec } from './command.ts'
import { EXIT_MEANINGS } from './exit-codes.ts'
import { GLOBAL_OPTIONS, SKIP_DOCTOR, optionsOf } from './parse-options.ts'
import { NOUNS, SECTIONS, type Load } from './routes.ts'

/** A term with what it means. */
export type Row = readonly [term: string, text: string]

export type Block =
  | { kind: 'text'; text: string }
  | { kind: 'rows'; rows: Row[] }
  /** Shown as they are. */
  | { kind: 'lines'; lines: readonly string[] }

export interface Page {
  /** As man names it: `orch-task-add`. */
  name: string
  summary: string
  sections: { title: string; blocks: Block[] }[]
}

/** The page of one verb, by its words. */
export function verbPage(name: string, command: Command): Page {
  const positionals = command.positionals.map((spec): Row => [spec.name, spec.description])
  return {
    name: pageName(name),
    summary: command.summary,
    sections: [
      { title: 'NAME', blocks: [{ kind: 'text', text: `${pageName(name)} - ${command.summary}` }] },
      { title: 'SYNOPSIS', blocks: [{ kind: 'lines', lines: [synopsis(name, command)] }] },
      { title: 'DESCRIPTION', blocks: paragraphs(command) },
      ...(positionals.length > 0
        ? [{ title: 'ARGUMENTS', blocks: [{ kind: 'rows' as const, rows: positionals }] }]
        : []),
      { title: 'OPTIONS', blocks: [{ kind: 'rows', rows: optionRows(command) }] },
      EXIT_CODES,
      { title: 'EXAMPLES', blocks: [{ kind: 'lines', lines: command.examples }] },
      { title: 'SEE ALSO', blocks: [{ kind: 'rows', rows: seeAlso(name) }] },
    ],
  }
}

const EXIT_CODES: Page['sections'][number] = {
  title: 'EXIT CODES',
  blocks: [{ kind: 'rows', rows: EXIT_MEANINGS.map(([code, meaning]): Row => [String(code), meaning]) }],
}

/** The page of `orch` itself. */
export async function mainPage(): Promise<Page> {
  const verbs = (await allVerbs()).map(({ name, command }): Row => [`orch ${name}`, command.summary])
  return {
    name: 'orch',
    summary: 'turn issues into merged changes with coding agents',
    sections: [
      { title: 'NAME', blocks: [{ kind: 'text', text: 'orch - turn issues into merged changes with coding agents' }] },
      { title: 'SYNOPSIS', blocks: [{ kind: 'lines', lines: ['orch COMMAND [ARGUMENTS] [OPTIONS]'] }] },
      {
        title: 'DESCRIPTION',
        blocks: [
          {
            kind: 'text',
            text: 'Orch runs coding agents in sandboxed workspaces, judges them by evidence that it collects itself, and lands only trees that were tested. `orch demo` shows all of it on a sample repository; `orch init` begins in a clone of your own.',
          },
        ],
      },
      { title: 'COMMANDS', blocks: [{ kind: 'rows', rows: verbs }] },
      { title: 'OPTIONS', blocks: [{ kind: 'rows', rows: rowsOf({ ...GLOBAL_OPTIONS, ...SKIP_DOCTOR }) }] },
      EXIT_CODES,
      {
        title: 'ENVIRONMENT',
        blocks: [
          {
            kind: 'rows',
            rows: [
              ['ORCH_HOME', 'Where all state is kept (default: ~/.orch)'],
              ['ORCH_DEBUG', 'Anything: errors show where they come from'],
              ['NO_COLOR, FORCE_COLOR', 'No colours, or colours in a pipe too'],
            ],
          },
        ],
      },
      { title: 'SEE ALSO', blocks: [{ kind: 'rows', rows: [['orch help COMMAND', 'the help of one command']] }] },
    ],
  }
}

/** Every verb with its description, in the order of the help. */
export async function allVerbs(): Promise<{ name: string; command: Command }[]> {
  const load = async (entry: [string, Load]): Promise<{ name: string; command: Command }> => ({
    name: entry[0],
    command: (await entry[1]()).command,
  })
  const top = SECTIONS.flatMap((section) => Object.entries(section.verbs))
  const own = Object.entries(NOUNS).flatMap(([noun, { verbs }]) =>
    Object.entries(verbs).map(([verb, one]): [string, Load] => [`${noun} ${verb}`, one]),
  )
  return Promise.all([...top, ...own].map(load))
}

/** `orch task add TITLE [OPTIONS]`. */
export function synopsis(name: string, command: Command): string {
  const positionals = command.positionals.map((spec) => {
    const shown = spec.many ? `${spec.name}...` : spec.name
    return spec.required ? shown : `[${shown}]`
  })
  return ['orch', name, ...positionals, '[OPTIONS]'].join(' ')
}

const pageName = (words: string): string => `orch-${words.replaceAll(' ', '-')}`

function paragraphs(command: Command): Block[] {
  return [`${command.summary}.`, ...(command.details ?? '').split('\n')]
    .filter((text) => text !== '')
    .map((text) => ({ kind: 'text', text }))
}

function optionRows(command: Command): Row[] {
  return rowsOf(optionsOf(command))
}

function rowsOf(options: Readonly<Record<string, OptionSpec>>): Row[] {
  return Object.entries(options).map(([key, spec]) => [
    `${spec.short ? `-${spec.short}, ` : ''}--${key}${spec.kind === 'flag' ? '' : ` ${spec.value ?? 'VALUE'}`}`,
    spec.description + (spec.kind === 'list' ? ' (may be repeated)' : ''),
  ])
}

/** Its neighbours, and where the shape of its JSON is told. */
function seeAlso(name: string): Row[] {
  const [first = '', second] = name.split(' ')
  const verbs =
    second === undefined ? SECTIONS.find((section) => Object.hasOwn(section.verbs, first))?.verbs : NOUNS[first]?.verbs
  const prefix = second === undefined ? 'orch' : `orch ${first}`
  const others = Object.keys(verbs ?? {}).filter((verb) => verb !== (second ?? first))
  return [
    ...(others.length > 0 ? ([[prefix, others.join(', ')]] as const) : []),
    [`orch schema ${name}`, 'what --json prints'],
  ]
}
