// What a failed Gemini CLI run means for Orch, from the API's status (told by the exit code, the message or stderr), then
// the CLI's own exit codes, and last its text. Measured on 0.61.0.
// Invariant: a status or a machine word wins over prose; what nothing explains is a crash, never a success.

import type { RunFailure } from '../core/run.ts'
import { crashText } from './report.ts'
import { resetIn } from './reset-time.ts'

export interface Failure {
  code: RunFailure
  text: string
  retryAfterMs?: number
}

export interface End {
  exitCode: number | null
  signal: string | null
  stderrTail: string
}

/** The CLI's own exit codes for what it finds before it asks a model: no login, a folder it does not trust. */
const EXITS: Record<number, RunFailure> = { 41: 'auth', 55: 'permission', 127: 'missing-tool' }

/** Words of Google's APIs for what their status says as well. */
const WORDS: readonly [RegExp, RunFailure][] = [
  [/\bUNAUTHENTICATED\b|\bAPI_KEY_INVALID\b|\bPERMISSION_DENIED\b|\bVALIDATION_REQUIRED\b/, 'auth'],
  [/\bRESOURCE_EXHAUSTED\b/, 'rate-limit'],
  [/\bUNAVAILABLE\b|\bDEADLINE_EXCEEDED\b/, 'overload'],
]

/** Prose, for what comes without a telling status: a wrong key and a prompt that is too long are both a plain 400. */
const PROSE: readonly [RegExp, RunFailure][] = [
  [
    /input token count|maximum number of tokens|prompt is too long|context (window|length) exceeded|exceeded the token limit/i,
    'context-overflow',
  ],
  [
    /api key (not valid|expired)|pass a valid api key|specify the GEMINI_API_KEY|set an auth method|invalid auth method|when using vertex ai|manual authorization|failed to (authenticate|login|sign in)|invalid_grant|default credentials|location is not supported|verify your account/i,
    'auth',
  ],
  [/exhausted your|quota|rate.?limit|too many requests/i, 'rate-limit'],
  [
    /fetch failed|API Error: terminated|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|socket hang up|incomplete json segment|overloaded|returned an empty response|no final response text|retry attempts exhausted/i,
    'overload',
  ],
  [/not found for API version|model .{0,80}(not found|not exist|not available|unavailable)/i, 'model-unavailable'],
  [/YOLO mode is disabled|not running in a trusted directory|disabled by (your|the) admin/i, 'permission'],
  [/no input provided via stdin|confirmation prompt requested/i, 'waiting-for-input'],
]

/** The class of a failure that the stream's result told; `end` is null while the process still lives. */
export function classifyResult(message: string, end: End | null, now: () => number = Date.now): Failure {
  const text = message.slice(0, 2_000) || (end ? crashText({ name: 'gemini', ...end }) : 'gemini gave no reason')
  const code = codeOf(message, end)
  if (code !== 'rate-limit') return { code, text }
  const retryAfterMs = resetIn(message, now())
  return retryAfterMs === null ? { code, text } : { code, text, retryAfterMs }
}

/** The class of a run that gave up before it had a result; null when neither its exit code nor its stderr tells. */
export function classifyEarly(end: End): Failure | null {
  const { exitCode, stderrTail } = end
  // Ended by a signal or with 0 it gave up on nothing: what stderr says is of some earlier moment.
  if (exitCode === null || exitCode === 0 || exitCode > 127) return null
  const code = EXITS[exitCode] ?? PROSE.find(([pattern]) => pattern.test(stderrTail))?.[1]
  return code === undefined ? null : { code, text: crashText({ name: 'gemini', ...end }) }
}

function codeOf(message: string, end: End | null): RunFailure {
  const exitCode = end?.exitCode ?? null
  const told = /"code"\s*:\s*(\d{3})\b/.exec(message)?.[1]
  const status = statusOfExit(exitCode) ?? (told === undefined ? null : Number(told))
  const known = status === null ? null : codeOfStatus(status)
  if (known) return known
  const word = [...WORDS, ...PROSE].find(([pattern]) => pattern.test(message))?.[1]
  if (word) return word
  // For a model that isn't there the status is told on stderr alone.
  if (/\bModelNotFoundError\b/.test(end?.stderrTail ?? '')) return 'model-unavailable'
  return EXITS[exitCode ?? -1] ?? 'crash'
}

/** The CLI ends with the HTTP status, of which the system keeps what fits a byte: 401 is 145, 500 is 244, 529 is 17. */
function statusOfExit(exitCode: number | null): number | null {
  if (exitCode === 529 - 512) return 529
  return exitCode !== null && exitCode >= 400 - 256 ? exitCode + 256 : null
}

function codeOfStatus(status: number): RunFailure | null {
  if (status === 401 || status === 403) return 'auth'
  if (status === 404) return 'model-unavailable'
  if (status === 413) return 'context-overflow'
  if (status === 429) return 'rate-limit'
  // A server's own trouble passes by itself; 499 is how Google says that it gave up on a request.
  if (status === 408 || status === 499 || status >= 500) return 'overload'
  return null
}
