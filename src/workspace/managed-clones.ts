// Clones that Orch makes for projects that were named by their address, below ORCH_HOME. They are made whole or not at all,
// moved along with the base, and taken away only where they hold nothing of a person's.

import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, rename, rm, rmdir } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import { ExternalError } from '../lib/errors.ts'
import { waysOfUser } from './clone.ts'
import { REMOTE_LIMIT_MS, git, remoteGitEnv, runGit, withoutCredentials } from './git.ts'
import { lentConfig } from './lent.ts'
import type { LendCredential, ManagedClones } from './workspace.ts'

/** `env` is the user's: it is their credentials that reach the remote, or else what is lent. */
export function makeManagedClones(options: {
  home: string
  env: NodeJS.ProcessEnv
  lend?: LendCredential
}): ManagedClones {
  const { home, env, lend } = options
  const root = join(home, 'clones')
  const user = remoteGitEnv(env, [], { sshChosen: false })
  const isManaged = (dir: string): boolean => dir.startsWith(root + sep)
  const ask = async (dir: string, args: string[]): Promise<string | null> => {
    const result = await runGit({ args: ['-C', dir, ...args], env: user })
    return result.outcome === 'exited' && result.exitCode === 0 ? result.stdout.trim() : null
  }
  /** What `git status` shows, and commits that are on no branch of the remote. Unreadable counts as held. */
  const holdsWork = async (dir: string): Promise<boolean> => {
    const changed = await ask(dir, ['status', '--porcelain', '--untracked-files=all'])
    const ahead = await ask(dir, ['rev-list', '--max-count=1', '--branches', '--not', '--remotes'])
    const stashed = await ask(dir, ['stash', 'list'])
    return [changed, ahead, stashed].some((said) => said !== '')
  }
  return {
    isManaged,
    placeFor: (parts) => join(root, ...parts),
    async make({ address, dir }) {
      if (existsSync(dir)) {
        if ((await ask(dir, ['config', '--get', 'remote.origin.url'])) === address) return 'existed'
        const message = `Could not clone ${withoutCredentials(address)}: ${dir} is there already and is a clone of something else; move it away`
        throw new ExternalError({ system: 'disk', kind: 'rejected', message })
      }
      const draft = join(root, `.new-${randomUUID()}`)
      try {
        await mkdir(root, { recursive: true, mode: 0o700 })
        const args = ['clone', '--quiet', '--origin', 'origin', '--', address, draft]
        const lent = await lentConfig(lend, address, await waysOfUser(env))
        const reaching = remoteGitEnv(env, lent, { sshChosen: false })
        await git(`clone ${withoutCredentials(address)}`, { args, env: reaching, timeoutMs: REMOTE_LIMIT_MS })
        await mkdir(dirname(dir), { recursive: true, mode: 0o700 })
        await rename(draft, dir)
        return 'made'
      } finally {
        await rm(draft, { recursive: true, force: true })
      }
    },
    async moveAlong(dir, address) {
      if (!isManaged(dir)) return
      await git('give the clone its new address', {
        args: ['-C', dir, 'remote', 'set-url', 'origin', address],
        env: user,
      })
    },
    async catchUp({ dir, from, sha }) {
      if (!isManaged(dir) || (await ask(dir, ['rev-parse', 'HEAD'])) === sha) return
      if (await holdsWork(dir)) return
      // From the mirror, which has it already: the remote is not asked again.
      await git('bring the clone up to date', { args: ['-C', dir, 'fetch', '--quiet', '--', from, sha], env: user })
      await git('bring the clone up to date', { args: ['-C', dir, 'reset', '--quiet', '--hard', sha], env: user })
    },
    async remove(dir) {
      if (!isManaged(dir) || !existsSync(dir) || (await holdsWork(dir))) return false
      await rm(dir, { recursive: true, force: true })
      // Folders of hosts and owners go with their last clone.
      for (let above = dirname(dir); isManaged(above); above = dirname(above)) {
        if (
          !(await rmdir(above).then(
            () => true,
            () => false,
          ))
        )
          break
      }
      return true
    },
  }
}
