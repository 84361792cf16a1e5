// What surfaces are told of webhooks, and what the listener is handed. Plain data.

import type { DeliveryState } from '../store/deliveries.ts'

export type { DeliveryState }

/** What the listener is handed: it knows nothing else of Orch. */
export interface WebhookDoor {
  maxBytes: number
  /** `POST /webhooks/<source>` leads somewhere. */
  has(source: string): boolean
  /** Never rejects. Answers when the delivery is on the disk, or is refused. */
  ingest(delivery: {
    source: string
    headers: Readonly<Record<string, string | undefined>>
    body: Uint8Array
  }): Promise<{ status: number; text: string }>
  /** Told of what the listener itself refused. */
  refused(request: { source: string | null; status: number; reason: string }): void
  health(): { lastDeliveryAt: string | null; signed: boolean }
}

export interface Listener {
  /** Where it listens, such as `http://127.0.0.1:8080`. */
  url: string
  /** Asks itself over the network, as a vendor would; false when no good answer comes in time. */
  probe(): Promise<boolean>
  /** Takes nothing more, ends what is under way, then closes. Twice is once. */
  close(): Promise<void>
}

/** Throws UserError (6) when the address can't be had. */
export type Listen = (door: WebhookDoor, at: { host: string; port: number }) => Promise<Listener>

/** What a running service wrote of its listener. */
export interface ListenerView {
  url: string
  /** Drivers whose deliveries it can check. */
  signed: string[]
  unsigned: boolean
}

export interface WebhookSourceView {
  name: string
  /** Its secret is known to the running service. */
  signed: boolean
  lastDeliveryAt: string | null
  /** Received in the last 24 hours, by what became of them; `retried` failed at least once. */
  last24h: Record<DeliveryState, number> & { retried: number }
}

export interface WebhooksView {
  /** Null: nobody listens. */
  listening: ListenerView | null
  sources: WebhookSourceView[]
}

/** Times are ISO 8601. */
export interface DeliveryView {
  id: number
  source: string
  deliveryId: string
  event: string
  state: DeliveryState
  receivedAt: string
  settledAt: string | null
  nextAt: string | null
  failures: number
  replays: number
  note: string | null
}

/** What the audit says of a stretch of time. */
export interface AuditView {
  since: string
  /** Lines that were looked at. */
  lines: number
  requests: number
  byStatus: Record<string, number>
  /** Of all requests, in percent. */
  rate5xx: number
  settled: Record<Exclude<DeliveryState, 'received'>, number>
  retries: number
  /** Why something was refused, rejected or failed, most frequent first; at most ten. */
  reasons: { reason: string; n: number }[]
}
