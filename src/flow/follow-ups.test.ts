// Threads of an approved change becoming tasks of their own, over the real store and engine.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { HEAD, OPEN, POLICY } from '../core/test-spec.ts'
import type { OwnComment, RemoteForge, ReviewThread, Tracker } from '../drivers/driver.ts'
import { ExternalError } from '../lib/errors.ts'
import { openStore } from '../store/sqlite.ts'
import type { Project, Store } from '../store/store.ts'
import { type Engine, makeEngine } from './engine.ts'
import { openFollowUps } from './follow-ups.ts'

const by = { actor: { kind: 'person', name: 'ann' }, cause: 'test', correlation: 'c1' } as const
const PROJECT: Project = {
  id: 'T',
  name: 't',
  path: '/t',
  remote: '/t.git',
  createdAt: 1,
  tracker: { driver: 'github', ref: 'ann/shop' },
}

let dir: string
let store: Store
let engine: Engine
let replies: { thread: string; key: string; body: string }[]
let told: OwnComment[]
let fails: boolean

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-follow-ups-'))
  store = await openStore(join(dir, 'orch.db'))
  engine = makeEngine({ store, now: Date.now, wake: () => undefined })
  await store.addProject(PROJECT)
  await engine.submit({ ...OPEN, origin: 'github:12' }, by)
  await store.saveChange({
    project: 'T',
    task: 'T-1',
    number: 8,
    branch: 'orch/T-1',
    base: 'main',
    head: HEAD,
    title: 't',
    body: '',
    state: 'open',
    mergedSha: null,
    url: 'https://github.com/ann/shop/pull/8',
    createdAt: 1,
    updatedAt: 1,
  })
  replies = []
  told = []
  fails = false
})

afterEach(async () => {
  store.close()
  await rm(dir, { recursive: true, force: true })
})

const thread = (id: string, more: Partial<ReviewThread> = {}): ReviewThread => ({
  id,
  resolved: false,
  file: 'src/a.ts',
  line: 7,
  diff: '@@ -1 +1 @@\n-a\n+b',
  comments: [
    {
      id: `c${id}`,
      author: { login: 'bob', isBot: false },
      isOwn: false,
      body: 'A constant would read better.\nNot now.',
      url: '',
      createdAt: 1,
      updatedAt: 1,
    },
  ],
  ...more,
})

function open(threads: ReviewThread[]): Promise<string[]> {
  const state = store.getTask('T-1')?.state
  if (!state) throw new Error('there is no task')
  const forge: Pick<RemoteForge, 'ensureReply'> = {
    ensureReply: async (_task, reply) => {
      if (fails) throw new ExternalError({ system: 'github', kind: 'unreachable', message: 'away' })
      replies.push(reply)
    },
  }
  const tracker: Pick<Tracker, 'ensureComment'> = {
    ensureComment: async (issue, comment) => {
      expect(issue).toBe('12')
      told.push(comment)
      return { url: '' }
    },
  }
  const deps = { store, trackerOf: () => tracker as Tracker }
  const at = { task: { ...state, policy: POLICY }, project: PROJECT, forge: forge as RemoteForge, threads }
  return openFollowUps(deps, at, (command) => engine.submit(command, by))
}

test('O-22: each thread is a task that waits for the change, says what was said where, and is told of at both places', async () => {
  const opened = await open([thread('31'), thread('32', { file: null, line: null, diff: null })])
  expect(opened).toHaveLength(2)
  const [first, second] = opened.map((id) => store.getTask(id)?.state)
  expect(first).toMatchObject({
    status: 'blocked',
    dependsOn: ['T-1'],
    openDeps: ['T-1'],
    title: 'src/a.ts:7: A constant would read better.',
    origin: 'local:review/8/31',
  })
  for (const words of ['`src/a.ts`, line 7', 'https://github.com/ann/shop/pull/8', 'bob wrote:', '+b', 'Not now.'])
    expect(first?.body).toContain(words)
  expect(second?.title).toBe('T-1: A constant would read better.')
  expect(replies.map((reply) => [reply.thread, reply.body])).toEqual([
    ['31', `${opened[0]} takes this up when T-1 has landed.`],
    ['32', `${opened[1]} takes this up when T-1 has landed.`],
  ])
  expect(told).toMatchObject([{ key: 'follow-ups-T-1' }])
})

test('seen again, also after a forge that was away in the middle, a thread is one task', async () => {
  fails = true
  await expect(open([thread('31')])).rejects.toThrow('away')
  fails = false
  const opened = await open([thread('31')])
  expect(await open([thread('31')])).toEqual(opened)
  expect(store.countTasks('T').blocked).toBe(1)
  expect(new Set(replies.map(({ key }) => key)).size).toBe(1)
})

test('nothing said is nothing opened, and nobody is told', async () => {
  expect(await open([])).toEqual([])
  expect(told).toEqual([])
})
