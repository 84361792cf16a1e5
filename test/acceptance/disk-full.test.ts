// A full disk under ORCH_HOME: told in one line, blamed on nobody, and with room again everything goes on.

import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished, test, expect } from 'vitest'
import { type World, makeWorld, sleep } from './harness.ts'

function canMount(): boolean {
  try {
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt'], { stdio: 'ignore' })
    return process.getuid?.() === 0
  } catch {
    return false
  }
}

/** Mounts a small file system as ORCH_HOME; taken away again with the world. */
async function makeSmallWorld(): Promise<World> {
  const world = await makeWorld({ init: false })
  mkdirSync(world.home)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'none', world.home])
  onTestFinished(async () => {
    rmSync(join(world.home, 'filler'), { force: true })
    execFileSync('umount', ['--lazy', world.home])
    await world.close()
  })
  await world.ok(['init', '--yes', '--prefix', 'T'])
  return world
}

/** Writes until nothing more goes in; Orch writes at the same time. */
function fill(world: World): void {
  try {
    for (;;) appendFileSync(join(world.home, 'filler'), Buffer.alloc(4_096))
  } catch (error) {
    expect(error).toMatchObject({ code: 'ENOSPC' })
  }
}

test.skipIf(!canMount())(
  'a full disk holds what it meets; with room again it lands (needs root and mount)',
  async () => {
    const world = await makeSmallWorld()
    await world.add('Meets a full disk', 'behaviour: wait go')
    const up = world.start(['up', '--json'])
    await world.until('T-1', (task) => task.runs[0]?.outcome === 'running')
    fill(world)
    const refused = await world.orch(['task', 'add', 'One more', '--body', 'x'.repeat(100_000)])
    expect(refused, refused.stderr).toMatchObject({ code: 6 })
    expect(refused.stderr).toMatch(/^orch: [^\n]*(full|room|space)[^\n]*\n$/)
    expect(refused.stderr).toContain('was not begun')
    const doctor = await world.orch(['doctor', '--json', '--profile', 'host'])
    expect(doctor).toMatchObject({
      code: 6,
      stdout: expect.stringContaining('"name":"disk.free","profile":"host","status":"failed"'),
    })
    world.sign('go')
    await sleep(2_000)
    rmSync(join(world.home, 'filler'))
    up.kill('SIGINT')
    await up.ended
    expect((await world.orch(['task', 'show', 'T-2'])).code).toBe(3)
    expect((await world.task('T-1')).attempts.code).toBe(0)
    if ((await world.task('T-1')).status === 'needs_review') await world.ok(['task', 'retry', 'T-1'])
    await world.upUntilIdle({ timerWait: '30s' })
    expect(await world.task('T-1')).toMatchObject({ status: 'done', attempts: { code: 0 } })
  },
  60_000,
)
