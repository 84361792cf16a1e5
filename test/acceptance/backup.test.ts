// Backup and restore as a person uses them: during work, onto an older state, onto another machine, from bad files.

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { BackupView, RestoreView } from '../../src/flow/app.ts'
import { type World, makeWorld, processesOf } from './harness.ts'

let world: World
afterEach(() => world.close())

const file = (): string => join(world.dir, 'kept', 'orch.backup')

async function withWorld(): Promise<void> {
  world = await makeWorld()
  mkdirSync(join(world.dir, 'kept'))
}

const backup = async (...args: string[]): Promise<BackupView> =>
  (await world.ok(['backup', file(), '--json', ...args])).json<BackupView>()

const landings = async (id: string): Promise<string[]> =>
  (await world.git('log', '--first-parent', '--format=%H', 'main', `--grep=Orch-Task: ${id}`))
    .split('\n')
    .filter(Boolean)

const partsLeft = (): string[] => readdirSync(join(world.dir, 'kept')).filter((name) => name.includes('.part-'))

test('a backup taken while a run works, restored after its task was merged: done, and main holds it once', async () => {
  await withWorld()
  await world.add('Takes a while', 'behaviour: wait go')
  const up = world.start(['up', '--json'])
  await world.until('T-1', (task) => task.runs[0]?.outcome === 'running')
  expect(await backup()).toMatchObject({ tasks: 1, liveRuns: 1, projects: ['T'], version: expect.any(Number) })
  expect((await world.ok(['backup', '--check', file()])).stdout).toContain('whole')
  world.sign('go')
  const done = await world.until('T-1', (task) => task.status === 'done')
  await world.add('Comes later', 'behaviour: wait go')
  await world.until('T-2', (task) => task.status === 'done')

  const refused = await world.orch(['restore', '--force', file()])
  expect(refused).toMatchObject({ code: 4 })
  expect(refused.stderr).toContain('[already-up]')
  up.kill('SIGINT')
  await up.ended
  expect((await world.orch(['restore', file()])).stderr).toContain('[state-exists]')
  const restored = (await world.ok(['restore', '--force', file(), '--json'])).json<RestoreView>()
  expect(await world.task('T-1')).toMatchObject({ status: 'running' })
  expect(existsSync(join(restored.before ?? '', 'orch.db'))).toBe(true)

  const second = await world.upUntilIdle()
  expect(second.stderr).toContain('T-1 was landed as')
  expect(await world.task('T-1')).toMatchObject({ status: 'done', mergedSha: done.mergedSha, attempts: { code: 0 } })
  expect((await world.task('T-1')).runs).toMatchObject([{ role: 'developer' }])
  expect((await world.task('T-1')).runs[0]?.outcome).not.toBe('running')
  expect(await landings('T-1')).toEqual([done.mergedSha])
  expect(existsSync(join(world.home, 'restored.json'))).toBe(false)
  expect(processesOf(join(world.home, 'runs'))).toEqual([])
  // T-2 is not in these books: its number is never another task's.
  expect(await world.add('A new one')).toBe('T-3')
  await world.upUntilIdle()
  expect(await world.task('T-3')).toMatchObject({ status: 'done' })
  expect(await landings('T-2')).toHaveLength(1)
})

test('work that was not pushed comes to another machine with the backup, and is landed there once', async () => {
  world = await makeWorld({ approval: 'human' })
  mkdirSync(join(world.dir, 'kept'))
  await world.add('Waits for a yes')
  await world.upUntilIdle()
  const waiting = await world.task('T-1')
  expect(waiting).toMatchObject({ status: 'waiting', waitingFor: 'approval' })
  // The branch is gone at origin: only the mirror has the work.
  await world.git('update-ref', '-d', `refs/heads/${waiting.branch}`)
  writeFileSync(join(world.home, 'config.yml'), 'limits: { parallel: 2 }\n')
  expect(await backup()).toMatchObject({ bundles: 1 })
  rmSync(world.home, { recursive: true })

  expect((await world.ok(['restore', file(), '--json'])).json<RestoreView>()).toMatchObject({ before: null, moved: [] })
  expect(readFileSync(join(world.home, 'config.yml'), 'utf8')).toContain('parallel')
  expect((await world.ok(['task', 'logs', 'T-1', '--prompt'])).stdout).toContain('Orch-Task: T-1')
  const up = await world.upUntilIdle()
  expect(up.stderr).toMatch(/took \d+ ref\(s\) of unpushed work/)
  expect((await world.ok(['task', 'diff', 'T-1'])).stdout).toContain('+ok')
  await world.ok(['approve', 'T-1'])
  await world.upUntilIdle()
  expect(await world.task('T-1')).toMatchObject({ status: 'done', headSha: waiting.headSha })
  expect(await landings('T-1')).toHaveLength(1)
})

test('a run that the restored books think live and that is nowhere is begun anew', async () => {
  await withWorld()
  await world.add('Takes a while', 'behaviour: wait go')
  const up = world.start(['up', '--json'])
  await world.until('T-1', (task) => task.runs[0]?.outcome === 'running')
  await backup()
  const live = await world.orch(['restore', '--force', file()])
  expect(live.code).toBe(4)
  up.kill('SIGINT')
  await up.ended
  // Without a service, its run alone is in the way.
  expect((await world.orch(['restore', '--force', file()])).stderr).toContain('[runs-live]')
  await world.ok(['task', 'cancel', 'T-1'])
  rmSync(world.home, { recursive: true })
  await world.ok(['restore', file()])
  world.sign('go')
  await world.upUntilIdle()
  expect(await world.task('T-1')).toMatchObject({ status: 'done', attempts: { code: 0 } })
  expect(await landings('T-1')).toHaveLength(1)
})

test('nothing is landed while main could not be looked at since the restore', async () => {
  world = await makeWorld({ approval: 'human' })
  mkdirSync(join(world.dir, 'kept'))
  await world.add('Waits for a yes')
  await world.upUntilIdle()
  await backup()
  await world.ok(['approve', 'T-1'])
  await world.upUntilIdle()
  const { mergedSha } = await world.task('T-1')
  await world.ok(['restore', '--force', file()])
  await world.ok(['approve', 'T-1'])
  await world.gitIn(world.dir, 'clone', '--quiet', '--bare', world.remote, join(world.dir, 'copy.git'))
  rmSync(world.remote, { recursive: true })
  const up = await world.upUntilIdle()
  expect(up.stderr).toContain('is not settled after the restore')
  await world.gitIn(world.dir, 'clone', '--quiet', '--bare', join(world.dir, 'copy.git'), world.remote)
  await world.upUntilIdle()
  expect(await world.task('T-1')).toMatchObject({ status: 'done', mergedSha })
  expect(await landings('T-1')).toEqual([mergedSha])
})

test('a damaged, cut, foreign or newer file is told apart and changes nothing', async () => {
  await withWorld()
  await world.add('One', 'behaviour: add')
  await world.upUntilIdle()
  await backup()
  const good = readFileSync(file())
  const before = readFileSync(join(world.home, 'orch.db'))
  const bad = join(world.dir, 'kept', 'bad')
  const cases: [name: string, make: () => void, code: number, says: string][] = [
    ['cut', () => truncateSync(bad, Math.floor(good.length / 2)), 1, 'damaged-backup'],
    ['cut to nothing', () => truncateSync(bad, 0), 1, 'not-a-backup'],
    // A title in a row: SQLite itself sees nothing wrong there.
    ['a flipped bit', () => writeFileSync(bad, flip(good, 'behaviour: add')), 1, 'damaged-backup'],
    ['a flipped bit of a kept file', () => writeFileSync(bad, flip(good, 'All done.')), 1, 'damaged-backup'],
    ['another file', () => writeFileSync(bad, 'a letter to Ann\n'.repeat(100)), 1, 'not-a-backup'],
    ['a newer one', () => writeFileSync(bad, withVersion(good, 9_999)), 6, 'newer-backup'],
    ['none', () => rmSync(bad), 3, 'no-such-file'],
  ]
  for (const [name, make, code, says] of cases) {
    writeFileSync(bad, good)
    make()
    for (const args of [
      ['backup', '--check', bad],
      ['restore', '--force', bad],
    ]) {
      const result = await world.orch([...args, '--json'])
      expect([name, result.code, result.stderr], name).toEqual([name, code, expect.stringContaining(`"${says}"`)])
    }
  }
  expect(readFileSync(join(world.home, 'orch.db')).equals(before)).toBe(true)
  expect(readdirSync(world.home).filter((entry) => entry.includes('restor'))).toEqual([])
  expect(await world.task('T-1')).toMatchObject({ status: 'done' })
})

test('an existing file is replaced only with --force, and only by a whole backup', async () => {
  await withWorld()
  writeFileSync(file(), 'mine')
  const refused = await world.orch(['backup', file()])
  expect(refused).toMatchObject({ code: 4 })
  expect(refused.stderr).toContain('[file-exists]')
  // A backup that fails in the middle leaves what was there.
  const database = join(world.home, 'orch.db')
  const good = readFileSync(database)
  const wal = existsSync(`${database}-wal`) ? readFileSync(`${database}-wal`) : null
  for (const suffix of ['-wal', '-shm']) rmSync(`${database}${suffix}`, { force: true })
  writeFileSync(database, good.subarray(0, good.length - 4_096 * 3))
  expect((await world.orch(['backup', '--force', file()])).code).not.toBe(0)
  expect(readFileSync(file(), 'utf8')).toBe('mine')
  expect(partsLeft()).toEqual([])
  writeFileSync(database, good)
  if (wal) writeFileSync(`${database}-wal`, wal)
  // One that was killed left its part; the next one removes it.
  writeFileSync(`${file()}.part-999999999-dead`, '')
  await backup('--force')
  expect(partsLeft()).toEqual([])
  expect(statSync(file()).mode & 0o077).toBe(0)
  expect((await world.orch(['backup', join(world.dir, 'nowhere', 'x')])).code).toBe(3)
})

test('a plain copy of a database, as left aside by a restore, can be put back', async () => {
  await withWorld()
  await world.add('One')
  await backup()
  await world.add('Two')
  const { before } = (await world.ok(['restore', '--force', file(), '--json'])).json<RestoreView>()
  expect((await world.orch(['task', 'show', 'T-2'])).code).toBe(3)
  copyFileSync(join(before ?? '', 'orch.db'), join(world.dir, 'kept', 'plain.db'))
  await world.ok(['restore', '--force', join(world.dir, 'kept', 'plain.db')])
  expect(await world.task('T-2')).toMatchObject({ title: 'Two' })
})

/** Everywhere: some pages hold what was a row once. */
function flip(bytes: Buffer, at: string): Buffer {
  const copy = Buffer.from(bytes)
  let found = 0
  for (let index = bytes.indexOf(at); index >= 0; index = bytes.indexOf(at, index + 1)) {
    copy[index] = (copy[index] ?? 0) ^ 1
    found++
  }
  if (found === 0) throw new Error(`the backup does not hold: ${at}`)
  return copy
}

/** `user_version` is the four bytes at 60 (sqlite.org/fileformat.html). */
function withVersion(bytes: Buffer, version: number): Buffer {
  const copy = Buffer.from(bytes)
  copy.writeUInt32BE(version, 60)
  return copy
}
