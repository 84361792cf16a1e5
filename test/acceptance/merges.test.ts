// Tasks that collide: by text, or only by meaning. Main takes neither, and the second one mends it.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { type World, makeWorld } from './harness.ts'

let world: World
beforeAll(async () => {
  world = await makeWorld()
  for (const behaviour of ['shared', 'shared', 'number', 'number'])
    await world.add(`A ${behaviour} thing`, `behaviour: ${behaviour}`)
  await world.upUntilIdle()
}, 60_000)
afterAll(() => world.close())

test('a conflict goes back with what conflicts, and lands after mending with a new review', async () => {
  const tasks = [await world.task('T-1'), await world.task('T-2')]
  expect(tasks.map((task) => task.status)).toEqual(['done', 'done'])
  expect(tasks.map((task) => task.attempts.code).sort((a, b) => a - b)).toEqual([0, 1])
  const second = tasks.find((task) => task.attempts.code === 1) ?? expect.fail()
  const sentBack = (await world.journal(second.id)).find((event) => event.type === 'task.sent_back')
  expect(sentBack?.data).toMatchObject({
    from: 'land',
    to: 'develop',
    findings: [{ gate: 'land', text: expect.stringContaining('shared.txt') }],
  })
  expect(second.runs.map((run) => run.role)).toEqual(['developer', 'reviewer', 'developer', 'reviewer'])
  const text = await world.git('show', 'main:shared.txt')
  expect(text).toContain('T-1')
  expect(text).toContain('T-2')
})

test('each green alone and red together: caught on main, sent back with the output, mended', async () => {
  const tasks = [await world.task('T-3'), await world.task('T-4')]
  expect(tasks.map((task) => task.status)).toEqual(['done', 'done'])
  const second = tasks.find((task) => task.attempts.code === 1) ?? expect.fail('none was caught')
  const sentBack = (await world.journal(second.id)).find((event) => event.type === 'task.sent_back')
  expect(JSON.stringify(sentBack?.data)).toContain('FAIL: the sum is 12, at most 10')
  expect(await world.git('show', `main:numbers/${second.id}`)).toBe('4')
  // No commit on main was ever red: every first parent is a tree that was tested.
  for (const sha of (await world.git('rev-list', '--first-parent', 'main')).split('\n')) {
    const numbers = (await world.git('ls-tree', '--name-only', `${sha}:numbers`)).split('\n')
    const values = await Promise.all(numbers.map((name) => world.git('show', `${sha}:numbers/${name}`)))
    expect(values.reduce((sum, value) => sum + Number(value), 0)).toBeLessThanOrEqual(10)
  }
})
