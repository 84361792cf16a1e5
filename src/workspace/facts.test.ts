import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { runProcess } from '../lib/process.ts'
import { makeRepositoryFacts } from './facts.ts'
import type { RepositoryFacts } from './workspace.ts'

async function place(): Promise<{
  dir: string
  clone: string
  facts: RepositoryFacts
  git: (...args: string[]) => Promise<void>
}> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'orch-facts-')))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  const env = { PATH: process.env['PATH'] ?? '', HOME: dir, GIT_CONFIG_NOSYSTEM: '1' }
  const clone = join(dir, 'clone')
  mkdirSync(join(clone, 'deep', 'er'), { recursive: true })
  const git = async (...args: string[]): Promise<void> => {
    const result = await runProcess({ argv: ['git', ...args], cwd: clone, env, timeoutMs: 20_000 })
    if (result.exitCode !== 0) throw new Error(result.stderr)
  }
  await git('init', '--quiet', '--initial-branch=main')
  return { dir, clone, facts: makeRepositoryFacts(env), git }
}

test('git’s version and a clone’s root, from below and from beside', async () => {
  const { dir, clone, facts } = await place()
  expect(await facts.gitVersion()).toMatch(/^\d+\.\d+/)
  expect(await facts.findRoot(join(clone, 'deep', 'er'))).toEqual({ ok: true, root: clone })
  expect(await facts.findRoot(dir)).toEqual({ ok: false, text: expect.stringContaining('not a git repository') })
})

test('no git at all is told, not thrown', async () => {
  const facts = makeRepositoryFacts({ PATH: '/nowhere' })
  expect(await facts.gitVersion()).toBeNull()
})

test('variables that point git elsewhere are not obeyed', async () => {
  const { dir, clone } = await place()
  const facts = makeRepositoryFacts({
    PATH: process.env['PATH'] ?? '',
    HOME: dir,
    GIT_DIR: join(dir, 'other'),
    GIT_WORK_TREE: dir,
  })
  expect(await facts.findRoot(clone)).toEqual({ ok: true, root: clone })
})

test('origin: none, empty, with branches, gone', async () => {
  const { dir, clone, facts, git } = await place()
  expect(await facts.originOf(clone)).toBeNull()
  const remote = join(dir, 'remote.git')
  await git('init', '--quiet', '--bare', remote)
  await git('remote', 'add', 'origin', remote)
  expect(await facts.originOf(clone)).toBe(remote)
  expect(await facts.probeOrigin(clone)).toEqual({ state: 'empty' })
  await git('-c', 'user.name=A', '-c', 'user.email=a@b', 'commit', '--quiet', '--allow-empty', '-m', 'x')
  await git('push', '--quiet', 'origin', 'main')
  expect(await facts.probeOrigin(clone)).toEqual({ state: 'ok', branches: 1 })
  rmSync(remote, { recursive: true })
  expect(await facts.probeOrigin(clone)).toEqual({ state: 'failed', text: expect.stringContaining(remote) })
})

test('what Orch can’t handle yet is named with where it was seen', async () => {
  const { clone, facts, git } = await place()
  expect(await facts.unsupported(clone)).toEqual({ lfs: null, submodules: null, signatures: null })
  writeFileSync(join(clone, 'deep', '.gitattributes'), '*.bin filter=lfs diff=lfs\n')
  writeFileSync(join(clone, '.gitmodules'), '')
  await git('add', '.')
  await git('config', 'commit.gpgsign', 'yes')
  expect(await facts.unsupported(clone)).toEqual({
    lfs: 'deep/.gitattributes',
    submodules: '.gitmodules',
    signatures: 'commit.gpgsign is true',
  })
})
