// The mirror and its remote: asking, fetching the base, pushing with a lease.
// Invariant: the base branch only ever moves to a descendant of where it is expected to be; nothing is forced beyond a lease.

import { access as checkAccess, constants } from 'node:fs/promises'
import path from 'node:path'
import { ExternalError, messageOf } from '../lib/errors.ts'
import type { ProcessResult } from '../lib/process.ts'
import { classifyGitText, gitError, lastLines, REMOTE_LIMIT_MS, runGit, withoutCredentials } from './git.ts'
import { type MirrorAccess, mirrorGit, whenUnlocked } from './mirror-access.ts'
import { safeBranch, safeSha } from './places.ts'
import type { Mirror, PushResult } from './workspace.ts'

export type MirrorRemote = Pick<Mirror, 'fetchBase' | 'remoteBranches' | 'push' | 'deleteBranch' | 'canPush'>

/** Asking for refs answers in seconds or not at all. */
const ASK_LIMIT_MS = 60_000

/** The remote half of a mirror. */
export function makeMirrorRemote(access: MirrorAccess): MirrorRemote {
  return {
    fetchBase: (base) => fetchBase(access, base),
    async remoteBranches(prefix) {
      const refs = await listRemote(access, [`refs/heads/${prefix}*`])
      const found = [...refs.shas].filter(([name]) => name.startsWith(`refs/heads/${prefix}`))
      return new Map(found.map(([name, sha]) => [name.slice('refs/heads/'.length), sha]))
    },
    push: (request) => push(access, request),
    deleteBranch: (request) => deleteBranch(access, request),
    canPush: (branch) => canPush(access, branch),
  }
}

interface RemoteRefs {
  head: string | null
  shas: Map<string, string>
}

async function listRemote(access: MirrorAccess, patterns: string[]): Promise<RemoteRefs> {
  const what = `ask ${withoutCredentials(access.address)} for its branches`
  const result = await runGit({
    args: [`--git-dir=${access.folder}`, 'ls-remote', '--symref', '--', access.address, ...patterns],
    env: access.remote,
    timeoutMs: ASK_LIMIT_MS,
  })
  if (result.outcome !== 'exited' || result.exitCode !== 0) throw gitError(what, result)
  const refs: RemoteRefs = { head: null, shas: new Map() }
  for (const line of result.stdout.split('\n')) {
    const [value = '', name = ''] = line.split('\t')
    if (value.startsWith('ref: ') && name === 'HEAD') refs.head = value.slice('ref: '.length)
    else if (/^[0-9a-f]{40,64}$/.test(value)) refs.shas.set(name, value)
  }
  return refs
}

async function fetchBase(access: MirrorAccess, base: string | null): Promise<{ branch: string; sha: string }> {
  const branch = base === null ? await defaultBranch(access) : safeBranch(base)
  const refs = await listRemote(access, [`refs/heads/${branch}`])
  const there = refs.shas.get(`refs/heads/${branch}`)
  if (!there) throw await missingBase(access, branch)
  const tracking = `refs/remotes/origin/${branch}`
  if ((await resolve(access, tracking)) !== there) await fetchBranch(access, branch, tracking)
  const sha = await resolve(access, tracking)
  if (!sha)
    throw new ExternalError({
      system: 'git',
      kind: 'not-found',
      message: `Could not fetch ${branch}: git ended well but ${tracking} is not there`,
    })
  await mirrorGit(access, 'remember the base', { args: ['symbolic-ref', 'refs/remotes/origin/HEAD', tracking] })
  return { branch, sha }
}

/** The remote's HEAD; where that names a branch nobody pushed, the only branch, or the usual name. */
async function defaultBranch(access: MirrorAccess): Promise<string> {
  const refs = await listRemote(access, ['HEAD', 'refs/heads/*'])
  const branches = [...refs.shas.keys()]
    .filter((name) => name.startsWith('refs/heads/'))
    .map((name) => name.slice('refs/heads/'.length))
  if (refs.head && refs.shas.has('HEAD')) return safeBranch(refs.head.slice('refs/heads/'.length))
  if (branches.length === 0) throw emptyOrigin(access)
  const likely = branches.length === 1 ? branches[0] : ['main', 'master'].find((name) => branches.includes(name))
  if (likely) return safeBranch(likely)
  const message = `${withoutCredentials(access.address)} does not say which branch is its main one; write \`base: NAME\` in .orch.yml`
  throw new ExternalError({ system: 'git', kind: 'not-found', message })
}

async function missingBase(access: MirrorAccess, branch: string): Promise<ExternalError> {
  const all = await listRemote(access, ['refs/heads/*'])
  if (all.shas.size === 0) return emptyOrigin(access)
  const message = `${withoutCredentials(access.address)} has no branch ${branch}; push it, or write another \`base\` in .orch.yml`
  return new ExternalError({ system: 'git', kind: 'not-found', message })
}

function emptyOrigin(access: MirrorAccess): ExternalError {
  const message = `${withoutCredentials(access.address)} has no commit yet; push a first one (\`git push -u origin main\`)`
  return new ExternalError({ system: 'git', kind: 'empty-origin', message })
}

async function fetchBranch(access: MirrorAccess, branch: string, tracking: string): Promise<void> {
  await fetchInto(access, {
    what: `fetch ${branch} from ${withoutCredentials(access.address)}`,
    args: ['--', access.address, `+refs/heads/${branch}:${tracking}`],
    env: access.remote,
  })
}

/** Fetches into the mirror. */
export async function fetchInto(
  access: Pick<MirrorAccess, 'folder'>,
  request: { what: string; args: string[]; env: Record<string, string>; options?: string[] },
): Promise<void> {
  const args = [
    `--git-dir=${access.folder}`,
    ...(request.options ?? []),
    'fetch',
    '--quiet',
    '--no-write-fetch-head',
    '--no-auto-maintenance',
    '--no-prune',
    '--no-recurse-submodules',
    ...request.args,
  ]
  const result = await whenUnlocked(access.folder, () => runGit({ args, env: request.env, timeoutMs: REMOTE_LIMIT_MS }))
  if (result.outcome !== 'exited' || result.exitCode !== 0) throw gitError(request.what, result)
}

async function resolve(access: MirrorAccess, ref: string): Promise<string | null> {
  const result = await mirrorGit(access, `look up ${ref}`, {
    args: ['rev-parse', '--quiet', '--verify', `${ref}^{commit}`],
    okCodes: [0, 1, 128],
  })
  return result.stdout.trim() || null
}

/** The branch that was fetched as the base, or null before the first fetch. */
async function knownBase(access: MirrorAccess): Promise<string | null> {
  const result = await mirrorGit(access, 'look up the base', {
    args: ['symbolic-ref', '--quiet', 'refs/remotes/origin/HEAD'],
    okCodes: [0, 1, 128],
  })
  return result.stdout.trim().replace(/^refs\/remotes\/origin\//, '') || null
}

async function push(
  access: MirrorAccess,
  request: { sha: string; branch: string; expected: string | null },
): Promise<PushResult> {
  const { expected } = request
  const branch = safeBranch(request.branch)
  const sha = safeSha(request.sha)
  if (branch === (await knownBase(access))) {
    const onward = expected !== null && (await isDescendant(access, safeSha(expected), sha))
    if (!onward)
      return {
        ok: false,
        because: 'refused',
        text: `${branch} is the base and may only move onward; ${sha} does not follow ${expected ?? 'nothing'}`,
      }
  }
  const lease = `--force-with-lease=refs/heads/${branch}:${expected === null ? '' : safeSha(expected)}`
  return pushRefs(access, [lease, '--', access.address, `${sha}:refs/heads/${branch}`])
}

async function isDescendant(access: MirrorAccess, ancestor: string, sha: string): Promise<boolean> {
  const args = ['merge-base', '--is-ancestor', ancestor, sha]
  const result = await mirrorGit(access, `compare ${ancestor} with ${sha}`, { args, okCodes: [0, 1, 128] })
  return result.exitCode === 0
}

async function deleteBranch(access: MirrorAccess, request: { branch: string; expected: string }): Promise<PushResult> {
  const branch = safeBranch(request.branch)
  if (branch === (await knownBase(access)))
    return { ok: false, because: 'refused', text: `${branch} is the base; Orch never deletes it` }
  try {
    const refs = await listRemote(access, [`refs/heads/${branch}`])
    if (!refs.shas.has(`refs/heads/${branch}`)) return { ok: true }
  } catch (error) {
    return {
      ok: false,
      because: error instanceof ExternalError && error.kind === 'auth' ? 'auth' : 'unreachable',
      text: messageOf(error),
    }
  }
  return pushRefs(access, [
    `--force-with-lease=refs/heads/${branch}:${safeSha(request.expected)}`,
    '--',
    access.address,
    `:refs/heads/${branch}`,
  ])
}

async function canPush(access: MirrorAccess, branch: string): Promise<PushResult> {
  const base = await resolve(access, 'refs/remotes/origin/HEAD')
  if (!base) return { ok: false, because: 'unreachable', text: 'The base was not fetched yet; fetch it first' }
  if (access.address.startsWith('/')) {
    // A dry run does not write, so it can't notice a folder that is read-only.
    const bare = await checkAccess(path.join(access.address, 'objects')).then(
      () => true,
      () => false,
    )
    const objects = path.join(access.address, bare ? 'objects' : '.git/objects')
    const writable = await checkAccess(objects, constants.W_OK).then(
      () => true,
      () => false,
    )
    if (!writable) return { ok: false, because: 'refused', text: `${access.address} can't be written by this user` }
  }
  return pushRefs(access, ['--dry-run', '--', access.address, `+${base}:refs/heads/${safeBranch(branch)}`])
}

async function pushRefs(access: MirrorAccess, args: string[]): Promise<PushResult> {
  const result = await runGit({
    args: [
      `--git-dir=${access.folder}`,
      '-c',
      'push.gpgSign=false',
      '-c',
      'push.followTags=false',
      'push',
      '--porcelain',
      '--no-verify',
      '--recurse-submodules=no',
      ...args,
    ],
    env: access.remote,
    timeoutMs: REMOTE_LIMIT_MS,
  })
  return readPush(result)
}

/** Reads `git push --porcelain`: one line a ref, `<flag>\t<from>:<to>\t<summary> (<reason>)`. */
function readPush(result: ProcessResult): PushResult {
  if (result.outcome === 'exited' && result.exitCode === 0) return { ok: true }
  const line = result.stdout.split('\n').find((candidate) => candidate.startsWith('!\t'))
  const said = lastLines([remoteWords(result.stderr), line?.split('\t')[2] ?? ''].filter(Boolean).join('\n'))
  if (line) {
    const summary = line.split('\t')[2] ?? ''
    if (summary.startsWith('[rejected]')) return { ok: false, because: 'moved', text: said }
    // The remote lost a race of its own: the ref was moved between its answer and our update.
    if (
      /cannot lock ref|reference already exists|failed to update ref|incorrect old value|fetch first|stale info/.test(
        summary,
      )
    ) {
      return { ok: false, because: 'moved', text: said }
    }
    if (summary.startsWith('[remote rejected]')) return { ok: false, because: 'refused', text: said }
  }
  if (result.outcome === 'timed-out')
    return { ok: false, because: 'unreachable', text: 'git push did not end within its time limit' }
  const kind = classifyGitText(result.stderr)
  const text = lastLines(result.stderr || result.stdout)
  if (kind === 'auth') return { ok: false, because: 'auth', text }
  if (kind === 'unreachable' || kind === 'not-found') return { ok: false, because: 'unreachable', text }
  if (kind === 'disk-full' || result.outcome !== 'exited') throw gitError('push', result)
  return { ok: false, because: 'refused', text }
}

/** What the remote itself wrote, e.g. a hook's reason. */
function remoteWords(stderr: string): string {
  return stderr
    .split('\n')
    .filter((line) => line.startsWith('remote:'))
    .map((line) => line.slice('remote:'.length).trim())
    .filter(Boolean)
    .slice(-4)
    .join('\n')
}
