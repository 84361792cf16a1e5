// `orch sync` over the real store, engine and mirror; the tracker and the forge say what the case wants, and their writes fail.

import { expect, test } from 'vitest'
import type { ChangeState, Issue, IssueComment, RemoteForge, ReviewThread, Tracker } from '../drivers/driver.ts'
import { ExternalError } from '../lib/errors.ts'
import { makeConfigOf } from './config-of.ts'
import { sync } from './sync.ts'
import { testRemotes, testVendor } from './test-driver.ts'
import { type FlowWorld, makeFlowWorld } from './test-flow-world.ts'

const AT = { driver: 'github', ref: 'acme/shop' }

function issue(number: number, change: Partial<Issue> = {}): Issue {
  return {
    id: String(number),
    number,
    title: `Issue ${number}`,
    body: 'What is to be done.',
    state: 'open',
    column: null,
    labels: ['orch'],
    assignees: [],
    priority: null,
    author: { login: 'mia', isBot: false },
    url: `https://github.com/acme/shop/issues/${number}`,
    createdAt: 1,
    updatedAt: 1,
    closedAt: null,
    blockedBy: [],
    ...change,
  }
}

const comment = (body: string): IssueComment => ({
  id: '900',
  author: { login: 'mia', isBot: false },
  isOwn: false,
  body,
  url: '',
  createdAt: Date.now(),
  updatedAt: Date.now(),
})

interface Place {
  flow: FlowWorld
  issues: Issue[]
  comments: IssueComment[]
  change: ChangeState | null
  threads: ReviewThread[]
  /** What was written at the vendor. */
  writes: string[]
  sync(dryRun: boolean): ReturnType<typeof sync>
}

async function place(config = ''): Promise<Place> {
  const flow = await makeFlowWorld({ agent: async () => undefined, config })
  await flow.store.updateProject({ id: 'T', remote: flow.git.remote, tracker: AT, forge: AT })
  const wrote = (what: string): void => void at.writes.push(what)
  const tracker: Partial<Tracker> = {
    listIssues: async () => ({ unchanged: false, issues: at.issues }),
    listComments: async () => at.comments,
    findIssue: async (id) => at.issues.find((one) => one.id === id) ?? null,
    trustOf: async () => 'member',
    ensureComment: async (_issue, { key }) => {
      wrote(`comment ${key}`)
      return { url: '' }
    },
    ensureReaction: async ({ sign }) => {
      wrote(`sign ${sign}`)
      return true
    },
  }
  const forge: Partial<RemoteForge> = {
    taskOf: async () => 'T-1',
    findChange: async () => at.change,
    trustOf: async () => 'member',
    listThreads: async () => at.threads,
    listComments: async () => at.threads.filter(({ file }) => file === null).flatMap((thread) => thread.comments),
    ensureReaction: async ({ sign }) => {
      wrote(`sign ${sign}`)
      return true
    },
  }
  const { capabilities, engine } = flow
  const deps = {
    ...capabilities,
    engine,
    configOf: makeConfigOf(capabilities),
    remotes: testRemotes([testVendor('github', {})]),
    trackerOf: () => tracker as Tracker,
    remoteForgeOf: () => forge as RemoteForge,
  }
  const at: Place = {
    flow,
    issues: [],
    comments: [],
    change: null,
    threads: [],
    writes: [],
    sync: (dryRun) => sync(deps, { only: null, dryRun }),
  }
  return at
}

/** All that a write would change. */
const held = ({ store }: FlowWorld) => [
  store.changeMark(),
  store.listTasks({}),
  store.listEvents({}),
  store.mark({ project: 'T', what: 'polled-issues' }),
  store.seenIssue({ project: 'T', issue: '1' }),
]

test('a dry run says what sync then does, with one step seen by the next, and writes nothing', async () => {
  const at = await place()
  at.issues = [issue(1), issue(2, { blockedBy: ['1'] }), issue(3, { labels: [] })]
  const before = held(at.flow)
  const dry = await at.sync(true)
  expect(held(at.flow)).toEqual(before)
  expect(dry.projects).toEqual([
    {
      project: 'T',
      trouble: null,
      said: ['T-1: opened, label orch', 'T-2: opened, label orch', 'issue 3: nothing, no rule of `intake` matches it'],
    },
  ])
  const real = await at.sync(false)
  expect(real).toEqual({ ...dry, dryRun: false })
  expect(at.flow.task('T-2')).toMatchObject({ status: 'blocked', openDeps: ['T-1'] })
  expect((await at.sync(false)).projects[0]?.said).toEqual([])
})

test('a dry run obeys no comment and closes no task; sync does both', async () => {
  const at = await place()
  at.issues = [issue(1), issue(2)]
  await at.sync(false)
  at.issues = [issue(1, { updatedAt: 2 }), issue(2, { state: 'cancelled', updatedAt: 2 })]
  at.comments = [comment('/orch pause')]
  const before = held(at.flow)
  const dry = await at.sync(true)
  expect([held(at.flow), at.writes]).toEqual([before, []])
  expect(dry.projects[0]?.said).toEqual([
    expect.stringContaining('T-1: nothing'),
    'mia: pause',
    'T-2: cancelled, its issue was closed (cancelled)',
    expect.any(String),
  ])
  const real = await at.sync(false)
  expect(real.projects[0]?.said.slice(0, 3)).toEqual(dry.projects[0]?.said.slice(0, 3))
  expect(at.writes.length).toBeGreaterThan(0)
  expect(at.flow.task('T-1').paused).toBe(true)
  expect(at.flow.task('T-2').status).toBe('cancelled')
})

test('a mention in a comment is found at an issue without a task too, where mentions count', async () => {
  for (const [config, expected] of [
    ['', 0],
    ['intake: { mention: "@orch" }', 1],
  ] as const) {
    const at = await place(config)
    at.issues = [issue(1, { labels: [] })]
    await at.sync(false)
    at.issues = [issue(1, { labels: [], updatedAt: 2 })]
    at.comments = [comment('@orch, please')]
    await at.sync(false)
    expect(at.flow.store.tasksOfOrigin({ project: 'T', origin: 'github:1' })).toHaveLength(expected)
  }
})

test('trouble with the vendor is told with its kind, a project without any is no one to ask', async () => {
  const at = await place()
  Object.defineProperty(at, 'issues', {
    get: () => {
      throw new ExternalError({ system: 'github', kind: 'auth', message: 'there is no credential' })
    },
  })
  for (const dryRun of [true, false])
    expect((await at.sync(dryRun)).projects).toEqual([
      { project: 'T', said: [], trouble: { code: 'auth', text: 'there is no credential', exit: 6 } },
    ])
  await at.flow.store.updateProject({ id: 'T', remote: '' })
  await expect(at.sync(false)).rejects.toMatchObject({ exit: 6, code: 'no-remotes' })
})

test('a change that somebody closed ends its task, and not in a dry run', async () => {
  const at = await place()
  at.issues = [issue(1)]
  await at.sync(false)
  await showChange(at, { state: 'closed' })
  const said = ['T-1: it was closed without being merged']
  expect((await at.sync(true)).projects[0]?.said).toEqual(said)
  expect(at.flow.task('T-1').status).toBe('queued')
  expect((await at.sync(false)).projects[0]?.said).toEqual(said)
  expect(at.flow.task('T-1').status).toBe('cancelled')
})

async function showChange(at: Place, as: Partial<ChangeState>): Promise<void> {
  const row = { project: 'T', task: 'T-1', branch: 'b', base: 'main', head: 'h', title: 't', body: '', url: null }
  await at.flow.store.saveChange({ ...row, state: 'open', mergedSha: null, createdAt: 1, updatedAt: 1 })
  at.change = {
    number: 1,
    url: '',
    state: 'open',
    draft: false,
    branch: 'b',
    base: 'main',
    head: 'h',
    mergedSha: null,
    mergeable: null,
    queued: false,
    labels: [],
    updatedAt: 1,
    ...as,
  }
}

test('a command at a change whose delivery was lost is obeyed, once', async () => {
  const at = await place()
  at.issues = [issue(1)]
  await at.sync(false)
  await showChange(at, { updatedAt: 2 })
  const talk = { resolved: false, diff: null, line: null }
  at.threads = [
    { ...talk, id: '7', file: 'README.md', comments: [{ ...comment('/orch stop'), id: '901' }] },
    { ...talk, id: 'conversation', file: null, comments: [comment('Fine.'), { ...comment('/orch pause'), id: '902' }] },
  ]
  await at.sync(false)
  // What stands at a line is a reviewer's word to the developer.
  expect(at.flow.task('T-1')).toMatchObject({ paused: true, status: 'queued' })
  expect(at.writes).toEqual(['sign done'])
  await at.sync(false)
  expect(at.writes).toEqual(['sign done'])
})

test('of two changes within a second, of which the vendor keeps whole ones, the later is seen too', async () => {
  const at = await place()
  const second = Math.floor(Date.now() / 1_000) * 1_000
  at.issues = [issue(1, { labels: [], updatedAt: second })]
  await at.sync(false)
  expect(at.flow.store.getTask('T-1')).toBeNull()
  at.issues = [issue(1, { updatedAt: second })]
  await at.sync(false)
  expect(at.flow.task('T-1').status).toBe('queued')
})
