// What may follow the words typed so far: `orch __complete WORD…`, asked by the scripts of `orch completion`.
// Invariant: it answers quickly, changes nothing, and whatever goes wrong is no answer, never a word in a prompt.

import { STATUSES } from '../../flow/app.ts'
import type { Completion, OptionSpec } from './command.ts'
import { type Commands, type Described, openCommands } from './complete-commands.ts'
import { packagedNames } from './complete-names.ts'
import type { CliContext } from './context.ts'
import { EXIT } from './exit-codes.ts'
import { optionsOf } from './parse-options.ts'
import { NOUNS, SECTIONS, findNoun, findVerb, own } from './routes.ts'
import { sanitizeLine } from './sanitize.ts'

interface Candidate {
  text: string
  about: string
}

/** Told instead of candidates: file names, which the shell knows best. */
const FILES = ':files'
/** More are never looked through in a prompt. */
const MOST_TASKS = 200

/** Prints a candidate a line, with a tab and what it is. The last word is the one being typed; it may be empty. */
export async function printCandidates(words: string[], context: CliContext): Promise<number> {
  try {
    const found = await candidates(words.slice(0, -1), words.at(-1) ?? '', context)
    const lines = found === FILES ? [FILES] : found.map(({ text, about }) => `${text}\t${sanitizeLine(about)}`)
    context.stdout.write(lines.map((line) => `${line}\n`).join(''))
  } catch {
    // A prompt is no place for errors; the command itself will tell.
  }
  return EXIT.ok
}

async function candidates(before: string[], typed: string, context: CliContext): Promise<Candidate[] | typeof FILES> {
  const [first, second] = before
  if (first === undefined) return startingWith(typed, topLevel())
  const commands = openCommands(context)
  if (first === 'help') return startingWith(typed, before.length === 1 ? topLevel() : await verbsOf(second, commands))
  if (findNoun(first) && before.length === 1) return startingWith(typed, await verbsOf(first, commands))
  const words = findVerb(first) ? 1 : 2
  const command = await commands.find(before.slice(0, words).join(' '))
  return command ? afterVerb(command, { before: before.slice(words), typed, context, commands }) : []
}

function topLevel(): Candidate[] {
  return [
    ...SECTIONS.flatMap(({ title, verbs }) => Object.keys(verbs).map((text) => ({ text, about: title }))),
    ...Object.entries(NOUNS).map(([text, { about }]) => ({ text, about })),
    { text: 'help', about: 'Show the help of a command' },
  ]
}

async function verbsOf(noun: string | undefined, commands: Commands): Promise<Candidate[]> {
  const verbs = noun === undefined ? undefined : findNoun(noun)?.verbs
  return Promise.all(
    Object.keys(verbs ?? {}).map(async (text) => ({
      text,
      about: (await commands.find(`${noun} ${text}`))?.summary ?? '',
    })),
  )
}

interface Typing {
  /** Words after the verb. */
  before: string[]
  typed: string
  context: CliContext
  commands: Commands
}

function afterVerb(command: Described, typing: Typing): Promise<Candidate[] | typeof FILES> | Candidate[] {
  const { before, typed } = typing
  const options: Record<string, OptionSpec> = optionsOf(command)
  const { used, positionals, awaiting } = readWords(before, options)
  const inline = /^--([^=]+)=(.*)$/s.exec(typed)
  if (inline?.[1] !== undefined && own(options, inline[1])) {
    const prefix = `--${inline[1]}=`
    return valuesOf(options[inline[1]]?.complete, { ...typing, typed: inline[2] ?? '', positionals }).then((found) =>
      found === FILES ? found : found.map((one) => ({ ...one, text: prefix + one.text })),
    )
  }
  if (awaiting) return valuesOf(awaiting.complete, { ...typing, positionals })
  if (typed.startsWith('-')) {
    const left = Object.entries(options).filter(([name, spec]) => spec.kind === 'list' || !used.has(name))
    return startingWith(
      typed,
      left.map(([name, spec]) => ({ text: `--${name}`, about: spec.description })),
    )
  }
  const specs = command.positionals
  const spec = specs[positionals.length] ?? (specs.at(-1)?.many ? specs.at(-1) : undefined)
  return valuesOf(spec?.complete, { ...typing, positionals })
}

/** Which options were given, which words are arguments, and the option whose value comes next. */
function readWords(words: string[], options: Record<string, OptionSpec>) {
  const used = new Set<string>()
  const positionals: string[] = []
  let awaiting: OptionSpec | null = null
  for (const word of words) {
    if (awaiting) {
      awaiting = null
      continue
    }
    const name = word.startsWith('--') ? (word.slice(2).split('=')[0] ?? '') : shortName(word, options)
    const spec = name === null ? undefined : own(options, name)
    if (name === null) positionals.push(word)
    else used.add(name)
    if (spec && spec.kind !== 'flag' && !word.includes('=')) awaiting = spec
  }
  return { used, positionals, awaiting }
}

function shortName(word: string, options: Record<string, OptionSpec>): string | null {
  if (!/^-[^-]/.test(word)) return null
  return Object.entries(options).find(([, spec]) => spec.short === word.slice(1))?.[0] ?? word
}

async function valuesOf(
  of: Completion | undefined,
  typing: Typing & { positionals: string[] },
): Promise<Candidate[] | typeof FILES> {
  const { typed, context, commands } = typing
  switch (of) {
    case undefined:
      return []
    case 'file':
      return FILES
    case 'task':
      return tasks(typed, context)
    case 'run':
      return startingWith(typed, await runs(typing.positionals[0], context))
    case 'project': {
      const projects = (await context.reader())?.projects() ?? []
      return startingWith(
        typed.toUpperCase(),
        projects.map(({ id, name }) => ({ text: id, about: name })),
      )
    }
    case 'status':
      return plain(typed, STATUSES)
    case 'command':
      return startingWith(
        typed,
        typing.positionals.length === 0 ? topLevel() : await verbsOf(typing.positionals[0], commands),
      )
    case 'agent':
      return plain(typed, await commands.agents())
    case 'pipeline':
    case 'config-key':
      return plain(typed, await packagedNames(of, context))
    default:
      return plain(typed, of)
  }
}

/** The tasks of all states by full id; by bare number where a number was begun, in this folder's project. */
async function tasks(typed: string, context: CliContext): Promise<Candidate[]> {
  const reader = await context.reader()
  if (!reader) return []
  const byNumber = /^\d+$/.test(typed) ? reader.projectAt(context.cwd) : null
  const { tasks: lines } = reader.status({
    statuses: [...STATUSES],
    limit: MOST_TASKS,
    ...(byNumber ? { project: byNumber.id } : {}),
  })
  const shown = lines.map((line) => ({
    text: byNumber ? line.id.slice(byNumber.id.length + 1) : line.id,
    about: `${line.status.replace('_', ' ')}: ${line.title}`,
  }))
  return startingWith(typed.toUpperCase(), shown)
}

async function runs(name: string | undefined, context: CliContext): Promise<Candidate[]> {
  const reader = await context.reader()
  const id = name === undefined ? null : (reader?.resolveTaskId(name, context.cwd) ?? null)
  const task = id === null ? null : reader?.task(id)
  return (task?.runs ?? []).map((run) => ({ text: run.id, about: `${run.agent} at ${run.stage}: ${run.outcome}` }))
}

const plain = (typed: string, words: readonly string[]): Candidate[] =>
  startingWith(
    typed,
    words.map((text) => ({ text, about: '' })),
  )

const startingWith = (typed: string, all: Candidate[]): Candidate[] => all.filter(({ text }) => text.startsWith(typed))
