// A run that says nothing is named, with the time at which it is ended, before it is ended.

import { afterEach, expect, test } from 'vitest'
import type { StatusView } from '../../src/flow/app.ts'
import { type World, makeWorld, processesOf, sleep } from './harness.ts'

let world: World
afterEach(() => world.close())

test('a quiet run is named by why, status and up, then ended as stalled, without blaming the code or the agent', async () => {
  world = await makeWorld({ config: 'limits: { stallMinutes: 0.15, infra: 3 }' })
  await world.add('Says nothing', 'behaviour: hang')
  const first = world.start(['up', '--json'])
  await world.until('T-1', () => processesOf(world.dir).some((one) => one.command.startsWith('sleep 300')))
  expect(first.stderr()).not.toContain('has printed nothing')
  expect((await world.why('T-1')).because).not.toContain('has printed nothing')
  first.kill('SIGKILL')
  await first.ended
  await sleep(4_700)
  // Half of nine seconds is over: whoever looks is told, and so is whoever starts the service.
  const second = world.start(['up', '--json'])
  await second.says(/T-1: command has printed nothing for \d+ s; it is ended at \S+Z unless it goes on/)
  const why = await world.why('T-1')
  expect(why).toMatchObject({ owner: 'command', because: expect.stringContaining('has printed nothing for') })
  expect(why.because).not.toContain('..')
  const told = /it is ended at (\S+) unless/.exec(why.because)?.[1] ?? ''
  const status = (await world.ok(['status', '--json'])).json<StatusView>()
  expect(String(status.tasks[0]?.stallsAt)).toBe(told)
  const task = await world.until('T-1', (one) => one.runs[0]?.outcome === 'stalled')
  expect(Math.abs(Date.parse(task.runs[0]?.endedAt ?? '') - Date.parse(told))).toBeLessThan(3_000)
  expect(task).toMatchObject({ status: 'waiting', waitingFor: 'timer', attempts: { code: 0, infra: 1 } })
  expect(task.runs[0]?.text).toContain('printed nothing for 9 s')
  expect((await world.why('T-1')).because).toContain('printed nothing for 9 s')
  expect(processesOf(world.dir).filter((one) => one.command.startsWith('sleep'))).toEqual([])
  expect(second.stderr().match(/has printed nothing/g)).toHaveLength(1)
  await world.ok(['task', 'cancel', 'T-1'])
  second.kill('SIGINT')
  expect((await second.ended).code).toBe(0)
}, 60_000)
