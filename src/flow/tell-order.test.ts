// Telling the tracker, over the real store and engine: each state once, the last one last, and nothing after it.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { OPEN } from '../core/test-spec.ts'
import type { Command } from '../core/messages.ts'
import type { IssueView, OwnComment } from '../drivers/driver.ts'
import { openStore } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import { type Engine, makeEngine } from './engine.ts'
import { makeTellHandler } from './tell.ts'
import { CONFIG, PROJECT } from './test-webhooks.ts'
import type { JobContext } from './worker.ts'

let dir: string
let store: Store
let engine: Engine
/** What the tracker was asked to show, in its order. */
let shown: string[]
/** Called in the middle of showing a view. */
let meanwhile: () => Promise<unknown>
let missing: string[]

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-tell-'))
  store = await openStore(join(dir, 'orch.db'))
  engine = makeEngine({ store, now: () => 1_000, wake: () => undefined })
  await store.addProject(PROJECT)
  shown = []
  missing = []
  meanwhile = async () => undefined
  await say({ ...OPEN, origin: 'github:12' })
})

afterEach(async () => {
  store.close()
  await rm(dir, { recursive: true, force: true })
})

async function say(command: Command): Promise<void> {
  const by = { actor: { kind: 'person', name: 'ann' }, cause: 'test', correlation: 'c' } as const
  expect(await engine.submit(command, by)).toMatchObject({ ok: true })
}

const handler = () =>
  makeTellHandler({
    store,
    now: () => 1_000,
    trackerOf: () =>
      ({
        ensureView: async (_: string, { labelsOn, close }: IssueView) => {
          const during = meanwhile
          meanwhile = async () => undefined
          await during()
          shown.push([...labelsOn, ...(close ? [`closed as ${close}`] : [])].join())
          return { missing }
        },
        ensureComment: async (_: string, { key }: OwnComment) => {
          shown.push(key)
          return { url: '' }
        },
      }) as never,
    config: { resolve: () => ({ ok: true, project: CONFIG }) } as never,
    env: {},
    flags: {},
    userConfig: () => null,
    cloneFiles: async () => ({ config: null, pipelines: [], prompts: {} }),
  })

async function tell(): Promise<void> {
  const effect = { kind: 'tell' as const, task: 'T-1' }
  const job = { id: 1, effect, lane: '', token: 1, failures: 0, leaseUntil: 0 }
  expect(await handler()(job, {} as JobContext)).toBeNull()
}

test('a state is shown once, however often it is to be told; the end is the last word', async () => {
  await tell()
  await tell()
  expect(shown).toEqual(['orch:queued', 'status-T-1'])
  await say({ type: 'cancel', task: 'T-1' })
  await tell()
  await tell()
  expect(shown).toEqual(['orch:queued', 'status-T-1', 'orch:cancelled', 'status-T-1'])
})

test('two jobs at once show a state once', async () => {
  const effect = { kind: 'tell' as const, task: 'T-1' }
  const job = { id: 1, effect, lane: '', token: 1, failures: 0, leaseUntil: 0 }
  const one = handler()
  await Promise.all([one(job, {} as JobContext), one(job, {} as JobContext)])
  expect(shown).toEqual(['orch:queued', 'status-T-1'])
})

test('S12: nothing is shown for a task whose end was told, whatever is read of it later', async () => {
  await say({ type: 'cancel', task: 'T-1' })
  await tell()
  const before = [...shown]
  await store.putMark({ project: 'T', what: 'told:T-1', value: `ended:${'0'.repeat(64)}`, at: 1 })
  await tell()
  expect(shown).toEqual(before)
})

test('S12: a view that was shown late is followed by the one that is true, not left there', async () => {
  meanwhile = async () => {
    await say({ type: 'cancel', task: 'T-1' })
    // Another job tells the end while this one is on its way.
    await tell()
  }
  await tell()
  expect(shown.filter((line) => line.startsWith('orch:'))).toEqual(['orch:cancelled', 'orch:queued', 'orch:cancelled'])
  expect(store.mark({ project: 'T', what: 'told:T-1' })).toMatch(/^ended:/)
  const told = shown.length
  await tell()
  expect(shown.length).toBe(told)
})

test('S12: what is left to tell of an ended task is not shown once its issue has a newer one', async () => {
  await say({ type: 'cancel', task: 'T-1' })
  await say({ ...OPEN, task: 'T-2', origin: 'github:12' })
  await tell()
  expect(shown).toEqual([])
})

test('a label or column that the tracker lacks is on the books, once', async () => {
  missing = ['Doing']
  await tell()
  expect(store.listEvidence({ task: 'T-1', gate: 'tracker' })).toMatchObject([{ data: { missing: ['Doing'] } }])
})
