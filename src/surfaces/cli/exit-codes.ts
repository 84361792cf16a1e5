// The one table of exit codes, and the one place where an error becomes an exit code and a line.

import { ExternalError, UserError, messageOf } from '../../lib/errors.ts'
import type { Refusal } from '../../core/refusals.ts'
import type { CliContext } from './context.ts'
import { jsonText, sanitizeLine } from './sanitize.ts'

export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  refused: 4,
  needsPerson: 5,
  notReady: 6,
  /** The shell's word for "ended by Ctrl-C" (128 + SIGINT). */
  interrupted: 130,
} as const

export const EXIT_MEANINGS: readonly [number, string][] = [
  [EXIT.ok, 'fine'],
  [EXIT.failed, 'the operation failed'],
  [EXIT.usage, 'wrong use'],
  [EXIT.notFound, 'not found'],
  [EXIT.refused, 'refused by a rule; the message names it'],
  [EXIT.needsPerson, 'needs a person'],
  [EXIT.notReady, 'the environment is not ready; see `orch doctor`'],
  [EXIT.interrupted, 'interrupted'],
]

export interface Failure {
  code: string
  text: string
  exit: number
}

/** What scripts and people are told about anything thrown. */
function failureOf(error: unknown): Failure {
  if (error instanceof UserError) return { code: error.code, text: error.message, exit: error.exit }
  if (error instanceof ExternalError) return { code: error.kind, text: error.message, exit: externalExit(error.kind) }
  const system = systemFailure(error)
  return (
    system ?? {
      code: 'internal',
      text: `${messageOf(error)} (a fault of Orch; ORCH_DEBUG=1 shows where)`,
      exit: EXIT.failed,
    }
  )
}

/** The error of a refusal: 4 with its name, but 3 where the thing isn't there. */
export function refusalError(refusal: Refusal): UserError {
  return new UserError(refusal.code === 'no-such-task' ? EXIT.notFound : EXIT.refused, refusal.code, refusal.text)
}

/** Writes one clear line to stderr, or one JSON line `{"error":{code,text,exit}}` there; gives the exit code. */
export function reportFailure(error: unknown, options: { json: boolean; context: CliContext }): number {
  const failure = failureOf(error)
  const { stderr, env } = options.context
  if (options.json) stderr.write(`${jsonText({ error: failure })}\n`)
  else stderr.write(`orch: ${sanitizeLine(failure.text)}${failure.exit === EXIT.refused ? ` [${failure.code}]` : ''}\n`)
  if (env.ORCH_DEBUG && error instanceof Error) stderr.write(`${error.stack ?? ''}\n`)
  return failure.exit
}

function externalExit(kind: ExternalError['kind']): number {
  switch (kind) {
    case 'not-found':
      return EXIT.notFound
    case 'auth':
    case 'unreachable':
    case 'empty-origin':
    case 'disk-full':
    case 'tool-missing':
      return EXIT.notReady
    case 'conflict':
    case 'rejected':
    case 'rate-limited':
    case 'setup-failed':
    case 'timed-out':
      return EXIT.failed
    default:
      return kind satisfies never
  }
}

const SYSTEM_ERRORS: Record<string, { code: string; advice: string }> = {
  ENOSPC: { code: 'disk-full', advice: 'the disk is full: make room and try again' },
  EDQUOT: { code: 'disk-full', advice: 'the disk quota is used up: make room and try again' },
  EACCES: { code: 'no-access', advice: 'check who owns it and its permissions' },
  EPERM: { code: 'no-access', advice: 'check who owns it and its permissions' },
  EROFS: { code: 'read-only', advice: 'the file system is read-only: set ORCH_HOME to a folder that can be written' },
}

/** Node's own errors that tell of the machine, by their code and never by their text. */
function systemFailure(error: unknown): Failure | null {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return null
  // SQLite's result codes 13 (SQLITE_FULL) and 14 (SQLITE_CANTOPEN), https://sqlite.org/rescode.html.
  if ('errcode' in error && error.errcode === 13)
    return { code: 'disk-full', text: `${error.message}: ${SYSTEM_ERRORS.ENOSPC?.advice}`, exit: EXIT.notReady }
  if ('errcode' in error && error.errcode === 14)
    return {
      code: 'no-database',
      text: `${error.message}: check that ORCH_HOME can be read and written`,
      exit: EXIT.notReady,
    }
  const known = SYSTEM_ERRORS[error.code]
  return known ? { code: known.code, text: `${error.message}: ${known.advice}`, exit: EXIT.notReady } : null
}
