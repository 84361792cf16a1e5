// What setup leaves in a workspace (an unignored virtualenv, the project's own git hooks) is remembered as the engine's doing:
// it is never committed for an agent, and an agent isn't blamed for it.

import path from 'node:path'
import { type Context, gitDirFacts, type Memory, readMemory, taskPlaces, writeMemory } from './context.ts'
import { brokenGitDir, cleanGitDir, plantedIn } from './git-dir.ts'
import type { Ready, ReadyPlace } from './make-ready.ts'
import { sandboxedGit } from './sandboxed.ts'
import { isSetupInput } from './setup-inputs.ts'
import { gitIn, lookAtTree } from './tree.ts'
import type { SetupUse, Workspace } from './workspace.ts'

/** Makes a workspace ready between two looks at it. A reviewer's copy is fresh and thrown away, so nothing is remembered of it. */
export async function aroundSetup(
  context: Context,
  workspace: Workspace,
  request: { sha: string; ready: (place: Omit<ReadyPlace, 'tree' | 'runtimeDir'>) => Promise<Ready> },
): Promise<SetupUse> {
  const places = taskPlaces(context, workspace.task)
  const own = workspace.path === places.tree
  const memory = own ? await readMemory(context, places.memory) : null
  if (!own) return used(await request.ready({ fresh: true, holds: () => true }))
  // Nobody can tell what is in it: products are copied only where the commit is what is there.
  if (!memory || (await brokenGitDir(places.tree)) !== null)
    return used(await request.ready({ fresh: false, holds: () => false }))
  const gitDir = path.join(places.tree, '.git')
  await cleanGitDir(gitDir, gitDirFacts(memory))
  const state = await lookAtTree(context, places.tree, memory)
  // What an interrupted run left is the agent's, not setup's.
  const before = new Set(await untracked(context, places.tree, memory))
  const ready = await request.ready({
    fresh: false,
    holds: ({ wholeTree }) =>
      state.headSha === request.sha && !state.changed.some((file) => wholeTree || isSetupInput(file)),
  })
  if ((await brokenGitDir(places.tree)) !== null) return used(ready)
  const planted = await plantedIn(gitDir, gitDirFacts(memory))
  const accepted = new Set([...memory.accepted, ...ready.accepted, ...planted])
  await cleanGitDir(gitDir, gitDirFacts(memory))
  const made = (await untracked(context, places.tree, memory)).filter(
    (file) => !before.has(file) && !file.includes('\n'),
  )
  const excludes = [...new Set([...memory.excludes, ...made.map(asPattern)])]
  await writeMemory(places.memory, { ...memory, accepted: [...accepted], excludes })
  await cleanGitDir(gitDir, gitDirFacts({ ...memory, excludes }))
  return used(ready)
}

const used = ({ how, note }: Ready): SetupUse => ({ how, note })

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
