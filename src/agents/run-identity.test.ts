// What the runner says of a run from its folder alone, when processes went, or their pids became somebody else's.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { identifyProcess, type ProcessIdentity } from '../lib/process-identity.ts'
import { makeTestRuns, PATH } from './__fixtures__/runs.ts'
import type { RunSpec } from './agent.ts'
import { markOf, RUN_MARKER, runFiles } from './run-files.ts'

const runs = makeTestRuns()
const { runner } = runs
afterAll(runs.close)

const ENDED = { exitCode: 0, signal: null, endedBy: null, by: null, startedAt: 1, endedAt: 2 }

/** A run as its supervisor leaves it in the middle: its spec and the supervisor's identity. */
function begun(supervisor: ProcessIdentity): RunSpec {
  const spec = runs.spec('hang')
  const folder = runner.dir(spec.runId)
  const files = runFiles(folder)
  mkdirSync(folder)
  const { prompt: _, ...stored } = spec
  writeFileSync(files.spec, JSON.stringify(stored))
  writeFileSync(files.output, '')
  writeFileSync(files.stderr, '')
  writeFileSync(files.supervisor, JSON.stringify({ ...supervisor, startedAt: 1 }))
  return spec
}

/** A process that lives, as a supervisor does. */
async function living(): Promise<ProcessIdentity> {
  const identity = identifyProcess((await started({ PATH })).pid ?? 0)
  if (!identity) throw new Error('the process is not there')
  return identity
}

async function started(env: Record<string, string>): Promise<ChildProcess> {
  const child = spawn('sleep', ['20'], { env, stdio: 'ignore', detached: true })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child, 'spawn')
  return child
}

/** A process that the run's agent left somewhere. */
const strayOf = (spec: RunSpec): Promise<ChildProcess> =>
  started({ PATH, [RUN_MARKER]: markOf(runner.dir(spec.runId)) })

/** A supervisor that is gone, its pid somebody else's by now. */
async function dead(): Promise<ProcessIdentity> {
  const other = await living()
  return { ...other, startTime: other.startTime - 1 }
}

test('a run whose supervisor’s pid is somebody else’s by now is lost, not running', async () => {
  expect(await runner.state(begun(await living()).runId)).toBe('running')
  expect(await runner.state(begun(await dead()).runId)).toBe('lost')
  expect(await runner.state(begun({ ...(await living()), bootId: 'an earlier boot' }).runId)).toBe('lost')
})

test('a run that left its outcome has ended, whatever became of its supervisor', async () => {
  for (const supervisor of [await living(), await dead()]) {
    const { runId } = begun(supervisor)
    writeFileSync(runFiles(runner.dir(runId)).outcome, JSON.stringify(ENDED))
    expect(await runner.state(runId)).toBe('ended')
    expect((await runner.wait(runId)).outcome).toEqual({ kind: 'succeeded' })
  }
})

test('who waits for a lost run ends what is left of it first', async () => {
  const spec = begun(await dead())
  const stray = await strayOf(spec)
  expect((await runner.wait(spec.runId)).outcome.kind).toBe('lost')
  expect(identifyProcess(stray.pid ?? 0)).toBeNull()
})

test('stopping a run whose supervisor is gone ends what is left of it', async () => {
  const spec = begun(await dead())
  const stray = await strayOf(spec)
  await runner.stop(spec.runId, 'test')
  expect(identifyProcess(stray.pid ?? 0)).toBeNull()
})

test('a run that was claimed is not started again, even when its supervisor is gone', async () => {
  const spec = begun(await dead())
  const files = runFiles(runner.dir(spec.runId))
  await runner.start(spec)
  expect(existsSync(files.prompt)).toBe(false)
  expect(existsSync(files.supervisorLog)).toBe(false)
  expect(await runner.state(spec.runId)).toBe('lost')
})
