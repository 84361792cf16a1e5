// What Orch asks of git, tried for real in a scratch repository with the very code that tasks use.

import { mkdir, mkdtemp, realpath } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { messageOf } from '../lib/errors.ts'
import { git, isolatedGitEnv } from './git.ts'
import { openMirror } from './mirror.ts'
import { removeTree } from './places.ts'
import type { Mirror, RepositoryFacts } from './workspace.ts'

type Tried = Awaited<ReturnType<RepositoryFacts['tryGit']>>

const IDENTITY = { name: 'Orch', email: 'orch@localhost' }

/** Goes through a change's life with git alone, some twenty short commands. The scratch folder is removed. Never throws. */
export async function tryGit(env: NodeJS.ProcessEnv): Promise<Tried> {
  let folder: string | null = null
  let doing = 'make a scratch repository'
  const tried: string[] = []
  const step = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    doing = what
    const result = await work()
    tried.push(what)
    return result
  }
  try {
    folder = await realpath(await mkdtemp(path.join(os.tmpdir(), 'orch-git-')))
    await tryIn({ folder, env, step })
    return { tried, problem: null }
  } catch (error) {
    return { tried, problem: `${doing}: ${messageOf(error)}` }
  } finally {
    if (folder !== null) await removeTree(folder).catch(() => undefined)
  }
}

interface Trial {
  folder: string
  env: NodeJS.ProcessEnv
  step: <T>(what: string, work: () => Promise<T>) => Promise<T>
}

async function tryIn({ folder, env, step }: Trial): Promise<void> {
  const remote = path.join(folder, 'remote.git')
  const clone = path.join(folder, 'clone')
  const isolated = isolatedGitEnv(env)
  await mkdir(clone)
  for (const args of [
    ['init', '--quiet', '--bare', '--initial-branch=main', remote],
    ['init', '--quiet', '--initial-branch=main', clone],
  ])
    await git('make a scratch repository', { args, cwd: folder, env: isolated })
  const mirror = await openMirror({ home: folder, env, project: { id: 'PROBE', path: clone, remote } })
  const commit = makeCommits(mirror, isolated)
  const first = await commit({ 'a.txt': 'one\n' }, [])
  await step('push with a lease', () => pushed(mirror, { sha: first, branch: 'main', expected: null }))
  await step('fetch a branch', async () => {
    const { sha } = await mirror.fetchBase('main')
    if (sha !== first) throw new Error(`it fetched ${sha}, not ${first}`)
  })
  const ours = await commit({ 'a.txt': 'one\n', 'b.txt': 'two\n' }, [first])
  const theirs = await commit({ 'a.txt': 'three\n' }, [first])
  const others = await commit({ 'a.txt': 'four\n' }, [first])
  await step('merge without a checkout (merge-tree --write-tree)', async () => {
    const clean = await mirror.mergeTree(ours, theirs)
    if (!clean.ok || (await mirror.diffFiles(theirs, await commitOf(mirror, clean.tree, [theirs]))).length !== 1)
      throw new Error('a merge of two files came out wrong')
    const conflict = await mirror.mergeTree(theirs, others)
    if (conflict.ok || !conflict.files.includes('a.txt')) throw new Error('a conflict was not told')
  })
  const branch = 'orch/probe'
  await step('refuse a push whose lease is stale', async () => {
    await pushed(mirror, { sha: ours, branch, expected: null })
    const late = await mirror.push({ sha: theirs, branch, expected: others })
    if (late.ok || late.because !== 'moved') throw new Error('it was not refused')
  })
  await step('delete a remote branch', async () => {
    const deleted = await mirror.deleteBranch({ branch, expected: ours })
    if (!deleted.ok) throw new Error(deleted.text)
  })
}

async function pushed(mirror: Mirror, request: Parameters<Mirror['push']>[0]): Promise<void> {
  const result = await mirror.push(request)
  if (!result.ok) throw new Error(result.text)
}

/** Commits of these files, made in the mirror itself. */
function makeCommits(mirror: Mirror, env: Record<string, string>) {
  const ask = async (args: string[], input: string): Promise<string> =>
    (await git('make a commit', { args: [`--git-dir=${mirror.path}`, ...args], env, input })).stdout.trim()
  return async (files: Record<string, string>, parents: string[]): Promise<string> => {
    const lines: string[] = []
    for (const [name, text] of Object.entries(files))
      lines.push(`100644 blob ${await ask(['hash-object', '-w', '--stdin'], text)}\t${name}\n`)
    return commitOf(mirror, await ask(['mktree'], lines.join('')), parents)
  }
}

function commitOf(mirror: Mirror, tree: string, parents: string[]): Promise<string> {
  return mirror.commitTree({ tree, parents, message: 'A probe', author: IDENTITY, committer: IDENTITY })
}
