import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Policy } from '../core/policy.ts'
import { commandFiles, simpleCommands } from './command-files.ts'
import { makeMatcher } from './globs.ts'
import { protectedChanges, protectedGate } from './protected.ts'
import { makeTestRepository, testInput, testPolicy, type TestRepository } from './test-repository.ts'

const BASE = {
  'src/a.ts': 'a\n',
  'test/a.test.ts': 'a test\nof some length\nthat git can tell apart\n',
  'scripts/test.sh': '#!/bin/sh\nexit 0\n',
  'scripts/run.mjs': 'run()\n',
  Makefile: 'test:\n\ttrue\n',
  'package.json': '{"name":"x","scripts":{"test":"node scripts/run.mjs","build":"esbuild src/a.ts"}}',
  '.github/workflows/ci.yml': 'on: push\n',
  'packages/b/package.json': '{"name":"b","scripts":{"test":"true"}}',
}
const POLICY: Partial<Policy> = {
  protected: ['.github/workflows/**', '**/AGENTS.md', 'migrations'],
  setup: ['npm ci'],
  verify: [
    { run: './scripts/test.sh && npm test', timeoutSeconds: 900, cwd: '.', paths: [] },
    { run: 'make test', timeoutSeconds: 900, cwd: '.', paths: [] },
  ],
}

let repository: TestRepository
let base: string
beforeAll(async () => {
  repository = await makeTestRepository()
  base = await repository.commit(BASE, 'base')
})
afterAll(() => repository.remove())

async function reasons(files: Record<string, string | null>, over: Partial<Policy> = {}): Promise<string[]> {
  await repository.git('reset', '-q', '--hard', base)
  const headSha = await repository.commit(files)
  return protectedChanges({
    mirror: repository.mirror,
    baseSha: base,
    headSha,
    policy: testPolicy({ ...POLICY, ...over }),
  })
}

describe('what waits for a person', () => {
  test.each<[string, Record<string, string | null>, string]>([
    ['CI', { '.github/workflows/ci.yml': 'on: never\n' }, 'changes .github/workflows/ci.yml'],
    ['CI in other letters', { '.GitHub/Workflows/x.yml': 'x' }, 'adds .GitHub/Workflows/x.yml'],
    ['agent settings deep down', { 'packages/b/AGENTS.md': 'x' }, 'adds packages/b/AGENTS.md'],
    ['a folder by its name', { 'db/migrations/1.sql': 'x' }, 'adds db/migrations/1.sql'],
    [
      'the verify script',
      { 'scripts/test.sh': 'exit 0\n' },
      'changes scripts/test.sh, which a setup or verify command runs',
    ],
    [
      'the verify script away',
      { 'scripts/test.sh': null },
      'deletes scripts/test.sh, which a setup or verify command runs',
    ],
    [
      'what a package script runs',
      { 'scripts/run.mjs': 'process.exit(0)\n' },
      'changes scripts/run.mjs, which a setup or verify command runs',
    ],
    ['the Makefile', { Makefile: 'test:\n\tfalse\n' }, 'changes Makefile, which a setup or verify command runs'],
    ['package scripts', { 'package.json': '{"scripts":{"test":"true"}}' }, 'changes the scripts of package.json'],
    [
      'package scripts that begin to be',
      { 'packages/c/package.json': '{"scripts":{"test":"true"}}' },
      'changes the scripts of packages/c/package.json',
    ],
    ['package scripts that no one can read', { 'package.json': '{"scripts":' }, 'changes the scripts of package.json'],
    [
      'a nested package',
      { 'packages/b/package.json': '{"name":"b","scripts":{"test":"false"}}' },
      'changes the scripts of packages/b/package.json',
    ],
    ['a deleted test', { 'test/a.test.ts': null }, 'deletes the test test/a.test.ts'],
  ])('%s', async (_name, files, reason) => {
    expect(await reasons(files)).toContain(reason)
  })

  test('S16: a protected file, or one that a command runs, moved out of the way', async () => {
    expect(await reasons({ '.github/workflows/ci.yml': null, 'old/ci.txt': BASE['.github/workflows/ci.yml'] })).toEqual(
      ['renames .github/workflows/ci.yml to old/ci.txt'],
    )
    expect(await reasons({ 'scripts/test.sh': null, 'old/test.sh': BASE['scripts/test.sh'] })).toEqual([
      'renames scripts/test.sh to old/test.sh, which a setup or verify command runs',
    ])
  })

  test('a test renamed away, but not one that stays a test', async () => {
    expect(await reasons({ 'test/a.test.ts': null, 'notes/a.txt': BASE['test/a.test.ts'] })).toEqual([
      'renames the test test/a.test.ts to notes/a.txt so that it is none',
    ])
    expect(await reasons({ 'test/a.test.ts': null, 'test/b.test.ts': BASE['test/a.test.ts'] })).toEqual([])
  })
})

describe('what does not', () => {
  test.each<[string, Record<string, string | null>]>([
    ['code', { 'src/a.ts': 'b\n', 'src/b.ts': 'b\n' }],
    ['a changed or a new test', { 'test/a.test.ts': 'another test\n', 'test/b.test.ts': 'x' }],
    [
      'package.json beside its scripts',
      {
        'package.json':
          '{"name":"x","version":"2","scripts":{"build":"esbuild src/a.ts","test":"node scripts/run.mjs"},"dependencies":{"y":"1"}}',
      },
    ],
    ['a new package without scripts', { 'packages/c/package.json': '{"name":"c"}' }],
    ['another script', { 'scripts/other.sh': 'x' }],
    ['deleted code', { 'src/a.ts': null }],
  ])('%s', async (_name, files) => {
    expect(await reasons(files)).toEqual([])
  })
})

test('an approval of the head lets it pass and the note says what was approved', async () => {
  await repository.git('reset', '-q', '--hard', base)
  const headSha = await repository.commit({ '.github/workflows/ci.yml': 'x\n' })
  const input = testInput(repository, { baseSha: base, headSha, policy: testPolicy(POLICY) })
  expect(await protectedGate.collect(input)).toMatchObject({
    result: 'wait',
    waitFor: 'approval',
    note: 'changes .github/workflows/ci.yml',
  })
  expect(await protectedGate.collect({ ...input, approved: true })).toMatchObject({
    result: 'pass',
    note: expect.stringContaining('ci.yml'),
  })
})

test('a manifest that becomes a link can not be compared, so a person looks', async () => {
  await repository.git('reset', '-q', '--hard', base)
  await repository.commit({ 'package.json': null })
  await symlink('src/a.ts', join(repository.dir, 'package.json'))
  const headSha = await repository.commit({})
  const found = await protectedChanges({ mirror: repository.mirror, baseSha: base, headSha, policy: testPolicy() })
  expect(found).toEqual(['changes the scripts of package.json'])
})

test('a long list is cut and says so', async () => {
  await repository.git('reset', '-q', '--hard', base)
  const headSha = await repository.commit(
    Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`.github/workflows/${i}.yml`, 'x'])),
  )
  const judgement = await protectedGate.collect(
    testInput(repository, { baseSha: base, headSha, policy: testPolicy(POLICY) }),
  )
  expect(judgement.note).toMatch(/; and 5 more$/)
})

test.each<[string, string[][]]>([
  ['npm test', [['npm', 'test']]],
  ['CI=1 X="a b" npm run lint && ./t.sh', [['npm', 'run', 'lint'], ['./t.sh']]],
  ["bash -c 'make x' | tee log; true", [['bash', '-c', 'make x'], ['make', 'x'], ['tee', 'log'], ['true']]],
  ['jest --config=jest.ci.js', [['jest', '--config=jest.ci.js', 'jest.ci.js']]],
  ['A=1', []],
])('words of %j', (line, words) => {
  expect(simpleCommands(line)).toEqual(words)
})

test.each<[string, string, Record<string, string>, string[]]>([
  ['in a folder', 'packages/a', { run: '../../tools/check.sh' }, ['tools/check.sh']],
  ['make elsewhere', '.', { run: 'make -C sub test' }, ['sub/Makefile']],
  [
    'scripts that call scripts',
    '.',
    {
      run: 'npm run all',
      all: 'npm run one && yarn two',
      one: 'npx tsx tools/one.ts',
      two: 'FOO=1 python3 -u tools/two.py',
    },
    ['tools/one.ts', 'tools/two.py'],
  ],
  [
    'pre and post',
    '.',
    { run: 'pnpm test', pretest: './pre.sh', test: 'jest', posttest: 'bash post.sh' },
    ['pre.sh', 'post.sh'],
  ],
  ['what an install runs', '.', { run: 'npm ci', postinstall: 'node tools/patch.js' }, ['tools/patch.js']],
  [
    'scripts in a circle',
    '.',
    { run: 'npm test', test: 'npm run test && npm run other', other: './o.sh && npm test' },
    ['o.sh'],
  ],
])('files of a command: %s', async (_name, cwd, { run, ...scripts }, expected) => {
  const read = (path: string): Promise<string | null> =>
    Promise.resolve(path === 'package.json' ? JSON.stringify({ scripts }) : null)
  const files = await commandFiles({ setup: [], verify: [{ run: run ?? '', cwd, timeoutSeconds: 1, paths: [] }] }, read)
  expect([...files]).toEqual(expect.arrayContaining(expected))
})

test('globs match as people mean them', () => {
  const matches = makeMatcher(['Jenkinsfile', 'db/', '/root.txt', 'a/**'])
  for (const path of ['Jenkinsfile', 'x/jenkinsfile', 'db/1', 'x/db/y/z', 'root.txt', 'a/.b'])
    expect([path, matches(path)]).toEqual([path, true])
  for (const path of ['x/root.txt', 'b/a/c', 'Jenkinsfile.md']) expect([path, matches(path)]).toEqual([path, false])
  expect(makeMatcher([])('x')).toBe(false)
})
