// The command line's door: finds the verb, reads its arguments, runs it, turns what it throws into an exit code.
// Imports nothing that a verb may not need: `orch status` starts in little more than Node itself does.

import { UserError } from '../../lib/errors.ts'
import type { Command } from './command.ts'
import type { CliContext } from './context.ts'
import { EXIT, reportFailure } from './exit-codes.ts'
import { parseOptions } from './parse-options.ts'
import { NOUNS, SECTIONS, type Load, findNoun, findVerb, own } from './routes.ts'
import { nearest } from './suggest.ts'

/** Runs one command line (without `node` and the program's name) and gives the exit code. Throws nothing. */
export async function runCli(argv: string[], context: CliContext): Promise<number> {
  const json = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : argv.length).includes('--json')
  try {
    return await route(argv, context)
  } catch (error) {
    return reportFailure(error, { json, context })
  }
}

async function route(argv: string[], context: CliContext): Promise<number> {
  const [first, ...rest] = argv
  if (first === undefined || first === '--help' || first === '-h') return showHelp([], context)
  if (first === 'help') return showHelp(rest, context, true)
  if (first === '--version' || first === '-V') return route(['version', ...rest], context)
  if (first === '__complete') return (await import('./complete.ts')).printCandidates(rest, context)
  const found = findCommand(argv)
  if (found.load === null) return showHelp([first], context)
  const { command } = await found.load()
  const args = parseOptions(command, found.rest, found.name)
  if (args.help) return showHelp(found.name.split(' '), context)
  if (command.mutates) {
    ;(await import('./inside-run.ts')).refuseInsideRun(context.env, found.name)
    if (!args.skipDoctor) await (await import('./quick-doctor.ts')).requireReady(command, { name: found.name, context })
  }
  const { from } = args.values
  const at =
    command.looksAtExport && typeof from === 'string'
      ? await (await import('./exported.ts')).lookingAt(from, context)
      : context
  return command.run(args, at)
}

interface Found {
  name: string
  /** Null: a noun alone, whose verbs are to be shown. */
  load: Load | null
  rest: string[]
}

function findCommand(argv: string[]): Found {
  const [first = '', second, ...rest] = argv
  const verb = findVerb(first)
  if (verb) return { name: first, load: verb, rest: argv.slice(1) }
  const noun = findNoun(first)
  if (!noun) throw unknownCommand(first, topNames(), 'orch --help')
  if (second === undefined || second === '--help' || second === '-h') return { name: first, load: null, rest: [] }
  const load = own(noun.verbs, second)
  if (!load)
    throw unknownCommand(
      `${first} ${second}`,
      Object.keys(noun.verbs).map((name) => `${first} ${name}`),
      `orch ${first} --help`,
    )
  return { name: `${first} ${second}`, load, rest }
}

function topNames(): string[] {
  return [...SECTIONS.flatMap((section) => Object.keys(section.verbs)), ...Object.keys(NOUNS), 'help']
}

function unknownCommand(name: string, known: string[], help: string): UserError {
  const near = nearest(name, known)
  const what = name.startsWith('-') ? 'unknown option' : 'unknown command'
  return new UserError(
    EXIT.usage,
    'unknown-command',
    `${what} "${name}"${near ? `; did you mean "orch ${near}"?` : ''} (see \`${help}\`)`,
  )
}

/** `orch help`, `orch help task`, `orch help task add`, `orch help --all`. Asked for by that name it may fill a pager. */
async function showHelp(words: string[], context: CliContext, pages = false): Promise<number> {
  const text = await helpText(words, context)
  if (!(pages && (await context.page(text)))) context.stdout.write(text)
  return EXIT.ok
}

async function helpText(words: string[], context: CliContext): Promise<string> {
  const { allHelp, commandHelp, mainHelp, nounHelp } = await import('./help.ts')
  const [first, second] = words.filter((word) => !word.startsWith('-'))
  if (first === undefined) return words.includes('--all') || words.includes('-a') ? allHelp(context) : mainHelp(context)
  const found = findCommand(second === undefined ? [first] : [first, second])
  if (found.load === null) return nounHelp(first, context)
  return commandHelp(found.name, (await found.load()).command satisfies Command, context)
}
