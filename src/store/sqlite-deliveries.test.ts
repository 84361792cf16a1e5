// What is SQLite's own: deliveries of one turn are one transaction, and no query walks all that ever came.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { connect } from './sql-connection.ts'
import type { Sql } from './sql.ts'
import { makeStore } from './sqlite.ts'

let dir: string
let sql: Sql
let transactions: string[]

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-deliveries-'))
  const real = await connect(join(dir, 'orch.db'))
  transactions = []
  sql = {
    ...real,
    run: (text, ...values) => {
      if (/^(BEGIN|COMMIT|ROLLBACK)/.test(text)) transactions.push(text)
      return real.run(text, ...values)
    },
  }
})

afterEach(async () => {
  sql.close()
  await rm(dir, { recursive: true, force: true })
})

const delivery = (n: number) => ({
  source: 'github',
  deliveryId: `d-${n}`,
  event: 'push',
  body: Buffer.from(`body ${n}`),
  at: n,
})

test('deliveries of one turn of the event loop are one transaction', async () => {
  const store = makeStore(sql)
  await Promise.all(Array.from({ length: 200 }, (_, n) => store.appendDelivery(delivery(n))))
  expect(transactions).toEqual(['BEGIN IMMEDIATE', 'COMMIT'])
})

test('a group that can not be written is refused to each of its senders, and the next one is taken', async () => {
  const store = makeStore({
    ...sql,
    run: (text, ...values) => {
      if (values.includes('d-1')) throw new Error('the disk is full')
      return sql.run(text, ...values)
    },
  })
  const tried = await Promise.allSettled([store.appendDelivery(delivery(0)), store.appendDelivery(delivery(1))])
  expect(tried.map((one) => one.status)).toEqual(['rejected', 'rejected'])
  expect(store.listDeliveries({ limit: 5 })).toEqual([])
  expect(await store.appendDelivery(delivery(0))).toEqual({ id: 1, isNew: true })
})

test('it is answered when the disk has synced it, and not before', async () => {
  const { syncs, append, kept } = slowDisk()
  const both = [append(0), append(1)]
  await expect.poll(() => syncs.length).toBe(1)
  expect(kept).toEqual([])
  syncs[0]?.()
  await Promise.all(both)
  expect(kept).toEqual([0, 1])
})

test('while the disk syncs two groups, all that comes is one more', async () => {
  const { syncs, append, kept } = slowDisk()
  const first = append(0)
  await expect.poll(() => syncs.length).toBe(1)
  const second = append(1)
  await expect.poll(() => syncs.length).toBe(2)
  const third = [append(2), append(3)]
  await new Promise((resolve) => setTimeout(resolve, 20))
  third.push(append(4))
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(transactions.filter((text) => text === 'COMMIT')).toHaveLength(2)
  syncs[1]?.()
  await second
  await expect.poll(() => syncs.length).toBe(3)
  expect(transactions.filter((text) => text === 'COMMIT')).toHaveLength(3)
  expect(kept).toEqual([1])
  for (const done of syncs) done()
  await Promise.all([first, ...third])
  expect(kept.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4])
})

/** A store whose syncs end when the test says so. */
function slowDisk() {
  const syncs: (() => void)[] = []
  const store = makeStore({ ...sql, syncLog: () => new Promise((resolve) => syncs.push(resolve)) })
  const kept: number[] = []
  const append = async (n: number): Promise<void> => {
    await store.appendDelivery(delivery(n))
    kept.push(n)
  }
  return { syncs, append, kept }
}

test('what the disk did not sync is refused, and sent again it is new', async () => {
  let isBroken = true
  const syncLog = (): Promise<void> => (isBroken ? Promise.reject(new Error('the disk is gone')) : sql.syncLog())
  const store = makeStore({ ...sql, syncLog })
  await expect(store.appendDelivery(delivery(1))).rejects.toThrow('the disk is gone')
  expect(store.listDeliveries({ limit: 5 })).toEqual([])
  isBroken = false
  expect(await store.appendDelivery(delivery(1))).toMatchObject({ isNew: true })
  expect(await store.appendDelivery(delivery(1))).toMatchObject({ isNew: false })
})

test('an id is never given twice, whatever was cleaned away', async () => {
  const store = makeStore(sql)
  await store.appendDelivery(delivery(1))
  const [one] = await store.claimDeliveries({ source: 'github', worker: 'w', now: 5, leaseMs: 9, limit: 5 })
  await store.endDeliveries([{ id: one?.id ?? 0, token: one?.token ?? 0, at: 6, state: 'applied', note: 'done' }])
  await store.cleanDeliveries({ before: 7, bodiesBefore: 7, failed: true })
  expect(store.listDeliveries({ limit: 5 })).toEqual([])
  expect(await store.appendDelivery(delivery(1))).toEqual({ id: 2, isNew: true })
})

test('looking for due ones and twins goes by an index, not over all that ever came', async () => {
  const store = makeStore(sql)
  await store.appendDelivery(delivery(1))
  const plans: string[] = []
  const watched = makeStore({
    ...sql,
    get: <T>(text: string, ...values: Parameters<Sql['get']>[1][]) => {
      for (const row of sql.all<{ detail: string }>(`EXPLAIN QUERY PLAN ${text}`, ...values)) plans.push(row.detail)
      return sql.get<T>(text, ...values)
    },
    all: <T>(text: string, ...values: Parameters<Sql['get']>[1][]) => {
      for (const row of sql.all<{ detail: string }>(`EXPLAIN QUERY PLAN ${text}`, ...values)) plans.push(row.detail)
      return sql.all<T>(text, ...values)
    },
  })
  await watched.appendDelivery(delivery(2))
  await watched.claimDeliveries({ source: 'github', worker: 'w', now: 5, leaseMs: 9, limit: 5 })
  await watched.reclaimDeliveries({ now: 6, isDead: () => true })
  expect(plans.length).toBeGreaterThan(4)
  for (const plan of plans) expect(plan).not.toMatch(/^SCAN deliveries$/)
})
