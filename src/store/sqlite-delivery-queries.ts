// Deliveries as they are looked at. Apart from what writes them: a command that only looks loads no hashes.

import type { DeliveryQueries, DeliveryRow } from './deliveries.ts'
import type { Sql } from './sql.ts'

export function makeDeliveryQueries(sql: Sql): DeliveryQueries {
  return {
    listDeliveries: ({ id, source, states, limit }) => {
      const wheres = [
        ...(id === undefined ? [] : ['id = ?']),
        ...(source === undefined ? [] : ['source = ?']),
        ...(states === undefined ? [] : [`state IN (${states.map(() => '?').join()})`]),
      ]
      const where = wheres.length > 0 ? `WHERE ${wheres.join(' AND ')}` : ''
      const values = [...(id === undefined ? [] : [id]), ...(source === undefined ? [] : [source]), ...(states ?? [])]
      return sql.all<DeliveryRow>(
        `SELECT ${COLUMNS} FROM all_deliveries ${where} ORDER BY id DESC LIMIT ?`,
        ...values,
        limit,
      )
    },
    deliveryCounts: (since) => sql.all(COUNTS, since),
    lastDeliveries: () => sql.all(LAST),
    nextDelivery: (source) => nextDue(sql, source),
  }
}

/** When the next one of a source is due, admitted or not; null when none waits. Takes no lock. */
export function nextDue(sql: Sql, source: string): number | null {
  const times = [
    sql.get<{ at: number | null }>(NEXT, source)?.at ?? null,
    sql.get<{ at: number }>(OLDEST_PENDING_OF, source)?.at ?? null,
  ]
  const known = times.filter((at) => at !== null)
  return known.length === 0 ? null : Math.min(...known)
}

/** Arrivals without a row of their own yet. */
export const NOT_ADMITTED = `id > (SELECT coalesce(max(id), 0) FROM deliveries)`

export const COLUMNS = `id, source, delivery_id AS deliveryId, event, state, received_at AS receivedAt, next_at AS nextAt,
  failures, replays, settled_at AS settledAt, note`

const COUNTS = `
SELECT source, state, count(*) AS n, sum(failures > 0) AS failedOnce FROM all_deliveries
WHERE received_at >= ? GROUP BY source, state`

// Ids grow with time, so the newest of a source is the one with the greatest.
const LAST = `
SELECT source, received_at AS at FROM all_deliveries WHERE id IN (SELECT max(id) FROM all_deliveries GROUP BY source)`

const NEXT = `SELECT min(next_at) AS at FROM deliveries INDEXED BY deliveries_due WHERE source = ? AND state = 'received'`

const OLDEST_PENDING_OF = `SELECT received_at AS at FROM arrivals WHERE ${NOT_ADMITTED} AND source = ? ORDER BY id LIMIT 1`
