// The service's life: stopped, killed, doubled, idle; and what people do to tasks that are under way.

import { existsSync, mkdirSync, readFileSync, readdirSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { type Live, type World, makeWorld, processesOf, sleep } from './harness.ts'

let world: World
afterEach(() => world.close())

const runsOf = (): { pid: number; command: string }[] =>
  processesOf(world.dir).filter((one) => one.command.includes('worker.mjs') || one.command.includes('supervisor'))

/** Starts the service on one task whose agent works until the sign is given. */
async function atWork(sign = 'go'): Promise<Live> {
  world = await makeWorld()
  await world.add('Takes a while', `behaviour: wait ${sign}`)
  const up = world.start(['up', '--json'])
  await up.says('"run.begun"')
  await world.until(
    'T-1',
    (task) => task.runs[0]?.outcome === 'running' && runsOf().some((one) => one.command.includes('worker.mjs')),
  )
  return up
}

/** Nothing of the task is left but its books. */
async function landedOnce(id: string): Promise<void> {
  const task = await world.task(id)
  expect(task).toMatchObject({ status: 'done', attempts: { code: 0 } })
  const merges = (await world.git('log', '--first-parent', '--format=%H', 'main', `--grep=Orch-Task: ${id}`)).split(
    '\n',
  )
  expect(merges).toEqual([task.mergedSha])
}

test('a second `orch up` is refused; Ctrl-C leaves the run going and says so; the next one adopts it', async () => {
  const up = await atWork()
  const second = await world.orch(['up', '--until-idle'])
  expect(second).toMatchObject({ code: 4 })
  expect(second.stderr).toContain('[already-up]')
  up.kill('SIGINT')
  const ended = await up.ended
  expect(ended.code).toBe(0)
  expect(ended.stderr).toMatch(
    /These runs go on.*\n.*T-1: command \(run T-1-\d+\); stop it with `orch task cancel T-1`/,
  )
  expect(runsOf().length).toBeGreaterThan(0)
  expect((await world.why('T-1')).because).toContain('orch up')
  world.sign('go')
  await world.upUntilIdle()
  await landedOnce('T-1')
  expect((await world.task('T-1')).runs.filter((run) => run.role === 'developer')).toHaveLength(1)
})

test('killed in the middle of a run, the next `orch up` takes the run up again and finishes', async () => {
  const up = await atWork()
  up.kill('SIGKILL')
  await up.ended
  expect(runsOf().length).toBeGreaterThan(0)
  world.sign('go')
  await world.upUntilIdle()
  await landedOnce('T-1')
  expect((await world.task('T-1')).runs.map((run) => [run.role, run.outcome])).toEqual([
    ['developer', 'succeeded'],
    ['reviewer', 'succeeded'],
  ])
})

test('killed again and again at any moment, every task still lands exactly once', async () => {
  world = await makeWorld()
  for (let n = 1; n <= 3; n++) await world.add(`Task ${n}`)
  for (const afterMs of [400, 700, 1_000, 1_300, 1_600]) {
    const up = world.start(['up', '--json'])
    await sleep(afterMs)
    up.kill('SIGKILL')
    await up.ended
  }
  await world.upUntilIdle({ timerWait: '20s' })
  for (const id of ['T-1', 'T-2', 'T-3']) await landedOnce(id)
  expect(await world.git('for-each-ref', '--format=%(refname)')).toBe('refs/heads/main')
})

test('a run whose supervisor is killed is lost, its agent with it, and is done again without blaming the code', async () => {
  const up = await atWork()
  const supervisor = runsOf().find((one) => one.command.includes('supervisor')) ?? expect.fail('no supervisor')
  process.kill(supervisor.pid, 'SIGKILL')
  const task = await world.until('T-1', (one) => one.runs[0]?.outcome === 'lost')
  expect(task).toMatchObject({ status: 'waiting', waitingFor: 'timer', attempts: { code: 0, infra: 1 } })
  expect(runsOf()).toEqual([])
  world.sign('go')
  await world.ok(['task', 'retry', 'T-1'])
  await world.until('T-1', (one) => one.status === 'done')
  await landedOnce('T-1')
  up.kill('SIGINT')
  expect((await up.ended).code).toBe(0)
})

test('what a service killed in the middle of a verification left does not stop the next one', async () => {
  world = await makeWorld()
  // Of a process of an earlier boot; and two of nobody who is known, of which one may yet be somebody's.
  const left = ['making-1.1.beef.0', 'fresh', 'old'].map((name) => join(world.home, 'verify', name))
  for (const folder of left) {
    mkdirSync(folder, { recursive: true })
    if (folder.endsWith('old')) utimesSync(folder, 1_000, 1_000)
  }
  await world.add('Goes on')
  await world.upUntilIdle()
  await landedOnce('T-1')
  expect(readdirSync(join(world.home, 'verify'))).toEqual(['fresh'])
})

test('with the lock bypassed two services are safe: four tasks land exactly once', async () => {
  world = await makeWorld()
  const ids = []
  for (let n = 1; n <= 4; n++) ids.push(await world.add(`Task ${n}`))
  const env = { ORCH_UNSAFE_NO_LOCK: '1' }
  const both = await Promise.all([
    world.orch(['up', '--until-idle', '--json'], { env }),
    world.orch(['up', '--until-idle', '--json'], { env }),
  ])
  expect(
    both.map((one) => one.code),
    both.map((one) => one.stderr).join('\n'),
  ).toEqual([0, 0])
  for (const id of ids) {
    await landedOnce(id)
    expect((await world.task(id)).runs.map((run) => run.role)).toEqual(['developer', 'reviewer'])
  }
}, 60_000)

test('cancel in flight ends the whole tree and removes workspace and branch', async () => {
  world = await makeWorld()
  await world.add('Hangs', 'behaviour: hang')
  const up = world.start(['up', '--json'])
  await world.until('T-1', () => processesOf(world.dir).some((one) => one.command.startsWith('sleep 300')) || false)
  await world.ok(['task', 'cancel', 'T-1'])
  await world.until('T-1', (task) => task.status === 'cancelled' && task.runs[0]?.outcome === 'cancelled')
  const workspaces = join(world.home, 'workspaces')
  for (
    let n = 0;
    n < 100 &&
    (runsOf().length > 0 || (existsSync(workspaces) && readdirSync(workspaces).some((name) => name.includes('T-1'))));
    n++
  )
    await sleep(50)
  expect(runsOf()).toEqual([])
  expect(processesOf(world.dir).filter((one) => one.command.startsWith('sleep'))).toEqual([])
  expect(existsSync(workspaces) ? readdirSync(workspaces).filter((name) => name.includes('T-1')) : []).toEqual([])
  expect(await world.git('for-each-ref', '--format=%(refname)')).toBe('refs/heads/main')
  up.kill('SIGINT')
  expect((await up.ended).code).toBe(0)
}, 60_000)

test('cancel of a published change removes its branch from the remote', async () => {
  world = await makeWorld({ approval: 'human' })
  await world.add('Published')
  await world.upUntilIdle()
  expect(await world.git('for-each-ref', '--format=%(refname)')).toContain('orch/T-1')
  await world.ok(['task', 'cancel', 'T-1'])
  await world.upUntilIdle()
  expect(await world.git('for-each-ref', '--format=%(refname)')).toBe('refs/heads/main')
})

test('pause parks a task without holding up others, resume lets it go on', async () => {
  world = await makeWorld()
  await world.add('Parked')
  await world.add('Not parked')
  await world.ok(['task', 'pause', 'T-1'])
  await world.upUntilIdle()
  expect(await world.task('T-1')).toMatchObject({ paused: true, status: 'queued', runs: [] })
  expect((await world.task('T-2')).status).toBe('done')
  expect((await world.why('T-1')).actions).toContain('orch task resume T-1')
  expect((await world.orch(['task', 'pause', 'T-1'])).stderr).toContain('[already-paused]')
  await world.ok(['task', 'resume', '1'])
  await world.upUntilIdle()
  await landedOnce('T-1')
})

test('a dependant waits, starts when what it waits for is done, and can be unblocked', async () => {
  world = await makeWorld()
  await world.add('First', 'behaviour: wait go')
  await world.add('Second', '', ['--depends-on', '1'])
  await world.add('Third', '', ['--depends-on', 'T-1', '--depends-on', 'T-2'])
  expect((await world.why('T-2')).owner).toBe('T-1')
  const up = world.start(['up', '--until-idle', '--json'])
  await up.says('"run.begun"')
  expect((await world.task('T-2')).status).toBe('blocked')
  await world.ok(['task', 'unblock', 'T-3'])
  await world.until('T-3', (task) => task.status === 'done')
  expect((await world.task('T-2')).status).toBe('blocked')
  world.sign('go')
  expect((await up.ended).code).toBe(0)
  for (const id of ['T-1', 'T-2', 'T-3']) await landedOnce(id)
  const landed = (await world.git('log', '--first-parent', '--reverse', '--format=%s', 'main'))
    .split('\n')
    .map((line) => /T-\d/.exec(line)?.[0])
  expect(landed).toEqual([undefined, 'T-3', 'T-1', 'T-2'])
}, 60_000)

test('a dependant of a cancelled task waits for a person', async () => {
  world = await makeWorld()
  await world.add('First')
  await world.add('Second', '', ['--depends-on', '1'])
  await world.ok(['task', 'cancel', 'T-1'])
  await world.upUntilIdle()
  expect(await world.task('T-2')).toMatchObject({ status: 'needs_review', reason: 'dependency-cancelled' })
  await world.ok(['task', 'unblock', 'T-2'])
  await world.upUntilIdle()
  await landedOnce('T-2')
})

test('a question waits for an answer, which the next run reads', async () => {
  world = await makeWorld()
  await world.add('Unclear', 'behaviour: ask')
  await world.upUntilIdle()
  expect(await world.task('T-1')).toMatchObject({ status: 'waiting', waitingFor: 'answers' })
  expect((await world.why('T-1')).because).toContain('red or blue')
  await world.ok(['answer', 'T-1', 'Blue, please'])
  await world.upUntilIdle()
  await landedOnce('T-1')
})

test('`up` reacts within a tenth of a second to another process, and does nothing when nothing changed', async () => {
  world = await makeWorld()
  const up = world.start(['up', '--json'])
  await world.until('T-1', () => true).catch(() => undefined)
  for (let n = 0; n < 100 && !existsSync(join(world.home, 'service.json')); n++) await sleep(50)
  await sleep(300)
  const usage = (): { cpu: string; children: string } => {
    const stat = readFileSync(`/proc/${up.pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // Clock ticks of the process and of children it has waited for: a started process would show in the latter.
    return { cpu: `${Number(fields[11]) + Number(fields[12])}`, children: `${Number(fields[13]) + Number(fields[14])}` }
  }
  const before = usage()
  await sleep(2_500)
  const after = usage()
  expect(Number(after.cpu) - Number(before.cpu)).toBeLessThanOrEqual(3)
  expect(after.children).toBe(before.children)
  await world.add('From elsewhere')
  await world.until('T-1', (task) => task.status === 'done')
  const journal = await world.journal('T-1')
  const time = (type: string): number => Date.parse(journal.find((event) => event.type === type)?.at ?? '')
  expect(time('step.begun') - time('task.opened')).toBeLessThan(100)
  up.kill('SIGTERM')
  expect((await up.ended).code).toBe(0)
}, 60_000)
