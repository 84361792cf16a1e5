import { symlink } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { secretsGate } from './secrets.ts'
import { makeTestRepository, testInput, type TestRepository } from './test-repository.ts'

// Put together here, so that this file itself holds no token.
const RANDOM = 'Zk3Qp9Lr7Tn2Vx8Bm4Wc6Yd1Hf5Jg0SaEuRi'
const join = (...parts: string[]): string => parts.join('')

const token = join('gh', 'p_', RANDOM)
const other = join('np', 'm_', RANDOM)
let repository: TestRepository
let base: string
beforeAll(async () => {
  repository = await makeTestRepository()
  base = await repository.commit({ 'a.ts': 'one\ntwo\n', 'old.ts': `was = "${other}"\n` }, 'base')
})
afterAll(() => repository.remove())

async function judge(
  commits: [Record<string, string | Buffer | null>, string?][],
): ReturnType<typeof secretsGate.collect> {
  await repository.git('reset', '-q', '--hard', base)
  let headSha = base
  for (const [files, message] of commits) headSha = await repository.commit(files, message)
  return secretsGate.collect(testInput(repository, { baseSha: base, headSha }))
}

test('a clean change passes, also one that moves or deletes a line the base has', async () => {
  expect(
    await judge([[{ 'a.ts': 'one\nthree\n', 'old.ts': `x\nwas = "${other}"\n` }], [{ 'old.ts': null }]]),
  ).toMatchObject({ result: 'pass' })
})

test('a hit names file and line and hides the secret', async () => {
  const judgement = await judge([[{ 'a b/ü.ts': `x\ny\nt = "${token}"\n` }]])
  expect(judgement).toMatchObject({
    result: 'fail',
    findings: [{ gate: 'secrets', severity: 'P0', file: 'a b/ü.ts', line: 3 }],
  })
  expect(JSON.stringify(judgement)).not.toContain(token.slice(0, 8))
})

test('a secret that a later commit takes out is still in the branch', async () => {
  const judgement = await judge([[{ 'b.ts': token }], [{ 'b.ts': 'clean' }]])
  expect(judgement).toMatchObject({
    result: 'fail',
    findings: [expect.objectContaining({ text: expect.stringContaining('rewrite the branch') })],
  })
})

test('a secret in a commit message', async () => {
  expect(await judge([[{ 'b.ts': 'x' }, `work\n\n${token}`]])).toMatchObject({
    result: 'fail',
    findings: [{ file: 'commit message', line: 3 }],
  })
})

test('text that attributes or NUL bytes make binary', async () => {
  expect(await judge([[{ '.gitattributes': '*.ts -diff\n', 'b.ts': `x\n${token}\n` }]])).toMatchObject({
    result: 'fail',
  })
  expect(await judge([[{ 'b.bin': Buffer.from(`\0${token}\0`) }]])).toMatchObject({ result: 'fail' })
  expect(await judge([[{ 'utf16.txt': Buffer.from(`t = ${token}\n`, 'utf16le') }]])).toMatchObject({ result: 'fail' })
})

test('a large binary is named, a link is searched as the text it is', async () => {
  expect(await judge([[{ 'film.mp4': Buffer.alloc(2 << 20) }]])).toMatchObject({
    result: 'pass',
    note: expect.stringContaining('film.mp4'),
  })
  await repository.git('reset', '-q', '--hard', base)
  await symlink(`/tmp/${token}`, join(repository.dir, '/link'))
  const headSha = await repository.commit({})
  expect(await secretsGate.collect(testInput(repository, { baseSha: base, headSha }))).toMatchObject({
    result: 'fail',
  })
})

test('what main brought along in a merge is not the change', async () => {
  await repository.git('reset', '-q', '--hard', base)
  const mainTip = await repository.commit({ 'main.ts': `m = "${token}"\n` })
  await repository.git('reset', '-q', '--hard', base)
  await repository.commit({ 'b.ts': 'x' })
  await repository.git('merge', '-q', '--no-ff', '-m', 'merge', mainTip)
  const headSha = (await repository.git('rev-parse', 'HEAD')).trim()
  expect(await secretsGate.collect(testInput(repository, { baseSha: mainTip, headSha }))).toMatchObject({
    result: 'pass',
  })
})

test('a diff too large to be searched is not clean', async () => {
  expect(await judge([[{ 'big.txt': 'one line\n'.repeat(2_000_000) }]])).toMatchObject({
    result: 'unknown',
    reason: 'diff-too-large',
    retryable: false,
  })
  expect(await judge([[{ 'long.txt': 'x'.repeat(17 << 20) }]])).toMatchObject({
    result: 'unknown',
    reason: 'diff-too-large',
  })
})
