// Pristine products of setup: what it leaves in a checkout and its runtime folder, kept as it was before anything else ran.
// Invariant: made only in the engine's own checkout of a commit on the base, hidden from every sandboxed command but the
// one that copies them, and always copied: nothing that a task's code can write is ever part of them (S16).

import { mkdir, readFile, readdir, rename, stat, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { ExternalError } from '../lib/errors.ts'
import { runProcess } from '../lib/process.ts'
import { type CommandPlace, runSetup } from './commands.ts'
import { type Context, firstMemory, gitDirFacts, type Memory } from './context.ts'
import { ensureRuntimeFolders } from './environment.ts'
import { absolutePath, git, isolatedGitEnv, LOCAL_LIMIT_MS } from './git.ts'
import { brokenGitDir, cleanGitDir, plantedIn } from './git-dir.ts'
import { finishedIn, newOwnedFolder, removeAbandoned, removeAtOnce } from './owned.ts'
import { removeTree } from './places.ts'
import { projectOf } from './pool.ts'
import { sandboxedGit } from './sandboxed.ts'
import { gitIn, makeTree } from './tree.ts'
import type { Mirror } from './workspace.ts'

/** Products kept of a project: those of the base, of what is about to land, and one more. */
const KEEP = 3
/** More places than this of setup's own are no folders of dependencies, and would not fit into one command. */
const MAX_ENTRIES = 2_000

export interface Pristine {
  folder: string
  /** Places in the tree that are setup's own, none inside another. */
  entries: string[]
  /** What setup planted in the git directory (a project's own hooks): nobody is blamed for it. */
  accepted: string[]
}

export interface MakePristine {
  mirror: Mirror
  /** A commit on the base. */
  sha: string
  /** Key of its inputs, and what it shares with every other commit. */
  key: string
  way: string
  sparse: string[]
  /** Where the commands run, given the checkout that is made for them. */
  place: (at: { tree: string; runtimeDir: string }) => CommandPlace
  commands: string[]
  timeoutMs: number
  signal?: AbortSignal
}

const productsOf = (context: Context, mirror: string): string => path.join(context.home, 'products', projectOf(mirror))
const refusalOf = (folder: string, way: string): string => path.join(folder, `own-${way}.txt`)

/** The products of a key, or null. */
export async function findPristine(context: Context, at: { mirror: string; key: string }): Promise<Pristine | null> {
  const folder = path.join(productsOf(context, at.mirror), at.key)
  try {
    const made = JSON.parse(await readFile(path.join(folder, 'made.json'), 'utf8')) as Omit<Pristine, 'folder'>
    const now = new Date()
    await utimes(path.join(folder, 'made.json'), now, now)
    return { ...made, folder }
  } catch {
    return null
  }
}

/** Whether products of these commands were seen to be of use in their own place only. */
export async function isRefused(context: Context, at: { mirror: string; way: string }): Promise<boolean> {
  return (await stat(refusalOf(productsOf(context, at.mirror), at.way)).catch(() => null)) !== null
}

/**
 * Makes the products of a commit on the base, once for however many ask. Gives why they are of no use elsewhere, or null.
 * Throws what setup throws.
 */
export async function makePristine(context: Context, request: MakePristine): Promise<string | null> {
  const { making } = context.work
  const id = path.join(productsOf(context, request.mirror.path), request.key)
  const running = making.get(id)
  if (running) {
    // Its own maker hears of its trouble; what came of it is on the disk.
    await untilSettled(running, request.signal)
    return null
  }
  const work = makeNow(context, request)
  making.set(id, work)
  try {
    return await work
  } finally {
    making.delete(id)
  }
}

/** Waits for somebody else's work, however it ends. Throws the signal's reason when it is aborted first. */
async function untilSettled(work: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  const stopped = new AbortController()
  const aborted = new Promise<void>((resolve) => {
    signal?.addEventListener('abort', () => resolve(), { signal: stopped.signal })
  })
  signal?.throwIfAborted()
  await Promise.race([Promise.allSettled([work]), aborted])
  stopped.abort()
  signal?.throwIfAborted()
}

async function makeNow(context: Context, request: MakePristine): Promise<string | null> {
  const { mirror, sha } = request
  const parent = productsOf(context, mirror.path)
  await removeAbandoned(parent)
  const folder = await newOwnedFolder(parent)
  try {
    const tree = path.join(folder, 'tree')
    const runtimeDir = path.join(folder, 'runtime')
    const { sparse } = request
    const memory = firstMemory(mirror, { branch: 'setup', baseBranch: 'base', baseSha: sha, sparse })
    await makeTree(context, { tree, memory, head: null, sha })
    await ensureRuntimeFolders(runtimeDir)
    await runSetup(context, request.commands, { ...request.place({ tree, runtimeDir }), timeoutMs: request.timeoutMs })
    const packed = await packUp(context, { folder, tree, runtimeDir, memory, sha }).catch(unreadable)
    if (typeof packed === 'string') {
      await writeFile(refusalOf(parent, request.way), `${packed}\n`)
      return packed
    }
    if ('passing' in packed) return packed.passing
    await settle(packed.folder, path.join(parent, request.key))
    await sweepProducts(parent)
    return null
  } finally {
    await removeTree(folder)
  }
}

/** Of no use elsewhere this time; it may be the next time. */
interface Passing {
  passing: string
}

/** What can't be looked through can't be trusted elsewhere. A machine too busy to look says nothing of what setup made. */
function unreadable(error: unknown): string | Passing {
  if (!(error instanceof ExternalError) || error.kind === 'disk-full') throw error
  const why = `what setup made can't be looked through (${error.message})`
  return error.kind === 'timed-out' ? { passing: why } : why
}

/** Another process may have made the same meanwhile: the first whole one stays. */
async function settle(made: string, place: string): Promise<void> {
  // On the disk before it has its name: a power cut must not leave products with holes.
  await runProcess({ argv: ['sync', '-f', made], env: { PATH: '/usr/bin:/bin' }, timeoutMs: LOCAL_LIMIT_MS })
  try {
    await rename(made, place)
  } catch (error) {
    if (!['EEXIST', 'ENOTEMPTY'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    if (await isWhole(place)) return
    await removeAtOnce(place)
    await rename(made, place)
  }
}

async function isWhole(place: string): Promise<boolean> {
  try {
    JSON.parse(await readFile(path.join(place, 'made.json'), 'utf8'))
    return true
  } catch {
    return false
  }
}

interface SetUp {
  folder: string
  tree: string
  runtimeDir: string
  memory: Memory
  sha: string
}

/** Moves what setup made into a folder of its own; or says, in a sentence, why it is of no use elsewhere. */
async function packUp(context: Context, at: SetUp): Promise<Pristine | string> {
  const { folder, tree, runtimeDir, memory } = at
  const ownGit = await changedGitDir(at)
  if (ownGit !== null) return ownGit
  const gitDir = path.join(tree, '.git')
  const accepted = await plantedIn(gitDir, gitDirFacts(memory))
  await cleanGitDir(gitDir, gitDirFacts(memory))
  const common = gitIn(context, tree, memory)
  const changed = await sandboxedGit(context.sandbox, 'see what setup changed', {
    ...common,
    args: ['status', '--porcelain', '--untracked-files=no', '--ignore-submodules=dirty', '-z'],
  })
  if (changed.stdout !== '') return `setup changes files of the repository (${firstOf(changed.stdout).slice(3)})`
  const others = await sandboxedGit(context.sandbox, 'see what setup made', {
    ...common,
    args: ['ls-files', '--others', '--directory', '-z'],
  })
  const entries = others.stdout
    .split('\0')
    .filter(Boolean)
    .map((entry) => entry.replace(/\/$/, ''))
  if (entries.length > MAX_ENTRIES) return `setup makes more than ${MAX_ENTRIES} files and folders beside the project's`
  const made = path.join(folder, 'made')
  await mkdir(path.join(made, 'tree'), { recursive: true, mode: 0o700 })
  for (const entry of entries) {
    await mkdir(path.join(made, 'tree', path.dirname(entry)), { recursive: true })
    await rename(path.join(tree, entry), path.join(made, 'tree', entry))
  }
  // Temporary by their names; npm's logs name every folder that they were written in.
  for (const passing of ['tmp', 'cache/npm/_logs']) await removeTree(path.join(runtimeDir, passing))
  await rename(runtimeDir, path.join(made, 'runtime'))
  const own = await findMention(context, made, path.basename(folder))
  if (own !== null) return `what setup makes is bound to the folder it was made in (${own})`
  const pristine: Pristine = { folder: made, entries, accepted }
  await writeFile(path.join(made, 'made.json'), JSON.stringify({ entries, accepted }))
  return pristine
}

const firstOf = (fields: string): string => fields.slice(0, fields.indexOf('\0'))

/** Parts that every git directory of the engine has, or that looking at it makes. */
const GIT_PARTS = new Set(['HEAD', 'config', 'index', 'packed-refs', 'objects', 'refs', 'info', 'hooks', 'logs'])

/** Hooks of a project's own are taken out everywhere else too; anything more in the git directory would be missing elsewhere. */
async function changedGitDir({ tree, memory, sha }: SetUp): Promise<string | null> {
  const gitDir = path.join(tree, '.git')
  const broken = (await brokenGitDir(tree)) !== null
  const more = broken ? [] : (await readdir(gitDir)).filter((name) => !GIT_PARTS.has(name))
  const moved = broken || (await readFile(path.join(gitDir, 'HEAD'), 'utf8')) !== `${sha}\n`
  const planted = broken ? [] : await plantedIn(gitDir, gitDirFacts(memory))
  const other = planted.filter((sentence) => !/git hook in the workspace|set core\.hooksPath /i.test(sentence))
  return moved || more.length > 0 || other.length > 0
    ? `setup changes the git directory (${more[0] ?? other[0] ?? 'HEAD'})`
    : null
}

/** The first file or link that mentions a name, relative to the folder; null when none does. */
async function findMention(context: Context, folder: string, name: string): Promise<string | null> {
  const ask = async (argv: [string, ...string[]], okCodes: number[]): Promise<string | null> => {
    const result = await runProcess({
      argv,
      cwd: folder,
      env: { PATH: absolutePath(context.env['PATH']), LC_ALL: 'C' },
      timeoutMs: LOCAL_LIMIT_MS,
    })
    if (result.outcome !== 'exited' || !okCodes.includes(result.exitCode ?? -1)) {
      const message = `Could not look through what setup made: ${argv[0]}: ${result.stderr.trim() || result.outcome}`
      const kind = result.outcome === 'exited' ? 'tool-missing' : 'timed-out'
      throw new ExternalError({ system: 'setup', kind, message })
    }
    return result.stdout.split('\n')[0]?.replace(/^\.\//, '') || null
  }
  // The name has nothing but letters, digits and dashes: it means itself in both.
  const file = await ask(['sh', '-c', 'grep -rlF -e "$1" . | head -n 1', 'orch', name], [0])
  return file ?? (await ask(['find', '.', '-type', 'l', '-lname', `*${name}*`], [0]))
}

/** True when none of setup's own places is one of the commit's: copying would write over what is to be judged. */
export async function fitsCommit(
  context: Context,
  at: { mirror: string; sha: string; pristine: Pristine },
): Promise<boolean> {
  if (at.pristine.entries.length === 0) return true
  const { stdout } = await git('compare what setup makes with the commit', {
    args: [`--git-dir=${at.mirror}`, 'ls-tree', '-z', '--full-tree', at.sha, '--', ...at.pristine.entries],
    env: isolatedGitEnv(context.env),
  })
  return stdout === ''
}

/** Removes all but the newest products of a project, by their last use. */
async function sweepProducts(folder: string): Promise<void> {
  const found: { name: string; usedAt: number }[] = []
  for (const name of await finishedIn(folder)) {
    const made = await stat(path.join(folder, name, 'made.json')).catch(() => null)
    if (made) found.push({ name, usedAt: made.mtimeMs })
  }
  found.sort((a, b) => b.usedAt - a.usedAt)
  for (const { name } of found.slice(KEEP)) await removeAtOnce(path.join(folder, name))
}

/** Removes products of projects that are gone, and what a crash left of making some. */
export async function sweepAllProducts(context: Context, known: string[]): Promise<void> {
  const parent = path.join(context.home, 'products')
  for (const project of await finishedIn(parent)) {
    if (known.includes(project)) await removeAbandoned(path.join(parent, project))
    else await removeAtOnce(path.join(parent, project))
  }
  await removeAbandoned(parent)
}
