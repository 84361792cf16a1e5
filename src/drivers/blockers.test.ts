import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseBlockers } from './blockers.ts'

const read = (body: string) => parseBlockers(body, { ref: 'acme/shop', self: 9 })

test.each([
  ['Blocked by #3', [3]],
  ['blocked by: #3, #4 and #5', [3, 4, 5]],
  ['**Blocked by** #3', [3]],
  ['**Blocked by:** #3 & acme/shop#6', [3, 6]],
  ['- depends on #7.', [7]],
  ['Blocked by https://github.com/acme/shop/issues/8', [8]],
  ['- [ ] #1\n- [ ] #2 the second\n* [ ] acme/shop#3', [1, 2, 3]],
  ['  - [ ] ACME/Shop#4', [4]],
  ['Blocked by #3\nBlocked by #3', [3]],
])('%j waits', (body, numbers) => {
  expect(read(body)).toEqual(numbers)
})

test.each([
  ['one that is ticked', '- [x] #1'],
  ['one that is only spoken of', '- [ ] see #1\nthis was blocked by #2 once\nFixes #3'],
  ['a quote', '> Blocked by #1'],
  ['code', '```\nBlocked by #1\n```\n\n    Blocked by #2\n\n~~~~\n- [ ] #3\n~~~\n- [ ] #4\n~~~~'],
  ['a hidden comment', '<!-- Blocked by #1\n- [ ] #2 -->\n<!-- Blocked by #3'],
  ['another project', 'Blocked by other/repo#1, https://github.com/acme/shop-2/issues/2\n- [ ] other/repo#3'],
  ['itself', 'Blocked by #9'],
  ['no number', 'Blocked by #1a, #0, the weather\n- [ ] #99999999999'],
])('%s says nothing', (_name, body) => {
  expect(read(body)).toEqual([])
})

test('any text gives numbers, in time that grows with it', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (body) => read(body).every(Number.isSafeInteger)))
  const long = ['<!--', '- [ ] a/', 'blocked by #1, ', '[ ] #', '`'.repeat(9)].map((part) => part.repeat(30_000))
  const startedAt = performance.now()
  for (const body of [...long, long.join('\n')]) read(body)
  expect(performance.now() - startedAt).toBeLessThan(5_000)
})
