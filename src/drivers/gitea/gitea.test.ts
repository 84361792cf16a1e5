// The shared suites on a played Gitea.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { forgeContract } from '../driver.contract.ts'
import { labelEventsContract, type OpenLabelForge } from '../label-events.contract.ts'
import { lateCommentsContract } from '../late-comments.contract.ts'
import { ownChangesContract } from '../own-changes.contract.ts'
import { remoteForgeContract } from '../remote-forge.contract.ts'
import { onboardingContract, trackerContract } from '../remote.contract.ts'
import {
  forgeWorld,
  type GiteaWorld,
  makeMemory,
  onboardingWorld,
  openWorld,
  PEOPLE,
  REF,
  trackerWorld,
} from './fake-gitea-world.ts'
import { readDescription } from './test-gitea-api.ts'

const openTracker = async () => {
  const world = await openWorld()
  const tracker = world.driver.tracker(REF)
  if (!tracker) throw new Error('Gitea is a tracker')
  return { tracker, world: trackerWorld(world), close: world.close }
}

trackerContract('gitea', openTracker)
lateCommentsContract('gitea', openTracker)

onboardingContract('gitea', async () => {
  const world = await openWorld()
  return { onboarding: world.driver.onboarding(REF), world: onboardingWorld(world), close: world.close }
})

function forgeOf(world: GiteaWorld, memory = makeMemory()) {
  const forge = world.driver.forge(REF, memory)
  if (!forge) throw new Error('Gitea is a forge')
  return { forge, memory }
}

forgeContract('gitea', async () => {
  const world = await openWorld()
  const { forge, memory } = forgeOf(world)
  const { state } = world.fake
  const shas = { head: 'a'.repeat(40), next: 'b'.repeat(40), merged: 'c'.repeat(40) }
  const main = state.branches.get('main') ?? ''
  state.commits.set(shas.head, [main])
  state.commits.set(shas.next, [shas.head])
  state.commits.set(shas.merged, [main, shas.next])
  return {
    forge,
    git: {
      shas,
      push: (branch, sha) => {
        state.branches.set(branch, sha)
        return Promise.resolve()
      },
    },
    findChange: (task) => Promise.resolve(memory.getChange(task)),
    // As Gitea keeps them: the verdict stands in the text.
    listReviews: (change) =>
      Promise.resolve(
        state.reviews
          .filter(({ issue, user }) => issue === change.number && user === PEOPLE.self)
          .map(({ sha, body, at }) => ({
            project: 'SHOP',
            change: change.number,
            sha,
            by: 'claude',
            text: body,
            at,
            verdict: body.includes('approves') ? ('approve' as const) : ('request_changes' as const),
          })),
      ),
    close: world.close,
  }
})

const openForge = async (): Promise<OpenLabelForge> => {
  const world = await openWorld({ mergeCheckMs: 0 })
  const { forge, memory } = forgeOf(world)
  const forgetful = () => forgeOf(world).forge
  return { forge, memory, forgetful, world: forgeWorld(world), close: world.close }
}

ownChangesContract('gitea', openForge)
labelEventsContract('gitea', openForge)
remoteForgeContract('gitea', openForge, { queue: 'Gitea has none' })

describe('the description that the played Gitea is judged by', () => {
  const description = readDescription()
  const judge = (operation: string, body: unknown, query = '') =>
    description.judgeRequest(operation, { body, query: new URLSearchParams(query) })

  test('refuses what it does not describe', () => {
    expect(judge('GET /repos/{owner}/{repo}/issues', undefined, 'type=issues&state=all')).toEqual([])
    expect(judge('GET /repos/{owner}/{repo}/issues', undefined, 'per_page=3')).toHaveLength(1)
    const merge = 'POST /repos/{owner}/{repo}/pulls/{index}/merge'
    expect(judge(merge, { Do: 'squash', head_commit_id: 'a' })).toEqual([])
    expect(judge(merge, { Do: 'magic' })).toHaveLength(1)
    expect(judge(merge, { merge_method: 'squash' })).toHaveLength(2)
    expect(judge('POST /repos/{owner}/{repo}/issues/{index}/comments', {})).toEqual(['body.body is missing'])
    expect(description.judgeAnswer('GET /user', { login: 'ada', id: 1 })).toEqual([])
    expect(description.judgeAnswer('GET /user', { login: 7, name: 'ada' })).toHaveLength(2)
    expect(description.judgeAnswer('GET /repos/{owner}/{repo}/issues', [{ created_at: 'soon' }])).toHaveLength(1)
  })

  test('tells operations of one shape apart', () => {
    const at = '/repos/shop/web/pulls'
    expect(description.find('GET', `${at}/12`)).toBe('GET /repos/{owner}/{repo}/pulls/{index}')
    expect(description.find('GET', `${at}/main/orch/x-1`)).toBe('GET /repos/{owner}/{repo}/pulls/{base}/{head}')
    expect(description.find('GET', `${at}/12/reviews`)).toBe('GET /repos/{owner}/{repo}/pulls/{index}/reviews')
    expect(description.find('GET', '/repos/shop/web/actions/runs')).toBeNull()
  })
})

describe('the played Gitea itself', () => {
  let world: GiteaWorld
  beforeEach(async () => {
    world = await openWorld()
  })

  test('throws at its end what nobody expected or described', async () => {
    await fetch(`${world.fake.url}/api/v1/repos/${REF}/topics`)
    const headers = { authorization: 'token token-of-ada' }
    await fetch(`${world.fake.url}/api/v1/repos/${REF}/issues?per_page=1`, { headers })
    await expect(world.close()).rejects.toThrow(/topics: nobody expected that[\s\S]*per_page is not described/)
  })

  describe('answers gitea-js', () => {
    afterEach(() => world.close())
    test('with the statuses that were seen on a real server', async () => {
      const [owner, name] = ['shop', 'web']
      const ada = world.as(PEOPLE.owner).repos
      const statusOf = (asked: Promise<unknown>) =>
        asked.then(
          (answer) => (answer as Response).status,
          (answer: unknown) => (answer as Response).status,
        )
      world.fake.push('feature')
      const change = { head: 'feature', base: 'main', title: 'WIP: Feature' }
      expect(await statusOf(ada.repoCreatePullRequest(owner, name, change))).toBe(201)
      expect(await statusOf(ada.repoCreatePullRequest(owner, name, change))).toBe(409)
      const review = { event: 'APPROVED', body: 'Fine.' }
      expect(await statusOf(ada.repoCreatePullReview(owner, name, 1, review))).toBe(422)
      const merge = () => statusOf(ada.repoMergePullRequest(owner, name, 1, { Do: 'merge' }))
      expect(await merge()).toBe(405)
      expect(await statusOf(ada.repoEditPullRequest(owner, name, 1, { title: 'Feature' }))).toBe(201)
      expect(await statusOf(ada.repoPullRequestIsMerged(owner, name, 1))).toBe(404)
      expect(await merge()).toBe(200)
      expect(await merge()).toBe(404)
      expect(await statusOf(ada.repoPullRequestIsMerged(owner, name, 1))).toBe(204)
    })
  })
})
