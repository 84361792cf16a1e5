// How a run ends and what it used, as values. Told apart by what was seen, never by what an agent says of itself.

export interface Usage {
  input: number
  output: number
  cacheRead: number
  cacheWrite: number
}

export const NO_USAGE: Usage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 }

export function addUsage(a: Usage, b: Usage): Usage {
  return {
    input: a.input + b.input,
    output: a.output + b.output,
    cacheRead: a.cacheRead + b.cacheRead,
    cacheWrite: a.cacheWrite + b.cacheWrite,
  }
}

/** How a run ended. Closed; a new member is a reviewed decision. */
export type RunOutcome =
  | { kind: 'succeeded' }
  | { kind: 'failed'; code: RunFailure; text: string; exitCode: number | null; retryAfterMs?: number }
  | { kind: 'timed-out'; text: string }
  /** It said nothing for so long that it was ended. */
  | { kind: 'stalled'; text: string }
  | { kind: 'cancelled'; by: string }
  | { kind: 'could-not-start'; text: string }
  | { kind: 'lost'; text: string }

export const RUN_FAILURES = [
  'auth',
  'rate-limit',
  'overload',
  'context-overflow',
  'model-unavailable',
  'permission',
  'missing-tool',
  'waiting-for-input',
  'output-flood',
  'malformed-stream',
  'crash',
] as const
export type RunFailure = (typeof RUN_FAILURES)[number]
