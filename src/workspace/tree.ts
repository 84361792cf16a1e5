// Making a fresh tree (no agent was there yet, so plain git does), and looking at one an agent may have touched (sandboxed).

import { mkdir, rename } from 'node:fs/promises'
import path from 'node:path'
import { type Context, gitDirFacts, type Memory } from './context.ts'
import { git, isolatedGitEnv } from './git.ts'
import { makeGitDir } from './git-dir.ts'
import { removeTree } from './places.ts'
import { checkOut, takeFromPool } from './pool.ts'
import { sandboxedGit } from './sandboxed.ts'

/** Makes a checkout at `tree`, whole or not at all, from the pool where it has one. `head` is a branch, or null for a detached head. */
export async function makeTree(
  context: Context,
  request: { tree: string; memory: Memory; head: string | null; sha: string },
): Promise<void> {
  const { tree, memory, sha } = request
  const draft = `${tree}.new`
  context.work.places += 1
  try {
    await removeTree(draft)
    const pooled = await takeFromPool(context, { mirror: memory.mirror, sparse: memory.sparse, sha, to: draft })
    try {
      await fill(context, { ...request, draft })
    } catch (error) {
      if (!pooled) throw error
      // Whatever is wrong with an entry, a fresh checkout tells whether it was only that.
      await removeTree(draft)
      await fill(context, { ...request, draft })
    }
    await removeTree(tree)
    await rename(draft, tree)
  } finally {
    context.work.places -= 1
  }
}

/** Gives a draft its git directory and its files. */
async function fill(
  context: Context,
  request: { draft: string; memory: Memory; head: string | null; sha: string },
): Promise<void> {
  const { draft, memory, head, sha } = request
  await mkdir(draft, { recursive: true, mode: 0o700 })
  const tags = await tagsOf(context, memory.mirror)
  await makeGitDir(path.join(draft, '.git'), { ...gitDirFacts(memory), head, sha, base: memory.base, tags })
  await checkOut(context, { tree: draft, sha })
}

/** The mirror's tags as a packed-refs file, so that `git describe` says the same as in a clone. */
async function tagsOf(context: Context, mirror: string): Promise<string> {
  const result = await git('list the tags', {
    args: [`--git-dir=${mirror}`, 'for-each-ref', '--format=%(objectname) %(refname)', 'refs/tags'],
    env: isolatedGitEnv(context.env),
  })
  return result.stdout === '' ? '' : `# pack-refs with: sorted \n${result.stdout}`
}

export interface TreeState {
  /** Null when the branch has no commit. */
  headSha: string | null
  /** Name of the branch that is checked out, or null. */
  branch: string | null
  /** Changed and untracked paths, folders with a slash at the end. */
  changed: string[]
}

/** Asks git in the sandbox what is checked out and what is uncommitted. */
export async function lookAtTree(context: Context, tree: string, memory: Memory): Promise<TreeState> {
  const { stdout } = await sandboxedGit(context.sandbox, 'look at the workspace', {
    ...gitIn(context, tree, memory),
    args: ['status', '--porcelain=v2', '--branch', '--untracked-files=all', '--ignore-submodules=dirty', '-z'],
  })
  const state: TreeState = { headSha: null, branch: null, changed: [] }
  const fields = stdout.split('\0')
  for (let index = 0; index < fields.length; index += 1) {
    const field = fields[index] ?? ''
    if (field.startsWith('# branch.oid ')) state.headSha = /^[0-9a-f]{40,64}$/.exec(field.slice(13))?.[0] ?? null
    else if (field.startsWith('# branch.head '))
      state.branch = field.slice(14) === '(detached)' ? null : field.slice(14)
    else if (field.startsWith('1 ')) state.changed.push(afterSpaces(field, 8))
    else if (field.startsWith('2 ')) {
      state.changed.push(afterSpaces(field, 9))
      // The path it was renamed from follows as a field of its own.
      index += 1
    } else if (field.startsWith('u ')) state.changed.push(afterSpaces(field, 10))
    else if (field.startsWith('? ')) state.changed.push(field.slice(2))
  }
  return state
}

function afterSpaces(field: string, count: number): string {
  let at = -1
  for (let n = 0; n < count; n += 1) at = field.indexOf(' ', at + 1)
  return field.slice(at + 1)
}

/** Branches of a tree with their shas, asked in the sandbox. */
export async function listBranches(context: Context, tree: string, memory: Memory): Promise<Map<string, string>> {
  const { stdout } = await sandboxedGit(context.sandbox, 'list the branches of the workspace', {
    ...gitIn(context, tree, memory),
    args: [
      'for-each-ref',
      '--format=%(objectname) %(refname)',
      'refs/heads',
      `refs/remotes/origin/${memory.base.branch}`,
    ],
  })
  const pairs = stdout
    .split('\n')
    .filter(Boolean)
    .map((line): [string, string] => [line.slice(line.indexOf(' ') + 1), line.slice(0, line.indexOf(' '))])
  return new Map(pairs)
}

/** What every sandboxed git in a workspace is given. */
export function gitIn(context: Context, tree: string, memory: Memory) {
  return { tree, objects: path.join(memory.mirror, 'objects'), masked: memory.masked, userEnv: context.env }
}
