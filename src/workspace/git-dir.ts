// A task's own git directory: made by hand, examined as plain files, and cleaned of whatever an agent planted, before any git runs on it.
// Invariant: after `cleanGitDir` the directory holds the engine's configuration, borrows from the mirror only, and has no hooks (S15).

import { lstat, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { plantedSettings } from './git-config.ts'
import { isRealDirectory, removeTree } from './places.ts'
import { conePatterns } from './sparse.ts'
import type { Identity } from './workspace.ts'

export interface GitDirFacts {
  /** The mirror's `objects` folder. */
  objects: string
  identity: Identity
  /** Patterns that are neither committed nor saved: what setup made. */
  excludes: string[]
  /** Folders of a sparse checkout (a cone); empty for all. */
  sparse: string[]
}

/** The engine's own configuration of a workspace. No remote: an agent has nothing to push to. */
function gitDirConfig({ identity, sparse }: Pick<GitDirFacts, 'identity' | 'sparse'>): string {
  return `[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = false
\tlogallrefupdates = true
${sparse.length > 0 ? '\tsparseCheckout = true\n\tsparseCheckoutCone = true\n' : ''}[user]
\tname = ${quoted(identity.name)}
\temail = ${quoted(identity.email)}
[gc]
\tauto = 0
[maintenance]
\tauto = false
[advice]
\tdetachedHead = false
`
}

const quoted = (text: string): string => `"${text.replace(/[\n\r\0]/g, ' ').replace(/["\\]/g, '\\$&')}"`

/** Writes a git directory: a new one, or that of a clean checkout for its new owner. `head` is a branch, or null for a detached head at `sha`. */
export async function makeGitDir(
  gitDir: string,
  facts: GitDirFacts & { head: string | null; sha: string; base: { branch: string; sha: string } | null; tags: string },
): Promise<void> {
  for (const folder of ['objects/info', 'objects/pack', 'refs/heads', 'refs/tags', 'info'])
    await mkdir(path.join(gitDir, folder), { recursive: true })
  const write = async (name: string, text: string): Promise<void> => {
    await mkdir(path.dirname(path.join(gitDir, name)), { recursive: true })
    await writeFile(path.join(gitDir, name), text)
  }
  await write('HEAD', facts.head === null ? `${facts.sha}\n` : `ref: refs/heads/${facts.head}\n`)
  if (facts.head !== null) await write(`refs/heads/${facts.head}`, `${facts.sha}\n`)
  if (facts.base !== null) await write(`refs/remotes/origin/${facts.base.branch}`, `${facts.base.sha}\n`)
  if (facts.tags !== '') await write('packed-refs', facts.tags)
  await writeOwnFiles(gitDir, facts)
}

async function writeOwnFiles(gitDir: string, facts: GitDirFacts): Promise<void> {
  await replaceFile(path.join(gitDir, 'config'), gitDirConfig(facts))
  await replaceFile(path.join(gitDir, 'objects/info/alternates'), `${facts.objects}\n`)
  await replaceFile(path.join(gitDir, 'info/exclude'), facts.excludes.map((line) => `${line}\n`).join(''))
  const cone = path.join(gitDir, 'info/sparse-checkout')
  if (facts.sparse.length > 0) await replaceFile(cone, conePatterns(facts.sparse))
  else await removeTree(cone)
}

/** Writes a file anew: what is there may be a link to anywhere. */
async function replaceFile(file: string, text: string): Promise<void> {
  await removeTree(file)
  await writeFile(file, text, { flag: 'wx' })
}

/** Folders and files git follows without asking whether they are links. */
const FOLDERS = ['objects', 'objects/info', 'objects/pack', 'refs', 'refs/heads', 'info']
const MAYBE_FOLDERS = ['logs', 'refs/remotes', 'refs/tags', 'hooks', 'modules']
const FILES = [
  'HEAD',
  'config',
  'index',
  'packed-refs',
  'objects/info/alternates',
  'info/exclude',
  'FETCH_HEAD',
  'ORIG_HEAD',
]

/** Why a git directory can't be used at all, in half a sentence about the agent; null when its structure is sound. */
export async function brokenGitDir(tree: string): Promise<string | null> {
  if (!(await isRealDirectory(tree))) return 'removed or replaced its workspace'
  const gitDir = path.join(tree, '.git')
  const info = await lstat(gitDir).catch(() => null)
  if (!info) return "removed the workspace's .git"
  if (!info.isDirectory()) return `replaced the workspace's .git by a ${info.isSymbolicLink() ? 'link' : 'file'}`
  for (const name of FOLDERS)
    if (!(await isRealDirectory(path.join(gitDir, name)))) return `removed or replaced .git/${name}`
  for (const name of [...MAYBE_FOLDERS, ...FILES]) {
    const part = await lstat(path.join(gitDir, name)).catch(() => null)
    if (part?.isSymbolicLink()) return `replaced .git/${name} by a link`
  }
  const head = await lstat(path.join(gitDir, 'HEAD')).catch(() => null)
  return head?.isFile() ? null : 'removed .git/HEAD'
}

/** What was planted in a structurally sound git directory, in sentences. Reads plain files only. */
export async function plantedIn(gitDir: string, facts: GitDirFacts): Promise<string[]> {
  const found: string[] = []
  const text = (name: string): Promise<string | null> => readFile(path.join(gitDir, name), 'utf8').catch(() => null)
  const config = await text('config')
  if (config === null) found.push("The agent removed the workspace's git configuration.")
  else if (config !== gitDirConfig(facts)) {
    for (const key of plantedSettings(config)) found.push(`The agent set ${key} in the workspace's git configuration.`)
  }
  const hooks = (await readdir(path.join(gitDir, 'hooks')).catch(() => [])).filter((name) => !name.endsWith('.sample'))
  for (const name of hooks.sort()) found.push(`The agent put a git hook in the workspace: ${name}.`)
  for (const name of ['commondir', 'gitdir', 'config.worktree', 'info/attributes', 'info/grafts', 'shallow']) {
    if ((await lstat(path.join(gitDir, name)).catch(() => null)) !== null)
      found.push(`The agent planted .git/${name} in the workspace.`)
  }
  if ((await text('objects/info/alternates'))?.trim() !== facts.objects)
    found.push('The agent changed where the workspace borrows objects from (alternates).')
  return found
}

/** Removes everything planted and writes the engine's own files again. Only for a structurally sound directory. */
export async function cleanGitDir(gitDir: string, facts: GitDirFacts): Promise<void> {
  for (const name of [
    'hooks',
    'commondir',
    'gitdir',
    'config.worktree',
    'info/attributes',
    'info/grafts',
    'shallow',
    'objects/info/http-alternates',
    'worktrees',
  ]) {
    await removeTree(path.join(gitDir, name))
  }
  // Locks of a git that was killed in the middle: its process is dead when this runs.
  await removeLocks(gitDir, ['.', 'info', 'objects/info', 'objects/pack'])
  await removeLocksBelow(path.join(gitDir, 'refs'))
  await writeOwnFiles(gitDir, facts)
}

async function removeLocks(gitDir: string, folders: string[]): Promise<void> {
  for (const folder of folders) {
    const names = await readdir(path.join(gitDir, folder)).catch(() => [])
    for (const name of names)
      if (name.endsWith('.lock')) await rm(path.join(gitDir, folder, name), { recursive: true, force: true })
  }
}

async function removeLocksBelow(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    if (entry.isDirectory()) await removeLocksBelow(path.join(folder, entry.name))
    else if (entry.name.endsWith('.lock')) await rm(path.join(folder, entry.name), { force: true })
  }
}
