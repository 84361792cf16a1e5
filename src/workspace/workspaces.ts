// Puts the places of code together: mirrors, task workspaces, reviewers' copies, checkouts for verification.
// Invariant: everything lies below ORCH_HOME, and whatever an agent may have touched is only read through the sandbox.

import { existsSync, mkdirSync, realpathSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { runProcess } from '../lib/process.ts'
import { collectWork } from './collect.ts'
import { type Context, readMemory, taskPlaces } from './context.ts'
import { discardCopy, ensureWorkspace, makeReadCopy } from './ensure.ts'
import { ensureRuntimeFolders, makeEnvironment, makeEnvironmentId } from './environment.ts'
import { absolutePath } from './git.ts'
import { makeReady } from './make-ready.ts'
import { openMirror } from './mirror.ts'
import { removeTree, safeName } from './places.ts'
import { stockPools } from './pool.ts'
import { sweepAllProducts } from './pristine.ts'
import { saveTree } from './save.ts'
import { aroundSetup } from './setup-products.ts'
import { verifyTree } from './verify.ts'
import type { LendCredential, Mirror, Sandbox, SetupUse, Workspace, Workspaces } from './workspace.ts'

export interface WorkspacesOptions {
  /** ORCH_HOME; made when it isn't there. */
  home: string
  /** The user's environment: credentials for the remote come from it, and the allowlist for commands. */
  env: NodeJS.ProcessEnv
  sandbox: Sandbox
  lend?: LendCredential
  /** Read-only places that setup and verify may see although they lie under HOME. */
  readPaths?: string[]
}

/** Kept output of a setup command, in bytes, before trimming. */
const SETUP_OUTPUT_BYTES = 1 << 20

/** The one implementation of Workspaces. Cheap: nothing is started or read until it is asked. */
export function makeWorkspaces(options: WorkspacesOptions): Workspaces {
  mkdirSync(options.home, { recursive: true, mode: 0o700 })
  const home = realpathSync(options.home)
  const { env, lend } = options
  const sandbox: Sandbox = {
    means: options.sandbox.means,
    wrap: (request) => options.sandbox.wrap({ ...request, masked: [home, ...(request.masked ?? [])] }),
  }
  const context: Context = {
    home,
    env,
    sandbox,
    readPaths: options.readPaths ?? [],
    work: { places: 0, making: new Map() },
  }
  const environment: Workspaces['environment'] = (runtimeDir, workspace, place, { passSecrets }) =>
    makeEnvironment({ user: env, home, runtimeDir, workspace, place, passSecrets })
  const environmentId = async (): Promise<string> => makeEnvironmentId(env, sandbox.means)
  return {
    sandbox,
    environment,
    environmentId,
    mirror: (project) => openMirror({ home, env, lend, project }),
    ensure: (mirror, request) => ensureWorkspace(context, mirror, request),
    ensureReadCopy: (mirror, request) => makeReadCopy(context, mirror, request),
    find: (task) => findWorkspace(context, task),
    findReadCopy: (request) => findReadCopy(context, request),
    discard: (workspace) => discardCopy(context, workspace),
    setup: (mirror, workspace, request) => setup(context, mirror, { ...request, workspace }),
    collect: (mirror, workspace, request) => collectWork(context, mirror, { ...request, workspace }),
    verify: async (mirror, request) => ({
      ...(await verifyTree(context, mirror, request)),
      environmentId: await environmentId(),
    }),
    list: () => listWorkspaces(context),
    remove: (task) => remove(context, task),
    stock: (request) => stock(context, request),
    diskUse: () => diskUse(context),
  }
}

function findWorkspace(context: Context, task: string): Workspace | null {
  const places = taskPlaces(context, task)
  return existsSync(places.memory) ? { task, path: places.tree, runtimeDir: places.runtime } : null
}

function findReadCopy(context: Context, request: { task: string; runId: string }): Workspace | null {
  const folder = path.join(taskPlaces(context, request.task).folder, `${READ_COPY}${safeName(request.runId, 'run id')}`)
  return existsSync(folder)
    ? { task: request.task, path: path.join(folder, 'tree'), runtimeDir: path.join(folder, 'runtime') }
    : null
}

const READ_COPY = 'review-'

async function listWorkspaces(context: Context): Promise<{ task: string; readCopies: string[] }[]> {
  const parent = path.join(context.home, 'workspaces')
  const entries = await readdir(parent, { withFileTypes: true }).catch(() => [])
  const tasks = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
  return Promise.all(
    tasks.sort().map(async (task) => {
      const names = await readdir(path.join(parent, task)).catch(() => [])
      const copies = names.filter((name) => name.startsWith(READ_COPY))
      return { task, readCopies: copies.map((name) => name.slice(READ_COPY.length)).sort() }
    }),
  )
}

async function setup(
  context: Context,
  mirror: Mirror,
  { workspace, ...request }: Parameters<Workspaces['setup']>[2] & { workspace: Workspace },
): Promise<SetupUse> {
  if (request.commands.length === 0) return { how: 'none', note: null }
  const { path: tree, runtimeDir } = workspace
  await ensureRuntimeFolders(runtimeDir)
  const { sha, commands, env, network, read = [], sparse = [], timeoutMs, signal } = request
  return aroundSetup(context, workspace, {
    sha,
    ready: (place) =>
      makeReady(context, mirror, {
        sha,
        commands,
        env,
        network,
        read,
        sparse,
        timeoutMs,
        outputCapBytes: SETUP_OUTPUT_BYTES,
        at: { tree, runtimeDir, ...place },
        ...(signal ? { signal } : {}),
      }),
  })
}

/** Fills the pools and sweeps what nobody needs. */
async function stock(context: Context, request: Parameters<Workspaces['stock']>[0]): Promise<void> {
  await sweepAllProducts(context, request.known)
  await stockPools(context, request.wanted, request.signal)
}

async function remove(context: Context, task: string): Promise<{ saved: string | null }> {
  const places = taskPlaces(context, task)
  const memory = await readMemory(context, places.memory)
  const saved = await saveTree(context, { task, tree: places.tree, memory, because: 'the task was closed' })
  await removeTree(places.folder)
  return { saved }
}

async function diskUse(context: Context): Promise<{ path: string; bytes: number }[]> {
  const folders: string[] = []
  for (const part of ['mirrors', 'workspaces', 'pool', 'products', 'verify', 'saved', 'runs']) {
    const names = await readdir(path.join(context.home, part)).catch(() => [])
    folders.push(...names.map((name) => path.join(context.home, part, name)))
  }
  if (folders.length === 0) return []
  const result = await runProcess({
    argv: ['du', '-sk', '--', ...folders],
    env: { PATH: absolutePath(context.env['PATH']), LC_ALL: 'C' },
    timeoutMs: 120_000,
    outputCapBytes: 16 << 20,
  })
  // A file that vanished meanwhile makes du end with 1; its other lines still hold.
  return result.stdout
    .split('\n')
    .filter((line) => line.includes('\t'))
    .map((line) => {
      const tab = line.indexOf('\t')
      return { path: line.slice(tab + 1), bytes: Number(line.slice(0, tab)) * 1024 }
    })
}
