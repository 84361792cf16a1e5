// Reading the mirror: files, diffs, ancestry, merges in memory. No checkout, no network, no configuration but the mirror's.

import { ExternalError } from '../lib/errors.ts'
import { git, gitError, runGit } from './git.ts'
import { type MirrorAccess, mirrorGit } from './mirror-access.ts'
import { parseDiff } from './mirror-diff.ts'
import { safeSha } from './places.ts'
import type { CommitInfo, MergeCommitRequest, Mirror } from './workspace.ts'

export type MirrorReader = Pick<
  Mirror,
  | 'readFile'
  | 'listFiles'
  | 'treeOf'
  | 'mergeBase'
  | 'isAncestor'
  | 'diffFiles'
  | 'diffText'
  | 'commitsBetween'
  | 'mainline'
  | 'holdsText'
  | 'mergeTree'
  | 'commitTree'
>

/** A file that configures or instructs is small; more than this is a mistake or an attack. */
const FILE_LIMIT_BYTES = 1 << 20

/** The reading half of a mirror. */
export function makeMirrorReader(access: MirrorAccess): MirrorReader {
  const text = async (what: string, args: string[]): Promise<string> => (await mirrorGit(access, what, { args })).stdout
  return {
    readFile: async (sha, file) => readFile(access, safeSha(sha), file),
    listFiles: async (sha, dir) => listFiles(access, safeSha(sha), dir),
    treeOf: async (sha) =>
      (
        await text(`find the tree of ${sha}`, ['rev-parse', '--verify', '--end-of-options', `${safeSha(sha)}^{tree}`])
      ).trim(),
    async mergeBase(a, b) {
      const result = await mirrorGit(access, `find the merge base of ${a} and ${b}`, {
        args: ['merge-base', safeSha(a), safeSha(b)],
        okCodes: [0, 1],
      })
      return result.stdout.trim() || null
    },
    async isAncestor(ancestor, descendant) {
      const args = ['merge-base', '--is-ancestor', safeSha(ancestor), safeSha(descendant)]
      const result = await mirrorGit(access, `compare ${ancestor} with ${descendant}`, { args, okCodes: [0, 1] })
      return result.exitCode === 0
    },
    async diffFiles(base, head) {
      const args = [
        'diff-tree',
        '-r',
        '-z',
        '-M',
        '--raw',
        '--numstat',
        '--no-ext-diff',
        '--no-textconv',
        safeSha(base),
        safeSha(head),
      ]
      return parseDiff(await text(`compare ${base} with ${head}`, args))
    },
    diffText: async (base, head, options) => diffText(access, { base: safeSha(base), head: safeSha(head), ...options }),
    async commitsBetween(base, head) {
      const args = [
        'log',
        '-z',
        '--reverse',
        '--topo-order',
        '--encoding=UTF-8',
        '--format=%H%n%an%n%ae%n%s%n%B',
        `${safeSha(base)}..${safeSha(head)}`,
      ]
      return parseCommits(await text(`list the commits from ${base} to ${head}`, args))
    },
    async mainline(base, tip) {
      const args = ['rev-list', '--reverse', '--first-parent', `${safeSha(base)}..${safeSha(tip)}`]
      return (await text(`list what the branch was from ${base} to ${tip}`, args)).split('\n').filter(Boolean)
    },
    async holdsText(sha, needle) {
      const args = ['grep', '--quiet', '--fixed-strings', '-e', needle, safeSha(sha)]
      const result = await mirrorGit(access, `look for a marker in ${sha}`, { args, okCodes: [0, 1] })
      return result.exitCode === 0
    },
    mergeTree: async (ours, theirs) => mergeTree(access, safeSha(ours), safeSha(theirs)),
    commitTree: (request) => commitTree(access, request),
  }
}

interface TreeEntry {
  mode: string
  type: string
  sha: string
  size: number
  path: string
}

async function listTree(access: MirrorAccess, sha: string, place: string): Promise<TreeEntry[]> {
  const args = [
    '--literal-pathspecs',
    'ls-tree',
    '-z',
    '-l',
    '--full-tree',
    sha,
    ...(place === '' ? [] : ['--', place]),
  ]
  const result = await mirrorGit(access, `read ${place || 'the tree'} at ${sha}`, { args })
  return result.stdout
    .split('\0')
    .filter(Boolean)
    .map((line) => {
      const tab = line.indexOf('\t')
      const [mode = '', type = '', object = '', size = ''] = line.slice(0, tab).split(/ +/)
      return { mode, type, sha: object, size: Number(size), path: line.slice(tab + 1) }
    })
}

function checkedPath(file: string): string {
  const clean = file.replace(/^\.\//, '').replace(/\/+$/, '')
  if (!clean.startsWith('/') && !clean.includes('\0') && !clean.split('/').includes('..')) return clean
  throw new ExternalError({
    system: 'git',
    kind: 'rejected',
    message: `${JSON.stringify(file)} is not a path inside the repository`,
  })
}

async function readFile(access: MirrorAccess, sha: string, file: string): Promise<string | null> {
  const wanted = checkedPath(file)
  const entry = (await listTree(access, sha, wanted)).find((candidate) => candidate.path === wanted)
  if (entry?.type !== 'blob') return null
  const refuse = (why: string): ExternalError =>
    new ExternalError({
      system: 'git',
      kind: 'rejected',
      message: `Could not read ${wanted} at ${sha.slice(0, 12)}: ${why}`,
    })
  if (entry.mode === '120000') throw refuse('it is a link; put the file itself there')
  if (entry.size > FILE_LIMIT_BYTES) throw refuse(`it has ${entry.size} bytes, the limit is ${FILE_LIMIT_BYTES}`)
  return (await mirrorGit(access, `read ${wanted} at ${sha}`, { args: ['cat-file', 'blob', entry.sha] })).stdout
}

async function listFiles(access: MirrorAccess, sha: string, dir: string): Promise<string[]> {
  const folder = checkedPath(dir === '.' ? '' : dir)
  const entries = await listTree(access, sha, folder === '' ? '' : `${folder}/`)
  return entries
    .filter((entry) => entry.mode === '100644' || entry.mode === '100755')
    .map((entry) => (folder === '' ? entry.path : entry.path.slice(folder.length + 1)))
    .filter((name) => name !== '' && !name.includes('/'))
}

async function diffText(
  access: MirrorAccess,
  request: { base: string; head: string; maxBytes: number; contextLines?: number },
): Promise<string> {
  const { base, head, maxBytes } = request
  const what = `show the difference of ${base} and ${head}`
  const context = `--unified=${request.contextLines ?? 3}`
  // The sink keeps the first half of what it may keep, so twice the wanted size gives a whole beginning.
  const result = await runGit({
    args: [
      `--git-dir=${access.folder}`,
      'diff',
      '-M',
      '--no-color',
      '--no-ext-diff',
      '--no-textconv',
      context,
      base,
      head,
    ],
    env: access.local,
    outputCapBytes: 2 * maxBytes + 1024,
  })
  if (result.outcome !== 'exited' || result.exitCode !== 0) throw gitError(what, result)
  const bytes = Buffer.from(result.stdout)
  if (!result.truncated && bytes.length <= maxBytes) return result.stdout
  const kept = bytes.subarray(0, maxBytes).toString('utf8')
  const whole = kept.slice(0, kept.lastIndexOf('\n') + 1)
  return `${whole}[… the difference goes on; cut at ${maxBytes} bytes …]\n`
}

function parseCommits(output: string): CommitInfo[] {
  return output
    .split('\0')
    .filter(Boolean)
    .map((record) => {
      const [sha = '', authorName = '', authorEmail = '', subject = '', ...message] = record.split('\n')
      return { sha, subject, message: message.join('\n').trimEnd(), authorName, authorEmail }
    })
}

async function mergeTree(access: MirrorAccess, ours: string, theirs: string): ReturnType<Mirror['mergeTree']> {
  const result = await runGit({
    args: [
      `--git-dir=${access.folder}`,
      'merge-tree',
      '--write-tree',
      '--name-only',
      '--no-messages',
      '-z',
      ours,
      theirs,
    ],
    env: access.local,
  })
  const [tree = '', ...files] = result.stdout.split('\0')
  if (result.outcome === 'exited' && result.exitCode === 0) return { ok: true, tree: tree.trim() }
  if (result.outcome === 'exited' && result.exitCode === 1)
    return { ok: false, files: [...new Set(files.filter(Boolean))] }
  if (/unrelated histories/.test(result.stderr)) return { ok: false, files: [] }
  if (/usage: git merge-tree|unknown option/.test(result.stderr)) {
    const message = `Could not merge ${theirs.slice(0, 12)}: this git can't merge in memory; install git 2.38 or newer`
    throw new ExternalError({ system: 'git', kind: 'tool-missing', message })
  }
  throw gitError(`merge ${theirs} with ${ours}`, result)
}

async function commitTree(access: MirrorAccess, request: MergeCommitRequest): Promise<string> {
  const parents = request.parents.flatMap((parent) => ['-p', safeSha(parent)])
  const result = await git('make the merge commit', {
    args: [
      `--git-dir=${access.folder}`,
      '-c',
      'commit.gpgSign=false',
      'commit-tree',
      safeSha(request.tree),
      ...parents,
      '-F',
      '-',
    ],
    input: request.message.endsWith('\n') ? request.message : `${request.message}\n`,
    env: { ...access.local, ...identityEnv('AUTHOR', request.author), ...identityEnv('COMMITTER', request.committer) },
  })
  return result.stdout.trim()
}

/** Git refuses a name of nothing but punctuation, and drops angle brackets and line ends by itself. */
export function identityEnv(
  role: 'AUTHOR' | 'COMMITTER',
  who: { name: string; email: string },
): Record<string, string> {
  const name = who.name.replace(/[<>\n\r\0]/g, ' ').trim()
  const email = who.email.replace(/[<>\s\0]/g, '')
  return {
    [`GIT_${role}_NAME`]: /[\p{L}\p{N}]/u.test(name) ? name : 'unknown',
    [`GIT_${role}_EMAIL`]: email || 'unknown@localhost',
  }
}
