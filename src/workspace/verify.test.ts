import { existsSync } from 'node:fs'
import { mkdir, readdir } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { sleep } from '../lib/process.ts'
import { identifyProcess } from '../lib/process-identity.ts'
import { asAgent, collectOne, commit, ensureOne, kindsHere, makeWorld, sh, type World } from './__fixtures__/world.ts'
import { ownedName } from './owned.ts'
import type { VerifyRequest } from './workspace.ts'

const kinds = await kindsHere()

const command = (run: string, more: { timeoutSeconds?: number; cwd?: string; paths?: string[] } = {}) => ({
  run,
  timeoutSeconds: 20,
  cwd: '.',
  paths: [],
  ...more,
})

const request = (sha: string, more: Partial<VerifyRequest> = {}): VerifyRequest => ({
  sha,
  setup: [],
  verify: [],
  changedPaths: null,
  env: { pass: [], set: {} },
  network: true,
  setupTimeoutMs: 20_000,
  outputCapBytes: 1 << 20,
  ...more,
})

async function verifyIn(world: World, more: Partial<VerifyRequest>) {
  return (await world.workspaces.verify(world.mirror, request(world.base, more))).commands
}

describe.each(kinds)('verification (%s)', (kind) => {
  test('runs setup and commands in a clean checkout that is gone afterwards', async () => {
    const world = await makeWorld(kind)
    world.env['TOKEN'] = 's3cret'
    const commands = await verifyIn(world, {
      setup: ['echo "$TOKEN" > made.txt; mkdir -p sub'],
      verify: [
        command('cat made.txt; echo "token:$TOKEN"; git status --short --branch; git describe --always --all'),
        command('pwd; exit 4', { cwd: 'sub' }),
      ],
      env: { pass: ['TOKEN'], set: {} },
    })
    expect(commands).toHaveLength(2)
    expect(commands[0]).toMatchObject({ outcome: 'exited', exitCode: 0 })
    expect(commands[0]?.output).toMatch(/^s3cret\ntoken:\n## HEAD \(no branch\)\n\?\? made.txt\n/)
    expect(commands[1]).toMatchObject({ outcome: 'exited', exitCode: 4, output: expect.stringMatching(/tree\/sub$/) })
    expect(await readdir(path.join(world.home, 'verify'))).toEqual([])
  })

  test('ends the whole tree of a command, also one that left its session', async () => {
    const world = await makeWorld(kind)
    const file = path.join(world.folder, 'beats')
    await mkdir(file)
    const started = performance.now()
    const [left, hung] = await verifyIn(world, {
      verify: [
        command('(setsid sleep 47.11 >/dev/null 2>&1 &) ; echo left'),
        command('setsid sleep 47.12 & sleep 47.13', { timeoutSeconds: 1 }),
      ],
    })
    expect(left).toMatchObject({ outcome: 'exited', exitCode: 0, output: 'left' })
    expect(hung).toMatchObject({ outcome: 'timed-out' })
    expect(performance.now() - started).toBeLessThan(15_000)
    await sleep(100)
    expect(await sleepers()).toEqual([])
  })

  test('a command ended by a signal, a missing one and a stop from outside are told apart', async () => {
    const world = await makeWorld(kind)
    const [killed, missing] = await verifyIn(world, {
      verify: [command('sh -c "kill -9 \\$\\$"'), command('no-such-command')],
    })
    expect(killed?.exitCode === 137 || killed?.outcome === 'killed').toBe(true)
    expect(missing).toMatchObject({ outcome: 'exited', exitCode: 127, output: expect.stringContaining('not found') })
    const stop = new AbortController()
    setTimeout(() => stop.abort(new Error('stopped')), 300)
    await expect(verifyIn(world, { verify: [command('sleep 20')], signal: stop.signal })).rejects.toThrow('stopped')
    expect(await readdir(path.join(world.home, 'verify'))).toEqual([])
  })
})

async function sleepers(): Promise<string[]> {
  const found: string[] = []
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    const text = await import('node:fs/promises')
      .then((fs) => fs.readFile(`/proc/${pid}/cmdline`, 'utf8'))
      .catch(() => '')
    if (/sleep\0(?:47\.1[123])\0/.test(text) && identifyProcess(Number(pid))) found.push(text)
  }
  return found
}

test.skipIf(!kinds.includes('bubblewrap'))('only what `read` names is seen of HOME', async () => {
  const world = await makeWorld('bubblewrap')
  const key = path.join(world.env['HOME'] ?? '', '.ssh/id_ed25519')
  const verify = [command(`cat ${key}`)]
  expect((await verifyIn(world, { verify }))[0]).toMatchObject({ exitCode: 1 })
  expect((await verifyIn(world, { verify, read: [path.dirname(key)] }))[0]).toMatchObject({
    exitCode: 0,
    output: 'PRIVATE KEY',
  })
})

test('a failing setup is no red: it throws, with the end of what it said', async () => {
  const world = await makeWorld(kinds.at(-1))
  const run = verifyIn(world, { setup: ['echo "cannot reach the registry"; exit 1'], verify: [command('true')] })
  await expect(run).rejects.toMatchObject({
    kind: 'setup-failed',
    message: expect.stringContaining('cannot reach the registry'),
  })
})

test('commands are chosen by the paths that changed', async () => {
  const world = await makeWorld()
  const verify = [
    command('echo all'),
    command('echo docs', { paths: ['docs/**'] }),
    command('echo code', { paths: ['src/**/*.ts', '*.txt'] }),
  ]
  const ran = async (changedPaths: string[] | null) =>
    (await verifyIn(world, { verify, changedPaths })).map((one) => one.output)
  expect(await ran(null)).toEqual(['all', 'docs', 'code'])
  expect(await ran(['docs/deep/.hidden/x.md'])).toEqual(['all', 'docs'])
  expect(await ran(['a.txt'])).toEqual(['all', 'code'])
  expect(await ran([])).toEqual(['all'])
})

test('a folder outside of the checkout is refused, by dots or by a link', async () => {
  const world = await makeWorld()
  await sh(world.env, world.clone, 'ln', '-s', '/etc', 'out')
  const sha = await commit(world.env, world.clone, 'link')
  await sh(world.env, world.clone, 'git', 'push', '-q', world.mirror.path, `${sha}:refs/orch/test/x`)
  for (const cwd of ['..', '/etc', 'out', 'none']) {
    const run = world.workspaces.verify(world.mirror, request(sha, { verify: [command('true', { cwd })] }))
    await expect(run).rejects.toMatchObject({ kind: 'rejected' })
  }
})

test('what an agent patched in its workspace is not there', async () => {
  const world = await makeWorld(kinds.at(-1))
  const workspace = await ensureOne(world)
  await asAgent(
    world,
    workspace,
    'mkdir -p node_modules/.bin; printf "#!/bin/sh\\nexit 0\\n" > node_modules/.bin/check; chmod +x node_modules/.bin/check; echo x > x.txt',
  )
  const { headSha } = await collectOne(world, workspace)
  const { commands } = await world.workspaces.verify(
    world.mirror,
    request(headSha, { verify: [command('ls -A; ls node_modules')] }),
  )
  expect(commands[0]).toMatchObject({ exitCode: 2 })
  expect(commands[0]?.output).toMatch(/^\.git\n\.gitignore\na\.txt\nx\.txt\nls: /)
})

test('a checkout whose process is gone is removed by the next verification', async () => {
  const world = await makeWorld()
  const own = identifyProcess(process.pid)
  if (!own) throw new Error('this process is not there')
  const gone = { ...own, startTime: own.startTime + 1 }
  const names = [
    ownedName('making-', gone),
    ownedName('making-', { ...own, bootId: 'beef' }),
    ownedName('making-', own),
  ]
  const [left, before, live] = names.map((name) => path.join(world.home, 'verify', name)) as [string, string, string]
  // Killed right after it made the folder, and in the middle of the work.
  await mkdir(left, { recursive: true })
  await mkdir(path.join(before, 'tree'), { recursive: true })
  await mkdir(live)
  await verifyIn(world, { verify: [command('true')] })
  expect([left, before, live].map((folder) => existsSync(folder))).toEqual([false, false, true])
})

test('the environment has an identity that holds still and follows PATH', async () => {
  const world = await makeWorld()
  const first = await world.workspaces.environmentId()
  expect(await world.workspaces.environmentId()).toBe(first)
  world.env['PATH'] = `${world.folder}:${world.env['PATH']}`
  expect(await world.workspaces.environmentId()).not.toBe(first)
})
