// Makes a place ready for its commands: pristine products copied where they are the same, else setup run in it.
// Invariant: what can't be reused for any reason is set up for real; only setup's own failure is a failure.

import path from 'node:path'
import { ExternalError } from '../lib/errors.ts'
import { type CommandPlace, runSetup } from './commands.ts'
import type { Context } from './context.ts'
import { ensureRuntimeFolders, makeEnvironment, makeEnvironmentId } from './environment.ts'
import { absolutePath, git, isolatedGitEnv } from './git.ts'
import { findPristine, fitsCommit, isRefused, makePristine, type Pristine } from './pristine.ts'
import { runSandboxed } from './sandboxed.ts'
import { type SetupInputs, setupInputs } from './setup-inputs.ts'
import { coneOf } from './sparse.ts'
import type { Mirror, PlaceEnv, SetupUse } from './workspace.ts'

export interface ReadyRequest {
  /** The commit that is checked out. */
  sha: string
  commands: string[]
  env: PlaceEnv
  network: boolean
  read: string[]
  sparse: string[]
  timeoutMs: number
  /** Kept output of each command, in bytes. */
  outputCapBytes: number
  signal?: AbortSignal
}

export interface ReadyPlace {
  tree: string
  runtimeDir: string
  /** False for one where somebody may have worked: what stands at setup's own places goes first. */
  fresh: boolean
  /** Whether the inputs are what the commit says. */
  holds: (inputs: SetupInputs) => boolean
}

export interface Ready extends SetupUse {
  /** Of copied products: what setup plants in a git directory. */
  accepted: string[]
}

/** Makes a place ready. Throws ExternalError `setup-failed` with the output's end, and what the sandbox and the disk throw. */
export async function makeReady(
  context: Context,
  mirror: Mirror,
  request: ReadyRequest & { at: ReadyPlace; runSetup?: boolean },
): Promise<Ready> {
  const { at, commands } = request
  if (commands.length === 0) return { how: 'none', note: null, accepted: [] }
  const { pristine, note } = request.runSetup
    ? { pristine: null, note: null }
    : await pristineFor(context, mirror, request)
  if (
    pristine &&
    (await copyInto(context, { pristine, mirror, at, ...(request.signal ? { signal: request.signal } : {}) }))
  )
    return { how: 'copied', note, accepted: pristine.accepted }
  // A copy that stopped half-way cleared temporary folders away.
  await ensureRuntimeFolders(at.runtimeDir)
  await runSetup(context, commands, { ...placeFor(context, mirror, { request, at }), timeoutMs: request.timeoutMs })
  return { how: 'ran', note, accepted: [] }
}

/** Where setup runs; it alone sees what `env.pass` names. */
function placeFor(
  context: Context,
  mirror: Mirror,
  { request, at }: { request: ReadyRequest; at: { tree: string; runtimeDir: string } },
): CommandPlace {
  return {
    ...at,
    cwd: at.tree,
    env: environmentFor(context, request, at),
    objects: path.join(mirror.path, 'objects'),
    masked: mirror.masked,
    read: request.read,
    network: request.network,
    outputCapBytes: request.outputCapBytes,
    ...(request.signal ? { signal: request.signal } : {}),
  }
}

const environmentFor = (
  context: Context,
  request: ReadyRequest,
  at: { tree: string; runtimeDir: string },
): Record<string, string> =>
  makeEnvironment({
    user: context.env,
    home: context.home,
    runtimeDir: at.runtimeDir,
    workspace: at.tree,
    place: request.env,
    passSecrets: true,
  })

/** The products for a commit, made now where its inputs are those of a commit on the base. */
async function pristineFor(
  context: Context,
  mirror: Mirror,
  request: ReadyRequest & { at: ReadyPlace },
): Promise<{ pristine: Pristine | null; note: string | null }> {
  const none = { pristine: null, note: null }
  const { commands, network, read, sha } = request
  const sparse = coneOf(request.sparse)
  const way = {
    commands,
    network,
    read,
    sparse,
    env: environmentFor(context, request, { tree: '/tree', runtimeDir: '/runtime' }),
    environmentId: makeEnvironmentId(context.env, context.sandbox.means),
  }
  const inputs = await setupInputs(context, { mirror: mirror.path, sha, way })
  if (!request.at.holds(inputs) || (await isRefused(context, { mirror: mirror.path, way: inputs.way }))) return none
  const place = { mirror: mirror.path, key: inputs.key }
  let pristine = await findPristine(context, place)
  if (!pristine) {
    const base = await onBase(context, mirror.path, sha)
    if (base === null) return none
    const same =
      base === sha || (await setupInputs(context, { mirror: mirror.path, sha: base, way })).key === inputs.key
    if (!same) return none
    const note = await makePristine(context, {
      mirror,
      sha: base,
      key: inputs.key,
      way: inputs.way,
      sparse,
      commands,
      timeoutMs: request.timeoutMs,
      ...(request.signal ? { signal: request.signal } : {}),
      place: (at) => placeFor(context, mirror, { request, at }),
    })
    if (note !== null) return { pristine: null, note: `${note}, so it runs in each checkout` }
    pristine = await findPristine(context, place)
  }
  if (pristine && (await fitsCommit(context, { mirror: mirror.path, sha, pristine }))) return { pristine, note: null }
  return none
}

/** The nearest commit that the remote's base has: no task's code ever ran in a checkout of it. Null when there is none. */
async function onBase(context: Context, mirror: string, sha: string): Promise<string | null> {
  const env = isolatedGitEnv(context.env)
  const refs = await git('find the base', {
    args: [`--git-dir=${mirror}`, 'for-each-ref', '--format=%(objectname)', 'refs/remotes/origin'],
    env,
  })
  const bases = [...new Set(refs.stdout.split('\n').filter(Boolean))]
  if (bases.length === 0) return null
  const found = await git(`find where ${sha} left the base`, {
    args: [`--git-dir=${mirror}`, 'merge-base', sha, ...bases],
    env,
    okCodes: [0, 1],
  })
  return found.stdout.trim() || null
}

const CLEAR = 'cd "$1" && xargs -0 rm -rf --'
/** Clones of blocks where the file system has them, never hard links: what is written here must not show there. */
const COPY = process.platform === 'darwin' ? ['cp', '-a', '-c'] : ['cp', '-a', '--reflink=auto']

/** Copies products to a place, in the sandbox: an agent may have put links there. False when that can't be done. */
async function copyInto(
  context: Context,
  request: { pristine: Pristine; mirror: Mirror; at: ReadyPlace; signal?: AbortSignal },
): Promise<boolean> {
  const { pristine, at } = request
  const run = async (argv: string[], input?: string): Promise<boolean> => {
    request.signal?.throwIfAborted()
    const result = await runSandboxed(context.sandbox, {
      argv,
      cwd: at.tree,
      env: { PATH: absolutePath(context.env['PATH']), LC_ALL: 'C' },
      writable: [at.tree, at.runtimeDir],
      readable: [pristine.folder],
      masked: request.mirror.masked,
      network: false,
      timeoutMs: COPY_LIMIT_MS,
      ...(input === undefined ? {} : { input }),
      ...(request.signal ? { signal: request.signal } : {}),
    })
    request.signal?.throwIfAborted()
    if (/No space left on device|Disk quota exceeded/.test(result.stderr))
      throw new ExternalError({
        system: 'setup',
        kind: 'disk-full',
        message: `Could not copy what setup makes to ${at.tree}: the disk is full; free some space`,
      })
    return result.outcome === 'exited' && result.exitCode === 0
  }
  const clear = (): Promise<boolean> =>
    run(['sh', '-c', CLEAR, 'orch', at.tree], pristine.entries.map((entry) => `./${entry}\0`).join(''))
  if (!at.fresh && pristine.entries.length > 0 && !(await clear())) return false
  const parts = ['tree', 'runtime'].map((part) => path.join(pristine.folder, part))
  if (await run([...COPY, ...parts, `${path.dirname(at.tree)}/`])) return true
  if (pristine.entries.length > 0) await clear()
  return false
}

/** Copying gigabytes to a slow disk takes minutes; more is a disk that hangs. */
const COPY_LIMIT_MS = 600_000
