// A person's `orch task reopen` and what the tracker says then, over the real store, engine, intake and handler.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Issue, Tracker } from '../drivers/driver.ts'
import { ExternalError } from '../lib/errors.ts'
import { openStore } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import { type Engine, makeEngine } from './engine.ts'
import { type Followed, followIssue } from './follow-issue.ts'
import { makeInLine } from './in-line.ts'
import { type Intake, makeIntake } from './intake.ts'
import { CONFIG, PROJECT, issue as shownIssue } from './test-webhooks.ts'

const inLine = makeInLine()
const ann = { kind: 'person', name: 'ann' } as const

let dir: string
let store: Store
let engine: Engine
let intake: Intake
let clock: number
/** As the tracker has it now; null: gone. */
let shown: Issue | null
let away: ExternalError | null

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-reopened-'))
  store = await openStore(join(dir, 'orch.db'))
  clock = 1_000
  away = null
  engine = makeEngine({ store, now: () => clock++, wake: () => undefined })
  // Only what asking for a task needs is there: all else fails.
  const deps = {
    store,
    engine,
    env: {},
    flags: {},
    now: () => clock++,
    userConfig: () => null,
    cloneFiles: async () => ({}),
    config: { resolve: () => ({ ok: true, project: CONFIG }) },
    newId: () => 'id',
    wake: () => undefined,
    trackerOf: () => tracker,
  }
  intake = makeIntake(deps as never)
  await store.addProject(PROJECT)
})

afterEach(async () => {
  store.close()
  await rm(dir, { recursive: true, force: true })
})

const tracker = {
  trustOf: async () => 'member',
  findIssue: async () => {
    if (away) throw away
    return shown
  },
} as Partial<Tracker> as Tracker

/** The tracker has it so from now on, and Orch hears of it. */
function hear(change: Partial<Issue>): Promise<Followed> {
  const issue = shownIssue(12, { ...shown, ...change, updatedAt: (shown?.updatedAt ?? 0) + 10 })
  shown = issue
  const deps = { store, engine, now: () => clock++, newId: () => 'id', configOf: async () => CONFIG, inLine }
  return followIssue(deps, { project: PROJECT, tracker, issue, cause: 'poll' })
}

const status = (id: string) => store.getTask(id)?.state.status
const reopen = (task: string) => intake.act({ type: 'reopen', task }, ann)

async function closeIt(closedAt: number | null = 500): Promise<void> {
  shown = null
  await hear({})
  expect(await hear({ state: 'completed', closedAt })).toMatchObject({ did: 'cancelled', task: 'T-12' })
}

test.each([500, null])('a reopened task outlives the closing that ended the one before (closed at %s)', async (at) => {
  await closeIt(at)
  expect(await reopen('T-12')).toMatchObject({ ok: true, task: { id: 'T-1', status: 'queued' } })
  // What Orch itself shows there is a change of the issue, and so is what people say below it.
  expect(await hear({ labels: ['orch', 'orch:queued'] })).toMatchObject({ did: 'nothing', note: /reopened/ })
  expect(await hear({ title: 'Round all totals' })).toMatchObject({ did: 'changed' })
  expect(status('T-1')).toBe('queued')
})

test('an issue that is closed anew ends the reopened task, also where nobody saw it open in between', async () => {
  await closeIt(500)
  await reopen('T-12')
  expect(await hear({ closedAt: 900 })).toMatchObject({ did: 'cancelled', task: 'T-1' })
})

test('where no time of a closing is told, one that follows on being open is a new one', async () => {
  await closeIt(null)
  await reopen('T-12')
  await hear({ state: 'open' })
  expect(status('T-1')).toBe('queued')
  expect(await hear({ state: 'cancelled' })).toMatchObject({ did: 'cancelled', task: 'T-1' })
})

test('a closing that nobody had heard of yet is older than the reopening all the same', async () => {
  await hearOfOne()
  await engine.submit({ type: 'cancel', task: 'T-12' }, { actor: ann, cause: 'test', correlation: 'c' })
  shown = shownIssue(12, { state: 'cancelled', closedAt: 700, updatedAt: 50 })
  await reopen('T-12')
  expect(await hear({})).toMatchObject({ did: 'nothing' })
  expect(status('T-1')).toBe('queued')
})

test('an open issue’s reopened task is ended by a later closing, and not by the wish that is missing', async () => {
  await hearOfOne()
  expect(await hear({ labels: [] })).toMatchObject({ did: 'cancelled' })
  await reopen('T-12')
  expect(await hear({ body: 'More of it.' })).toMatchObject({ did: 'changed' })
  expect(status('T-1')).toBe('queued')
  expect(await hear({ state: 'completed', closedAt: 900 })).toMatchObject({ did: 'cancelled', task: 'T-1' })
})

test('of an issue that is gone, or a tracker that can’t be asked, nothing is opened, and it is said', async () => {
  await closeIt()
  shown = null
  await expect(reopen('T-12')).rejects.toMatchObject({ code: 'issue-gone', exit: 3 })
  away = new ExternalError({ system: 'github', kind: 'unreachable', message: 'github: could not be reached' })
  await expect(reopen('T-12')).rejects.toBe(away)
  expect(store.countTasks()).toMatchObject({ queued: 0, cancelled: 1 })
})

test('a reopening that is refused leaves no word behind for a later task', async () => {
  await closeIt()
  expect(await hear({ state: 'open', closedAt: null })).toMatchObject({ did: 'opened', task: 'T-13' })
  expect(await reopen('T-12')).toMatchObject({ ok: false, refusal: { code: 'task-exists' } })
  await engine.submit({ type: 'cancel', task: 'T-13' }, { actor: ann, cause: 'test', correlation: 'c' })
  expect(store.mark({ project: 'T', what: 'reopened:T-1' })).toBe('')
})

async function hearOfOne(): Promise<void> {
  shown = null
  expect(await hear({})).toMatchObject({ did: 'opened', task: 'T-12' })
}
