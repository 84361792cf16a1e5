// Errors of the outside world, told apart by kind, never by their text.

export const EXTERNAL_KINDS = [
  'auth',
  'not-found',
  'conflict',
  'rejected',
  'rate-limited',
  'unreachable',
  'empty-origin',
  'setup-failed',
  'disk-full',
  'timed-out',
  'tool-missing',
] as const
export type ExternalKind = (typeof EXTERNAL_KINDS)[number]

/** A system outside of Orch said no or could not be reached. The message says what was tried, on what, and what to do. */
export class ExternalError extends Error {
  readonly system: string
  readonly kind: ExternalKind
  readonly retryAfterMs: number | undefined

  constructor(options: {
    system: string
    kind: ExternalKind
    message: string
    retryAfterMs?: number
    cause?: unknown
  }) {
    super(options.message, { cause: options.cause })
    this.name = 'ExternalError'
    this.system = options.system
    this.kind = options.kind
    this.retryAfterMs = options.retryAfterMs
  }
}

/** A full disk or quota, met by any write: the machine's trouble, wherever it was met. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? error.code : null
  return code === 'ENOSPC' || code === 'EDQUOT'
}

/** The user's input or environment is wrong; `exit` is one of the documented exit codes. */
export class UserError extends Error {
  readonly exit: 1 | 2 | 3 | 4 | 5 | 6
  /** Name of the rule or problem, kebab-case, for scripts. */
  readonly code: string

  constructor(exit: 1 | 2 | 3 | 4 | 5 | 6, code: string, message: string) {
    super(message)
    this.name = 'UserError'
    this.exit = exit
    this.code = code
  }
}

/** The text of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
