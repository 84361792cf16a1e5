import { existsSync } from 'node:fs'
import { lstat, mkdir, readdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { makeNpmWorld, push, setUp, taskCommit, verified } from './__fixtures__/npm-world.ts'
import { asAgent, collectOne, ensureOne, kindsHere, sh, type World } from './__fixtures__/world.ts'

const kinds = await kindsHere()
const best = kinds.at(-1)

const products = (world: World): Promise<string[]> => readdir(path.join(world.home, 'products/shop')).catch(() => [])

const readCopy = (world: World, runId: string, sha: string) =>
  world.workspaces.ensureReadCopy(world.mirror, {
    task: 'SHOP-1',
    runId,
    sha,
    baseSha: world.base,
    baseBranch: 'main',
  })

const COPIED = { how: 'copied', note: null }
const RAN = { how: 'ran', note: null }

describe.each(kinds)('setup runs once for the same inputs (%s)', (kind) => {
  test('for the base, a workspace, a reviewer, a head and what lands', async () => {
    const world = await makeNpmWorld(kind)
    const base = await verified(world, world.base)
    expect(base.setup).toEqual(COPIED)
    const stamp = base.said[0] ?? ''
    expect(stamp).toMatch(/^\d+-\d+$/)
    const workspace = await ensureOne(world)
    expect(await setUp(world, workspace, world.base)).toEqual(COPIED)
    expect(
      await asAgent(world, workspace, 'cat node_modules/stamp; node_modules/.bin/check && git status --short'),
    ).toBe(`${stamp}\n`)
    await asAgent(world, workspace, 'echo 2 > src/a.js; echo b > src/b.js')
    const { headSha, tampering } = await collectOne(world, workspace)
    expect(tampering).toEqual([])
    expect((await verified(world, headSha)).said).toEqual([stamp])
    const copy = await readCopy(world, 'run-2', headSha)
    expect(await setUp(world, copy, headSha)).toEqual(COPIED)
    world.base = await push(world, { 'other.txt': 'meanwhile\n' })
    const merged = await world.mirror.mergeTree(world.base, headSha)
    if (!merged.ok) throw new Error('expected a clean merge')
    const who = { name: 'Orch', email: 'orch@localhost' }
    const parents = [world.base, headSha]
    const candidate = await world.mirror.commitTree({
      tree: merged.tree,
      parents,
      message: 'm',
      author: who,
      committer: who,
    })
    expect(await verified(world, candidate)).toEqual({ setup: COPIED, said: [stamp] })
    expect(await products(world)).toHaveLength(1)
  })

  test('what an agent or a verification writes never comes back', async () => {
    const world = await makeNpmWorld(kind)
    const clean = await verified(world, world.base, {
      run: ['echo x > node_modules/dep/index.js; rm node_modules/.bin/check'],
    })
    const workspace = await ensureOne(world)
    await setUp(world, workspace, world.base)
    const kept = path.join(world.home, 'products/shop', (await products(world))[0] ?? '')
    // With its products hidden, an agent has the copy alone; without a sandbox nothing is hidden, and it holds to its place.
    const said = await asAgent(
      world,
      workspace,
      'echo "poison" > node_modules/dep/index.js; printf "#!/bin/sh\\nexit 0\\n" > node_modules/.bin/check; ln -f node_modules/dep/index.js node_modules/linked; echo p > "$npm_config_cache/stamp"; echo 2 > src/a.js',
    )
    expect(said).toBe('')
    const { headSha } = await collectOne(world, workspace)
    const look = ['cat node_modules/dep/index.js node_modules/.bin/check; ls node_modules']
    const own = await verified(world, headSha, { run: look })
    const other = await verified(world, await taskCommit(world, { 'src/z.js': '3\n' }), { run: look })
    for (const one of [own, other]) {
      expect(one.setup).toEqual(COPIED)
      expect(one.said[0]).toBe(clean.said[0])
      expect(one.said[1]).toBe('const good = true\n#!/bin/sh\ntest ! -e poison\ndep\nstamp')
    }
    for (const file of ['dep/index.js', '.bin/check', 'stamp']) {
      const [theirs, ours] = await Promise.all([
        lstat(path.join(workspace.path, 'node_modules', file)),
        lstat(path.join(kept, 'tree/node_modules', file)),
      ])
      expect(ours.nlink).toBe(1)
      expect(theirs.ino).not.toBe(ours.ino)
    }
  })
})

describe('other inputs are set up for real, there and then', () => {
  test('a changed lock file', async () => {
    const world = await makeNpmWorld()
    const base = await verified(world, world.base)
    const task = await verified(world, await taskCommit(world, { 'package-lock.json': '{"evil":1}\n' }))
    expect(task.setup).toEqual(RAN)
    expect(task.said[0]).not.toBe(base.said[0])
    expect(await products(world)).toHaveLength(1)
    expect((await verified(world, world.base)).said).toEqual(base.said)
  })

  test.each([
    ['another command', { setup: ['npm ci --omit=dev'] }, COPIED],
    ['another variable', { env: { pass: [], set: { MODE: 'x' } } }, COPIED],
    ['a red that is looked at again', { runSetup: true }, RAN],
  ])('%s', async (_, more, use) => {
    const world = await makeNpmWorld()
    const base = await verified(world, world.base)
    const again = await verified(world, world.base, more)
    expect(again.setup).toEqual(use)
    expect(again.said[0]).not.toBe(base.said[0])
  })

  test.each([
    ['a command of their own', {}, { setup: ['npm ci', 'cp src/a.js node_modules/built.js'] }],
    ['an install script of their own', { 'package.json': '{"scripts":{"prepare":"build"}}\n' }, {}],
    ['a dependency that lies in the repository', { 'package.json': '{"dependencies":{"x":"file:../x"}}\n' }, {}],
    ['a manifest that is a link', { 'real.json': '{}\n' }, {}],
  ])('the whole tree counts for %s', async (name, files, more) => {
    const world = await makeNpmWorld()
    if (name.includes('link')) await symlink('../real.json', path.join(world.clone, 'src/package.json'))
    world.base = await push(world, files)
    const base = await verified(world, world.base, more)
    expect(base.setup).toEqual(COPIED)
    const task = await verified(world, await taskCommit(world, { 'src/a.js': '2\n' }), more)
    expect(task.setup).toEqual(RAN)
    expect(task.said[0]).not.toBe(base.said[0])
    expect((await verified(world, world.base, more)).said[0]).toBe(base.said[0])
  })

  test("hooks that git gets from a package count as nobody's sources", async () => {
    const world = await makeNpmWorld()
    const env = { pass: [], set: { NPM_MORE: 'git config core.hooksPath .husky/_ && mkdir -p .husky/_' } }
    world.base = await push(world, { 'package.json': '{"scripts":{"prepare":"husky"}}\n' })
    await verified(world, world.base, { env })
    expect((await verified(world, await taskCommit(world, { 'src/a.js': '2\n' }), { env })).setup).toEqual(COPIED)
    const workspace = await ensureOne(world)
    const request = { sha: world.base, commands: ['npm ci'], env, network: true, timeoutMs: 30_000 }
    expect(await world.workspaces.setup(world.mirror, workspace, request)).toEqual(COPIED)
    await asAgent(world, workspace, 'git config core.hooksPath .husky/_; echo 2 > src/a.js')
    expect((await collectOne(world, workspace)).tampering).toEqual([])
  })
})

describe('products that are of use in their own place only', () => {
  test.each([
    [
      'the tree',
      'echo "$PWD/node_modules" > node_modules/where',
      /bound to the folder it was made in \(tree\/node_modules\/where\)/,
    ],
    ['a link', 'ln -s "$PWD/src" node_modules/src', /bound to the folder .*\(tree\/node_modules\/src\)/],
    ['the runtime folder', 'echo "#!$HOME/bin" > "$HOME/tool"', /bound to the folder .*\(runtime\/home\/tool\)/],
    ['a tracked file', 'echo 3 > src/a.js', /changes files of the repository \(src\/a.js\)/],
    ['the git directory', 'git config filter.x.clean y', /changes the git directory \(.*filter\.x\.clean/],
  ])('%s: setup runs in each, and why is said once', async (_, script, why) => {
    const world = await makeNpmWorld(best)
    const env = { pass: [], set: { NPM_MORE: script } }
    const first = await verified(world, world.base, { env })
    expect(first.setup).toEqual({ how: 'ran', note: expect.stringMatching(why) })
    const second = await verified(world, await taskCommit(world, { 'b.txt': 'b\n' }), { env })
    expect(second.setup).toEqual(RAN)
    expect(second.said[0]).not.toBe(first.said[0])
    expect((await products(world)).filter((name) => !name.startsWith('own-'))).toEqual([])
  })

  test('a commit that tracks what setup makes is not written over', async () => {
    const world = await makeNpmWorld()
    await verified(world, world.base)
    await writeFile(path.join(world.clone, '.gitignore'), '')
    const sha = await taskCommit(world, { 'node_modules/own.js': 'own\n', '.gitignore': '' })
    expect(await verified(world, sha, { run: ['cat node_modules/own.js'] })).toMatchObject({
      setup: RAN,
      said: [expect.anything(), 'own'],
    })
  })
})

describe("a workspace's second run", () => {
  test('gets what its agent broke anew', async () => {
    const world = await makeNpmWorld(best)
    const workspace = await ensureOne(world)
    await setUp(world, workspace, world.base)
    await asAgent(
      world,
      workspace,
      'rm -r node_modules/dep; echo x > node_modules/more; echo 2 > src/a.js; git commit -qam two',
    )
    const { headSha } = await collectOne(world, workspace)
    await ensureOne(world, headSha)
    expect(await setUp(world, workspace, headSha)).toEqual(COPIED)
    expect(await asAgent(world, workspace, 'ls node_modules; git status --short')).toBe('dep\nstamp\n')
  })

  test('is set up for real while its manifests are not those of its commit', async () => {
    const world = await makeNpmWorld(best)
    const workspace = await ensureOne(world)
    await setUp(world, workspace, world.base)
    await writeFile(path.join(workspace.path, 'package.json'), '{"name":"changed"}\n')
    expect(await setUp(world, workspace, world.base)).toEqual(RAN)
    await asAgent(world, workspace, 'git commit -qam "not collected yet"')
    expect(await setUp(world, workspace, world.base)).toEqual(RAN)
  })

  test.skipIf(best !== 'bubblewrap')('writes nothing where a link of its agent leads', async () => {
    const world = await makeNpmWorld(best)
    const workspace = await ensureOne(world)
    await setUp(world, workspace, world.base)
    const outside = path.join(world.folder, 'outside')
    await mkdir(path.join(outside, 'node_modules'), { recursive: true })
    await writeFile(path.join(outside, 'node_modules/precious'), 'x')
    await sh(world.env, workspace.path, 'sh', '-c', `rm -r node_modules; ln -s ${outside}/node_modules node_modules`)
    await sh(world.env, workspace.path, 'sh', '-c', `rm -r ../runtime/cache; ln -s ${outside} ../runtime/cache`)
    // Such a link may spoil the setup of its own task, and nothing else.
    await setUp(world, workspace, world.base).catch(() => undefined)
    expect(await readdir(outside)).toEqual(['node_modules'])
    expect(await readdir(path.join(outside, 'node_modules'))).toEqual(['precious'])
  })
})

test('several at once make them once', async () => {
  const world = await makeNpmWorld()
  const sha = await taskCommit(world, { 'b.txt': 'b\n' })
  const runs = path.join(world.folder, 'runs')
  // Without a sandbox the script can count its own runs.
  const env = { pass: [], set: { NPM_MORE: `echo run >> ${runs}` } }
  const all = await Promise.all([world.base, sha, sha].map((one) => verified(world, one, { env })))
  expect(new Set(all.map((one) => one.said[0])).size).toBe(1)
  expect(await readFile(runs, 'utf8')).toBe('run\n')
  expect(await products(world)).toHaveLength(1)
})

test('torn ones, as a power cut leaves them, are made again', async () => {
  const world = await makeNpmWorld()
  await verified(world, world.base)
  const [name = ''] = await products(world)
  const made = path.join(world.home, 'products/shop', name, 'made.json')
  const whole = await readFile(made, 'utf8')
  await writeFile(made, '')
  await verified(world, await taskCommit(world, { 'b.txt': 'b\n' }))
  expect(await products(world)).toEqual([name])
  expect(await readFile(made, 'utf8')).toBe(whole)
})

test('who waits for another to make them stops when it is stopped', async () => {
  const world = await makeNpmWorld()
  const [go, begun] = ['go', 'begun'].map((name) => path.join(world.folder, name)) as [string, string]
  const script = `touch ${begun}; n=0; until test -e ${go} || test $n = 300; do n=$((n+1)); sleep 0.1; done`
  const env = { pass: [], set: { NPM_MORE: script } }
  const maker = verified(world, world.base, { env })
  await vi.waitUntil(() => existsSync(begun), 20_000)
  const stop = new AbortController()
  const waiter = verified(world, world.base, { env, signal: stop.signal })
  stop.abort(new Error('stopped'))
  await expect(waiter).rejects.toThrow('stopped')
  expect(existsSync(go)).toBe(false)
  await writeFile(go, '')
  expect((await maker).setup).toEqual(COPIED)
})

test('the newest three of a project are kept, and none of a project that is gone', async () => {
  const world = await makeNpmWorld()
  for (const n of [1, 2, 3, 4]) {
    world.base = await push(world, { 'package-lock.json': `{"n":${n}}\n` })
    await verified(world, world.base)
    // The clock of a file system may stand still for so short a time.
    for (const name of await products(world)) {
      const made = path.join(world.home, 'products/shop', name, 'made.json')
      const at = new Date((await lstat(made)).mtimeMs - 10_000)
      await utimes(made, at, at)
    }
  }
  expect(await products(world)).toHaveLength(3)
  expect((await world.workspaces.diskUse()).map((use) => path.relative(world.home, use.path))).toContain(
    'products/shop',
  )
  const { signal } = new AbortController()
  await world.workspaces.stock({ wanted: [], known: ['shop'], signal })
  expect(await products(world)).toHaveLength(3)
  await world.workspaces.stock({ wanted: [], known: ['other'], signal })
  expect(existsSync(path.join(world.home, 'products/shop'))).toBe(false)
})

test('a setup that fails on the base is the failure of setup, and leaves nothing', async () => {
  const world = await makeNpmWorld()
  const env = { pass: [], set: { NPM_MORE: 'echo no registry; exit 7' } }
  await expect(verified(world, world.base, { env })).rejects.toMatchObject({
    kind: 'setup-failed',
    message: expect.stringContaining('no registry'),
  })
  expect(await products(world)).toEqual([])
  expect(await readdir(path.join(world.home, 'verify'))).toEqual([])
})

test.skipIf(best !== 'bubblewrap')('no agent and no verification sees where they are kept', async () => {
  const world = await makeNpmWorld(best)
  const look = `ls ${world.home}/products`
  const { said } = await verified(world, world.base, { run: [look] })
  expect(said[1]).toMatch(/^ls: cannot access .*No such file or directory$/)
  const workspace = await ensureOne(world)
  await setUp(world, workspace, world.base)
  expect(await asAgent(world, workspace, look)).toMatch(/^ls: cannot access .*No such file or directory\n$/)
  expect(await readFile(path.join(workspace.path, 'a.txt'), 'utf8')).toContain('one')
})
