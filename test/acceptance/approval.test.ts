// Approval by a person: what waits for it says so, an approval names one head and lists what it covers.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type World, makeWorld } from './harness.ts'
import { MODES } from './modes.ts'

describe.each(MODES)('approval human with %s', (_, env) => {
  let world: World
  let base: string

  beforeAll(async () => {
    world = await makeWorld({ env, approval: 'human' })
    base = await world.git('rev-parse', 'main')
    await world.add('Approved')
    await world.add('Rejected once', 'behaviour: after-reject')
    await world.upUntilIdle()
  }, 60_000)
  afterAll(() => world.close())

  test('both wait, reviewed and published, and main has not moved', async () => {
    for (const id of ['T-1', 'T-2']) {
      const task = await world.task(id)
      expect(task).toMatchObject({ status: 'waiting', waitingFor: 'approval', stage: 'land' })
      expect(await world.git('rev-parse', task.branch ?? '')).toBe(task.headSha)
      const why = await world.why(id)
      expect(why.owner).toBe('you')
      expect(why.actions).toContain(`orch approve ${id}`)
    }
    expect(await world.git('rev-parse', 'main')).toBe(base)
  })

  test('approve lists what it covers, refuses another head, lands exactly this one', async () => {
    const moved = await world.orch(['approve', 'T-1', '--sha', base])
    expect(moved).toMatchObject({ code: 4 })
    expect(moved.stderr).toContain('[head-moved]')
    const { headSha } = await world.task('T-1')
    expect((await world.ok(['approve', 'T-1', '--sha', headSha ?? ''])).stdout).toMatch(/It covers:\n {2}landing/)
    await world.upUntilIdle()
    const task = await world.task('T-1')
    expect(task).toMatchObject({ status: 'done', approvals: [{ sha: headSha, by: 'ann', covers: ['landing'] }] })
    await world.git('merge-base', '--is-ancestor', headSha ?? '', 'main')
  })

  test('reject sends back with the reason word for word; the new head needs its own approval', async () => {
    const before = (await world.task('T-2')).headSha
    expect((await world.orch(['reject', 'T-2'])).code).toBe(2)
    await world.ok(['reject', 'T-2', '--reason', 'Name it second instead'])
    await world.upUntilIdle()
    const task = await world.task('T-2')
    expect(task).toMatchObject({ status: 'waiting', waitingFor: 'approval' })
    expect(task.headSha).not.toBe(before)
    const run = task.runs.filter((one) => one.role === 'developer').at(-1)
    const prompt = readFileSync(join(world.home, 'runs', run?.id ?? '', 'prompt.md'), 'utf8')
    expect(prompt).toMatch(/<<<\S+ findings: untrusted>>>\n[^<]*Name it second instead/)
    expect((await world.orch(['approve', 'T-2', '--sha', before ?? ''])).code).toBe(4)
    await world.ok(['approve', 'T-2'])
    await world.upUntilIdle()
    expect((await world.git('ls-tree', '--name-only', 'main:parts')).split('\n')).toEqual(['T-1', 'first', 'second'])
  })

  test('a task that is done takes no more decisions', async () => {
    for (const args of [
      ['approve', 'T-1'],
      ['task', 'retry', 'T-1'],
      ['task', 'cancel', 'T-1'],
    ]) {
      const result = await world.orch(args)
      expect(result, args.join(' ')).toMatchObject({ code: 4 })
      expect(result.stderr).toContain('[task-ended]')
    }
  })
})
