// Landing by the forge, over real git and a real store; the forge merges with plain git, and now and then says so too soon.

import path from 'node:path'
import { expect, test } from 'vitest'
import type { ChangeState, MergeAnswer, RemoteForge } from '../drivers/driver.ts'
import { ExternalError, type ExternalKind } from '../lib/errors.ts'
import { commit, sh } from '../workspace/__fixtures__/world.ts'
import { type FlowWorld, makeFlowWorld, writeAll } from './test-flow-world.ts'

/** Green alone, red together. */
const APART = '[ ! -e parts/mine ] || [ ! -e parts/other ]'

const mine = async (_: unknown, tree: string): Promise<void> => writeAll(tree, { 'parts/mine': 'ok\n' })

interface Forged extends FlowWorld {
  /** What the forge was asked to merge. */
  asked: string[]
  /** Whether it was shown as a draft, each time that the change was brought up to date. */
  drafts: (boolean | undefined)[]
  /** How long it was slept between two questions, ms. */
  slept: number[]
}

/** `before`: done right before the forge merges. `merge`: instead of merging. */
async function forged(of: {
  verify: string
  before?: (world: FlowWorld) => Promise<unknown>
  merge?: () => MergeAnswer
  /** Thrown instead, as long as there are some. */
  troubles?: ExternalError[]
}): Promise<Forged> {
  const w = await makeFlowWorld({ agent: mine, verify: of.verify, config: 'land: {via: forge}' })
  await w.store.updateProject({ id: 'T', remote: w.git.remote, forge: { driver: 'github', ref: 'acme/shop' } })
  const asked: string[] = []
  const drafts: Forged['drafts'] = []
  let before = of.before
  const forge: Partial<RemoteForge> = {
    findChange: async (task) =>
      ({ number: 1, state: 'open', head: w.task(task).headSha, queued: false }) as ChangeState,
    ensureChange: (request) => {
      drafts.push(request.draft)
      return w.capabilities.forgeOf({} as never).ensureChange(request)
    },
    merge: async ({ head }) => {
      asked.push(head)
      const trouble = of.troubles?.shift()
      if (trouble) throw trouble
      const instead = of.merge?.()
      if (instead) return instead
      await before?.(w)
      before = undefined
      return { ok: true, mergedSha: await mergeThere(w, head) }
    },
  }
  w.capabilities.remoteForgeOf = () => forge as RemoteForge
  const slept: number[] = []
  const { sleep: _real, ...timers } = w.capabilities.timers
  w.capabilities.timers = { ...timers, sleep: async (ms) => void slept.push(ms) }
  return Object.assign(w, { asked, drafts, slept })
}

async function mergeThere(w: FlowWorld, head: string): Promise<string> {
  const { env, folder, remote } = w.git
  const clone = path.join(folder, `forge-${performance.now()}`)
  await sh(env, folder, 'git', 'clone', '-q', remote, clone)
  await sh(env, clone, 'git', 'merge', '-q', '--no-ff', '-m', 'by the forge', head)
  await sh(env, clone, 'git', 'push', '-q', 'origin', 'HEAD:main')
  return sh(env, clone, 'git', 'rev-parse', 'HEAD')
}

test('S4, S9: the head that was tested is merged, and recorded as what main holds', async () => {
  const w = await forged({ verify: APART })
  const id = await w.open('A part')
  w.work()
  await w.until(() => w.task(id).status === 'done')
  expect(w.asked).toEqual([w.task(id).headSha])
  // A forge merges no draft, and no stage of this pipeline has made it ready.
  expect(w.drafts).toEqual([false])
  expect(w.task(id).mergedSha).toBe(await w.remote('rev-parse', 'main'))
  expect(w.log).not.toContain('push main')
})

test('S4: a forge that says merged while main does not hold it is not believed', async () => {
  const w = await forged({ verify: APART, merge: () => ({ ok: true, mergedSha: null }) })
  const id = await w.open('A part')
  w.work()
  await w.until(() => w.task(id).status === 'needs_review')
  expect(w.task(id)).toMatchObject({ mergedSha: null, reason: { code: 'merge-unproved' } })
})

test('S5: main moved before the forge merged: what came of it is tested, and a red one is held until main is mended', async () => {
  const w = await forged({ verify: APART, before: (world) => world.pushMain({ 'parts/other': 'ok\n' }) })
  const id = await w.open('A part')
  w.work()
  await w.until(() => w.task(id).status === 'needs_review')
  expect(w.task(id)).toMatchObject({ mergedSha: null, reason: { code: 'merge-untested' } })
  const merged = await w.remote('rev-parse', 'main')
  const clone = path.join(w.git.folder, 'mender')
  await sh(w.git.env, w.git.folder, 'git', 'clone', '-q', w.git.remote, clone)
  await sh(w.git.env, clone, 'git', 'mv', 'parts/other', 'parts/another')
  await commit(w.git.env, clone, 'mended')
  await sh(w.git.env, clone, 'git', 'push', '-q', 'origin', 'HEAD:main')
  const by = { actor: { kind: 'person', name: 'ann' }, cause: 'test', correlation: 'c' } as const
  await w.engine.submit({ type: 'retry', task: id, parallel: 1 }, by)
  await w.until(() => w.task(id).status === 'done')
  expect(w.task(id).mergedSha).toBe(merged)
})

const trouble = (kind: ExternalKind): ExternalError =>
  new ExternalError({ system: 'github', kind, message: `could not merge: ${kind}` })

test('C-42: what passes is asked again, three times, 2 s apart at first and never more than 5 s', async () => {
  const troubles = (['unreachable', 'timed-out', 'conflict'] as const).map(trouble)
  const w = await forged({ verify: APART, troubles })
  const id = await w.open('A part')
  w.work()
  await w.until(() => w.task(id).status === 'done')
  expect([w.asked.length, w.slept]).toEqual([4, [2_000, 4_000, 5_000]])
  expect(w.task(id).attempts).toEqual({ code: 0, transient: 0, infra: 0 })
})

test('C-42: what passes for long is the step’s own trouble after that, and no attempt of the code', async () => {
  const w = await forged({ verify: APART, troubles: Array.from({ length: 9 }, () => trouble('unreachable')) })
  const id = await w.open('A part')
  w.work()
  await w.until(() => w.task(id).attempts.infra + w.task(id).attempts.transient === 1)
  expect([w.asked.length, w.slept]).toEqual([4, [2_000, 4_000, 5_000]])
  expect(w.task(id).attempts.code).toBe(0)
})

test.each(['auth', 'not-found', 'rejected'] as const)('C-42: what lasts is asked once (%s)', async (kind) => {
  const w = await forged({ verify: APART, troubles: [trouble(kind)] })
  const id = await w.open('A part')
  w.work()
  await w.until(() => w.task(id).status === 'needs_review')
  expect([w.asked.length, w.slept]).toEqual([1, []])
  expect(w.task(id)).toMatchObject({ reason: { code: `github-${kind}` }, mergedSha: null })
})
