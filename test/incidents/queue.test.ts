// What once stood still for a whole night, or spoke all through it. Real store, engine, worker, processes and git.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { DatabaseSync } from 'node:sqlite'
import path from 'node:path'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { makeTestRuns, survivorsOf, untilSaid } from '../../src/agents/__fixtures__/runs.ts'
import { POLICY } from '../../src/core/test-spec.ts'
import { makeReconcile, type ReconcileDeps, workerName } from '../../src/flow/reconcile.ts'
import { stopRun } from '../../src/flow/run.ts'
import { makeSettleMerges } from '../../src/flow/settle.ts'
import { type FlowWorld, makeFlowWorld, writeAll } from '../../src/flow/test-flow-world.ts'
import { makeHousekeeping } from '../../src/flow/housekeeping.ts'
import { ExternalError } from '../../src/lib/errors.ts'
import { identifyProcess, isSameProcessAlive, type ProcessIdentity } from '../../src/lib/process-identity.ts'

const by = { actor: { kind: 'person' as const, name: 'ann' }, cause: 'test', correlation: 'c' }
const part = async (task: { id: string }, tree: string): Promise<void> =>
  writeAll(tree, { [`parts/${task.id}`]: 'ok\n' })

const runs = makeTestRuns()
afterAll(runs.close)

function reconcilerOf(w: FlowWorld, more: Partial<ReconcileDeps> = {}) {
  const onError = (error: unknown): void => void w.errors.push(error)
  return makeReconcile({
    store: w.store,
    engine: w.engine,
    now: Date.now,
    isProcessAlive: isSameProcessAlive,
    stopRun: (runId) => stopRun(w.capabilities, w.engine, runId),
    settleMerges: makeSettleMerges({ ...w.capabilities, engine: w.engine, onError }),
    onError,
    ...more,
  })
}

/** A process, and its identity. */
async function living(): Promise<{ child: ChildProcess; identity: ProcessIdentity }> {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child, 'spawn')
  const identity = identifyProcess(child.pid ?? 0)
  if (!identity) throw new Error('the process is not there')
  return { child, identity }
}

test('a zombie job that blocks every project', async () => {
  const w = await makeFlowWorld({ agent: part })
  await w.addProject('U', ['make', 'show', 'merge'])
  const { child, identity } = await living()
  const stuck = await w.open('Taken along by its worker')
  const lease = { worker: workerName(identity), now: Date.now(), leaseMs: 3_600_000 }
  expect(await w.store.claim(lease)).toMatchObject({ effect: { task: stuck } })
  child.kill('SIGKILL')
  await once(child, 'exit')
  const other = await w.open('In another project', 'U')
  const same = await w.open('In the same one')
  w.work()
  await w.until(() => [other, same].every((id) => w.task(id).status === 'done'))
  // Its lease would last for an hour; that its worker is dead is seen by the first sweep.
  expect(await reconcilerOf(w)()).toEqual(['took back 1 job(s) of a worker that died'])
  w.work()
  await w.until(() => w.task(stuck).status === 'done')
  expect(w.task(stuck).attempts).toEqual({ code: 0, transient: 0, infra: 0 })
})

test("one project's states hard-coded for all", async () => {
  const w = await makeFlowWorld({ agent: part })
  await w.addProject('U', ['brew', 'pour', 'drink'])
  const ids = [await w.open('By its own stages'), await w.open('By others', 'U')]
  w.work()
  await w.until(() => ids.every((id) => w.task(id).status === 'done'))
  const passedBy = (id: string): unknown[] =>
    w.store.listEvents({ task: id }).flatMap(({ type, data }) => (type === 'stage.passed' ? [data['stage']] : []))
  expect(ids.map(passedBy)).toEqual([
    ['make', 'show', 'merge'],
    ['brew', 'pour', 'drink'],
  ])
})

test('a queued row with a live pid', async () => {
  const w = await makeFlowWorld({ agent: part })
  const id = await w.open('A part')
  const job = await w.store.claim({ worker: 'w', now: Date.now(), leaseMs: 60_000 })
  const at = { task: id, epoch: 1 }
  await w.engine.submit({ type: 'begin-step', ...at }, by)
  await w.engine.submit({ type: 'start-task', ...at, policy: POLICY, baseSha: w.git.base, branch: 'orch/T-1' }, by)
  const spec = runs.spec('hang', { runId: 'T-1-1', task: id })
  await w.engine.submit(
    { type: 'begin-run', ...at, runId: spec.runId, role: 'maker', agent: 'bot', model: null, why: '' },
    by,
  )
  await runs.runner.start(spec)
  await untilSaid(runs.runner, spec.runId, 'started')
  await w.store.finish({ jobId: job?.id ?? 0, token: job?.token ?? 0 })
  // Written by nothing of Orch: the row says queued, and its agent works.
  const db = new DatabaseSync(path.join(w.git.home, 'orch.db'))
  db.exec(`UPDATE tasks SET status = 'queued', state = json_set(state, '$.status', 'queued') WHERE id = '${id}'`)
  db.close()
  expect(w.task(id)).toMatchObject({ status: 'queued', runId: spec.runId })
  const capabilities = { ...w.capabilities, runner: runs.runner }
  const told = await reconcilerOf(w, { stopRun: (runId) => stopRun(capabilities, w.engine, runId) })()
  expect(told[0]).toBe('mended 1 impossible-task row(s) that should not exist; `orch doctor` counts them')
  const { stopRun: stop } = makeHousekeeping(capabilities, w.engine)
  w.work({ handlers: { 'stop-run': stop, run: async () => null } })
  await w.until(() => w.store.getRun(spec.runId)?.endedAt !== null)
  expect(await survivorsOf(runs.runner.dir(spec.runId))).toEqual([])
  expect(w.task(id)).toMatchObject({ runId: null, epoch: 2 })
  expect(w.store.healed()).toMatchObject([{ what: 'impossible-task', n: 1 }])
})

test('191 equal notices in a night', async () => {
  let now = Date.now()
  let lost = false
  const w = await makeFlowWorld({
    agent: part,
    mirror: (real) => ({
      push: async (request) => {
        if (request.branch !== 'main') return real.push(request)
        lost = true
        return { ok: false, because: 'auth', text: 'the password has changed' }
      },
      fetchBase: async (base) => {
        if (!lost) return real.fetchBase(base)
        throw new ExternalError({ system: 'git', kind: 'auth', message: 'the password has changed' })
      },
    }),
  })
  // In the evening: a merge that was never answered, a cleaning that fails for ever, a worker that died.
  const held = await w.open('A part')
  const clean = async (): Promise<never> =>
    Promise.reject(new ExternalError({ system: 'disk', kind: 'rejected', message: 'no' }))
  const worker = w.work({ handlers: { clean } })
  await w.until(() => w.task(held).landing !== null && w.task(held).status !== 'running')
  const gone = await w.open('Not wanted any more')
  await w.engine.submit({ type: 'cancel', task: gone }, by)
  await w.until(() => w.store.jobSummary().running + w.store.jobSummary().ready === 0)
  await worker.stop()
  for (let job = await claimLate(); job; job = await claimLate())
    await w.store.park({ jobId: job.id, token: job.token, error: 'no' })
  const sweep = reconcilerOf(w, { now: () => now })
  const told: string[] = []
  for (let minute = 0; minute < 191; minute++) {
    now += 60_000
    // Somebody is awake and works on other things.
    await w.engine.submit({ type: 'edit-task', task: held, priority: minute % 3 }, by)
    told.push(...(await sweep()))
  }
  expect(told.length).toBeGreaterThan(0)
  expect(told).toEqual([...new Set(told)])
  expect(told.length).toBeLessThan(5)

  function claimLate() {
    return w.store.claim({ worker: 'w', now: now + 86_400_000, leaseMs: 60_000 })
  }
})
