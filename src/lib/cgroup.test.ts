import { existsSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { endGroup, endOrphanedGroups, inGroup, makeGroup, membersOf, parseOwnGroup, placeOfGroup } from './cgroup.ts'
import { runProcess } from './process.ts'
import { identifyProcess } from './process-identity.ts'

const MOUNTS = [
  '31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755',
  '36 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd',
].join('\n')

test.each([
  ['alone', '0::/user.slice/a.scope', '/', '/sys/fs/cgroup', '/sys/fs/cgroup/user.slice/a.scope'],
  ['beside the first version', '9:name=systemd:/x\n0::/', '/', '/sys/fs/cgroup/unified', '/sys/fs/cgroup/unified'],
  ['only a part of it mounted', '0::/docker/ab/c', '/docker/ab', '/sys/fs/cgroup', '/sys/fs/cgroup/c'],
  ['with a space in a name', '0::/a b', '/', '/sys/fs/c\\040g', '/sys/fs/c g/a b'],
  ['outside of what is mounted', '0::/other', '/docker/ab', '/sys/fs/cgroup', null],
  ['outside of its namespace', '0::/../x', '/', '/sys/fs/cgroup', null],
])('our own group: %s', (_, cgroup, root, at, path) => {
  const mount = `41 31 0:38 ${root} ${at} rw,relatime shared:4 - cgroup2 cgroup2 rw`
  expect(parseOwnGroup(`${cgroup}\n`, `${MOUNTS}\n${mount}\n`)).toBe(path)
})

test('without cgroup v2 there is none', () => {
  expect(parseOwnGroup('9:name=systemd:/x\n', MOUNTS)).toBeNull()
  expect(parseOwnGroup('0::/\n', MOUNTS)).toBeNull()
})

test('a group that is not ours is left alone, and one that is gone is ended', async () => {
  expect(await endGroup(import.meta.dirname)).toEqual([])
  expect(existsSync(import.meta.dirname)).toBe(true)
  expect(await endGroup('/no/such/orch-1-1-1-1')).toEqual([])
})

const ourselves = identifyProcess(process.pid) ?? { pid: process.pid, startTime: 0 }
// Serials far from those that Orch itself uses.
const place = placeOfGroup(ourselves, 9_001)
const possible = place !== null && makeGroup(place)
afterAll(() => (place ? endGroup(place) : undefined))

describe.skipIf(!possible)('with a cgroup of our own (needs cgroup v2 that can be written)', () => {
  const group = place ?? ''
  const start = (script: string) =>
    runProcess({ argv: inGroup(group, ['/bin/sh', '-c', script]), env: { PATH: '/usr/bin:/bin' }, timeoutMs: 10_000 })
  const HIDE = '(env -i setsid /bin/sleep 60 </dev/null >/dev/null 2>&1 &)'
  beforeAll(() => endGroup(group))

  test('whoever hides is found and ended, in groups below it too', async () => {
    makeGroup(group)
    const below = join(group, 'below')
    mkdirSync(below)
    expect(
      await start(`${HIDE}; echo 0 >${below}/cgroup.procs; ${HIDE}; exec sleep 60 </dev/null >/dev/null 2>&1 &`),
    ).toMatchObject({
      exitCode: 0,
      stderr: '',
    })
    expect(membersOf(group).length).toBeGreaterThanOrEqual(3)
    expect(await endGroup(group)).toEqual([])
    expect(existsSync(group)).toBe(false)
  })

  test('a command whose group is gone does not start', async () => {
    expect(await start('echo started')).toMatchObject({
      exitCode: 125,
      stdout: '',
      stderr: expect.stringContaining('cgroup: '),
    })
  })

  test('what a dead owner left is ended, what a live one has goes on', async () => {
    const dead = placeOfGroup({ pid: ourselves.pid, startTime: 1 }, 9_002) ?? ''
    expect(dirname(dead)).toBe(dirname(group))
    makeGroup(group)
    makeGroup(dead)
    await start(HIDE)
    const argv = inGroup(dead, ['/bin/sh', '-c', HIDE])
    await runProcess({ argv, env: { PATH: '/usr/bin:/bin' }, timeoutMs: 10_000 })
    expect(membersOf(dead)).toHaveLength(1)
    expect(await endOrphanedGroups()).toBeGreaterThanOrEqual(1)
    expect(existsSync(dead)).toBe(false)
    expect(membersOf(group)).toHaveLength(1)
  })
})
