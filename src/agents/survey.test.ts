import { mkdirSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { afterAll, expect, test } from 'vitest'
import { startDetached } from '../lib/process.ts'
import { makeTestRuns, PATH, untilSaid } from './__fixtures__/runs.ts'
import { identifyProcess } from '../lib/process-identity.ts'
import { markOf, RUN_MARKER } from './run-files.ts'

const runs = makeTestRuns()
const { runner, runsDir } = runs
afterAll(runs.close)

const found = async (runId: string) => (await runner.survey()).find((run) => run.runId === runId)

test('a run is seen while it lives, with its processes, and after its end', async () => {
  const spec = runs.spec('ticks')
  await runner.start(spec)
  await untilSaid(runner, spec.runId, 'tick')
  const live = await found(spec.runId)
  expect(live?.state).toBe('running')
  expect(live?.processes.length).toBeGreaterThan(0)
  await runner.stop(spec.runId, 'test')
  expect(await found(spec.runId)).toEqual({ runId: spec.runId, state: 'ended', processes: [] })
})

test('a folder nobody ever started a run in is absent; what can be no run is none', async () => {
  mkdirSync(`${runsDir}/half`)
  mkdirSync(`${runsDir}/no run`)
  writeFileSync(`${runsDir}/a-file`, '')
  expect(await found('half')).toEqual({ runId: 'half', state: 'absent', processes: [] })
  const names = (await runner.survey()).map((run) => run.runId)
  expect(names).not.toContain('no run')
  expect(names).not.toContain('a-file')
})

/** A process that carries a run's mark and nothing else of it. */
async function stray(runId: string): Promise<number> {
  const env = { PATH, [RUN_MARKER]: `${markOf(runsDir)}/${runId}` }
  await using log = await open(`${runsDir}/a-file`, 'a')
  return startDetached({ argv: ['sleep', '60'], cwd: runsDir, env, stdout: log.fd, stderr: log.fd })
}

test('what lives of a run that has ended, or has lost its folder, is seen and can be ended', async () => {
  const spec = runs.spec('echo')
  await runner.start(spec)
  await runner.wait(spec.runId)
  const pids = [await stray(spec.runId), await stray('gone')]
  expect((await found(spec.runId))?.processes).toEqual([pids[0]])
  expect(await found('gone')).toEqual({ runId: 'gone', state: 'absent', processes: [pids[1]] })
  // Another folder's runs are another's.
  const others = makeTestRuns()
  expect(await others.runner.survey()).toEqual([])
  await others.close()
  for (const runId of [spec.runId, 'gone']) {
    expect(await runner.stopStrays(runId, 'doctor')).toEqual([])
    expect((await found(runId))?.processes ?? []).toEqual([])
  }
  expect(pids.map((pid) => identifyProcess(pid))).toEqual([null, null])
})
