// Waiting for CI and people, over the real store, engine, worker and gates; the forge says what the case wants.

import { expect, test } from 'vitest'
import type { Task } from '../core/task.ts'
import type { Checks, RemoteForge } from '../drivers/driver.ts'
import { sleep } from '../lib/process.ts'
import { makeAwaitHandler } from './await.ts'
import { AWAITS, type FlowWorld, makeFlowWorld, writeAll } from './test-flow-world.ts'
import type { Handler } from './worker.ts'

interface Place {
  w: FlowWorld
  /** What CI says of every head. */
  ci: Checks['state']
  looks: number
  /** Heads that people were asked to look at, in order. */
  ready: string[]
  /** How the change was shown first. */
  opened: { draft: boolean | undefined; reviewers: string[] | undefined } | null
  handler: Handler
}

async function place(): Promise<Place> {
  const agent = (task: Task, tree: string): Promise<void> => writeAll(tree, { [`parts/${task.id}`]: `${task.epoch}\n` })
  const w = await makeFlowWorld({
    agent,
    files: { '.orch/pipelines/plain.yml': AWAITS },
    config: 'change: {reviewers: [mia]}',
  })
  await w.store.updateProject({ id: 'T', remote: w.git.remote, forge: { driver: 'github', ref: 'acme/shop' } })
  const local = w.capabilities.forgeOf({} as never)
  const forge: Partial<RemoteForge> = {
    ...local,
    findChange: async () => null,
    ensureChange: async (request) => {
      const { draft, reviewers } = request
      at.opened ??= { draft, reviewers }
      if (draft === false && reviewers?.join() === 'mia') at.ready.push(request.head)
      // As long as a vendor takes, so that two looks at once would meet here.
      await sleep(20)
      return local.ensureChange(request)
    },
    checksOf: async () => {
      at.looks += 1
      const one = at.ci === 'none' ? 'pending' : at.ci
      return { state: at.ci, checks: [{ name: 'test', state: one, url: null, text: null }] }
    },
    listReviews: async () => [],
    listThreads: async () => [],
    trustOf: async () => 'member',
  }
  w.capabilities.forgeOf = () => forge as RemoteForge
  const handler = makeAwaitHandler({ ...w.capabilities, remoteForgeOf: () => forge as RemoteForge })
  const at: Place = { w, ci: 'pending', looks: 0, ready: [], opened: null, handler }
  return at
}

/** Its waits pass at once. */
const soon =
  (handler: Handler): Handler =>
  async (job, context) => {
    const said = await handler(job, context)
    return said && 'again' in said ? { again: Date.now() + 20 } : said
  }

test('people are asked when CI is green, not while it runs, is silent or is red', async () => {
  const at = await place()
  at.w.work({ handlers: { await: soon(at.handler) } })
  const id = await at.w.open('A part')
  const looked = async (): Promise<void> => {
    const before = at.looks
    await at.w.until(() => at.looks > before + 1)
  }
  await looked()
  at.ci = 'none'
  await looked()
  expect([at.opened, at.ready]).toEqual([{ draft: true, reviewers: [] }, []])
  at.ci = 'failed'
  await at.w.until(() => at.w.task(id).attempts.code === 1)
  at.ci = 'pending'
  await looked()
  expect(at.ready).toEqual([])
  at.ci = 'passed'
  await at.w.until(() => at.w.task(id).waitingFor === 'review')
  expect(at.ready).toEqual([at.w.task(id).headSha])
})

test('two looks at once are made one after the other: what the first has said, the second finds said', async () => {
  const at = await place()
  at.ci = 'passed'
  const twice: Handler = async (job, context) => {
    const [first] = await Promise.allSettled([at.handler(job, context), at.handler(job, context)])
    if (first.status === 'rejected') throw first.reason
    return first.value
  }
  at.w.work({ handlers: { await: soon(twice) } })
  const id = await at.w.open('A part')
  await at.w.until(() => at.w.task(id).waitingFor === 'review' && at.looks > 3)
  expect(at.ready).toEqual([at.w.task(id).headSha])
})
