// The shape of a verb: what it takes, described once; help, parsing and errors are made from it.

import type { QuickNeeds } from '../../flow/app.ts'
import type { CliContext } from './context.ts'

/** What may stand in a place: names that are asked for when a shell completes, or these words. */
export type Completion =
  | 'task'
  | 'run'
  | 'project'
  | 'status'
  | 'pipeline'
  | 'agent'
  | 'config-key'
  | 'command'
  | 'file'
  | readonly string[]

export interface OptionSpec {
  kind: 'flag' | 'text' | 'list'
  /** Placeholder in help, such as `ID`. */
  value?: string
  short?: string
  description: string
  complete?: Completion
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>

export interface PositionalSpec {
  name: string
  required: boolean
  description: string
  /** It may be given several times; only the last one of a verb. */
  many?: true
  complete?: Completion
}

export interface ParsedArgs {
  positionals: string[]
  values: Record<string, unknown>
  json: boolean
}

/** Flags are always true or false, lists always a list, texts absent when not given. */
type ValueOf<S extends OptionSpec> = S['kind'] extends 'flag'
  ? boolean
  : S['kind'] extends 'list'
    ? string[]
    : string | undefined

export interface Args<O extends OptionSpecs> {
  positionals: string[]
  values: { [K in keyof O]: ValueOf<O[K]> }
  json: boolean
}

interface CommandBase {
  /** One line, without a full stop. */
  summary: string
  /** More than the summary, for its own help. */
  details?: string
  positionals: readonly PositionalSpec[]
  /** Each a line as typed, with a comment. */
  examples: readonly string[]
  /** Changes something: refused from inside a run, and when the quick part of the doctor finds what keeps it from its work. */
  mutates: boolean
  /** Can look at an exported task instead of this ORCH_HOME (`--from`). */
  looksAtExport?: true
  /** What the quick part looks at; absent: `home`. Empty for what must work when things are broken. */
  needs?: readonly QuickNeeds[]
}

export interface Command extends CommandBase {
  options: OptionSpecs
  /** Gives the exit code; throws UserError for everything the user can mend. */
  run(args: ParsedArgs, context: CliContext): Promise<number>
}

const FROM: OptionSpecs = {
  from: {
    kind: 'text',
    value: 'FILE',
    description: 'Look at a task that `orch export` wrote to FILE instead',
    complete: 'file',
  },
}

/** Ties the types of `run` to the options described. */
export function defineCommand<const O extends OptionSpecs>(
  command: CommandBase & { options: O; run(args: Args<O>, context: CliContext): Promise<number> },
): Command {
  // parseOptions builds `values` from these very options, which the erased type can't say.
  const options = { ...command.options, ...(command.looksAtExport ? FROM : {}) }
  return { ...command, options, run: (args, context) => command.run(args as Args<O>, context) }
}
