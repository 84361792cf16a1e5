import { afterAll, expect, test } from 'vitest'
import { sleep } from '../lib/process.ts'
import { makeTestRuns, untilSaid } from './__fixtures__/runs.ts'
import type { RunEvent } from './agent.ts'
import { makeLineSplitter } from './lines.ts'

const runs = makeTestRuns()
const { runner } = runs
afterAll(runs.close)

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

test('from the start, raw: every line, while it runs and after, until the end', async () => {
  const spec = runs.spec('ticks')
  await runner.start(spec)
  const live = await all(runner.stream(spec.runId, { from: 'start', raw: true }))
  expect(live.map((line) => line.split(' ')[1])).toEqual(Array.from({ length: 12 }, (_, index) => String(index)))
  expect(await all(runner.stream(spec.runId, { from: 'start', raw: true }))).toEqual(live)
})

test('formatted: events of the adapter', async () => {
  const spec = runs.spec('slow')
  await runner.start(spec)
  const events: RunEvent[] = await all(runner.stream(spec.runId, { from: 'start', raw: false }))
  // A character cut in two by the writer and a last line without a break both come out whole.
  expect(events).toEqual([
    { type: 'message', text: 'café' },
    { type: 'message', text: 'no line break' },
  ])
})

test('from now: nothing of before, the rest as it comes', async () => {
  const spec = runs.spec('ticks')
  await runner.start(spec)
  await untilSaid(runner, spec.runId, 'tick 4')
  const lines = await all(runner.stream(spec.runId, { from: 'now', raw: true }))
  expect(lines.length).toBeGreaterThan(0)
  expect(lines.length).toBeLessThan(8)
  expect(lines.at(-1)).toContain('tick 11')
  expect(await all(runner.stream(spec.runId, { from: 'now', raw: true }))).toEqual([])
})

test('a line is seen within milliseconds', async () => {
  const spec = runs.spec('ticks')
  await runner.start(spec)
  const delays: number[] = []
  for await (const line of runner.stream(spec.runId, { from: 'now', raw: true })) {
    delays.push(Date.now() - Number(line.split(' ')[2]) / 1e6)
  }
  delays.sort((a, b) => a - b)
  // The median, so that a busy machine's worst moment does not decide.
  expect(delays[Math.floor(delays.length / 2)]).toBeLessThan(50)
})

test('a stream ends when its reader goes, and the run goes on', async () => {
  const spec = runs.spec('hang')
  await runner.start(spec)
  const abort = new AbortController()
  setTimeout(() => abort.abort(), 100)
  await all(runner.stream(spec.runId, { from: 'start', raw: true, signal: abort.signal }))
  await sleep(10)
  expect(await runner.state(spec.runId)).toBe('running')
  await runner.stop(spec.runId, 'test')
})

test('the end of a run is seen within milliseconds', async () => {
  const spec = runs.spec('echo')
  await runner.start(spec)
  const { endedAt } = await runner.wait(spec.runId)
  expect(Date.now() - endedAt).toBeLessThan(500)
})

test('a line beyond the limit is cut, the next one is whole', () => {
  const splitter = makeLineSplitter(8)
  expect(splitter.push(Buffer.from('12345'))).toEqual([])
  expect(splitter.push(Buffer.from('67890\nnext\r\n'))).toEqual(['12345678', 'next'])
  expect(splitter.push(Buffer.from('rest'))).toEqual([])
  expect(splitter.end()).toEqual(['rest'])
  expect(splitter.end()).toEqual([])
})
