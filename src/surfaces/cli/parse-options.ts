// Reads a verb's arguments by its description. Every wrong use is told with what would be right.

import { UserError } from '../../lib/errors.ts'
import type { Command, OptionSpec, OptionSpecs, ParsedArgs } from './command.ts'
import { nearest } from './suggest.ts'

// Imported the usual way, node:util would build all of its exports at once, standard error among them: 2 ms of a start.
const { parseArgs } = process.getBuiltinModule('node:util')

export const GLOBAL_OPTIONS: OptionSpecs = {
  json: { kind: 'flag', description: 'Print JSON, for scripts' },
  help: { kind: 'flag', short: 'h', description: 'Show this help' },
}

/** Of every command that changes something. */
export const SKIP_DOCTOR: OptionSpecs = {
  'skip-doctor': {
    kind: 'flag',
    description: 'Begin without the quick look at ORCH_HOME, its disk and git; for recovery',
  },
}

/** A command's own options and those that it shares with others. */
export function optionsOf({ options, mutates }: Pick<Command, 'options' | 'mutates'>): OptionSpecs {
  return { ...options, ...(mutates ? SKIP_DOCTOR : {}), ...GLOBAL_OPTIONS }
}

/** Throws UserError(2) for unknown options, missing values, too few or too many arguments. */
export function parseOptions(
  command: Command,
  argv: string[],
  name: string,
): ParsedArgs & { help: boolean; skipDoctor: boolean } {
  const specs = optionsOf(command)
  const options = Object.fromEntries(
    Object.entries(specs).map(([key, spec]) => [
      key,
      {
        type: spec.kind === 'flag' ? ('boolean' as const) : ('string' as const),
        ...(spec.short ? { short: spec.short } : {}),
      },
    ]),
  )
  // Not strict: its errors don't say what would be right, so the tokens are judged here.
  const { tokens, positionals } = parseArgs({
    args: argv,
    options,
    allowPositionals: true,
    strict: false,
    tokens: true,
  })
  const values = defaults(specs)
  for (const token of tokens) {
    if (token.kind === 'option') take(values, { token, specs, name })
  }
  const help = values.help === true
  if (!help) checkPositionals(command, positionals, name)
  return { positionals, values, json: values.json === true, help, skipDoctor: values['skip-doctor'] === true }
}

interface OptionToken {
  name: string
  rawName: string
  value: string | undefined
  inlineValue: boolean | undefined
}

function take(values: Record<string, unknown>, found: { token: OptionToken; specs: OptionSpecs; name: string }): void {
  const { token, specs, name } = found
  const spec = Object.hasOwn(specs, token.name) ? specs[token.name] : undefined
  if (!spec) {
    const near = nearest(token.name, Object.keys(specs))
    throw usageError(
      'unknown-option',
      `unknown option ${token.rawName}${near ? `; did you mean --${near}?` : ''}`,
      name,
    )
  }
  if (spec.kind === 'flag') {
    if (token.value !== undefined) throw usageError('bad-value', `${token.rawName} takes no value`, name)
    values[token.name] = true
    return
  }
  const value = valueOf(token, { spec, name })
  if (spec.kind === 'list') (values[token.name] as string[]).push(value)
  else values[token.name] = value
}

function valueOf(token: OptionToken, found: { spec: OptionSpec; name: string }): string {
  const shown = found.spec.value ?? 'VALUE'
  if (token.value === undefined)
    throw usageError('missing-value', `${token.rawName} needs a value: ${token.rawName} ${shown}`, found.name)
  // `--reason --json` is far more likely a forgotten value than a value; `-` alone is standard input.
  if (!token.inlineValue && token.value.startsWith('-') && token.value.length > 1) {
    throw usageError(
      'missing-value',
      `${token.rawName} needs a value; one that begins with a dash is written ${token.rawName}=${token.value}`,
      found.name,
    )
  }
  return token.value
}

function defaults(specs: OptionSpecs): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(specs)
      .filter(([, spec]) => spec.kind !== 'text')
      .map(([key, spec]) => [key, spec.kind === 'flag' ? false : []]),
  )
}

function checkPositionals(command: Command, positionals: string[], name: string): void {
  const missing = command.positionals.filter((spec, index) => spec.required && positionals[index] === undefined)[0]
  if (missing) throw usageError('missing-argument', `${missing.name} is missing`, name)
  const extra = command.positionals.at(-1)?.many ? undefined : positionals[command.positionals.length]
  if (extra !== undefined)
    throw usageError('extra-argument', `unexpected argument "${extra}"; put texts with spaces in quotes`, name)
}

function usageError(code: string, text: string, name: string): UserError {
  return new UserError(2, code, `${text} (see \`orch ${name} --help\`)`)
}
