// What the registered clone says about talking to its remote: the user's own credentials, addresses and identity.
// The clone is the user's, no agent can write to it, so reading its configuration with plain git is safe.

import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { isolatedGitEnv, runGit } from './git.ts'
import type { Identity } from './workspace.ts'

export interface CloneFacts {
  /** Settings of the clone itself that matter for fetch and push, in their order (helpers are a list). */
  config: [string, string][]
  sshChosen: boolean
  identity: Identity
  /** The clone, and the repository it belongs to when it is a linked worktree. */
  places: string[]
}

/** Used for commits when neither the clone nor the user's git configuration names anyone. */
const FALLBACK_IDENTITY: Identity = { name: 'Orch', email: 'orch@localhost' }

const WANTED = /^(?:credential|http|url|ssh|protocol)\.|^core\.(?:sshcommand|askpass|gitproxy)$/i

/** Reads the clone's git configuration. A clone that is gone counts as one that says nothing. */
export async function readClone(clone: string, env: NodeJS.ProcessEnv): Promise<CloneFacts> {
  const facts: CloneFacts = {
    config: [],
    sshChosen: false,
    identity: identityFrom(env, new Map()),
    places: await placesOf(clone),
  }
  const result = await runGit({
    args: ['-C', clone, 'config', '--null', '--show-scope', '--includes', '--list'],
    env: { ...isolatedGitEnv(env), ...userScopes(env) },
    timeoutMs: 15_000,
  })
  if (result.outcome !== 'exited' || result.exitCode !== 0) return facts
  const fields = result.stdout.split('\0')
  const last = new Map<string, string>()
  for (let index = 0; index + 1 < fields.length; index += 2) {
    const scope = fields[index]
    const entry = fields[index + 1] ?? ''
    const newline = entry.indexOf('\n')
    const key = newline < 0 ? entry : entry.slice(0, newline)
    const value = newline < 0 ? 'true' : entry.slice(newline + 1)
    if (scope === 'command') continue
    last.set(key.toLowerCase(), value)
    if ((scope === 'local' || scope === 'worktree') && WANTED.test(key)) facts.config.push([key, value])
  }
  facts.sshChosen = (last.get('core.sshcommand') ?? '') !== ''
  facts.identity = identityFrom(env, last)
  return facts
}

function identityFrom(env: NodeJS.ProcessEnv, config: Map<string, string>): Identity {
  return {
    name: config.get('user.name') || env['GIT_AUTHOR_NAME'] || FALLBACK_IDENTITY.name,
    email: config.get('user.email') || env['GIT_AUTHOR_EMAIL'] || env['EMAIL'] || FALLBACK_IDENTITY.email,
  }
}

async function placesOf(clone: string): Promise<string[]> {
  const pointer = await readFile(path.join(clone, '.git'), 'utf8').catch(() => '')
  const gitDir = /^gitdir: (.+)$/m.exec(pointer)?.[1]
  if (!gitDir) return [clone]
  const own = path.resolve(clone, gitDir)
  const common = await readFile(path.join(own, 'commondir'), 'utf8').catch(() => '.')
  return [clone, path.resolve(own, common.trim())]
}

/** Variables that say where the user's own git configuration lies. */
function userScopes(env: NodeJS.ProcessEnv): Record<string, string> {
  const scopes: Record<string, string> = {}
  for (const name of ['HOME', 'XDG_CONFIG_HOME', 'GIT_CONFIG_GLOBAL', 'GIT_CONFIG_SYSTEM', 'GIT_CONFIG_NOSYSTEM'])
    scopes[name] = env[name] ?? ''
  if (!env['GIT_CONFIG_GLOBAL']) delete scopes['GIT_CONFIG_GLOBAL']
  if (!env['GIT_CONFIG_SYSTEM']) delete scopes['GIT_CONFIG_SYSTEM']
  if (!env['GIT_CONFIG_NOSYSTEM']) scopes['GIT_CONFIG_NOSYSTEM'] = '0'
  if (!env['XDG_CONFIG_HOME']) delete scopes['XDG_CONFIG_HOME']
  return scopes
}

/** The remote's address as the mirror can use it: a relative path is meant from the clone. */
export function remoteAddress(remote: string, clone: string): string {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(remote))
    return remote.startsWith('file://') ? decodeURIComponent(remote.slice('file://'.length)) : remote
  const colon = remote.indexOf(':')
  const slash = remote.indexOf('/')
  if (colon > 0 && (slash < 0 || colon < slash)) return remote
  return path.resolve(clone, remote)
}
