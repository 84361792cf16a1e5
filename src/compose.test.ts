// The parts put together, over real git, a real agent process and a real database.

import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { compose } from './compose.ts'
import type { App } from './flow/app.ts'
import { isSameProcessAlive, type ProcessIdentity } from './lib/process-identity.ts'
import { makeSample } from './workspace/sample.ts'

const ANN = { kind: 'person', name: 'ann' } as const
const BODY = '```script\ndevelop:\n  -\n    - say: at work\n    - hang\n```\n'

async function appWithOneTask(): Promise<{ app: App; dir: string; clone: string }> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'orch-compose-')))
  const home = join(dir, 'home')
  mkdirSync(home)
  const app = await compose({ home, env: process.env, version: '0.0.0' })
  onTestFinished(async () => {
    await app.close()
    rmSync(dir, { recursive: true, force: true })
  })
  const folder = join(dir, 'sample')
  mkdirSync(folder)
  const { clone } = await makeSample(folder, process.env)
  const { project } = await app.init({
    cwd: clone,
    prefix: 'T',
    agent: 'scripted',
    pipeline: null,
    setup: [],
    verify: ['true'],
    approval: 'human',
  })
  const added = await app.addTask(
    { project: project.id, title: 'Hang', body: BODY, labels: [], priority: 0, dependsOn: [], pipeline: null },
    ANN,
  )
  expect(added.ok).toBe(true)
  return { app, dir, clone }
}

/** Whether the run's supervisor lives; its agent never outlives it. */
function isRunning(dir: string, runId: string): boolean {
  const text = readFileSync(join(dir, 'home', 'runs', runId, 'supervisor.json'), 'utf8')
  return isSameProcessAlive(JSON.parse(text) as ProcessIdentity)
}

test('a run that outlived the service is ended, and its row too, by the cancel of its task', async () => {
  const { app, dir } = await appWithOneTask()
  const stop = new AbortController()
  const running = app.up({
    untilIdle: false,
    timerWaitMs: 0,
    signal: stop.signal,
    onEvent: (entry) => {
      if (entry.type === 'run.begun') setTimeout(() => stop.abort(), 500)
    },
  })
  expect((await running).liveRuns).toMatchObject([{ task: 'T-1' }])
  expect(isRunning(dir, 'T-1-1')).toBe(true)
  const cancelled = await app.act({ type: 'cancel', task: 'T-1' }, ANN)
  expect(cancelled).toMatchObject({
    ok: true,
    value: { status: 'cancelled', runs: [{ outcome: 'cancelled' }] },
  })
  // It writes how the run ended, then goes.
  await expect.poll(() => isRunning(dir, 'T-1-1')).toBe(false)
  const after = await app.up({ untilIdle: true, timerWaitMs: 0, signal: new AbortController().signal })
  expect(after.liveRuns).toEqual([])
  expect(app.reader.events('T-1').filter((entry) => entry.type === 'run.ended')).toHaveLength(1)
})

test('agents are looked for as the project of the folder calls them', async () => {
  const { app, clone } = await appWithOneTask()
  const found = async (cwd: string) => (await app.agents(cwd)).find((agent) => agent.name === 'command')?.found
  expect(await found(clone)).toBe(false)
  writeFileSync(join(clone, '.orch.yml'), 'agents: { developer: { agent: command, command: "sh agent.sh" } }\n')
  expect(await found(clone)).toBe(true)
})

test('a fault that the log can’t take ends nothing', async () => {
  const { app, dir } = await appWithOneTask()
  await app.act({ type: 'cancel', task: 'T-1' }, ANN)
  // The service can watch nothing and must say so, into a log that can't be written.
  mkdirSync(join(dir, 'home', 'orch.log'))
  rmSync(join(dir, 'home', 'wake'))
  const stop = new AbortController()
  setTimeout(() => stop.abort(), 300)
  const end = await app.up({ untilIdle: false, timerWaitMs: 0, signal: stop.signal })
  expect(end.counts.cancelled).toBe(1)
})
