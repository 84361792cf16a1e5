// What setup leaves in a workspace (an unignored virtualenv, the project's own git hooks) is remembered as the engine's doing:
// it is never committed for an agent, and an agent isn't blamed for it.

import path from 'node:path'
import { type Context, gitDirFacts, type Memory, readMemory, taskPlaces, writeMemory } from './context.ts'
import { brokenGitDir, cleanGitDir, plantedIn } from './git-dir.ts'
import { sandboxedGit } from './sandboxed.ts'
import { gitIn } from './tree.ts'
import type { Workspace } from './workspace.ts'

/** Runs setup between two looks at the workspace. A reviewer's copy is thrown away, so nothing is remembered of it. */
export async function aroundSetup(context: Context, workspace: Workspace, run: () => Promise<void>): Promise<void> {
  const places = taskPlaces(context, workspace.task)
  const memory = workspace.path === places.tree ? await readMemory(context, places.memory) : null
  if (!memory || (await brokenGitDir(places.tree)) !== null) return run()
  const gitDir = path.join(places.tree, '.git')
  await cleanGitDir(gitDir, gitDirFacts(memory))
  // What an interrupted run left is the agent's, not setup's.
  const before = new Set(await untracked(context, places.tree, memory))
  await run()
  if ((await brokenGitDir(places.tree)) !== null) return
  const accepted = new Set([...memory.accepted, ...(await plantedIn(gitDir, gitDirFacts(memory)))])
  await cleanGitDir(gitDir, gitDirFacts(memory))
  const made = (await untracked(context, places.tree, memory)).filter(
    (file) => !before.has(file) && !file.includes('\n'),
  )
  const excludes = [...new Set([...memory.excludes, ...made.map(asPattern)])]
  await writeMemory(places.memory, { ...memory, accepted: [...accepted], excludes })
  await cleanGitDir(gitDir, gitDirFacts({ ...memory, excludes }))
}

async function untracked(context: Context, tree: string, memory: Memory): Promise<string[]> {
  const { stdout } = await sandboxedGit(context.sandbox, 'list untracked files', {
    ...gitIn(context, tree, memory),
    args: ['ls-files', '--others', '--exclude-standard', '--directory', '--no-empty-directory', '-z'],
  })
  return stdout.split('\0').filter(Boolean)
}

/** A path as a pattern of its own: anchored, with the characters git gives a meaning to taken as they are. */
function asPattern(file: string): string {
  return `/${file.replace(/[\\*?[\]!#]/g, '\\$&').replace(/ +$/, (spaces) => spaces.replaceAll(' ', '\\ '))}`
}
