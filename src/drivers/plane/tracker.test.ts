// What is Plane's own of a board: groups, names that come and go, pages that shift, sixty requests a minute.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Tracker } from '../driver.ts'
import { addIssue, addLabel, addState, type FakeIssue, type FakeState, typed } from './fake-plane-state.ts'
import { openPlane, type Opened, trackerOf, userOf } from './fake-plane-world.ts'

const VIEW = { column: null, labelsOn: [], labelsOff: [], close: null }

let opened: Opened
let tracker: Tracker
let clock: number

beforeEach(async () => {
  clock = Date.now()
  opened = await openPlane({ now: () => clock })
  tracker = trackerOf(opened)
})
afterEach(() => opened.close())

function issue(change: Partial<FakeIssue> = {}): FakeIssue {
  const { world } = opened
  return addIssue(world, { name: 'a', description_html: typed('b'), created_by: userOf(world, 'olga'), ...change })
}

function state(name: string): FakeState {
  const { states, project } = opened.world
  const found = states.find((one) => one.name === name && one.project === project)
  if (!found) throw new Error(`no state ${name}`)
  return found
}

function column(id: string): string | undefined {
  const at = opened.world.issues.find((one) => one.id === id)?.state
  return opened.world.states.find((one) => one.id === at)?.name
}

/** Requests made by the work, as `METHOD path` below the project. */
async function asking(work: () => Promise<unknown>): Promise<string[]> {
  const before = opened.proxy.asked().length
  await work()
  const after = opened.proxy.asked().slice(before)
  return after.map(({ method, path }) => `${method} ${path.replace(/^.*\/projects\/[^/]+/, '').replace(/\?.*/, '')}`)
}

describe('a state', () => {
  test('is over by its group, whatever it is called', async () => {
    state('Done').name = 'Open again'
    state('Doing').name = 'Done'
    const { id } = issue({ state: state('Open again').id })
    expect(await tracker.findIssue(id)).toMatchObject({ state: 'completed', column: 'Open again' })
    expect(await tracker.findIssue(issue({ state: state('Done').id }).id)).toMatchObject({
      state: 'open',
      column: 'Done',
    })
  })

  test('that was made since the names were read is looked up alone', async () => {
    await tracker.findIssue(issue().id)
    const shipped = addState(opened.world, { name: 'Shipped', group: 'completed', sequence: 1, default: false })
    const { id } = issue({ state: shipped.id })
    expect(await asking(() => tracker.findIssue(id))).toContain(`GET /states/${shipped.id}/`)
    expect(await tracker.findIssue(id)).toMatchObject({ state: 'completed', column: 'Shipped' })
  })

  test('that the project has not (any more) is an open one in no column', async () => {
    const other = opened.world.states.find((one) => one.project === opened.world.other)
    const found = await tracker.findIssue(issue({ state: other?.id ?? '' }).id)
    expect(found).toMatchObject({ state: 'open', column: null })
  })

  test('names are read once, anew after their time, and an old set is better than none', async () => {
    const { id } = issue()
    const reads = async (): Promise<number> =>
      (await asking(() => tracker.findIssue(id))).filter((one) => one === 'GET /states/').length
    expect([await reads(), await reads()]).toEqual([1, 0])
    clock += 300_001
    opened.proxy.answerNext(({ path }) => path.includes('/states/'), { status: 502, body: {} })
    expect(await tracker.findIssue(id)).toMatchObject({ column: 'Backlog' })
    state('Backlog').name = 'Later'
    expect(await tracker.findIssue(id)).toMatchObject({ column: 'Later' })
    expect(await reads()).toBe(0)
  })

  test('names are read once for good where their time is 0', async () => {
    const forever = await openPlane({ now: () => clock, catalogTtlMs: 0 })
    try {
      const { world } = forever
      const { id } = addIssue(world, { name: 'a', description_html: '', created_by: userOf(world, 'olga') })
      await trackerOf(forever).findIssue(id)
      clock += 365 * 86_400_000
      const before = forever.proxy.asked().length
      await trackerOf(forever).findIssue(id)
      expect(
        forever.proxy
          .asked()
          .slice(before)
          .some(({ path }) => path.includes('/states/')),
      ).toBe(false)
    } finally {
      await forever.close()
    }
  })
})

describe('the view', () => {
  test('a column that was deleted since is missing, and nothing else takes its place', async () => {
    const { id } = issue()
    await tracker.ensureView(id, { ...VIEW, column: 'Todo' })
    opened.world.states = opened.world.states.filter((one) => one !== state('Doing'))
    expect(await tracker.ensureView(id, { ...VIEW, column: 'Doing' })).toEqual({ missing: ['Doing'] })
    expect(column(id)).toBe('Todo')
  })

  test('a column that was deleted and made anew is found', async () => {
    const { id } = issue()
    await tracker.ensureView(id, { ...VIEW, column: 'Todo' })
    opened.world.states = opened.world.states.filter((one) => one !== state('Doing'))
    addState(opened.world, { name: 'Doing', group: 'started', sequence: 1, default: false })
    expect(await tracker.ensureView(id, { ...VIEW, column: 'doing' })).toEqual({ missing: [] })
    expect(column(id)).toBe('Doing')
  })

  test('a renamed column is missing once the names are read anew', async () => {
    const { id } = issue()
    await tracker.ensureView(id, { ...VIEW, column: 'Todo' })
    state('Doing').name = 'In work'
    clock += 300_001
    expect(await tracker.ensureView(id, { ...VIEW, column: 'Doing' })).toEqual({ missing: ['Doing'] })
    expect(column(id)).toBe('Todo')
  })

  test('a label that Plane dropped without a word is missing, and the others are on', async () => {
    addLabel(opened.world, { name: 'one' })
    const two = addLabel(opened.world, { name: 'two' })
    const { id } = issue()
    await tracker.ensureView(id, { ...VIEW, labelsOn: ['one'] })
    opened.world.labels = opened.world.labels.filter((label) => label !== two)
    expect(await tracker.ensureView(id, { ...VIEW, labelsOn: ['one', 'two'] })).toEqual({ missing: ['two'] })
    expect((await tracker.findIssue(id))?.labels).toEqual(['one'])
  })
})

describe('the view and its project', () => {
  test('no id of another project is ever sent, though its name is the same', async () => {
    opened.world.states = opened.world.states.filter((one) => one !== state('Doing'))
    const view = { ...VIEW, column: 'Doing', labelsOn: ['bug'] }
    expect(await tracker.ensureView(issue().id, view)).toEqual({ missing: ['Doing', 'bug'] })
    expect(opened.proxy.writes()).toBe(0)
  })

  test('what a server lists of another project is not looked at', async () => {
    const { states, labels, other } = opened.world
    for (const [list, all] of [
      ['/states/?', states],
      ['/labels/?', labels],
    ] as const) {
      const results = all.filter(({ project }) => project === other)
      const body = { results, next_page_results: false, total_count: results.length }
      opened.proxy.answerNext(({ path }) => path.includes(list), { status: 200, body })
    }
    const view = { ...VIEW, column: 'Doing', labelsOn: ['bug'] }
    expect(await tracker.ensureView(issue().id, view)).toEqual({ missing: ['Doing', 'bug'] })
  })

  test('what onboarding makes is there at once, and what a person made is not made again', async () => {
    const onboarding = opened.driver.onboarding(opened.ref)
    const { id } = issue()
    await tracker.ensureView(id, { ...VIEW, column: 'Todo', labelsOn: ['x'] })
    await onboarding.ensureColumn({ name: 'Review', group: 'started' })
    await onboarding.ensureLabel({ name: 'orch', color: '1d76db', description: '' })
    expect(await tracker.ensureView(id, { ...VIEW, column: 'Review', labelsOn: ['orch'] })).toEqual({ missing: [] })
    addLabel(opened.world, { name: 'mine' })
    const writes = opened.proxy.writes()
    expect(await onboarding.ensureLabel({ name: 'mine', color: '1d76db', description: '' })).toBe('existed')
    expect(opened.proxy.writes()).toBe(writes)
  })

  test('a column of a group that Plane has not is refused before it is asked for', async () => {
    const column = { name: 'Review', group: 'doing' }
    await expect(opened.driver.onboarding(opened.ref).ensureColumn(column)).rejects.toThrow(/backlog, unstarted/)
    expect(opened.proxy.writes()).toBe(0)
  })
})

describe('the view of what is over', () => {
  test('column, labels and end are one write', async () => {
    addLabel(opened.world, { name: 'orch:done' })
    addState(opened.world, { name: 'Shipped', group: 'completed', sequence: 9, default: false })
    const { id } = issue()
    const view = { ...VIEW, column: 'Shipped', labelsOn: ['orch:done'], close: 'completed' as const }
    expect(await tracker.ensureView(id, view)).toEqual({ missing: [] })
    expect(column(id)).toBe('Shipped')
    expect(opened.proxy.writes()).toBe(1)
  })

  test('an end wins over a column that is no end, and one that has no state is missing', async () => {
    const { id } = issue()
    await tracker.ensureView(id, { ...VIEW, column: 'Doing', close: 'completed' })
    expect(column(id)).toBe('Done')
    opened.world.states = opened.world.states.filter((one) => one.group !== 'cancelled')
    const view = { ...VIEW, close: 'cancelled' as const }
    clock += 300_001
    expect(await tracker.ensureView(issue().id, view)).toEqual({ missing: ['cancelled'] })
  })

  test('what a person ended otherwise stays so', async () => {
    const { id } = issue({ state: state('Cancelled').id })
    await tracker.ensureView(id, { ...VIEW, column: 'Done', close: 'completed' })
    expect(column(id)).toBe('Cancelled')
  })

  test('an issue that is gone is an error that says so', async () => {
    const { id } = issue()
    opened.world.issues = []
    await expect(tracker.ensureView(id, VIEW)).rejects.toMatchObject({ kind: 'not-found' })
  })
})

describe('a list', () => {
  test('that is not new costs one request, whether all or what has changed is asked for', async () => {
    for (let n = 0; n < 101; n += 1) issue()
    for (const since of [null, Date.parse(opened.world.issues[50]?.updated_at ?? '')]) {
      const first = await tracker.listIssues({ since })
      expect(first).toMatchObject({ unchanged: false })
      const asked = await asking(async () => {
        expect(await tracker.listIssues({ since })).toEqual({ unchanged: true, issues: first.issues })
      })
      expect(asked).toEqual(['GET /work-items/'])
    }
  })

  test('a later question is not answered with what an earlier one was about', async () => {
    const [first, second] = [issue(), issue()]
    const at = Date.parse(second.updated_at)
    await tracker.listIssues({ since: 1 })
    const later = await tracker.listIssues({ since: at })
    expect(later).toMatchObject({ unchanged: true, issues: [{ id: second.id }] })
    first.updated_at = opened.world.tick()
    expect((await tracker.listIssues({ since: at })).issues.map(({ id }) => id)).toEqual([first.id, second.id])
  })

  test('an earlier question is not answered with what a later one was about', async () => {
    const [first, second] = [issue(), issue()]
    await tracker.listIssues({ since: Date.parse(second.updated_at) })
    const earlier = await tracker.listIssues({ since: Date.parse(first.updated_at) })
    expect(earlier).toMatchObject({ unchanged: false, issues: [{ id: second.id }, { id: first.id }] })
  })

  test('an issue that was deleted leaves it', async () => {
    const [first] = [issue(), issue()]
    await tracker.listIssues({ since: null })
    opened.world.issues = opened.world.issues.filter((one) => one !== first)
    expect((await tracker.listIssues({ since: null })).issues).toHaveLength(1)
  })
})

describe('pages of a list', () => {
  const pages = (asked: string[]): number => asked.filter((one) => one === 'GET /work-items/').length

  test('is read no further than what was asked for', async () => {
    for (let n = 0; n < 250; n += 1) issue()
    const since = Date.parse(opened.world.issues.at(-3)?.updated_at ?? '')
    const asked = await asking(async () => {
      expect((await tracker.listIssues({ since })).issues).toHaveLength(3)
    })
    expect(pages(asked)).toBe(1)
  })

  test('one that jumps to the front while pages are read is not missed', async () => {
    for (let n = 0; n < 150; n += 1) issue()
    const [oldest] = opened.world.issues as [FakeIssue]
    opened.proxy.afterNext(
      ({ path }) => path.includes('/work-items/?'),
      async () => void Object.assign(oldest, { name: 'now', updated_at: opened.world.tick() }),
    )
    const { issues } = await tracker.listIssues({ since: 1 })
    expect(issues).toHaveLength(150)
    expect(issues.find(({ id }) => id === oldest.id)?.title).toBe('now')
  })

  test('that the budget cut off goes on where it was', async () => {
    for (let n = 0; n < 30; n += 1) issue()
    opened.world.limit = 20
    const error: unknown = await tracker.listIssues({ since: null }).catch((caught: unknown) => caught)
    expect(error).toMatchObject({ kind: 'rate-limited', retryAfterMs: 17_000 })
    expect(opened.driver.quota()).toMatchObject({ remaining: 0 })
    opened.world.limit = 1_000
    const asked = await asking(async () => {
      expect((await tracker.listIssues({ since: null })).issues).toHaveLength(30)
    })
    expect(asked.filter((one) => one.endsWith('/relations/')).length).toBeLessThan(20)
  })

  test('links to other projects are none, and are asked for anew where one issue is', async () => {
    const [one, by] = [issue(), issue()]
    opened.world.blockers.push({ issue: one.id, by: by.id, project: opened.world.other })
    expect(await tracker.findIssue(one.id)).toMatchObject({ blockedBy: [] })
    // Made at the other end: the issue itself has not changed.
    opened.world.blockers.push({ issue: one.id, by: by.id, project: opened.world.project })
    expect(await tracker.findIssue(one.id)).toMatchObject({ blockedBy: [by.id] })
  })
})
