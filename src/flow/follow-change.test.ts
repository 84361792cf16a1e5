// A change at a forge followed, over the real store and engine: what the forge says, and what main holds.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { HEAD, MAKE_GREEN, OPEN, POLICY, report, taskIn, world } from '../core/test-spec.ts'
import type { Command } from '../core/messages.ts'
import type { Policy } from '../core/policy.ts'
import type { Task } from '../core/task.ts'
import type { ChangeState, RemoteForge } from '../drivers/driver.ts'
import { openStore } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import { type Engine, makeEngine } from './engine.ts'
import { type FollowChangeDeps, followChange } from './follow-change.ts'
import { followComment } from './follow-comment.ts'
import { type HappeningDeps, applyHappenings } from './happenings.ts'
import { makeInLine } from './in-line.ts'
import { CONFIG, PROJECT, issue, shownChange } from './test-webhooks.ts'

const MERGED = 'd'.repeat(40)
const FORGED: Policy = {
  ...POLICY,
  approval: 'label',
  approveBy: { label: 'orch:approved', column: 'Approved' },
  pipeline: {
    ...POLICY.pipeline,
    stages: POLICY.pipeline.stages.filter(({ name }) => name !== 'look'),
  },
}

let dir: string
let store: Store
let engine: Engine
let shown: ChangeState
let isInMain: boolean

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-change-'))
  store = await openStore(join(dir, 'orch.db'))
  engine = makeEngine({ store, now: () => 1_000, wake: () => undefined })
  await store.addProject({ ...PROJECT, forge: { driver: 'github', ref: 'ann/shop' } })
  isInMain = false
  shown = shownChange()
})

afterEach(async () => {
  store.close()
  await rm(dir, { recursive: true, force: true })
})

async function say(command: Command): Promise<void> {
  const by = { actor: { kind: 'engine', name: 'orch' }, cause: 'test', correlation: 'c' } as const
  expect(await engine.submit(command, by)).toMatchObject({ ok: true })
}

const task = (): Task => store.getTask('T-1')?.state ?? taskIn(world())
const now = () => report({ ...world(), state: { ...world().state, task: task() } })

/** Published, and waiting for a yes to its landing. */
async function published(): Promise<void> {
  await say({ ...OPEN, origin: 'github:12' })
  await say(now().begin)
  await say(now().start(FORGED))
  await say(now().run())
  await say(now().end())
  await say(now().begin)
  await say(now().judge(MAKE_GREEN))
  await say(now().begin)
  await say(now().intendChange)
  await say(now().confirmChange)
  expect(task()).toMatchObject({ status: 'waiting', waitingFor: 'approval' })
}

const forge = (): RemoteForge =>
  ({
    findChange: async () => shown,
    labelledBy: async () => ({ login: 'mia', isBot: false }),
    trustOf: async () => 'member',
  }) as unknown as RemoteForge

const workspaces = {
  mirror: async () => ({
    fetchBase: async () => ({ branch: 'main', sha: 'b'.repeat(40) }),
    isAncestor: async () => isInMain,
  }),
} as never

const deps = (): FollowChangeDeps => ({ store, engine, now: () => 1_000, configOf: async () => CONFIG, workspaces })

const follow = (): Promise<string> =>
  followChange(deps(), {
    project: { ...PROJECT, forge: { driver: 'github', ref: 'ann/shop' } },
    forge: forge(),
    task: 'T-1',
    cause: 'test',
  })

const happeningDeps = (): HappeningDeps => ({
  ...deps(),
  newId: () => 'id',
  adapters: {},
  trackerOf: () => ({ trustOf: async () => 'member' }) as never,
  remoteForgeOf: forge,
  names: { recall: async ({ ref }) => ref },
  inLine: makeInLine(),
})

test('S4: merged by a person is recorded when main holds it, and not on the forge’s word', async () => {
  await published()
  shown = { ...shown, state: 'merged', mergedSha: MERGED }
  expect(await follow()).toContain('does not hold')
  expect(task()).toMatchObject({ status: 'waiting', mergedSha: null })
  isInMain = true
  await follow()
  expect(task()).toMatchObject({ status: 'done', mergedSha: MERGED })
})

test('closed by a person ends the task', async () => {
  await published()
  shown = { ...shown, state: 'closed' }
  await follow()
  expect(task().status).toBe('cancelled')
})

test('one that a person opened in the place of ours, which they closed, is followed from then on', async () => {
  await published()
  const { branch, base, head } = shown
  const times = { createdAt: 1, updatedAt: 1 }
  const ours = { project: 'T', task: 'T-1', branch, base, head, title: 'Do it', body: '', mergedSha: null, ...times }
  await store.saveChange({ ...ours, number: shown.number, state: 'open', url: shown.url })
  shown = { ...shown, number: 77, url: 'https://github.com/ann/shop/pull/77', updatedAt: 5 }
  await follow()
  expect(store.getChange('T-1')).toMatchObject({ number: 77, url: shown.url, state: 'open', title: 'Do it' })
  expect(task().status).toBe('waiting')
  shown = { ...shown, state: 'closed' }
  await follow()
  expect(task().status).toBe('cancelled')
})

test('a change that is as it was when it was last looked at is no news', async () => {
  await published()
  const reports = [await follow(), await follow()]
  shown = { ...shown, updatedAt: 2 }
  reports.push(await follow())
  expect(reports).toEqual(['nothing waits for it', 'it is as it was', 'nothing waits for it'])
})

test('S8: a label says yes to the head it was set on; left there, it says nothing of the next', async () => {
  await published()
  shown = { ...shown, labels: ['Orch:Approved'] }
  // As if it had been set on an earlier head.
  await store.putMark({ project: 'T', what: 'label:T-1', value: 'e'.repeat(40), at: 1 })
  expect(await follow()).toContain('earlier head')
  expect(task().approvals).toEqual([])
  shown = { ...shown, labels: [] }
  await follow()
  shown = { ...shown, labels: ['orch:approved'] }
  await follow()
  expect(task().approvals).toMatchObject([{ sha: HEAD }])
  const approved = store.listEvents({ task: 'T-1' }).find(({ type }) => type === 'task.approved')
  expect(approved?.actor).toEqual({ kind: 'person', name: 'mia' })
})

test('S8: a label on another head than the one that was judged approves nothing', async () => {
  await published()
  shown = { ...shown, head: 'f'.repeat(40), labels: ['orch:approved'] }
  await follow()
  expect(task().approvals).toEqual([])
})

test('S8: a yes in a comment from before the head there is approves nothing; one from after does', async () => {
  await published()
  const approve = (createdAt: number) =>
    followComment(
      { store, engine, now: () => 1_000, adapters: {} },
      {
        project: PROJECT,
        task: 'T-1',
        comment: {
          id: String(createdAt),
          author: { login: 'ann', isBot: false },
          isOwn: false,
          body: '/orch approve',
          url: '',
          createdAt,
          updatedAt: createdAt,
        },
        settings: CONFIG.tracker,
        cause: 'test',
        place: { trustOf: async () => true, reply: async () => undefined, sign: async () => true },
      },
    )
  await approve(999)
  expect(task().approvals).toEqual([])
  await approve(1_001)
  expect(task().approvals).toMatchObject([{ sha: HEAD, by: 'ann' }])
})

/** The issue of the published task is told of as closed. */
async function closeIssue(): Promise<string[]> {
  const change = { project: 'T', task: 'T-1', branch: shown.branch, base: 'main', head: HEAD, title: 't', body: '' }
  await store.saveChange({ ...change, state: 'open', mergedSha: null, url: shown.url, createdAt: 1, updatedAt: 1 })
  const closed = issue(12, { state: 'completed', updatedAt: 9 })
  const from = { driver: 'github', ref: 'ann/shop', cause: 'test' }
  return applyHappenings(happeningDeps(), from, [{ kind: 'issue', id: '12', issue: closed }])
}

test('an issue that its merged change closed is told of first: its task is done, not cancelled', async () => {
  await published()
  shown = { ...shown, state: 'merged', mergedSha: MERGED }
  isInMain = true
  expect(await closeIssue()).toEqual([`T-1: somebody merged it as ${MERGED.slice(0, 10)}`])
  expect(task()).toMatchObject({ status: 'done', mergedSha: MERGED })
})

test('an issue that a person closed while its change is open ends the task as cancelled', async () => {
  await published()
  await closeIssue()
  expect(task()).toMatchObject({ status: 'cancelled', mergedSha: null })
})
