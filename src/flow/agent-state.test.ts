import { expect, test } from 'vitest'
import { type Account, newAccount } from '../core/account.ts'
import { accountTrouble, accountView, heldBy, versionWithin } from './agent-state.ts'

const RANGE = { from: '0.60.1', to: '0.61.0' }

test.each<[string | null, boolean | null]>([
  ['0.60.1', true],
  ['0.60.12', true],
  ['0.61.0', true],
  ['0.61', true],
  ['v0.61.0+build.5', true],
  ['codex-cli 0.60.3 (linux)', true],
  ['0.60.0', false],
  ['0.9.9', false],
  ['0.61.1', false],
  ['1', false],
  ['0.61.0-nightly.20260102', true],
  ['0.61.1-nightly', false],
  ['0.60.1-rc.1', false],
  ['0.61.0-', true],
  ['', null],
  ['nightly', null],
  [null, null],
])('%s within 0.60.1 and 0.61.0: %s', (version, expected) => {
  expect(versionWithin(version, RANGE)).toBe(expected)
})

test('without a range nothing is told; pre-releases of the ends are ordered by their numbers', () => {
  expect(versionWithin('1.0.0', null)).toBeNull()
  const betas = { from: '2.0.0-beta.9', to: '2.0.0-beta.11' }
  expect(['2.0.0-beta.8', '2.0.0-beta.10', '2.0.0-beta.12', '2.0.0'].map((v) => versionWithin(v, betas))).toEqual([
    false,
    true,
    false,
    false,
  ])
})

test('what holds an agent is Orch’s sandbox where it has one, else what the agent has', () => {
  const adapter = { ownSandbox: 'its own sandbox' } as never
  const means = { version: '0.8', open: [], ends: 'pid-namespace' as const }
  expect(heldBy(adapter, { ...means, kind: 'bubblewrap' })).toBe("Orch's sandbox (bubblewrap 0.8)")
  expect(heldBy(adapter, { ...means, kind: 'unshare' })).toBe('its own sandbox')
  expect(heldBy({ ownSandbox: null } as never, { ...means, kind: 'none' })).toBeNull()
})

test('an account as people see it: healthy, limited, failing, open, being tried', () => {
  const at = '1970-01-01T00:00:05.000Z'
  const breaker = { failures: 3, reason: 'auth: no', opened: 1, retryAt: 5_000, canary: null }
  const seen = (account: Account | null, now: number) => ({
    ...accountView(account, now),
    trouble: accountTrouble(account, now),
  })
  const fine = { limitedUntil: null, limitReason: null, breaker: null, trouble: null }
  expect(seen(null, 0)).toEqual(fine)
  expect(seen(newAccount('bot'), 0)).toEqual(fine)
  const limited = { ...newAccount('bot'), limitedUntil: 5_000, limitReason: 'agent-rate-limit' }
  expect(seen(limited, 1)).toEqual({
    ...fine,
    limitedUntil: at,
    limitReason: 'rate limit',
    trouble: `is limited until ${at} (rate limit)`,
  })
  expect(seen(limited, 5_000)).toEqual(fine)
  expect(seen({ ...newAccount('bot'), breaker: { ...breaker, retryAt: null } }, 1)).toMatchObject({
    breaker: { state: 'closed', failures: 3, retryAt: null },
    trouble: null,
  })
  const open = { ...newAccount('bot'), breaker }
  expect(seen(open, 1)).toMatchObject({
    breaker: { state: 'open', reason: 'auth: no', retryAt: at, trial: null },
    trouble: `failed 3 runs in a row (auth: no); one run tries it again at ${at}`,
  })
  expect(seen(open, 6_000)).toMatchObject({ breaker: { state: 'trying' } })
  const tried = { ...open, breaker: { ...breaker, canary: { runId: 'T-1-1', until: 9_000 } } }
  expect(seen(tried, 6_000)).toMatchObject({ breaker: { state: 'trying', trial: 'T-1-1' } })
})
