// The doctor's quick part on one ORCH_HOME. Part of the composition root; loaded only by commands that change something.

import type { QuickNeeds, QuickTrouble } from './flow/app.ts'
import { quickLook } from './flow/doctor-quick.ts'

/** Null when all is in order. Throws UserError for books that can't be used. `openBooks` opens them as the command will. */
export function quickDoctor(
  options: { home: string; env: NodeJS.ProcessEnv; openBooks: () => Promise<unknown> },
  needs: readonly QuickNeeds[],
): Promise<QuickTrouble | null> {
  const { home, env, openBooks } = options
  const gitVersion = async (): Promise<string | null> => {
    const { makeRepositoryFacts } = await import('./workspace/facts.ts')
    return makeRepositoryFacts(env).gitVersion()
  }
  return quickLook({ home, openBooks, gitVersion }, needs)
}
