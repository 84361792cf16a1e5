// The engine over the real store: what is decided is stored whole, races are lost without harm, rows are their journal.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Command } from '../core/messages.ts'
import { newRepository } from '../core/repository.ts'
import { MAKE_GREEN, OPEN, type World, report, verdict, world } from '../core/test-spec.ts'
import { openStore } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import { rowMismatches } from '../store/test-fold-journal.ts'
import { type Engine, makeEngine } from './engine.ts'

let dir: string
let stores: Store[]
let engines: Engine[]
let clock = 1_000

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-engine-'))
  stores = [await openStore(join(dir, 'orch.db')), await openStore(join(dir, 'orch.db'))]
  engines = stores.map((store) => makeEngine({ store, now: () => ++clock, wake: () => undefined }))
})

afterEach(async () => {
  for (const store of stores) store.close()
  await rm(dir, { recursive: true, force: true })
})

const by = { actor: { kind: 'person', name: 'ann' }, cause: 'test', correlation: 'c1' } as const

function engine(index: number): Engine {
  const found = engines[index]
  if (!found) throw new Error(`no engine ${index}`)
  return found
}

/** The state of one task as the store has it now, in the form the core's tests use. */
function stored(id: string): World {
  const store = stores[0]
  const task = store?.getTask(id)?.state ?? null
  return world({ task, repository: store?.getRepository('T')?.state ?? newRepository('T'), account: null })
}

const CRASH = { kind: 'failed', code: 'crash', text: 'x', exitCode: 1 } as const
const LIMITED = { kind: 'failed', code: 'rate-limit', text: 'x', exitCode: 1, retryAfterMs: 3_600_000 } as const

const moves: ((w: World, n: number) => Command)[] = [
  (w) => report(w).begin,
  (w) => report(w).start(),
  (w) => report(w).run(),
  (w) => report(w).end(),
  (w) => report(w).end({ outcome: CRASH }),
  (w) => report(w).end({ outcome: LIMITED }),
  (w) => report(w).judge(MAKE_GREEN),
  (w) => report(w).judge([verdict('review', 'look', 'pass')]),
  (w) => report(w).judge([verdict('changes', 'make', 'fail'), verdict('verify', 'make', 'pass')]),
  (w) => report(w).intendChange,
  (w) => report(w).confirmChange,
  (w) => report(w).intendMerge(),
  (w) => report(w).confirmMerge,
  (w) => report(w).trouble({ class: 'infra', code: 'x', text: 'x' }),
  () => ({ type: 'pause', task: 'T-1' }),
  () => ({ type: 'resume', task: 'T-1' }),
  () => ({ type: 'retry', task: 'T-1', parallel: 2 }),
]

test('S17: after any commands, sent by two engines at once, every row is the fold of its journal', async () => {
  let round = 0
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(moves.length - 1), { maxLength: 40 }), async (script) => {
      const id = `T-${++round}`
      await engine(0).submit({ ...OPEN, task: id, origin: `local:${round}` }, by)
      for (const index of script) {
        const w = stored(id)
        const command = moves[index]?.(w, index)
        if (!command) continue
        // Both say the same at the same moment: one of them loses the race and decides again.
        await Promise.all(engines.map((one) => one.submit({ ...command, task: id }, by)))
      }
      expect(stores[0] && rowMismatches(stores[0])).toEqual([])
    }),
    { numRuns: 25 },
  )
})

test('a retry lifts the limit that a task waits out though it never had a run', async () => {
  const send = async (id: string, ...commands: ((w: World) => Command)[]): Promise<void> => {
    for (const command of commands) await engine(0).submit(command(stored(id)), by)
  }
  const begin = [
    (w: World): Command => report(w).begin,
    (w: World): Command => report(w).start(),
    (w: World): Command => report(w).run(),
  ]
  await engine(0).submit(OPEN, by)
  await engine(0).submit({ ...OPEN, task: 'T-2', origin: 'local:2' }, by)
  await send('T-1', ...begin, (w) => report(w).end({ outcome: LIMITED }))
  await send('T-2', ...begin)
  expect(stores[0]?.getTask('T-2')?.state).toMatchObject({ waitingFor: 'limit', waitingAgent: 'bot', runId: null })
  await send('T-2', () => ({ type: 'retry', task: 'T-2', parallel: 1 }), ...begin)
  expect(stores[0]?.getTask('T-2')?.state).toMatchObject({ status: 'running', runId: expect.any(String) })
  expect(stores[0] && rowMismatches(stores[0])).toEqual([])
})

test('S1: two engines race for one transition; it is applied once', async () => {
  await engine(0).submit(OPEN, by)
  const results = await Promise.all(
    [0, 1, 0, 1].map((index) => engine(index).submit({ type: 'pause', task: 'T-1' }, by)),
  )
  expect(results.filter((result) => result.ok)).toHaveLength(1)
  expect(stores[0]?.listEvents({ task: 'T-1' }).map((event) => event.type)).toEqual(['task.opened', 'task.paused'])
})

test('S2: a worker whose lease went to another writes nothing', async () => {
  await engine(0).submit(OPEN, by)
  const [store] = stores
  const first = await store?.claim({ worker: 'a', now: ++clock, leaseMs: 1 })
  await store?.reclaim({ now: clock + 10, deadWorkers: [] })
  clock += 20
  const second = await store?.claim({ worker: 'b', now: clock, leaseMs: 60_000 })
  if (!first || !second) throw new Error('no job to claim')
  expect(second.id).toBe(first.id)
  const begin: Command = { type: 'begin-step', task: 'T-1', epoch: 1 }
  const late = await engine(0).submit(begin, { ...by, fence: { jobId: first.id, token: first.token, then: 'keep' } })
  expect(late).toEqual({ ok: false, because: 'stale-lease' })
  expect(store?.getTask('T-1')?.state.status).toBe('queued')
  const valid = await engine(0).submit(begin, { ...by, fence: { jobId: second.id, token: second.token, then: 'keep' } })
  expect(valid.ok).toBe(true)
})

test('the same idempotency key is applied once', async () => {
  await engine(0).submit(OPEN, by)
  const keyed = { ...by, idempotencyKey: 'delivery-1' }
  await engine(0).submit({ type: 'edit-task', task: 'T-1', title: 'one' }, keyed)
  await engine(1).submit({ type: 'edit-task', task: 'T-1', title: 'two' }, keyed)
  expect(stores[0]?.getTask('T-1')?.state.title).toBe('one')
})

test('every event says who, why and in which context', async () => {
  await engine(0).submit(OPEN, by)
  expect(stores[0]?.listEvents({ task: 'T-1' })[0]).toMatchObject({
    type: 'task.opened',
    v: 1,
    actor: { kind: 'person', name: 'ann' },
    cause: 'test',
    correlation: 'c1',
  })
})
