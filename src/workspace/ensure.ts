// A task's workspace: made, found again, mended. A workspace is a cache; the branch in the mirror is the truth about code.

import path from 'node:path'
import { ExternalError, messageOf } from '../lib/errors.ts'
import {
  type Context,
  ensureFolder,
  firstMemory,
  gitDirFacts,
  type Memory,
  readMemory,
  type TaskPlaces,
  taskPlaces,
  writeMemory,
} from './context.ts'
import { ensureRuntimeFolders } from './environment.ts'
import { brokenGitDir, cleanGitDir } from './git-dir.ts'
import { removeTree, safeBranch, safeName, safeSha } from './places.ts'
import { sandboxedGit } from './sandboxed.ts'
import { saveTree } from './save.ts'
import { coneId, coneOf } from './sparse.ts'
import { gitIn, listBranches, lookAtTree, makeTree } from './tree.ts'
import type { Mirror, Workspace, WorkspaceRequest } from './workspace.ts'

/** Makes the task's workspace or brings the one that is there up to date. What an agent left in it stays, or is saved. */
export async function ensureWorkspace(context: Context, mirror: Mirror, request: WorkspaceRequest): Promise<Workspace> {
  const places = taskPlaces(context, request.task)
  const start = safeSha(request.headSha ?? request.baseSha)
  safeBranch(request.branch)
  safeBranch(request.baseBranch)
  safeSha(request.baseSha)
  await ensureFolder(places.folder)
  await ensureFolder(places.runtime)
  await ensureRuntimeFolders(places.runtime)
  const known = await readMemory(context, places.memory)
  const memory: Memory = { ...(known ?? firstMemory(mirror, request)), ...firstMemoryFields(mirror, request) }
  const problem = await refresh(context, mirror, { places, memory, known, request, start })
  if (problem !== null) {
    await saveTree(context, { task: request.task, tree: places.tree, memory: known, because: problem })
    await removeTree(places.tree)
    const fresh = firstMemory(mirror, request)
    await makeTree(context, { tree: places.tree, memory: fresh, head: request.branch, sha: start })
    await writeMemory(places.memory, fresh)
  } else await writeMemory(places.memory, memory)
  return { task: request.task, path: places.tree, runtimeDir: places.runtime }
}

const firstMemoryFields = (
  mirror: Mirror,
  request: WorkspaceRequest,
): Pick<Memory, 'mirror' | 'masked' | 'identity' | 'branch' | 'base' | 'sparse'> => ({
  mirror: mirror.path,
  masked: mirror.masked,
  identity: mirror.identity,
  branch: request.branch,
  base: { branch: request.baseBranch, sha: request.baseSha },
  sparse: coneOf(request.sparse ?? []),
})

interface Refresh {
  places: TaskPlaces
  memory: Memory
  known: Memory | null
  request: WorkspaceRequest
  start: string
}

/** Brings an existing tree up to date; gives why it can't be used (a sentence) when it must be made afresh. */
async function refresh(
  context: Context,
  mirror: Mirror,
  { places, memory, known, request, start }: Refresh,
): Promise<string | null> {
  const { tree } = places
  const broken = await brokenGitDir(tree)
  if (broken !== null) return `the agent ${broken}`
  if (known === null) return 'the engine does not remember having made it'
  if (known.branch !== request.branch || known.mirror !== mirror.path)
    return `it was made for the branch ${known.branch}`
  if (coneId(known.sparse) !== coneId(memory.sparse)) return 'it was made for other folders of `checkout.sparse`'
  await cleanGitDir(path.join(tree, '.git'), gitDirFacts(memory))
  const git = (what: string, args: string[], okCodes?: number[]) =>
    sandboxedGit(context.sandbox, what, { ...gitIn(context, tree, memory), args, ...(okCodes ? { okCodes } : {}) })
  try {
    await git('update the base', ['update-ref', `refs/remotes/origin/${request.baseBranch}`, request.baseSha])
    let state = await lookAtTree(context, tree, memory)
    if (state.branch !== request.branch) {
      const branches = await listBranches(context, tree, memory)
      if (!branches.has(`refs/heads/${request.branch}`)) return `the branch ${request.branch} is gone from it`
      await git(`go back to ${request.branch}`, ['checkout', '--quiet', request.branch, '--'])
      state = await lookAtTree(context, tree, memory)
    }
    if (state.headSha === null) return `the branch ${request.branch} has no commit in it`
    if (state.headSha === start) return null
    if (await isAncestorIn(git, start, state.headSha)) return null
    if (!(await isAncestorIn(git, state.headSha, start))) return `its branch went another way than ${start}`
    await git('bring the workspace up to date', ['merge', '--ff-only', '--quiet', start])
    return null
  } catch (error) {
    // Trouble of the host is no reason to throw a workspace away.
    if (error instanceof ExternalError && ['disk-full', 'tool-missing', 'timed-out'].includes(error.kind)) throw error
    return `git could not bring it up to date: ${messageOf(error)}`
  }
}

async function isAncestorIn(
  git: (what: string, args: string[], okCodes?: number[]) => Promise<{ exitCode: number | null }>,
  a: string,
  b: string,
): Promise<boolean> {
  return (await git('compare commits', ['merge-base', '--is-ancestor', a, b], [0, 1])).exitCode === 0
}

export interface ReadCopyRequest {
  task: string
  runId: string
  sha: string
  baseSha: string
  baseBranch: string
  sparse?: string[]
}

/** A fresh checkout for a reviewer, with a detached head; the same run gets the same folder, made anew. */
export async function makeReadCopy(context: Context, mirror: Mirror, request: ReadCopyRequest): Promise<Workspace> {
  const places = taskPlaces(context, request.task)
  const folder = path.join(places.folder, `review-${safeName(request.runId, 'run id')}`)
  safeBranch(request.baseBranch)
  safeSha(request.baseSha)
  await ensureFolder(places.folder)
  await removeTree(folder)
  await ensureFolder(folder)
  const runtimeDir = path.join(folder, 'runtime')
  await ensureRuntimeFolders(runtimeDir)
  const tree = path.join(folder, 'tree')
  const memory = firstMemory(mirror, { ...request, branch: 'review' })
  await makeTree(context, { tree, memory, head: null, sha: safeSha(request.sha) })
  return { task: request.task, path: tree, runtimeDir }
}

/** Removes a read copy. Idempotent. A task's own workspace is refused: it goes by `remove`, which saves. */
export async function discardCopy(context: Context, workspace: Workspace): Promise<void> {
  const places = taskPlaces(context, workspace.task)
  const folder = path.dirname(workspace.path)
  if (path.dirname(folder) === places.folder && path.basename(folder).startsWith('review-')) return removeTree(folder)
  throw new ExternalError({
    system: 'workspace',
    kind: 'rejected',
    message: `${workspace.path} is not a reviewer's copy; only those are discarded`,
  })
}
