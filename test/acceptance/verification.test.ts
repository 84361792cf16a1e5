// Verification that can't judge holds a task and blames nobody; a base that is red spends no run.

import { afterEach, expect, test } from 'vitest'
import { type World, type WorldOptions, commitAndPush, makeWorld } from './harness.ts'

let world: World
afterEach(() => world.close())

async function oneTask(options: WorldOptions): Promise<Awaited<ReturnType<World['task']>>> {
  world = await makeWorld(options)
  await world.add('Add a part')
  await world.upUntilIdle()
  return world.task('T-1')
}

test('a red base holds with base-red and spends no run; mended, a retry lands', async () => {
  const task = await oneTask({ files: { 'parts/first': 'broken\n' } })
  expect(task).toMatchObject({ status: 'needs_review', reason: 'base-red', runs: [], attempts: { code: 0 } })
  expect(task.reasonText).toContain('FAIL: parts/first does not say ok')
  await commitAndPush(world, { 'parts/first': 'ok\n' }, 'Mend it')
  await world.ok(['task', 'retry', 'T-1'])
  await world.upUntilIdle()
  expect((await world.task('T-1')).status).toBe('done')
})

test('no verify command holds with no-verify; set in the base, a retry lands', async () => {
  const task = await oneTask({ verify: '[]' })
  expect(task).toMatchObject({ status: 'needs_review', reason: 'no-verify', runs: [] })
  const config = await world.git('show', 'main:.orch.yml')
  await commitAndPush(world, { '.orch.yml': config.replace('verify: []', 'verify: none') }, 'Nothing to verify with')
  await world.ok(['task', 'retry', 'T-1'])
  await world.upUntilIdle()
  expect(await world.task('T-1')).toMatchObject({ status: 'done' })
})

test.each([
  ['missing', '["no-such-program --test"]', 'verify-missing', /no-such-program/],
  ['hanging', '[{ run: "sleep 60", timeout: 1 }]', 'verify-timeout', /sleep 60/],
  ['killed by a signal', '["kill -KILL $$"]', 'verify-killed', /kill/],
])('a verify command that is %s is nobody’s fault', async (_, verify, reason, text) => {
  const task = await oneTask({ verify, config: 'limits: { infra: 0 }' })
  expect(task).toMatchObject({ status: 'needs_review', reason, runs: [], attempts: { code: 0 } })
  expect(task.reasonText).toMatch(text)
  expect((await world.why('T-1')).actions).toContain('orch task retry T-1')
})

test('a setup that fails is infrastructure too', async () => {
  const task = await oneTask({ config: 'setup: ["echo no such registry >&2; exit 7"]\nlimits: { infra: 0 }' })
  expect(task).toMatchObject({ status: 'needs_review', reason: 'setup-failed', attempts: { code: 0 } })
  expect(task.reasonText).toContain('no such registry')
})

test('verification after the change: a command that only the change breaks is the code’s fault, a killed one is not', async () => {
  const verify = '["sh test.sh", "test ! -e parts/T-1 || kill -KILL $$"]'
  const task = await oneTask({ verify, config: 'limits: { infra: 0 }' })
  expect(task).toMatchObject({ status: 'needs_review', reason: 'verify-killed', attempts: { code: 0 } })
  expect(task.runs).toHaveLength(1)
})
