import { expect, test } from 'vitest'
import { wantsColor } from './context.ts'
import { displayWidth, fit, pairs, table } from './print.ts'
import { jsonText, sanitizeBlock, sanitizeLine } from './sanitize.ts'
import { parseDuration, shortDuration } from './time.ts'

const COLUMNS = [
  { title: 'ID', text: (row: { id: string; title: string }) => row.id },
  { title: 'TITLE', text: (row: { id: string; title: string }) => row.title, paint: () => 'red' as const },
]
const ROWS = [
  { id: 'A-1', title: 'short' },
  { id: 'LONG-10', title: 'a title that is far too long for the line' },
]

test('a pipe gets aligned lines, whole and plain', () => {
  expect(table(COLUMNS, ROWS, { isTty: false, columns: 20, color: false })).toEqual([
    'ID       TITLE',
    'A-1      short',
    'LONG-10  a title that is far too long for the line',
  ])
})

test('a terminal gets lines cut to its width, coloured', () => {
  const lines = table(COLUMNS, ROWS, { isTty: true, columns: 24, color: true })
  expect(lines[2]).toBe('LONG-10  \u001b[31ma title that i…\u001b[39m')
  expect(table(COLUMNS, ROWS, { isTty: true, columns: 24, color: false })[2]).toBe('LONG-10  a title that i…')
})

test('cells of a table can neither colour, nor move, nor break a line', () => {
  const rows = [{ id: 'A-1', title: 'x\u001b[2J\ny\u009bz\u202e' }]
  expect(table(COLUMNS, rows, { isTty: true, columns: 80, color: false })[1]).toBe('A-1  x\\x1b[2J y\\x9bz\\u202e')
  expect(
    pairs(
      [
        ['Name', 'a\u0007b'],
        ['Gone', null],
        ['Empty', ''],
      ],
      { color: false },
    ),
  ).toEqual(['Name  a\\x07b'])
})

test('wide characters take two columns, combining marks none', () => {
  expect(displayWidth('abc')).toBe(3)
  expect(displayWidth('日本')).toBe(4)
  expect(displayWidth('e\u0301')).toBe(1)
  expect(displayWidth('🚀')).toBe(2)
  expect(fit('日本語', 5)).toBe('日本…')
  expect(fit('abc', 3)).toBe('abc')
})

test('blocks keep their lines and lose everything else', () => {
  expect(sanitizeBlock('a\r\nb\tc\u001b]0;title\u0007\rd')).toBe('a\nb\tc\\x1b]0;title\\x07\\x0dd')
  expect(sanitizeLine('a\tb\r\nc')).toBe('a b c')
})

test('JSON parses to the same value and holds nothing a terminal obeys', () => {
  const value = { text: 'a\u001b[31m\u009b\u202e\u2028\u007f"\\' }
  const text = jsonText(value)
  expect(JSON.parse(text)).toEqual(value)
  expect(/[^\u0020-\u007e]/.test(text)).toBe(false)
})

test.each([
  [{}, true, true],
  [{}, false, false],
  [{ NO_COLOR: '1' }, true, false],
  [{ NO_COLOR: '1', FORCE_COLOR: '1' }, true, false],
  [{ NO_COLOR: '' }, true, true],
  [{ FORCE_COLOR: '1' }, false, true],
  [{ FORCE_COLOR: '0' }, true, false],
  [{ TERM: 'dumb' }, true, false],
])('colour with %j on a terminal (%s): %s', (env, isTty, color) => {
  expect(wantsColor(env, isTty)).toBe(color)
})

test.each([
  ['90', 90_000],
  ['90s', 90_000],
  ['10m', 600_000],
  ['1.5h', 5_400_000],
  ['250ms', 250],
  ['0', 0],
])('%s is %d ms', (text, ms) => {
  expect(parseDuration(text, '--x')).toBe(ms)
})

test.each(['', 'ten', '-1', '10 m', '1w', 'Infinity'])('"%s" is no duration', (text) => {
  expect(() => parseDuration(text, '--timer-wait')).toThrow('--timer-wait')
})

test('durations stay short', () => {
  expect([0, 59_999, 60_000, 3_599_000, 3_600_000, 172_800_000].map(shortDuration)).toEqual([
    '0s',
    '59s',
    '1m 00s',
    '59m 59s',
    '1h 00m',
    '2d',
  ])
})
