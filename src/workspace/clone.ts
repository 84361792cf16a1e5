// What the registered clone says about talking to its remote: the user's own credentials, addresses and identity.
// The clone is the user's, no agent can write to it, so reading its configuration with plain git is safe.

import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { isolatedGitEnv, runGit } from './git.ts'
import { ownWays } from './lent.ts'
import type { Identity } from './workspace.ts'

export interface CloneFacts {
  /** Settings of the clone itself that matter for fetch and push, in their order (helpers are a list). */
  config: [string, string][]
  sshChosen: boolean
  /** For which addresses the user's git, there or anywhere, has a credential of its own. */
  ownWays: string[]
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
    ownWays: ownWays(env, []),
    identity: identityFrom(env, new Map()),
    places: await placesOf(clone),
  }
  const settings = await readSettings(clone, env)
  const last = new Map<string, string>()
  for (const { scope, key, value } of settings) {
    last.set(key.toLowerCase(), value)
    if ((scope === 'local' || scope === 'worktree') && WANTED.test(key)) facts.config.push([key, value])
  }
  facts.ownWays = ownWays(env, pairs(settings))
  facts.sshChosen = (last.get('core.sshcommand') ?? '') !== ''
  facts.identity = identityFrom(env, last)
  return facts
}

interface Setting {
  scope: string
  key: string
  value: string
}

const pairs = (settings: Setting[]): [string, string][] => settings.map(({ key, value }) => [key, value])

/** For which addresses the user's own git configuration, apart from any clone, has a credential. */
export async function waysOfUser(env: NodeJS.ProcessEnv): Promise<string[]> {
  return ownWays(env, pairs(await readSettings('/', env)))
}

/** All settings that hold in a place, in their order. Unreadable counts as none. */
async function readSettings(place: string, env: NodeJS.ProcessEnv): Promise<Setting[]> {
  const result = await runGit({
    args: ['-C', place, 'config', '--null', '--show-scope', '--includes', '--list'],
    env: userGitEnv(env),
    timeoutMs: 15_000,
  })
  if (result.outcome !== 'exited' || result.exitCode !== 0) return []
  const fields = result.stdout.split('\0')
  const settings: Setting[] = []
  for (let index = 0; index + 1 < fields.length; index += 2) {
    const scope = fields[index] ?? ''
    const entry = fields[index + 1] ?? ''
    const newline = entry.indexOf('\n')
    const key = newline < 0 ? entry : entry.slice(0, newline)
    if (scope !== 'command') settings.push({ scope, key, value: newline < 0 ? 'true' : entry.slice(newline + 1) })
  }
  return settings
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

/** As the engine's own git runs, but with the user's and the system's configuration, wherever those lie. */
function userGitEnv(env: NodeJS.ProcessEnv): Record<string, string> {
  const { GIT_CONFIG_GLOBAL: _none, GIT_CONFIG_NOSYSTEM: _no, HOME: _nowhere, ...result } = isolatedGitEnv(env)
  for (const name of ['HOME', 'XDG_CONFIG_HOME', 'GIT_CONFIG_GLOBAL', 'GIT_CONFIG_SYSTEM', 'GIT_CONFIG_NOSYSTEM'])
    if (env[name]) result[name] = env[name]
  return result
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
