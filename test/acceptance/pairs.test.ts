// Tracker and forge in pairs, from issue to merge, with the real program and real git: vendors are played over HTTP, by
// their own descriptions, and tell of what happens there by signed webhooks.

import { afterEach, expect, test } from 'vitest'
import { type Pair, type PairOptions, openPair } from './vendors/pair.ts'
import { wholeRun } from './vendors/whole-run.ts'

let pair: Pair | null = null
afterEach(async () => {
  await pair?.close()
  pair = null
})

/** Of Plane's board. */
const COLUMNS = 'tracker: { columns: { queued: Todo, running: Doing, judged: Doing, done: Done } }'

const PAIRS: [name: string, options: PairOptions][] = [
  ['GitHub with GitHub, merged', { tracker: 'github', forge: 'github', method: 'merge' }],
  ['Gitea with Gitea, squashed', { tracker: 'gitea', forge: 'gitea', method: 'squash' }],
  ['Plane with Gitea, rebased', { tracker: 'plane', forge: 'gitea', method: 'rebase', config: COLUMNS }],
  [
    'Plane with GitHub, squashed by Orch itself',
    { tracker: 'plane', forge: 'github', method: 'squash', via: 'push', config: COLUMNS },
  ],
  ['Orch’s own list with GitHub, rebased', { tracker: 'local', forge: 'github', method: 'rebase' }],
  [
    'Orch’s own list with Gitea, squashed by Orch itself',
    { tracker: 'local', forge: 'gitea', method: 'squash', via: 'push' },
  ],
]

test.each(PAIRS)('%s', { timeout: 120_000 }, async (_name, options) => {
  pair = await openPair(options)
  const live = await pair.up()
  await wholeRun(pair)
  live.kill('SIGINT')
  expect((await live.ended).code).toBe(0)
})
