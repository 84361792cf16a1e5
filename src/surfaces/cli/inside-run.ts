// Tells whether this process was started, however indirectly, by an agent's run.

import { readFileSync } from 'node:fs'
import { UserError } from '../../lib/errors.ts'
import { EXIT } from './exit-codes.ts'

/** An agent's run may look at Orch, but change nothing, itself least of all. Throws UserError(4). */
export function refuseInsideRun(env: Record<string, string | undefined>, name: string): void {
  const run = findEnclosingRun(env)
  if (run === null) return
  throw new UserError(
    EXIT.refused,
    'inside-run',
    `\`orch ${name}\` was called from inside run ${run}: an agent's run may not change Orch`,
  )
}

/** The run's id, or null. An agent can drop the variable from its own environment, but not from its ancestors'. */
export function findEnclosingRun(env: Record<string, string | undefined>, proc = '/proc'): string | null {
  if (env.ORCH_RUN) return env.ORCH_RUN
  if (process.platform !== 'linux') return null
  let pid = process.ppid
  // 1 is init, or the first process of a pid namespace; 64 levels are more than any shell nests.
  for (let depth = 0; pid > 0 && depth < 64; depth++) {
    const run = runOf(`${proc}/${pid}/environ`)
    if (run) return run
    pid = parentOf(`${proc}/${pid}/stat`)
  }
  return null
}

function runOf(file: string): string | null {
  try {
    const entry = readFileSync(file, 'utf8')
      .split('\0')
      .find((line) => line.startsWith('ORCH_RUN='))
    return entry?.slice('ORCH_RUN='.length) || null
  } catch {
    // Another user's process: an agent's run has the same user as the one who calls.
    return null
  }
}

function parentOf(file: string): number {
  try {
    const stat = readFileSync(file, 'utf8')
    // The second field is the name in parentheses and may hold anything; state and parent follow the last one.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return 0
  }
}
