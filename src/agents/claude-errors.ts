// What a failed Claude Code run means for Orch, from the API's status, the CLI's own word for it, and last its text.
// Invariant: a status or a machine word wins over prose; what nothing explains is a crash, never a success.

import type { RunFailure } from '../core/run.ts'
import { resetIn } from './reset-time.ts'

export interface Failure {
  code: RunFailure
  text: string
  retryAfterMs?: number
}

export interface ResultFacts {
  /** HTTP status of the API's answer. */
  status: number | null
  /** The CLI's word, such as `rate_limit`, `authentication_failed`, `overloaded`, `server_error`, `billing_error`. */
  error: string | null
  text: string
  /** `terminal_reason` or `subtype` of the result. */
  reason: string | null
  /** When a usage limit ends, as told by the stream, ms. */
  resetsAtMs?: number
}

const WORDS: Record<string, RunFailure> = {
  authentication_failed: 'auth',
  authentication_error: 'auth',
  oauth_org_not_allowed: 'auth',
  // An account without money is the account's matter: a person must act, no retry helps.
  billing_error: 'auth',
  rate_limit: 'rate-limit',
  rate_limit_error: 'rate-limit',
  overloaded: 'overload',
  overloaded_error: 'overload',
  server_error: 'overload',
  api_error: 'overload',
  model_not_found: 'model-unavailable',
  prompt_too_long: 'context-overflow',
  permission_denied: 'permission',
}

/** Prose, for what comes without a status: trouble before the stream begins, and limits told as an answer. */
const PROSE: readonly [RegExp, RunFailure][] = [
  [/prompt is too long|context (window|length)|input length and `?max_tokens`? exceed/i, 'context-overflow'],
  [/usage limit reached|hit your ([\w-]+ )?limit|(\d.?hour|weekly|session) limit|rate.?limit/i, 'rate-limit'],
  [
    /overloaded|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTFOUND|connection error|unable to connect|fetch failed|socket hang up/i,
    'overload',
  ],
  [/invalid api key|not logged in|please run \/login|failed to authenticate|oauth token|credit balance/i, 'auth'],
  [/issue with the selected model|model .*(not found|not exist|unavailable)/i, 'model-unavailable'],
  [/dangerously-skip-permissions cannot|not permitted|permission denied by|requires? approval/i, 'permission'],
  [/waiting for (user )?input|requires? (user )?input|input must be provided/i, 'waiting-for-input'],
]

/** The class of a failure. `retryAfterMs` only when the server or the CLI said when. */
export function classify(facts: ResultFacts, now: () => number = Date.now): Failure {
  const text = facts.text.trim().slice(0, 2_000) || `claude failed${facts.status ? ` with status ${facts.status}` : ''}`
  const code = codeOf(facts)
  if (code !== 'rate-limit') return { code, text }
  const retryAfterMs =
    facts.resetsAtMs === undefined ? resetIn(facts.text, now()) : Math.max(0, facts.resetsAtMs - now())
  return retryAfterMs === null ? { code, text } : { code, text, retryAfterMs }
}

function codeOf({ status, error, text, reason }: ResultFacts): RunFailure {
  if (reason === 'prompt_too_long') return 'context-overflow'
  const word = WORDS[error ?? ''] ?? WORDS[reason ?? '']
  if (word) return word
  const prose = PROSE.find(([pattern]) => pattern.test(text))?.[1]
  if (status !== null) return codeOfStatus(status) ?? prose ?? 'crash'
  return prose ?? 'crash'
}

function codeOfStatus(status: number): RunFailure | null {
  if (status === 401 || status === 403) return 'auth'
  if (status === 404) return 'model-unavailable'
  if (status === 413) return 'context-overflow'
  if (status === 429) return 'rate-limit'
  // A server's own trouble passes by itself; the CLI says so too ("usually temporary").
  if (status === 408 || status >= 500) return 'overload'
  return null
}
