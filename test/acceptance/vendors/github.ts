// GitHub in a whole run.

import { createHmac, randomUUID } from 'node:crypto'
import { openFakeGit } from '../../../src/drivers/fake-git.ts'
import { TOKEN } from '../../../src/drivers/github/fake-github.ts'
import { makeNews } from '../../../src/drivers/github/fake-github-news.ts'
import { openForge, openGithub, trackerWorld } from '../../../src/drivers/github/fake-github-world.ts'
import { startGitHost } from './git-host.ts'
import { type Vendor, type VendorOptions, telling } from './vendor.ts'

export async function openGithubVendor({ repository, mail, secret }: VendorOptions): Promise<Vendor> {
  const opened = await openGithub()
  const { state } = opened.fake
  state.git = openFakeGit(repository)
  state.branches.clear()
  // Whole seconds, as there.
  state.now = () => `${new Date().toISOString().slice(0, 19)}Z`
  const news = makeNews(state)
  const tell = (): void => {
    const told = news().flatMap(({ event, payload }) => {
      const body = JSON.stringify(payload)
      return state.hooks
        .filter(({ active, events }) => active && events.includes(event))
        .map((hook) => ({
          url: hook.url,
          body,
          about: `${event} ${String((payload as { action?: string }).action ?? '')}`,
          headers: {
            'content-type': 'application/json',
            'x-github-event': event,
            'x-github-delivery': randomUUID(),
            'x-hub-signature-256': `sha256=${createHmac('sha256', hook.secret ?? '')
              .update(body)
              .digest('hex')}`,
          },
        }))
    })
    mail.send(told)
  }
  const host = await startGitHost({
    api: opened.proxy.url,
    repository: { ref: state.ref, path: repository },
    password: TOKEN,
    onChange: tell,
  })
  state.web = host.url
  const tracker = trackerWorld(opened)
  return {
    name: 'github',
    url: host.url,
    ref: state.ref,
    env: { GITHUB_API_URL: host.url, GITHUB_TOKEN: TOKEN, ORCH_GITHUB_WEBHOOK_SECRET: secret },
    login: `orch-bot:${TOKEN}`,
    people: tracker.people,
    tracker: telling(tracker, tell),
    forge: telling(openForge(opened).world, tell),
    calls: () => opened.proxy.asked().length,
    tell,
    close: async () => {
      await host.close()
      await opened.close()
    },
  }
}
