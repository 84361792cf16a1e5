import { expect, test } from 'vitest'
import type { StatusView } from '../../../flow/app.ts'
import { NOW, counts, fakeLine } from '../fake-app.ts'
import { displayWidth } from '../print.ts'
import { type Board, press, withView } from './board.ts'
import { type Size, renderBoard } from './render.ts'

function view(tasks: StatusView['tasks']): StatusView {
  const numbers = counts()
  for (const task of tasks) numbers[task.status] += 1
  return { tasks, counts: numbers, more: 0, service: { running: true, pid: 42, since: null } }
}

const TASKS = [
  fakeLine({ id: 'SHOP-1', status: 'running', title: 'Fix the rounding' }),
  fakeLine({
    id: 'SHOP-2',
    status: 'waiting',
    waitingFor: 'approval',
    title: 'Print \u001b[31m日本語 receipts',
    runId: null,
  }),
  fakeLine({ id: 'SHOP-13', status: 'needs_review', reasonCode: 'attempts-spent', paused: true, runId: null }),
]

function board(change: Partial<Board> = {}): Board {
  const empty: Board = {
    view: view([]),
    selected: null,
    why: null,
    output: new Map(),
    mode: { kind: 'board' },
    notice: null,
  }
  return { ...withView(empty, view(TASKS)), ...change }
}

const SIZE: Size = { columns: 80, rows: 24, color: false, now: NOW }

/** The board after the keys, and the wish of the last one. */
function typed(start: Board, ...keys: string[]) {
  let pressed: ReturnType<typeof press> = { board: start, wish: null }
  for (const key of keys) pressed = press(pressed.board, key)
  return pressed
}

test('what needs a person comes first and is selected first', () => {
  const lines = renderBoard(board(), SIZE)
  expect(lines.slice(0, 7)).toEqual([
    'Orch  1 running, 1 waiting, 1 needs_review  orch up runs (pid 42)',
    'NEEDS REVIEW 1',
    '> SHOP-13  develop  attempts-spent (paused)  claude  1m 00s   Fix the rounding',
    'WAITING 1',
    '  SHOP-2   develop  for approval  claude  1m 00s   Print \\x1b[31m日本語 receipts',
    'RUNNING 1',
    '  SHOP-1   develop  claude  1m 00s   Fix the rounding',
  ])
  expect(lines).toHaveLength(24)
  expect(lines.at(-1)).toContain('a approve')
})

test('keys move the selection, which stays on its task and never leaves the list', () => {
  expect(typed(board(), 'down').board.selected).toBe('SHOP-2')
  expect(typed(board(), 'j', 'j', 'j', 'j').board.selected).toBe('SHOP-1')
  expect(typed(board(), 'G', 'k').board.selected).toBe('SHOP-2')
  expect(typed(board(), 'end', 'home', 'up').board.selected).toBe('SHOP-13')
  const onSecond = typed(board(), 'down').board
  const moved = TASKS.map((task) => (task.id === 'SHOP-2' ? { ...task, status: 'running' as const } : task))
  expect(withView(onSecond, view(moved)).selected).toBe('SHOP-2')
  expect(withView(onSecond, view(TASKS.filter((task) => task.id !== 'SHOP-2'))).selected).toBe('SHOP-1')
  expect(withView(onSecond, view([])).selected).toBeNull()
})

test('nothing is approved or cancelled without a question', () => {
  const asked = typed(board(), 'a')
  expect(asked.wish).toEqual({ kind: 'ask-approval', task: 'SHOP-13' })
  const cancelling = typed(board(), 'c')
  expect(cancelling.wish).toBeNull()
  expect(renderBoard(cancelling.board, SIZE).join('\n')).toContain('Cancel SHOP-13?')
  expect(typed(cancelling.board, 'n')).toMatchObject({ wish: null, board: { mode: { kind: 'board' } } })
  expect(typed(cancelling.board, 'x').board.mode.kind).toBe('question')
  expect(typed(cancelling.board, 'y').wish).toEqual({ kind: 'act', action: { type: 'cancel', task: 'SHOP-13' } })
})

test('a rejection takes its reason, and none is sent without one', () => {
  const typing = typed(board(), 'down', 'r', 'N', 'o', '!', 'backspace', ' ', 'q', 'é', '🚀')
  expect(typing).toMatchObject({ wish: null, board: { mode: { kind: 'reason', task: 'SHOP-2', text: 'No qé🚀' } } })
  expect(typed(typing.board, 'backspace').board.mode).toMatchObject({ text: 'No qé' })
  expect(typed(typing.board, 'up', 'page-down').board.mode).toMatchObject({ text: 'No qé🚀' })
  expect(typed(typing.board, 'enter').wish).toEqual({
    kind: 'act',
    action: { type: 'reject', task: 'SHOP-2', reason: 'No qé🚀' },
  })
  expect(typed(board(), 'r', ' ', 'enter')).toMatchObject({ wish: null, board: { mode: { kind: 'reason' } } })
  expect(typed(typing.board, 'escape')).toMatchObject({ wish: null, board: { mode: { kind: 'board' } } })
})

test('pausing, resuming, retrying and leaving are one key', () => {
  expect(typed(board(), 'p').wish).toEqual({ kind: 'act', action: { type: 'resume', task: 'SHOP-13' } })
  expect(typed(board(), 'down', 'p').wish).toEqual({ kind: 'act', action: { type: 'pause', task: 'SHOP-2' } })
  expect(typed(board(), 't').wish).toEqual({ kind: 'act', action: { type: 'retry', task: 'SHOP-13' } })
  for (const key of ['q', 'ctrl-c']) expect(typed(board(), key).wish).toEqual({ kind: 'leave' })
  expect(typed(board(), 'r', 'ctrl-c').wish).toEqual({ kind: 'leave' })
  expect(typed(withView(board(), view([])), 'a')).toMatchObject({ wish: null })
})

const printed = Array.from({ length: 50 }, (_, n) => ({ text: `line ${n + 1}`, paint: null }))

test('a stream shows the end of the output, scrolls, and leads back', () => {
  const start = board({ output: new Map([['SHOP-13', printed]]) })
  const shown = typed(start, 'enter').board
  expect(renderBoard(shown, { ...SIZE, rows: 6 })).toEqual([
    'SHOP-13  claude · develop · needs_review: attempts-spent (paused)  Fix the roun…',
    'line 47',
    'line 48',
    'line 49',
    'line 50',
    '↑↓ scroll · q back',
  ])
  expect(renderBoard(typed(shown, 'up').board, { ...SIZE, rows: 6 })[4]).toBe('line 49')
  expect(renderBoard(typed(shown, 'g').board, { ...SIZE, rows: 6 })[1]).toBe('line 1')
  expect(renderBoard(typed(shown, 'g', 'G').board, { ...SIZE, rows: 6 })[4]).toBe('line 50')
  for (const key of ['q', 's', 'escape']) expect(typed(shown, key).board.mode.kind).toBe('board')
  expect(renderBoard(typed(board(), 'enter').board, SIZE)[1]).toBe('Nothing was printed yet.')
})

test('running tasks show their last lines, the selected one its reason and what to press', () => {
  const why = {
    id: 'SHOP-2',
    because: 'It waits for your approval of abc (landing).',
    owner: 'you',
    since: new Date(NOW - 5_000).toISOString(),
    actions: ['orch change diff SHOP-2', 'orch approve SHOP-2', 'orch reject SHOP-2 --reason "what to change"'],
  }
  const text = renderBoard(board({ why, output: new Map([['SHOP-1', printed]]) }), SIZE).join('\n')
  expect(text).toContain('    │ line 49\n    │ line 50\n')
  expect(text).toContain('SHOP-2: It waits for your approval of abc (landing). (you, 5s)\n')
  expect(text).toContain('Press a approve, r reject · Run orch change diff SHOP-2\n')
})

test('colour is there only where it is wanted', () => {
  expect(renderBoard(board(), { ...SIZE, color: true }).join('')).toContain('\u001b[')
  expect(renderBoard(board(), SIZE).join('')).not.toContain('\u001b')
})

const MODES: [string, (start: Board) => Board][] = [
  ['the board', (start) => start],
  ['its help', (start) => typed(start, '?').board],
  ['a question', (start) => typed(start, 'c').board],
  [
    'a reason',
    (start) => typed(start, 'r', ...Array.from('Please keep the old parameter, deprecate it and tell users')).board,
  ],
  ['a stream', (start) => typed(start, 's').board],
]

test.each(MODES)('%s fits every size, with the selected task on it', (_, reach) => {
  const many = Array.from({ length: 60 }, (__, n) =>
    fakeLine({ id: `SHOP-${n}`, status: n % 2 ? 'queued' : 'running', title: `日本語 ${'word '.repeat(30)}` }),
  )
  const long = [{ text: `\t${'x'.repeat(300)} 日本語`, paint: null }]
  const output = new Map(many.map((task) => [task.id, long]))
  const why = {
    id: 'SHOP-1',
    because: 'w '.repeat(300),
    owner: 'you',
    since: new Date(NOW).toISOString(),
    actions: ['orch up'],
  }
  for (const columns of [1, 2, 10, 20, 40, 63, 80, 200])
    for (const rows of [1, 2, 3, 5, 8, 12, 24, 60]) {
      const start = reach({ ...withView(board(), view(many)), output, why, selected: 'SHOP-33' })
      const lines = renderBoard(start, { columns, rows, color: false, now: NOW })
      expect(lines.length, `${columns}×${rows}`).toBeLessThanOrEqual(rows)
      for (const line of lines) expect(displayWidth(line), `${columns}×${rows}: ${line}`).toBeLessThanOrEqual(columns)
      if (start.mode.kind === 'board' && columns >= 20 && rows >= 8)
        expect(
          lines.filter((line) => line.startsWith('> SHOP-33')),
          `${columns}×${rows}`,
        ).toHaveLength(1)
    }
})
