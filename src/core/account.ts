// What Orch knows about one agent's account across tasks: until when it is limited, whether its runs fail for reasons of
// the agent's own, and what it has spent. Invariant: spend only grows; a limit that has passed limits nobody; an open
// breaker always names a time from which one run may try the agent again, so nothing waits for it for ever.

import type { AccountEvent } from './messages.ts'
import { backoffMs } from './policy.ts'
import type { RunOutcome } from './run.ts'

export interface Account {
  /** The agent's name; one login per agent. */
  id: string
  limitedUntil: number | null
  limitReason: string | null
  /** Back-offs in a row that no vendor set: the next one is longer. Absent: none. */
  backoffs?: number
  spentUsd: number
  runs: number
  /** Absent while nothing speaks against the agent. */
  breaker?: Breaker
}

export interface Breaker {
  /** Runs in a row, of whatever tasks, whose end speaks against the agent. */
  failures: number
  /** How the last of them ended, such as `auth: not logged in`. */
  reason: string
  /** How often in a row it has opened: each cooldown is twice the one before. */
  opened: number
  /** Open: from then on one run may try the agent again. Null: closed. */
  retryAt: number | null
  /** The run that tries it; past `until` it is given up, whatever became of it. */
  canary: { runId: string; until: number } | null
}

const CLOSED: Breaker = { failures: 0, reason: '', opened: 0, retryAt: null, canary: null }

/** One failure may be chance and two a bad minute; the third in a row is the agent's state. Our choice. */
const FAILURES_TO_OPEN = 3

/** Our choice: five minutes see a restart or a new login out; an hour is the longest a mended agent may wait to be found so. */
const COOLDOWN = { baseMs: 5 * 60_000, maxMs: 3_600_000 } as const

/** The least a limit lasts, in ms: a vendor's "at once" must not become a loop. */
const LIMIT_MIN_MS = 1_000

/** What is kept of a failure's text, in characters: enough for a sentence of `why`. */
const REASON_MAX = 160

export function newAccount(id: string): Account {
  return { id, limitedUntil: null, limitReason: null, spentUsd: 0, runs: 0 }
}

export function evolveAccount(account: Account, event: AccountEvent): Account {
  const breaker = account.breaker ?? CLOSED
  switch (event.type) {
    case 'account.limited': {
      const { until, reason, backoffs } = event.data
      return { ...account, limitedUntil: until, limitReason: reason, ...(backoffs === undefined ? {} : { backoffs }) }
    }
    case 'account.charged':
      return { ...account, spentUsd: account.spentUsd + event.data.costUsd, runs: account.runs + 1 }
    case 'account.failed':
      return { ...account, breaker: { ...breaker, failures: breaker.failures + 1, reason: event.data.reason } }
    case 'account.opened':
      return {
        ...account,
        breaker: { ...breaker, opened: breaker.opened + 1, retryAt: event.data.until, canary: null },
      }
    case 'account.canary_begun':
      return { ...account, breaker: { ...breaker, canary: event.data } }
    case 'account.canary_allowed':
      return { ...account, breaker: { ...breaker, retryAt: event.data.from, canary: null } }
    case 'account.recovered': {
      const { backoffs: _, breaker: __, ...healthy } = account
      return healthy
    }
    default:
      return event satisfies never
  }
}

/** Until when nothing may start on this account, or null. */
export function limitedUntil(account: Account | null, now: number): number | null {
  return account?.limitedUntil && account.limitedUntil > now ? account.limitedUntil : null
}

/** What a run's end means for its agent's account. `now` in ms. */
export function accountEventsOf(
  account: Account,
  run: { runId: string; outcome: RunOutcome; costUsd: number },
  now: number,
): AccountEvent[] {
  const { breaker } = account
  const charged: AccountEvent = { type: 'account.charged', data: { costUsd: run.costUsd } }
  if (run.outcome.kind === 'succeeded') {
    const isHealthy = breaker === undefined && account.backoffs === undefined
    return isHealthy ? [charged] : [charged, { type: 'account.recovered', data: {} }]
  }
  const limited = limitOf(account, run.outcome, now)
  const isCanary = breaker?.canary?.runId === run.runId
  const fault = agentFault(run.outcome)
  // Cancelled, lost, ended by its time limit or met by a limit: that says nothing of the agent, so the next run tries it.
  const inconclusive: AccountEvent[] = isCanary ? [{ type: 'account.canary_allowed', data: { from: now } }] : []
  if (fault === null) return [charged, ...limited, ...inconclusive]
  const failed: AccountEvent = { type: 'account.failed', data: { runId: run.runId, reason: fault } }
  const isClosed = (breaker?.retryAt ?? null) === null
  if (!isCanary && (!isClosed || (breaker?.failures ?? 0) + 1 < FAILURES_TO_OPEN)) return [charged, failed]
  return [charged, failed, { type: 'account.opened', data: { until: now + cooldownMs(breaker?.opened ?? 0) } }]
}

function cooldownMs(opened: number): number {
  return Math.min(COOLDOWN.baseMs * 2 ** Math.min(opened, 20), COOLDOWN.maxMs)
}

function limitOf(account: Account, outcome: RunOutcome, now: number): AccountEvent[] {
  if (outcome.kind !== 'failed' || (outcome.code !== 'rate-limit' && outcome.code !== 'overload')) return []
  // Several runs of one account end one after the other: a short back-off must not cut a long limit short, nor be
  // taken for one after the other.
  const current = limitedUntil(account, now)
  const backoffs = account.backoffs ?? 0
  const lasts = Math.max(backoffMs(backoffs, outcome.retryAfterMs), LIMIT_MIN_MS)
  const counts = outcome.retryAfterMs === undefined && current === null
  const data = { until: Math.max(now + lasts, current ?? 0), reason: `agent-${outcome.code}` }
  return [{ type: 'account.limited', data: counts ? { ...data, backoffs: backoffs + 1 } : data }]
}

/** Why a run's end speaks against its agent and not against its task; null when it doesn't. */
function agentFault(outcome: RunOutcome): string | null {
  if (outcome.kind === 'could-not-start') return reasonOf(outcome.kind, outcome.text)
  if (outcome.kind !== 'failed') return null
  switch (outcome.code) {
    case 'crash':
      // An agent that ended well and whose work could not be taken out.
      return outcome.exitCode === 0 ? null : reasonOf(outcome.code, outcome.text)
    case 'auth':
    case 'malformed-stream':
    case 'missing-tool':
    case 'model-unavailable':
      return reasonOf(outcome.code, outcome.text)
    case 'rate-limit':
    case 'overload':
    case 'context-overflow':
    case 'permission':
    case 'waiting-for-input':
    case 'output-flood':
      return null
    default:
      return outcome.code satisfies never
  }
}

function reasonOf(code: string, text: string): string {
  const line = text.split('\n', 1)[0]?.trim() ?? ''
  return line === '' ? code : `${code}: ${line.length > REASON_MAX ? `${line.slice(0, REASON_MAX)}…` : line}`
}
