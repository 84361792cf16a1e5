// What `init` and `doctor` need to know of a user's own clone, asked of git with the user's own configuration.
// No agent can write to that clone; hooks and fsmonitor stay off all the same.

import { readFile, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import type { ProcessResult } from '../lib/process.ts'
import { readClone } from './clone.ts'
import { gitError, lastLines, remoteGitEnv, runGit } from './git.ts'
import { tryGit } from './git-features.ts'
import { lentConfig } from './lent.ts'
import type { LendCredential, RepositoryFacts } from './workspace.ts'

/** A remote that takes longer to list its branches can't be worked with. */
const ASK_LIMIT_MS = 60_000
const LOOK_LIMIT_MS = 15_000

/** Makes the facts' source. `env` is the user's environment; `lend` is for whoever has no way of their own to the remote. */
export function makeRepositoryFacts(env: NodeJS.ProcessEnv, lend?: LendCredential): RepositoryFacts {
  // An ssh command of the clone's own is left to ssh's batch mode unless the user's configuration names one.
  const ask = (root: string | null, args: string[], timeoutMs = LOOK_LIMIT_MS): Promise<ProcessResult> =>
    runGit({
      args: [...(root === null ? [] : ['-C', root]), ...args],
      env: remoteGitEnv(env, [], { sshChosen: false }),
      timeoutMs,
    })
  const configOf = async (root: string, args: string[]): Promise<string | null> => {
    const result = await ask(root, ['config', ...args])
    return ended(result, 0) ? result.stdout.trim() : null
  }
  return {
    async gitVersion() {
      const result = await ask(null, ['--version'])
      return ended(result, 0) ? (/\d+\.\d+(?:\.\d+)*/.exec(result.stdout)?.[0] ?? null) : null
    },
    tryGit: () => tryGit(env),
    async findRoot(dir) {
      const result = await ask(dir, ['rev-parse', '--show-toplevel'])
      if (!ended(result, 0)) return { ok: false, text: lastLines(result.stderr) }
      const root = result.stdout.replace(/\n$/, '')
      return { ok: true, root: await realpath(root) }
    },
    originOf: (root) => configOf(root, ['--get', 'remote.origin.url']),
    async probeOrigin(root) {
      const { ownWays } = await readClone(root, env)
      const origin = await configOf(root, ['--get', 'remote.origin.url'])
      const lent = await lentConfig(lend, origin ?? '', ownWays)
      const result = await runGit({
        args: ['-C', root, 'ls-remote', '--heads', '--', 'origin'],
        env: remoteGitEnv(env, lent, { sshChosen: false }),
        timeoutMs: ASK_LIMIT_MS,
      })
      if (!ended(result, 0)) return { state: 'failed', text: gitError('ask origin for its branches', result).message }
      const branches = result.stdout.split('\n').filter((line) => line !== '').length
      return branches === 0 ? { state: 'empty' } : { state: 'ok', branches }
    },
    async unsupported(root) {
      const attributes = await ask(root, ['ls-files', '-z', '--', '.gitattributes', '**/.gitattributes'])
      const files = ended(attributes, 0) ? attributes.stdout.split('\0').filter((file) => file !== '') : []
      const signs = await configOf(root, ['--type=bool', '--get', 'commit.gpgsign'])
      const links = await ask(root, ['ls-files', '-z', '--', '.gitmodules'])
      return {
        lfs: await firstWith(root, files, /\bfilter=lfs\b/),
        submodules: ended(links, 0) && links.stdout !== '' ? '.gitmodules' : null,
        signatures: signs === 'true' ? 'commit.gpgsign is true' : null,
      }
    },
  }
}

function ended(result: ProcessResult, exitCode: number): boolean {
  return result.outcome === 'exited' && result.exitCode === exitCode
}

async function firstWith(root: string, files: string[], pattern: RegExp): Promise<string | null> {
  for (const file of files) {
    const text = await readFile(join(root, file), 'utf8').catch(() => '')
    if (pattern.test(text)) return file
  }
  return null
}
