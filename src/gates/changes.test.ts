import { afterAll, beforeAll, expect, test } from 'vitest'
import { changesGate } from './changes.ts'
import { diffBudgetGate, generatedByAttributes } from './diff-budget.ts'
import { makeTestRepository, testInput, testPolicy, type TestRepository } from './test-repository.ts'

let repository: TestRepository
let base: string
beforeAll(async () => {
  repository = await makeTestRepository()
  base = await repository.commit({ 'a.txt': 'a\n', '.gitattributes': 'api/*.ts linguist-generated\n' }, 'base')
})
afterAll(() => repository.remove())

async function head(files: Record<string, string | null>, message?: string): Promise<string> {
  await repository.git('reset', '-q', '--hard', base)
  return repository.commit(files, message)
}
const lines = (count: number): string => 'x\n'.repeat(count)

test('no commit, and commits that change nothing, fail with a finding', async () => {
  expect(await changesGate.collect(testInput(repository, { baseSha: base, headSha: base }))).toMatchObject({
    result: 'fail',
    findings: [{ gate: 'changes' }],
  })
  const empty = await head({})
  expect(await changesGate.collect(testInput(repository, { baseSha: base, headSha: empty }))).toMatchObject({
    result: 'fail',
    note: 'an empty change',
  })
  const undone = await head({ 'b.txt': 'b' }).then(() => repository.commit({ 'b.txt': null }))
  expect(await changesGate.collect(testInput(repository, { baseSha: base, headSha: undone }))).toMatchObject({
    result: 'fail',
    note: 'an empty change',
  })
})

test.each<[string, string, 'pass' | 'fail']>([
  ['^(feat|fix): ', 'fix: totals', 'pass'],
  ['^(feat|fix): .{1,20}$', 'fix: totals\n\nWith a body of any length that goes on and on.', 'pass'],
  ['Refs: SHOP-\\d+', 'Mend totals\n\nRefs: SHOP-12', 'pass'],
  ['^(feat|fix): ', 'mended', 'fail'],
])('messages follow %s: %j', async (pattern, message, result) => {
  const sha = await head({ 'b.txt': 'b' }, message)
  const input = testInput(repository, { baseSha: base, headSha: sha, policy: testPolicy({ commits: { pattern } }) })
  expect(await changesGate.collect(input)).toMatchObject({ result })
})

test.each<[string, Record<string, string>, 'pass' | 'fail']>([
  ['within', { 'b.ts': lines(10), 'c.ts': lines(10) }, 'pass'],
  ['too many lines', { 'b.ts': lines(21) }, 'fail'],
  ['too many files', { 'b.ts': 'x', 'c.ts': 'x', 'd.ts': 'x' }, 'fail'],
  ['lock files', { 'package-lock.json': lines(500), 'packages/a/yarn.lock': lines(500), 'b.ts': lines(20) }, 'pass'],
  [
    'what tools write',
    { 'dist/x.js': lines(500), 'src/__snapshots__/a.snap': lines(500), 'web/vendor.min.js': lines(90) },
    'pass',
  ],
  ['what the base calls generated', { 'api/client.ts': lines(500) }, 'pass'],
  [
    'what only the change calls generated',
    { '.gitattributes': '*.ts linguist-generated\n', 'b.ts': lines(500) },
    'fail',
  ],
  ['a folder that only ends like one', { 'src/mydist/x.js': lines(500) }, 'fail'],
])('diff budget: %s', async (_name, files, result) => {
  const sha = await head(files)
  const input = testInput(repository, {
    baseSha: base,
    headSha: sha,
    policy: testPolicy({ diffBudget: { files: 2, addedLines: 20 } }),
  })
  expect(await diffBudgetGate.collect(input)).toMatchObject({ result })
})

test('deleting any number of lines is no added line', async () => {
  const sha = await head({ 'a.txt': null })
  const input = testInput(repository, {
    baseSha: base,
    headSha: sha,
    policy: testPolicy({ diffBudget: { files: 1, addedLines: 1 } }),
  })
  expect(await diffBudgetGate.collect(input)).toMatchObject({
    result: 'pass',
    note: 'changed files 1 of 1, added lines 0 of 1',
  })
})

test('linguist-generated is read as git attributes are written', () => {
  expect(
    generatedByAttributes(
      '# c\n*.a linguist-generated\n*.b linguist-generated=true text\n*.c -linguist-generated\n*.d linguist-generated=false\n\n[attr]x linguist-generated',
    ),
  ).toEqual(['*.a', '*.b'])
})

test('the head that was sent back is no answer; a new one is', async () => {
  const sha = await head({ 'b.txt': 'b' })
  const input = testInput(repository, { baseSha: base, headSha: sha })
  expect(await changesGate.collect({ ...input, sentBackSha: sha })).toMatchObject({
    result: 'fail',
    note: 'nothing changed since it was sent back',
  })
  expect(await changesGate.collect({ ...input, sentBackSha: base })).toMatchObject({ result: 'pass' })
})
