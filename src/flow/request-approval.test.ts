// The first of two confirmations over the real store and engine, and the definition of done that it asks for.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Policy } from '../core/policy.ts'
import type { Task } from '../core/task.ts'
import { HEAD, MAKE_GREEN, POLICY, judging, report, started, taskIn, verdict, when } from '../core/test-spec.ts'
import type { RemoteForge, ReviewThread } from '../drivers/driver.ts'
import { ExternalError, UserError } from '../lib/errors.ts'
import { commitOf } from '../store/__fixtures__/commits.ts'
import { openStore } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import type { Answer } from './app.ts'
import type { ApprovalRequest } from './outside-views.ts'
import { definitionOfDone } from './definition-of-done.ts'
import { type Engine, makeEngine } from './engine.ts'
import { hashOf, requestApproval } from './request-approval.ts'
import { taskView } from './views.ts'

const TWICE: Policy = { ...POLICY, approval: 'human-twice' }
const ANN = { kind: 'person', name: 'ann' } as const
const BY = { actor: ANN, cause: 'test', correlation: 'c' }

/** Its gates have passed, and nothing has left the machine. */
function waiting(policy: Policy = TWICE): Task {
  let w = started(policy)
  w = when(w, report(w).end())
  return { ...taskIn(judging(w, MAKE_GREEN)) }
}

const thread = (change: Partial<ReviewThread> = {}): ReviewThread => ({
  id: '1',
  resolved: false,
  file: 'a.ts',
  line: 3,
  diff: null,
  comments: [],
  ...change,
})

interface Place {
  store: Store
  engine: Engine
  clock: { now: number }
  ask(bypass?: string): Promise<Answer<ApprovalRequest>>
}

async function place(
  setting: { task?: Task; handoff?: boolean; threads?: ReviewThread[] | ExternalError } = {},
): Promise<Place> {
  const dir = mkdtempSync(join(tmpdir(), 'orch-request-'))
  const store = await openStore(join(dir, 'orch.db'))
  onTestFinished(() => {
    store.close()
    rmSync(dir, { recursive: true })
  })
  const { task = waiting(), handoff = true, threads } = setting
  await store.addProject({ id: 'T', name: 't', path: '/t', remote: '/t.git', createdAt: 1 })
  const run = { task: 'T-1', project: 'T', agent: 'bot', model: null, attempt: 1, why: '', startedAt: 1 }
  const ended = { op: 'end', endedAt: 2, model: null, sessionId: null, usage: task.tokens, costUsd: 0 } as const
  const outcome = { kind: 'succeeded' } as const
  await store.commit(
    commitOf({
      aggregates: [{ kind: 'task', id: 'T-1', expected: 0, state: task }],
      runs: [
        { op: 'begin', run: { ...run, id: 'T-1-1', stage: 'make', role: 'maker' } },
        { ...ended, id: 'T-1-1', outcome, headSha: HEAD },
      ],
    }),
  )
  if (handoff)
    await store.putArtifact({ task: 'T-1', runId: 'T-1-1', name: 'handoff.md', path: 'artifacts/x', bytes: 1, at: 1 })
  const row = { project: 'T', task: 'T-1', branch: 'b', base: 'main', head: HEAD, title: 't', body: '', url: null }
  if (threads) await store.saveChange({ ...row, state: 'open', mergedSha: null, createdAt: 1, updatedAt: 1 })
  const listThreads: RemoteForge['listThreads'] = async () => {
    if (threads instanceof ExternalError) throw threads
    return threads ?? []
  }
  const clock = { now: 1_000_000 }
  const engine = makeEngine({ store, now: () => clock.now, wake: () => undefined })
  let ids = 0
  const deps = {
    store,
    engine,
    now: () => clock.now,
    newId: () => `id-${++ids}`,
    remoteForgeOf: () => (threads ? ({ listThreads } as unknown as RemoteForge) : null),
    changeStat: async () => ({ base: 'b', head: HEAD, files: [], addedLines: 7, deletedLines: 2 }),
  }
  const ask: Place['ask'] = (bypass) => requestApproval(deps, { task: 'T-1', bypass: bypass ?? null, actor: ANN })
  return { store, engine, clock, ask }
}

async function refusal(promise: Promise<unknown>): Promise<{ exit: number; code: string; message: string }> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof UserError)) throw new Error(`no UserError: ${String(error)}`)
  return { exit: error.exit, code: error.code, message: error.message }
}

test('the token is told once, its hash alone is kept, and says yes with a confirmation for 30 minutes', async () => {
  const { store, engine, clock, ask } = await place()
  const asked = await ask()
  if (!asked.ok) throw new Error(asked.refusal.text)
  const { token, expiresAt, done } = asked.value
  expect(asked.value).toMatchObject({ sha: HEAD, title: 'T-1: Do it', addedLines: 7, deletedLines: 2, bypass: null })
  expect(done.criteria.map(({ name, met }) => [name, met])).toEqual([
    ['gates', true],
    ['handoff', true],
    ['threads', true],
  ])
  expect(Date.parse(expiresAt) - clock.now).toBe(30 * 60_000)
  const kept = JSON.stringify([store.getTask('T-1'), store.listEvents({})])
  expect(kept).toContain(hashOf(token))
  expect(kept).not.toContain(`"${token}"`)
  const shown = JSON.stringify(taskView(store.getTask('T-1')?.state as Task, { runs: [], artifacts: [] }))
  expect(shown).not.toContain(hashOf(token))
  const yes = { type: 'approve', task: 'T-1', tokenHash: hashOf(` ${token}\n`), confirmed: true } as const
  clock.now += 31 * 60_000
  expect(await engine.submit(yes, BY)).toMatchObject({ refusal: { code: 'token-expired' } })
  clock.now -= 2 * 60_000
  expect(await engine.submit(yes, BY)).toMatchObject({ ok: true })
  expect(store.getTask('T-1')?.state).toMatchObject({
    step: { kind: 'publish' },
    approvals: [{ sha: HEAD, by: 'ann' }],
  })
  expect(store.getTask('T-1')?.state.approvals[0]).not.toHaveProperty('bypass')
})

test('what is said below the change and not at a line can’t be resolved, and holds nobody up', async () => {
  const asked = await (await place({ threads: [thread({ file: null, line: null })] })).ask()
  expect(asked).toMatchObject({ ok: true, value: { done: { met: true } } })
})

test.each([
  ['no handoff', { handoff: false }, 'no handoff'],
  [
    'an open thread',
    { threads: [thread(), thread({ resolved: true })] },
    '1 unresolved thread at the forge, the first at a.ts:3',
  ],
  [
    'a forge that is down',
    { threads: new ExternalError({ system: 'github', kind: 'unreachable', message: 'it is down' }) },
    'could not be asked for its threads: it is down',
  ],
])('%s: refused, and with a reason passed over, which is in the journal and shown', async (_name, setting, text) => {
  const { store, engine, ask } = await place(setting)
  expect(await refusal(ask())).toMatchObject({ exit: 5, code: 'not-done', message: expect.stringContaining(text) })
  expect(await refusal(ask('  '))).toMatchObject({ exit: 5 })
  expect(store.getTask('T-1')?.state.request ?? null).toBeNull()
  const asked = await ask('production is down')
  if (!asked.ok) throw new Error(asked.refusal.text)
  expect(asked.value).toMatchObject({ bypass: 'production is down', done: { met: false } })
  expect(store.listEvents({}).at(-1)).toMatchObject({
    type: 'approval.requested',
    data: { bypass: 'production is down' },
  })
  await engine.submit({ type: 'approve', task: 'T-1', tokenHash: hashOf(asked.value.token), confirmed: true }, BY)
  const view = taskView(store.getTask('T-1')?.state as Task, { runs: [], artifacts: [] })
  expect(view.approvals).toMatchObject([{ sha: HEAD, bypass: 'production is down' }])
})

test.each([
  ['red', [verdict('changes', 'make', 'pass'), verdict('verify', 'make', 'fail')]],
  ['of another head', [verdict('changes', 'make', 'pass'), verdict('verify', 'make', 'pass', { sha: 'f'.repeat(40) })]],
  ['missing', [verdict('changes', 'make', 'pass')]],
  [
    'waiting at a stage before',
    [verdict('changes', 'make', 'pass'), verdict('verify', 'make', 'wait', { waitFor: 'approval' })],
  ],
])('a gate that is %s is passed over by nobody', async (_name, verdicts) => {
  const { store, ask } = await place({ task: { ...waiting(), verdicts } })
  const refused = await refusal(ask('production is down'))
  expect(refused).toMatchObject({ exit: 5, message: expect.stringContaining('verify at make') })
  expect(store.listEvents({})).toEqual([])
})

test('a gate that waits for this very approval is no reason against it', async () => {
  const verdicts = [verdict('changes', 'make', 'pass'), verdict('verify', 'make', 'wait', { waitFor: 'approval' })]
  const task = { ...waiting(), stage: 'make', verdicts }
  const { store } = await place({ task })
  expect((await definitionOfDone({ store, forge: null }, task)).met).toBe(true)
})

test('what needs no two confirmations, waits for nothing or is not there is refused', async () => {
  const once = { ...waiting(), policy: { ...POLICY, approval: 'human' as const } }
  expect(await refusal((await place({ task: once })).ask())).toMatchObject({ exit: 4, code: 'one-confirmation' })
  const running = await place({ task: taskIn(started(TWICE)) })
  expect(await running.ask()).toMatchObject({ refusal: { code: 'not-waiting-for-approval' } })
})
