// What only the mirror has: work that was collected and not yet pushed, taken out into a file and taken in again;
// and what the base says of the tasks that were landed on it.
// Invariant: a ref that is there is never moved by what comes from a file.

import { existsSync } from 'node:fs'
import { ExternalError } from '../lib/errors.ts'
import { LOCAL_LIMIT_MS, gitError, runGit } from './git.ts'
import { type MirrorAccess, mirrorGit } from './mirror-access.ts'
import { makeMirrorRemote } from './mirror-remote.ts'
import { mirrorFolder, openAccess } from './mirror.ts'
import type { MirrorOf, WorkKeeper } from './workspace.ts'

/** A bundle of a large repository's unpushed work is written at the disk's pace. */
const BUNDLE_LIMIT_MS = 5 * LOCAL_LIMIT_MS

/** The one implementation of WorkKeeper, on the mirrors of one ORCH_HOME. */
export function makeWorkKeeper({ home, env }: { home: string; env: NodeJS.ProcessEnv }): WorkKeeper {
  const at = async (project: MirrorOf): Promise<MirrorAccess> => (await openAccess({ home, env, project })).access
  return {
    async bundle(project, file) {
      // A project that never had a task has no mirror, and nothing in it.
      return existsSync(mirrorFolder(home, project.id)) && bundleWork(await at(project), file)
    },
    async take(project, file) {
      const access = await at(project)
      // What the work is based on comes from origin; without it git takes nothing in.
      await makeMirrorRemote(access).fetchBase(null)
      return takeWork(access, file)
    },
    async landings(project, { base, since }) {
      const access = await at(project)
      const { sha } = await makeMirrorRemote(access).fetchBase(base)
      return landings(access, { sha, since })
    },
  }
}

async function bundleWork(access: MirrorAccess, file: string): Promise<boolean> {
  const refs = await workRefs(access)
  if (refs.size === 0) return false
  const result = await runGit({
    args: [`--git-dir=${access.folder}`, 'bundle', 'create', '--quiet', file, '--stdin', '--not', '--remotes=origin'],
    input: [...refs.keys()].map((ref) => `${ref}\n`).join(''),
    env: access.local,
    timeoutMs: BUNDLE_LIMIT_MS,
  })
  if (result.outcome === 'exited' && result.exitCode === 0) return true
  // The C locale's words for: all of it is at origin.
  if (result.outcome === 'exited' && /Refusing to create empty bundle/.test(result.stderr)) return false
  throw gitError(`bundle the work in ${access.folder}`, result)
}

async function takeWork(access: MirrorAccess, file: string): Promise<number> {
  const heads = (await mirrorGit(access, `read ${file}`, { args: ['bundle', 'list-heads', file] })).stdout
  const offered = parseRefs(heads).filter(([ref]) => /^refs\/orch\/[A-Za-z0-9._/-]+$/.test(ref) && !ref.includes('..'))
  if (offered.length === 0) return 0
  const result = await runGit({
    args: [
      `--git-dir=${access.folder}`,
      'fetch',
      '--quiet',
      '--no-write-fetch-head',
      '--no-auto-maintenance',
      '--no-recurse-submodules',
      '--no-tags',
      '--stdin',
      file,
    ],
    input: offered.map(([ref]) => `${ref}\n`).join(''),
    env: access.local,
    timeoutMs: BUNDLE_LIMIT_MS,
  })
  if (result.outcome !== 'exited' || result.exitCode !== 0) {
    if (/lacks? these prerequisite commits/.test(result.stderr)) {
      const message = `Could not take the work in ${file} into ${access.folder}: origin lacks commits that it was based on`
      throw new ExternalError({ system: 'git', kind: 'rejected', message })
    }
    throw gitError(`take the work in ${file}`, result)
  }
  const present = await workRefs(access)
  const missing = offered.filter(([ref]) => !present.has(ref))
  if (missing.length === 0) return 0
  await mirrorGit(access, `name the work in ${file}`, {
    args: ['update-ref', '--stdin'],
    input: missing.map(([ref, sha]) => `create ${ref} ${sha}\n`).join(''),
  })
  return missing.length
}

async function workRefs(access: MirrorAccess): Promise<Map<string, string>> {
  const args = ['for-each-ref', '--format=%(objectname) %(refname)', 'refs/orch/']
  return new Map(parseRefs((await mirrorGit(access, 'list the work', { args })).stdout))
}

/** Lines of `sha ref`, as pairs of ref and sha. */
function parseRefs(text: string): [string, string][] {
  return text
    .split('\n')
    .map((line) => line.split(' '))
    .flatMap(([sha = '', ref = '']) => (/^[0-9a-f]{40,64}$/.test(sha) && ref ? [[ref, sha] as [string, string]] : []))
}

/** Only the base's own commits count: those of a branch, an agent's among them, come in behind a merge. */
async function landings(
  access: MirrorAccess,
  { sha, since }: { sha: string; since: number },
): Promise<Map<string, string>> {
  const args = [
    'log',
    '--first-parent',
    `--since=@${Math.floor(since / 1_000)}`,
    '--format=%H %cn <%ce>%x00%(trailers:key=Orch-Task,valueonly,separator=%x2C)',
    '--grep=^Orch-Task: ',
    sha,
  ]
  const { stdout } = await mirrorGit(access, `look for landings on ${sha}`, { args })
  const found = new Map<string, string>()
  for (const line of stdout.split('\n')) {
    const [commit = '', task = ''] = line.split('\0')
    const [id = '', ...committer] = commit.split(' ')
    if (committer.join(' ') === 'Orch <orch@localhost>' && /^[A-Z][A-Z0-9]*-\d+$/.test(task)) found.set(task, id)
  }
  return found
}
