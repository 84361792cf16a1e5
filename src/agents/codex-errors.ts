// What a failed codex run means for Orch. The CLI tells its troubles in one sentence (measured on 0.169.0): the API's
// status stands in some of them, some are the API's own JSON, the rest are its fixed phrases.
// Invariant: a status or a machine word wins over prose; what nothing explains is a crash, never a success.

import type { RunFailure } from '../core/run.ts'

export interface Failure {
  code: RunFailure
  text: string
  retryAfterMs?: number
}

/** The API's own words, in the JSON that the CLI hands through. */
const WORDS: Record<string, RunFailure> = {
  invalid_api_key: 'auth',
  insufficient_quota: 'auth',
  context_length_exceeded: 'context-overflow',
  model_not_found: 'model-unavailable',
  rate_limit_exceeded: 'rate-limit',
  usage_limit_reached: 'rate-limit',
  server_is_overloaded: 'overload',
  server_error: 'overload',
}

const PROSE: readonly [RegExp, RunFailure][] = [
  [/ran out of room in the model's context window|prompt is too long|context (window|length)/i, 'context-overflow'],
  // A plan or an account without money is the account's matter: a person must act, no retry helps.
  [/quota exceeded|out of credits|spend cap|use Codex with your ChatGPT plan/i, 'auth'],
  [/hit your usage limit|rate.?limit/i, 'rate-limit'],
  [/model .*(does not exist|not found|is not supported|requires a newer version)/i, 'model-unavailable'],
  [/missing environment variable|not logged in|(log|sign) ?(out and|in again)|token could not be refreshed/i, 'auth'],
  // It ended its answer itself, for a reason that no repeat mends.
  [/incomplete response returned/i, 'crash'],
  [
    /experiencing high demand|at capacity|connection failed|stream disconnected|timed? ?out|error sending request/i,
    'overload',
  ],
  [/no prompt provided|request_user_input/i, 'waiting-for-input'],
  [/blocked by Cloudflare/i, 'auth'],
]

/** The class of a trouble told in `message`. `retryAfterMs` only when the CLI said when. */
export function classify(message: string, now: () => number = Date.now): Failure {
  const { text, word } = readMessage(message.trim())
  const code = codeOfStatus(text) ?? WORDS[word] ?? PROSE.find(([pattern]) => pattern.test(text))?.[1] ?? 'crash'
  const told = text.slice(0, 2_000) || 'codex failed and gave no reason'
  const wait = code === 'rate-limit' ? waitIn(text, now()) : null
  return { code, text: told, ...(wait === null ? {} : { retryAfterMs: wait }) }
}

/** The sentence, and the machine word beside it where the message is the API's JSON. */
function readMessage(message: string): { text: string; word: string } {
  if (!message.startsWith('{')) return { text: message, word: '' }
  try {
    const read = JSON.parse(message) as { error?: Record<string, unknown>; detail?: unknown } | null
    const { message: said = read?.detail, code, type } = read?.error ?? {}
    const word = [code, type].find((one) => typeof one === 'string' && one in WORDS)
    return { text: typeof said === 'string' ? said : message, word: typeof word === 'string' ? word : '' }
  } catch {
    return { text: message, word: '' }
  }
}

function codeOfStatus(text: string): RunFailure | null {
  const status = Number(/(?:unexpected status|last status:|\(status) (\d{3})\b/.exec(text)?.[1] ?? 0)
  if (status === 401 || status === 403) return 'auth'
  if (status === 404) return 'model-unavailable'
  if (status === 413) return 'context-overflow'
  if (status === 429) return 'rate-limit'
  return status === 408 || status >= 500 ? 'overload' : null
}

const UNIT_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
/** A time of day is told without its seconds. */
const MINUTE_MS = 60_000

/** "try again in 6m0.5s", "try again at 3:45 PM" (today) or "at Nov 23rd, 2026 10:13 AM", in this machine's time zone. */
function waitIn(text: string, now: number): number | null {
  const spans = /try again in ((?:[\d.]+ ?(?:ms|[smhd])[a-z]* ?)+)/i.exec(text)?.[1]
  if (spans) {
    const parts = [...spans.matchAll(/([\d.]+) ?(ms|[smhd])/gi)]
    return Math.ceil(parts.reduce((sum, [, n, unit]) => sum + Number(n) * (UNIT_MS[unit?.toLowerCase() ?? ''] ?? 0), 0))
  }
  const at = /try again at (?:(\w{3} \d+)(?:st|nd|rd|th), (\d{4}) )?(\d+:\d\d [AP]M)/i.exec(text)
  if (!at) return null
  const day = at[1] ? `${at[1]}, ${at[2]}` : new Date(now).toDateString()
  const until = Date.parse(`${day} ${at[3]}`)
  return Number.isNaN(until) ? null : Math.max(0, until + MINUTE_MS - now)
}
