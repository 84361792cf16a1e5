// Looks that catch what no webhook told, over the real store and engine; the vendor keeps its own time.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Quota, Issue, IssueComment, RemoteForge, Tracker } from '../drivers/driver.ts'
import { ExternalError } from '../lib/errors.ts'
import { openStore } from '../store/sqlite.ts'
import type { ChangeRow, Store } from '../store/store.ts'
import { type Engine, makeEngine } from './engine.ts'
import { type HappeningDeps, applyHappenings } from './happenings.ts'
import { makeInLine } from './in-line.ts'
import { type PollDeps, makePoll } from './poll.ts'
import { CONFIG, PROJECT, issue } from './test-webhooks.ts'

const AT = { driver: 'github', ref: 'ann/shop' }
const FROM = { ...AT, cause: 'webhook:github/1' }
const HOUR = 3_600_000
const never = async (): Promise<never> => Promise.reject(new Error('no test expected this call'))

let dir: string
let store: Store
let engine: Engine
let clock: number
/** As the vendor has them; its time is its own. */
let issues: Issue[]
let comments: IssueComment[]
let onChange: IssueComment[]
let asked: string[]
let config: () => Promise<typeof CONFIG>
let quota: Quota | null
let healthy: boolean
let errors: unknown[]

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-poll-'))
  store = await openStore(join(dir, 'orch.db'))
  clock = 10 * HOUR
  engine = makeEngine({ store, now: () => clock++, wake: () => undefined })
  await store.addProject({ ...PROJECT, forge: AT })
  issues = [issue(12, { updatedAt: HOUR })]
  comments = []
  onChange = []
  asked = []
  answered.clear()
  errors = []
  quota = null
  healthy = false
  config = async () => CONFIG
})

afterEach(async () => {
  store.close()
  await rm(dir, { recursive: true, force: true })
})

/** What every issue list of the vendor answers to the same question twice is said to be unchanged. */
const answered = new Map<string, string>()

const tracker: Tracker = {
  findIssue: async (id) => issues.find((one) => one.id === id) ?? null,
  listIssues: async ({ since }) => {
    asked.push(`issues since ${since}`)
    const listed = issues.filter((one) => (since === null ? one.state === 'open' : one.updatedAt >= since))
    const unchanged = answered.get(String(since)) === JSON.stringify(listed)
    answered.clear()
    answered.set(String(since), JSON.stringify(listed))
    return { unchanged, issues: listed }
  },
  listComments: async ({ issue: id, since }) => {
    asked.push(`comments of ${id}`)
    return comments.filter((one) => one.updatedAt >= (since ?? 0))
  },
  trustOf: async () => 'member',
  ensureView: never,
  ensureComment: async () => ({ url: '' }),
  ensureReaction: async () => true,
}

const forge: Partial<RemoteForge> = {
  taskOf: async () => 'T-12',
  findChange: async () => null,
  listComments: async ({ since }) => onChange.filter((one) => one.updatedAt >= (since ?? 0)),
  trustOf: async () => 'member',
  ensureReaction: async () => true,
}

function deps(): PollDeps {
  return {
    store,
    engine,
    now: () => clock,
    newId: () => 'id',
    adapters: {},
    configOf: () => config(),
    trackerOf: () => tracker,
    remoteForgeOf: () => forge as RemoteForge,
    webhooksHealthy: () => healthy,
    quotaOf: () => quota,
    pollIntervals: () => ({ healthyMs: 120_000, unhealthyMs: 30_000, ciMs: 10_000 }),
    heardAt: () => null,
    names: { recall: async ({ ref }) => ref },
    inLine: makeInLine(),
    onError: (error) => errors.push(error),
    onNotice: () => undefined,
    workspaces: {} as HappeningDeps['workspaces'],
  }
}

function says(body: string, at: number): IssueComment {
  return {
    id: `c${at}`,
    author: { login: 'ann', isBot: false },
    isOwn: false,
    body,
    url: '',
    createdAt: at,
    updatedAt: at,
  }
}

const task = () => store.getTask('T-12')?.state
const later = (): void => void (clock += 200_000)

test('a command whose delivery was lost is read by the next look, though other news of its issue came', async () => {
  const poll = makePoll(deps())
  await poll()
  // Written at two hours and never told; what happened to the issue after it was.
  comments.push(says('/orch pause', 2 * HOUR))
  issues = [issue(12, { updatedAt: 2 * HOUR + 5, body: 'Twice.' })]
  await applyHappenings(deps(), FROM, [{ kind: 'issue', id: '12', issue: issues[0] ?? null }])
  expect(task()).toMatchObject({ body: 'Twice.', paused: false })
  later()
  await poll()
  expect(task()?.paused).toBe(true)
})

test('a project whose first look found no issue hears of one that came by webhook and was closed unheard', async () => {
  const opened = issue(12, { updatedAt: HOUR })
  issues = []
  const poll = makePoll(deps())
  await poll()
  await applyHappenings(deps(), FROM, [{ kind: 'issue', id: '12', issue: opened }])
  expect(task()?.status).toBe('queued')
  issues = [{ ...opened, state: 'completed', closedAt: 3 * HOUR, updatedAt: 3 * HOUR }]
  later()
  await poll()
  expect(task()?.status).toBe('cancelled')
  // Not all that ever was: our clock is surely less than a day ahead of the vendor's.
  const [, second] = asked.filter((one) => one.startsWith('issues'))
  expect(Number(second?.split(' ').at(-1))).toBeGreaterThan(10 * HOUR - 25 * HOUR)
})

test('a command at a change whose delivery was lost is read by the next look', async () => {
  const poll = makePoll(deps())
  await poll()
  const change: Omit<ChangeRow, 'number'> = {
    project: 'T',
    task: 'T-12',
    branch: 'b',
    base: 'main',
    head: 'h',
    title: 't',
    body: '',
    state: 'open',
    mergedSha: null,
    url: 'https://github.com/ann/shop/pull/7',
    createdAt: 1,
    updatedAt: 1,
  }
  await store.saveChange({ ...change, number: 7 })
  onChange.push(says('/orch pause', 2 * HOUR))
  later()
  await poll()
  expect(task()?.paused).toBe(true)
})

test('a change that was merged while its task worked on is still looked at: the row alone says merged', async () => {
  const poll = makePoll(deps())
  await poll()
  await store.saveChange({
    project: 'T',
    task: 'T-12',
    branch: 'b',
    base: 'main',
    head: 'h',
    title: 't',
    body: '',
    state: 'merged',
    mergedSha: 'd',
    url: 'https://github.com/ann/shop/pull/7',
    createdAt: 1,
    updatedAt: 1,
    number: 7,
  })
  later()
  expect(await poll()).toEqual(['T-12: the forge shows no change for it'])
})

test('what changes again in the second in which it was looked at is not taken for what was seen', async () => {
  issues = [issue(12, { updatedAt: clock })]
  const poll = makePoll(deps())
  await poll()
  // Vendors tell of whole seconds: another change of the same one has its time.
  issues = [issue(12, { updatedAt: issues[0]?.updatedAt ?? 0, body: 'Twice.' })]
  later()
  await poll()
  expect(task()?.body).toBe('Twice.')
})

test('how far was read is told by the vendor’s clock: one of ours that is hours ahead misses nothing', async () => {
  const poll = makePoll(deps())
  await poll()
  issues = [issue(12, { updatedAt: HOUR + 60_000, body: 'Twice.' })]
  later()
  await poll()
  expect(task()?.body).toBe('Twice.')
  expect(asked.filter((line) => line.startsWith('issues'))).toEqual([
    'issues since null',
    `issues since ${HOUR - 120_000}`,
  ])
})

test('a look that broke off is made again, though the vendor says that nothing changed since', async () => {
  const poll = makePoll(deps())
  config = () => Promise.reject(new ExternalError({ system: 'git', kind: 'unreachable', message: 'no route' }))
  await poll()
  expect(task()).toBeUndefined()
  config = async () => CONFIG
  later()
  await poll()
  expect(task()?.status).toBe('queued')
  const before = asked.length
  later()
  await poll()
  expect(asked.slice(before)).toEqual([`issues since ${HOUR - 120_000}`])
})

test('where webhooks are healthy and nothing is open, nobody is asked; nor below the reserve of the budget', async () => {
  healthy = true
  issues = []
  const poll = makePoll(deps())
  await poll()
  const once = asked.length
  later()
  await poll()
  expect(asked.length).toBe(once)
  healthy = false
  quota = { limit: 100, remaining: 19, resetAt: clock + HOUR }
  later()
  await poll()
  expect(asked.length).toBe(once)
  quota = { limit: 100, remaining: 20, resetAt: clock + HOUR }
  await poll()
  expect(asked.length).toBe(once + 1)
})
