// What a failed ACP run means for Orch. The protocol has one code of its own for it (a login is needed); everything else
// is told by what agents put into their errors: a status as the code (gemini), a status or type inside the text, or prose.
// Invariant: a status or a machine word wins over prose; what nothing explains is a crash, never a success.

import type { RunFailure } from '../core/run.ts'
import type { AcpPlace } from './acp-lines.ts'
import { resetIn } from './reset-time.ts'

export interface AcpError {
  at: AcpPlace
  code: number | null
  text: string
  data: unknown
  signal: string | null
}

export interface Failure {
  code: RunFailure
  text: string
  retryAfterMs?: number
}

/** The protocol's ErrorCode for a login that is missing. */
const AUTH_REQUIRED = -32000
/** A shell's exit code for a program that isn't there. */
const NOT_FOUND = 127

/** An account without money, whatever status it comes with: a person must act, no retry helps. */
const NO_MONEY = /\b(insufficient_quota|billing_error)\b/

/** Types that vendors' APIs put into their errors. */
const WORDS: readonly [RegExp, RunFailure][] = [
  [/\b(authentication_error|permission_error|invalid_api_key|UNAUTHENTICATED|PERMISSION_DENIED)\b/, 'auth'],
  [/\b(rate_limit_error|rate_limit_exceeded|RESOURCE_EXHAUSTED)\b/, 'rate-limit'],
  [/\b(overloaded_error|api_error|server_error|UNAVAILABLE|INTERNAL|DEADLINE_EXCEEDED)\b/, 'overload'],
  [/\b(context_length_exceeded|ContextOverflowError)\b/, 'context-overflow'],
  [
    /\b(model_not_found|not_found_error|NOT_FOUND|ModelNotFoundError|ProviderModelNotFoundError)\b/,
    'model-unavailable',
  ],
]

const PROSE: readonly [RegExp, RunFailure][] = [
  [
    /prompt is too long|context (window|length)|maximum context|too many (input )?tokens|exceeds? the maximum number of tokens/i,
    'context-overflow',
  ],
  [
    /rate.?limit|usage limit|quota|too many requests|hit your ([\w-]+ )?limit|(hour|weekly|session) limit/i,
    'rate-limit',
  ],
  [
    /overloaded|high demand|unavailable|try again later|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTFOUND|connection (error|refused|reset|closed)|unable to connect|fetch failed|socket hang up|terminated|premature close|stream (ended|closed)/i,
    'overload',
  ],
  [/api.?key|not logged in|log ?in\b|unauthori[sz]ed|authenticat|credential|oauth|credit balance|forbidden/i, 'auth'],
  [/model\b.*\b(not found|not exist|not available|unknown|unsupported)|no such model/i, 'model-unavailable'],
  [/permission denied|not permitted|requires? approval/i, 'permission'],
  [/waiting for (user )?input|requires? (user )?input/i, 'waiting-for-input'],
]

/** The class of an error line. `retryAfterMs` only when the text says when. */
export function classify(error: AcpError, now: () => number = Date.now): Failure {
  const text = sentenceOf(error)
  const code = codeOf(error, `${error.text} ${dataText(error.data)}`)
  if (code !== 'rate-limit') return { code, text }
  const retryAfterMs = resetIn(`${error.text} ${dataText(error.data)}`, now())
  return retryAfterMs === null ? { code, text } : { code, text, retryAfterMs }
}

function codeOf(error: AcpError, said: string): RunFailure {
  const { at, code, signal } = error
  if (at === 'exit') return code === NOT_FOUND && signal === null ? 'missing-tool' : 'crash'
  if (at === 'stream') return 'malformed-stream'
  if (at === 'start') return 'missing-tool'
  if (code === AUTH_REQUIRED || at === 'authenticate') return 'auth'
  if (at === 'model') return 'model-unavailable'
  // No status: the agent doesn't have the protocol's first method, or speaks another version of it.
  if (at === 'initialize') return codeOfStatus(code) ?? 'malformed-stream'
  if (NO_MONEY.test(said)) return 'auth'
  const word = WORDS.find(([pattern]) => pattern.test(said))?.[1]
  // An agent's own "internal error" is often all it says of a status that it has inside.
  const outer = code === 500 ? null : codeOfStatus(code)
  const prose = PROSE.find(([pattern]) => pattern.test(said))?.[1]
  return outer ?? word ?? statusIn(said) ?? prose ?? codeOfStatus(code) ?? 'crash'
}

function codeOfStatus(status: number | null): RunFailure | null {
  if (status === 401 || status === 402 || status === 403) return 'auth'
  if (status === 404) return 'model-unavailable'
  if (status === 413) return 'context-overflow'
  if (status === 429) return 'rate-limit'
  if (status === 408 || (status !== null && status >= 500 && status <= 599)) return 'overload'
  return null
}

/** A status standing in an error's text, where the agent passes on no other sign of it. */
function statusIn(text: string): RunFailure | null {
  const status =
    /(?<![\d.,-])(401|402|403|404|408|413|429|500|502|503|504|529)(?![\d.,]\d|\d)(?! ?(ms|s|seconds|tokens|files|lines)\b)/.exec(
      text,
    )?.[1]
  return status === undefined ? null : codeOfStatus(Number(status))
}

/** A machine's details of an error, as text to search. */
function dataText(data: unknown): string {
  if (data === undefined || data === null) return ''
  return (typeof data === 'string' ? data : JSON.stringify(data)).slice(0, 4_000)
}

/** One sentence that also holds what stands only in the details. */
function sentenceOf({ at, code, text, data }: AcpError): string {
  const details = dataText(data)
  const more = details === '' || details === '{}' ? '' : ` ${details.slice(0, 500)}`
  const number = code === null || at === 'exit' ? '' : ` (${code})`
  return at === 'prompt' || at === 'session' || at === 'authenticate' || at === 'mode'
    ? `${STEPS[at]}: ${text.slice(0, 1_500)}${number}${more}`
    : `${text.slice(0, 1_500)}${more}`
}

const STEPS = {
  prompt: 'the agent ended its turn with an error',
  session: 'the agent opened no session',
  authenticate: 'the agent needs a login',
  mode: 'the agent could not be set to the mode it needs to work',
} as const

/** What the end of a turn means; null when the agent ended as it should. */
export function failureOfStop(reason: string): Failure | null {
  switch (reason) {
    case 'end_turn':
      return null
    case 'max_tokens':
      return { code: 'context-overflow', text: 'the agent came to the end of the tokens it may use (max_tokens)' }
    case 'refusal':
      return {
        code: 'permission',
        text: "the agent's model refused to go on (refusal); read its last words, and change the task",
      }
    case 'max_turn_requests':
      return {
        code: 'waiting-for-input',
        text: 'the agent came to its own limit of requests in a turn (max_turn_requests) and waits for a word to go on',
      }
    case 'cancelled':
      return { code: 'crash', text: 'the agent says that its turn was cancelled, and nobody here did' }
    default:
      return {
        code: 'malformed-stream',
        text: `the agent ended its turn with an unknown reason: ${reason.slice(0, 100)}`,
      }
  }
}
