import { readFileSync } from 'node:fs'
import { afterAll, expect, test } from 'vitest'
import { sleep } from '../lib/process.ts'
import { makeTestRuns, survivorsOf, untilSaid } from './__fixtures__/runs.ts'
import { makeAwakeClock } from './limits-watch.ts'
import { readRecord, runFiles } from './run-files.ts'

const runs = makeTestRuns()
const { runner } = runs
afterAll(runs.close)

test('a run that prints nothing for its stall limit is ended, and says so and what sets the limit', async () => {
  const spec = runs.spec('hang', { stallMs: 400 })
  await runner.start(spec)
  const { outcome, startedAt, endedAt } = await runner.wait(spec.runId)
  expect(outcome).toEqual({
    kind: 'stalled',
    text: 'command printed nothing for 0.4 s and was ended; `limits.stallMinutes` says how long a run may be quiet',
  })
  expect(endedAt - startedAt).toBeGreaterThan(400)
  expect(await survivorsOf(runner.dir(spec.runId))).toEqual([])
})

test.each(['ticks', 'mutters'])('a run that goes on printing is not stalled: %s', async (behaviour) => {
  const spec = runs.spec(behaviour, { stallMs: 400 })
  await runner.start(spec)
  const { outcome, startedAt, endedAt } = await runner.wait(spec.runId)
  expect(outcome).toEqual({ kind: 'succeeded' })
  expect(endedAt - startedAt).toBeGreaterThan(500)
})

test('a spec without a stall limit, as another version may have written it, has none', async () => {
  const { stallMs: _, ...older } = runs.spec('close')
  await runner.start(older as typeof older & { stallMs: number })
  expect((await runner.wait(older.runId)).outcome).toEqual({ kind: 'succeeded' })
})

test('the clock counts a second at most for each look, so a jump of an hour ends nothing', () => {
  let now = 5_000
  const awake = makeAwakeClock(() => now)
  now += 250
  expect(awake()).toBe(250)
  now += 3_600_000
  expect(awake()).toBe(1_250)
  now += 20
  expect(awake()).toBe(1_270)
})

test.concurrent.each<'stallMs' | 'timeLimitMs'>(['stallMs', 'timeLimitMs'])(
  'a machine that slept ends no run on waking up by its %s',
  async (limit) => {
    const spec = runs.spec('hang', { [limit]: 3_000 })
    await runner.start(spec)
    await untilSaid(runner, spec.runId, 'started')
    const pid = readRecord(runner.dir(spec.runId), 'supervisor')?.pid ?? 0
    // A look has seen what it said.
    await sleep(500)
    process.kill(pid, 'SIGSTOP')
    await sleep(3_200)
    process.kill(pid, 'SIGCONT')
    const wokeAt = Date.now()
    const { outcome, endedAt } = await runner.wait(spec.runId)
    expect(outcome.kind).toBe(limit === 'stallMs' ? 'stalled' : 'timed-out')
    expect(endedAt - wokeAt).toBeGreaterThan(1_000)
  },
)

test('one that floods on although it was told to end is ended without its grace', async () => {
  const spec = runs.spec('deaf-flood', { logCapBytes: 100_000, graceMs: 60_000, timeLimitMs: 60_000 })
  await runner.start(spec)
  const { outcome, startedAt, endedAt } = await runner.wait(spec.runId)
  expect(outcome).toMatchObject({ kind: 'failed', code: 'output-flood' })
  expect(endedAt - startedAt).toBeLessThan(10_000)
  expect(readFileSync(runFiles(runner.dir(spec.runId)).output).length).toBe(100_000)
})
