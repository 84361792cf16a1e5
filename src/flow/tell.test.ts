// What a tracker is shown of a task, and that it is shown each state once: over the real store and engine.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { findAssets, makeConfig } from '../config/make-config.ts'
import type { Command } from '../core/messages.ts'
import type { IssueView, OwnComment, Tracker } from '../drivers/driver.ts'
import { openStore } from '../store/sqlite.ts'
import type { RunRow, Store } from '../store/store.ts'
import { type Engine, makeEngine } from './engine.ts'
import { makeTellHandler } from './tell.ts'
import type { JobContext } from './worker.ts'

const by = { actor: { kind: 'person', name: 'ann' }, cause: 'test', correlation: 'c1' } as const
const OPEN: Command = {
  type: 'open-task',
  task: 'T-12',
  project: 'T',
  origin: 'github:12',
  title: 'Round totals',
  body: 'Once, at the end.',
  labels: [],
  priority: 0,
  creator: null,
  dependsOn: [],
  openDeps: [],
  pipeline: 'direct',
  firstStage: 'develop',
  parallel: 1,
}

let dir: string
let store: Store
let engine: Engine
let views: IssueView[]
let comments: OwnComment[]
let missing: string[]
let runs: RunRow[]

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-tell-'))
  store = await openStore(join(dir, 'orch.db'))
  engine = makeEngine({ store, now: Date.now, wake: () => undefined })
  await store.addProject({ id: 'T', name: 't', path: '/t', remote: '/t.git', createdAt: 1 })
  views = []
  comments = []
  missing = []
  runs = []
})

afterEach(async () => {
  store.close()
  await rm(dir, { recursive: true, force: true })
})

async function send(command: Command): Promise<void> {
  expect(await engine.submit(command, by)).toMatchObject({ ok: true })
}

/** What the effect does when its job comes; `config` is the project's .orch.yml. */
async function tell({ config = '', speakers }: { config?: string; speakers?: string[] } = {}): Promise<void> {
  const tracker: Pick<Tracker, 'ensureView' | 'ensureComment' | 'speakers'> = {
    ensureView: async (issue, view) => {
      expect(issue).toBe('12')
      views.push(view)
      return { missing }
    },
    ensureComment: async (_issue, comment) => {
      comments.push(comment)
      return { url: '' }
    },
    ...(speakers ? { speakers } : {}),
  }
  const handler = makeTellHandler({
    store: { ...store, listRuns: () => runs },
    now: Date.now,
    trackerOf: () => tracker as Tracker,
    config: makeConfig({ assets: findAssets(import.meta.dirname) }),
    env: {},
    flags: {},
    userConfig: () => null,
    cloneFiles: async () => ({
      config: config === '' ? null : { name: '.orch.yml', text: config },
      pipelines: [],
      prompts: {},
    }),
  })
  const job = { effect: { kind: 'tell', task: 'T-12' } } as Parameters<typeof handler>[0]
  expect(await handler(job, {} as JobContext)).toBeNull()
}

function ran(role: string, costUsd: number): void {
  runs.push({
    id: `run-${runs.length}`,
    task: 'T-12',
    project: 'T',
    stage: 'develop',
    role,
    agent: 'claude',
    model: null,
    attempt: 1,
    why: '',
    startedAt: 1,
    endedAt: 2,
    outcome: { kind: 'succeeded' },
    sessionId: null,
    usage: { input: 100, output: 20, cacheRead: 0, cacheWrite: 0 },
    costUsd,
    headSha: null,
  })
}

test('a state is shown by its label and in words, and shown once', async () => {
  await send(OPEN)
  await tell()
  expect(views).toHaveLength(1)
  expect(views[0]).toMatchObject({ labelsOn: ['orch:queued'], close: null, column: null })
  expect(views[0]?.labelsOff).toContain('orch:running')
  expect(comments).toMatchObject([{ key: 'status-T-12', role: null }])
  expect(comments[0]?.body).toContain('**T-12** is queued at `develop`')
  await tell()
  expect(views).toHaveLength(1)
  await send({ type: 'pause', task: 'T-12' })
  await tell()
  expect(comments.at(-1)).toMatchObject({ key: 'status-T-12' })
  expect(comments).toHaveLength(2)
})

test('who must act is asked in a comment of its own, once for that moment', async () => {
  await send({ ...OPEN, held: { code: 'entry-check', text: 'the issue has no description' } })
  await tell()
  const [, ask] = comments
  expect(ask?.key).toMatch(/^ask-T-12-/)
  expect(ask?.body).toContain('the issue has no description')
  expect(ask?.body).toContain('`/orch retry`')
})

test('columns by stage and status, by their names; labels and comments can be switched off', async () => {
  const config = 'tracker:\n  columns: { develop: Doing, cancelled: Gone }\n  labels: false\n  comments: false\n'
  await send(OPEN)
  await tell({ config })
  expect(views).toMatchObject([{ column: 'Doing', labelsOn: [], labelsOff: [] }])
  await send({ type: 'cancel', task: 'T-12' })
  await tell({ config })
  expect(views[1]).toMatchObject({ column: 'Gone', close: null })
  expect(comments).toEqual([])
})

test('what has ended is told once and never stamped again', async () => {
  await send(OPEN)
  await send({ type: 'cancel', task: 'T-12' })
  await tell()
  expect(views).toHaveLength(1)
  ran('developer', 1)
  await tell()
  expect(views).toHaveLength(1)
})

test('the last word says what ended it', async () => {
  await send(OPEN)
  await send({ type: 'cancel', task: 'T-12', why: 'its issue was closed (cancelled)' })
  await tell()
  expect(comments.at(-1)?.body).toContain('It was cancelled because its issue was closed (cancelled).')
})

test('a label or column that the tracker lost is written down, and nothing else is held up by it', async () => {
  missing = ['Doing']
  await send(OPEN)
  await tell()
  expect(comments).toHaveLength(1)
  expect(store.listEvidence({ task: 'T-12' }).map(({ data }) => data['note'])).toEqual([
    'the tracker has no Doing; `orch onboard T` makes what is missing',
  ])
})

test('tokens and cost by run; a role with a bot of its own speaks for itself', async () => {
  await send(OPEN)
  ran('developer', 1.5)
  ran('reviewer', 0.25)
  await tell({ speakers: ['reviewer', 'architect'] })
  expect(comments.map(({ key, role }) => [key, role])).toEqual([
    ['status-T-12', null],
    ['role-T-12-reviewer', 'reviewer'],
  ])
  const [status, own] = comments
  expect(status?.body).toContain('| develop | developer | claude | succeeded | 120 | $1.50 |')
  expect(own?.body).toContain('| develop | reviewer | claude | succeeded | 120 | $0.25 |')
  expect(own?.body).not.toContain('developer')
})
