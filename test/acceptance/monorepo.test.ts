// A monorepo: checkouts hold the folders they are told to, commands run for the paths that changed, and all of them on
// what is about to land; setup's products and checkouts are made once and handed on.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type World, makeWorld } from './harness.ts'

const VERIFY =
  '["sh test.sh", { run: "test ! -e big", paths: ["none/**"] }, { run: "test -f made.txt", paths: ["docs/**"] }]'
const DOCS = 'test -f made.txt'

let world: World
beforeAll(async () => {
  world = await makeWorld({
    verify: VERIFY,
    config:
      'checkout: { sparse: [parts, numbers, test, docs] }\nsetup: ["echo made > made.txt"]\nlimits: { parallel: 1 }',
    files: { 'docs/moves.md': 'm\n', 'docs/goes.md': 'g\n', 'big/one.txt': 'one\n', 'big/two.txt': 'two\n' },
  })
  await world.add('Move', 'behaviour: move docs/moves.md test/moved.md')
  await world.add('Remove', 'behaviour: remove docs/goes.md')
  await world.add('Add a part')
  await world.upUntilIdle()
}, 180_000)
afterAll(() => world.close())

interface Evidence {
  task: string
  stage: string
  ran: string[]
  setup: { how: string }
}

function evidence(): Evidence[] {
  const database = new DatabaseSync(join(world.home, 'orch.db'), { readOnly: true })
  try {
    return database
      .prepare("SELECT task, stage, data FROM evidence WHERE gate = 'verify' AND tree IS NOT NULL ORDER BY at")
      .all()
      .map((row) => {
        const data = JSON.parse(String(row['data'])) as { commands: { run: string }[]; setup: { how: string } }
        const ran = data.commands.map((command) => command.run)
        return { task: String(row['task']), stage: String(row['stage']), ran, setup: data.setup }
      })
  } finally {
    database.close()
  }
}

test('what lands is what was changed; folders that were never checked out stay as they were', async () => {
  for (const id of ['T-1', 'T-2', 'T-3']) expect((await world.task(id)).status).toBe('done')
  const first = await world.git('rev-list', '--max-parents=0', 'main')
  expect((await world.git('diff', '--name-status', first, 'main')).split('\n')).toEqual([
    'D\tdocs/goes.md',
    'A\tparts/T-2',
    'A\tparts/T-3',
    'R100\tdocs/moves.md\ttest/moved.md',
  ])
})

test('a command with paths runs for a file that left them or went, not for others, and always on what lands', () => {
  const heads = (task: string): string[][] =>
    evidence()
      .filter((row) => row.task === task && row.stage === 'develop' && !row.ran.includes('test ! -e big'))
      .map((row) => row.ran)
  expect(heads('T-1')).toContainEqual(['sh test.sh', DOCS])
  expect(heads('T-2')).toContainEqual(['sh test.sh', DOCS])
  expect(heads('T-3')).toContainEqual(['sh test.sh'])
  expect(heads('T-3')).not.toContainEqual(['sh test.sh', DOCS])
  const landings = evidence().filter((row) => row.stage === 'land')
  expect(landings.map((row) => row.ran)).toEqual(landings.map(() => ['sh test.sh', 'test ! -e big', DOCS]))
  expect(landings.map((row) => row.task)).toEqual(expect.arrayContaining(['T-1', 'T-2', 'T-3']))
})

test('evidence says how setup was done; nothing of a pool is left for an idle project', () => {
  const [base, ...later] = evidence()
  expect(base?.setup.how).toBe('copied')
  // The whole tree counts for this setup, so a changed tree has its own.
  expect(later.map((row) => row.setup.how)).toContain('ran')
  expect(
    readdirSync(join(world.home, 'products', 'T')).filter((name) => !name.startsWith('own-')).length,
  ).toBeGreaterThan(0)
  // The folder of pools is made with the first entry.
  expect(existsSync(join(world.home, 'pool'))).toBe(true)
  expect(existsSync(join(world.home, 'pool', 'T'))).toBe(false)
})
