import { UserError } from '../../lib/errors.ts'
import { EXIT } from './exit-codes.ts'

/** Told wherever a run's output is asked for and there is no such run. */
export function noRun(task: string, runId: string | undefined): UserError {
  const text = runId
    ? `${task} has no run ${runId}: \`orch task runs ${task}\` lists its runs`
    : `${task} has had no run yet: \`orch why ${task}\` says what it waits for`
  return new UserError(EXIT.notFound, 'no-run', text)
}
