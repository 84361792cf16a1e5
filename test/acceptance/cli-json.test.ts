// What every verb prints with --json, held against the schema that the package publishes for it.

import { existsSync, mkdtempSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { addIssue } from '../../src/drivers/github/fake-github-state.ts'
import { startFakeGithub, TOKEN } from '../../src/drivers/github/fake-github.ts'
import { openStore } from '../../src/store/sqlite.ts'
import { NOUNS, SECTIONS } from '../../src/surfaces/cli/routes.ts'
import { type CallOptions, type World, makeWorld } from './harness.ts'

const SCHEMAS = join(import.meta.dirname, '..', '..', 'schemas', 'cli')

let world: World
/** Verbs whose output was held against their schema. */
const checked = new Set<string>()

beforeAll(async () => {
  world = await makeWorld({ approval: 'human' })
  await world.add('Approved', 'Some text', ['--label', 'a', '--priority', '2'])
  await world.add('Rejected', '', [])
  await world.upUntilIdle()
}, 100_000)
afterAll(() => world.close())

/** The published schema, but nothing may be printed that it doesn't name. */
function strictly(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strictly)
  if (schema === null || typeof schema !== 'object') return schema
  const entries = Object.entries(schema).map(([key, value]) => [key, strictly(value)] as const)
  const isClosed = 'properties' in schema && !('additionalProperties' in schema)
  return Object.fromEntries(isClosed ? [...entries, ['additionalProperties', false]] : entries)
}

function validator(verb: string): z.ZodType {
  const text = readFileSync(join(SCHEMAS, `${verb.replace(' ', '-')}.json`), 'utf8')
  return z.fromJSONSchema(strictly(JSON.parse(text)) as Parameters<typeof z.fromJSONSchema>[0])
}

/** Holds each printed line against the verb's schema. Gives the first value. */
function hold(verb: string, stdout: string): unknown {
  const values = stdout
    .split('\n')
    .filter(Boolean)
    .map((line): unknown => JSON.parse(line))
  expect(values.length, `${verb} printed nothing`).toBeGreaterThan(0)
  const schema = validator(verb)
  for (const value of values) {
    const result = schema.safeParse(value)
    expect(result.success ? [] : [JSON.stringify(value).slice(0, 2_000), result.error.issues], verb).toEqual([])
  }
  checked.add(verb)
  return values[0]
}

/** Runs a verb of one or two words with --json and holds what it prints. */
async function holds(verb: string, args: string[] = [], options: CallOptions = {}): Promise<unknown> {
  const result = await world.orch([...verb.split(' '), ...args, '--json'], options)
  expect(result.stdout, `${verb}: ${result.stderr}`).not.toBe('')
  return hold(verb, result.stdout)
}

test('verbs that look at tasks', async () => {
  for (const verb of [
    'why',
    'task show',
    'task runs',
    'task logs',
    'task diff',
    'task events',
    'task tree',
    'change show',
    'change diff',
  ])
    await holds(verb, ['T-1'])
  await holds('task diff', ['T-1', '--stat'])
  await holds('task logs', ['T-1', '--prompt'])
  await holds('task inspect', ['T-1', '--log-tails'])
  await holds('task open', ['T-1', '--print'])
  await holds('status', ['--all'])
  await holds('task list', ['--all'])
  await holds('change list')
  await holds('task tree')
  await holds('stream', ['T-1', 'T-2'])
})

test('verbs that change tasks', async () => {
  await holds('task add', ['Blocked', '--depends-on', 'T-2'])
  await holds('task unblock')
  await holds('task unblock', ['T-3'])
  await holds('task pause', ['T-3'])
  await holds('task resume', ['T-3'])
  await holds('task edit', ['T-3', '--title', 'Freed'])
  await holds('task reroute', ['T-3', 'command'])
  await holds('task cancel', ['T-3'])
  await holds('task reopen', ['T-3'])
  await holds('approve', ['T-1'])
  await holds('reject', ['T-2', '--reason', 'Name it second'])
  const asks = await world.add('Asks', 'behaviour: ask')
  const twice = await world.add('Twice')
  await holds('up', ['--until-idle', '--timer-wait', '1s'], { env: { ORCH_APPROVAL: 'human-twice' } })
  await holds('change request', [twice])
  await holds('task retry', ['T-2'])
  expect((await world.task(asks)).waitingFor).toBe('answers')
  await holds('answer', [asks, 'Blue'])
  await holds('task show', ['T-1'])
})

test('verbs of projects, pipelines, agents and configuration', async () => {
  for (const verb of [
    'version',
    'doctor',
    'project list',
    'pipeline list',
    'agent list',
    'config check',
    'config explain',
    'config schema',
    'schema',
  ])
    await holds(verb)
  await holds('pipeline show', ['direct'])
  await holds('pipeline validate', [join(import.meta.dirname, '..', '..', 'pipelines', 'direct.yml')])
  await holds('completion', ['fish'])
  await holds('schema', ['task', 'show'])
  await holds('agent test', ['scripted'])
  await holds('agent conformance', ['true', '--protocol', 'command', '--no-prompt'])
  const other = mkdtempSync(join(world.dir, 'other-'))
  await world.gitIn(other, 'clone', '--quiet', world.remote, '.')
  await holds('project add', ['.', '--prefix', 'U'], { cwd: other })
  await holds('project remove', ['U'])
  await holds('init', ['--yes', '--prefix', 'U'], { cwd: other })
})

test('verbs of trackers and forges', async () => {
  const github = await startFakeGithub()
  try {
    addIssue(github.state, { title: 'Wanted', body: 'So that it is there.', user: 'olga', labels: ['orch'] })
    const at = mkdtempSync(join(world.dir, 'github-'))
    await world.gitIn(at, 'clone', '--quiet', world.remote, '.')
    const options = { cwd: at, env: { GITHUB_API_URL: github.url, GITHUB_TOKEN: TOKEN } }
    const where = ['--tracker', 'github:acme/shop', '--forge', 'github:acme/shop']
    await holds('project add', ['.', '--prefix', 'G', ...where], options)
    await holds('project list', [], options)
    await holds('onboard', ['G'], options)
    await holds('onboard', ['G', '--verify'], options)
    await holds('sync', ['G', '--dry-run'], options)
    await holds('sync', ['G'], options)
    expect((await world.task('G-1')).title).toBe('Wanted')
    await world.ok(['task', 'cancel', 'G-1'])
    // Without its credential the project can't be asked: that too is said in the shape that the schema names.
    await holds('sync', ['G'], { cwd: at, env: { GITHUB_API_URL: github.url } })
    await holds('project remove', ['G'])
  } finally {
    await github.close()
  }
})

test('verbs of webhooks', async () => {
  const store = await openStore(join(world.home, 'orch.db'))
  const delivery = {
    source: 'github',
    deliveryId: 'd-1',
    event: 'issues',
    hash: Buffer.alloc(32),
    body: Buffer.from('{}'),
  }
  const { id } = await store.appendDelivery({ ...delivery, at: Date.now() })
  const claim = { source: 'github', worker: 'w', now: Date.now(), leaseMs: 1_000, limit: 1 }
  const [claimed] = await store.claimDeliveries(claim)
  await store.endDeliveries([{ id, token: claimed?.token ?? 0, at: Date.now(), state: 'failed', note: 'no answer' }])
  store.close()
  for (const verb of ['webhook status', 'webhook deliveries', 'webhook audit', 'webhook cleanup']) await holds(verb)
  await holds('webhook replay', [String(id)])
})

test('verbs that keep and move', async () => {
  const file = join(world.dir, 'state.backup')
  await holds('backup', [file])
  await holds('backup', ['--check', file])
  await holds('restore', ['--force', file])
  const task = join(world.dir, 'task.json')
  await holds('export', ['T-1'])
  await holds('export', ['T-1', '--output', task])
  await holds('import', [task])
})

test('the demo', async () => {
  const result = await world.ok(['demo', '--dir', join(world.dir, 'demo'), '--json'], { timeoutMs: 110_000 })
  hold('demo', result.stdout)
})

test('a failing command prints one line that its schema knows', async () => {
  const { stderr } = await world.orch(['task', 'show', 'T-99', '--json'])
  hold('error', stderr)
})

test('no verb was left out', () => {
  const verbs = [
    ...SECTIONS.flatMap((section) => Object.keys(section.verbs)),
    ...Object.entries(NOUNS).flatMap(([noun, { verbs: own }]) => Object.keys(own).map((verb) => `${noun} ${verb}`)),
  ]
  const published = verbs.filter((verb) => existsSync(join(SCHEMAS, `${verb.replace(' ', '-')}.json`)))
  expect(published.filter((verb) => !checked.has(verb))).toEqual([])
  expect(verbs.filter((verb) => !published.includes(verb))).toEqual([])
})
