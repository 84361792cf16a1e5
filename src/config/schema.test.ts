import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { findAssets, jsonSchema, makeConfig } from './make-config.ts'
import { nearest } from './nearest.ts'
import { checkShape } from './problems.ts'
import { configSchema, durationSeconds, LEAVES } from './schema.ts'

const assets = findAssets(dirname(fileURLToPath(import.meta.url)))
const config = makeConfig({ assets })

function problemsOf(text: string): [number | null, string, string][] {
  const resolution = config.resolve({
    layers: { env: {}, user: null, projectId: null },
    files: { config: { name: '.orch.yml', text }, pipelines: [], prompts: {} },
    pipeline: null,
  })
  return resolution.ok ? [] : resolution.problems.map(({ line, key, text: words }) => [line, key, words])
}

test.each<[string, number, string, RegExp]>([
  ['verfy: []', 1, 'verfy', /unknown key \(did you mean "verify"\?\)/],
  ['a: 1\nattempts: 3', 2, 'attempts', /did you mean "limits.attempts"/],
  ['limits:\n  attemps: 3', 2, 'limits.attemps', /did you mean "attempts"/],
  ['limits:\n  speed: 3', 2, 'limits.speed', /known here: attempts, runMinutes/],
  ['verify:\n  - run: x\n    timout: 3', 3, 'verify[0].timout', /did you mean "timeout"/],
  ['agents:\n  developer:\n    modell: x', 3, 'agents.developer.modell', /did you mean "model"/],
  ['limits: {attempts: 0}', 1, 'limits.attempts', /whole number from 1 to 20, not 0/],
  ['limits: {attempts: 2.5}', 1, 'limits.attempts', /whole number/],
  ['limits: {attempts: "3"}', 1, 'limits.attempts', /whole number.*not "3"/],
  ['limits: {runMinutes: .inf}', 1, 'limits.runMinutes', /./],
  ['limits: {stallMinutes: 0}', 1, 'limits.stallMinutes', /above zero/],
  ['verify: npm test', 1, 'verify', /a list of commands, or the word none, not "npm test"/],
  ['verify:\n  - ""', 2, 'verify[0]', /./],
  ['verify:\n  - [a]', 2, 'verify[0]', /a command or a group/],
  ['verify:\n  - cwd: x', 2, 'verify[0].run', /absent/],
  ['verify:\n  - {run: x, timeout: 10 years}', 2, 'verify[0].timeout', /duration such as/],
  ['verify:\n  - {run: x, timeout: -1}', 2, 'verify[0].timeout', /duration such as/],
  ['verify:\n  - {run: x, cwd: ../y}', 2, 'verify[0].cwd', /inside the repository/],
  ['verify:\n  - {run: x, cwd: /etc}', 2, 'verify[0].cwd', /inside the repository/],
  ['setup: npm ci', 1, 'setup', /must be a list, not "npm ci"/],
  ['setup:\n  - npm ci\n  - 3', 3, 'setup[1]', /must be text/],
  ['prefix: shop', 1, 'prefix', /capital letters/],
  ['prefix: "SHOP-1"', 1, 'prefix', /capital letters/],
  ['base: -x', 1, 'base', /name of a branch/],
  ['base: a..b', 1, 'base', /name of a branch/],
  ['base: "a b"', 1, 'base', /name of a branch/],
  ['base: "a\\x07"', 1, 'base', /name of a branch/],
  ['approval: maybe', 1, 'approval', /one of auto, human, .*tracker-state, not "maybe"/],
  ['land: {method: rebase}', 1, 'land.method', /rebase needs `land.via: forge`/],
  [
    'approval: label\nchange:\n  labels: [Orch:Approved]\n',
    3,
    'change.labels',
    /Orch would say yes to its own changes/,
  ],
  ['approval: label\napprovalBy: {label: go}\nchange: {labels: [go]}\n', 3, 'change.labels', /says yes/],
  ['env: {set: {"A B": 1}}', 1, 'env.set.A B', /environment variable/],
  ['env: {pass: [A-B]}', 1, 'env.pass[0]', /environment variable/],
  ['env: {set: {A: [1]}}', 1, 'env.set.A', /text, a number/],
  ['agents: {Developer: {agent: x}}', 1, 'agents.Developer', /role or an agent/],
  [
    'agents:\n  developer: {agent: claude, effort: max}',
    2,
    'agents.developer.effort',
    /one of low, medium, high, not "max"/,
  ],
  ['agents:\n  developer: {agent: claude, fallback: codex}', 2, 'agents.developer.fallback', /must be a list/],
  ['agents:\n  developer: {fallback: [codex]}', 2, 'agents.developer.fallback', /names nobody to take over from/],
  ['projects: {SHOP: {}}', 1, 'projects', /unknown key/],
  ['knownFailures: ["("]', 1, 'knownFailures[0]', /regular expression/],
  ['commits: {pattern: "["}', 1, 'commits.pattern', /regular expression/],
  ['- a', 1, '(file)', /group of keys/],
  ['text', 1, '(file)', /group of keys/],
  ['a: [', 1, '(file)', /./],
  ['prefix: A\nprefix: B', 2, '(file)', /unique/],
  ['prefix: !shell A', 1, '(file)', /tag/],
  [`setup: ["${'x'.repeat(300_000)}"]`, 1, '(file)', /at most 262144/],
])('refuses %j', (text, line, key, words) => {
  expect(problemsOf(text)).toContainEqual([line, key, expect.stringMatching(words)])
})

test('accepts what the documentation shows, all keys at once', () => {
  const text = `
prefix: SHOP
base: release/2.x
pipeline: direct
setup: [npm ci]
verify:
  - npm run lint
  - run: npm test
    timeout: 10m
    cwd: packages/app
    paths: ["packages/app/**"]
parallelVerify: true
knownFailures: ["^flaky"]
env: { pass: [NPM_TOKEN], set: { TZ: UTC, PORT: 8080, X: true } }
approval: auto
land: { method: squash }
agents:
  developer: { agent: claude, model: opus, effort: high, fallback: [codex] }
  command: { command: python3 agent.py }
limits: { attempts: 3, runMinutes: 0.5, stallMinutes: 10, parallel: 4, transient: 6, infra: 3 }
protected: ["migrations/**"]
diffBudget: { files: 6, addedLines: 120 }
sandbox: { network: false, read: [~/.cache/models] }
commits: { pattern: "^(feat|fix): " }
`
  expect(problemsOf(text)).toEqual([])
})

test.each<[number | string, number | null]>([
  [90, 90],
  ['90s', 90],
  ['10m', 600],
  ['1.5h', 5400],
  [' 2 m ', 120],
  ['10', null],
  ['m', null],
  ['<1m', null],
  [0, null],
  [-5, null],
  [Number.NaN, null],
  [Number.POSITIVE_INFINITY, null],
  ['25h', null],
  [86_401, null],
])('duration %j is %j seconds', (given, seconds) => {
  expect(durationSeconds(given)).toBe(seconds)
})

test('defaults satisfy the schema', () => {
  const tree: Record<string, unknown> = {}
  for (const [key, { value }] of Object.entries(LEAVES)) {
    if (value === null) continue
    const [group = '', leaf] = key.split('.')
    if (leaf === undefined) tree[group] = value
    else tree[group] = { ...(tree[group] as object | undefined), [leaf]: value }
  }
  expect(checkShape(configSchema, tree)).toEqual([])
})

test('the committed schemas are those of the code', () => {
  const read = (name: string): unknown => JSON.parse(readFileSync(join(assets, 'schemas', name), 'utf8'))
  expect(read('orch.schema.json')).toEqual(JSON.parse(JSON.stringify(jsonSchema('config'))))
  expect(read('user.schema.json')).toEqual(JSON.parse(JSON.stringify(jsonSchema('user'))))
  expect(read('pipeline.schema.json')).toEqual(JSON.parse(JSON.stringify(jsonSchema('pipeline'))))
})

test('the JSON Schemas refuse unknown keys and describe every key', () => {
  for (const of of ['config', 'user', 'pipeline'] as const) {
    const schema = jsonSchema(of) as {
      additionalProperties: boolean
      properties: Record<string, { description?: string }>
    }
    expect(schema.additionalProperties).toBe(false)
    for (const [key, property] of Object.entries(schema.properties))
      expect([key, typeof property.description]).toEqual([key, 'string'])
  }
})

test('every built-in prompt is there for the roles of the built-in pipelines', () => {
  const listed = config.listPipelines({ config: null, pipelines: [], prompts: {} })
  const prompts = readdirSync(join(assets, 'prompts'))
  for (const { pipeline, problems } of listed) {
    expect(problems).toEqual([])
    for (const stage of pipeline?.stages ?? []) if (stage.role) expect(prompts).toContain(`${stage.role}.md`)
  }
})

test.each([
  ['verfy', ['verify', 'setup'], 'verify'],
  ['Verify', ['verify'], 'verify'],
  ['zzz', ['verify', 'setup'], null],
  ['ab', ['xy'], null],
])('nearest of %s', (word, known, found) => {
  expect(nearest(word, known)).toBe(found)
})

test.each<[string | null, { healthyMs: number; unhealthyMs: number; ciMs: number }]>([
  [null, { healthyMs: 120_000, unhealthyMs: 30_000, ciMs: 10_000 }],
  ['poll: { healthy: 10m, ci: 2 }', { healthyMs: 600_000, unhealthyMs: 30_000, ciMs: 2_000 }],
  // A file with a problem gives nothing.
  ['poll: { healthy: 10m, unhealthy: often }', { healthyMs: 120_000, unhealthyMs: 30_000, ciMs: 10_000 }],
])('how often trackers and forges are asked: %s', (text, expected) => {
  const config = makeConfig({ assets: findAssets(import.meta.dirname) })
  expect(config.poll(text === null ? null : { name: 'config.yml', text })).toEqual(expected)
})
