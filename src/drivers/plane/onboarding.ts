// What a project needs before Orch can live there: labels and columns. Plane's public API has no webhooks: a person makes it.

import { ExternalError } from '../../lib/errors.ts'
import type { Onboarding } from '../driver.ts'
import type { Catalog } from './catalog.ts'
import type { Api } from './connection.ts'
import { isSame } from './tracker.ts'

/** Those of a column that people see; triage is Plane's own. */
const GROUPS = ['backlog', 'unstarted', 'started', 'completed', 'cancelled']
/** Plane demands a colour of a state; these are its own of each group. */
const COLORS: Record<string, string> = {
  backlog: '#60646C',
  unstarted: '#60646C',
  started: '#F59E0B',
  completed: '#46A758',
  cancelled: '#9AA4BC',
}

export function makeOnboarding(api: Api, catalog: Catalog, webUrl: string): Onboarding {
  const fresh = (): Catalog => {
    catalog.forget()
    return catalog
  }
  const columns = async (): Promise<{ name: string; group: string }[]> =>
    (await fresh().states())
      .toSorted((a, b) => GROUPS.indexOf(a.group) - GROUPS.indexOf(b.group) || (a.sequence ?? 0) - (b.sequence ?? 0))
      .map(({ name, group }) => ({ name, group }))
  const labels = async (): Promise<string[]> => (await fresh().labels()).map(({ name }) => name)
  return {
    labels,
    columns,
    async ensureLabel({ name, color, description }) {
      if ((await labels()).some((one) => isSame(one, name))) return 'existed'
      const body = { name, color: `#${color.replace(/^#/, '')}`, description }
      const doing = `make the label ${name} in ${api.ref}`
      return make(api, catalog, { path: '/labels/', body, doing })
    },
    async ensureColumn({ name, group }) {
      const doing = `make the column ${name} in ${api.ref}`
      if ((await columns()).some((one) => isSame(one.name, name))) return 'existed'
      if (!GROUPS.includes(group))
        throw rejected(`could not ${doing}: its group is ${group}, not one of ${GROUPS.join(', ')}`)
      return make(api, catalog, { path: '/states/', body: { name, group, color: COLORS[group] }, doing })
    },
    findWebhook: () => Promise.resolve(null),
    ensureWebhook({ url }) {
      const [slug] = api.ref.split('/')
      const steps = [
        `open ${webUrl}/${slug}/settings/webhooks and choose "Add webhook"`,
        `enter ${url} as its address and choose the events Work items and Work item comments`,
        'set the secret that Plane shows then (it begins with plane_wh_) as ORCH_PLANE_WEBHOOK_SECRET where `orch up` runs',
      ]
      return Promise.reject(
        rejected(`could not make the webhook of ${api.ref}: Plane lets only a person make one: ${steps.join('; ')}`),
      )
    },
  }
}

async function make(
  api: Api,
  catalog: Catalog,
  { path, body, doing }: { path: string; body: unknown; doing: string },
): Promise<'existed' | 'created'> {
  // 409: somebody was faster.
  const { status } = await api.call({ method: 'POST', path, body, doing, accept: [409] })
  catalog.forget()
  return status === 409 ? 'existed' : 'created'
}

function rejected(message: string): ExternalError {
  return new ExternalError({ system: 'plane', kind: 'rejected', message })
}
