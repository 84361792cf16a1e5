// `orch agent test`: one tiny job on a sample repository, with settings of its own, that leaves nothing at work behind.

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeWorld, processesOf, type World } from './harness.ts'

let world: World
let places: string
beforeAll(async () => {
  world = await makeWorld({ config: null, init: false })
  places = join(world.dir, 'places')
  mkdirSync(places)
  mkdirSync(world.home, { recursive: true })
  const stay = 'echo here; exec tail -s 1 -f /dev/null'
  writeFileSync(join(world.home, 'config.yml'), `agents: { command: { command: ${JSON.stringify(stay)} } }\n`)
})
afterAll(() => world.close())

test('it is the named agent that works, whatever the environment says of others', async () => {
  const env = { TMPDIR: places, ORCH_AGENTS_DEVELOPER_AGENT: 'command', ORCH_APPROVAL: 'human' }
  const result = (await world.ok(['agent', 'test', 'scripted', '--json'], { env })).json() as Record<string, unknown>
  expect(result).toMatchObject({ agent: 'scripted', passed: true, kept: null })
  expect(readdirSync(places)).toEqual([])
})

test('interrupted, it ends its run and keeps no copy of a login', async () => {
  const trial = world.start(['agent', 'test', 'command'], { env: { TMPDIR: places } })
  await expect
    .poll(() => processesOf(places).some(({ command }) => command.startsWith('tail -s 1')), { timeout: 30_000 })
    .toBe(true)
  trial.kill('SIGINT')
  expect((await trial.ended).code).toBe(130)
  expect(processesOf(places)).toEqual([])
  const [kept = ''] = readdirSync(places)
  expect(readdirSync(join(places, kept, 'home'))).not.toContain('logins')
})
