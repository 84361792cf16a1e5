// The first minutes in one's own repository: init, doctor, the first task.

import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { Check, ConfigSource, InitResult, Project } from '../../src/flow/app.ts'
import { type World, agentCommand, commitAndPush, makeWorld } from './harness.ts'

let world: World
afterEach(() => world.close())

const config = (): string => join(world.clone, '.orch.yml')
const command = { ORCH_AGENTS_COMMAND_COMMAND: agentCommand() }

test('init writes .orch.yml with what it guessed and says so; again it changes nothing', async () => {
  world = await makeWorld({ config: null, init: false })
  const result = (await world.ok(['init', '--yes', '--json'])).json<InitResult>()
  expect(result).toMatchObject({
    wroteConfig: true,
    alreadyRegistered: false,
    verify: ['npm test'],
    project: { path: world.clone, remote: world.remote },
  })
  const text = readFileSync(config(), 'utf8')
  expect(text).toContain('npm test')
  expect((await world.ok(['init', '--yes', '--json'])).json()).toMatchObject({
    wroteConfig: false,
    alreadyRegistered: true,
  })
  expect(readFileSync(config(), 'utf8')).toBe(text)
  await world.ok(['config', 'check'])
  expect((await world.ok(['project', 'list', '--json'])).json<Project[]>()).toHaveLength(1)
})

test('a repository that tests nothing is told so', async () => {
  world = await makeWorld({ config: null, init: false })
  await commitAndPush(world, { 'package.json': null, 'test.sh': null }, 'No tests any more')
  const result = (await world.ok(['init', '--yes', '--json'])).json<InitResult>()
  expect(result.verify).toEqual([])
  expect(result.notes.join('\n')).toMatch(/no command that tests/i)
})

test('flags decide, and the whole way from init to a merge works on the uncommitted file of the clone', async () => {
  world = await makeWorld({ config: null, init: false, env: command })
  const flags = [
    '--agent',
    'command',
    '--verify',
    'sh test.sh',
    '--verify',
    'true',
    '--setup',
    'echo ready',
    '--approval',
    'auto',
    '--prefix',
    'SHOP',
  ]
  await world.ok(['init', '--yes', ...flags])
  expect(await world.gitIn(world.clone, 'status', '--porcelain')).toBe('?? .orch.yml\n?? .orch/')
  const id = await world.add('The first one')
  expect(id).toBe('SHOP-1')
  await world.upUntilIdle()
  expect((await world.task('1')).status).toBe('done')
  expect(await world.git('show', 'main:parts/SHOP-1')).toBe('ok')
})

test('approval is human unless somebody says otherwise; bad flags write nothing', async () => {
  world = await makeWorld({ config: null, init: false, env: command })
  for (const args of [
    ['--approval', 'maybe'],
    ['--prefix', 'no good'],
    ['--verify', ' '],
    ['--agent', 'nobody'],
    ['--pipeline', 'nothing'],
  ]) {
    const result = await world.orch(['init', '--yes', ...args])
    expect([2, 6], `${args.join(' ')}: ${result.code} ${result.stderr}`).toContain(result.code)
    expect(result.stderr).toMatch(/^orch: [^\n]+\n$/)
  }
  expect(existsSync(config())).toBe(false)
  expect((await world.ok(['project', 'list', '--json'])).json()).toEqual([])
  await world.ok(['init', '--yes', '--agent', 'command', '--prefix', 'T'])
  await world.add('Waits')
  await world.upUntilIdle()
  expect(await world.task('T-1')).toMatchObject({ status: 'waiting', waitingFor: 'approval' })
})

test('init needs a yes where nobody can be asked', async () => {
  world = await makeWorld({ config: null, init: false })
  const result = await world.orch(['init'])
  expect(result).toMatchObject({ code: 5 })
  expect(existsSync(config())).toBe(false)
})

test('a person’s own part for one project counts there, under what the project says, and explain names file and line', async () => {
  world = await makeWorld({ config: 'limits: { parallel: 2 }' })
  const own = join(world.home, 'config.yml')
  writeFileSync(own, 'limits: { attempts: 5 }\nprojects:\n  T: { limits: { attempts: 7, parallel: 9 } }\n')
  const sources = (await world.ok(['config', 'explain', 'limits', '--json'])).json<ConfigSource[]>()
  const said = (key: string) => sources.find((one) => one.key === key)
  expect(said('limits.attempts')).toEqual({ key: 'limits.attempts', value: 7, source: `${own}:3` })
  expect(said('limits.parallel')).toMatchObject({ value: 2, source: expect.stringContaining('.orch.yml:') })
  writeFileSync(own, 'projects:\n  T: { limits: { atempts: 7 } }\n')
  const wrong = await world.orch(['config', 'check'])
  expect(wrong).toMatchObject({ code: 1, stdout: expect.stringContaining(`${own}:2: projects.T.limits.atempts`) })
})

test('two clones can’t share a prefix', async () => {
  world = await makeWorld()
  const other = join(world.dir, 'other')
  await world.gitIn(world.dir, 'clone', '--quiet', world.remote, other)
  rmSync(join(other, '.orch.yml'))
  const result = await world.orch(['init', '--yes', '--prefix', 'T'], { cwd: other })
  expect(result).toMatchObject({ code: 4 })
  expect(existsSync(join(other, '.orch.yml'))).toBe(false)
})

test('doctor finds everything ready, and names what is not', async () => {
  world = await makeWorld()
  const ready = await world.orch(['doctor', '--json'])
  const { checks } = ready.json<{ checks: Check[] }>()
  expect(checks.filter((check) => check.status === 'failed')).toEqual([])
  expect(ready.code).toBe(0)
  expect(new Set(checks.map((check) => check.name)).size).toBe(checks.length)
  writeFileSync(config(), 'verifi: none\n')
  const broken = await world.orch(['doctor', '--json'], {
    env: { ORCH_AGENTS_DEVELOPER_AGENT: 'claude', ORCH_AGENTS_CLAUDE_BIN: '/nowhere/claude' },
  })
  expect(broken.code).toBe(6)
  const failed = broken.json<{ checks: Check[] }>().checks.filter((check) => check.status === 'failed')
  expect(JSON.stringify(failed)).toContain('verifi')
  for (const check of failed) expect(check.fix, check.name).toBeTruthy()
})
