import type { ReviewRow } from '../../store/store.ts'
import { forgeContract } from '../driver.contract.ts'
import { labelEventsContract } from '../label-events.contract.ts'
import { lateCommentsContract } from '../late-comments.contract.ts'
import { ownChangesContract } from '../own-changes.contract.ts'
import { onboardingContract, trackerContract } from '../remote.contract.ts'
import { remoteForgeContract } from '../remote-forge.contract.ts'
import { newCommit, push } from './fake-github-state.ts'
import { openForge, openGithub, trackerWorld } from './fake-github-world.ts'

const openTracker = async () => {
  const opened = await openGithub()
  const tracker = opened.driver.tracker('acme/shop')
  if (!tracker) throw new Error('GitHub is a tracker')
  return { tracker, world: trackerWorld(opened), close: opened.close }
}

trackerContract('github', openTracker)
lateCommentsContract('github', openTracker)

onboardingContract('github', async () => {
  const opened = await openGithub()
  const { state } = opened.fake
  return {
    onboarding: opened.driver.onboarding('acme/shop'),
    close: opened.close,
    world: {
      proxy: opened.proxy,
      readLabels: async () => state.labels,
      readColumns: async () => null,
      readWebhooks: async () => state.hooks.map(({ url, active, events, secret }) => ({ url, active, events, secret })),
      addWebhook: async ({ url, active }) => {
        state.hooks.push({ id: state.id(), url, active, events: ['push'], content_type: 'form', secret: null })
      },
    },
  }
})

remoteForgeContract('github', async () => openForge(await openGithub()))
ownChangesContract('github', async () => openForge(await openGithub()))
labelEventsContract('github', async () => openForge(await openGithub()))

forgeContract('github', async () => {
  const opened = await openGithub()
  const { forge, memory, world } = openForge(opened)
  const { state } = opened.fake
  const main = state.branches.get('main') ?? ''
  const head = newCommit(state, [main])
  const next = newCommit(state, [head])
  return {
    forge,
    git: {
      shas: { head, next, merged: newCommit(state, [main, head]) },
      push: async (branch, sha) => push(state, branch, sha),
    },
    async findChange(task) {
      const row = memory.getChange(task)
      if (!row) return null
      const { title, body, state: at } = await world.readChange(row.number)
      const pull = state.issues.get(row.number)?.pull
      const sides = { branch: pull?.head.ref ?? '', base: pull?.base ?? '', head: pull?.head.sha ?? '' }
      // Of a merged one the branch may have moved on.
      return { ...row, ...sides, title, body, state: at, mergedSha: pull?.mergedSha ?? null }
    },
    async listReviews({ project, number: change }) {
      const reviews = state.issues.get(change)?.pull?.reviews ?? []
      return reviews.flatMap(({ body, commit_id: sha }): ReviewRow[] => {
        const said = /^\*\*(.+)\*\* (approves|requests changes to) [0-9a-f]{40}\n\n(.*)/.exec(body)
        if (!said) return []
        const [, by = '', verb, text = ''] = said
        return [{ project, change, sha, by, verdict: verb === 'approves' ? 'approve' : 'request_changes', text, at: 0 }]
      })
    },
    close: opened.close,
  }
})
