// GitHub, github.com or a server of one's own: issues, pull requests, webhooks. One connection serves all repositories.

import { ExternalError } from '../../lib/errors.ts'
import type { HttpAnswer } from '../../lib/http.ts'
import type { Driver, Identity } from '../driver.ts'
import { type Connection, type GithubOptions, makeConnection } from './connection.ts'
import { makeForge } from './forge.ts'
import { makeOnboarding } from './onboarding.ts'
import { makeTracker } from './tracker.ts'
import { webhooks } from './webhook.ts'
import { app, read, repository, user } from './wire.ts'
import { z } from 'zod'

/** What an App needs for what every project does (docs/github.md says for what). */
const PERMISSIONS: Record<string, 'read' | 'write'> = {
  actions: 'read',
  checks: 'read',
  contents: 'write',
  issues: 'write',
  pull_requests: 'write',
  statuses: 'read',
}
const FOR_WORKFLOWS = 'to push changes of .github/workflows'
/** And what only some need, with for what. */
const OPTIONAL_PERMISSIONS = [
  { name: 'repository_hooks', right: 'write', purpose: 'to make the webhook by `orch onboard`' },
  { name: 'workflows', right: 'write', purpose: FOR_WORKFLOWS },
] as const
/** Of a token of the older kind; `repo` holds the rest. */
const SCOPES = ['repo']
const OPTIONAL_SCOPES = [{ scope: 'workflow', purpose: FOR_WORKFLOWS }]

export function makeGithubDriver(options: GithubOptions): Driver {
  let known: Promise<Identity> | null = null
  const identity = (): Promise<Identity> => {
    known ??= askIdentity(connection)
    // A failure is asked again.
    known.catch(() => (known = null))
    return known
  }
  const connection = makeConnection(options, async () => (await identity()).login)
  return {
    name: 'github',
    identity,
    quota: connection.quota,
    counts: connection.counts,
    async findProject(ref) {
      const doing = `find the repository ${ref}`
      const { status, json } = await connection.repository(checked(ref)).call({ path: '', doing, accept: [404] })
      if (status === 404) return null
      const found = read(repository, json, doing)
      return {
        ref: found.full_name,
        name: found.name,
        cloneUrl: found.clone_url ?? null,
        defaultBranch: found.default_branch ?? null,
        url: found.html_url,
      }
    },
    // Of a personal token and an installation's alike: https://docs.github.com/en/apps, "Authenticating as an installation".
    gitCredential: async (ref) => ({ username: 'x-access-token', password: await connection.token(checked(ref)) }),
    onboarding: (ref) => makeOnboarding(connection.repository(checked(ref))),
    tracker: (ref) => makeTracker(connection.repository(checked(ref))),
    forge: (ref, memory) => makeForge(connection.repository(checked(ref)), memory),
    webhooks,
  }
}

/** It becomes part of addresses. */
function checked(ref: string): string {
  const [owner = '', name = '', ...more] = ref.split('/')
  const isFine = [owner, name].every((part) => /^[\w.-]+$/.test(part) && !/^\.{1,2}$/.test(part)) && more.length === 0
  if (isFine) return ref
  const message = `${JSON.stringify(ref.slice(0, 100))} is no repository at GitHub: write owner/name`
  throw new ExternalError({ system: 'github', kind: 'rejected', message })
}

async function askIdentity(connection: Connection): Promise<Identity> {
  const { credential } = connection
  const doing = `ask who ${credential.source} is`
  if (credential.kind === 'app') {
    const { slug, permissions } = read(app, (await connection.app({ path: '//app', doing })).json, doing)
    const login = `${slug}[bot]`
    if (!permissions) return { login, source: credential.source, missing: null, optional: [] }
    const lacks = Object.entries(PERMISSIONS).filter(([name, right]) => !covers(permissions[name], right))
    const optional = OPTIONAL_PERMISSIONS.filter(({ name, right }) => !covers(permissions[name], right))
    return {
      login,
      source: credential.source,
      missing: lacks.map(([name, right]) => `${name}: ${right}`),
      optional: optional.map(({ name, right, purpose }) => `${name}: ${right} (${purpose})`),
    }
  }
  const answer = await askUser(connection, doing)
  if (answer === null) {
    // A workflow's own token stands for no user, and only GraphQL says what it is called.
    const schema = z.object({ viewer: user })
    const { viewer } = await connection.plain.graphql({ query: '{ viewer { login } }', variables: {}, doing, schema })
    return { login: viewer.login, source: credential.source, missing: null, optional: [] }
  }
  const scopes = answer.headers.get('x-oauth-scopes')
  const { login } = read(user, answer.json, doing)
  if (scopes === null) return { login, source: credential.source, missing: null, optional: [] }
  const has = scopes.split(',').map((scope) => scope.trim())
  const missing = SCOPES.filter((scope) => !has.includes(scope))
  const optional = OPTIONAL_SCOPES.filter(({ scope }) => !has.includes(scope))
  return {
    login,
    source: credential.source,
    missing,
    optional: optional.map(({ scope, purpose }) => `${scope} (${purpose})`),
  }
}

function covers(has: string | undefined, needs: 'read' | 'write'): boolean {
  return has === 'write' || has === 'admin' || has === needs
}

async function askUser(connection: Connection, doing: string): Promise<HttpAnswer | null> {
  const answer = await connection.plain.call({ path: '//user', doing, accept: [403] })
  if (answer.status !== 403) return answer
  // "Resource not accessible by integration" or a limit: the latter is told apart by asking without the exception.
  if (answer.headers.get('x-ratelimit-remaining') !== '0' && answer.headers.get('retry-after') === null) return null
  return connection.plain.call({ path: '//user', doing })
}
