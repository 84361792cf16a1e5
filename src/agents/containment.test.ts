import { rmSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { sleep } from '../lib/process.ts'
import { identifyProcess, isSameProcessAlive } from '../lib/process-identity.ts'
import { findContainments, makeTestRuns, survivorsOf, untilSaid } from './__fixtures__/runs.ts'
import { findRunProcesses } from './process-tree.ts'
import { markOf, readRecord } from './run-files.ts'

const runs = makeTestRuns()
const { runner } = runs
afterAll(runs.close)

const found = await findContainments()

describe.each(found)('contained by %s', (containment) => {
  test('a tool left in a session of its own is dead when the run has ended', async () => {
    const spec = runs.spec('leave', { in: containment })
    await runner.start(spec)
    expect((await runner.wait(spec.runId)).outcome).toEqual({ kind: 'succeeded' })
    expect(await survivorsOf(runner.dir(spec.runId))).toEqual([])
  })

  test('stopping asks the agent first and lets it say goodbye', async () => {
    const spec = runs.spec('polite', { in: containment, graceMs: 5_000 })
    await runner.start(spec)
    await untilSaid(runner, spec.runId, 'started')
    const before = performance.now()
    await runner.stop(spec.runId, 'test')
    expect(performance.now() - before).toBeLessThan(3_000)
    await untilSaid(runner, spec.runId, 'goodbye')
    expect(await survivorsOf(runner.dir(spec.runId))).toEqual([])
  })

  test('an agent that ignores SIGTERM is ended after the grace, with its children', async () => {
    const spec = runs.spec('deaf', { in: containment, graceMs: 200, timeLimitMs: 400 })
    await runner.start(spec)
    expect((await runner.wait(spec.runId)).outcome.kind).toBe('timed-out')
    expect(await survivorsOf(runner.dir(spec.runId))).toEqual([])
  })

  test('a killed supervisor leaves a lost run, and nothing of it alive', async () => {
    const spec = runs.spec('hang', { in: containment })
    await runner.start(spec)
    await untilSaid(runner, spec.runId, 'started')
    const supervisor = readRecord(runner.dir(spec.runId), 'supervisor')
    if (!supervisor) throw new Error('no supervisor record')
    expect(await survivorsOf(runner.dir(spec.runId))).not.toEqual([])
    process.kill(supervisor.pid, 'SIGKILL')
    // By itself: nobody waits for the run yet, who would end what is left. The kernel ends the agent with its supervisor.
    expect(await survivorsOf(runner.dir(spec.runId), 500)).toEqual([])
    expect(isSameProcessAlive(supervisor)).toBe(false)
    expect(await runner.state(spec.runId)).toBe('lost')
    const report = await runner.wait(spec.runId)
    expect(report.outcome.kind).toBe('lost')
    expect((await runner.wait(spec.runId)).outcome).toEqual(report.outcome)
  })

  test('strays of a lost run are ended by whoever waits for it', async () => {
    const spec = runs.spec('hang', { in: containment })
    await runner.start(spec)
    await untilSaid(runner, spec.runId, 'started')
    const supervisor = readRecord(runner.dir(spec.runId), 'supervisor')
    const waiting = runner.wait(spec.runId)
    process.kill(supervisor?.pid ?? 0, 'SIGKILL')
    await runner.stop(spec.runId, 'test')
    expect(await survivorsOf(runner.dir(spec.runId))).toEqual([])
    expect((await waiting).outcome.kind).toBe('lost')
  })
})

test.runIf(process.platform === 'linux')(
  'a process that is always in the middle of an exec is seen in every look',
  async () => {
    const spec = runs.spec('restless')
    await runner.start(spec)
    await untilSaid(runner, spec.runId, 'started')
    const looks = await Promise.all(Array.from({ length: 200 }, () => survivorsOf(runner.dir(spec.runId))))
    expect(looks.filter((found) => found.length === 0)).toEqual([])
    await runner.stop(spec.runId, 'test')
    expect(await survivorsOf(runner.dir(spec.runId))).toEqual([])
  },
)

test('a supervisor whose folder was removed under it ends when it is told to, and its agent with it', async () => {
  const spec = runs.spec('hang')
  await runner.start(spec)
  await untilSaid(runner, spec.runId, 'started')
  const folder = runner.dir(spec.runId)
  const mark = markOf(folder)
  const supervisor = readRecord(folder, 'supervisor')
  if (!supervisor) throw new Error('no supervisor record')
  rmSync(folder, { recursive: true })
  process.kill(supervisor.pid, 'SIGTERM')
  await expect.poll(() => isSameProcessAlive(supervisor), { timeout: 10_000 }).toBe(false)
  expect(await findRunProcesses(mark, null)).toEqual([])
})

test("a run of the same name in another place is somebody else's: it goes on", async () => {
  const elsewhere = makeTestRuns()
  const [mine, theirs] = [runs.spec('hang', { runId: 'T-1-1' }), elsewhere.spec('hang', { runId: 'T-1-1' })]
  await runner.start(mine)
  await elsewhere.runner.start(theirs)
  await untilSaid(elsewhere.runner, 'T-1-1', 'started')
  await runner.stop('T-1-1', 'test')
  expect(await survivorsOf(runner.dir('T-1-1'))).toEqual([])
  expect(await elsewhere.runner.state('T-1-1')).toBe('running')
  expect(await survivorsOf(elsewhere.runner.dir('T-1-1'))).not.toEqual([])
  await elsewhere.runner.stop('T-1-1', 'test')
  await elsewhere.close()
})

test('without a namespace, a process that drops its environment and its parent is still found', async () => {
  const spec = runs.spec('slip')
  await runner.start(spec)
  const said = await untilSaid(runner, spec.runId, 'slipped')
  const pid = Number(said.split(' ')[1])
  await sleep(50)
  expect(identifyProcess(pid)).not.toBeNull()
  await runner.wait(spec.runId)
  expect(identifyProcess(pid)).toBeNull()
})

test('a supervisor is deaf to a hang-up', async () => {
  const spec = runs.spec('ticks')
  await runner.start(spec)
  const pid = readRecord(runner.dir(spec.runId), 'supervisor')?.pid ?? 0
  process.kill(pid, 'SIGHUP')
  await sleep(100)
  expect(identifyProcess(pid)).not.toBeNull()
  expect((await runner.wait(spec.runId)).outcome).toEqual({ kind: 'succeeded' })
})
