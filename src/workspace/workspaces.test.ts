import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  asAgent,
  BRANCH,
  collectOne,
  commit,
  ensureOne,
  kindsHere,
  makeWorld,
  sh,
  type World,
} from './__fixtures__/world.ts'
import type { Workspace } from './workspace.ts'

const kinds = await kindsHere()

const read = (workspace: Workspace, file: string): Promise<string> => readFile(path.join(workspace.path, file), 'utf8')
const inMirror = (world: World, ...args: string[]): Promise<string> => sh(world.env, world.mirror.path, 'git', ...args)

describe.each(kinds)("a task's workspace (%s)", (kind) => {
  test('is a checkout of the branch with a git directory of its own and no remote', async () => {
    const world = await makeWorld(kind)
    const workspace = await ensureOne(world)
    expect(await read(workspace, 'a.txt')).toBe('one\ntwo\nthree\n')
    const said = await asAgent(
      world,
      workspace,
      'git status --short --branch; git remote; git log --format=%s origin/main; git diff --stat origin/main; git config user.name',
    )
    expect(said).toBe(`## ${BRANCH}\nfirst\nClone Owner\n`)
    expect(existsSync(path.join(workspace.path, '.git/objects/info/alternates'))).toBe(true)
  })

  test('commits and leftovers are taken out into refs/orch, ignored files are not', async () => {
    const world = await makeWorld(kind)
    const workspace = await ensureOne(world)
    await asAgent(
      world,
      workspace,
      'echo b > b.txt; git add b.txt; git commit -qm work; echo c > c.txt; echo ONE > a.txt; mkdir node_modules; echo x > node_modules/x',
    )
    const collected = await collectOne(world, workspace)
    expect(collected).toMatchObject({ leftovers: true, tampering: [] })
    expect(await inMirror(world, 'rev-parse', 'refs/orch/SHOP-1/1')).toBe(collected.headSha)
    expect(await inMirror(world, 'ls-tree', '-r', '--name-only', collected.headSha)).toBe(
      '.gitignore\na.txt\nb.txt\nc.txt',
    )
    expect(await inMirror(world, 'log', '--format=%an %s', collected.headSha)).toBe(
      'Clone Owner Left by the agent\nClone Owner work\nAda first',
    )
    const again = await collectOne(world, workspace, '2')
    expect(again).toEqual({ headSha: collected.headSha, leftovers: false, tampering: [] })
  })

  test('is found again with what is in it, and follows base and head', async () => {
    const world = await makeWorld(kind)
    const workspace = await ensureOne(world)
    await asAgent(world, workspace, 'echo b > b.txt; git add b.txt; git commit -qm work')
    const { headSha } = await collectOne(world, workspace)
    await writeFile(path.join(workspace.path, 'untracked.txt'), 'mine\n')
    await writeFile(path.join(world.clone, 'd.txt'), 'd\n')
    world.base = await commit(world.env, world.clone, 'second')
    await sh(world.env, world.clone, 'git', 'push', '-q', 'origin', 'main')
    await world.mirror.fetchBase(null)
    await writeFile(path.join(workspace.path, '.git/index.lock'), '')
    await ensureOne(world, headSha)
    expect(await read(workspace, 'untracked.txt')).toBe('mine\n')
    expect(await asAgent(world, workspace, 'git rev-parse HEAD origin/main')).toBe(`${headSha}\n${world.base}\n`)
    const merged = await world.mirror.mergeTree(headSha, world.base)
    if (!merged.ok) throw new Error('expected a clean merge')
    const who = { name: 'Orch', email: 'orch@localhost' }
    const tip = await world.mirror.commitTree({
      tree: merged.tree,
      parents: [headSha, world.base],
      message: 'merge',
      author: who,
      committer: who,
    })
    await ensureOne(world, tip)
    expect(await read(workspace, 'd.txt')).toBe('d\n')
    expect(await read(workspace, 'untracked.txt')).toBe('mine\n')
  })
})

describe.each(kinds)('a workspace that went wrong (%s)', (kind) => {
  test('is made afresh when it is broken, and what was in it is saved', async () => {
    const world = await makeWorld(kind)
    const workspace = await ensureOne(world)
    await asAgent(world, workspace, 'echo precious > new.txt; rm -rf .git; echo "gitdir: /elsewhere" > .git')
    await expect(collectOne(world, workspace)).rejects.toMatchObject({
      kind: 'not-found',
      message: expect.stringContaining('replaced'),
    })
    await ensureOne(world)
    expect(await asAgent(world, workspace, 'git status --short --branch')).toBe(`## ${BRANCH}\n`)
    expect(await readFile(path.join(world.home, 'saved/SHOP-1-1/tree/new.txt'), 'utf8')).toBe('precious\n')
    await asAgent(world, workspace, 'rm -rf ./* .git .gitignore')
    await ensureOne(world)
    expect(await read(workspace, 'a.txt')).toContain('one')
    expect(await readdir(path.join(world.home, 'saved'))).toEqual(['SHOP-1-1'])
  })

  test('saves files and commits of a branch that went another way', async () => {
    const world = await makeWorld(kind)
    const workspace = await ensureOne(world)
    await asAgent(
      world,
      workspace,
      'echo b > b.txt; git add b.txt; git commit -qm lost; echo two > a.txt; echo u > "un tracked.txt"',
    )
    await writeFile(path.join(world.clone, 'x.txt'), 'x\n')
    const other = await commit(world.env, world.clone, 'other')
    await sh(world.env, world.clone, 'git', 'push', '-q', world.mirror.path, `${other}:refs/orch/SHOP-1/9`)
    await ensureOne(world, other)
    const saved = path.join(world.home, 'saved/SHOP-1-1')
    expect((await readdir(saved)).sort()).toEqual(['README.txt', 'changes.patch', 'commits.bundle', 'files'])
    expect((await readdir(path.join(saved, 'files'))).sort()).toEqual(['a.txt', 'un tracked.txt'])
    await sh(
      world.env,
      world.clone,
      'git',
      'fetch',
      '-q',
      path.join(saved, 'commits.bundle'),
      `refs/heads/${BRANCH}:refs/heads/saved`,
    )
    expect(await sh(world.env, world.clone, 'git', 'log', '-1', '--format=%s', 'saved')).toBe('lost')
    expect(await asAgent(world, workspace, 'git rev-parse HEAD')).toBe(`${other}\n`)
  })
})

describe.each(kinds)('a read copy (%s)', (kind) => {
  test('a reviewer gets a copy of its own, which goes without a trace', async () => {
    const world = await makeWorld(kind)
    const request = { task: 'SHOP-1', runId: 'run-7', sha: world.base, baseSha: world.base, baseBranch: 'main' }
    const copy = await world.workspaces.ensureReadCopy(world.mirror, request)
    expect(await asAgent(world, copy, 'git rev-parse HEAD; echo x > x.txt; git rev-parse origin/main')).toBe(
      `${world.base}\n${world.base}\n`,
    )
    await world.workspaces.discard(copy)
    await world.workspaces.discard(copy)
    expect(existsSync(copy.path)).toBe(false)
    const own = await ensureOne(world)
    await world.workspaces.ensureReadCopy(world.mirror, request)
    expect(await world.workspaces.list()).toEqual([{ task: own.task, readCopies: ['run-7'] }])
    await expect(world.workspaces.discard(own)).rejects.toMatchObject({ kind: 'rejected' })
  })
})

const setupRequest = (world: World, commands: string[]) => ({
  sha: world.base,
  commands,
  env: { pass: ['TOKEN'], set: {} },
  network: true,
  timeoutMs: 20_000,
})

test("setup runs in the workspace; what it makes is nobody's leftover", async () => {
  const world = await makeWorld(kinds.at(-1))
  world.env['TOKEN'] = 's3cret'
  const workspace = await ensureOne(world)
  await writeFile(path.join(workspace.path, 'agents.txt'), 'left by an interrupted run\n')
  await world.workspaces.setup(
    world.mirror,
    workspace,
    setupRequest(world, [
      'mkdir -p venv "we [ird"; echo "$TOKEN" > venv/token; echo x > "we [ird/x"; git config core.hooksPath .husky',
    ]),
  )
  expect(await read(workspace, 'venv/token')).toBe('s3cret\n')
  await asAgent(world, workspace, 'echo b > b.txt; git config core.hooksPath .husky')
  const collected = await collectOne(world, workspace)
  expect(collected.tampering).toEqual([])
  expect(await inMirror(world, 'ls-tree', '-r', '--name-only', collected.headSha)).toBe(
    '.gitignore\na.txt\nagents.txt\nb.txt',
  )
  const failing = world.workspaces.setup(
    world.mirror,
    workspace,
    setupRequest(world, ['echo before; echo broken >&2; exit 3']),
  )
  await expect(failing).rejects.toMatchObject({
    kind: 'setup-failed',
    message: expect.stringMatching(/exited 3:\nbefore\nbroken/),
  })
  await expect(
    world.workspaces.setup(world.mirror, workspace, { ...setupRequest(world, ['sleep 20']), timeoutMs: 200 }),
  ).rejects.toMatchObject({ kind: 'setup-failed' })
})

test('removing a task saves what was uncommitted, once', async () => {
  const world = await makeWorld()
  const workspace = await ensureOne(world)
  await writeFile(path.join(workspace.path, 'new.txt'), 'precious\n')
  const { saved } = await world.workspaces.remove('SHOP-1')
  expect(await readFile(path.join(saved ?? '', 'files/new.txt'), 'utf8')).toBe('precious\n')
  expect(existsSync(path.dirname(workspace.path))).toBe(false)
  expect(await world.workspaces.remove('SHOP-1')).toEqual({ saved: null })
  await ensureOne(world)
  expect(await world.workspaces.remove('SHOP-1')).toEqual({ saved: null })
})

test('a read-only folder in a workspace can be removed', async () => {
  const world = await makeWorld()
  const workspace = await ensureOne(world)
  await mkdir(path.join(workspace.runtimeDir, 'cache/go-mod/x'), { recursive: true })
  await writeFile(path.join(workspace.runtimeDir, 'cache/go-mod/x/file'), 'x')
  await sh(world.env, workspace.runtimeDir, 'chmod', '-R', 'a-w', 'cache/go-mod')
  await world.workspaces.remove('SHOP-1')
  expect(existsSync(path.dirname(workspace.path))).toBe(false)
})

test('names that lead elsewhere are refused', async () => {
  const world = await makeWorld()
  for (const task of ['../x', 'a/b', '.git', '', '-x'])
    await expect(world.workspaces.remove(task)).rejects.toMatchObject({ kind: 'rejected' })
  const request = { task: 'SHOP-1', branch: '../../evil', baseSha: world.base, headSha: null, baseBranch: 'main' }
  await expect(world.workspaces.ensure(world.mirror, request)).rejects.toMatchObject({ kind: 'rejected' })
  await rm(path.join(world.home, 'workspaces'), { recursive: true, force: true })
})

test('disk use names mirrors and workspaces', async () => {
  const world = await makeWorld()
  await ensureOne(world)
  const use = await world.workspaces.diskUse()
  expect(use.map((one) => path.relative(world.home, one.path))).toEqual(['mirrors/shop.git', 'workspaces/SHOP-1'])
  expect(use.every((one) => one.bytes > 0)).toBe(true)
})
