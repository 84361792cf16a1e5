// Gitea in a whole run.

import { createHmac, randomUUID } from 'node:crypto'
import { openFakeGit } from '../../../src/drivers/fake-git.ts'
import { makeNews } from '../../../src/drivers/gitea/fake-gitea-news.ts'
import { forgeWorld, openWorld, PEOPLE, REF, TOKEN, trackerWorld } from '../../../src/drivers/gitea/fake-gitea-world.ts'
import { startGitHost } from './git-host.ts'
import { type Vendor, type VendorOptions, telling } from './vendor.ts'

export async function openGiteaVendor({ repository, mail, secret }: VendorOptions): Promise<Vendor> {
  const world = await openWorld()
  const { state } = world.fake
  state.git = openFakeGit(repository)
  state.branches.clear()
  const news = makeNews(state)
  const tell = (): void => {
    const told = news().flatMap(({ choice, event, payload }) => {
      const body = JSON.stringify(payload)
      return state.hooks
        .filter(({ active, events }) => active && events.includes(choice))
        .map((hook) => ({
          url: hook.url,
          body,
          about: `${event} ${typeof payload['action'] === 'string' ? payload['action'] : ''}`,
          headers: signed({ event, body, secret: hook.secret }),
        }))
    })
    mail.send(told)
  }
  const host = await startGitHost({
    api: world.proxy.url,
    repository: { ref: REF, path: repository },
    password: TOKEN,
    onChange: tell,
  })
  state.url = host.url
  return {
    name: 'gitea',
    url: host.url,
    ref: REF,
    env: { GITEA_URL: host.url, GITEA_TOKEN: TOKEN, ORCH_GITEA_WEBHOOK_SECRET: secret },
    login: `${PEOPLE.self}:${TOKEN}`,
    people: PEOPLE,
    tracker: telling(trackerWorld(world), tell),
    forge: telling(forgeWorld(world), tell),
    calls: () => world.proxy.asked().length,
    tell,
    close: async () => {
      await host.close()
      await world.close()
    },
  }
}

/** It sends GitHub's and Gogs' headers beside its own. */
function signed({ event, body, secret }: { event: string; body: string; secret: string }): Record<string, string> {
  const id = randomUUID()
  const signature = createHmac('sha256', secret).update(body).digest('hex')
  return {
    'content-type': 'application/json',
    'x-gitea-delivery': id,
    'x-gitea-event': event,
    'x-gitea-event-type': event,
    'x-gitea-signature': signature,
    'x-gogs-delivery': id,
    'x-gogs-event': event,
    'x-gogs-signature': signature,
    'x-hub-signature-256': `sha256=${signature}`,
    'x-github-delivery': id,
    'x-github-event': event,
  }
}
