// What goes before every command that changes something: better a clear no than half of it.

import { UserError } from '../../lib/errors.ts'
import type { Command } from './command.ts'
import type { CliContext } from './context.ts'
import { EXIT } from './exit-codes.ts'

/** Throws UserError (6) when what the command needs is not in order; nothing was changed by then. */
export async function requireReady(
  command: Pick<Command, 'needs'>,
  { name, context }: { name: string; context: Pick<CliContext, 'quickDoctor'> },
): Promise<void> {
  const { needs = ['home'] } = command
  if (needs.length === 0) return
  const trouble = await context.quickDoctor(needs)
  if (!trouble) return
  const text = `\`orch ${name}\` was not begun: ${trouble.text} (\`orch doctor\` looks at everything; --skip-doctor tries all the same)`
  throw new UserError(EXIT.notReady, trouble.code, text)
}
