// What a project may decide for itself, seen from the outcome: where and how changes land, by which pipeline and prompts.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { StatusView, TaskView } from '../../src/flow/app.ts'
import { type World, type WorldOptions, agentCommand, commitAndPush, makeWorld } from './harness.ts'

async function worldWith(options: WorldOptions): Promise<World> {
  const world = await makeWorld(options)
  onTestFinished(() => world.close())
  return world
}

test('land.method squash: one commit with one parent, the creator its author', async () => {
  const world = await worldWith({ config: 'land: { method: squash }' })
  await world.add('Squashed')
  await world.upUntilIdle()
  const { mergedSha = '' } = await world.task('T-1')
  const [author, committer, parents] = (await world.git('show', '-s', '--format=%an%n%cn%n%P', mergedSha)).split('\n')
  expect([author, committer, parents?.split(' ').length]).toEqual(['Ann Example', 'Orch', 1])
  expect(await world.git('rev-list', '--count', 'main')).toBe('2')
})

test('base: changes land on the branch that the project names', async () => {
  const world = await worldWith({ config: 'base: develop' })
  const main = await world.git('rev-parse', 'main')
  await world.gitIn(world.clone, 'push', '--quiet', 'origin', 'main:refs/heads/develop')
  await world.add('On develop')
  await world.upUntilIdle()
  expect((await world.task('T-1')).status).toBe('done')
  expect(await world.git('show', 'develop:parts/T-1')).toBe('ok')
  expect(await world.git('rev-parse', 'main')).toBe(main)
})

const OWN = `name: quick
description: Without a review.
stages:
  - { name: make, kind: agent, role: developer, gates: [handoff, changes, verify] }
  - { name: show, kind: publish }
  - { name: merge, kind: land, onFail: make }
`

test('a pipeline and a prompt of the project’s own are read from its base', async () => {
  const world = await worldWith({
    files: { '.orch/pipelines/quick.yml': OWN, '.orch/prompts/developer.md': 'Write small things.\n' },
    config: 'pipeline: quick',
  })
  await world.add('By the quick way')
  await world.add('By the long way', '', ['--pipeline', 'direct'])
  await world.upUntilIdle()
  const [quick, long] = [await world.task('T-1'), await world.task('T-2')]
  expect([quick.status, quick.pipeline, quick.runs.map((run) => run.stage)]).toEqual(['done', 'quick', ['make']])
  expect([long.status, long.pipeline, long.runs.map((run) => run.role)]).toEqual([
    'done',
    'direct',
    ['developer', 'reviewer'],
  ])
  expect(readFileSync(join(world.home, 'runs', quick.runs[0]?.id ?? '', 'prompt.md'), 'utf8')).toContain(
    '\n\nWrite small things.\n',
  )
})

test('what judges comes from the base: a branch that softens its own configuration is judged by the old one', async () => {
  const world = await worldWith({ config: 'limits: { attempts: 1 }' })
  await world.add('Softens the rules', 'behaviour: write .orch.yml verify: none')
  await world.upUntilIdle()
  expect(await world.task('T-1')).toMatchObject({ status: 'waiting', waitingFor: 'approval', stage: 'develop' })
  expect(await world.git('show', 'main:.orch.yml')).toContain('sh test.sh')
})

test('commit messages and the size of a change follow the project’s policy', async () => {
  const world = await worldWith({
    config: 'commits: { pattern: "^Work on T-2" }\ndiffBudget: { files: 50, addedLines: 3 }\nlimits: { attempts: 1 }',
  })
  await world.add('Wrong message')
  await world.add('Too much', 'behaviour: write big.txt 1\\n2\\n3\\n4\\n5')
  await world.upUntilIdle()
  expect(JSON.stringify((await world.task('T-1')).findings)).toContain('does not match ^Work on T-2')
  expect(JSON.stringify((await world.task('T-2')).findings)).toContain('5 added lines; the limit is 3')
})

test('attempts spent: an edited task and a retry bring a fresh budget, and it lands', async () => {
  const world = await worldWith({ config: 'limits: { attempts: 1 }' })
  await world.add('Never right', 'behaviour: always-broken')
  await world.upUntilIdle()
  expect(await world.task('T-1')).toMatchObject({ status: 'needs_review', reason: 'attempts-spent' })
  await world.ok(['task', 'edit', 'T-1', '--body', 'behaviour: add', '--title', 'Right at last'])
  await world.ok(['task', 'retry', 'T-1'])
  await world.upUntilIdle()
  const task = await world.task('T-1')
  expect(task).toMatchObject({ status: 'done', title: 'Right at last', attempts: { code: 1 } })
  expect(task.runs.filter((run) => run.role === 'developer').map((run) => run.attempt)).toEqual([1, 2])
})

test('a force-push at origin breaks no workspace: the task goes on and lands on what is there now', async () => {
  const world = await worldWith({ approval: 'human' })
  await commitAndPush(world, { 'parts/soon-gone': 'ok\n' }, 'Soon gone')
  await world.add('Outlives a force-push')
  await world.upUntilIdle()
  await world.gitIn(world.clone, 'reset', '--quiet', '--hard', 'HEAD~1')
  await commitForced(world)
  await world.ok(['reject', 'T-1', '--reason', 'The README does not name it'])
  await world.upUntilIdle()
  await world.ok(['approve', 'T-1'])
  await world.upUntilIdle()
  expect(await world.task('T-1')).toMatchObject({ status: 'done' })
  expect(await world.git('show', 'main:parts/instead')).toBe('ok')
})

async function commitForced(world: World): Promise<void> {
  writeFileSync(join(world.clone, 'parts', 'instead'), 'ok\n')
  await world.gitIn(world.clone, 'add', '--all')
  await world.gitIn(world.clone, 'commit', '--quiet', '-m', 'Instead')
  await world.gitIn(world.clone, 'push', '--quiet', '--force', 'origin', 'main')
}

test('two projects on one ORCH_HOME: a bare number means the one of the folder, and neither waits for the other', async () => {
  const world = await worldWith({})
  const other = join(world.dir, 'other')
  const remote = join(world.dir, 'other.git')
  await world.gitIn(world.dir, 'clone', '--quiet', '--bare', world.remote, remote)
  await world.gitIn(world.dir, 'clone', '--quiet', remote, other)
  for (const [key, value] of [
    ['user.name', 'Bo'],
    ['user.email', 'bo@example.com'],
  ] as const)
    await world.gitIn(other, 'config', key, value)
  await world.ok(['init', '--yes', '--prefix', 'U'], { cwd: other })
  await world.add('In the first')
  await world.ok(['task', 'add', 'In the second'], { cwd: other })
  await world.upUntilIdle()
  expect((await world.ok(['task', 'show', '1', '--json'], { cwd: other })).json<TaskView>()).toMatchObject({
    id: 'U-1',
    status: 'done',
  })
  expect(await world.task('1')).toMatchObject({ id: 'T-1', status: 'done' })
  expect((await world.orch(['task', 'show', '1'], { cwd: world.dir })).code).toBe(2)
  expect(await world.gitIn(remote, 'show', '-s', '--format=%an', 'main')).toBe('Bo')
  expect((await world.ok(['status', '--json'])).json<StatusView>().counts).toMatchObject({ done: 2 })
  await world.ok(['project', 'remove', 'U'])
  expect((await world.ok(['project', 'list'])).stdout).not.toContain(other)
})

test('an agent’s program can differ by role', async () => {
  const world = await worldWith({})
  const config = readFileSync(join(world.clone, '.orch.yml'), 'utf8')
  const reviewer = `reviewer: { agent: command, command: ${JSON.stringify(`echo another program; exec ${agentCommand()}`)} }`
  await commitAndPush(
    world,
    { '.orch.yml': config.replace('reviewer: { agent: command }', reviewer) },
    'A reviewer of its own',
  )
  await world.add('Reviewed by another program')
  await world.upUntilIdle()
  expect((await world.task('T-1')).status).toBe('done')
  expect((await world.ok(['stream', 'T-1'])).stdout).toContain('another program')
})
