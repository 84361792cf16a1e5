// Runs survive whoever started them, and a machine that went down: no work, no usage and no line is lost or counted twice.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { RunView } from '../../src/flow/app.ts'
import { type Live, type World, makeWorld, processesOf, sleep } from './harness.ts'

let world: World
afterEach(() => world.close())

const TALKER = join(import.meta.dirname, 'agents', 'talker.mjs')
const atWork = (): boolean => processesOf(world.dir).some((one) => one.command.includes('talker.mjs'))

/** A task whose developer is an agent with sessions that talks until the sign `go`, and the service that works on it. */
async function talking(): Promise<Live> {
  world = await makeWorld({
    env: {
      ORCH_AGENTS_DEVELOPER_AGENT: 'claude',
      ORCH_AGENTS_CLAUDE_BIN: TALKER,
      ANTHROPIC_API_KEY: 'a-key-of-a-test',
    },
  })
  await world.add('Talks')
  const up = world.start(['up', '--json'])
  await up.says('"run.begun"')
  await world.until('T-1', (task) => task.runs[0]?.outcome === 'running' && atWork())
  return up
}

async function kill(up: Live): Promise<void> {
  up.kill('SIGKILL')
  await up.ended
}

/** Nothing of the run lives, its supervisor neither. */
async function untilGone(): Promise<void> {
  for (let n = 0; n < 400 && processesOf(world.dir).length > 0; n += 1) await sleep(25)
  expect(processesOf(world.dir)).toEqual([])
}

/** The task landed, and the books name each run once, with what it used counted once. */
async function landedOnce(runs: Partial<RunView>[]): Promise<void> {
  const task = await world.task('T-1')
  expect(task).toMatchObject({ status: 'done', attempts: { code: 0 }, runs })
  expect(task.runs).toHaveLength(runs.length)
  const ended = (await world.journal('T-1')).filter(({ type }) => type === 'run.ended').map(({ data }) => data['runId'])
  expect(ended).toEqual(task.runs.map((run) => run.id))
  expect(task.tokens.input).toBe(task.runs.reduce((sum, run) => sum + run.usage.input, 0))
  expect(task.costUsd).toBe(task.runs.reduce((sum, run) => sum + (run.costUsd ?? 0), 0))
  const merges = await world.git('log', '--first-parent', '--format=%H', 'main', '--grep=Orch-Task: T-1')
  expect(merges).toBe(task.mergedSha)
}

const WORKED = { outcome: 'succeeded', usage: { input: 1000, output: 100, cacheRead: 0, cacheWrite: 0 }, costUsd: 0.25 }
const DEVELOPED = { role: 'developer', agent: 'claude', ...WORKED }
const REVIEWED = { role: 'reviewer', agent: 'command', outcome: 'succeeded' }

test('a run that ends while no service is there is taken once by the next one, its usage too', async () => {
  await kill(await talking())
  expect(atWork()).toBe(true)
  world.sign('go')
  await untilGone()
  expect((await world.task('T-1')).runs[0]?.outcome).toBe('running')
  await world.upUntilIdle()
  await landedOnce([DEVELOPED, REVIEWED])
})

test('whoever listens to a run hears each line once while services die and come', async () => {
  let up = await talking()
  const listener = world.start(['stream', 'T-1', '--json'])
  await listener.says('line 20')
  for (let n = 0; n < 2; n += 1) {
    await kill(up)
    up = world.start(['up', '--json'])
    await sleep(1_500)
  }
  world.sign('go')
  await world.until('T-1', (task) => task.status === 'done')
  const { code, stdout } = await listener.ended
  expect(code).toBe(0)
  const heard = [...stdout.matchAll(/"line (\d+)"/g)].map(([, number]) => Number(number))
  expect(heard.length).toBeGreaterThan(60)
  expect(heard).toEqual(heard.map((_, at) => (heard[0] ?? 0) + at))
  const log = readFileSync(join(world.home, 'runs', (await world.task('T-1')).runs[0]?.id ?? '', 'output.log'), 'utf8')
  expect(log.match(/"line \d+"/g)?.at(-1)).toBe(`"line ${heard.at(-1)}"`)
  up.kill('SIGINT')
  await up.ended
  await landedOnce([DEVELOPED, REVIEWED])
}, 60_000)

test('after a reboot the run is lost, and the task goes on in the same session of the agent', async () => {
  const up = await talking()
  await kill(up)
  const [run] = (await world.task('T-1')).runs
  const file = join(world.home, 'runs', run?.id ?? '', 'supervisor.json')
  const record = JSON.parse(readFileSync(file, 'utf8'))
  process.kill(record.pid, 'SIGKILL')
  await untilGone()
  // As a reboot leaves it: the record of another boot, its pid by now that of somebody else.
  writeFileSync(file, JSON.stringify({ ...record, pid: process.pid, bootId: 'the-boot-before' }))
  await world.upUntilIdle({ timerWait: '20s' })
  const session = `session-of-${run?.id}`
  await landedOnce([
    { role: 'developer', outcome: 'lost', sessionId: session, usage: { ...WORKED.usage } },
    { ...DEVELOPED, sessionId: session },
    REVIEWED,
  ])
  expect(await world.task('T-1')).toMatchObject({ tokens: { input: 2000 } })
  const counted = (await world.journal('T-1')).filter(({ type }) => type === 'retry.counted').map(({ data }) => data)
  expect(counted).toEqual([{ budget: 'infra', why: expect.stringContaining('run-lost: the supervisor of run') }])
  const second = (await world.task('T-1')).runs[1]?.id ?? ''
  expect(readFileSync(join(world.home, 'runs', second, 'output.log'), 'utf8')).toContain(`resumed ${session}`)
}, 60_000)

test('a run whose outcome a power cut broke is lost and done again, not met as an error for ever', async () => {
  await kill(await talking())
  world.sign('go')
  await untilGone()
  const [run] = (await world.task('T-1')).runs
  writeFileSync(join(world.home, 'runs', run?.id ?? '', 'outcome.json'), '')
  await world.upUntilIdle({ timerWait: '20s' })
  // It goes on in the same session, whose total is told again: what the lost run cost is counted with that run.
  await landedOnce([{ role: 'developer', outcome: 'lost', costUsd: 0.25 }, { ...DEVELOPED, costUsd: 0 }, REVIEWED])
  expect((await world.task('T-1')).runs[0]?.text).toContain("outcome.json of run T-1-1 (claude) can't be read")
}, 60_000)

test('cancelled while no service is there, nothing of a run is left on the machine', async () => {
  await kill(await talking())
  expect(atWork()).toBe(true)
  await world.ok(['task', 'cancel', 'T-1'])
  expect(processesOf(world.dir)).toEqual([])
  await world.upUntilIdle()
  expect(await world.task('T-1')).toMatchObject({ status: 'cancelled', runs: [{ outcome: 'cancelled' }] })
  const ended = (await world.journal('T-1')).filter(({ type }) => type === 'run.ended')
  expect(ended).toHaveLength(1)
})
