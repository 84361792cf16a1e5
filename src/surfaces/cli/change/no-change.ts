import { UserError } from '../../../lib/errors.ts'
import { EXIT } from '../exit-codes.ts'

/** Told wherever a task's change is asked for and there is none. */
export function noChange(id: string): UserError {
  return new UserError(EXIT.notFound, 'no-change', `${id} has no change yet: \`orch why ${id}\` says where it is`)
}
