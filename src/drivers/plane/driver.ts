// Plane, its own service or a server of one's own: issues on boards, and webhooks. It keeps no code, so it is no forge. One
// connection serves all projects.

import { ExternalError } from '../../lib/errors.ts'
import type { Driver, Identity, Tracker } from '../driver.ts'
import { type Catalog, makeCatalog } from './catalog.ts'
import { toComment } from './comments.ts'
import { type Api, makeConnection, type PlaneOptions } from './connection.ts'
import { makeOnboarding } from './onboarding.ts'
import { makeTracker } from './tracker.ts'
import { makeWebhooks } from './webhook.ts'
import { isUuid, project, read } from './wire.ts'

interface Place {
  api: Api
  catalog: Catalog
  /** One for all who ask, since it remembers what it listed. */
  tracker: Tracker
}

/** Calls nobody yet. */
export function makePlaneDriver(options: PlaneOptions): Driver {
  const connection = makeConnection(options)
  // What onboarding makes must be known to the tracker, and people to the webhooks.
  const places = new Map<string, Place>()
  const place = (ref: string): Place => {
    const known = places.get(checked(ref))
    if (known) return known
    const api = connection.project(checked(ref))
    const catalog = makeCatalog(api)
    const made = { api, catalog, tracker: makeTracker(api, catalog) }
    places.set(api.ref, made)
    return made
  }
  const placeOf = (uuid: string): Place | undefined => [...places.values()].find(({ api }) => api.project === uuid)
  return {
    name: 'plane',
    async identity(): Promise<Identity> {
      // Plane does not say what a token may do, only, when it is used, what it may not.
      const { login } = await connection.accountOf(null)
      return { login, source: connection.source, missing: null, optional: [] }
    },
    quota: connection.quota,
    counts: connection.counts,
    async findProject(ref) {
      const doing = `find the project ${ref}`
      const { api } = place(ref)
      const { status, json } = await api.call({ path: '/', doing, accept: [404] })
      if (status === 404) return null
      const [slug] = api.ref.split('/')
      const url = `${connection.webUrl}/${slug}/projects/${api.project}/issues`
      return { ref: api.ref, name: read(project, json, doing).name, cloneUrl: null, defaultBranch: null, url }
    },
    gitCredential: async () => null,
    onboarding: (ref) => makeOnboarding(place(ref).api, place(ref).catalog, connection.webUrl),
    tracker: (ref) => place(ref).tracker,
    forge: () => null,
    webhooks: makeWebhooks({
      toComment({ project: uuid, issue, wire }) {
        const known = placeOf(uuid)
        const author = known && wire.actor ? known.catalog.recallPerson(wire.actor) : null
        return { ...toComment(known?.api ?? { urlOf: () => connection.webUrl }, issue, wire), author }
      },
    }),
  }
}

/** It becomes part of addresses. */
function checked(ref: string): string {
  const [slug = '', uuid = '', ...more] = ref.split('/')
  if (/^[\w-]+$/.test(slug) && isUuid(uuid) && more.length === 0) return `${slug}/${uuid.toLowerCase()}`
  const message = `${JSON.stringify(ref.slice(0, 100))} is no project at Plane: write workspace/project-uuid, both of which stand in the address of the project's page`
  throw new ExternalError({ system: 'plane', kind: 'rejected', message })
}
