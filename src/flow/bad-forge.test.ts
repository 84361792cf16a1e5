// What becomes of a task while its forge misbehaves: tried again without a word against the code, or held for a named owner
// with a reason, and on its way again afterwards. Real store, engine, worker, gates and git; the forge says what the case wants.

import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Task } from '../core/task.ts'
import { explain } from '../core/why.ts'
import type { ChangeState, RemoteForge } from '../drivers/driver.ts'
import { ExternalError, type ExternalKind } from '../lib/errors.ts'
import { makeAwaitHandler } from './await.ts'
import { followChange } from './follow-change.ts'
import { becauseOf } from './journal-facts.ts'
import { AWAITS, type FlowWorld, makeFlowWorld, writeAll } from './test-flow-world.ts'
import { CONFIG } from './test-webhooks.ts'

const by = { actor: { kind: 'person' as const, name: 'ann' }, cause: 'test', correlation: 'c' }

interface Place {
  w: FlowWorld
  forge: RemoteForge
  /** Thrown whenever CI is asked for. */
  trouble: ExternalError | null
  /** The head that a person has approved; null: none yet. */
  approved: (task: Task) => string | null
}

async function place(): Promise<Place> {
  const agent = (task: Task, tree: string): Promise<void> => writeAll(tree, { [`parts/${task.id}`]: `${task.epoch}\n` })
  const w = await makeFlowWorld({ agent, files: { '.orch/pipelines/plain.yml': AWAITS } })
  await w.store.updateProject({ id: 'T', remote: w.git.remote, forge: { driver: 'github', ref: 'acme/shop' } })
  const local = w.capabilities.forgeOf({} as never)
  const forge: Partial<RemoteForge> = {
    ...local,
    findChange: async () => null,
    checksOf: async () => {
      if (at.trouble) throw at.trouble
      return { state: 'passed', checks: [{ name: 'test', state: 'passed', url: null, text: null }] }
    },
    listReviews: async (task) => {
      const sha = at.approved(w.task(task))
      const said = { id: '1', author: { login: 'mia', isBot: false }, body: '', at: 1, url: '' }
      return sha === null ? [] : [{ ...said, verdict: 'approve', sha }]
    },
    listThreads: async () => [],
    trustOf: async () => 'member',
  }
  const at: Place = { w, forge: forge as RemoteForge, trouble: null, approved: (task) => task.headSha }
  const real = makeAwaitHandler({ ...w.capabilities, remoteForgeOf: () => at.forge })
  w.work({
    handlers: {
      await: async (job, context) => {
        const said = await real(job, context)
        return said && 'again' in said ? { again: Date.now() + 20 } : said
      },
    },
  })
  return at
}

/** As `orch why` has it. */
function whyOf({ w }: Place, id: string): { because: string; owner: string } {
  const facts = { serviceRunning: true, liveRun: null, now: Date.now(), time: String }
  return explain(w.task(id), { ...facts, because: becauseOf(w.store, w.task(id)) })
}
const trouble = (kind: ExternalKind): ExternalError =>
  new ExternalError({ system: 'github', kind, message: `could not read the checks: ${kind}` })

test.each([
  ['a forge that is down', 'unreachable'],
  ['a slow one', 'timed-out'],
  ['429 and secondary limits', 'rate-limited'],
  ['409', 'conflict'],
] as const)('%s is waited out, said in `orch why`, and costs no attempt', async (_name, kind) => {
  const at = await place()
  at.trouble = trouble(kind)
  const id = await at.w.open('A part')
  await at.w.until(() => at.w.task(id).status === 'waiting' && whyOf(at, id).because.includes(kind))
  expect(at.w.task(id)).toMatchObject({ waitingFor: 'ci', attempts: { code: 0, transient: 0, infra: 0 } })
  at.trouble = null
  await at.w.until(() => at.w.task(id).status === 'done')
  expect(at.w.task(id).attempts).toEqual({ code: 0, transient: 0, infra: 0 })
})

test.each([
  ['401, 403 and a token without the scope', 'auth'],
  ['404', 'not-found'],
  ['422', 'rejected'],
] as const)('%s holds for a person with the reason, and a retry goes on from there', async (_name, kind) => {
  const at = await place()
  at.trouble = trouble(kind)
  const id = await at.w.open('A part')
  await at.w.until(() => at.w.task(id).status === 'needs_review')
  expect(at.w.task(id)).toMatchObject({ reason: { code: `github-${kind}` }, attempts: { code: 0 } })
  expect(whyOf(at, id).because).toContain(`could not read the checks: ${kind}`)
  expect(whyOf(at, id).owner).toBe('you')
  at.trouble = null
  await at.w.engine.submit({ type: 'retry', task: id, parallel: 1 }, by)
  await at.w.until(() => at.w.task(id).status === 'done')
  expect(at.w.task(id).attempts.code).toBe(0)
})

test('a review on an old head is waited past, and `orch why` names whose it was', async () => {
  const at = await place()
  at.approved = () => 'e'.repeat(40)
  const id = await at.w.open('A part')
  await at.w.until(() => at.w.task(id).waitingFor === 'review')
  await at.w.until(() => whyOf(at, id).because.includes('mia judged an earlier head'))
  at.approved = ({ headSha }) => headSha
  await at.w.until(() => at.w.task(id).status === 'done')
})

test('`orch why` says what is so now: a forge that went down later, and that it is back', async () => {
  const at = await place()
  at.approved = () => null
  const id = await at.w.open('A part')
  await at.w.until(() => at.w.task(id).waitingFor === 'review')
  const first = whyOf(at, id).because
  expect(first).toContain('(reviews: nobody has reviewed this head)')
  at.trouble = trouble('unreachable')
  await at.w.until(() => whyOf(at, id).because !== first)
  const away = whyOf(at, id).because
  expect(away).toMatch(
    /\(reviews: nobody has reviewed this head; the forge could not be asked since 20\S+Z: could not read the checks: unreachable\)/,
  )
  const waits = at.w.store.listEvents({ task: id }).filter(({ type }) => type === 'step.waiting')
  at.trouble = trouble('timed-out')
  await setTimeout(100)
  expect(whyOf(at, id).because).toBe(away)
  at.trouble = null
  await at.w.until(() => whyOf(at, id).because === first)
  // It is still a person's review that is waited for: the journal has nothing new.
  expect(at.w.task(id).waitingFor).toBe('review')
  expect(at.w.store.listEvents({ task: id }).filter(({ type }) => type === 'step.waiting')).toEqual(waits)
  expect(waits).toHaveLength(1)
})

test('where the first look met a forge that was down, `orch why` says what came of the next', async () => {
  const at = await place()
  at.approved = () => null
  at.trouble = trouble('unreachable')
  const id = await at.w.open('A part')
  await at.w.until(() => whyOf(at, id).because.includes('could not be asked since'))
  at.trouble = null
  await at.w.until(() => whyOf(at, id).because.includes('(reviews: nobody has reviewed this head)'))
  expect(whyOf(at, id).because).not.toContain('unreachable')
})

/** As the forge shows the change of a task that waits for its review. */
async function shown(at: Place, change: Partial<ChangeState>): Promise<{ id: string; said: string }> {
  at.approved = () => null
  const id = await at.w.open('A part')
  await at.w.until(() => at.w.task(id).waitingFor === 'review')
  const { branch, headSha } = at.w.task(id)
  const state: ChangeState = {
    number: 1,
    url: '',
    state: 'open',
    draft: false,
    branch: branch ?? '',
    base: 'main',
    head: headSha ?? '',
    mergedSha: null,
    mergeable: null,
    queued: false,
    labels: [],
    updatedAt: 1,
    ...change,
  }
  const forge = { ...at.forge, findChange: async () => state }
  const { capabilities, engine, store } = at.w
  const project = store.listProjects().find((one) => one.id === 'T')
  if (!project) throw new Error('there is no project')
  const deps = { ...capabilities, engine, configOf: async () => CONFIG }
  return { id, said: await followChange(deps, { project, forge, task: id, cause: 'test' }) }
}

test('a force-push by a person holds with what to reset, overwrites nothing, and goes on once it is reset', async () => {
  const at = await place()
  const theirs = 'f'.repeat(40)
  const { id, said } = await shown(at, { head: theirs })
  expect(said).toBe('somebody moved its branch')
  const task = at.w.task(id)
  expect(task).toMatchObject({ status: 'needs_review', reason: { code: 'branch-moved' } })
  expect(whyOf(at, id).because).toContain(`reset it to ${task.headSha?.slice(0, 10)}`)
  expect(at.w.log.filter((line) => line.startsWith('push'))).toHaveLength(1)
  at.approved = ({ headSha }) => headSha
  await at.w.engine.submit({ type: 'retry', task: id, parallel: 1 }, by)
  await at.w.until(() => at.w.task(id).status === 'done')
})

test('a branch that somebody deleted, which closes its change, ends the task and says so', async () => {
  const at = await place()
  const { id, said } = await shown(at, { state: 'closed' })
  expect(said).toBe('it was closed without being merged')
  expect(at.w.task(id).status).toBe('cancelled')
  expect(JSON.stringify(at.w.store.listEvents({ task: id }))).toContain('change 1 was closed at the forge')
})

test('a branch that somebody deleted is no loss: its commits land from where Orch keeps them', async () => {
  const at = await place()
  at.approved = () => null
  const id = await at.w.open('A part')
  await at.w.until(() => at.w.task(id).waitingFor === 'review')
  await at.w.remote('update-ref', '-d', `refs/heads/${at.w.task(id).branch}`)
  at.approved = ({ headSha }) => headSha
  await at.w.until(() => at.w.task(id).status === 'done')
  expect(await at.w.remote('ls-tree', '-r', '--name-only', 'main')).toContain(`parts/${id}`)
})
