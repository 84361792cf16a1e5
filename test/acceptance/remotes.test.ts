// Trouble of the remote and of the place: one clear line, a proper exit code, and afterwards it goes on where it was.

import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { type World, commitAndPush, makeWorld } from './harness.ts'

let world: World
afterEach(() => world.close())

function hook(text: string): void {
  const file = join(world.remote, 'hooks', 'pre-receive')
  mkdirSync(join(world.remote, 'hooks'), { recursive: true })
  writeFileSync(file, `#!/bin/sh\n${text}\n`)
  chmodSync(file, 0o755)
}

test('a remote that refuses the branch holds with push-refused; let through, a retry lands', async () => {
  world = await makeWorld()
  hook('echo "no branches today" >&2; exit 1')
  await world.add('Refused')
  await world.upUntilIdle()
  const task = await world.task('T-1')
  expect(task).toMatchObject({ status: 'needs_review', reason: 'push-refused', attempts: { code: 0 } })
  expect(task.reasonText).toContain('no branches today')
  hook('exit 0')
  await world.ok(['task', 'retry', 'T-1'])
  await world.upUntilIdle()
  expect((await world.task('T-1')).status).toBe('done')
})

test('a protected main holds with push-refused and has not moved', async () => {
  world = await makeWorld()
  const base = await world.git('rev-parse', 'main')
  hook('while read old new ref; do [ "$ref" != refs/heads/main ] || { echo "main is protected" >&2; exit 1; }; done')
  await world.add('Refused on main')
  await world.upUntilIdle()
  const task = await world.task('T-1')
  expect(task).toMatchObject({ status: 'needs_review', reason: 'push-refused', stage: 'land' })
  expect(task.reasonText).toContain('main is protected')
  expect(await world.git('rev-parse', 'main')).toBe(base)
  hook('exit 0')
  await world.ok(['task', 'retry', 'T-1'])
  await world.upUntilIdle()
  expect(await world.task('T-1')).toMatchObject({ status: 'done' })
})

test('an unreachable remote is infrastructure; back again, the task goes on', async () => {
  world = await makeWorld({ config: 'limits: { infra: 1 }' })
  await world.add('Waits for the remote')
  renameSync(world.remote, `${world.remote}.away`)
  await world.upUntilIdle({ timerWait: '0s' })
  const task = await world.task('T-1')
  expect(task.attempts.code).toBe(0)
  expect(['waiting', 'needs_review']).toContain(task.status)
  expect(await world.why('T-1')).toMatchObject({ actions: expect.arrayContaining(['orch task retry T-1']) })
  renameSync(`${world.remote}.away`, world.remote)
  await world.ok(['task', 'retry', 'T-1'])
  await world.upUntilIdle()
  expect((await world.task('T-1')).status).toBe('done')
})

test('a branch of the same name is somebody else’s: ours gets a suffix, theirs stays', async () => {
  world = await makeWorld({ approval: 'human' })
  await world.add('Taken name')
  await world.gitIn(world.clone, 'push', '--quiet', 'origin', 'main:refs/heads/orch/T-1-taken-name')
  const theirs = await world.git('rev-parse', 'orch/T-1-taken-name')
  await world.upUntilIdle()
  const task = await world.task('T-1')
  expect(task.branch).toBe('orch/T-1-taken-name-2')
  expect(await world.git('rev-parse', 'orch/T-1-taken-name-2')).toBe(task.headSha)
  await world.ok(['approve', 'T-1'])
  await world.upUntilIdle()
  expect(await world.git('for-each-ref', '--format=%(refname:short)', 'refs/heads')).toBe('main\norch/T-1-taken-name')
  expect(await world.git('rev-parse', 'orch/T-1-taken-name')).toBe(theirs)
})

test('a title can’t break a branch name', async () => {
  world = await makeWorld({ approval: 'human' })
  await world.add('~^:?*[ ..\\ @{-1} --upload-pack=x.lock', 'Whatever.')
  await world.add('漢字だけ')
  await world.upUntilIdle()
  for (const id of ['T-1', 'T-2']) {
    const task = await world.task(id)
    expect(task).toMatchObject({ status: 'waiting', waitingFor: 'approval' })
    expect(await world.git('rev-parse', `refs/heads/${task.branch}`)).toBe(task.headSha)
    expect(task.branch).toMatch(/^orch\/T-\d[a-z0-9-]*$/)
  }
})

test('main moved by somebody else while the change waited: the merge holds both', async () => {
  world = await makeWorld({ approval: 'human' })
  await world.add('Meets a newer main')
  await world.upUntilIdle()
  await commitAndPush(world, { 'parts/other': 'ok\n' }, 'By a colleague')
  await world.ok(['approve', 'T-1'])
  await world.upUntilIdle()
  expect((await world.git('ls-tree', '--name-only', 'main:parts')).split('\n')).toEqual(['T-1', 'first', 'other'])
})

test('no repository, no remote, an empty or unreachable origin: one line and exit 6, nothing registered', async () => {
  world = await makeWorld({ init: false })
  const plain = join(world.dir, 'plain')
  mkdirSync(plain)
  const cases: [string, () => Promise<void>][] = [
    ['no repository', async () => undefined],
    ['no remote', async () => void (await world.gitIn(plain, 'init', '--quiet', '--initial-branch=main'))],
    [
      'unreachable',
      async () => void (await world.gitIn(plain, 'remote', 'add', 'origin', join(world.dir, 'nowhere.git'))),
    ],
    [
      'empty origin',
      async () => {
        await world.gitIn(world.dir, 'init', '--quiet', '--bare', 'nowhere.git')
      },
    ],
  ]
  for (const [name, prepare] of cases) {
    await prepare()
    const result = await world.orch(['init', '--yes'], { cwd: plain })
    expect(result, `${name}: ${result.stderr}`).toMatchObject({ code: 6, stdout: '' })
    expect(result.stderr, name).toMatch(/^orch: [^\n]+\n$/)
  }
  expect((await world.ok(['project', 'list', '--json'])).json()).toEqual([])
})

test('without git on the PATH: one line and exit 6', async () => {
  world = await makeWorld({ init: false })
  const result = await world.orch(['init', '--yes'], { env: { PATH: join(world.dir, 'nothing') } })
  expect(result, result.stderr).toMatchObject({ code: 6 })
  expect(result.stderr).toMatch(/^orch: [^\n]*git[^\n]*\n$/)
})
