// Taking an agent's commits out of its workspace: leftovers are committed inside the sandbox, then the mirror fetches,
// with the far side (upload-pack) in the sandbox too. No git of the engine ever reads the agent's git directory itself (S15).

import path from 'node:path'
import { ExternalError } from '../lib/errors.ts'
import { type Context, firstMemory, gitDirFacts, type Memory, readMemory, taskPlaces, writeMemory } from './context.ts'
import { git, isolatedGitEnv, SAFE_OPTIONS } from './git.ts'
import { brokenGitDir, cleanGitDir, plantedIn } from './git-dir.ts'
import { identityEnv } from './mirror-read.ts'
import { fetchInto } from './mirror-remote.ts'
import { safeBranch, safeName } from './places.ts'
import { agentGitEnv, sandboxedGit } from './sandboxed.ts'
import { gitIn, listBranches, lookAtTree } from './tree.ts'
import type { Collected, Identity, Mirror, Workspace } from './workspace.ts'

export interface CollectRequest {
  branch: string
  baseSha: string
  n: string
  identity: Identity
  message: string
}

/** Collects a developer's work. May be called again: the ref is written anew. Throws ExternalError `not-found` when nothing can be taken out. */
export async function collectWork(
  context: Context,
  mirror: Mirror,
  request: CollectRequest & { workspace: Workspace },
): Promise<Collected> {
  const { workspace } = request
  const branch = safeBranch(request.branch)
  const target = `refs/orch/${safeName(workspace.task, 'task id')}/${safeName(request.n, 'number')}`
  const tree = workspace.path
  const broken = await brokenGitDir(tree)
  if (broken !== null)
    throw notFound(
      `The agent ${broken}, so no commit of ${workspace.task} can be taken out; the next run gets a new workspace`,
    )
  const places = taskPlaces(context, workspace.task)
  const fallback = firstMemory(mirror, { branch, baseBranch: 'main', baseSha: request.baseSha })
  const memory: Memory = (await readMemory(context, places.memory)) ?? fallback
  const gitDir = path.join(tree, '.git')
  const tampering = (await plantedIn(gitDir, gitDirFacts(memory))).filter(
    (sentence) => !memory.accepted.includes(sentence),
  )
  await cleanGitDir(gitDir, gitDirFacts(memory))
  const state = await lookAtTree(context, tree, memory)
  const branches = await listBranches(context, tree, memory)
  tampering.push(...strayBranches({ memory, branch, branches, checkedOut: state.branch }))
  if (!branches.has(`refs/heads/${branch}`)) {
    throw notFound(
      `The branch ${branch} is gone from the workspace of ${workspace.task}, so no commit can be taken out`,
    )
  }
  const leftovers =
    state.branch === branch &&
    state.changed.length > 0 &&
    (await commitLeftovers(context, { tree, memory, request, tampering }))
  await takeOut(context, { mirror, tree, memory, branch, target })
  const { stdout } = await git(`look up ${target}`, {
    args: [`--git-dir=${mirror.path}`, 'rev-parse', '--verify', `${target}^{commit}`],
    env: isolatedGitEnv(context.env),
  })
  await writeMemory(places.memory, { ...memory, branches: otherBranches(branches, branch) })
  return { headSha: stdout.trim(), leftovers, tampering }
}

const notFound = (message: string): ExternalError =>
  new ExternalError({ system: 'workspace', kind: 'not-found', message })

function otherBranches(branches: Map<string, string>, own: string): Record<string, string> {
  return Object.fromEntries(
    [...branches].filter(([ref]) => ref !== `refs/heads/${own}` && ref.startsWith('refs/heads/')),
  )
}

function strayBranches(request: {
  memory: Memory
  branch: string
  branches: Map<string, string>
  checkedOut: string | null
}): string[] {
  const { memory, branch, branches, checkedOut } = request
  const sentences: string[] = []
  if (checkedOut !== branch)
    sentences.push(`The agent left ${checkedOut ?? 'a detached head'} checked out; only commits on ${branch} count.`)
  for (const [ref, sha] of Object.entries(otherBranches(branches, branch))) {
    if (memory.branches[ref] !== sha)
      sentences.push(
        `The agent made or moved the branch ${ref.slice('refs/heads/'.length)} in its workspace; it was ignored.`,
      )
  }
  const base = `refs/remotes/origin/${memory.base.branch}`
  if (branches.get(base) !== memory.base.sha)
    sentences.push(`The agent moved its copy of origin/${memory.base.branch}; it was ignored.`)
  return sentences
}

/** Commits what is uncommitted and unignored; true when there was something to commit. */
async function commitLeftovers(
  context: Context,
  request: { tree: string; memory: Memory; request: CollectRequest; tampering: string[] },
): Promise<boolean> {
  const { tree, memory, tampering } = request
  const { identity, message } = request.request
  const common = gitIn(context, tree, memory)
  const added = await sandboxedGit(context.sandbox, 'add what the agent left uncommitted', {
    ...common,
    args: [
      '-c',
      'advice.addEmbeddedRepo=false',
      'add',
      '--all',
      '--ignore-errors',
      ...(memory.sparse.length > 0 ? ['--sparse'] : []),
    ],
    okCodes: [0, 1, 128],
  })
  if (added.exitCode !== 0) {
    const why = added.stderr.trim().split('\n')[0] ?? ''
    if (/No space left/.test(added.stderr))
      throw new ExternalError({
        system: 'git',
        kind: 'disk-full',
        message: `Could not add what the agent left uncommitted: ${why}`,
      })
    tampering.push(`Some files the agent left could not be added: ${why}.`)
  }
  const staged = await sandboxedGit(context.sandbox, 'see what is staged', {
    ...common,
    args: ['diff', '--cached', '--quiet', '--ignore-submodules=dirty'],
    okCodes: [0, 1],
  })
  if (staged.exitCode === 0) return false
  await sandboxedGit(context.sandbox, 'commit what the agent left uncommitted', {
    ...common,
    args: [
      '-c',
      'commit.gpgSign=false',
      'commit',
      '--quiet',
      '--no-verify',
      '--no-gpg-sign',
      '--cleanup=whitespace',
      '-F',
      '-',
    ],
    input: message,
    env: { ...identityEnv('AUTHOR', identity), ...identityEnv('COMMITTER', identity) },
  })
  return true
}

/** The mirror fetches from the workspace; every object is checked on its way in. */
async function takeOut(
  context: Context,
  request: { mirror: Mirror; tree: string; memory: Memory; branch: string; target: string },
): Promise<void> {
  const { mirror, tree, memory, branch, target } = request
  const env = agentGitEnv(context.env, tree)
  delete env['GIT_DIR']
  delete env['GIT_WORK_TREE']
  const wrapped = context.sandbox.wrap({
    argv: [
      'env',
      '-i',
      ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
      'git',
      ...SAFE_OPTIONS,
      'upload-pack',
      '--strict',
    ],
    cwd: tree,
    env,
    writable: [],
    readable: [tree, path.join(memory.mirror, 'objects')],
    masked: mirror.masked,
    network: false,
  })
  await fetchInto(
    { folder: mirror.path },
    {
      what: `take the commits of ${branch} out of the workspace`,
      options: ['-c', 'transfer.fsckObjects=true', '-c', 'fetch.fsckObjects=true'],
      args: [
        '--no-tags',
        '--upload-pack',
        [wrapped.file, ...wrapped.args].map(shellQuoted).join(' '),
        '--',
        path.join(tree, '.git'),
        `+refs/heads/${branch}:${target}`,
      ],
      env: isolatedGitEnv(context.env),
    },
  )
}

const shellQuoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`
