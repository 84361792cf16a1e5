// Plane in a whole run: a tracker alone. A person makes its webhook, as Plane demands.

import { createHmac, randomUUID } from 'node:crypto'
import { makeNews } from '../../../src/drivers/plane/fake-plane-news.ts'
import { TOKEN } from '../../../src/drivers/plane/fake-plane-state.ts'
import { openPlane, trackerWorld } from '../../../src/drivers/plane/fake-plane-world.ts'
import { startGitHost } from './git-host.ts'
import { type Vendor, type VendorOptions, telling } from './vendor.ts'

export async function openPlaneVendor({ mail, secret, hook }: VendorOptions): Promise<Vendor> {
  const opened = await openPlane()
  const news = makeNews(opened.world)
  const tell = (): void => {
    const told = news().map(({ event, payload }) => {
      const body = JSON.stringify(payload)
      const headers = {
        'content-type': 'application/json',
        'x-plane-delivery': randomUUID(),
        'x-plane-event': event,
        'x-plane-signature': createHmac('sha256', secret).update(body).digest('hex'),
      }
      return { url: hook, body, headers, about: `${event} ${payload.action} ${payload.activity.field ?? ''}` }
    })
    mail.send(told)
  }
  const host = await startGitHost({ api: opened.proxy.url, repository: null, password: '', onChange: tell })
  const tracker = trackerWorld(opened)
  return {
    name: 'plane',
    url: host.url,
    ref: opened.ref,
    env: { PLANE_API_URL: host.url, PLANE_TOKEN: TOKEN, ORCH_PLANE_WEBHOOK_SECRET: secret },
    login: null,
    people: tracker.people,
    tracker: telling(tracker, tell),
    forge: null,
    calls: () => opened.proxy.asked().length,
    tell,
    close: async () => {
      await host.close()
      await opened.close()
    },
  }
}
