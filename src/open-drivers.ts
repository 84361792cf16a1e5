// Opens the drivers that projects name, each when it is first asked for, with the credentials of the environment. Part of
// the composition root. Invariant: every text that leaves through one of them has passed the redactor (S14).

import type { Remotes } from './flow/capabilities.ts'
import { parseAddress, repositoryBelow } from './flow/repository-address.ts'
import { UserError } from './lib/errors.ts'
import { runProcess } from './lib/process.ts'
import { makeRedactor, secretsIn } from './lib/redact.ts'
import type { ChangeMemory, Driver, RemoteForge, Tracker, WebhookSource } from './drivers/driver.ts'
import { makeGiteaDriver } from './drivers/gitea/driver.ts'
import { makeGithubDriver } from './drivers/github/driver.ts'
import { makePlaneDriver } from './drivers/plane/driver.ts'
import { redactedForge, redactedTracker } from './drivers/redacted.ts'
import type { Project } from './store/store.ts'
import type { LendCredential } from './workspace/workspace.ts'

const REMOTE_DRIVERS = ['github', 'gitea', 'plane'] as const
type RemoteDriver = (typeof REMOTE_DRIVERS)[number]

/** Of each driver: whether it keeps repositories, and where its pages are, as far as the environment says. */
const PLACES: Record<RemoteDriver, { isForge: boolean; pages(env: NodeJS.ProcessEnv): string[] }> = {
  github: { isForge: true, pages: githubPages },
  gitea: { isForge: true, pages: (env) => (env['GITEA_URL'] ? [env['GITEA_URL']] : []) },
  plane: { isForge: false, pages: () => [] },
}

/** The drivers without anything of this ORCH_HOME. Calls nobody. */
export function openRemotes(deps: { env: NodeJS.ProcessEnv; now: () => number }): Remotes {
  const opened = new Map<string, Driver>()
  const forges = REMOTE_DRIVERS.filter((name) => PLACES[name].isForge)
  return {
    trackers: REMOTE_DRIVERS,
    forges,
    driver(name) {
      const known = opened.get(name)
      if (known) return known
      const made = makeDriver(name, deps)
      opened.set(name, made)
      return made
    },
    repositoryAt(text) {
      const address = parseAddress(text)
      if (!address) return null
      for (const driver of forges) {
        for (const pages of PLACES[driver].pages(deps.env)) {
          const ref = repositoryBelow(address, pages)
          if (ref !== null) return { driver, ref }
        }
      }
      return null
    },
  }
}

/** What git reaches a forge's repositories with; its token goes to that forge alone, and by the way that is configured. */
export function makeLend(remotes: Remotes, env: NodeJS.ProcessEnv): LendCredential {
  return async (address) => {
    const place = remotes.repositoryAt(address)
    if (!place || !isRemote(place.driver)) return null
    const isTheirs = PLACES[place.driver].pages(env).some((pages) => new URL(pages).origin === new URL(address).origin)
    if (!isTheirs) return null
    try {
      return await remotes.driver(place.driver).gitCredential(place.ref)
    } catch (error) {
      if (error instanceof UserError) return null
      throw error
    }
  }
}

export interface OpenDrivers extends Remotes {
  forgeOf(project: Project): RemoteForge | null
  trackerOf(project: Project): Tracker | null
  /** Who can check and read deliveries, by driver; those whose credentials are not here are left out. */
  sources(): Record<string, WebhookSource>
}

export function openDrivers(deps: { env: NodeJS.ProcessEnv; memory: ChangeMemory; now: () => number }): OpenDrivers {
  const { env, memory, now } = deps
  const redactor = makeRedactor(secretsIn(env))
  const remotes = openRemotes({ env, now })
  const { driver } = remotes
  // One for all who ask, since it remembers what it saw.
  const forges = new Map<string, RemoteForge | null>()
  const trackers = new Map<string, Tracker | null>()
  return {
    ...remotes,
    sources: () => Object.fromEntries(REMOTE_DRIVERS.flatMap((name) => sourceOf(driver, name))),
    forgeOf: ({ forge }) =>
      forge && isRemote(forge.driver)
        ? remembered(forges, forge, () => {
            const found = driver(forge.driver).forge(forge.ref, memory)
            return found && redactedForge(found, redactor)
          })
        : null,
    trackerOf: ({ tracker }) =>
      tracker && isRemote(tracker.driver)
        ? remembered(trackers, tracker, () => {
            const found = driver(tracker.driver).tracker(tracker.ref)
            return found && redactedTracker(found, redactor)
          })
        : null,
  }
}

function remembered<T>(
  known: Map<string, T | null>,
  remote: { driver: string; ref: string },
  make: () => T | null,
): T | null {
  const place = `${remote.driver} ${remote.ref}`
  const found = known.get(place) ?? make()
  known.set(place, found)
  return found
}

function sourceOf(driver: (name: string) => Driver, name: RemoteDriver): [string, WebhookSource][] {
  try {
    return [[name, driver(name).webhooks]]
  } catch (error) {
    if (error instanceof UserError) return []
    throw error
  }
}

export function isRemote(name: string): name is RemoteDriver {
  return (REMOTE_DRIVERS as readonly string[]).includes(name)
}

function makeDriver(name: string, { env, now }: { env: NodeJS.ProcessEnv; now: () => number }): Driver {
  if (!isRemote(name)) {
    throw new UserError(6, 'no-driver', `there is no driver ${name}; there are ${REMOTE_DRIVERS.join(', ')}`)
  }
  switch (name) {
    case 'github':
      return makeGithubDriver({
        now,
        ...(env['GITHUB_API_URL'] ? { apiUrl: env['GITHUB_API_URL'] } : {}),
        auth: { env, runProcess, ...githubApp(env) },
      })
    case 'gitea':
      return makeGiteaDriver({ now, url: needed(env, 'GITEA_URL'), token: needed(env, 'GITEA_TOKEN') })
    case 'plane':
      return makePlaneDriver({
        now,
        url: env['PLANE_API_URL'] || 'https://api.plane.so',
        token: needed(env, 'PLANE_TOKEN'),
        bots: planeBots(env),
        ...(env['ORCH_PLANE_WEB_URL'] ? { webUrl: env['ORCH_PLANE_WEB_URL'] } : {}),
      })
    default:
      return name satisfies never
  }
}

/** The API of github.com and of GHE.com has a host of its own, that of a server of one's own a path. */
function githubPages(env: NodeJS.ProcessEnv): string[] {
  const api = env['GITHUB_API_URL']
  if (!api || !URL.canParse(api)) return ['https://github.com', 'ssh://ssh.github.com']
  const { protocol, host } = new URL(api)
  if (host === 'api.github.com') return ['https://github.com', 'ssh://ssh.github.com']
  return [`${protocol}//${host.startsWith('api.') ? host.slice('api.'.length) : host}`]
}

/** An App of one's own, where its id and its key are named. */
function githubApp(env: NodeJS.ProcessEnv) {
  const id = env['ORCH_GITHUB_APP_ID']
  const privateKeyFile = env['ORCH_GITHUB_APP_KEY_FILE']
  const installation = env['ORCH_GITHUB_APP_INSTALLATION']
  if (!id && !privateKeyFile) return {}
  if (!id || !privateKeyFile) {
    const text = 'a GitHub App needs both ORCH_GITHUB_APP_ID and ORCH_GITHUB_APP_KEY_FILE; one of them is not set'
    throw new UserError(6, 'incomplete-app', text)
  }
  return { app: { id, privateKeyFile, ...(installation ? { installation } : {}) } }
}

function needed(env: NodeJS.ProcessEnv, name: string): string {
  const value = env[name]
  if (value) return value
  throw new UserError(
    6,
    'no-credential',
    `${name} is not set in the environment; see docs/${name.split('_', 1)[0]?.toLowerCase()}.md`,
  )
}

/** A bot for each role that has one (C-60): ORCH_PLANE_BOT_DEVELOPER. */
function planeBots(env: NodeJS.ProcessEnv): Record<string, string> {
  const prefix = 'ORCH_PLANE_BOT_'
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, token]) =>
      name.startsWith(prefix) && token ? [[name.slice(prefix.length).toLowerCase(), token]] : [],
    ),
  )
}
