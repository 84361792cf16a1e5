// What a repository needs before Orch can live there: labels and a webhook. GitHub's issues are on no board.

import { ExternalError } from '../../lib/errors.ts'
import type { Onboarding } from '../driver.ts'
import type { Api } from './connection.ts'
import { hasName, labelNames } from './tracker.ts'
import { EVENTS } from './webhook.ts'
import { hook } from './wire.ts'

/** GitHub's limit. */
const MAX_DESCRIPTION = 100

export function makeOnboarding(api: Api): Onboarding {
  const listHooks = async () => {
    const doing = `list the webhooks of ${api.ref}`
    return (await api.list({ path: '/hooks', doing, schema: hook, key: ({ id }) => id })).items
  }
  const findHook = async (url: string) => (await listHooks()).find(({ config }) => samePlace(config.url, url))
  return {
    labels: () => labelNames(api),
    columns: () => Promise.resolve(null),
    async ensureLabel({ name, color, description }) {
      if (hasName(await labelNames(api), name)) return 'existed'
      const body = { name, color: color.replace(/^#/, ''), description: description.slice(0, MAX_DESCRIPTION) }
      await api.call({ method: 'POST', path: '/labels', body, doing: `make the label ${name} in ${api.ref}` })
      return 'created'
    },
    ensureColumn: ({ name }) => {
      const message = `could not make the column ${name} in ${api.ref}: GitHub's issues are in no columns, use labels`
      return Promise.reject(new ExternalError({ system: 'github', kind: 'rejected', message }))
    },
    async findWebhook(url) {
      const found = await findHook(url)
      return found ? { active: found.active, events: found.events } : null
    },
    async ensureWebhook({ url, secret }) {
      const doing = `make the webhook of ${api.ref} to ${withoutQuery(url)}`
      const config = { url, content_type: 'json', secret, insecure_ssl: '0' }
      const found = await findHook(url)
      if (!found) {
        const body = { name: 'web', active: true, events: EVENTS, config }
        await api.call({ method: 'POST', path: '/hooks', body, doing })
        return 'created'
      }
      const lacks = EVENTS.some((event) => !found.events.includes(event) && !found.events.includes('*'))
      const differs = !found.active || lacks || found.config.content_type !== 'json'
      // Nobody can read a secret there, so that it is ours is only sure after it was set.
      const events = [...new Set([...found.events, ...EVENTS])]
      const body = differs ? { active: true, events, config } : { config }
      await api.call({ method: 'PATCH', path: `/hooks/${found.id}`, body, doing })
      return differs ? 'changed' : 'existed'
    },
  }
}

function samePlace(a: string | null | undefined, b: string): boolean {
  return typeof a === 'string' && withoutQuery(a) === withoutQuery(b)
}

function withoutQuery(url: string): string {
  return URL.canParse(url) ? new URL(url).origin + new URL(url).pathname.replace(/\/$/, '') : url
}
