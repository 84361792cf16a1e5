// Looking at trackers and forges on a timer, over the real store and engine; the vendor is plain values. What a webhook did
// not tell is found, whatever failed meanwhile, and nothing is asked where nothing can be new.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ChangeState, Issue, IssueComment, Quota, RemoteForge, ReviewThread, Tracker } from '../drivers/driver.ts'
import { ExternalError, UserError } from '../lib/errors.ts'
import { openStore } from '../store/sqlite.ts'
import type { Project, Store } from '../store/store.ts'
import { makeEngine } from './engine.ts'
import { makeInLine } from './in-line.ts'
import { makePoll, type Poll, type PollDeps } from './poll.ts'
import { CONFIG, PROJECT, issue } from './test-webhooks.ts'

const FORGE = { driver: 'gitea', ref: 'ann/shop' }
const MINUTE = 60_000

let dir: string
let store: Store
let clock: number
let issues: Issue[]
let comments: IssueComment[]
let threads: ReviewThread[]
let change: ChangeState | null
let unchanged: boolean
let healthy: boolean
let quota: Quota | null
/** Thrown by what it names, for as long as it is there. */
let trouble: Partial<Record<'trackerOf' | 'listIssues' | 'listComments' | 'trustOf' | 'findChange', Error>>
let asked: string[]
let notices: string[]
let errors: unknown[]
let poll: Poll

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-poll-'))
  store = await openStore(join(dir, 'orch.db'))
  await store.addProject(PROJECT)
  clock = 1_000_000_000
  ;[issues, comments, threads, asked, notices, errors] = [[], [], [], [], [], []]
  ;[change, quota, unchanged, healthy, trouble] = [null, null, false, false, {}]
  poll = makePoll(deps())
})

afterEach(async () => {
  store.close()
  await rm(dir, { recursive: true, force: true })
})

function ask<T>(what: keyof typeof trouble, answer: T): T {
  asked.push(what)
  if (trouble[what] !== undefined) throw trouble[what]
  return answer
}

const tracker = {
  listIssues: async () => ask('listIssues', { unchanged, issues }),
  listComments: async ({ since }) => ask('listComments', comments).filter((one) => one.updatedAt >= (since ?? 0)),
  trustOf: async () => ask('trustOf', 'member' as const),
  ensureReaction: async () => true,
} satisfies Partial<Tracker> as Partial<Tracker> as Tracker

const forge = {
  taskOf: async () => 'T-1',
  trustOf: async () => 'member',
  findChange: async () => ask('findChange', change),
  // What stands at lines is not among these.
  listComments: async ({ since }) =>
    threads
      .filter(({ file }) => file === null)
      .flatMap((thread) => thread.comments)
      .filter((one) => one.updatedAt >= (since ?? 0)),
  ensureReaction: async () => true,
} satisfies Partial<RemoteForge> as Partial<RemoteForge> as RemoteForge

function deps(): PollDeps {
  return {
    store,
    engine: makeEngine({ store, now: () => clock, wake: () => undefined }),
    now: () => clock,
    newId: () => 'id',
    adapters: {},
    configOf: async () => CONFIG,
    names: { recall: async ({ ref }) => ref },
    inLine: makeInLine(),
    trackerOf: () => ask('trackerOf', tracker),
    remoteForgeOf: (project: Project) => (project.forge ? forge : null),
    workspaces: {} as never,
    webhooksHealthy: () => healthy,
    quotaOf: () => quota,
    onError: (error) => errors.push(error),
    pollIntervals: () => ({ healthyMs: 120_000, unhealthyMs: 30_000, ciMs: 10_000 }),
    heardAt: () => null,
    onNotice: (text) => notices.push(text),
  }
}

const external = (kind: ExternalError['kind'], more: { retryAfterMs?: number } = {}): ExternalError =>
  new ExternalError({ system: 'github', kind, message: `could not list the issues: ${kind}`, ...more })

/** Looks as often as the service does, for so long. */
async function lookFor(ms: number): Promise<void> {
  for (const end = clock + ms; clock < end; clock += 10_000) await poll()
}

const comment = (id: string, body: string, updatedAt = clock): IssueComment => ({
  id,
  author: { login: 'mia', isBot: false },
  isOwn: false,
  body,
  url: '',
  createdAt: updatedAt,
  updatedAt,
})

const task = (id: string) => store.getTask(id)?.state

describe('what is told of trouble', () => {
  test.each([
    ['a forge that is down', external('unreachable')],
    ['one that is slow', external('timed-out')],
    ['a limit', external('rate-limited')],
    ['a token without the scope', external('auth')],
    ['a repository that is gone', external('not-found')],
    ['a missing credential', new UserError(6, 'no-credential', 'GITHUB_TOKEN is not set')],
  ])('%s for a night is one notice, and one when it is over; nothing is lost', async (_name, error) => {
    issues = [issue(1)]
    trouble = error instanceof UserError ? { trackerOf: error } : { listIssues: error }
    await lookFor(8 * 60 * MINUTE)
    expect(notices).toEqual([expect.stringContaining(`T can't be followed at the moment: ${error.message}`)])
    expect(errors).toEqual([])
    trouble = {}
    await lookFor(2 * MINUTE)
    expect(notices).toEqual([expect.any(String), expect.stringMatching(/answers again for T$/)])
    expect(task('T-1')?.status).toBe('queued')
  })

  test('one bad moment is not worth a word; a credential is at once', async () => {
    trouble = { listIssues: external('unreachable') }
    await poll()
    trouble = {}
    await lookFor(2 * MINUTE)
    expect(notices).toEqual([])
    trouble = { listIssues: external('auth') }
    await lookFor(MINUTE)
    expect(notices).toHaveLength(1)
  })

  test('several projects of one vendor are one notice', async () => {
    await store.addProject({ ...PROJECT, id: 'U', name: 'u' })
    trouble = { listIssues: external('unreachable') }
    await lookFor(5 * MINUTE)
    expect(notices).toEqual([expect.stringMatching(/^T, U can't be followed/)])
    trouble = {}
    await lookFor(MINUTE)
    expect(notices.slice(1)).toEqual(['github answers again for T, U'])
  })

  test('a fault of Orch itself is no trouble of the vendor', async () => {
    trouble = { listIssues: new TypeError('x is not a function') }
    await poll()
    expect([notices, errors]).toEqual([[], [expect.any(TypeError)]])
  })
})

describe('nothing is lost', () => {
  test('an issue that could not be followed is, though the vendor says that nothing has changed since', async () => {
    issues = [issue(1)]
    trouble = { trustOf: external('unreachable') }
    await poll()
    expect(task('T-1')).toBeUndefined()
    trouble = {}
    unchanged = true
    await lookFor(MINUTE)
    expect(task('T-1')?.status).toBe('queued')
  })

  test('a command whose author could not be asked about is obeyed later', async () => {
    issues = [issue(1)]
    await poll()
    issues = [issue(1, { updatedAt: 2 })]
    comments = [comment('9', '/orch pause')]
    trouble = { trustOf: external('unreachable') }
    await lookFor(30 * MINUTE)
    expect(task('T-1')?.paused).toBe(false)
    trouble = {}
    unchanged = true
    await lookFor(MINUTE)
    expect(task('T-1')?.paused).toBe(true)
  })

  test('a comment whose delivery was lost, at an issue whose change was told', async () => {
    issues = [issue(1)]
    await poll()
    issues = [issue(1, { updatedAt: 2 })]
    const seen = store.seenIssue({ project: 'T', issue: '1' })
    if (seen) await store.putSeenIssue({ project: 'T', issue: '1', ...seen, updatedAt: 2 })
    comments = [comment('9', '/orch pause')]
    await lookFor(MINUTE)
    expect(task('T-1')?.paused).toBe(true)
  })

  test('what was said before there was a task is said to nobody', async () => {
    comments = [comment('8', '/orch stop', clock - 60 * MINUTE), comment('9', '/orch pause')]
    issues = [issue(1)]
    await lookFor(MINUTE)
    expect(task('T-1')).toMatchObject({ status: 'queued', paused: true })
  })

  test('a command at the change, of which no webhook told', async () => {
    await store.updateProject({ id: 'T', remote: '/t.git', tracker: PROJECT.tracker ?? FORGE, forge: FORGE })
    issues = [issue(1)]
    await poll()
    const row = { project: 'T', task: 'T-1', branch: 'b', base: 'main', head: 'h', title: 't', body: '', url: null }
    await store.saveChange({ ...row, state: 'open', mergedSha: null, createdAt: 1, updatedAt: 1 })
    const shown = { number: 1, url: '', draft: false, branch: 'b', base: 'main', head: 'h', mergedSha: null }
    change = { ...shown, state: 'open', mergeable: null, queued: false, labels: [], updatedAt: 7 }
    const place = { resolved: false, line: null, diff: null }
    const line = comment('8', '/orch stop')
    threads = [
      { ...place, id: 'c', file: null, comments: [comment('9', '/orch pause')] },
      { ...place, id: 'l', file: 'a.ts', comments: [line] },
    ]
    await lookFor(MINUTE)
    expect(task('T-1')).toMatchObject({ paused: true, status: 'queued' })
  })
})

describe('nothing holds up the rest', () => {
  test('L2: an issue that can not be followed holds up no other, nor its tracker the forge', async () => {
    await store.updateProject({ id: 'T', remote: '/t.git', tracker: PROJECT.tracker ?? FORGE, forge: FORGE })
    issues = [issue(1, { labels: null as never }), issue(2)]
    await poll()
    expect([task('T-1'), task('T-2')?.status]).toEqual([undefined, 'queued'])
    expect(errors).toHaveLength(1)
    // Asked for again from where it was.
    expect(store.mark({ project: 'T', what: 'polled-issues' })).toBeNull()
    issues = [issue(1), issue(2)]
    await lookFor(MINUTE)
    expect(task('T-1')?.status).toBe('queued')
    const row = { project: 'T', task: 'T-1', branch: 'b', base: 'main', head: 'h', title: 't', body: '', url: null }
    await store.saveChange({ ...row, state: 'open', mergedSha: null, createdAt: 1, updatedAt: 1 })
    trouble = { listIssues: external('unreachable') }
    asked.length = 0
    await lookFor(MINUTE)
    expect(asked).toContain('findChange')
  })
})

describe('what is asked', () => {
  const looks = async (ms: number): Promise<number> => {
    asked.length = 0
    await lookFor(ms)
    return asked.filter((what) => what === 'listIssues').length
  }

  test('nothing, while webhooks are healthy and nothing is open', async () => {
    healthy = true
    expect(await looks(60 * MINUTE)).toBe(1)
    expect(await looks(60 * MINUTE)).toBe(0)
  })

  test('every two minutes while something is open, every half while webhooks don’t reach us', async () => {
    issues = [issue(1)]
    healthy = true
    await looks(2 * MINUTE)
    expect(await looks(20 * MINUTE)).toBe(10)
    healthy = false
    await looks(2 * MINUTE)
    expect(await looks(20 * MINUTE)).toBe(40)
  })

  test('what happened before the start, until it was told; and once more when webhooks reach us again', async () => {
    healthy = true
    trouble = { listIssues: external('unreachable') }
    await looks(10 * MINUTE)
    trouble = {}
    expect(await looks(10 * MINUTE)).toBe(1)
    healthy = false
    expect(await looks(MINUTE)).toBe(2)
    healthy = true
    expect(await looks(10 * MINUTE)).toBe(1)
  })

  test('once more, when a delivery was given up', async () => {
    healthy = true
    await looks(10 * MINUTE)
    const kept = { source: 'github', deliveryId: '1', event: 'issues', hash: Buffer.alloc(32), body: Buffer.from('{}') }
    await store.appendDelivery({ ...kept, at: clock })
    const [claimed] = await store.claimDeliveries({ source: 'github', worker: 'w', now: clock, leaseMs: 1, limit: 1 })
    const end = { id: claimed?.id ?? 0, token: claimed?.token ?? 0, at: clock, note: 'x' }
    expect(await looks(10 * MINUTE)).toBe(0)
    await store.endDeliveries([{ ...end, at: clock, state: 'failed' }])
    clock += 1
    expect(await looks(10 * MINUTE)).toBe(1)
  })

  test('no sooner than the vendor asked for, and nothing of the reserve', async () => {
    trouble = { listIssues: external('rate-limited', { retryAfterMs: 10 * MINUTE }) }
    expect(await looks(20 * MINUTE)).toBe(2)
    trouble = {}
    clock += 20 * MINUTE
    quota = { limit: 5_000, remaining: 999, resetAt: clock + 30 * MINUTE }
    expect(await looks(30 * MINUTE)).toBe(0)
    expect(await looks(MINUTE)).toBe(2)
  })
})
