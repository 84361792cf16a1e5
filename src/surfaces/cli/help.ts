// Help, made from the descriptions of the verbs; nothing is written twice.

import type { Command, OptionSpec } from './command.ts'
import { EXIT_MEANINGS } from './exit-codes.ts'
import { GLOBAL_OPTIONS } from './parse-options.ts'
import { NOUNS, SECTIONS, findNoun, type Load } from './routes.ts'

/** `orch --help`. */
export async function mainHelp(): Promise<string> {
  const sections = await Promise.all(
    SECTIONS.map(async (section) => [`${section.title}:`, ...rows(await summaries(section.verbs))]),
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
    ...rows(nouns),
    '',
    'Exit codes:',
    ...rows(codes),
    '',
    'Try `orch demo` first, then `orch init` in a clone of your own.',
    '`orch help COMMAND` shows the options and examples of one command; every command takes --json.',
    'ORCH_HOME (default ~/.orch) is where all state is kept.',
  ])
}

/** `orch task --help`. */
export async function nounHelp(name: string): Promise<string> {
  const noun = findNoun(name)
  if (!noun) return mainHelp()
  const verbs = await Promise.all(
    Object.entries(noun.verbs).map(async ([verb, load]): Promise<Row> => {
      const { command } = await load()
      return [usage(`${name} ${verb}`, command).replace(' [OPTIONS]', ''), command.summary]
    }),
  )
  return lines([
    noun.about,
    '',
    `Usage: orch ${name} VERB [ARGUMENTS] [OPTIONS]`,
    '',
    ...rows(verbs),
    '',
    `\`orch ${name} VERB --help\` shows the options and examples of one.`,
  ])
}

/** `orch task add --help`. */
export function commandHelp(name: string, command: Command): string {
  const options = Object.entries({ ...command.options, ...GLOBAL_OPTIONS }).map(([key, spec]): Row => [
    optionLabel(key, spec),
    spec.description + (spec.kind === 'list' ? ' (may be repeated)' : ''),
  ])
  const positionals = command.positionals.map((spec): Row => [spec.name, spec.description])
  return lines([
    `${command.summary}.`,
    '',
    `Usage: ${usage(name, command)}`,
    ...(command.details ? ['', command.details] : []),
    ...(positionals.length > 0 ? ['', 'Arguments:', ...rows(positionals)] : []),
    '',
    'Options:',
    ...rows(options),
    '',
    'Examples:',
    ...command.examples.map((example) => `  ${example}`),
  ])
}

function usage(name: string, command: Command): string {
  const positionals = command.positionals.map((spec) => (spec.required ? spec.name : `[${spec.name}]`))
  return ['orch', name, ...positionals, '[OPTIONS]'].join(' ')
}

function optionLabel(key: string, spec: OptionSpec): string {
  return `${spec.short ? `-${spec.short}, ` : ''}--${key}${spec.kind === 'flag' ? '' : ` ${spec.value ?? 'VALUE'}`}`
}

type Row = [string, string]

async function summaries(verbs: Readonly<Record<string, Load>>): Promise<Row[]> {
  return Promise.all(
    Object.entries(verbs).map(async ([name, load]): Promise<Row> => [name, (await load()).command.summary]),
  )
}

function rows(entries: Row[]): string[] {
  const width = Math.max(...entries.map(([label]) => label.length))
  return entries.map(([label, text]) => `  ${label.padEnd(width)}  ${text}`)
}

const lines = (parts: string[]): string => `${parts.join('\n')}\n`
