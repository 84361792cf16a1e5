import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { identifyProcess } from '../lib/process-identity.ts'
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
import { ownedName } from './owned.ts'

const kinds = await kindsHere()

const pool = (world: World): string => path.join(world.home, 'pool/shop')
const entries = (world: World): Promise<string[]> => readdir(pool(world)).catch(() => [])

function stock(world: World, more: { sha?: string; sparse?: string[]; idle?: boolean; signal?: AbortSignal } = {}) {
  const want = { project: 'shop', sha: more.sha ?? world.base, sparse: more.sparse ?? [] }
  return world.workspaces.stock({
    wanted: more.idle ? [] : [want],
    known: ['shop'],
    signal: more.signal ?? new AbortController().signal,
  })
}

/** Identity of a file on the disk: it stays when its folder is renamed. */
const inode = async (...parts: string[]): Promise<number> => (await stat(path.join(...parts))).ino

async function pushed(world: World, files: Record<string, string | null>, message: string): Promise<string> {
  for (const [file, text] of Object.entries(files)) {
    const place = path.join(world.clone, file)
    await mkdir(path.dirname(place), { recursive: true })
    if (text === null) await rm(place)
    else await writeFile(place, text)
  }
  const sha = await commit(world.env, world.clone, message)
  await sh(world.env, world.clone, 'git', 'push', '-q', 'origin', 'main')
  await world.mirror.fetchBase(null)
  return sha
}

describe.each(kinds)('a workspace from the pool (%s)', (kind) => {
  test('is the same as a fresh one, also at another commit', async () => {
    const world = await makeWorld(kind)
    await pushed(world, { 'gone.txt': 'gone\n', 'deep/er/b.txt': 'b\n', 'run.sh': '#!/bin/sh\n' }, 'more')
    await sh(world.env, world.clone, 'git', 'tag', 'v1')
    await sh(world.env, world.clone, 'git', 'push', '-q', 'origin', 'v1')
    await stock(world, { sha: world.base })
    const old = await entries(world)
    expect(old).toHaveLength(2)
    const kept = await inode(pool(world), old[0] ?? '', 'a.txt')
    world.base = await pushed(world, { 'gone.txt': null, 'deep/er/b.txt': 'B\n', 'c.txt': 'c\n' }, 'other')
    const look =
      'git status --short --branch; git log --format=%s; git remote; git tag; cat .git/config .git/HEAD; git rev-parse origin/main; find . -path ./.git -prune -o -type f -print | sort | xargs cat'
    const workspace = await ensureOne(world)
    const pooled = await asAgent(world, workspace, look)
    const inodes = await Promise.all(old.map((name) => inode(pool(world), name, 'a.txt').catch(() => 0)))
    expect([await inode(workspace.path, 'a.txt'), ...inodes]).toContain(kept)
    expect(await entries(world)).toHaveLength(1)
    await stock(world, { idle: true })
    await world.workspaces.remove('SHOP-1')
    expect(await asAgent(world, await ensureOne(world), look)).toBe(pooled)
    expect(pooled).toMatch(new RegExp(`^## ${BRANCH}\nother\nmore\nfirst\n`))
  })
})

test('takers at the same time never get the same checkout, and what was taken never comes back', async () => {
  const world = await makeWorld()
  await stock(world)
  const tasks = ['S-1', 'S-2', 'S-3', 'S-4', 'S-5', 'S-6']
  const workspaces = await Promise.all(
    tasks.map((task) =>
      world.workspaces.ensure(world.mirror, {
        task,
        branch: `orch/${task}`,
        baseSha: world.base,
        headSha: null,
        baseBranch: 'main',
      }),
    ),
  )
  expect(new Set(await Promise.all(workspaces.map((one) => inode(one.path, 'a.txt')))).size).toBe(6)
  for (const [n, workspace] of workspaces.entries())
    expect(await asAgent(world, workspace, 'git status --short --branch')).toBe(`## orch/${tasks[n]}\n`)
  expect(await entries(world)).toEqual([])
  for (const task of tasks) await world.workspaces.remove(task)
  expect(await entries(world)).toEqual([])
})

test("reviewers' copies and verifications come from it too", async () => {
  const world = await makeWorld()
  await stock(world)
  const before = new Set(await Promise.all((await entries(world)).map((name) => inode(pool(world), name, 'a.txt'))))
  const request = { task: 'SHOP-1', runId: 'run-7', sha: world.base, baseSha: world.base, baseBranch: 'main' }
  const copy = await world.workspaces.ensureReadCopy(world.mirror, request)
  const { commands } = await world.workspaces.verify(world.mirror, {
    sha: world.base,
    setup: [],
    verify: [{ run: 'stat -c %i a.txt', timeoutSeconds: 20, cwd: '.', paths: [] }],
    changedPaths: null,
    env: { pass: [], set: {} },
    network: true,
    setupTimeoutMs: 20_000,
    outputCapBytes: 1 << 20,
  })
  expect(new Set([await inode(copy.path, 'a.txt'), Number(commands[0]?.output)])).toEqual(before)
})

test('what was damaged in an entry, or an entry that git can not read, is not what a task gets', async () => {
  const world = await makeWorld()
  await stock(world)
  const [first = '', second = ''] = await entries(world)
  await writeFile(path.join(pool(world), first, 'a.txt'), 'something else\n')
  await rm(path.join(pool(world), first, '.gitignore'))
  await writeFile(path.join(pool(world), second, '.git/index'), 'no index')
  for (const task of ['S-1', 'S-2']) {
    const request = { task, branch: 'orch/x', baseSha: world.base, headSha: null, baseBranch: 'main' }
    const workspace = await world.workspaces.ensure(world.mirror, request)
    expect(await readFile(path.join(workspace.path, 'a.txt'), 'utf8')).toBe('one\ntwo\nthree\n')
    expect(await asAgent(world, workspace, 'git status --short')).toBe('')
  }
  expect(await entries(world)).toEqual([])
})

test('is bounded, goes with an idle project, and makes nothing more when it is stopped', async () => {
  const world = await makeWorld()
  const stopped = new AbortController()
  stopped.abort()
  await stock(world, { signal: stopped.signal })
  expect(await entries(world)).toEqual([])
  await Promise.all([stock(world), stock(world)])
  await stock(world)
  expect(await entries(world)).toHaveLength(2)
  await stock(world, { sparse: ['deep'] })
  expect((await entries(world)).every((name) => !name.startsWith('full.'))).toBe(true)
  await stock(world, { idle: true })
  expect(existsSync(pool(world))).toBe(false)
  expect((await world.workspaces.diskUse()).map((use) => path.relative(world.home, use.path))).toEqual([
    'mirrors/shop.git',
  ])
})

test('what a crash left half-made goes, what a live process makes stays', async () => {
  const world = await makeWorld()
  const own = identifyProcess(process.pid)
  const names = [ownedName('removing-', { pid: 1, startTime: 1, bootId: 'beef' }), ownedName('making-', own)]
  const [left, live] = names.map((name) => path.join(pool(world), name)) as [string, string]
  await mkdir(path.join(left, 'tree'), { recursive: true })
  await mkdir(live)
  await stock(world)
  expect(existsSync(left)).toBe(false)
  expect(existsSync(live)).toBe(true)
  expect((await entries(world)).filter((name) => name.startsWith('full.'))).toHaveLength(2)
})

test.skipIf(!kinds.includes('bubblewrap'))('an agent sees nothing of it', async () => {
  const world = await makeWorld('bubblewrap')
  await stock(world)
  const workspace = await ensureOne(world)
  expect(await asAgent(world, workspace, `ls ${pool(world)}; echo x > ${pool(world)}/x`)).toMatch(/No such file/)
  expect((await collectOne(world, workspace)).tampering).toEqual([])
  expect(await entries(world)).toHaveLength(1)
})
