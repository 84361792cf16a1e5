// How an agent stands on this machine, for people: whether its version was tested, what holds it, what its account waits for.

import type { AgentAdapter } from '../agents/agent.ts'
import { type Account, limitedUntil } from '../core/account.ts'
import { limitWords, mayBegin } from '../core/schedule.ts'
import type { SandboxMeans } from '../workspace/workspace.ts'
import type { AgentView } from './app.ts'
import { iso } from './views.ts'

/** Whether a version lies in a range, both ends included; null when there is no telling. A pre-release comes before its release. */
export function versionWithin(version: string | null, range: { from: string; to: string } | null): boolean | null {
  const [seen, from, to] = [version, range?.from ?? null, range?.to ?? null].map(parseVersion)
  if (!seen || !from || !to) return null
  return compare(seen, from) >= 0 && compare(seen, to) <= 0
}

interface Version {
  numbers: number[]
  /** `nightly.20260102` of `0.61.0-nightly.20260102+build`; null for a release. */
  pre: string | null
}

function parseVersion(text: string | null): Version | null {
  const match = text === null ? null : /(\d+(?:\.\d+)*)(?:-([0-9A-Za-z.-]+))?/.exec(text)
  return match?.[1] === undefined ? null : { numbers: match[1].split('.').map(Number), pre: match[2] ?? null }
}

/** Below zero when `a` comes first. Missing numbers are zero: 2.1 is 2.1.0. */
function compare(a: Version, b: Version): number {
  const length = Math.max(a.numbers.length, b.numbers.length)
  for (let n = 0; n < length; n++) {
    const difference = (a.numbers[n] ?? 0) - (b.numbers[n] ?? 0)
    if (difference !== 0) return difference
  }
  if (a.pre === b.pre) return 0
  if (a.pre === null) return 1
  if (b.pre === null) return -1
  return a.pre.localeCompare(b.pre, 'en', { numeric: true })
}

/** What holds an agent's runs here, in words; null: nothing does. */
export function heldBy(adapter: AgentAdapter, means: SandboxMeans): string | null {
  if (means.kind !== 'bubblewrap') return adapter.ownSandbox
  return means.version === null ? "Orch's sandbox (bubblewrap)" : `Orch's sandbox (bubblewrap ${means.version})`
}

/** What an account waits for, as it stands now. */
export function accountView(
  account: Account | null,
  now: number,
): Pick<AgentView, 'limitedUntil' | 'limitReason' | 'breaker'> {
  const until = limitedUntil(account, now)
  const breaker = account?.breaker
  return {
    limitedUntil: until === null ? null : iso(until),
    limitReason: until === null ? null : limitWords(account?.limitReason),
    breaker: breaker
      ? {
          state: breaker.retryAt === null ? 'closed' : breaker.retryAt > now ? 'open' : 'trying',
          failures: breaker.failures,
          reason: breaker.reason,
          retryAt: breaker.retryAt === null ? null : iso(breaker.retryAt),
          trial: breaker.canary?.runId ?? null,
        }
      : null,
  }
}

/** One sentence, without its subject, for an account on which not every run may begin now; null when it may. */
export function accountTrouble(account: Account | null, now: number): string | null {
  const may = mayBegin(account, now, iso)
  return may.ok && !may.canary ? null : may.why
}
