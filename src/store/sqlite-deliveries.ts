// Deliveries of webhooks on SQLite: appended in groups, claimed by a worker, settled once (S7).
// Invariant: what was answered as new is on the disk, and a claim that was lost writes nothing.

import { makeArrivals } from './sqlite-arrivals.ts'
import { COLUMNS, nextDue } from './sqlite-delivery-queries.ts'
import { type Sql, type Write, keep } from './sql.ts'
import type { ClaimedDelivery, DeliveryClaim, DeliveryEnd, DeliveryState, DeliveryWrites } from './deliveries.ts'

/** One vendor gives one delivery two ids within seconds; later the same body may be said in earnest. */
const SAME_BODY_MS = 3_600_000
/** Workers that may die with one delivery; a host that runs out of memory kills some that were not at fault. */
const MOST_DEATHS = 8
/** Removed in one transaction: bodies have megabytes. */
const CLEANED_AT_ONCE = 200

export function makeDeliveryWrites(sql: Sql, write: Write): DeliveryWrites {
  const arrivals = makeArrivals(sql, write)
  return {
    appendDelivery: arrivals.appendDelivery,
    claimDeliveries: async (of) => {
      // A look without the lock: an idle worker must not stand in the way of those that write.
      const next = nextDue(sql, of.source)
      return next === null || next > of.now ? [] : write('ordered', () => keep(claim(sql, of, arrivals.admit)))
    },
    endDeliveries: (ends) =>
      write('ordered', () => keep(ends.filter((end) => !endClaim(sql, end)).map((end) => end.id))),
    reclaimDeliveries: async ({ now, isDead }) => {
      const dead = sql.all<{ worker: string }>(WORKERS).filter(({ worker }) => isDead(worker))
      if (dead.length === 0) return 0
      return write('ordered', () => keep(dead.reduce((n, { worker }) => n + sql.run(RECLAIM, now, worker).changes, 0)))
    },
    replayDelivery: ({ id, now }) =>
      write('durable', () => {
        if (sql.run(REPLAY, now, id).changes === 1) return keep('replayed')
        const found = sql.get<{ state: DeliveryState }>('SELECT state FROM all_deliveries WHERE id = ?', id)
        return keep(found ? (found.state === 'received' ? 'not-settled' : 'emptied') : null)
      }),
    cleanDeliveries: async ({ before, bodiesBefore, failed }) => {
      const inParts = async (old: string, settledBefore: number, remove: (id: number) => void): Promise<number> => {
        let total = 0
        for (let n = CLEANED_AT_ONCE; n === CLEANED_AT_ONCE; total += n)
          n = await write('ordered', () => {
            const rows = sql.all<{ id: number }>(old, settledBefore, settledBefore, failed ? 1 : 0, CLEANED_AT_ONCE)
            for (const { id } of rows) remove(id)
            return keep(rows.length)
          })
        return total
      }
      const empty = (id: number): void => void sql.run('DELETE FROM arrivals WHERE id = ?', id)
      const removed = await inParts(OLD, before, (id) => {
        // Together: an arrival that is newer than every row would be admitted again.
        empty(id)
        sql.run('DELETE FROM deliveries WHERE id = ?', id)
      })
      await inParts(OLD_WITH_BODY, bodiesBefore, empty)
      return { removed }
    },
  }
}

function claim(sql: Sql, { source, worker, now, leaseMs, limit }: DeliveryClaim, admit: () => void): ClaimedDelivery[] {
  admit()
  sql.run(GIVE_UP, `${MOST_DEATHS} times orch died while it worked on it`, now, source, now, MOST_DEATHS)
  const free = sql.all<{ id: number }>(DUE, source, now, limit)
  const ids = free.length > 0 ? free : sql.all<{ id: number }>(DUE_AFTER_DEATH, source, now)
  return ids.flatMap(({ id }) => {
    const body = sql.get<{ body: Uint8Array }>('SELECT body FROM arrivals WHERE id = ?', id)?.body
    const row = body && sql.get<Omit<ClaimedDelivery, 'body' | 'twin'>>(CLAIM, worker, now + leaseMs, id)
    if (!row) return []
    const twin = sql.get<{ id: number }>(TWIN, id)?.id ?? null
    return { ...row, body, twin }
  })
}

function endClaim(sql: Sql, { id, token, at, state, note, again }: DeliveryEnd): boolean {
  if (state !== 'received') return sql.run(SETTLE, state, at, note, id, token).changes === 1
  const counts = again?.counts === false ? 0 : 1
  return sql.run(AGAIN, again?.nextAt ?? at, counts, note, id, token).changes === 1
}

// Of two that are both to be applied the later is the twin of the earlier, never each of the other. What failed may come
// again under another id, and what a person has applied anew is meant.
const TWIN = `
SELECT twin.id FROM deliveries AS own JOIN deliveries AS twin INDEXED BY deliveries_hash
  ON twin.source = own.source AND twin.hash = own.hash AND twin.event = own.event AND twin.id <> own.id
WHERE own.id = ? AND own.replays = 0 AND own.received_at - twin.received_at BETWEEN 0 AND ${SAME_BODY_MS}
  AND (twin.state = 'applied' OR (twin.state = 'received' AND twin.id < own.id)) LIMIT 1`

const GIVE_UP = `
UPDATE deliveries SET state = 'failed', note = ?, settled_at = ?, next_at = NULL, worker = NULL
WHERE source = ? AND state = 'received' AND next_at <= ? AND deaths >= ?`

const DUE = `
SELECT id FROM deliveries INDEXED BY deliveries_due
WHERE source = ? AND state = 'received' AND next_at <= ? AND deaths = 0 ORDER BY next_at, id LIMIT ?`

const DUE_AFTER_DEATH = `
SELECT id FROM deliveries INDEXED BY deliveries_due
WHERE source = ? AND state = 'received' AND next_at <= ? ORDER BY next_at, id LIMIT 1`

const CLAIM = `
UPDATE deliveries SET worker = ?, next_at = ?, token = token + 1 WHERE id = ? RETURNING ${COLUMNS}, token`

const SETTLE = `
UPDATE deliveries SET state = ?, settled_at = ?, note = ?, next_at = NULL, worker = NULL
WHERE id = ? AND state = 'received' AND worker IS NOT NULL AND token = ?`

const AGAIN = `
UPDATE deliveries SET next_at = ?, worker = NULL, failures = failures + ?, note = ?
WHERE id = ? AND state = 'received' AND worker IS NOT NULL AND token = ?`

const RECLAIM = `
UPDATE deliveries INDEXED BY deliveries_held SET next_at = ?, worker = NULL, deaths = deaths + 1 WHERE worker = ?`

const WORKERS = `SELECT DISTINCT worker FROM deliveries INDEXED BY deliveries_held WHERE worker IS NOT NULL`

const REPLAY = `
UPDATE deliveries SET state = 'received', next_at = ?, settled_at = NULL, failures = 0, deaths = 0, replays = replays + 1
WHERE id = ? AND state <> 'received' AND id IN (SELECT id FROM arrivals)`

// Received before it was settled, and by that it is found.
const OLD_ROWS = `FROM deliveries INDEXED BY deliveries_received
WHERE received_at < ? AND settled_at < ? AND (state <> 'failed' OR ? = 1)`

const OLD = `SELECT id ${OLD_ROWS} LIMIT ?`

const OLD_WITH_BODY = `SELECT id ${OLD_ROWS} AND id IN (SELECT id FROM arrivals) LIMIT ?`
