// The same whole runs where deliveries are lost, doubled and late at random: what no webhook told is found by asking.
// PAIRS_SEED plays other losses.

import { afterEach, expect, test } from 'vitest'
import { type Pair, type PairOptions, openPair } from './vendors/pair.ts'
import { wholeRun } from './vendors/whole-run.ts'

let pair: Pair | null = null
afterEach(async () => {
  await pair?.close()
  pair = null
})

const SEED = Number(process.env['PAIRS_SEED'] ?? 5)
const FATES = { lost: 0.5, doubled: 0.15, late: 0.2 }
const COLUMNS = 'tracker: { columns: { queued: Todo, running: Doing, judged: Doing, done: Done } }'

const PAIRS: [name: string, options: PairOptions][] = [
  ['GitHub with GitHub', { tracker: 'github', forge: 'github', method: 'squash' }],
  ['Gitea with Gitea', { tracker: 'gitea', forge: 'gitea', method: 'merge' }],
  ['Plane with Gitea', { tracker: 'plane', forge: 'gitea', method: 'merge', config: COLUMNS }],
  ['Plane with GitHub', { tracker: 'plane', forge: 'github', method: 'merge', via: 'push', config: COLUMNS }],
]

test.each(PAIRS)(`%s, half of all deliveries lost (seed ${SEED})`, { timeout: 120_000 }, async (_name, options) => {
  pair = await openPair({ ...options, fates: FATES, seed: SEED })
  const live = await pair.up()
  await wholeRun(pair)
  expect(pair.mail.counts.lost).toBeGreaterThan(3)
  live.kill('SIGINT')
  expect((await live.ended).code).toBe(0)
})

test('not one delivery comes: asking alone brings it to its end', { timeout: 120_000 }, async () => {
  pair = await openPair({
    tracker: 'github',
    forge: 'github',
    method: 'merge',
    fates: { lost: 1, doubled: 0, late: 0 },
  })
  const live = await pair.up()
  await wholeRun(pair)
  live.kill('SIGINT')
  expect((await live.ended).code).toBe(0)
})

test('the service is killed between all steps, and begun again', { timeout: 120_000 }, async () => {
  const made = await openPair({ tracker: 'github', forge: 'github', method: 'merge' })
  pair = made
  let live = await made.up()
  let kills = 0
  await wholeRun(made, {
    between: async () => {
      live.kill('SIGKILL')
      await live.ended
      kills += 1
      live = await made.up()
    },
  })
  expect(kills).toBe(6)
  live.kill('SIGINT')
  expect((await live.ended).code).toBe(0)
})

test('an issue that no webhook told of while nothing was open is found with the next word of its project', async () => {
  const made = await openPair({ tracker: 'github', forge: 'github', method: 'merge' })
  pair = made
  const live = await made.up()
  const { tracker, world, mail, until } = made
  if (!tracker) throw new Error('GitHub is a tracker')
  const other = await tracker.tracker.addIssue({ title: 'Nobody asked', body: 'For this.' })
  await until('it is heard of', async () => (await world.ok(['webhook', 'deliveries'])).stdout.includes('no rule of'))
  mail.lose(true)
  const lost = await tracker.tracker.addIssue({ title: 'Add a part', body: 'One more.', labels: ['orch'] })
  await mail.settled()
  mail.lose(false)
  await tracker.tracker.addComment({ issue: other, author: 'mia', body: 'Well?' })
  await until('it is a task', async () => (await world.ok(['status', '--json'])).stdout.includes(`SHOP-${lost}`))
  live.kill('SIGINT')
  expect((await live.ended).code).toBe(0)
})
