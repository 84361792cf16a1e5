// What Gitea's issues and labels do otherwise than other vendors'.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Tracker } from '../driver.ts'
import type { TrackerWorld } from '../remote.contract.ts'
import { type GiteaWorld, openWorld, PEOPLE, REF, trackerWorld } from './fake-gitea-world.ts'

let gitea: GiteaWorld
let world: TrackerWorld
let tracker: Tracker
beforeEach(async () => {
  gitea = await openWorld()
  world = trackerWorld(gitea)
  tracker = gitea.driver.tracker(REF) as Tracker
})
afterEach(() => gitea.close())

const NO_VIEW = { column: null, labelsOn: [], labelsOff: [], close: null }
const on = (id: string, ...labelsOn: string[]) => tracker.ensureView(id, { ...NO_VIEW, labelsOn })
const asksFor = (part: RegExp) => gitea.proxy.asked().filter(({ path }) => part.test(path)).length
const labelsOf = async (id: string) => (await world.readIssue(id)).labels.toSorted()
const rename = async (from: string, name: string) => {
  const id = gitea.fake.state.labels.find((label) => label.name === from)?.id ?? 0
  await gitea.as(PEOPLE.owner).repos.issueEditLabel('shop', 'web', id, { name })
}

describe('labels are numbers', () => {
  test('names are looked up once in five minutes', async () => {
    await world.addLabel('orch:running')
    const ids = [await world.addIssue({ title: 'a', body: '' }), await world.addIssue({ title: 'b', body: '' })]
    for (const id of ids) await on(id, 'orch:running')
    expect(asksFor(/\/web\/labels/)).toBe(1)
    gitea.clock.aheadMs = 299_000
    await on(await world.addIssue({ title: 'c', body: '' }), 'orch:running')
    expect(asksFor(/\/web\/labels/)).toBe(1)
    gitea.clock.aheadMs = 301_000
    await on(await world.addIssue({ title: 'd', body: '' }), 'orch:running')
    expect(asksFor(/\/web\/labels/)).toBe(2)
  })

  test('one that was renamed meanwhile is missing, and its number does not stay on', async () => {
    for (const label of ['orch:running', 'orch:queued']) await world.addLabel(label)
    const [first, second] = [
      await world.addIssue({ title: 'a', body: '' }),
      await world.addIssue({ title: 'b', body: '' }),
    ]
    await on(first, 'orch:running')
    await rename('orch:running', 'wontfix')
    expect(await on(second, 'orch:running', 'orch:queued')).toEqual({ missing: ['orch:running'] })
    expect(await labelsOf(second)).toEqual(['orch:queued'])
  })

  test('one whose name another one has by now gets the right number', async () => {
    await world.addLabel('orch:running')
    const [first, second] = [
      await world.addIssue({ title: 'a', body: '' }),
      await world.addIssue({ title: 'b', body: '' }),
    ]
    await on(first, 'orch:running')
    await rename('orch:running', 'old')
    await world.addLabel('orch:running')
    expect(await on(second, 'orch:running')).toEqual({ missing: [] })
    expect(await labelsOf(second)).toEqual(['orch:running'])
  })

  test('one that was deleted meanwhile is missing; one that was made meanwhile is found', async () => {
    await world.addLabel('orch:running')
    const id = await world.addIssue({ title: 'a', body: '' })
    await on(id, 'orch:running')
    const { id: label } = gitea.fake.state.labels[0] ?? { id: 0 }
    await gitea.as(PEOPLE.owner).repos.issueDeleteLabel('shop', 'web', label)
    expect(await on(id, 'orch:running')).toEqual({ missing: ['orch:running'] })
    await world.addLabel('orch:done')
    expect(await on(id, 'orch:done')).toEqual({ missing: [] })
    expect(await labelsOf(id)).toEqual(['orch:done'])
  })

  test("an organisation's labels are labels of its repositories", async () => {
    gitea.fake.state.orgLabels = [{ id: 900, name: 'orch:running', color: 'aabbcc', description: '' }]
    const id = await world.addIssue({ title: 'a', body: '' })
    expect(await on(id, 'orch:running')).toEqual({ missing: [] })
    expect(await tracker.findIssue(id)).toMatchObject({ labels: ['orch:running'] })
    expect(await gitea.driver.onboarding(REF).labels()).toEqual(['orch:running'])
    await tracker.ensureView(id, { ...NO_VIEW, labelsOff: ['ORCH:running'] })
    expect(await tracker.findIssue(id)).toMatchObject({ labels: [] })
  })

  test('one that onboarding has made is known at once', async () => {
    const id = await world.addIssue({ title: 'a', body: '' })
    expect(await on(id, 'orch:ready')).toEqual({ missing: ['orch:ready'] })
    await gitea.driver.onboarding(REF).ensureLabel({ name: 'orch:ready', color: '1d76db', description: '' })
    expect(await on(id, 'orch:ready')).toEqual({ missing: [] })
  })
})

describe('dependencies', () => {
  test('what an issue depends on, of this repository alone', async () => {
    const [first, second, third] = [
      await world.addIssue({ title: 'a', body: '' }),
      await world.addIssue({ title: 'b', body: '' }),
      await world.addIssue({ title: 'c', body: '' }),
    ]
    const state = gitea.fake.state.issues.get(Number(third))
    if (state) state.blockedBy = [Number(second), Number(first)]
    expect(await tracker.findIssue(third)).toMatchObject({ blockedBy: [first, second] })
    const { issues } = await tracker.listIssues({ since: null })
    expect(issues.find(({ id }) => id === third)).toMatchObject({ blockedBy: [first, second] })
    const there = { id: 77, number: 1, pull_request: null, repository: { full_name: 'shop/other' } }
    const change = { id: 78, number: 9, pull_request: { merged: false }, repository: { full_name: REF } }
    const headers = { 'x-total-count': '2' }
    const answer = { status: 200, body: [there, change], headers }
    gitea.proxy.answerNext(({ path }) => path.includes('/dependencies'), answer)
    expect(await tracker.findIssue(third)).toMatchObject({ blockedBy: [] })
  })

  test('what its text says it waits for counts as well', async () => {
    const first = await world.addIssue({ title: 'a', body: '' })
    const second = await world.addIssue({ title: 'b', body: `Blocked by #${first}, shop/other#9\n\n> Blocked by #8` })
    expect(await tracker.findIssue(second)).toMatchObject({ blockedBy: [first] })
  })

  test('where they are switched off nothing waits, and a list asks once', async () => {
    gitea.fake.state.dependencies = false
    for (const title of ['a', 'b', 'c']) await world.addIssue({ title, body: '' })
    const { issues } = await tracker.listIssues({ since: null })
    expect(issues.map(({ blockedBy }) => blockedBy)).toEqual([[], [], []])
    expect(asksFor(/dependencies/)).toBe(1)
  })

  test('what is closed is not asked what it waits for', async () => {
    const id = await world.addIssue({ title: 'a', body: '' })
    await world.changeIssue(id, { state: 'completed' })
    await tracker.listIssues({ since: 1 })
    expect(asksFor(/dependencies/)).toBe(0)
  })
})

describe('what is no issue of the project', () => {
  test('a pull request has a number of the same row', async () => {
    gitea.fake.push('feature')
    const pull = { head: 'feature', base: 'main', title: 'Feature' }
    const { data } = await gitea.as(PEOPLE.member).repos.repoCreatePullRequest('shop', 'web', pull)
    expect(await tracker.findIssue(String(data.number))).toBeNull()
    expect((await tracker.listIssues({ since: 1 })).issues).toEqual([])
  })

  test.each(['1/../../x', '-1', '1e3', '', '..', '１'])('%j reaches no other address', async (id) => {
    await world.addIssue({ title: 'a', body: '' })
    expect(await tracker.findIssue(id)).toBeNull()
    const own = [`/api/v1/repos/${REF}/issues/0`, `/api/v1/repos/${REF}`]
    expect(gitea.proxy.asked().filter(({ path }) => !own.includes(path))).toEqual([])
  })

  test.each(['shop', 'shop/web/x', '../web', 'shop/..', 'shop/w b', 'shop/web?x', ''])('%j is no repository', (ref) => {
    expect(() => gitea.driver.tracker(ref)).toThrow(/is no repository at Gitea/)
  })
})

test('a comment of ours that quotes the mark of another is not that one', async () => {
  const id = await world.addIssue({ title: 'a', body: '' })
  await tracker.ensureComment(id, { key: 'first', body: 'quoted:\n\n<!-- orch:second -->', role: null })
  await tracker.ensureComment(id, { key: 'second', body: 'Second.', role: null })
  expect((await world.readComments(id)).map(({ body }) => body.split('\n')[0])).toEqual(['quoted:', 'Second.'])
})

describe('lists', () => {
  test('a list that stays as it is is read once, over as many pages as it has', async () => {
    for (let n = 0; n < 103; n += 1) await world.addIssue({ title: 'a', body: '' })
    gitea.fake.state.dependencies = false
    expect((await tracker.listIssues({ since: null })).issues).toHaveLength(103)
    expect(asksFor(/\/issues\?/)).toBe(3)
  })

  test('a server that gives less than was asked for is read to its end', async () => {
    const page = (numbers: number[]) => numbers.map((n) => ({ ...WIRE, number: n, id: n }))
    // Neither a link nor a number of all: such a list is read until it twice reads the same.
    for (const numbers of [[3, 2], [1], [], [3, 2], [1], []]) {
      const answer = { status: 200, body: page(numbers) }
      gitea.proxy.answerNext(({ path }) => path.includes('/issues?'), answer)
    }
    const { issues } = await tracker.listIssues({ since: null })
    expect(issues.map(({ id }) => id).toSorted()).toEqual(['1', '2', '3'])
  })

  test('a page that comes again and again ends', async () => {
    const link = { link: '<https://gitea.example/?page=2>; rel="next"', 'x-total-count': '1' }
    for (let n = 0; n < 3; n += 1)
      gitea.proxy.answerNext(({ path }) => path.includes('/issues?'), { status: 200, body: [WIRE], headers: link })
    expect((await tracker.listIssues({ since: null })).issues).toHaveLength(1)
  })
})

const WIRE = {
  id: 1,
  number: 1,
  title: 'a',
  body: '',
  state: 'closed',
  labels: null,
  assignees: null,
  html_url: 'http://x',
  user: { id: 2, login: 'ada' },
  created_at: '2026-11-02T09:30:00Z',
  updated_at: '2026-11-02T09:30:00+01:00',
}
