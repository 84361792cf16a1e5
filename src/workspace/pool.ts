// The pool: clean checkouts made ahead, so that a new place costs a rename and a switch to the wanted commit.
// Invariant: only the engine's git was ever run in an entry; what was taken never comes back. The rename is the lock.

import { mkdir, rename } from 'node:fs/promises'
import path from 'node:path'
import { sleep } from '../lib/process.ts'
import type { Context } from './context.ts'
import { git, isolatedGitEnv } from './git.ts'
import { makeGitDir } from './git-dir.ts'
import { finishedIn, newOwnedFolder, removeAbandoned, removeAtOnce } from './owned.ts'
import { removeTree, safeName, safeSha } from './places.ts'
import { coneId, coneOf } from './sparse.ts'
import type { StockRequest } from './workspace.ts'

/** Entries of a project: a task's start and the verification beside it. The next pair is made while those work. */
const ENTRIES = 2

/** While a place is being made for somebody who waits, the pool stands back; looked at again after this long. */
const STAND_BACK_MS = 100

const poolOf = (context: Context, project: string): string => path.join(context.home, 'pool', project)

/** The project of a mirror, as its folder names it. */
export const projectOf = (mirror: string): string => path.basename(mirror, '.git')

/** Moves a clean checkout of the cone to `to`, which must not be there. False when the pool has none. */
export async function takeFromPool(
  context: Context,
  want: { mirror: string; sparse: string[]; sha: string; to: string },
): Promise<boolean> {
  const pool = poolOf(context, projectOf(want.mirror))
  const names = (await finishedIn(pool)).filter((name) => name.startsWith(`${coneId(want.sparse)}.`))
  const near = (name: string): number => (name.includes(`.${want.sha}.`) ? 0 : 1)
  for (const name of names.sort((a, b) => near(a) - near(b))) {
    try {
      await rename(path.join(pool, name), want.to)
      return true
    } catch (error) {
      // Somebody else was quicker with this one. Anything else (another file system, say) is no reason to fail.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return false
    }
  }
  return false
}

/**
 * Brings the pools to what is wanted: others' entries go, missing ones are made one at a time, at the lowest priority.
 * Aborted, it still removes and makes nothing more. May be called again at any time, also by another process.
 */
export async function stockPools(context: Context, wanted: StockRequest[], signal: AbortSignal): Promise<void> {
  const parent = path.join(context.home, 'pool')
  const byProject = new Map(wanted.map((want) => [safeName(want.project, 'project id'), want]))
  for (const project of await finishedIn(parent)) {
    await removeAbandoned(path.join(parent, project))
    if (!byProject.has(project)) await removeAtOnce(path.join(parent, project))
  }
  await removeAbandoned(parent)
  for (const [project, want] of byProject) {
    const cone = coneOf(want.sparse)
    const pool = poolOf(context, project)
    const names = await finishedIn(pool)
    const fitting = names.filter((name) => name.startsWith(`${coneId(cone)}.`))
    const kept = new Set(fitting.slice(0, ENTRIES))
    for (const name of names) if (!kept.has(name)) await removeAtOnce(path.join(pool, name))
    for (let count = kept.size; count < ENTRIES; count += 1)
      await makeEntry(context, { project, cone, sha: safeSha(want.sha) }, signal)
  }
}

async function makeEntry(
  context: Context,
  entry: { project: string; cone: string[]; sha: string },
  signal: AbortSignal,
): Promise<void> {
  const { project, cone, sha } = entry
  while (context.work.places > 0 && !signal.aborted) await sleep(STAND_BACK_MS)
  if (signal.aborted) return
  const pool = poolOf(context, project)
  const folder = await newOwnedFolder(pool)
  try {
    const tree = path.join(folder, 'tree')
    const gitDir = path.join(tree, '.git')
    await mkdir(tree, { mode: 0o700 })
    // Nobody's yet: identity, branch, base and tags are written when it is taken.
    await makeGitDir(gitDir, {
      objects: path.join(context.home, 'mirrors', `${project}.git`, 'objects'),
      identity: { name: 'Orch', email: 'orch@localhost' },
      excludes: [],
      sparse: cone,
      head: null,
      sha,
      base: null,
      tags: '',
    })
    await checkOut(context, { tree, sha, background: true, signal })
    await rename(tree, path.join(pool, `${coneId(cone)}.${sha}.${crypto.randomUUID().slice(0, 8)}`))
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    await removeTree(folder)
  }
}

/** Makes the files of a checkout those of a commit: all of them in a new one, the difference in one from the pool. */
export async function checkOut(
  context: Context,
  request: { tree: string; sha: string; background?: boolean; signal?: AbortSignal },
): Promise<void> {
  const { tree, sha } = request
  await git(`check out ${sha}`, {
    args: [`--git-dir=${tree}/.git`, `--work-tree=${tree}`, 'read-tree', '--reset', '-u', sha],
    cwd: tree,
    env: isolatedGitEnv(context.env),
    ...(request.background ? { background: true } : {}),
    ...(request.signal ? { signal: request.signal } : {}),
  })
}
