// Nothing uncommitted is ever deleted unsaved: before a tree goes, what is only in it goes to ORCH_HOME/saved/<task>-<n>/.

import { cp, lstat, mkdir, readdir, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { messageOf } from '../lib/errors.ts'
import { type Context, ensureFolder, gitDirFacts, type Memory } from './context.ts'
import { isolatedGitEnv, runGit } from './git.ts'
import { brokenGitDir, cleanGitDir } from './git-dir.ts'
import { isInside } from './places.ts'
import { sandboxedGit } from './sandboxed.ts'
import { gitIn, listBranches, lookAtTree } from './tree.ts'

/**
 * Saves what a tree alone has: changed and untracked files, commits the mirror lacks; or the whole tree when git can't tell.
 * Gives the folder, or null when there was nothing. The tree itself may be gone afterwards (moved), or still be there.
 */
export async function saveTree(
  context: Context,
  request: { task: string; tree: string; memory: Memory | null; because: string },
): Promise<string | null> {
  const { task, tree, memory } = request
  const present = await lstat(tree).catch(() => null)
  if (!present) return null
  if (memory && (await brokenGitDir(tree)) === null) {
    try {
      await cleanGitDir(path.join(tree, '.git'), gitDirFacts(memory))
      return await saveFromGit(context, { ...request, memory })
    } catch (error) {
      return moveWhole(context, {
        ...request,
        because: `${request.because}; git could not read it: ${messageOf(error)}`,
      })
    }
  }
  if (present.isDirectory() && (await readdir(tree)).length === 0) return null
  return moveWhole(context, { task, tree, because: request.because })
}

async function saveFromGit(
  context: Context,
  request: { task: string; tree: string; memory: Memory; because: string },
): Promise<string | null> {
  const { task, tree, memory } = request
  const state = await lookAtTree(context, tree, memory)
  const branches = await listBranches(context, tree, memory)
  const heads = [...branches].filter(([ref]) => ref.startsWith('refs/heads/'))
  const wanted: [string, string][] =
    state.branch === null && state.headSha ? [...heads, ['HEAD', state.headSha]] : heads
  const missing: string[] = []
  for (const [ref, sha] of wanted) if (!(await mirrorHas(context, memory.mirror, sha))) missing.push(ref)
  if (state.changed.length === 0 && missing.length === 0) return null
  const folder = await newFolder(context, task)
  const common = { ...gitIn(context, tree, memory), writable: [folder] }
  if (missing.length > 0) {
    const args = [
      'bundle',
      'create',
      '--quiet',
      path.join(folder, 'commits.bundle'),
      ...missing,
      `^refs/remotes/origin/${memory.base.branch}`,
    ]
    await sandboxedGit(context.sandbox, `save the commits of ${task}`, { ...common, args })
  }
  if (state.changed.length > 0) {
    const args = [
      'diff',
      '--binary',
      '--no-ext-diff',
      '--no-textconv',
      `--output=${path.join(folder, 'changes.patch')}`,
      ...(state.headSha ? ['HEAD'] : []),
    ]
    await sandboxedGit(context.sandbox, `save the changes of ${task}`, { ...common, args })
    for (const file of state.changed) await copyOut(tree, path.join(folder, 'files'), file)
  }
  await explain(folder, request.because)
  return folder
}

async function mirrorHas(context: Context, mirror: string, sha: string): Promise<boolean> {
  const result = await runGit({
    args: [`--git-dir=${mirror}`, 'cat-file', '-e', `${sha}^{commit}`],
    env: isolatedGitEnv(context.env),
  })
  return result.exitCode === 0
}

async function copyOut(tree: string, folder: string, file: string): Promise<void> {
  const from = path.join(tree, file)
  const to = path.join(folder, file)
  if (!isInside(tree, from) || !isInside(folder, to)) return
  if ((await lstat(from).catch(() => null)) === null) return
  await mkdir(path.dirname(to), { recursive: true })
  await cp(from, to, { recursive: true, verbatimSymlinks: true })
  // A repository in the tree may carry planted settings: nobody should run git there by accident.
  if (file.endsWith('/')) await rename(path.join(to, '.git'), path.join(to, 'dot-git')).catch(() => undefined)
}

async function moveWhole(context: Context, request: { task: string; tree: string; because: string }): Promise<string> {
  const folder = await newFolder(context, request.task)
  const to = path.join(folder, 'tree')
  await rename(request.tree, to)
  await rename(path.join(to, '.git'), path.join(to, 'dot-git')).catch(() => undefined)
  await explain(folder, request.because)
  return folder
}

async function newFolder(context: Context, task: string): Promise<string> {
  await ensureFolder(path.join(context.home, 'saved'))
  for (let n = 1; ; n += 1) {
    const folder = path.join(context.home, 'saved', `${task}-${n}`)
    try {
      await mkdir(folder, { mode: 0o700 })
      return folder
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}

async function explain(folder: string, because: string): Promise<void> {
  const text = `Saved by Orch before the workspace was removed: ${because}.

files/          changed and untracked files as they were
changes.patch   tracked changes (git apply --binary changes.patch)
commits.bundle  commits nobody else had (git fetch commits.bundle 'refs/heads/*:refs/heads/saved/*')
tree/           the whole workspace, when git could not read it; dot-git was its .git. Don't run git in it: its settings are not yours
`
  await writeFile(path.join(folder, 'README.txt'), text)
}
