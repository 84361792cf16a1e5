// What `orch why` tells a person to do is done, word for word, each in a copy of the same state: it is accepted, and once
// the world's trouble is mended the task moves on.

import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { TaskView } from '../../src/flow/app.ts'
import { type World, makeWorld } from './harness.ts'

let world: World
afterEach(() => world.close())

/** Commands that only show something. A doctor that finds the trouble ends with 6. */
const LOOKS = /^orch (doctor|why|task show|change diff|change show) ?/

/** The words of a command as a shell reads them. */
function wordsOf(action: string): string[] {
  return [...action.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '').slice(1)
}

/** Of the task: whatever moves it changes one of these. */
function placeOf({ status, stage, reason, attempts, runs, paused, openDependencies }: TaskView): unknown {
  return { status, stage, reason, attempts, runs: runs.length, paused, openDependencies }
}

/** Does each named action, mends the world, lets Orch work; gives what became of the task after each that moves it. */
async function tryEach(
  id: string,
  mend: () => Promise<unknown> = async () => undefined,
): Promise<Record<string, string>> {
  const before = placeOf(await world.task(id))
  const { actions, owner } = await world.why(id)
  expect(owner).toBe('you')
  const kept = join(world.dir, 'kept')
  const parts = ['home', 'remote.git']
  for (const part of parts) cpSync(join(world.dir, part), join(kept, part), { recursive: true, verbatimSymlinks: true })
  const ends: Record<string, string> = {}
  for (const action of actions) {
    for (const part of parts) {
      rmSync(join(world.dir, part), { recursive: true, force: true })
      cpSync(join(kept, part), join(world.dir, part), { recursive: true, verbatimSymlinks: true })
    }
    const [verb = '', noun = ''] = wordsOf(action)
    if (LOOKS.test(action)) {
      expect([0, ...(verb === 'doctor' ? [6] : [])], action).toContain((await world.orch(wordsOf(action))).code)
      expect(placeOf(await world.task(id)), action).toEqual(before)
      continue
    }
    await mend()
    await world.ok(wordsOf(action))
    await world.upUntilIdle()
    const task = await world.task(id)
    expect(placeOf(task), action).not.toEqual(before)
    ends[verb === 'task' ? noun : verb] = `${task.status} ${task.reason ?? task.waitingFor ?? ''}`.trim()
  }
  return ends
}

test('attempts spent: a retry or a rejection lands once the work can pass, a cancel ends it', async () => {
  const check = '[ ! -e parts/T-1 ] || [ -e "$SIGNALS/good" ] || { echo "FAIL: not good"; exit 1; }\n'
  world = await makeWorld({ files: { 'test/parts.sh': check } })
  await world.add('Never good enough', 'behaviour: always-broken')
  await world.upUntilIdle()
  expect((await world.task('T-1')).reason).toBe('attempts-spent')
  expect(await tryEach('T-1', async () => world.sign('good'))).toEqual({
    retry: 'done',
    reject: 'done',
    cancel: 'cancelled',
  })
})

test('merged by somebody else: a retry is not named, a rejection goes on from there, a cancel ends it', async () => {
  world = await makeWorld({ verify: '["true"]', approval: 'human' })
  await world.add('Merged by hand', 'behaviour: always-broken')
  await world.upUntilIdle()
  const { headSha } = await world.task('T-1')
  await world.git('update-ref', 'refs/heads/main', headSha ?? '')
  await world.ok(['approve', 'T-1'])
  await world.upUntilIdle()
  expect((await world.task('T-1')).reason).toBe('already-merged')
  expect(await tryEach('T-1')).toEqual({ cancel: 'cancelled', reject: 'waiting approval' })
})

test('a branch that somebody moved: with it out of the way a retry goes on; a cancel leaves it to them', async () => {
  world = await makeWorld({ verify: '["true"]', approval: 'human' })
  await world.add('Moved', 'behaviour: always-broken')
  await world.upUntilIdle()
  const branch = `refs/heads/${(await world.task('T-1')).branch}`
  await world.git('update-ref', branch, 'main')
  await world.ok(['reject', 'T-1', '--reason', 'Once more'])
  await world.upUntilIdle()
  expect((await world.task('T-1')).reason).toBe('branch-moved')
  const remove = (): Promise<string> => world.git('update-ref', '-d', branch)
  expect(await tryEach('T-1', remove)).toEqual({ retry: 'waiting approval', cancel: 'cancelled' })
})

test('what waits for a person or for a cancelled task moves by each thing it names', async () => {
  world = await makeWorld({ verify: '["true"]', approval: 'human' })
  await world.add('Asks', 'behaviour: ask')
  await world.add('Waits for it', 'behaviour: always-broken', ['--depends-on', 'T-1'])
  await world.upUntilIdle()
  expect(await tryEach('T-1')).toEqual({ answer: 'waiting answers', cancel: 'cancelled' })
  await world.upUntilIdle()
  expect((await world.task('T-2')).reason).toBe('dependency-cancelled')
  expect(await tryEach('T-2')).toEqual({ unblock: 'waiting approval', cancel: 'cancelled' })
  await world.add('Waits for a yes', 'behaviour: always-broken')
  await world.upUntilIdle()
  expect(await tryEach('T-3')).toEqual({ approve: 'done', reject: 'waiting approval' })
})
