// A server of Gitea or Forgejo: issues, pull requests, webhooks. One connection serves all its repositories.

import { ExternalError } from '../../lib/errors.ts'
import type { Driver, Identity } from '../driver.ts'
import { type Api, type GiteaOptions, makeConnection } from './connection.ts'
import { makeForge } from './forge.ts'
import { type Labels, makeLabels } from './labels.ts'
import { makeMerge, type Merge } from './merge.ts'
import { makeOnboarding } from './onboarding.ts'
import { makeTracker } from './tracker.ts'
import { webhooks } from './webhook.ts'
import { read, repository, user } from './wire.ts'

interface Place {
  api: Api
  labels: Labels
  merge: Merge
}

/** Calls nobody yet. */
export function makeGiteaDriver(options: GiteaOptions): Driver {
  let known: Promise<Identity> | null = null
  const connection = makeConnection(options, async () => (await identity()).login)
  const identity = (): Promise<Identity> => {
    known ??= askIdentity()
    // A failure is asked again.
    known.catch(() => (known = null))
    return known
  }
  const askIdentity = async (): Promise<Identity> => {
    const doing = `ask who the token of ${connection.source} belongs to`
    const { json } = await connection.call({ path: '//user', doing })
    // Gitea does not say what a token may do, only, when it is used, what it may not.
    return { login: read(user, json, doing).login, source: connection.source, missing: null, optional: [] }
  }
  // A label that onboarding made must be known to the tracker, and what one merge saw to the next.
  const places = new Map<string, Place>()
  const place = (ref: string): Place => {
    const known = places.get(ref)
    if (known) return known
    const api = connection.repository(checked(ref))
    const made = { api, labels: makeLabels(api), merge: makeMerge(api) }
    places.set(ref, made)
    return made
  }
  return {
    name: 'gitea',
    identity,
    // Gitea has no budget that it tells of.
    quota: () => null,
    counts: connection.counts,
    async findProject(ref) {
      const doing = `find the repository ${ref}`
      const { status, json } = await place(ref).api.call({ path: '', doing, accept: [404] })
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
    // A token is taken in the password's place, whatever the name: https://docs.gitea.com/development/api-usage.
    gitCredential: async () => ({ username: 'orch', password: options.token }),
    onboarding: (ref) => makeOnboarding(place(ref).api, place(ref).labels),
    tracker: (ref) => makeTracker(place(ref).api, place(ref).labels),
    forge: (ref, memory) => makeForge({ ...place(ref), memory }),
    webhooks,
  }
}

/** It becomes part of addresses. */
function checked(ref: string): string {
  const [owner = '', name = '', ...more] = ref.split('/')
  const isFine = [owner, name].every((part) => /^[\w.-]+$/.test(part) && !/^\.{1,2}$/.test(part)) && more.length === 0
  if (isFine) return ref
  const message = `${JSON.stringify(ref.slice(0, 100))} is no repository at Gitea: write owner/name`
  throw new ExternalError({ system: 'gitea', kind: 'rejected', message })
}
