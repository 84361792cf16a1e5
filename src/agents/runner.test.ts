import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { runProcess, sleep } from '../lib/process.ts'
import { makeTestRuns, PATH, START_AND_LEAVE, SUPERVISOR, untilSaid } from './__fixtures__/runs.ts'
import { runFiles } from './run-files.ts'

const runs = makeTestRuns()
const { runner } = runs
afterAll(runs.close)

test('a run gets its prompt by stdin, however long, and reports how it ended', async () => {
  const spec = runs.spec('echo', { prompt: `${'a long prompt '.repeat(30_000)}\n` })
  await runner.start(spec)
  const report = await runner.wait(spec.runId)
  expect(report.outcome).toEqual({ kind: 'succeeded' })
  expect(readFileSync(runFiles(runner.dir(spec.runId)).output, 'utf8')).toBe(spec.prompt)
  expect(report.endedAt).toBeGreaterThanOrEqual(report.startedAt)
  expect(await runner.state(spec.runId)).toBe('ended')
})

test('starting a run twice starts it once, and waiting after the end gives the same report', async () => {
  const spec = runs.spec('ticks')
  await Promise.all([runner.start(spec), runner.start(spec)])
  await runner.start(spec)
  const first = await runner.wait(spec.runId)
  expect(await runner.wait(spec.runId)).toEqual(first)
  await runner.start(spec)
  expect(readFileSync(runFiles(runner.dir(spec.runId)).output, 'utf8').match(/tick 0/g)).toHaveLength(1)
})

test('a second supervisor of the same run leaves at once', async () => {
  const spec = runs.spec('ticks')
  await runner.start(spec)
  const files = runFiles(runner.dir(spec.runId))
  const record = readFileSync(files.supervisor, 'utf8')
  const second = await runProcess({
    argv: [process.execPath, SUPERVISOR, runner.dir(spec.runId)],
    env: { PATH },
    timeoutMs: 10_000,
  })
  expect(second).toMatchObject({ outcome: 'exited', exitCode: 0, stderr: '' })
  await runner.wait(spec.runId)
  expect(readFileSync(files.supervisor, 'utf8')).toBe(record)
  expect(readFileSync(files.output, 'utf8').match(/tick 0/g)).toHaveLength(1)
  expect(readdirSync(runner.dir(spec.runId)).filter((name) => name.endsWith('.tmp'))).toEqual([])
})

test('a start that died half-way is done again', async () => {
  const spec = runs.spec('echo')
  mkdirSync(runner.dir(spec.runId))
  writeFileSync(runFiles(runner.dir(spec.runId)).spec, '{}')
  expect(await runner.state(spec.runId)).toBe('absent')
  await runner.start(spec)
  expect((await runner.wait(spec.runId)).outcome).toEqual({ kind: 'succeeded' })
})

test('a run stopped before its supervisor was up never starts its agent', async () => {
  const spec = runs.spec('echo')
  mkdirSync(runner.dir(spec.runId))
  await runner.stop(spec.runId, 'ann')
  await runner.start(spec)
  expect((await runner.wait(spec.runId)).outcome).toEqual({ kind: 'cancelled', by: 'ann' })
  expect(readFileSync(runFiles(runner.dir(spec.runId)).output, 'utf8')).toBe('')
})

test('a run outlives the process that started it, and another one follows it', async () => {
  const spec = runs.spec('ticks')
  const argv = [process.execPath, START_AND_LEAVE, runs.runsDir, SUPERVISOR, JSON.stringify(spec)] as const
  const starter = await runProcess({ argv, env: { PATH }, timeoutMs: 10_000 })
  expect(starter).toMatchObject({ outcome: 'exited', exitCode: 0, stderr: '' })
  expect(await runner.state(spec.runId)).toBe('running')
  expect((await runner.wait(spec.runId)).outcome).toEqual({ kind: 'succeeded' })
})

test('an absent run is absent, can be stopped, and cannot be waited for', async () => {
  expect(await runner.state('never')).toBe('absent')
  await runner.stop('never', 'test')
  await expect(runner.wait('never')).rejects.toThrow('never started')
  expect(() => runner.dir('../elsewhere')).toThrow("can't be a run's id")
})

test('a program that is not there could not start', async () => {
  const spec = runs.spec('echo', { file: '/no/such/program' })
  await runner.start(spec)
  const { outcome } = await runner.wait(spec.runId)
  expect(outcome).toMatchObject({ kind: 'could-not-start', text: expect.stringContaining('/no/such/program') })
})

test('a workspace that is not there could not start', async () => {
  const spec = runs.spec('echo', { cwd: join(runs.runsDir, 'gone') })
  await runner.start(spec)
  expect((await runner.wait(spec.runId)).outcome.kind).toBe('could-not-start')
})

test('a failing run says its exit code and the end of stderr', async () => {
  const spec = runs.spec('fail')
  await runner.start(spec)
  const { outcome } = await runner.wait(spec.runId)
  expect(outcome).toMatchObject({
    kind: 'failed',
    code: 'crash',
    exitCode: 3,
    text: expect.stringContaining('no such luck'),
  })
})

test('a crash by a signal is a crash', async () => {
  const spec = runs.spec('crash')
  await runner.start(spec)
  const { outcome } = await runner.wait(spec.runId)
  expect(outcome).toMatchObject({ kind: 'failed', code: 'crash', text: expect.stringContaining('it broke here') })
})

test('a run that closes its output but lives is waited for', async () => {
  const spec = runs.spec('close')
  await runner.start(spec)
  await untilSaid(runner, spec.runId, 'started')
  const { outcome, startedAt, endedAt } = await runner.wait(spec.runId)
  expect(outcome).toEqual({ kind: 'succeeded' })
  expect(endedAt - startedAt).toBeGreaterThan(400)
})

test('the time limit ends a run', async () => {
  const spec = runs.spec('hang', { timeLimitMs: 300 })
  await runner.start(spec)
  const { outcome } = await runner.wait(spec.runId)
  expect(outcome).toMatchObject({ kind: 'timed-out', text: expect.stringContaining('0.3 s') })
})

test('output past the cap ends a run, and the log is cut to the cap', async () => {
  const spec = runs.spec('flood', { logCapBytes: 200_000 })
  await runner.start(spec)
  const { outcome } = await runner.wait(spec.runId)
  expect(outcome).toMatchObject({ kind: 'failed', code: 'output-flood' })
  expect(readFileSync(runFiles(runner.dir(spec.runId)).output).length).toBe(200_000)
})

test('a stop is told apart from an end, and says by whom', async () => {
  const spec = runs.spec('polite')
  await runner.start(spec)
  await untilSaid(runner, spec.runId, 'started')
  const waiting = runner.wait(spec.runId)
  await Promise.all([runner.stop(spec.runId, 'ann'), runner.stop(spec.runId, 'bob')])
  expect((await waiting).outcome).toEqual({ kind: 'cancelled', by: 'ann' })
  await runner.stop(spec.runId, 'bob')
  expect(readFileSync(runFiles(runner.dir(spec.runId)).output, 'utf8')).toContain('goodbye')
})

test('the environment does not stay on disk, and the marker is set', async () => {
  const spec = runs.spec('echo', { env: { PATH, ANTHROPIC_API_KEY: 'sk-secret' }, file: '/usr/bin/env', args: [] })
  await runner.start(spec)
  await runner.wait(spec.runId)
  const files = runFiles(runner.dir(spec.runId))
  expect(readFileSync(files.output, 'utf8')).toContain(`ORCH_RUN=${spec.runId}\n`)
  expect(readFileSync(files.output, 'utf8')).toContain('sk-secret')
  expect(readFileSync(files.spec, 'utf8')).not.toContain('sk-secret')
})

test('last activity follows the output', async () => {
  const spec = runs.spec('ticks')
  expect(await runner.lastActivity(spec.runId)).toBeNull()
  const before = Date.now()
  await runner.start(spec)
  await runner.wait(spec.runId)
  expect(await runner.lastActivity(spec.runId)).toBeGreaterThan(before)
})

test('an aborted wait rejects and leaves the run alone', async () => {
  const spec = runs.spec('hang')
  await runner.start(spec)
  await expect(runner.wait(spec.runId, { signal: AbortSignal.timeout(50) })).rejects.toThrow('timeout')
  await sleep(20)
  expect(await runner.state(spec.runId)).toBe('running')
  await runner.stop(spec.runId, 'test')
})
