// For tests of this folder: a real remote, a clone of it, an ORCH_HOME and a HOME with credentials, all in one temporary folder.

import { appendFile, mkdir, mkdtemp, realpath, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { onTestFinished } from 'vitest'
import { runProcess } from '../../lib/process.ts'
import { absolutePath } from '../git.ts'
import { removeTree } from '../places.ts'
import { probeSandbox } from '../sandbox.ts'
import { makeWorkspaces } from '../workspaces.ts'
import type { Mirror, Sandbox, SandboxMeans, Workspace, Workspaces } from '../workspace.ts'

export interface World {
  folder: string
  home: string
  remote: string
  clone: string
  env: Record<string, string>
  sandbox: Sandbox
  workspaces: Workspaces
  mirror: Mirror
  base: string
}

/** Kinds of sandbox that can be had here. */
export async function kindsHere(): Promise<SandboxMeans['kind'][]> {
  const kinds: SandboxMeans['kind'][] = ['none']
  for (const kind of ['unshare', 'bubblewrap'] as const)
    if (
      await probeSandbox(process.env, { prefer: kind }).then(
        () => true,
        () => false,
      )
    )
      kinds.push(kind)
  return kinds
}

/** A folder of its own, removed when the test ends. */
export async function temporaryFolder(): Promise<string> {
  const folder = await realpath(await mkdtemp(path.join(os.tmpdir(), 'orch-ws-')))
  onTestFinished(() => removeTree(folder))
  return folder
}

export function userEnv(folder: string): Record<string, string> {
  return {
    PATH: absolutePath(process.env['PATH']),
    HOME: path.join(folder, 'user'),
    GIT_AUTHOR_NAME: 'Ada',
    GIT_AUTHOR_EMAIL: 'ada@example.org',
    GIT_COMMITTER_NAME: 'Ada',
    GIT_COMMITTER_EMAIL: 'ada@example.org',
  }
}

/** Runs a program and gives its output; throws with its errors when it fails. */
export async function sh(env: Record<string, string>, cwd: string, ...argv: [string, ...string[]]): Promise<string> {
  const result = await runProcess({ argv, cwd, env, timeoutMs: 30_000 })
  if (result.exitCode !== 0) throw new Error(`${argv.join(' ')}: ${result.stderr || result.stdout}`)
  return result.stdout.trim()
}

/** A remote with one commit on main, its clone, and a mirror that has fetched it. */
export async function makeWorld(kind: SandboxMeans['kind'] = 'none'): Promise<World> {
  const folder = await temporaryFolder()
  const env = userEnv(folder)
  const [home, remote, clone] = ['orch', 'remote.git', 'clone'].map((name) => path.join(folder, name)) as [
    string,
    string,
    string,
  ]
  await mkdir(path.join(env['HOME'] ?? '', '.ssh'), { recursive: true })
  await writeFile(path.join(env['HOME'] ?? '', '.ssh/id_ed25519'), 'PRIVATE KEY\n')
  await sh(env, folder, 'git', 'init', '-q', '--bare', '-b', 'main', remote)
  await sh(env, folder, 'git', 'init', '-q', '-b', 'main', clone)
  const settings = `[user]\n\tname = Clone Owner\n\temail = owner@example.org\n[credential]\n\thelper = store --file=/secret\n`
  await appendFile(
    path.join(clone, '.git/config'),
    `${settings}[remote "origin"]\n\turl = ${remote}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n`,
  )
  await writeFile(path.join(clone, 'a.txt'), 'one\ntwo\nthree\n')
  await writeFile(path.join(clone, '.gitignore'), 'node_modules/\n')
  const base = await commit(env, clone, 'first')
  await sh(env, clone, 'git', 'push', '-q', 'origin', 'main')
  const sandbox = await probeSandbox(env, { prefer: kind })
  const workspaces = makeWorkspaces({ home, env, sandbox })
  const mirror = await workspaces.mirror({ id: 'shop', path: clone, remote })
  await mirror.fetchBase(null)
  return { folder, home, remote, clone, env, sandbox, workspaces, mirror, base }
}

/** Commits everything in a clone. */
export async function commit(env: Record<string, string>, clone: string, message: string): Promise<string> {
  await sh(env, clone, 'git', 'add', '-A')
  await sh(env, clone, 'git', 'commit', '-q', '--allow-empty', '-m', message)
  return sh(env, clone, 'git', 'rev-parse', 'HEAD')
}

export const BRANCH = 'orch/shop-1-work'

/** The workspace of SHOP-1. */
export function ensureOne(world: World, headSha: string | null = null): Promise<Workspace> {
  return world.workspaces.ensure(world.mirror, {
    task: 'SHOP-1',
    branch: BRANCH,
    baseSha: world.base,
    headSha,
    baseBranch: 'main',
  })
}

export function collectOne(world: World, workspace: Workspace, n = '1') {
  const identity = { name: 'Clone Owner', email: 'owner@example.org' }
  return world.workspaces.collect(world.mirror, workspace, {
    branch: BRANCH,
    baseSha: world.base,
    n,
    identity,
    message: 'Left by the agent\n',
  })
}

/** Runs a shell script as an agent would run: in the sandbox, with the run's places and nothing else. */
export async function asAgent(
  world: World,
  workspace: Workspace,
  script: string,
  readable: string[] = [],
): Promise<string> {
  const env = world.workspaces.environment(
    workspace.runtimeDir,
    workspace.path,
    { pass: [], set: {} },
    { passSecrets: false },
  )
  const wrapped = world.workspaces.sandbox.wrap({
    argv: ['sh', '-c', script],
    cwd: workspace.path,
    env,
    writable: [workspace.path, workspace.runtimeDir],
    readable: [path.join(world.mirror.path, 'objects'), ...readable],
    masked: world.mirror.masked,
    network: false,
  })
  const result = await runProcess({
    argv: [wrapped.file, ...wrapped.args],
    cwd: workspace.path,
    env: wrapped.env,
    timeoutMs: 30_000,
  })
  return `${result.stdout}${result.stderr}`
}
