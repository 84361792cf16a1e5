// The keeper of the pools over a real store and workspaces that only say what they were asked.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { OPEN, POLICY } from '../core/test-spec.ts'
import { systemTimers } from '../lib/clock.ts'
import { ExternalError } from '../lib/errors.ts'
import { openStore } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import type { Workspaces } from '../workspace/workspace.ts'
import { makeEngine } from './engine.ts'
import { makeStockKeeper } from './stock.ts'

type Request = Parameters<Workspaces['stock']>[0]

const by = { actor: { kind: 'person', name: 'ann' }, cause: 'test', correlation: 'c1' } as const

let dir: string
let store: Store
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-stock-'))
  store = await openStore(join(dir, 'orch.db'))
  for (const id of ['T', 'IDLE']) await store.addProject({ id, name: id, path: dir, remote: dir, createdAt: 1 })
})
afterEach(async () => {
  store.close()
  await rm(dir, { recursive: true, force: true })
})

function keeperOf(work: (request: Request) => Promise<void> = async () => undefined) {
  const asked: Request[] = []
  const faults: unknown[] = []
  const workspaces = {
    stock: (request: Request) => {
      asked.push(request)
      return work(request)
    },
  }
  return {
    asked,
    faults,
    keeper: makeStockKeeper({ timers: systemTimers, store, workspaces }, (error) => faults.push(error)),
  }
}

async function startTask(
  checkout: Partial<Pick<typeof POLICY, 'checkout'>> = { checkout: { sparse: ['apps'] } },
): Promise<void> {
  const engine = makeEngine({ store, now: Date.now, wake: () => undefined })
  await engine.submit(OPEN, by)
  const { epoch = 0 } = store.getTask('T-1')?.state ?? {}
  await engine.submit({ type: 'begin-step', task: 'T-1', epoch }, by)
  const { checkout: _, ...older } = POLICY
  const policy = { ...older, ...checkout }
  const started = {
    type: 'start-task' as const,
    task: 'T-1',
    epoch,
    policy,
    baseSha: 'b'.repeat(40),
    branch: 'orch/T-1',
  }
  expect(await engine.submit(started, by)).toMatchObject({ ok: true })
}

test('a started task makes a pool wanted for its project, at its base and with its folders', async () => {
  await startTask()
  const { asked, keeper } = keeperOf()
  keeper.kick()
  await vi.waitUntil(() => asked.length === 1, 20_000)
  expect(asked[0]).toMatchObject({
    wanted: [{ project: 'T', sha: 'b'.repeat(40), sparse: ['apps'] }],
    known: expect.arrayContaining(['T', 'IDLE']),
  })
  await keeper.stop()
})

test('many changes are one look, and one that came meanwhile is looked at after it', async () => {
  let goOn: () => void = () => undefined
  const { asked, keeper } = keeperOf(() => new Promise((resolve) => (goOn = resolve)))
  for (let n = 0; n < 100; n += 1) keeper.kick()
  await vi.waitUntil(() => asked.length === 1, 20_000)
  keeper.kick()
  expect(asked).toHaveLength(1)
  goOn()
  await vi.waitUntil(() => asked.length === 2, 20_000)
  const stopped = keeper.stop()
  expect(asked[1]?.signal.aborted).toBe(true)
  goOn()
  await vi.waitUntil(() => asked.length === 3, 20_000)
  goOn()
  await stopped
  keeper.kick()
  expect(asked).toHaveLength(3)
})

test('trouble of the outside stops nothing; a fault of our own is told', async () => {
  const troubles = [new ExternalError({ system: 'git', kind: 'disk-full', message: 'full' }), new Error('a fault')]
  const { faults, keeper } = keeperOf(async () => {
    const trouble = troubles.shift()
    if (trouble) throw trouble
  })
  keeper.kick()
  await vi.waitUntil(() => troubles.length === 1, 20_000)
  expect(faults).toEqual([])
  await keeper.stop()
  expect(faults).toEqual([new Error('a fault')])
})

test('a task that was started before there were folders wants everything', async () => {
  await startTask({})
  const { asked, faults, keeper } = keeperOf()
  keeper.kick()
  await vi.waitUntil(() => asked.length === 1, 20_000)
  expect(asked[0]?.wanted).toMatchObject([{ project: 'T', sparse: [] }])
  await keeper.stop()
  expect(faults).toEqual([])
})

test('a store that can not be read is told, and ends nothing', async () => {
  const broken = {
    listProjects: () => {
      throw new Error('database is locked')
    },
    listTasks: () => [],
    getTask: () => null,
  }
  const faults: unknown[] = []
  const keeper = makeStockKeeper(
    { timers: systemTimers, store: broken, workspaces: { stock: async () => undefined } },
    (error) => faults.push(error),
  )
  keeper.kick()
  await vi.waitUntil(() => faults.length === 1, 20_000)
  await keeper.stop()
})
