// The simulation itself: the same seed is the same story, and it plays on a real file as well.

import { expect, test } from 'vitest'
import { makeRandom } from './random.ts'
import { makeScheduler } from './scheduler.ts'
import { simulate } from './simulate.ts'

test('the same seed leaves the same journal, another one another', async () => {
  const hashes: string[] = []
  for (const seed of [42, 42, 43, 43]) hashes.push((await simulate(seed, { file: false })).hash)
  expect(hashes[0]).toBe(hashes[1])
  expect(hashes[2]).toBe(hashes[3])
  expect(hashes[0]).not.toBe(hashes[2])
})

test('on a database file, with a connection for each process, the invariants hold too', async () => {
  for (const seed of [3, 11, 25, 42, 77, 90]) expect((await simulate(seed, { file: true })).violations).toEqual([])
})

test('what belongs to a dead process never happens, what belongs to a suspended one happens later', async () => {
  const scheduler = makeScheduler(makeRandom(1))
  const dead = { alive: true, frozenUntil: 0 }
  const frozen = { alive: true, frozenUntil: 0 }
  const seen: string[] = []
  scheduler.at(10, dead, () => seen.push('dead'))
  scheduler.at(10, frozen, () => seen.push(`frozen at ${scheduler.elapsedMs()}`))
  scheduler.at(20, null, () => seen.push('world'))
  scheduler.at(5, null, () => {
    dead.alive = false
    frozen.frozenUntil = 50
  })
  await scheduler.run(() => false)
  expect(seen).toEqual(['world', 'frozen at 50'])
})
