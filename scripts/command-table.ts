// The commands as one JSON file, for completion in the built package.

import { makeAdapters } from '../src/agents/adapters.ts'
import type { CommandTable } from '../src/surfaces/cli/complete-commands.ts'
import { allVerbs } from '../src/surfaces/cli/help-page.ts'

/** The same sources give the same table. */
export async function commandTable(): Promise<CommandTable> {
  const verbs = (await allVerbs()).map(
    ({ name, command: { summary, options, positionals, mutates } }) =>
      [name, { summary, options, positionals, mutates }] as const,
  )
  return { verbs: Object.fromEntries(verbs), agents: Object.keys(makeAdapters({ scripted: ['', ''], acp: ['', ''] })) }
}
