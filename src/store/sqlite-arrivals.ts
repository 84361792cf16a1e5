// How a delivery comes into the store, in two steps. It is appended as one row of `arrivals`, and by nothing else: no index
// of random ids is touched while its sender waits. Later it is admitted to `deliveries`, where it has a state.
// Invariant: arrivals are admitted in the order of their ids, so those that are not yet are newer than all of `deliveries`.

import { hash } from 'node:crypto'
import type { DeliveryWrites, NewDelivery } from './deliveries.ts'
import { NOT_ADMITTED } from './sqlite-delivery-queries.ts'
import { type Sql, type Write, keep } from './sql.ts'

/** Bounds how long one append holds the lock: some milliseconds. */
const MOST_IN_GROUP = 512
/** Bounds how long one claim holds it. */
const ADMITTED_AT_ONCE = 128

/** A disk takes as long for one as for two at once; more leave too little to each. */
const MOST_SYNCS = 2

interface Appended {
  id: number
  isNew: boolean
}

interface Arrivals extends Pick<DeliveryWrites, 'appendDelivery'> {
  /** Within a transaction: gives the oldest arrivals a row of their own. */
  admit(): void
}

interface Waiting {
  delivery: NewDelivery
  resolve: (appended: Appended) => void
  reject: (error: unknown) => void
}

/**
 * What comes while the disk is busy is the next transaction: the busier it is the more share one commit and one sync, and
 * the sync is waited for beside the loop.
 */
export function makeArrivals(sql: Sql, write: Write): Arrivals {
  const append = makeAppendOne(sql)
  let waiting: Waiting[] = []
  let writers = 0

  async function writeGroups(): Promise<void> {
    while (waiting.length > 0) {
      const group = waiting.length > MOST_IN_GROUP ? waiting.splice(0, MOST_IN_GROUP) : waiting
      if (group === waiting) waiting = []
      try {
        const appended = await writeGroup(group)
        for (const [n, one] of group.entries()) one.resolve(appended[n] as Appended)
      } catch (error) {
        append.forgetAll()
        for (const one of group) one.reject(error)
      }
    }
    writers -= 1
  }

  async function writeGroup(group: Waiting[]): Promise<Appended[]> {
    const appended = await write('ordered', () => keep(group.map(({ delivery }) => append.one(delivery))))
    try {
      await sql.syncLog()
    } catch (error) {
      await takeBack(appended).catch(() => undefined)
      throw error
    }
    return appended
  }

  /** Nobody knows whether the disk has them: sent again, they must be new. What is worked on already is known then. */
  async function takeBack(group: Appended[]): Promise<void> {
    const fresh = group.filter(({ isNew }) => isNew)
    await write('ordered', () => keep(fresh.map(({ id }) => sql.run(TAKE_BACK, id))))
  }

  return {
    appendDelivery: (delivery) =>
      new Promise((resolve, reject) => {
        waiting.push({ delivery, resolve, reject })
        if (writers === MOST_SYNCS) return
        writers += 1
        setImmediate(() => void writeGroups())
      }),
    admit: () => admit(sql, append.forget),
  }
}

/** Within a transaction. Ids of arrivals that are not admitted yet are in memory; `forgetAll` has them read again. */
function makeAppendOne(sql: Sql): {
  one(delivery: NewDelivery): Appended
  forget(source: string, deliveryId: string): void
  forgetAll(): void
} {
  let pending: Map<string, number> | null = null
  let most = 0
  const readPending = (): Map<string, number> => {
    const rows = sql.all<{ id: number; source: string; deliveryId: string }>(PENDING)
    most = Math.max(2 * rows.length, LEAST_REMEMBERED)
    return new Map(rows.map(({ id, source, deliveryId }) => [keyOf(source, deliveryId), id]))
  }
  return {
    one: ({ source, deliveryId, event, body, at }) => {
      const known = sql.get<{ id: number }>(BY_ID, source, deliveryId)
      if (known) return { id: known.id, isNew: revive(sql, known.id, { source, deliveryId, event, body, at }) }
      if (pending === null || pending.size > most) pending = readPending()
      const key = keyOf(source, deliveryId)
      const twice = pending.get(key)
      // It may have been admitted and cleaned away in the meantime.
      if (twice !== undefined && sql.get(STILL_PENDING, twice)) return { id: twice, isNew: false }
      const { id } = sql.run(ARRIVE, source, deliveryId, event, at, body)
      pending.set(key, id)
      return { id, isNew: true }
    },
    forget: (source, deliveryId) => void pending?.delete(keyOf(source, deliveryId)),
    forgetAll: () => {
      pending = null
    },
  }
}

/** What another process admitted is not noted here: when those in memory have doubled they are read again. */
const LEAST_REMEMBERED = 100_000

const keyOf = (source: string, deliveryId: string): string => `${source}/${deliveryId}`

/** One that was given up and is sent again is tried again: whoever sent it means it. */
function revive(sql: Sql, id: number, { source, deliveryId, event, body, at }: NewDelivery): boolean {
  if (sql.run(REVIVE, at, id, hashOf(body)).changes === 0) return false
  // It may have been cleaned away.
  sql.run(KEEP_AGAIN, id, source, deliveryId, event, at, body)
  return true
}

const hashOf = (body: Uint8Array): Buffer => hash('sha256', body, 'buffer')

function admit(sql: Sql, forget: (source: string, deliveryId: string) => void): void {
  const oldest = sql.all<{ id: number; source: string; deliveryId: string; body: Uint8Array }>(
    OLDEST_PENDING,
    ADMITTED_AT_ONCE,
  )
  for (const { id, source, deliveryId, body } of oldest) {
    // One whose id came twice is gone: it is known.
    if (sql.run(ADMIT, hashOf(body), id).changes === 0) sql.run('DELETE FROM arrivals WHERE id = ?', id)
    // Were this undone, one that comes again would arrive twice, and be admitted once all the same.
    forget(source, deliveryId)
  }
}

const BY_ID = `SELECT id FROM deliveries WHERE source = ? AND delivery_id = ?`

const PENDING = `SELECT id, source, delivery_id AS deliveryId FROM arrivals WHERE ${NOT_ADMITTED}`

const STILL_PENDING = `SELECT id FROM arrivals WHERE id = ? AND ${NOT_ADMITTED}`

const OLDEST_PENDING = `
SELECT id, source, delivery_id AS deliveryId, body FROM arrivals WHERE ${NOT_ADMITTED} ORDER BY id LIMIT ?`

const ARRIVE = `INSERT INTO arrivals (source, delivery_id, event, received_at, body) VALUES (?, ?, ?, ?, ?)`

const ADMIT = `
INSERT INTO deliveries (id, source, delivery_id, event, hash, received_at, state, next_at)
SELECT id, source, delivery_id, event, ?, received_at, 'received', received_at FROM arrivals WHERE id = ?
ON CONFLICT (source, delivery_id) DO NOTHING`

const TAKE_BACK = `DELETE FROM arrivals WHERE id = ? AND ${NOT_ADMITTED}`

const REVIVE = `
UPDATE deliveries SET state = 'received', next_at = ?, settled_at = NULL, failures = 0, deaths = 0, replays = replays + 1
WHERE id = ? AND state = 'failed' AND hash = ?`

const KEEP_AGAIN = `
INSERT OR IGNORE INTO arrivals (id, source, delivery_id, event, received_at, body) VALUES (?, ?, ?, ?, ?, ?)`
