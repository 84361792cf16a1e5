// `orch demo`: the main job with the scripted agent, on a sample repository that it makes itself.

import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Orch, type World, makeWorld } from './harness.ts'
import { MODES } from './modes.ts'

describe.each(MODES)('orch demo with %s', (_, env) => {
  let world: World
  let demo: Orch

  beforeAll(async () => {
    world = await makeWorld({ env, init: false })
    demo = await world.orch(['demo', '--dir', join(world.dir, 'demo')])
  }, 60_000)
  afterAll(() => world.close())

  test('ends as it should: three merged, one for a person', () => {
    expect(demo, demo.stdout + demo.stderr).toMatchObject({ code: 0 })
    for (const text of ['needs a person (attempts-spent)', 'What landed on main', 'Merge SHOP-3', 'orch why SHOP-4'])
      expect(demo.stdout).toContain(text)
  })

  test('what it says landed is on the remote, green from a fresh clone, and nothing else is', async () => {
    const remote = join(world.dir, 'demo', 'shop.git')
    const fresh = join(world.dir, 'fresh')
    await world.gitIn(world.dir, 'clone', '--quiet', remote, fresh)
    expect((await world.gitIn(fresh, 'ls-files', 'src')).split('\n')).toEqual([
      'src/count.js',
      'src/discount.js',
      'src/receipt.js',
      'src/total.js',
    ])
    expect(await world.gitIn(fresh, '-c', 'alias.test=!node --test', 'test')).toMatch(/fail 0/)
    expect(await world.gitIn(remote, 'for-each-ref', '--format=%(refname)')).toBe('refs/heads/main')
  })

  test('its state is its own, and the commands it names work there', async () => {
    const own = { env: { ORCH_HOME: join(world.dir, 'demo', 'home') } }
    expect((await world.ok(['why', 'SHOP-4'], own)).stdout).toContain('attempts-spent')
    expect((await world.ok(['change', 'diff', 'SHOP-1'], own)).stdout).toContain('itemCount')
    expect((await world.ok(['project', 'list', '--json'])).json()).toEqual([])
    expect((await world.orch(['demo', '--dir', join(world.dir, 'demo')])).code).toBe(2)
  })
})
