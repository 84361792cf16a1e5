// What a repository needs before Orch can live there: labels and a webhook. The API knows nothing of Gitea's boards.

import { ExternalError } from '../../lib/errors.ts'
import type { Onboarding } from '../driver.ts'
import type { Api } from './connection.ts'
import { find, type Labels } from './labels.ts'
import { EVENTS, NEWER_EVENTS } from './webhook.ts'
import { hook } from './wire.ts'

export function makeOnboarding(api: Api, labels: Labels): Onboarding {
  const findHook = async (url: string) => {
    const doing = `list the webhooks of ${api.ref}`
    const { items } = await api.list({ path: '/hooks', doing, schema: hook, key: ({ id }) => id })
    return items.find(({ config }) => samePlace(config.url, url))
  }
  return {
    labels: () => labels.names(),
    columns: () => Promise.resolve(null),
    async ensureLabel({ name, color, description }) {
      const names = await labels.names()
      if (
        find(
          names.map((one) => ({ name: one })),
          name,
        )
      )
        return 'existed'
      const body = { name, color: `#${color.replace(/^#/, '')}`, description }
      await api.call({ method: 'POST', path: '/labels', body, doing: `make the label ${name} in ${api.ref}` })
      labels.forget()
      return 'created'
    },
    ensureColumn: ({ name }) => {
      const message = `could not make the column ${name} in ${api.ref}: Gitea's API has no columns, use labels`
      return Promise.reject(new ExternalError({ system: 'gitea', kind: 'rejected', message }))
    },
    async findWebhook(url) {
      const found = await findHook(url)
      return found ? { active: found.active, events: found.events } : null
    },
    async ensureWebhook({ url, secret }) {
      const doing = `make the webhook of ${api.ref} to ${withoutQuery(url)}`
      const config = { url, content_type: 'json', secret }
      const found = await findHook(url)
      if (!found) {
        const body = { type: 'gitea', active: true, events: [...EVENTS, ...NEWER_EVENTS], config }
        await api.call({ method: 'POST', path: '/hooks', body, doing })
        return 'created'
      }
      const differs =
        !found.active ||
        EVENTS.some((event) => !found.events.includes(event)) ||
        found.config.content_type !== 'json' ||
        (found.branch_filter || '*') !== '*'
      // Nobody can read a secret there, so that it is ours is only sure after it was set. What is not sent is lost.
      const events = [...new Set([...found.events, ...EVENTS, ...NEWER_EVENTS])]
      const authorization = found.authorization_header ? { authorization_header: found.authorization_header } : {}
      const body = { active: true, events, config, branch_filter: '*', ...authorization }
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
