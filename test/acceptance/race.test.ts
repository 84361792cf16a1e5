// Two orchestrators on one database, which the lock keeps apart in life: the books alone must keep them from doing
// anything twice.

import { afterEach, expect, test } from 'vitest'
import { busyServices, landings, wrongBooks } from './books.ts'
import { type World, makeWorld, sleep } from './harness.ts'

let world: World
afterEach(() => world.close())

test('two orchestrators race for every job: both work, and each task is worked on, judged and landed once', async () => {
  world = await makeWorld({ config: 'limits: { parallel: 3 }' })
  const env = { ORCH_UNSAFE_NO_LOCK: '1' }
  const both = [world.start(['up', '--json'], { env }), world.start(['up', '--json'], { env })]
  const ids: string[] = []
  const seen = new Set<number>()
  for (let n = 1; n <= 6; n++) ids.push(await world.add(`Task ${n}`))
  for (const deadline = performance.now() + 60_000; (await landings(world)).size < ids.length; await sleep(20)) {
    for (const pid of busyServices(world)) seen.add(pid)
    expect(performance.now(), 'not all landed in time').toBeLessThan(deadline)
  }
  for (const up of both) up.kill('SIGINT')
  for (const up of both) expect((await up.ended).code, up.stderr()).toBe(0)
  await world.upUntilIdle()
  expect(seen).toEqual(new Set(both.map((up) => up.pid)))
  const landed = await landings(world)
  for (const id of ids) {
    const task = await world.task(id)
    expect(task, id).toMatchObject({ status: 'done', attempts: { code: 0 } })
    expect(task.runs.map((run) => [run.role, run.outcome])).toEqual([
      ['developer', 'succeeded'],
      ['reviewer', 'succeeded'],
    ])
    expect(landed.get(id)).toEqual([task.mergedSha])
  }
  expect(wrongBooks(world)).toEqual([])
}, 120_000)
