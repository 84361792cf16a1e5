// What the halves of a mirror share: where it is, and how git is run on it.

import type { ProcessResult } from '../lib/process.ts'
import { git } from './git.ts'

/** What the parts of a mirror share. */
export interface MirrorAccess {
  folder: string
  /** Environment without any configuration. */
  local: Record<string, string>
  /** The user's environment and credentials. */
  remote: Record<string, string>
  address: string
}

/** Runs git on the mirror with no configuration but its own. */
export function mirrorGit(
  access: MirrorAccess,
  what: string,
  request: {
    args: string[]
    input?: string
    okCodes?: number[]
    outputCapBytes?: number
    env?: Record<string, string>
  },
): Promise<ProcessResult> {
  const { args, env, ...rest } = request
  return git(what, { ...rest, args: [`--git-dir=${access.folder}`, ...args], env: { ...access.local, ...env } })
}
