// The played Plane as the shared suites see it: behind a proxy, with people at its other side.

import type { Driver, Issue } from '../driver.ts'
import type { OnboardingWorld, People, TrackerWorld } from '../remote.contract.ts'
import { type FaultProxy, startFaultProxy } from '../test-proxy.ts'
import type { PlaneOptions } from './connection.ts'
import { makePlaneDriver } from './driver.ts'
import { type FakePlane, startFakePlane } from './fake-plane.ts'
import {
  addComment,
  addIssue,
  addLabel,
  BOT_TOKEN,
  type FakeIssue,
  type FakeWorld,
  TOKEN,
  typed,
} from './fake-plane-state.ts'

const PEOPLE: People = { self: 'orch-bot', owner: 'olga', member: 'mia', stranger: 'stan' }

export interface Opened {
  fake: FakePlane
  world: FakeWorld
  proxy: FaultProxy
  driver: Driver
  ref: string
  close(): Promise<void>
}

export async function openPlane(options: Partial<PlaneOptions> = {}): Promise<Opened> {
  const fake = await startFakePlane()
  const proxy = await startFaultProxy(fake.url)
  const bots = { developer: BOT_TOKEN }
  const driver = makePlaneDriver({ url: proxy.url, token: TOKEN, bots, now: Date.now, ...options })
  const close = async (): Promise<void> => {
    await proxy.close()
    await fake.close()
  }
  return { fake, world: fake.world, proxy, driver, ref: `${fake.world.slug}/${fake.world.project}`, close }
}

export function trackerOf({ driver, ref }: Opened): NonNullable<ReturnType<Driver['tracker']>> {
  const tracker = driver.tracker(ref)
  if (!tracker) throw new Error('Plane is a tracker')
  return tracker
}

function issueOf(world: FakeWorld, id: string): FakeIssue {
  const found = world.issues.find((issue) => issue.id === id)
  if (!found) throw new Error(`no issue ${id}`)
  return found
}

export function userOf(world: FakeWorld, name: string): string {
  const found = world.users.find((user) => user.display_name === name)
  if (!found) throw new Error(`nobody is called ${name}`)
  return found.id
}

function nameOf(world: FakeWorld, id: string): string {
  return world.users.find((user) => user.id === id)?.display_name ?? id
}

function labelId(world: FakeWorld, name: string): string {
  const found = world.labels.find((label) => label.name === name && label.project === world.project)
  return (found ?? addLabel(world, { name })).id
}

const ENDS: Record<Issue['state'], string> = { open: 'Todo', completed: 'Done', cancelled: 'Cancelled' }

function stateId(world: FakeWorld, name: string): string {
  return world.states.find((state) => state.name === name && state.project === world.project)?.id ?? ''
}

export function trackerWorld({ world, proxy }: Opened): TrackerWorld {
  return {
    people: PEOPLE,
    proxy,
    closesWithoutTime: true,
    columns: ['Todo', 'Doing'],
    countReactions: null,
    moreThanAPage: 105,
    isIssuePage: (path) => path.includes('/work-items/?'),
    async addIssue({ title, body, labels = [] }) {
      const by = userOf(world, PEOPLE.owner)
      const ids = labels.map((name) => labelId(world, name))
      return addIssue(world, { name: title, description_html: typed(body), created_by: by, labels: ids }).id
    },
    async changeIssue(id, { title, body, state, label }) {
      const issue = issueOf(world, id)
      if (title !== undefined) issue.name = title
      if (body !== undefined) issue.description_html = typed(body)
      if (label !== undefined) issue.labels.push(labelId(world, label))
      if (state !== undefined) issue.state = stateId(world, ENDS[state])
      issue.updated_at = world.tick()
    },
    async removeIssue(id) {
      world.issues = world.issues.filter((issue) => issue.id !== id)
    },
    async addComment({ issue, author, body }) {
      return addComment(world, { issue, comment_html: typed(body), actor: userOf(world, author) }).id
    },
    async addBlocker({ issue, by }) {
      world.blockers.push({ issue, by, project: world.project })
      issueOf(world, issue).updated_at = world.tick()
    },
    async readIssue(id) {
      const issue = issueOf(world, id)
      const state = world.states.find((one) => one.id === issue.state)
      const end = state?.group === 'completed' || state?.group === 'cancelled' ? state.group : 'open'
      const labels = issue.labels.map((label) => world.labels.find((one) => one.id === label)?.name ?? label)
      return { state: end, labels, column: state?.name ?? null }
    },
    readComments: async (id) =>
      world.comments
        .filter(({ issue }) => issue === id)
        .map(({ actor, comment_html: body }) => ({ author: nameOf(world, actor), body })),
    addLabel: async (name) => void labelId(world, name),
  }
}

export function onboardingWorld({ world, proxy }: Opened): OnboardingWorld {
  const names = (items: { name: string; project: string }[]): string[] =>
    items.filter(({ project }) => project === world.project).map(({ name }) => name)
  return {
    proxy,
    readLabels: async () => names(world.labels),
    readColumns: async () => names(world.states),
    readWebhooks: null,
    addWebhook: () => Promise.reject(new Error('Plane lets only a person make one')),
  }
}
