// The sandbox around everything an agent wrote: agents themselves, setup, verification, git in a task's workspace.
// bubblewrap where a probe run in it succeeds, else a pid namespace by `unshare`, else nothing but the environment.
// Invariant: a kind is used only after it was seen to hold on this machine (S15).

import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { endGroup, endOrphanedGroups, inGroup, membersOf } from '../lib/cgroup.ts'
import { UserError } from '../lib/errors.ts'
import { runProcess } from '../lib/process.ts'
import { openCommandGroup } from './marked.ts'
import { absolutePath } from './git.ts'
import { type Mount, planMounts, programPaths } from './mounts.ts'
import { removeTree } from './places.ts'
import type { Sandbox, SandboxMeans, SandboxRequest, Wrapped } from './workspace.ts'

type Kind = SandboxMeans['kind']

/** A probe starts a shell and reads two files; on a loaded machine that may take a second. */
const PROBE_LIMIT_MS = 20_000

export const OPEN_WITHOUT_SANDBOX = [
  "an agent, and the tests it writes, can write wherever this user can, Orch's own home included",
  "they can read this user's credentials (ssh keys, forge tokens, other agents' logins)",
  "they can reach this user's services by socket (docker, D-Bus, the ssh agent)",
  '`sandbox.network: false` is not enforced',
  'git configuration, hooks and filters planted in a workspace are taken out before the engine runs git there, but nothing else holds them',
] as const
const OPEN_MARKER =
  'a process that leaves its parent and drops its environment is found only by chance, so it can outlive its run'
const OPEN_CGROUP = "a process that moves itself out of its run's cgroup on purpose can outlive its run"

/** Finds the best sandbox that works here. `ORCH_SANDBOX` (or `prefer`) forces one; UserError 6 when that one can't be had. */
export async function probeSandbox(env: NodeJS.ProcessEnv, options: { prefer?: Kind } = {}): Promise<Sandbox> {
  const forced = options.prefer ?? forcedKind(env)
  if (forced === 'none') return makeNoSandbox(env)
  const tried: string[] = []
  for (const kind of ['bubblewrap', 'unshare'] as const) {
    if (forced && forced !== kind) continue
    const found = kind === 'bubblewrap' ? await findBubblewrap(env) : await findUnshare(env)
    if (typeof found !== 'string') return found
    tried.push(found)
  }
  if (!forced) return makeNoSandbox(env)
  throw new UserError(
    6,
    'sandbox-missing',
    `ORCH_SANDBOX=${forced} can't be had here: ${tried.join('; ')}. Install it, or leave ORCH_SANDBOX unset`,
  )
}

function forcedKind(env: NodeJS.ProcessEnv): Kind | null {
  const value = env['ORCH_SANDBOX']
  if (!value) return null
  if (value === 'none' || value === 'unshare' || value === 'bubblewrap') return value
  throw new UserError(6, 'sandbox-unknown', `ORCH_SANDBOX=${value} is not known; use bubblewrap, unshare or none`)
}

/** Nothing holds what runs back, but a cgroup of its own, where one can be had, finds all of it when it is to end. */
async function makeNoSandbox(env: NodeJS.ProcessEnv): Promise<Sandbox> {
  const hasGroups = await probeGroups(env)
  const ends = hasGroups ? 'cgroup' : 'marker'
  const open = [...OPEN_WITHOUT_SANDBOX, hasGroups ? OPEN_CGROUP : OPEN_MARKER]
  return {
    means: { kind: 'none', version: null, open, ends },
    wrap(request) {
      const [file = 'true', ...args] = request.argv
      return { file, args, env: request.env, containment: ends }
    },
  }
}

/** Whether a process that hides as well as it can is found and ended in a cgroup. Ends what a killed Orch left in its own. */
async function probeGroups(env: NodeJS.ProcessEnv): Promise<boolean> {
  await endOrphanedGroups()
  const group = openCommandGroup()
  if (group === null) return false
  try {
    const result = await runProcess({
      argv: inGroup(group, ['/bin/sh', '-c', '(sleep 60 </dev/null >/dev/null 2>&1 &) && echo started']),
      env: { PATH: absolutePath(env['PATH']) },
      timeoutMs: PROBE_LIMIT_MS,
      outputCapBytes: 4_096,
    })
    return result.stdout === 'started\n' && membersOf(group).length === 1
  } finally {
    await endGroup(group)
  }
}

/** The user's places that no command sees: their home, temp folders, sockets. */
function alwaysMasked(env: NodeJS.ProcessEnv): string[] {
  const wanted = [
    '/tmp',
    '/var/tmp',
    '/run',
    '/var/run',
    os.tmpdir(),
    ...homesOf(env),
    ...(env['SSH_AUTH_SOCK'] ? [path.dirname(env['SSH_AUTH_SOCK'])] : []),
  ]
  return wanted.filter((place) => place.startsWith('/') && place !== '/')
}

/** HOME as the environment says and as the account says; a HOME of `/` is left to the rights of its files. */
function homesOf(env: NodeJS.ProcessEnv): string[] {
  const account = (() => {
    try {
      return os.userInfo().homedir
    } catch {
      return ''
    }
  })()
  return [...new Set([env['HOME'] ?? '', account])]
    .filter((home) => home.startsWith('/') && home !== '/')
    .map((home) => path.resolve(home))
}

async function findBubblewrap(env: NodeJS.ProcessEnv): Promise<Sandbox | string> {
  const file = findProgram('bwrap', env)
  if (!file) return 'bubblewrap (bwrap) is not installed'
  const version = (await versionOf(file, env))?.replace(/^bubblewrap /, '') ?? null
  const base: BubblewrapBase = { file, masked: alwaysMasked(env), programs: programPaths(env, homesOf(env)) }
  const means: SandboxMeans = { kind: 'bubblewrap', version, open: [], ends: 'pid-namespace' }
  const sandbox: Sandbox = { means, wrap: (request) => wrapWithBubblewrap(base, request) }
  const problem = await probe(sandbox, env)
  return problem === null ? sandbox : `bubblewrap ${version ?? ''} did not pass its probe: ${problem}`
}

interface BubblewrapBase {
  file: string
  masked: string[]
  programs: string[]
}

function wrapWithBubblewrap(base: BubblewrapBase, request: SandboxRequest): Wrapped {
  const mounts = planMounts({
    writable: request.writable,
    readable: [...base.programs, ...request.readable],
    masked: [...base.masked, ...(request.masked ?? [])],
  })
  const args = [
    '--unshare-all',
    ...(request.network ? ['--share-net'] : []),
    // Without this, root in the sandbox could take the masks off again: they are mounts of its own namespace.
    '--cap-drop',
    'ALL',
    '--die-with-parent',
    '--new-session',
    '--ro-bind',
    '/',
    '/',
    '--dev',
    '/dev',
    '--proc',
    '/proc',
    ...mounts.flatMap(mountArguments),
    '--chdir',
    request.cwd,
    '--',
    ...request.argv,
  ]
  return { file: base.file, args, env: request.env, containment: 'pid-namespace' }
}

function mountArguments(mount: Mount): string[] {
  switch (mount.kind) {
    case 'hide':
      return ['--tmpfs', mount.at]
    case 'hide-file':
      return ['--ro-bind', '/dev/null', mount.at]
    case 'link':
      return ['--symlink', mount.target, mount.at]
    case 'read':
      return ['--ro-bind', mount.at, mount.at]
    case 'write':
      return ['--bind', mount.at, mount.at]
    default:
      return mount satisfies never
  }
}

async function findUnshare(env: NodeJS.ProcessEnv): Promise<Sandbox | string> {
  const file = findProgram('unshare', env)
  if (!file) return 'unshare (util-linux) is not installed'
  const version = (await versionOf(file, env))?.replace(/^unshare from util-linux /, '') ?? null
  const means: SandboxMeans = { kind: 'unshare', version, open: [...OPEN_WITHOUT_SANDBOX], ends: 'pid-namespace' }
  const problems: string[] = []
  // As oneself where util-linux can (an agent that thinks it is root behaves otherwise), else as the namespace's root.
  for (const identity of ['--map-current-user', '--map-root-user']) {
    const options = ['--user', identity, '--pid', '--fork', '--kill-child', '--mount-proc']
    const sandbox: Sandbox = {
      means,
      wrap: (request) => ({
        file,
        args: [...options, '--', ...request.argv],
        env: request.env,
        containment: 'pid-namespace',
      }),
    }
    const problem = await probe(sandbox, env)
    if (problem === null) return sandbox
    problems.push(problem)
  }
  return `unshare did not pass its probe: ${problems.join('; ')}`
}

const PROBE_SCRIPT =
  'cat "$1/hidden/secret" 2>/dev/null && echo SEEN; (echo x > "$1/seen/file") 2>/dev/null && echo WROTE; echo x > "$1/own/file" && echo PID $$'

/** Runs a shell in the sandbox and looks at what it could do. Null when it holds, else what it did not hold. */
async function probe(sandbox: Sandbox, env: NodeJS.ProcessEnv): Promise<string | null> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'orch-probe-'))
  try {
    for (const name of ['hidden', 'seen', 'own']) await mkdir(path.join(folder, name))
    await writeFile(path.join(folder, 'hidden', 'secret'), 'secret\n')
    const wrapped = sandbox.wrap({
      argv: ['sh', '-c', PROBE_SCRIPT, 'probe', folder],
      cwd: path.join(folder, 'own'),
      env: { PATH: absolutePath(env['PATH']) },
      writable: [path.join(folder, 'own')],
      readable: [path.join(folder, 'seen')],
      network: true,
    })
    const result = await runProcess({
      argv: [wrapped.file, ...wrapped.args],
      cwd: folder,
      env: wrapped.env,
      timeoutMs: PROBE_LIMIT_MS,
      outputCapBytes: 16_384,
    })
    const wrote = await readFile(path.join(folder, 'own', 'file'), 'utf8').catch(() => '')
    if (result.exitCode !== 0)
      return result.stderr.trim().split('\n')[0] || `it ended with ${result.exitCode ?? result.signal}`
    if (wrote !== 'x\n') return 'nothing could be written in it'
    if (!/PID [12]\b/.test(result.stdout)) return 'it has no process numbers of its own'
    if (sandbox.means.kind === 'bubblewrap' && /SEEN|WROTE/.test(result.stdout))
      return 'it let a command reach a hidden or read-only place'
    return null
  } finally {
    await removeTree(folder)
  }
}

async function versionOf(file: string, env: NodeJS.ProcessEnv): Promise<string | null> {
  const result = await runProcess({
    argv: [file, '--version'],
    env: { PATH: absolutePath(env['PATH']), LC_ALL: 'C' },
    timeoutMs: PROBE_LIMIT_MS,
    outputCapBytes: 4_096,
  })
  return result.exitCode === 0 ? (result.stdout.trim().split('\n')[0] ?? null) : null
}

/** The absolute path of a program, found as a shell would, or null. */
export function findProgram(name: string, env: NodeJS.ProcessEnv): string | null {
  const folders = [...absolutePath(env['PATH']).split(':'), '/usr/bin', '/bin']
  return folders.map((folder) => path.join(folder, name)).find((file) => existsSync(file)) ?? null
}
