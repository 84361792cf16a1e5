// What is found of a run after a crash, a power cut or a reboot, and that two who start it start one agent.

import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { runProcess } from '../lib/process.ts'
import { identifyProcess } from '../lib/process-identity.ts'
import { makeTestRuns, PATH, START_TOGETHER, SUPERVISOR, survivorsOf, untilSaid } from './__fixtures__/runs.ts'
import { readRecord, runFiles } from './run-files.ts'

const runs = makeTestRuns()
const { runner } = runs
afterAll(runs.close)

/** A run that has ended, to break its records. */
async function ended(): Promise<{ runId: string; files: ReturnType<typeof runFiles> }> {
  const spec = runs.spec('echo')
  await runner.start(spec)
  await runner.wait(spec.runId)
  return { runId: spec.runId, files: runFiles(runner.dir(spec.runId)) }
}

/** A run at work. */
async function atWork(changes: Parameters<typeof runs.spec>[1] = {}) {
  const spec = runs.spec('hang', changes)
  await runner.start(spec)
  await untilSaid(runner, spec.runId, 'started')
  const supervisor = readRecord(runner.dir(spec.runId), 'supervisor') ?? expect.fail('no supervisor')
  return { spec, supervisor, files: runFiles(runner.dir(spec.runId)) }
}

describe('a start that died half-way is absent and is done again', () => {
  test.each<[string, Record<string, string>]>([
    ['only its folder', {}],
    ['only its prompt', { 'prompt.md': 'x' }],
    ['only its spec', { 'spec.json': '{}' }],
    ['a broken spec', { 'spec.json': '{"runId":' }],
    ['a half-written record of its supervisor', { 'spec.json': '{}', 'supervisor.json.7.tmp': '{"pid":' }],
    ['an empty record of its supervisor', { 'prompt.md': 'x', 'spec.json': '{}', 'supervisor.json.7.tmp': '' }],
    ['space for an outcome', { 'prompt.md': 'x', 'outcome.json.7.tmp': ' '.repeat(4096) }],
  ])('%s', async (_, content) => {
    const spec = runs.spec('echo', { prompt: 'the whole prompt' })
    mkdirSync(runner.dir(spec.runId))
    for (const [name, text] of Object.entries(content)) writeFileSync(join(runner.dir(spec.runId), name), text)
    expect(await runner.state(spec.runId)).toBe('absent')
    await expect(runner.wait(spec.runId)).rejects.toThrow('never started')
    await runner.start(spec)
    expect((await runner.wait(spec.runId)).outcome).toEqual({ kind: 'succeeded' })
    expect(readFileSync(runFiles(runner.dir(spec.runId)).output, 'utf8')).toBe('the whole prompt')
  })
})

describe('what a power cut broke is lost, says so, and is lost each time it is asked', () => {
  test.each(['', '{"exitCode":0,"sig', '\0\0', '[]', 'null', '{}'])('an outcome holding %j', async (text) => {
    const { runId, files } = await ended()
    writeFileSync(files.outcome, text)
    expect(await runner.state(runId)).toBe('lost')
    const report = await runner.wait(runId)
    expect(report).toMatchObject({
      outcome: { kind: 'lost', text: expect.stringContaining(`outcome.json of run ${runId} (command) can't be read`) },
      startedAt: expect.any(Number),
    })
    expect(report.endedAt).toBeGreaterThanOrEqual(report.startedAt)
    await runner.stop(runId, 'test')
    expect(await runner.wait(runId)).toEqual(report)
    // It was started: it is not started once more.
    await runner.start(runs.spec('echo', { runId }))
    expect(await runner.state(runId)).toBe('lost')
  })

  test.each(['', '{"pid":', '{"pid":1}'])('a record of its supervisor holding %j, and no outcome', async (text) => {
    const { supervisor, files, spec } = await atWork()
    process.kill(supervisor.pid, 'SIGKILL')
    writeFileSync(files.supervisor, text)
    expect(await runner.state(spec.runId)).toBe('lost')
    const { outcome } = await runner.wait(spec.runId)
    expect(outcome).toMatchObject({ kind: 'lost', text: expect.stringContaining('supervisor.json of run') })
    expect(await survivorsOf(runner.dir(spec.runId))).toEqual([])
  })

  test('a spec: nobody knows how to read what it said', async () => {
    const { runId, files } = await ended()
    truncateSync(files.spec, 10)
    const { outcome } = await runner.wait(runId)
    expect(outcome).toMatchObject({
      kind: 'lost',
      text: expect.stringContaining(`spec.json of run ${runId} can't be read`),
    })
    const events = []
    for await (const event of runner.stream(runId, { from: 'start', raw: false })) events.push(event)
    expect(events).toEqual([])
  })

  test('a broken wish to stop stops it all the same', async () => {
    const spec = runs.spec('echo')
    mkdirSync(runner.dir(spec.runId))
    writeFileSync(runFiles(runner.dir(spec.runId)).stop, '{"by')
    await runner.start(spec)
    expect((await runner.wait(spec.runId)).outcome).toEqual({ kind: 'cancelled', by: 'a signal' })
  })
})

test('an outcome without a record of its supervisor is taken as it is', async () => {
  const { runId, files } = await ended()
  rmSync(files.supervisor)
  expect(await runner.state(runId)).toBe('ended')
  expect((await runner.wait(runId)).outcome).toEqual({ kind: 'succeeded' })
})

test('fields that another version added to the records change nothing', async () => {
  const { runId, files } = await ended()
  const before = await runner.wait(runId)
  for (const name of ['spec', 'supervisor', 'outcome'] as const) {
    const record = JSON.parse(readFileSync(files[name], 'utf8'))
    writeFileSync(files[name], JSON.stringify({ ...record, addedLater: { deep: [1] } }))
  }
  expect(await runner.state(runId)).toBe('ended')
  expect(await runner.wait(runId)).toEqual(before)
})

test('a log that ends in the zeros of a power cut is read up to there', async () => {
  const { runId, files } = await ended()
  writeFileSync(files.output, `{"type":"text","text":"hello"}\n${'\0'.repeat(500)}`)
  expect((await runner.wait(runId)).outcome).toEqual({ kind: 'succeeded' })
})

/** The first lines of claude's stream: enough to know the session and what an answer used. */
const CLAUDE = [
  { type: 'system', subtype: 'init', session_id: 'session-7', model: 'sonnet', cwd: '/w', tools: [] },
  {
    type: 'assistant',
    session_id: 'session-7',
    message: {
      id: 'msg-1',
      model: 'sonnet',
      role: 'assistant',
      content: [{ type: 'text', text: 'started' }],
      usage: { input_tokens: 5, output_tokens: 3, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 },
    },
  },
]
  .map((line) => JSON.stringify(line))
  .join('\n')

describe('after a reboot a run that died with the machine is lost, with its session and what it had used', () => {
  test.each<[string, (record: { pid: number; startTime: number; bootId: string }) => object]>([
    ['its pid is free', (record) => ({ ...record, bootId: 'another-boot' })],
    ['its pid is that of another process', (record) => ({ ...record, pid: process.pid, bootId: 'another-boot' })],
    [
      'another process has its pid and, counted from boot, its start time',
      () => ({ ...identifyProcess(process.pid), bootId: 'another-boot' }),
    ],
    ['without a reboot its pid was used again', (record) => ({ ...record, pid: process.pid, startTime: 1 })],
  ])('%s', async (_, change) => {
    const { spec, supervisor, files } = await atWork({
      agent: 'claude',
      file: '/bin/sh',
      args: ['-c', 'printf "%s\\n" "$0"; exec tail -s 1 -f /dev/null', CLAUDE],
    })
    process.kill(supervisor.pid, 'SIGKILL')
    await expect.poll(() => identifyProcess(supervisor.pid)).toBeNull()
    writeFileSync(files.supervisor, JSON.stringify({ ...supervisor, ...change(supervisor) }))
    expect(await runner.state(spec.runId)).toBe('lost')
    expect(await runner.wait(spec.runId)).toMatchObject({
      outcome: { kind: 'lost' },
      sessionId: 'session-7',
      usage: { input: 5, output: 3 },
      startedAt: supervisor.startedAt,
    })
    expect(identifyProcess(process.pid)).not.toBeNull()
  })
})

test('several processes that start the same runs at once start one agent for each', async () => {
  const spec = runs.spec('ticks', { prompt: 'x' })
  const rounds = 12
  const argv = [process.execPath, START_TOGETHER, runs.runsDir, SUPERVISOR, JSON.stringify(spec), `${rounds}`] as const
  const firstAt = `${Date.now() + 2_000}`
  const starters = Array.from({ length: 3 }, () =>
    runProcess({ argv: [...argv, firstAt], env: { PATH }, timeoutMs: 60_000 }),
  )
  for (const result of await Promise.all(starters)) expect(result).toMatchObject({ exitCode: 0, stderr: '' })
  for (let n = 0; n < rounds; n += 1) {
    const runId = `${spec.runId}-${n}`
    expect((await runner.wait(runId)).outcome).toEqual({ kind: 'succeeded' })
    expect(readFileSync(runFiles(runner.dir(runId)).output, 'utf8').match(/tick 0/g)).toHaveLength(1)
    // One that came too late leaves nothing behind either, within a moment.
    await expect.poll(() => readdirSync(runner.dir(runId)).filter((name) => name.endsWith('.tmp'))).toEqual([])
  }
}, 60_000)
