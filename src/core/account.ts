// What Orch knows about one agent's account across tasks: until when it is limited, and what it has spent.
// Invariant: spend only grows; a limit that has passed limits nobody.

import type { AccountEvent } from './messages.ts'

export interface Account {
  /** The agent's name; one login per agent. */
  id: string
  limitedUntil: number | null
  limitReason: string | null
  spentUsd: number
  runs: number
}

export function newAccount(id: string): Account {
  return { id, limitedUntil: null, limitReason: null, spentUsd: 0, runs: 0 }
}

export function evolveAccount(account: Account, event: AccountEvent): Account {
  switch (event.type) {
    case 'account.limited':
      return { ...account, limitedUntil: event.data.until, limitReason: event.data.reason }
    case 'account.charged':
      return { ...account, spentUsd: account.spentUsd + event.data.costUsd, runs: account.runs + 1 }
    default:
      return event satisfies never
  }
}

/** Until when nothing may start on this account, or null. */
export function limitedUntil(account: Account | null, now: number): number | null {
  return account?.limitedUntil && account.limitedUntil > now ? account.limitedUntil : null
}
