// What the journal says of a task, over the real store and engine: by whom or by what it was ended.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Command } from '../core/messages.ts'
import { type World, HEAD, MAKE_GREEN, OPEN, POLICY, report, verdict } from '../core/test-spec.ts'
import { explain } from '../core/why.ts'
import { openStore } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import { type Engine, makeEngine } from './engine.ts'
import { becauseOf } from './journal-facts.ts'

const ann = { actor: { kind: 'person', name: 'ann' }, cause: 'command:cancel', correlation: 'c1' } as const
const github = { actor: { kind: 'engine', name: 'github' }, cause: 'poll', correlation: 'c2' } as const

let dir: string
let store: Store
let engine: Engine
let clock: number

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-journal-'))
  store = await openStore(join(dir, 'orch.db'))
  clock = 1_000
  engine = makeEngine({ store, now: () => clock++, wake: () => undefined })
  await store.addProject({ id: 'T', name: 't', path: dir, remote: dir, createdAt: 1 })
  await engine.submit(OPEN, ann)
})

afterEach(async () => {
  store.close()
  await rm(dir, { recursive: true, force: true })
})

const task = () => store.getTask('T-1')?.state ?? expect.fail('no task')

function why(): string {
  const because = becauseOf(store, task())
  return explain(task(), { serviceRunning: true, liveRun: null, now: clock, time: String, because }).because
}

async function say(what: Command, by: typeof ann | typeof github = ann): Promise<void> {
  expect(await engine.submit(what, by)).toMatchObject({ ok: true })
}

test('a task that a person cancelled says who', async () => {
  await say({ type: 'cancel', task: 'T-1' })
  expect(why()).toBe('It was cancelled by ann.')
})

test('one that was ended by what was seen outside says what that was', async () => {
  await say({ type: 'cancel', task: 'T-1', why: 'its issue was closed (completed)' }, github)
  expect(why()).toBe('It was cancelled because its issue was closed (completed).')
})

test('a change that was closed at the forge is the reason, not the name of who saw it', async () => {
  await say({ type: 'close-outside', task: 'T-1', why: 'change 7 was closed at the forge' }, github)
  expect(why()).toBe('It was cancelled because change 7 was closed at the forge.')
  expect(store.listEvents({ task: 'T-1' }).at(-1)?.data).toEqual({
    by: 'github',
    why: 'change 7 was closed at the forge',
  })
})

test.each([
  ['a person', (): Promise<void> => say({ type: 'cancel', task: 'T-1' }), 'It was cancelled by ann.'],
  [
    'a closing',
    (): Promise<void> => say({ type: 'close-outside', task: 'T-1', why: 'change 7 was closed' }, github),
    'It was cancelled because change 7 was closed.',
  ],
])('a cancel by %s that waited for a merge says whose it was', async (_who, cancel, expected) => {
  await toMerge()
  await cancel()
  expect(task()).toMatchObject({ status: 'running', cancelRequested: true })
  await say({ type: 'abandon-merge', task: 'T-1', epoch: task().epoch, why: 'main moved' }, github)
  expect(why()).toBe(expected)
})

/** On to where the merge is intended and not yet settled. */
async function toMerge(): Promise<void> {
  const r = (): ReturnType<typeof report> => report({ state: { task: task() } } as World)
  const policy = { ...POLICY, approval: 'auto' as const }
  await say(r().begin)
  await say(r().start(policy))
  await say(r().run())
  await say(r().end({ headSha: HEAD }))
  await say(r().begin)
  await say(r().judge(MAKE_GREEN))
  await say(r().begin)
  await say(r().intendChange)
  await say(r().confirmChange)
  await say(r().begin)
  await say(r().run('judge'))
  await say(r().end({ role: 'judge', headSha: null }))
  await say(r().begin)
  await say(r().judge([verdict('review', 'look', 'pass')]))
  await say(r().begin)
  await say(r().intendMerge())
}
