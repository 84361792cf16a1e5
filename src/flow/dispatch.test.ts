// Before the first token: the step is claimed, the base pinned and seen green.

import { expect, test } from 'vitest'
import { sh } from '../workspace/__fixtures__/world.ts'
import { makeFlowWorld, writeAll } from './test-flow-world.ts'

const by = { actor: { kind: 'person' as const, name: 'ann' }, cause: 'test', correlation: 'c' }
const agent = async (task: { id: string }, tree: string): Promise<void> =>
  writeAll(tree, { [`parts/${task.id}`]: 'ok\n' })

test('S10: a base that is red holds its task, and nothing is spent on it', async () => {
  const w = await makeFlowWorld({ agent, verify: 'echo broken; exit 1' })
  const id = await w.open('A part')
  w.work()
  await w.until(() => w.task(id).status === 'needs_review')
  expect(w.task(id)).toMatchObject({
    reason: { code: 'base-red', text: expect.stringContaining('broken') },
    costUsd: 0,
  })
  expect(w.store.listRuns({ task: id })).toEqual([])
})

test('S13: a base that could not be verified is no red one: it is looked at again', async () => {
  const w = await makeFlowWorld({ agent, verify: 'kill -9 $$' })
  const id = await w.open('A part')
  w.work()
  await w.until(() => w.task(id).waitingFor === 'timer')
  expect(w.task(id)).toMatchObject({ attempts: { code: 0, infra: 1 }, policy: null })
  expect(w.store.listRuns({ task: id })).toEqual([])
})

test('S16: the base is pinned before anything works on it', async () => {
  const w = await makeFlowWorld({ agent })
  const id = await w.open('A part')
  w.work()
  await w.until(() => w.task(id).headSha !== null)
  const mirror = await w.capabilities.workspaces.mirror({ id: 'T', path: w.git.clone, remote: w.git.remote })
  const pinned = await sh(w.git.env, mirror.path, 'git', 'rev-parse', `refs/orch/${id}/base`)
  expect(pinned).toBe(w.task(id).baseSha)
})

test('S2, S12: a step that is not to be begun asks nobody outside', async () => {
  let asked = 0
  const w = await makeFlowWorld({ agent, mirror: (real) => ({ fetchBase: (base) => (asked++, real.fetchBase(base)) }) })
  const id = await w.open('A part')
  const job = await w.store.claim({ worker: 'w', now: Date.now(), leaseMs: 10_000 })
  if (!job) throw new Error('no job to claim')
  await w.engine.submit({ type: 'cancel', task: id }, by)
  const context = {
    job,
    signal: new AbortController().signal,
    submit: (command: Parameters<typeof w.engine.submit>[0]) => w.engine.submit(command, by),
  }
  expect(await w.handlers.run(job, context)).toBeNull()
  expect(asked).toBe(0)
})

const AWAITS = `stages:
  - { name: make, kind: agent, role: developer, gates: [changes] }
  - { name: show, kind: publish }
  - { name: hear, kind: await, gates: [ci], onFail: make }
`

test.each([
  ['a stage that waits for one', { files: { '.orch/pipelines/plain.yml': AWAITS } }, 'stage hear of pipeline plain'],
  ['a merge by one', { config: 'land: { via: forge }' }, '`land.via: forge`'],
])('S10: without a forge %s holds its task before the first token', async (_what, options, text) => {
  const w = await makeFlowWorld({ agent, ...options })
  const id = await w.open('A part')
  w.work()
  await w.until(() => w.task(id).status === 'needs_review')
  expect(w.task(id)).toMatchObject({ reason: { code: 'no-forge', text: expect.stringContaining(text) }, costUsd: 0 })
  expect(w.store.listRuns({ task: id })).toEqual([])
})
