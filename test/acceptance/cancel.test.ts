// Cancel and pause at every stage of a task's life, asked of the world: no process, no workspace and no branch of a
// cancelled task is left, its books and artifacts are, main holds what was merged and nothing else; a paused one holds
// nobody up and passes nothing over.

import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { TaskView } from '../../src/flow/app.ts'
import { type Live, type World, makeWorld, processesOf, sleep } from './harness.ts'

let world: World
afterEach(() => world.close())

/** Makes the remote take its time, or refuse: a script over `$ref` of each moved ref. */
function hook(text: string): void {
  const file = join(world.remote, 'hooks', 'pre-receive')
  mkdirSync(join(world.remote, 'hooks'), { recursive: true })
  writeFileSync(file, `#!/bin/sh\nwhile read old new ref; do\n${text}\ndone\n`)
  chmodSync(file, 0o755)
}

/** Holds a push of this ref up: makes the sign `at` when it came, waits for the sign `go`. */
const slow = (ref: string): string =>
  `case "$ref" in ${ref}) : > '${world.signals}/at'; while [ ! -e '${world.signals}/go' ]; do sleep 0.05; done;; esac`

async function untilSign(name: string): Promise<void> {
  for (let n = 0; n < 600 && !existsSync(join(world.signals, name)); n++) await sleep(50)
  if (!existsSync(join(world.signals, name))) throw new Error(`nobody made the sign ${name}`)
}

const stop = async (up: Live): Promise<void> => {
  up.kill('SIGINT')
  expect((await up.ended).code).toBe(0)
}

const refs = (): Promise<string> => world.git('for-each-ref', '--format=%(refname)')
const workspaces = (): string[] => {
  const dir = join(world.home, 'workspaces')
  return existsSync(dir) ? readdirSync(dir).filter((name) => name.includes('T-1')) : []
}
const agents = (): { pid: number; command: string }[] =>
  processesOf(world.dir).filter(({ command }) => /worker\.mjs|supervisor|sleep 300/.test(command))

/** A cancelled task has left the world, kept its books, and a second cancel says yes and does nothing. */
async function isGone(base: string): Promise<TaskView> {
  const gone = async (): Promise<boolean> =>
    agents().length === 0 && workspaces().length === 0 && (await refs()) === 'refs/heads/main'
  for (let n = 0; n < 200 && !(await gone()); n++) await sleep(50)
  expect(agents()).toEqual([])
  expect(workspaces()).toEqual([])
  expect(await refs()).toBe('refs/heads/main')
  expect(await world.git('rev-parse', 'main')).toBe(base)
  const task = await world.task('T-1')
  expect(task.status).toBe('cancelled')
  const journal = await world.journal('T-1')
  await world.ok(['task', 'cancel', 'T-1'])
  expect(await world.journal('T-1')).toEqual(journal)
  expect(journal.filter(({ type }) => type === 'task.cancelled')).toHaveLength(1)
  if (task.runs.some((run) => run.outcome === 'succeeded')) expect(task.artifacts).not.toEqual([])
  for (const { path, bytes } of task.artifacts) expect(readFileSync(join(world.home, path))).toHaveLength(bytes)
  for (const run of task.runs) expect(existsSync(join(world.home, 'runs', run.id, 'prompt.md'))).toBe(true)
  return task
}

/** The same issue once more, as a task of its own, lands. */
async function landsAfresh(): Promise<void> {
  const again = (await world.ok(['task', 'reopen', 'T-1', '--json'])).json<TaskView>()
  expect(again).toMatchObject({ id: 'T-2', status: 'queued', attempts: { code: 0 } })
  const twice = await world.orch(['task', 'reopen', 'T-1'])
  expect(twice.stderr).toContain('[task-exists]')
  await world.upUntilIdle()
  if ((await world.task('T-2')).waitingFor === 'approval') {
    await world.ok(['approve', 'T-2'])
    await world.upUntilIdle()
  }
  expect((await world.task('T-2')).status).toBe('done')
  expect(await world.git('log', '--first-parent', '--format=%H', 'main', '--grep=Orch-Task: T-1')).toBe('')
  expect((await world.task('T-1')).status).toBe('cancelled')
}

interface Stage {
  /** Of the world it happens in. */
  options?: Parameters<typeof makeWorld>[0]
  body?: string
  /** Brings T-1 there; gives the service where one is to go on. */
  reach: () => Promise<Live | undefined>
}

const runs = (): Live => world.start(['up', '--json'])
const toRest = async (): Promise<undefined> => void (await world.upUntilIdle())

const STAGES: Record<string, Stage> = {
  'it is queued and no service is there': { reach: async () => undefined },
  'it is paused': { reach: async () => void (await world.ok(['task', 'pause', 'T-1'])) },
  'its agent works': {
    body: 'behaviour: wait never',
    reach: async () => {
      const up = runs()
      await world.until('T-1', () => agents().some(({ command }) => command.includes('worker.mjs')))
      return up
    },
  },
  'its agent works and the service was killed': {
    body: 'behaviour: wait never',
    reach: async () => {
      const up = runs()
      await world.until('T-1', () => agents().some(({ command }) => command.includes('worker.mjs')))
      up.kill('SIGKILL')
      await up.ended
      return undefined
    },
  },
  'it is verified': {
    // The base is verified too, and has no part of the task's.
    options: { verify: '["[ ! -e parts/T-1 ] || sleep 300; sh test.sh"]' },
    reach: async () => {
      const up = runs()
      await world.until('T-1', () => processesOf(world.dir).some(({ command }) => command.startsWith('sleep 300')))
      return up
    },
  },
  'it is published': {
    reach: async () => {
      hook(slow('refs/heads/orch/*'))
      const up = runs()
      await untilSign('at')
      // The cancel comes first, the push is through after it.
      setTimeout(() => world.sign('go'), 1_500)
      return up
    },
  },
  'it is reviewed': {
    body: 'review: hang',
    reach: async () => {
      const up = runs()
      await world.until('T-1', (task) => task.runs.some((run) => run.role === 'reviewer' && run.outcome === 'running'))
      return up
    },
  },
  'it waits for approval': { options: { approval: 'human' }, reach: toRest },
  'it is held by a remote that refuses its branch': {
    reach: async () => {
      hook('exit 1')
      await world.upUntilIdle()
      expect(await world.task('T-1')).toMatchObject({ status: 'needs_review', reason: 'push-refused' })
      hook(':')
      return undefined
    },
  },
  'it is held with its attempts spent': {
    body: 'behaviour: always-broken',
    reach: async () => {
      await world.upUntilIdle({ timerWait: '1s' })
      expect((await world.task('T-1')).reason).toBe('attempts-spent')
      return undefined
    },
  },
}

test.each(Object.entries(STAGES))(
  'cancelled while %s, nothing of it is left but its books, and its issue can start afresh',
  async (_, { options, body, reach }) => {
    world = await makeWorld(options)
    const base = await world.git('rev-parse', 'main')
    await world.add('First', body ?? '')
    const up = await reach()
    await world.ok(['task', 'cancel', 'T-1'])
    if (!up) await world.upUntilIdle()
    await isGone(base)
    if (up) await stop(up)
    if (body === undefined && options?.verify === undefined) await landsAfresh()
  },
)

test('cancelled while another lands first, it leaves the line and the other lands', async () => {
  world = await makeWorld()
  hook(slow('refs/heads/main'))
  await world.add('Lands')
  const up = runs()
  await untilSign('at')
  await world.add('In line')
  await world.until('T-2', (task) => task.waitingFor === 'train')
  await world.ok(['task', 'cancel', 'T-2'])
  await world.until('T-2', (task) => task.status === 'cancelled')
  world.sign('go')
  await world.until('T-1', (task) => task.status === 'done')
  await stop(up)
  await world.upUntilIdle()
  expect(await refs()).toBe('refs/heads/main')
  expect((await world.git('ls-tree', '--name-only', 'main:parts')).split('\n')).toEqual(['T-1', 'first'])
})

test('cancelled inside its merge it waits for that: merged is merged, and the books say so', async () => {
  world = await makeWorld()
  hook(slow('refs/heads/main'))
  await world.add('Merged')
  await world.add('Waits for it', '', ['--depends-on', 'T-1'])
  const up = runs()
  await untilSign('at')
  const cancelled = await world.ok(['task', 'cancel', 'T-1'])
  expect(cancelled.stdout).toContain('will be cancelled as soon as its current step ends')
  expect((await world.task('T-1')).status).toBe('running')
  expect((await world.why('T-1')).because).toContain('It is cancelled as soon as its merge is settled')
  const journal = await world.journal('T-1')
  await world.ok(['task', 'cancel', 'T-1'])
  expect(await world.journal('T-1')).toEqual(journal)
  world.sign('go')
  const task = await world.until('T-1', (one) => one.status === 'done')
  expect(await world.git('merge-base', '--is-ancestor', task.mergedSha ?? '', 'main')).toBe('')
  await world.until('T-2', (one) => one.status === 'done')
  await stop(up)
  await world.upUntilIdle()
  expect(await refs()).toBe('refs/heads/main')
})

test('cancelled inside a merge that the remote then refuses, it is cancelled and main has not moved', async () => {
  world = await makeWorld()
  const base = await world.git('rev-parse', 'main')
  hook(`${slow('refs/heads/main')}\n[ "$ref" != refs/heads/main ] || exit 1`)
  await world.add('Not merged')
  await world.add('Waits for it', '', ['--depends-on', 'T-1'])
  const up = runs()
  await untilSign('at')
  await world.ok(['task', 'cancel', 'T-1'])
  world.sign('go')
  await isGone(base)
  // Who waits for it is told.
  await world.until('T-2', (task) => task.reason === 'dependency-cancelled')
  await stop(up)
})

test('killed inside a merge and cancelled before the next start: what main holds decides', async () => {
  world = await makeWorld()
  const base = await world.git('rev-parse', 'main')
  hook(slow('refs/heads/main'))
  await world.add('Interrupted')
  const up = runs()
  await untilSign('at')
  up.kill('SIGKILL')
  await up.ended
  await world.ok(['task', 'cancel', 'T-1'])
  // The push that was under way ends with the remote's own process, whichever way.
  world.sign('go')
  for (let n = 0; n < 100 && processesOf(world.remote).length > 0; n++) await sleep(50)
  await world.upUntilIdle({ timerWait: '20s' })
  const main = await world.git('rev-parse', 'main')
  const task = await world.task('T-1')
  if (main === base) expect(task.status).toBe('cancelled')
  else expect(task).toMatchObject({ status: 'done', mergedSha: main })
  expect(await refs()).toBe('refs/heads/main')
})

test('the first of the train is paused: the next one lands, and it lands itself when it is resumed', async () => {
  world = await makeWorld({ config: 'limits: { parallel: 2 }' })
  hook(slow('refs/heads/main'))
  await world.add('Lands at once')
  const up = runs()
  await untilSign('at')
  await world.add('Next')
  await world.until('T-2', (task) => task.waitingFor === 'train')
  await world.add('After it')
  await world.until('T-3', (task) => task.waitingFor === 'train')
  // First of those that wait; what is being merged goes on.
  await world.ok(['task', 'pause', 'T-1'])
  await world.ok(['task', 'pause', 'T-2'])
  world.sign('go')
  await world.until('T-3', (task) => task.status === 'done')
  expect(await world.task('T-1')).toMatchObject({ status: 'done' })
  expect(await world.task('T-2')).toMatchObject({ paused: true, stage: 'land' })
  await world.ok(['task', 'resume', 'T-2'])
  await world.until('T-2', (task) => task.status === 'done')
  await stop(up)
  const landed = await world.git(
    'log',
    '--first-parent',
    '--reverse',
    '--format=%(trailers:key=Orch-Task,valueonly)',
    'main',
  )
  expect(landed.split('\n').filter(Boolean)).toEqual(['T-1', 'T-3', 'T-2'])
})

test('a paused task passes no dependency over, and one that is retried stays parked until it is resumed', async () => {
  world = await makeWorld()
  await world.add('First', 'behaviour: wait go')
  await world.add('Second', '', ['--depends-on', 'T-1'])
  await world.ok(['task', 'pause', 'T-2'])
  await world.ok(['task', 'resume', 'T-2'])
  expect(await world.task('T-2')).toMatchObject({ status: 'blocked', runs: [] })
  await world.ok(['task', 'pause', 'T-2'])
  const up = runs()
  await world.until('T-1', (task) => task.runs[0]?.outcome === 'running')
  await world.ok(['task', 'unblock', 'T-2'])
  await sleep(500)
  expect(await world.task('T-2')).toMatchObject({ paused: true, status: 'queued', runs: [] })
  await world.ok(['task', 'resume', 'T-2'])
  await world.until('T-2', (task) => task.status === 'done')
  world.sign('go')
  await world.until('T-1', (task) => task.status === 'done')

  hook('exit 1')
  await world.add('Held')
  await world.until('T-3', (task) => task.reason === 'push-refused')
  hook(':')
  await world.ok(['task', 'pause', 'T-3'])
  await world.ok(['task', 'retry', 'T-3'])
  await sleep(500)
  expect(await world.task('T-3')).toMatchObject({ paused: true, status: 'queued', stage: 'publish' })
  expect((await world.why('T-3')).actions).toEqual(['orch task resume T-3', 'orch task cancel T-3'])
  await world.ok(['task', 'resume', 'T-3'])
  await world.until('T-3', (task) => task.status === 'done')
  await stop(up)
})

test('paused in its run or its push it goes no further than that; resumed it goes on with what it has', async () => {
  world = await makeWorld()
  await world.add('Paused twice', 'behaviour: wait work')
  const up = runs()
  await world.until('T-1', () => agents().some(({ command }) => command.includes('worker.mjs')))
  await world.ok(['task', 'pause', 'T-1'])
  world.sign('work')
  await world.until('T-1', (task) => task.status === 'queued' && task.runs[0]?.outcome === 'succeeded')
  await sleep(500)
  expect(await refs()).toBe('refs/heads/main')
  hook(slow('refs/heads/orch/*'))
  await world.ok(['task', 'resume', 'T-1'])
  await untilSign('at')
  await world.ok(['task', 'pause', 'T-1'])
  world.sign('go')
  await world.until('T-1', (task) => task.status === 'queued' && task.stage === 'review')
  await sleep(500)
  expect((await world.task('T-1')).runs.map((run) => run.role)).toEqual(['developer'])
  await world.ok(['task', 'resume', 'T-1'])
  const task = await world.until('T-1', (one) => one.status === 'done')
  expect(task.runs.map((run) => [run.role, run.outcome])).toEqual([
    ['developer', 'succeeded'],
    ['reviewer', 'succeeded'],
  ])
  await stop(up)
})
