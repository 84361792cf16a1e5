// Reaching a remote over HTTP by the token of its forge, where the user's git has no credential of its own: on a server with
// nothing but GITHUB_TOKEN, or for a GitHub App. Whoever has set up git is never overruled.

import { ExternalError } from '../lib/errors.ts'
import type { LendCredential } from './workspace.ts'

/** Settings that are a way of the user's own to a remote; in the middle, for which addresses. */
const OWN_WAY = /^(?:(?:credential|http)\.(?:(.*)\.)?(?:helper|extraheader|cookiefile|sslcert)|core\.askpass)$/i

/** For which addresses the user's git has a way of its own, as git writes them; empty is for all. `settings`: all it has. */
export function ownWays(env: NodeJS.ProcessEnv, settings: Iterable<[string, string]>): string[] {
  const ways = env['GIT_ASKPASS'] ? [''] : []
  for (const [key, value] of settings) {
    const match = OWN_WAY.exec(key)
    if (match && value !== '') ways.push(match[1] ?? '')
  }
  return ways
}

/** By the host alone, which may hold wildcards: what could be meant for it is taken to be. */
function isFor(way: string, host: string): boolean {
  const named = /^(?:[a-z][a-z0-9+.-]*:\/\/)?(?:[^/@]*@)?([^/:]*)/i.exec(way)?.[1] ?? ''
  return named === '' || named.includes('*') || named.toLowerCase() === host
}

/**
 * Configuration for one git command that talks to that address; empty where nothing is lent, as where one of `ways` leads
 * there. It holds a secret: it goes by
 * the environment, never into a file or an argument. Throws ExternalError when there should be a token and none can be had.
 */
export async function lentConfig(
  lend: LendCredential | undefined,
  address: string,
  ways: string[],
): Promise<[string, string][]> {
  if (!lend || !/^https?:\/\//i.test(address) || !URL.canParse(address)) return []
  const { origin, hostname, username } = new URL(address)
  if (username !== '' || ways.some((way) => isFor(way, hostname))) return []
  const lent = await lend(address).catch((error: unknown) => {
    // Nobody is logged in: git says so itself, or needs nobody to be.
    if (error instanceof ExternalError && error.kind === 'auth') return null
    throw error
  })
  if (!lent) return []
  const basic = Buffer.from(`${lent.username}:${lent.password}`).toString('base64')
  return [[`http.${origin}/.extraHeader`, `Authorization: Basic ${basic}`]]
}
