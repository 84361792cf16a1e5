// Deliveries and their sources as people and scripts are shown them.

import type { DeliveryQueries, DeliveryRow } from '../store/deliveries.ts'
import { iso } from './views.ts'
import type { DeliveryView, ListenerView, WebhookSourceView, WebhooksView } from './webhooks.ts'

const DAY_MS = 24 * 3_600_000

export function deliveryView(row: DeliveryRow): DeliveryView {
  const { id, source, deliveryId, event, state, failures, replays, note } = row
  const time = (at: number | null): string | null => (at === null ? null : iso(at))
  return {
    id,
    source,
    deliveryId,
    event,
    state,
    receivedAt: iso(row.receivedAt),
    settledAt: time(row.settledAt),
    nextAt: time(row.nextAt),
    failures,
    replays,
    note,
  }
}

/** Every source that delivered something or could. */
export function webhooksView(
  queries: DeliveryQueries,
  { listening, now }: { listening: ListenerView | null; now: number },
): WebhooksView {
  const last = new Map(queries.lastDeliveries().map(({ source, at }) => [source, at]))
  const counts = queries.deliveryCounts(now - DAY_MS)
  const names = [...new Set([...(listening?.signed ?? []), ...last.keys()])].toSorted()
  const sources = names.map((name): WebhookSourceView => {
    const last24h = { received: 0, applied: 0, ignored: 0, rejected: 0, failed: 0, retried: 0 }
    for (const { source, state, n, failedOnce } of counts) {
      if (source !== name) continue
      last24h[state] += n
      last24h.retried += failedOnce
    }
    const at = last.get(name)
    const signed = listening?.signed.includes(name) ?? false
    return { name, signed, lastDeliveryAt: at === undefined ? null : iso(at), last24h }
  })
  return { listening, sources }
}
