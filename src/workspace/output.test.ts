import { expect, test } from 'vitest'
import { plainOutput, trimOutput } from './output.ts'

test('colours, cursor moves and overwritten progress go', () => {
  expect(
    plainOutput('\u001b[31mred\u001b[0m\r\n 10%\r 50%\r100%\nlink \u001b]8;;http://x\u0007y\u001b]8;;\u0007\u0000end'),
  ).toBe('red\n100%\nlink yend')
})

test('short output stays whole', () => {
  expect(trimOutput('one\ntwo\n')).toBe('one\ntwo')
})

test('long output keeps the first failing region and the end', () => {
  const noise = (name: string): string[] => Array.from({ length: 2_000 }, (_, n) => `${name} ${n} ok`)
  const text = [
    ...noise('early'),
    'not ok 7 - totals are rounded',
    '  expected 3, got 4',
    ...noise('late'),
    '1 failed, 3999 passed',
  ].join('\n')
  const trimmed = trimOutput(text)
  expect(Buffer.byteLength(trimmed)).toBeLessThanOrEqual(8 * 1024)
  expect(trimmed).toMatch(/^\[… 1996 lines left out …\]\nearly 1996 ok/)
  expect(trimmed).toContain('not ok 7 - totals are rounded\n  expected 3, got 4\n')
  expect(trimmed).toMatch(/1 failed, 3999 passed$/)
})

test('one endless line is cut', () => {
  expect(Buffer.byteLength(trimOutput('é'.repeat(50_000)))).toBeLessThanOrEqual(8 * 1024)
})
