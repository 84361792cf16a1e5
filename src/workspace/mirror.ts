// The mirror: one bare repository per project, owned by the engine, with everything that was ever fetched, collected or pinned.
// It talks to the remote with the user's credentials and reads itself with no configuration but its own.
// Invariant: no automatic gc, no prune, so that a workspace that borrows its objects can't lose any; no agent can write here.

import { existsSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { ExternalError } from '../lib/errors.ts'
import { type CloneFacts, readClone, remoteAddress } from './clone.ts'
import { git, isolatedGitEnv, remoteGitEnv } from './git.ts'
import { lentConfig } from './lent.ts'
import { mirrorGit, type MirrorAccess } from './mirror-access.ts'
import { makeMirrorReader } from './mirror-read.ts'
import { makeMirrorRemote } from './mirror-remote.ts'
import { safeName } from './places.ts'
import type { LendCredential, Mirror } from './workspace.ts'

export interface MirrorProject {
  id: string
  /** The registered clone: its git configuration, identity and relative remotes are honoured. */
  path: string
  remote: string
}

interface MirrorRequest {
  home: string
  env: NodeJS.ProcessEnv
  lend?: LendCredential | undefined
  project: MirrorProject
}

/** Opens the project's mirror and makes it when it isn't there. Safe to call as often as wanted, also from two processes. */
export async function openMirror(request: MirrorRequest): Promise<Mirror> {
  const { access, clone } = await openAccess(request)
  const { folder, address } = access
  return {
    path: folder,
    masked: [...clone.places, ...(address.startsWith('/') ? [address] : [])].filter((place) => existsSync(place)),
    identity: clone.identity,
    ...makeMirrorReader(access),
    ...makeMirrorRemote(access),
    pin: (ref, sha) => pin(access, ref, sha),
    listPins: async () => {
      const args = ['for-each-ref', '--format=%(refname)', 'refs/orch/']
      return (await mirrorGit(access, 'list what is pinned', { args })).stdout.split('\n').filter(Boolean)
    },
  }
}

/** How the project's mirror is reached. Makes it when it isn't there. */
export async function openAccess(request: MirrorRequest): Promise<{ access: MirrorAccess; clone: CloneFacts }> {
  const { home, env, project, lend } = request
  const folder = mirrorFolder(home, project.id)
  const clone = await readClone(project.path, env)
  const address = remoteAddress(project.remote, project.path)
  const local = isolatedGitEnv(env)
  if (!existsSync(path.join(folder, 'HEAD'))) await makeMirror(folder, local)
  const lent = await lentConfig(lend, address, clone.ownWays)
  const remote = remoteGitEnv(env, [...clone.config, ...lent], { sshChosen: clone.sshChosen })
  return { access: { folder, local, remote, address }, clone }
}

/** Where the mirror of a project is or would be. */
export function mirrorFolder(home: string, project: string): string {
  return path.join(home, 'mirrors', `${safeName(project, 'project id')}.git`)
}

async function makeMirror(folder: string, env: Record<string, string>): Promise<void> {
  await mkdir(path.dirname(folder), { recursive: true, mode: 0o700 })
  // Made beside its place and renamed, so that a crash leaves no half of it.
  const draft = `${folder}.new-${process.pid}-${Math.random().toString(36).slice(2, 8)}`
  await git('make the mirror', { args: ['init', '--quiet', '--bare', '--template=', draft], env })
  await writeFile(path.join(draft, 'config'), CONFIG)
  try {
    await rename(draft, folder)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    if (!existsSync(path.join(folder, 'HEAD'))) {
      throw new ExternalError({
        system: 'disk',
        kind: 'rejected',
        message: `Could not make the mirror at ${folder}; check the rights of its folder`,
        cause: error,
      })
    }
  }
}

const CONFIG = `[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = true
\tlogAllRefUpdates = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
[receive]
\tautogc = false
`

async function pin(access: MirrorAccess, ref: string, sha: string): Promise<void> {
  if (!/^refs\/orch\/[A-Za-z0-9._/-]+$/.test(ref) || ref.includes('..')) {
    throw new ExternalError({
      system: 'git',
      kind: 'rejected',
      message: `Could not pin ${sha}: ${ref} is not a name under refs/orch/`,
    })
  }
  await mirrorGit(access, `pin ${sha} as ${ref}`, { args: ['update-ref', ref, sha] })
}
