// The main job: four tasks go in, three land as trees that were tested, one is held; all of it checked by plain git.

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ChangeRow, StatusView, TaskView } from '../../src/flow/app.ts'
import { type Orch, type World, makeWorld } from './harness.ts'
import { MODES } from './modes.ts'

const KEYS = [
  'id',
  'title',
  'pipeline',
  'stage',
  'status',
  'paused',
  'attempts',
  'branch',
  'baseSha',
  'headSha',
  'costUsd',
  'tokens',
  'runs',
  'verdicts',
]
const RUN_KEYS = ['id', 'role', 'agent', 'model', 'outcome', 'startedAt', 'endedAt', 'exitCode', 'usage', 'costUsd']
const LANDED = ['T-1', 'T-2', 'T-3'] as const

describe.each(MODES)('the main job with %s', (_, env) => {
  let world: World
  let up: Orch
  const tasks = new Map<string, TaskView>()
  const at = (id: string): TaskView => tasks.get(id) ?? expect.fail(`no ${id}`)

  beforeAll(async () => {
    world = await makeWorld({ env, config: 'limits: { attempts: 2 }' })
    await world.add('Add a part')
    await world.add('Break, then mend', 'behaviour: break-then-mend')
    await world.add('Reviewed twice', 'review: request-once')
    await world.add('Never right', 'behaviour: always-broken')
    up = await world.upUntilIdle()
    for (const id of [...LANDED, 'T-4']) tasks.set(id, await world.task(id))
  }, 90_000)
  afterAll(() => world.close())

  test('three are done, the one whose attempts are spent waits for a person', () => {
    expect([...tasks.values()].map((task) => task.status)).toEqual(['done', 'done', 'done', 'needs_review'])
    expect(at('T-4').reason).toBe('attempts-spent')
    expect([...tasks.values()].map((task) => task.attempts.code)).toEqual([0, 1, 1, 2])
    expect(
      up
        .events()
        .filter((event) => event.type === 'task.landed')
        .map((event) => event.task)
        .sort(),
    ).toEqual([...LANDED])
  })

  test('a fresh clone of the remote passes its tests and holds what landed, not what was held', async () => {
    const clone = join(world.dir, 'fresh')
    await world.gitIn(world.dir, 'clone', '--quiet', world.remote, clone)
    expect((await world.git('ls-tree', '--name-only', 'main:parts')).split('\n').sort()).toEqual([
      'T-1',
      'T-2',
      'T-3',
      'first',
    ])
    // A shell runs the project's own tests, through git so that the same environment holds.
    expect(await world.gitIn(clone, '-c', 'alias.test=!sh test.sh', 'test')).toContain('all checks passed')
  })

  test('each landing is a merge commit of the creator, committed by Orch, its tree verified before', () =>
    checkLandings(world, at))

  test('branches of what landed are gone, the held one was never published', async () => {
    expect(await world.git('for-each-ref', '--format=%(refname)')).toBe('refs/heads/main')
  })

  test('task show has every key scripts were promised', () => {
    for (const task of tasks.values()) {
      expect(Object.keys(task)).toEqual(expect.arrayContaining(KEYS))
      for (const run of task.runs) expect(Object.keys(run), run.id).toEqual(expect.arrayContaining(RUN_KEYS))
      for (const verdict of task.verdicts)
        expect(Object.keys(verdict)).toEqual(expect.arrayContaining(['gate', 'stage', 'result', 'sha', 'findings']))
    }
    expect(at('T-1').runs.map((run) => run.role)).toEqual(['developer', 'reviewer'])
    expect(at('T-1').mergedSha).toMatch(/^[0-9a-f]{40}$/)
  })

  test('changes, status and why tell the same story', () => checkStory(world))
})

async function checkLandings(world: World, at: (id: string) => TaskView): Promise<void> {
  const database = new DatabaseSync(join(world.home, 'orch.db'), { readOnly: true })
  for (const id of LANDED) {
    const { mergedSha = '', headSha } = at(id)
    const [author, committer, parents, tree] = (
      await world.git('show', '-s', '--format=%an <%ae>%n%cn%n%P%n%T', mergedSha)
    ).split('\n')
    expect(author).toBe('Ann Example <ann@example.com>')
    expect(committer).toBe('Orch')
    expect(parents?.split(' ')).toHaveLength(2)
    expect(parents?.split(' ')[1]).toBe(headSha)
    await world.git('merge-base', '--is-ancestor', mergedSha, 'main')
    const intended = (await world.journal(id)).find((event) => event.type === 'merge.intended')
    expect(intended?.data).toMatchObject({ mergeSha: mergedSha, tree })
    const green = database.prepare(
      "SELECT count(*) AS n FROM evidence WHERE gate = 'verify' AND result = 'pass' AND tree = ? AND at <= ?",
    )
    expect(
      green.get(tree ?? '', Date.parse(intended?.at ?? ''))?.['n'],
      `no green verification of ${id}'s tree`,
    ).not.toBe(0)
  }
  database.close()
  expect((await world.git('log', '--first-parent', '--format=%s', 'main')).split('\n')).toHaveLength(4)
}

async function checkStory(world: World): Promise<void> {
  const changes = (await world.ok(['change', 'list', '--json'])).json<ChangeRow[]>()
  expect(changes.map((change) => change.task).sort()).toEqual([...LANDED])
  expect((await world.ok(['change', 'show', 'T-3'])).stdout).toContain('The README does not name it')
  expect((await world.ok(['change', 'diff', 'T-1'])).stdout).toContain('+ok')
  const status = (await world.ok(['status', '--json'])).json<StatusView>()
  expect(status.tasks.map((task) => task.id)).toEqual(['T-4'])
  expect(status.counts).toMatchObject({ done: 3, needs_review: 1 })
  const why = await world.why('T-4')
  expect(why).toMatchObject({ id: 'T-4', owner: 'you' })
  expect(why.because).toContain('attempts-spent')
  expect(why.actions).toContain('orch task retry T-4')
  expect((await world.ok(['stream', 'T-1'])).stdout).toContain('reviewer at work on T-1')
}
