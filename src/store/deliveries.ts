// The part of a store's contract about deliveries of webhooks: kept before they are answered, worked on by one at a time,
// settled once (S7). Bodies are kept as they came, for as long as somebody may want them applied again.

/** `received`: still to be worked on. `failed`: given up, until a person has it applied again. */
export type DeliveryState = 'received' | 'applied' | 'ignored' | 'rejected' | 'failed'

/** What an outside system sent, as it came. */
export interface NewDelivery {
  source: string
  /** The sender's own id of it. */
  deliveryId: string
  event: string
  body: Uint8Array
  at: number
}

export interface DeliveryRow {
  id: number
  source: string
  deliveryId: string
  event: string
  state: DeliveryState
  receivedAt: number
  /** While it is received. */
  nextAt: number | null
  failures: number
  replays: number
  settledAt: number | null
  /** What came of it, or what went wrong last. */
  note: string | null
}

export interface DeliveryClaim {
  source: string
  worker: string
  now: number
  leaseMs: number
  limit: number
}

/** One that a worker has to itself, until its lease is over. */
export interface ClaimedDelivery extends DeliveryRow {
  token: number
  body: Uint8Array
  /** An earlier one of the same event and body within the hour, which was applied or is to be: this one says nothing new. */
  twin: number | null
}

/** Ends a claim: settled, or still `received` and to be tried again at `nextAt`. */
export interface DeliveryEnd {
  id: number
  token: number
  at: number
  state: DeliveryState
  note: string
  /** For `received`; `counts`: it failed. */
  again?: { nextAt: number; counts: boolean }
}

export interface DeliveryQueries {
  /** Newest first. */
  listDeliveries(filter: { id?: number; source?: string; states?: DeliveryState[]; limit: number }): DeliveryRow[]
  /** Counts of those received since then, and how many of them failed at least once. */
  deliveryCounts(since: number): { source: string; state: DeliveryState; n: number; failedOnce: number }[]
  /** When each source last delivered something. */
  lastDeliveries(): { source: string; at: number }[]
  /** When the next one of a source is due, ms; null when none waits. */
  nextDelivery(source: string): number | null
}

export interface DeliveryWrites {
  /**
   * On the disk when it resolves; the disk is waited for beside the loop, and what comes meanwhile is one transaction. Not
   * new: the same id was there.
   */
  appendDelivery(delivery: NewDelivery): Promise<{ id: number; isNew: boolean }>
  /** Takes due ones of a source, oldest first, and tells twins by their bodies. One that took a worker along comes last and alone, in the end never. */
  claimDeliveries(of: DeliveryClaim): Promise<ClaimedDelivery[]>
  /** Gives the ids of those whose claim was lost: nothing was written for them. */
  endDeliveries(ends: DeliveryEnd[]): Promise<number[]>
  /** Makes those of dead workers due at once; gives how many. */
  reclaimDeliveries(of: { now: number; isDead: (worker: string) => boolean }): Promise<number>
  /** Has a settled one applied anew. Null: there is none of that id. */
  replayDelivery(of: { id: number; now: number }): Promise<'replayed' | 'not-settled' | 'emptied' | null>
  /** Removes what was settled before, and bodies of what was settled before `bodiesBefore`; failed ones only if `failed`. */
  cleanDeliveries(of: { before: number; bodiesBefore: number; failed: boolean }): Promise<{ removed: number }>
}
