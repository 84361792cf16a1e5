// What a failed OpenCode run means for Orch: from the API's words and status, then the CLI's name for it, and last its text.
// Measured on 1.18.33. Invariant: a status or a machine word wins over prose; what nothing explains is a crash, never a success.

import type { RunFailure } from '../core/run.ts'
import { asNumber, asObject, asText, type JsonObject } from './json-fields.ts'
import { resetIn } from './reset-time.ts'

export interface Failure {
  code: RunFailure
  text: string
  retryAfterMs?: number
}

export interface ErrorFacts {
  /** The CLI's class of error, such as `APIError` or `ContextOverflowError`. */
  name: string | null
  message: string
  /** HTTP status of the API's answer. */
  status: number | null
  /** Names in lower case. */
  headers: JsonObject
  body: string
  /** When it was told, ms. */
  at: number | null
  /** The CLI takes it for something that passes. */
  passes: boolean
}

const NAMES: Record<string, RunFailure> = {
  ContextOverflowError: 'context-overflow',
  ProviderAuthError: 'auth',
  ProviderModelNotFoundError: 'model-unavailable',
}

/** Words of the APIs' answers that say more than their status: no money is a 429, a missing model or a long prompt a 400. */
const WORDS: Record<string, RunFailure> = {
  // An account without money is the account's matter: a person must act, no retry helps.
  insufficient_quota: 'auth',
  billing_error: 'auth',
  invalid_api_key: 'auth',
  authentication_error: 'auth',
  permission_error: 'auth',
  context_length_exceeded: 'context-overflow',
  model_not_found: 'model-unavailable',
  not_found_error: 'model-unavailable',
  rate_limit_error: 'rate-limit',
  rate_limit_exceeded: 'rate-limit',
  usage_limit_reached: 'rate-limit',
  FreeUsageLimitError: 'rate-limit',
  GoUsageLimitError: 'rate-limit',
  overloaded_error: 'overload',
  api_error: 'overload',
  server_error: 'overload',
}

/** Prose, for what comes without a status: the CLI's own complaints, and a connection that failed. */
const PROSE: readonly [RegExp, RunFailure][] = [
  [
    /prompt is too long|context (window|length)|maximum context|too many tokens|ContextOverflowError/i,
    'context-overflow',
  ],
  [/Model not found|ModelNotFoundError|No models are available|model .{0,80}does not exist/i, 'model-unavailable'],
  [
    /No providers are available|invalid api key|incorrect api key|api key is missing|unauthorized|credit balance|token refresh failed/i,
    'auth',
  ],
  [/rate.?limit|usage limit|too many requests|quota/i, 'rate-limit'],
  [
    /overloaded|cannot connect to API|unable to connect|socket connection was closed|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTFOUND|fetch failed|timed out/i,
    'overload',
  ],
  [/rejected permission|rule which prevents you/i, 'permission'],
  [/must provide a message/i, 'waiting-for-input'],
]

/** Reads the error of an `error` line, or the refusal a retry tells of. */
export function factsOf(error: JsonObject | null, told: { at: number | null; passes?: boolean }): ErrorFacts {
  const data = asObject(error?.['data']) ?? error ?? {}
  return {
    name: asText(error?.['name']),
    message: asText(data['message']) ?? '',
    status: asNumber(data['statusCode']),
    headers: asObject(data['responseHeaders']) ?? {},
    body: asText(data['responseBody']) ?? '',
    at: told.at,
    passes: told.passes ?? data['isRetryable'] === true,
  }
}

/** The class of a failure. `retryAfterMs` only when the server said when; `stderrTail` explains what the stream does not. */
export function classify(facts: ErrorFacts, stderrTail: string = '', now: () => number = Date.now): Failure {
  const reason = isUntold(facts) ? (reasonOnStderr(stderrTail) ?? facts.message) : facts.message
  const about = facts.status === null ? '' : `the model's API answered ${facts.status}: `
  const text = `${about}${reason}`.slice(0, 2_000) || `opencode failed: ${facts.name ?? 'no reason given'}`
  const code = codeOf(facts, reason)
  if (code !== 'rate-limit') return { code, text }
  const until = limitEnd(facts, now())
  return until === null ? { code, text } : { code, text, retryAfterMs: Math.max(0, until - now()) }
}

/** What stderr alone tells of a run that never came to its stream. */
export function classifyEarly(stderrTail: string): Failure | null {
  const reason = reasonOnStderr(stderrTail) ?? stderrTail.trim()
  const code = PROSE.find(([pattern]) => pattern.test(reason))?.[1]
  return code === undefined ? null : { code, text: reason.slice(-2_000) }
}

function codeOf({ name, status, body, passes }: ErrorFacts, reason: string): RunFailure {
  const known = NAMES[name ?? ''] ?? wordIn(body)
  if (known) return known
  const prose = PROSE.find(([pattern]) => pattern.test(`${reason} ${body}`))?.[1]
  return (status === null ? null : codeOfStatus(status)) ?? prose ?? (passes ? 'overload' : 'crash')
}

function codeOfStatus(status: number): RunFailure | null {
  if (status === 401 || status === 402 || status === 403) return 'auth'
  if (status === 404) return 'model-unavailable'
  if (status === 413) return 'context-overflow'
  if (status === 429) return 'rate-limit'
  // A server's own trouble passes by itself.
  if (status === 408 || status >= 500) return 'overload'
  return null
}

/** The first word we know among the type and code of the answer's error. */
function wordIn(body: string): RunFailure | null {
  const answer = objectIn(body)
  const error = asObject(answer?.['error']) ?? answer ?? {}
  for (const key of ['code', 'type', 'name']) {
    const word = asText(error[key])
    const known = word === null ? undefined : WORDS[word]
    if (known) return known
  }
  return null
}

function objectIn(body: string): JsonObject | null {
  try {
    return asObject(JSON.parse(body))
  } catch {
    return null
  }
}

/** The CLI's server hides what it did not expect, and writes it to its log, which goes to stderr. */
function isUntold({ message }: ErrorFacts): boolean {
  return message === '' || message.startsWith('Unexpected server error')
}

function reasonOnStderr(stderrTail: string): string | null {
  const failed = [...stderrTail.matchAll(/message=failed .*? error="((?:[^"\\]|\\.)*)"/g)].at(-1)?.[1]
  return failed ?? null
}

/** When a limit ends, ms since 1970, from the answer's headers and then its text; null when it doesn't say. */
function limitEnd({ headers, body, message, at }: ErrorFacts, now: number): number | null {
  const since = at ?? now
  const ms = Number.parseFloat(asText(headers['retry-after-ms']) ?? '')
  if (Number.isFinite(ms)) return since + ms
  const after = asText(headers['retry-after'])
  if (after !== null) {
    const seconds = /^\s*\d+(\.\d+)?\s*$/.test(after) ? Number(after) : null
    const until = seconds === null ? Date.parse(after) : since + seconds * 1_000
    if (!Number.isNaN(until)) return until
  }
  const wait = resetIn(`${body} ${message}`, since)
  return wait === null ? null : since + wait
}
