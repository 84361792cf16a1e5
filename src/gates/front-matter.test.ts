import { execFileSync } from 'node:child_process'
import { link, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MAX_HANDOFF_BYTES, parseFrontMatter, readHandoff } from './front-matter.ts'

let root: string
let dir: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'orch-handoff-'))
  dir = join(root, 'handoff')
  await mkdir(dir)
})
afterEach(() => rm(root, { recursive: true, force: true }))

const GOOD = '---\nstatus: done\nsummary: "a: b"\ntests:\n  - npm test\n---\nProse with PASS.\n'

test('reads keys and prose', async () => {
  await writeFile(join(dir, 'handoff.md'), GOOD)
  expect(await readHandoff(dir)).toEqual({
    ok: true,
    keys: { status: 'done', summary: 'a: b', tests: ['npm test'] },
    prose: 'Prose with PASS.',
  })
})

test.each<[string, string, Record<string, unknown>]>([
  ['Windows line ends', '---\r\nstatus: done\r\n---\r\nx', { status: 'done' }],
  ['a sha of digits stays text', '---\nsha: 0123456789\n---\n', { sha: '0123456789' }],
  ['a sha that looks like a float', '---\nsha: 123e45\n---\n', { sha: '123e45' }],
  ['no stays text', '---\nstatus: no\n---\n', { status: 'no' }],
  ['keys are lower case', '---\nStatus: done\n---\n', { status: 'done' }],
  ['an empty value is absent', '---\nstatus: done\nresult:\n---\n', { status: 'done' }],
  ['no prose', '---\nstatus: done\n---', { status: 'done' }],
  [
    'a key called __proto__ is a key',
    '---\nstatus: done\n__proto__: {x: 1}\n---\n',
    JSON.parse('{"status":"done","__proto__":{"x":"1"}}'),
  ],
  ['a second document is prose', '---\nstatus: done\n...\n---\nstatus: failed\n---', { status: 'done' }],
  ['a fence in the prose is prose', '---\nstatus: done\n---\ntext\n---\nstatus: failed\n---\n', { status: 'done' }],
])('parses: %s', (_name, text, keys) => {
  expect(parseFrontMatter(text)).toMatchObject({ ok: true, keys })
})

const bomb = [
  '---',
  'a: &a [x,x,x,x,x,x,x,x,x]',
  ...'bcdefghi'.split('').map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(',')}]`),
  '---',
].join('\n')

test.each<[string, string, RegExp]>([
  ['nothing', '', /first line must be ---/],
  ['only prose', 'PASS. status: done', /first line must be ---/],
  ['front matter after prose', 'All done.\n---\nstatus: done\n---\n', /first line must be ---/],
  ['a fenced block', '```\n---\nstatus: done\n---\n```', /first line must be ---/],
  ['no end', '---\nstatus: done\n', /no end/],
  ['broken YAML', '---\nstatus: [\n---\n', /not plain YAML: line/],
  ['a colon in plain text', '---\nsummary: a: b\n---\n', /in quotes/],
  ['a key twice', '---\nstatus: done\nstatus: failed\n---\n', /unique|twice/],
  ['a key twice in other letters', '---\nverdict: approve\nVerdict: failed\n---\n', /verdict twice/],
  ['a list', '---\n- status\n---\n', /not a list of keys/],
  ['nothing between', '---\n---\nstatus: done', /not a list of keys/],
  ['a tag', '---\nstatus: !!js/function "x"\n---\n', /not plain YAML/],
  ['an alias', '---\na: &x done\nstatus: *x\n---\n', /aliases/],
  ['an alias bomb', bomb, /aliases/],
  ['deep nesting', `---\nx: ${'['.repeat(50_000)}\n---\n`, /nested|not plain YAML/],
  ['deep dashes', `---\n${'- '.repeat(40_000)}x\n---\n`, /nested|not plain YAML/],
  ['too much front matter', `---\nx: ${'y'.repeat(200_000)}\n---\n`, /bytes/],
])('refuses: %s', (_name, text, problem) => {
  expect(parseFrontMatter(text)).toMatchObject({ ok: false, problem: expect.stringMatching(problem) })
})

test('a missing file or directory is a problem', async () => {
  expect(await readHandoff(dir)).toMatchObject({ ok: false, problem: expect.stringContaining('no handoff.md') })
  expect(await readHandoff(join(root, 'gone'))).toMatchObject({ ok: false, problem: expect.stringContaining('gone') })
})

test('a link is not followed, hard or symbolic, nor a linked directory', async () => {
  await writeFile(join(root, 'elsewhere.md'), GOOD)
  await symlink(join(root, 'elsewhere.md'), join(dir, 'handoff.md'))
  expect(await readHandoff(dir)).toMatchObject({ ok: false, problem: expect.stringContaining('is a link') })
  await rm(join(dir, 'handoff.md'))
  await link(join(root, 'elsewhere.md'), join(dir, 'handoff.md'))
  expect(await readHandoff(dir)).toMatchObject({ ok: false, problem: expect.stringContaining('hard link') })
  await rm(join(dir, 'handoff.md'))
  await writeFile(join(dir, 'handoff.md'), GOOD)
  await symlink(dir, join(root, 'linked'))
  expect(await readHandoff(join(root, 'linked'))).toMatchObject({
    ok: false,
    problem: expect.stringContaining('replaced'),
  })
})

test('a folder or a pipe of that name is refused at once', async () => {
  await mkdir(join(dir, 'handoff.md'))
  expect(await readHandoff(dir)).toMatchObject({ ok: false, problem: expect.stringContaining('not a regular file') })
  await rm(join(dir, 'handoff.md'), { recursive: true })
  execFileSync('mkfifo', [join(dir, 'handoff.md')])
  expect(await readHandoff(dir)).toMatchObject({ ok: false, problem: expect.stringContaining('not a regular file') })
})

test('1 MiB is read, one byte more is not, and bytes that are no UTF-8 are refused', async () => {
  const fill = (bytes: number): string => GOOD + 'x'.repeat(bytes - GOOD.length)
  await writeFile(join(dir, 'handoff.md'), fill(MAX_HANDOFF_BYTES))
  expect(await readHandoff(dir)).toMatchObject({ ok: true })
  await writeFile(join(dir, 'handoff.md'), fill(MAX_HANDOFF_BYTES + 1))
  expect(await readHandoff(dir)).toMatchObject({ ok: false, problem: expect.stringContaining('bytes') })
  await writeFile(join(dir, 'handoff.md'), Buffer.concat([Buffer.from(GOOD), Buffer.from([0xff, 0xfe])]))
  expect(await readHandoff(dir)).toMatchObject({ ok: false, problem: expect.stringContaining('UTF-8') })
})

test('never throws, and text that does not begin with a fence is never read', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(parseFrontMatter(`x${text}`).ok).toBe(false)
      expect(typeof parseFrontMatter(`---\n${text}\n---\n`).ok).toBe('boolean')
    }),
  )
})
