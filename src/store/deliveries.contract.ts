// The part of the store contract about deliveries: kept once, worked on by one, settled once.

import { expect, test } from 'vitest'
import type { UseStore } from './__fixtures__/store-under-test.ts'
import type { ClaimedDelivery, NewDelivery } from './deliveries.ts'
import type { Store } from './store.ts'

const HOUR = 3_600_000

function delivery(deliveryId: string, text = `{"n":"${deliveryId}"}`, more: Partial<NewDelivery> = {}): NewDelivery {
  const body = Buffer.from(text)
  return { source: 'github', deliveryId, event: 'issues', body, at: 1_000, ...more }
}

const CLAIM = { source: 'github', worker: 'w1', now: 2_000, leaseMs: 60_000, limit: 10 }
const claim = (store: Store, more: Partial<typeof CLAIM> = {}) => store.claimDeliveries({ ...CLAIM, ...more })

async function claimOne(store: Store, more: Partial<typeof CLAIM> = {}): Promise<ClaimedDelivery> {
  const [one] = await claim(store, { ...more, limit: 1 })
  if (!one) throw new Error('nothing was due')
  return one
}

const end = (store: Store, one: ClaimedDelivery, state: 'applied' | 'failed' | 'rejected' = 'applied', at = 3_000) =>
  store.endDeliveries([{ id: one.id, token: one.token, at, state, note: `so ${state}` }])

const states = (store: Store) => store.listDeliveries({ limit: 50 }).map((row) => `${row.deliveryId} ${row.state}`)

export function deliveriesContract(use: UseStore): void {
  onceContract(use)
  twinsContract(use)
  claimContract(use)
  deathContract(use)
  afterwardsContract(use)
}

function onceContract(use: UseStore): void {
  test('a delivery is kept as it came, and told from one that was there', async () => {
    const { store, another } = use()
    const odd = delivery('d-1', '{ "ü":\n1.0 }')
    expect(await store.appendDelivery(odd)).toEqual({ id: 1, isNew: true })
    expect(await store.appendDelivery({ ...odd, at: 5_000 })).toEqual({ id: 1, isNew: false })
    expect(await store.appendDelivery({ ...odd, source: 'gitea' })).toEqual({ id: 2, isNew: true })
    const [row] = (await another()).listDeliveries({ source: 'github', limit: 5 })
    expect(row).toEqual({
      id: 1,
      source: 'github',
      deliveryId: 'd-1',
      event: 'issues',
      state: 'received',
      receivedAt: 1_000,
      nextAt: 1_000,
      failures: 0,
      replays: 0,
      settledAt: null,
      note: null,
    })
    expect(Buffer.from((await claimOne(store)).body)).toEqual(odd.body)
  })

  test('what comes in one turn is kept together, each with its own answer', async () => {
    const { store } = use()
    const ids = ['a', 'b', 'a', 'c', 'b']
    const answers = await Promise.all(ids.map((id) => store.appendDelivery(delivery(id))))
    expect(answers.map(({ isNew }) => isNew)).toEqual([true, true, false, true, false])
    expect(answers.map(({ id }) => id)).toEqual([1, 2, 1, 3, 2])
    // More than one group holds.
    const many = await Promise.all(Array.from({ length: 1_300 }, (_, n) => store.appendDelivery(delivery(`m${n}`))))
    expect(new Set(many.map(({ id }) => id)).size).toBe(1_300)
  })

  test('one that was given up and is sent again is tried again', async () => {
    const { store } = use()
    await store.appendDelivery(delivery('d-1'))
    await end(store, await claimOne(store), 'failed')
    expect(await store.appendDelivery(delivery('d-1', 'another body'))).toEqual({ id: 1, isNew: false })
    expect(await store.appendDelivery(delivery('d-1', undefined, { at: 9_000 }))).toEqual({ id: 1, isNew: true })
    expect(await claimOne(store, { now: 9_000 })).toMatchObject({ replays: 1, failures: 0, state: 'received' })
  })
}

function twinsContract(use: UseStore): void {
  test('the same body under another id is told as the twin of the first, for an hour, of the same event and source', async () => {
    const { store } = use()
    const at = (more: number): number => 1_000 + more
    await store.appendDelivery(delivery('d-1', '{}'))
    await store.appendDelivery(delivery('d-2', '{}', { at: at(HOUR) }))
    await store.appendDelivery(delivery('d-3', '{}', { event: 'push' }))
    await store.appendDelivery(delivery('d-4', '{}', { source: 'plane' }))
    await store.appendDelivery(delivery('d-5', '{}', { at: at(2 * HOUR + 1) }))
    const claimed = [...(await claim(store, { now: 1e9 })), ...(await claim(store, { now: 1e9, source: 'plane' }))]
    const twins = claimed.map(({ deliveryId, twin }) => [deliveryId, twin])
    expect(Object.fromEntries(twins)).toEqual({ 'd-1': null, 'd-2': 1, 'd-3': null, 'd-4': null, 'd-5': null })
  })

  test('of two of one body one is applied, whatever ends or dies in between', async () => {
    const { store } = use()
    await store.appendDelivery(delivery('d-1', '{}'))
    await store.appendDelivery(delivery('d-2', '{}'))
    const both = await claim(store)
    expect(both.map(({ twin }) => twin)).toEqual([null, 1])
    await store.reclaimDeliveries({ now: 2_000, isDead: () => true })
    const first = await claimOne(store)
    const second = await claimOne(store)
    expect([first.twin, second.twin]).toEqual([null, 1])
    await end(store, first, 'failed')
    await end(store, second)
    // What failed may be said again, and what a person has applied anew is meant.
    await store.appendDelivery(delivery('d-3', '{"other":1}'))
    await end(store, await claimOne(store), 'failed')
    await store.appendDelivery(delivery('d-4', '{"other":1}'))
    const again = await claimOne(store)
    expect(again.twin).toBeNull()
    await end(store, again)
    await store.replayDelivery({ id: second.id, now: 5_000 })
    expect(await claimOne(store, { now: 5_000 })).toMatchObject({ deliveryId: 'd-2', twin: null })
  })

  test('what is only kept yet is listed, counted and known, by another process too', async () => {
    const { store, another } = use()
    await store.appendDelivery(delivery('d-1'))
    await end(store, await claimOne(store))
    await store.appendDelivery(delivery('d-2'))
    const other = await another()
    expect(states(other)).toEqual(['d-2 received', 'd-1 applied'])
    expect(other.nextDelivery('github')).toBe(1_000)
    expect(await other.appendDelivery(delivery('d-2'))).toEqual({ id: 2, isNew: false })
    expect(await other.appendDelivery(delivery('d-1'))).toEqual({ id: 1, isNew: false })
    await store.cleanDeliveries({ before: 1e9, bodiesBefore: 1e9, failed: true })
    expect(states(other)).toEqual(['d-2 received'])
    // Both processes took it at once: it is applied once.
    await other.appendDelivery(delivery('d-3'))
    await store.appendDelivery(delivery('d-3'))
    expect((await claim(store)).map((one) => one.deliveryId)).toEqual(['d-2', 'd-3'])
  })
}

function claimContract(use: UseStore): void {
  test('due ones are taken oldest first, each by one worker, until the lease is over', async () => {
    const { store, another } = use()
    for (const id of ['a', 'b', 'c']) await store.appendDelivery(delivery(id))
    await store.appendDelivery(delivery('later', undefined, { at: 2_001 }))
    expect((await claim(store, { limit: 2 })).map((one) => one.deliveryId)).toEqual(['a', 'b'])
    const other = await another()
    expect((await claim(other, { worker: 'w2' })).map((one) => one.deliveryId)).toEqual(['c'])
    expect(await claim(other, { source: 'gitea' })).toEqual([])
    expect(store.nextDelivery('github')).toBe(2_001)
    expect(store.nextDelivery('gitea')).toBeNull()
    expect((await claim(other, { now: 62_000 })).map((one) => one.deliveryId)).toEqual(['later', 'a', 'b', 'c'])
  })

  test('a claim that was lost writes nothing; one that holds writes once', async () => {
    const { store } = use()
    await store.appendDelivery(delivery('d-1'))
    const first = await claimOne(store)
    const second = await claimOne(store, { now: 100_000, worker: 'w2' })
    expect(second.token).toBeGreaterThan(first.token)
    expect(await end(store, first, 'failed')).toEqual([1])
    expect(states(store)).toEqual(['d-1 received'])
    expect(await end(store, second)).toEqual([])
    expect(await end(store, second, 'failed')).toEqual([1])
    expect(store.listDeliveries({ limit: 1 })[0]).toMatchObject({ state: 'applied', note: 'so applied', nextAt: null })
    expect(await claim(store, { now: 1e9 })).toEqual([])
  })

  test('what failed comes again at its time and is counted; what was only put back is not', async () => {
    const { store } = use()
    await store.appendDelivery(delivery('d-1'))
    const back = { id: 1, at: 3_000, state: 'received' as const }
    await store.endDeliveries([{ ...back, token: 1, note: 'down', again: { nextAt: 8_000, counts: true } }])
    expect(store.listDeliveries({ limit: 1 })[0]?.failures).toBe(0)
    const one = await claimOne(store)
    await store.endDeliveries([{ ...back, token: one.token, note: 'down', again: { nextAt: 8_000, counts: true } }])
    expect(await claim(store, { now: 7_999 })).toEqual([])
    const again = await claimOne(store, { now: 8_000 })
    expect(again).toMatchObject({ failures: 1, note: 'down' })
    await store.endDeliveries([
      { ...back, token: again.token, note: 'asked too often', again: { nextAt: 8_000, counts: false } },
    ])
    expect(store.listDeliveries({ limit: 1 })[0]).toMatchObject({
      failures: 1,
      note: 'asked too often',
      nextAt: 8_000,
    })
  })
}

function deathContract(use: UseStore): void {
  test('those of a dead worker are due at once; others keep theirs', async () => {
    const { store } = use()
    for (const id of ['a', 'b']) await store.appendDelivery(delivery(id))
    await claimOne(store, { worker: 'dead' })
    await claimOne(store, { worker: 'alive' })
    expect(await store.reclaimDeliveries({ now: 2_500, isDead: (worker) => worker === 'dead' })).toBe(1)
    expect((await claim(store, { now: 2_500 })).map((one) => one.deliveryId)).toEqual(['a'])
    expect(await store.reclaimDeliveries({ now: 2_500, isDead: () => false })).toBe(0)
  })

  test('one that kills its workers is found out: it comes last and alone, and in the end is given up', async () => {
    const { store } = use()
    for (const id of ['a', 'poison', 'c']) await store.appendDelivery(delivery(id))
    const isDead = (): boolean => true
    let died = 0
    for (let round = 0; round < 30; round++) {
      const taken = await claim(store)
      if (taken.length === 0) break
      if (taken.some((one) => one.deliveryId === 'poison')) {
        died++
        await store.reclaimDeliveries({ now: 2_000, isDead })
      } else for (const one of taken) await end(store, one)
    }
    expect(died).toBe(8)
    expect(states(store)).toEqual(['c applied', 'poison failed', 'a applied'])
    expect(store.listDeliveries({ states: ['failed'], limit: 1 })[0]?.note).toContain('8 times')
  })
}

function afterwardsContract(use: UseStore): void {
  test('a settled one can be applied anew, while its body is kept', async () => {
    const { store } = use()
    await store.appendDelivery(delivery('d-1'))
    expect(await store.replayDelivery({ id: 1, now: 5_000 })).toBe('not-settled')
    await end(store, await claimOne(store))
    expect(await store.replayDelivery({ id: 1, now: 5_000 })).toBe('replayed')
    const anew = await claimOne(store, { now: 5_000 })
    expect(anew).toMatchObject({ replays: 1, deliveryId: 'd-1' })
    await end(store, anew, 'applied', 6_000)
    await store.cleanDeliveries({ before: 0, bodiesBefore: 6_001, failed: false })
    expect(await store.replayDelivery({ id: 1, now: 7_000 })).toBe('emptied')
    expect(await store.replayDelivery({ id: 2, now: 7_000 })).toBeNull()
  })

  test('cleaning takes what was settled long ago; never what is not settled, and what failed only when asked', async () => {
    const { store } = use()
    for (const id of ['open', 'old', 'failed', 'new']) await store.appendDelivery(delivery(id))
    const [, old, failed, fresh] = await claim(store)
    if (!old || !failed || !fresh) throw new Error('three were due')
    await end(store, old, 'rejected', 3_000)
    await end(store, failed, 'failed', 3_000)
    await end(store, fresh, 'applied', 9_000)
    const before = { before: 9_000, bodiesBefore: 9_000 }
    expect(await store.cleanDeliveries({ ...before, failed: false })).toEqual({ removed: 1 })
    expect(states(store)).toEqual(['new applied', 'failed failed', 'open received'])
    expect(await store.replayDelivery({ id: failed.id, now: 9_500 })).toBe('replayed')
    await end(store, await claimOne(store, { now: 9_500 }), 'failed', 9_600)
    expect(await store.cleanDeliveries({ before: 1e9, bodiesBefore: 1e9, failed: true })).toEqual({ removed: 2 })
    expect(states(store)).toEqual(['open received'])
    expect(await claim(store, { now: 1e9 })).toHaveLength(1)
  })

  test('counts and last times, by source', async () => {
    const { store } = use()
    await store.appendDelivery(delivery('long ago', undefined, { at: 10 }))
    await store.appendDelivery(delivery('a'))
    await store.appendDelivery(delivery('b', undefined, { source: 'gitea', at: 1_500 }))
    const [first] = await claim(store)
    if (first) await end(store, first)
    expect(store.deliveryCounts(1_000)).toEqual([
      { source: 'gitea', state: 'received', n: 1, failedOnce: 0 },
      { source: 'github', state: 'received', n: 1, failedOnce: 0 },
    ])
    expect(store.deliveryCounts(0)).toContainEqual({ source: 'github', state: 'applied', n: 1, failedOnce: 0 })
    expect(store.lastDeliveries()).toEqual([
      { source: 'github', at: 1_000 },
      { source: 'gitea', at: 1_500 },
    ])
  })
}
