import { chmod, mkdir, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { commit, makeWorld, sh, temporaryFolder, userEnv, type World } from './__fixtures__/world.ts'
import { messageOf } from '../lib/errors.ts'
import { runProcess } from '../lib/process.ts'
import { gitError } from './git.ts'
import { openMirror } from './mirror.ts'

async function mirrorOf(folder: string, remote: string) {
  return openMirror({
    home: path.join(folder, 'orch'),
    env: userEnv(folder),
    project: { id: 'p', path: folder, remote },
  })
}

async function commitOn(world: World, files: Record<string, string>, message: string): Promise<string> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(world.clone, name)), { recursive: true })
    await writeFile(path.join(world.clone, name), text)
  }
  return commit(world.env, world.clone, message)
}

/** Brings a commit of the clone into the mirror without touching the remote's main. */
async function bring(world: World, sha: string): Promise<void> {
  await sh(world.env, world.clone, 'git', 'push', '-q', world.mirror.path, `${sha}:refs/orch/test/${sha}`)
}

test("the base is the remote's HEAD, fetched again when it moved", async () => {
  const world = await makeWorld()
  expect(await world.mirror.fetchBase(null)).toEqual({ branch: 'main', sha: world.base })
  const next = await commitOn(world, { 'b.txt': 'b\n' }, 'second')
  await sh(world.env, world.clone, 'git', 'push', '-q', 'origin', 'main')
  expect(await world.mirror.fetchBase('main')).toEqual({ branch: 'main', sha: next })
  expect(world.mirror.identity).toEqual({ name: 'Clone Owner', email: 'owner@example.org' })
  expect(world.mirror.masked).toEqual([world.clone, world.remote])
})

test('a remote whose HEAD names nothing gives its only branch', async () => {
  const world = await makeWorld()
  await sh(world.env, world.remote, 'git', 'symbolic-ref', 'HEAD', 'refs/heads/nowhere')
  expect(await world.mirror.fetchBase(null)).toEqual({ branch: 'main', sha: world.base })
})

test('an empty origin, a missing branch and an unreachable remote are told apart', async () => {
  const folder = await temporaryFolder()
  const env = userEnv(folder)
  await sh(env, folder, 'git', 'init', '-q', '--bare', path.join(folder, 'empty.git'))
  const empty = await mirrorOf(folder, path.join(folder, 'empty.git'))
  await expect(empty.fetchBase(null)).rejects.toMatchObject({ name: 'ExternalError', kind: 'empty-origin' })
  await expect(empty.fetchBase('main')).rejects.toMatchObject({ kind: 'empty-origin' })
  const gone = await mirrorOf(folder, path.join(folder, 'gone.git'))
  await expect(gone.fetchBase(null)).rejects.toMatchObject({ kind: 'unreachable' })
  const closed = await mirrorOf(folder, 'http://user:hunter2@127.0.0.1:9/x.git')
  const error = await closed.fetchBase(null).catch((reason: Error) => reason)
  expect(error).toMatchObject({ kind: 'unreachable' })
  expect(messageOf(error)).not.toContain('hunter2')
  const world = await makeWorld()
  await expect(world.mirror.fetchBase('dev')).rejects.toMatchObject({ kind: 'not-found' })
})

test('files are read at a commit; links and large files are refused', async () => {
  const world = await makeWorld()
  await symlink('a.txt', path.join(world.clone, 'link.txt'))
  const sha = await commitOn(
    world,
    { '.orch/prompts/dev.md': 'hi\n', '.orch/prompts/deep/x.md': '', 'big.txt': 'x'.repeat((1 << 20) + 1) },
    'files',
  )
  await bring(world, sha)
  expect(await world.mirror.readFile(sha, 'a.txt')).toBe('one\ntwo\nthree\n')
  expect(await world.mirror.readFile(sha, 'none.txt')).toBeNull()
  expect(await world.mirror.readFile(sha, '.orch/prompts')).toBeNull()
  await expect(world.mirror.readFile(sha, 'link.txt')).rejects.toMatchObject({ kind: 'rejected' })
  await expect(world.mirror.readFile(sha, 'big.txt')).rejects.toMatchObject({ kind: 'rejected' })
  await expect(world.mirror.readFile(sha, '../x')).rejects.toMatchObject({ kind: 'rejected' })
  await expect(world.mirror.readFile('HEAD', 'a.txt')).rejects.toMatchObject({ kind: 'rejected' })
  expect(await world.mirror.listFiles(sha, '.orch/prompts')).toEqual(['dev.md'])
  expect(await world.mirror.listFiles(sha, 'no/such')).toEqual([])
  expect(await world.mirror.listFiles(sha, '')).toContain('a.txt')
})

test('a difference names every kind of change with its lines', async () => {
  const world = await makeWorld()
  await chmod(path.join(world.clone, '.gitignore'), 0o755)
  const moved = Array.from({ length: 20 }, (_, n) => `line ${n}\n`).join('')
  const middle = await commitOn(world, { 'old name.txt': moved, 'gone.txt': 'x\n' }, 'middle')
  await rm(path.join(world.clone, 'gone.txt'))
  await sh(world.env, world.clone, 'git', 'mv', 'old name.txt', 'new\tname.txt')
  const head = await commitOn(world, { 'a.txt': 'one\nTWO\nthree\nfour\n', 'bin.dat': 'a\0b' }, 'head\n\nbody')
  await bring(world, head)
  const files = await world.mirror.diffFiles(middle, head)
  expect(files.sort((a, b) => (a.path < b.path ? -1 : 1))).toEqual([
    { path: 'a.txt', status: 'modified', addedLines: 2, deletedLines: 1, binary: false },
    { path: 'bin.dat', status: 'added', addedLines: 0, deletedLines: 0, binary: true },
    { path: 'gone.txt', status: 'deleted', addedLines: 0, deletedLines: 1, binary: false },
    { path: 'new\tname.txt', from: 'old name.txt', status: 'renamed', addedLines: 0, deletedLines: 0, binary: false },
  ])
  expect((await world.mirror.diffFiles(world.base, middle)).find((file) => file.path === '.gitignore')?.status).toBe(
    'mode',
  )
  const text = await world.mirror.diffText(middle, head, { maxBytes: 100_000 })
  expect(text).toContain('+TWO')
  const cut = await world.mirror.diffText(world.base, head, { maxBytes: 200 })
  expect(cut.length).toBeLessThan(300)
  expect(cut).toContain('cut at 200 bytes')
  const commits = await world.mirror.commitsBetween(world.base, head)
  expect(commits.map((one) => [one.subject, one.message])).toEqual([
    ['middle', 'middle'],
    ['head', 'head\n\nbody'],
  ])
  expect(commits[0]).toMatchObject({ sha: middle, authorName: 'Ada', authorEmail: 'ada@example.org' })
})

test('merges are made in memory, conflicts name their files', async () => {
  const world = await makeWorld()
  const ours = await commitOn(world, { 'a.txt': 'ONE\ntwo\nthree\n' }, 'ours')
  await sh(world.env, world.clone, 'git', 'checkout', '-q', '-b', 'side', world.base)
  const side = await commitOn(world, { 'b.txt': 'b\n' }, 'side')
  await sh(world.env, world.clone, 'git', 'checkout', '-q', '-b', 'clash', world.base)
  const clash = await commitOn(world, { 'a.txt': 'EINS\ntwo\nthree\n' }, 'clash')
  for (const sha of [ours, side, clash]) await bring(world, sha)
  expect(await world.mirror.mergeTree(ours, clash)).toEqual({ ok: false, files: ['a.txt'] })
  const merged = await world.mirror.mergeTree(ours, side)
  if (!merged.ok) throw new Error('expected a clean merge')
  const who = { name: 'Ada <x>', email: 'ada@example.org' }
  const sha = await world.mirror.commitTree({
    tree: merged.tree,
    parents: [ours, side],
    message: 'Merge',
    author: who,
    committer: { name: '', email: '' },
  })
  expect(await world.mirror.treeOf(sha)).toBe(merged.tree)
  expect(await world.mirror.isAncestor(side, sha)).toBe(true)
  expect(await world.mirror.isAncestor(sha, side)).toBe(false)
  expect(await world.mirror.mergeBase(side, clash)).toBe(world.base)
})

test('a push needs its lease; the base only moves onward', async () => {
  const world = await makeWorld()
  const next = await commitOn(world, { 'b.txt': 'b\n' }, 'second')
  await sh(world.env, world.clone, 'git', 'checkout', '-q', '-b', 'other', world.base)
  const rival = await commitOn(world, { 'c.txt': 'c\n' }, 'rival')
  for (const sha of [next, rival]) await bring(world, sha)
  const { mirror } = world
  expect(await mirror.push({ sha: next, branch: 'orch/x', expected: null })).toEqual({ ok: true })
  expect(await mirror.push({ sha: next, branch: 'orch/x', expected: null })).toEqual({ ok: true })
  expect(await mirror.push({ sha: rival, branch: 'orch/x', expected: null })).toMatchObject({
    ok: false,
    because: 'moved',
  })
  expect(await mirror.push({ sha: rival, branch: 'orch/x', expected: next })).toEqual({ ok: true })
  expect(await mirror.remoteBranches('orch/')).toEqual(new Map([['orch/x', rival]]))
  expect(await mirror.push({ sha: next, branch: 'main', expected: world.base })).toEqual({ ok: true })
  expect(await mirror.push({ sha: rival, branch: 'main', expected: world.base })).toMatchObject({
    ok: false,
    because: 'moved',
  })
  expect(await mirror.push({ sha: rival, branch: 'main', expected: next })).toMatchObject({
    ok: false,
    because: 'refused',
  })
  expect(await sh(world.env, world.remote, 'git', 'rev-parse', 'main')).toBe(next)
  expect(await mirror.deleteBranch({ branch: 'orch/x', expected: next })).toMatchObject({ ok: false, because: 'moved' })
  expect(await mirror.deleteBranch({ branch: 'orch/x', expected: rival })).toEqual({ ok: true })
  expect(await mirror.deleteBranch({ branch: 'orch/x', expected: rival })).toEqual({ ok: true })
  // Also where the remote would let it go.
  await sh(world.env, world.remote, 'git', 'config', 'receive.denyDeleteCurrent', 'ignore')
  expect(await mirror.deleteBranch({ branch: 'main', expected: next })).toMatchObject({ ok: false, because: 'refused' })
  expect(await sh(world.env, world.remote, 'git', 'rev-parse', 'main')).toBe(next)
})

test('a remote that refuses, and one that is gone, are told apart', async () => {
  const world = await makeWorld()
  const next = await commitOn(world, { 'b.txt': 'b\n' }, 'second')
  await bring(world, next)
  expect(await world.mirror.canPush('orch/probe')).toEqual({ ok: true })
  expect(await world.mirror.remoteBranches('orch/')).toEqual(new Map())
  await writeFile(
    path.join(world.remote, 'hooks/pre-receive'),
    '#!/bin/sh\necho "main is protected here" >&2\nexit 1\n',
    { mode: 0o755 },
  )
  const refused = await world.mirror.push({ sha: next, branch: 'main', expected: world.base })
  expect(refused).toMatchObject({ ok: false, because: 'refused' })
  expect(refused).toHaveProperty('text', expect.stringContaining('main is protected here'))
  await rm(world.remote, { recursive: true })
  expect(await world.mirror.push({ sha: next, branch: 'main', expected: world.base })).toMatchObject({
    ok: false,
    because: 'unreachable',
  })
  expect(await world.mirror.canPush('orch/probe')).toMatchObject({ ok: false })
})

test('a pinned commit stays, and only names under refs/orch are pinned', async () => {
  const world = await makeWorld()
  expect(await world.mirror.listPins()).toEqual([])
  await world.mirror.pin('refs/orch/SHOP-1/base', world.base)
  expect(await world.mirror.listPins()).toEqual(['refs/orch/SHOP-1/base'])
  expect(await sh(world.env, world.mirror.path, 'git', 'rev-parse', 'refs/orch/SHOP-1/base')).toBe(world.base)
  await expect(world.mirror.pin('refs/heads/main', world.base)).rejects.toMatchObject({ kind: 'rejected' })
  await expect(world.mirror.pin('refs/orch/../heads/x', world.base)).rejects.toMatchObject({ kind: 'rejected' })
})

test('tags that point into the base come along, hooks of the user do not run', async () => {
  const world = await makeWorld()
  await commitOn(world, { 'b.txt': 'b\n' }, 'second')
  await sh(world.env, world.clone, 'git', 'tag', '-a', 'v1', '-m', 'v1')
  await sh(world.env, world.clone, 'git', 'push', '-q', 'origin', 'main', 'v1')
  await world.mirror.fetchBase(null)
  expect(await sh(world.env, world.mirror.path, 'git', 'tag')).toBe('v1')
})

test.each(['refs/orch/SHOP-1/base', 'refs/remotes/origin/main', 'refs/remotes/origin/HEAD'])(
  'a lock that a killed git left at %s is removed once no living one can hold it',
  async (ref) => {
    const world = await makeWorld()
    const next = await commitOn(world, { 'b.txt': 'b\n' }, 'second')
    await sh(world.env, world.clone, 'git', 'push', '-q', 'origin', 'main')
    const work = (): Promise<unknown> =>
      ref.startsWith('refs/orch/') ? world.mirror.pin(ref, world.base) : world.mirror.fetchBase('main')
    const lock = path.join(world.mirror.path, `${ref}.lock`)
    await mkdir(path.dirname(lock), { recursive: true })
    await writeFile(lock, '')
    // Another process may be at it: trouble that passes, and nobody's to mend.
    await expect(work()).rejects.toMatchObject({ kind: 'conflict' })
    const aMinuteAgo = Date.now() / 1_000 - 60
    await utimes(lock, aMinuteAgo, aMinuteAgo)
    await work()
    const expected = ref.startsWith('refs/orch/') ? world.base : next
    expect(await sh(world.env, world.mirror.path, 'git', 'rev-parse', ref)).toBe(expected)
  },
)

test('a git that somebody killed is trouble of the host, which passes', async () => {
  for (const ending of ['kill -9 $$', 'exit 137']) {
    const result = await runProcess({ argv: ['sh', '-c', ending], env: { PATH: '/usr/bin:/bin' }, timeoutMs: 10_000 })
    const error = gitError('fetch main', result)
    expect(error.kind, ending).toBe('timed-out')
    expect(error.message, ending).toMatch(/killed/)
  }
})
