import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parsePlainYaml, type YamlLimits } from './plain-yaml.ts'

const LIMITS: YamlLimits = { maxBytes: 10_000, maxAliases: 10, scalars: 'typed' }

test('values keep their types, or are all text', () => {
  const text = 'a: 1\nb: yes\nc: true\nd: ~\ne: 012\n'
  expect(parsePlainYaml(text, LIMITS)).toMatchObject({ ok: true, value: { a: 1, b: 'yes', c: true, d: null, e: 12 } })
  expect(parsePlainYaml(text, { ...LIMITS, scalars: 'text' })).toMatchObject({
    ok: true,
    value: { a: '1', b: 'yes', c: 'true', d: '~', e: '012' },
  })
  expect(parsePlainYaml('', LIMITS)).toMatchObject({ ok: true, value: null })
})

test('says in which line a key stands, or its nearest parent', () => {
  const parsed = parsePlainYaml('# c\na:\n  - run: x\n    cwd: y\n  - z\nb: &n\n  k: 1\nc: *n\n', LIMITS)
  if (!parsed.ok) throw new Error('not parsed')
  const lines = (
    [[], ['a'], ['a', 0, 'cwd'], ['a', 1], ['a', 0, 'gone'], ['b', 'k'], ['c', 'k'], ['zzz']] as const
  ).map((path) => parsed.lineOf(path))
  expect(lines).toEqual([2, 2, 4, 5, 3, 7, 7, 2])
})

test.each<[string, string, number, RegExp]>([
  ['broken', 'a: 1\nb: [1\n', 2, /./],
  ['a key twice', 'a: 1\na: 2\n', 2, /unique/],
  ['a tag', 'a: 1\nb: !!binary x\n', 2, /tag/i],
  ['its own tag', 'b: !run x\n', 1, /tag/i],
  ['two documents', 'a: 1\n---\nb: 2\n', 2, /document/],
  ['too many aliases', `a: &a 1\nb: [${'*a,'.repeat(2_000)}*a]\n`, 1, /bytes|alias/],
  ['a bomb', 'a: &a [1,1,1,1]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n', 1, /alias/],
  ['a key that is no text', '? [a, b]\n: 1\n', 1, /./],
  ['too large', `a: ${'x'.repeat(10_001)}`, 1, /bytes/],
  ['too deep', `a: ${'['.repeat(2_000)}`, 1, /nested/],
])('refuses: %s', (_name, text, line, words) => {
  const parsed = parsePlainYaml(text, LIMITS)
  expect(parsed).toMatchObject({
    ok: false,
    problems: expect.arrayContaining([
      expect.objectContaining({ line: expect.any(Number), text: expect.stringMatching(words) }),
    ]),
  })
  if (!parsed.ok) expect(parsed.problems[0]?.line).toBeGreaterThanOrEqual(line)
})

test('never throws and never takes long', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc
          .array(
            fc.constantFrom(
              '- ',
              '? ',
              ': ',
              '[',
              '{',
              '&a ',
              '*a ',
              '!t ',
              '\n',
              '  ',
              'x',
              '"',
              '|',
              '>',
              '#',
              '---\n',
            ),
          )
          .map((parts) => parts.join('')),
      ),
      (text) => {
        const parsed = parsePlainYaml(text, LIMITS)
        if (parsed.ok) expect(parsed.lineOf(['a', 0, 'b'])).toBeGreaterThanOrEqual(1)
        else expect(parsed.problems.length).toBeGreaterThan(0)
      },
    ),
    { numRuns: 500 },
  )
})
