// The full-screen board as a value: what is shown, what a key changes, what it asks for.
// Invariant: pure; a key that writes gives a wish, and nothing that can't be taken back is wished without a question.

import type { StatusView, TaskAction, TaskLine, WhyView } from '../../../flow/app.ts'
import type { TaskStatus } from '../../../core/lifecycle.ts'
import type { Paint } from '../print.ts'
import type { ShownLine } from '../run-event-lines.ts'

export type Mode =
  | { kind: 'board' }
  | { kind: 'help' }
  /** A question; `y` carries out the action. */
  | { kind: 'question'; text: string; action: TaskAction }
  /** A reason is being typed. */
  | { kind: 'reason'; task: string; text: string }
  /** One task's run; `back` lines above its end. */
  | { kind: 'stream'; task: string; back: number }

export interface Board {
  view: StatusView
  selected: string | null
  /** Of the selected task. */
  why: WhyView | null
  /** Last lines of each followed run, by task. */
  output: ReadonlyMap<string, readonly ShownLine[]>
  mode: Mode
  /** What came of the last key. */
  notice: { text: string; paint: Paint | null } | null
}

export type Wish =
  | { kind: 'leave' }
  | { kind: 'act'; action: TaskAction }
  /** Find out what an approval would approve, then ask. */
  | { kind: 'ask-approval'; task: string }

/** A printable character, or the name of a key. */
export type Key = string

/** Who needs a person comes first. */
const ORDER: readonly TaskStatus[] = ['needs_review', 'waiting', 'running', 'queued', 'blocked', 'done', 'cancelled']

export interface Group {
  status: TaskStatus
  tasks: StatusView['tasks']
}

/** The tasks by status, in the order in which they are shown. */
export function groupsOf(view: StatusView): Group[] {
  return ORDER.map((status) => ({ status, tasks: view.tasks.filter((task) => task.status === status) })).filter(
    (group) => group.tasks.length > 0,
  )
}

/** The board with what is there now; the selection stays on its task while that is shown. */
export function withView(board: Board, view: StatusView): Board {
  const ids = shownIds(view)
  const before = shownIds(board.view).indexOf(board.selected ?? '')
  const selected =
    board.selected !== null && ids.includes(board.selected)
      ? board.selected
      : (ids[Math.min(Math.max(before, 0), ids.length - 1)] ?? null)
  return { ...board, view, selected }
}

export function selectedLine(board: Board): StatusView['tasks'][number] | null {
  return board.view.tasks.find((task) => task.id === board.selected) ?? null
}

function shownIds(view: StatusView): string[] {
  return groupsOf(view).flatMap((group) => group.tasks.map((task) => task.id))
}

interface Pressed {
  board: Board
  wish: Wish | null
}

/** What a key does. Unknown keys do nothing. */
export function press(board: Board, key: Key): Pressed {
  if (key === 'ctrl-c') return { board, wish: { kind: 'leave' } }
  switch (board.mode.kind) {
    case 'help':
      return stay({ ...board, mode: BOARD })
    case 'question':
      return pressInQuestion(board, board.mode, key)
    case 'reason':
      return pressInReason(board, board.mode, key)
    case 'stream':
      return pressInStream(board, board.mode, key)
    case 'board':
      return pressOnBoard({ ...board, notice: null }, key)
    default:
      return board.mode satisfies never
  }
}

const BOARD: Mode = { kind: 'board' }
const stay = (board: Board): Pressed => ({ board, wish: null })

function pressOnBoard(board: Board, key: Key): Pressed {
  const task = selectedLine(board)
  switch (key) {
    case 'q':
      return { board, wish: { kind: 'leave' } }
    case '?':
    case 'h':
      return stay({ ...board, mode: { kind: 'help' } })
    case 'up':
    case 'k':
      return stay(select(board, -1))
    case 'down':
    case 'j':
      return stay(select(board, 1))
    case 'page-up':
      return stay(select(board, -10))
    case 'page-down':
      return stay(select(board, 10))
    case 'home':
    case 'g':
      return stay(select(board, -Infinity))
    case 'end':
    case 'G':
      return stay(select(board, Infinity))
    default:
      return task ? pressForTask(board, task, key) : stay(board)
  }
}

function select(board: Board, by: number): Board {
  const ids = shownIds(board.view)
  const at = Math.min(Math.max(ids.indexOf(board.selected ?? '') + by, 0), ids.length - 1)
  return { ...board, selected: ids[at] ?? null }
}

function pressForTask(board: Board, task: TaskLine, key: Key): Pressed {
  const { id } = task
  switch (key) {
    case 'enter':
    case 's':
      return stay({ ...board, mode: { kind: 'stream', task: id, back: 0 } })
    case 'a':
      return { board, wish: { kind: 'ask-approval', task: id } }
    case 'r':
      return stay({ ...board, mode: { kind: 'reason', task: id, text: '' } })
    case 'p':
      return { board, wish: { kind: 'act', action: { type: task.paused ? 'resume' : 'pause', task: id } } }
    case 't':
      return { board, wish: { kind: 'act', action: { type: 'retry', task: id } } }
    case 'c': {
      const text = `Cancel ${id}? Its run is stopped, and a cancelled task can't be taken up again.`
      return stay({ ...board, mode: { kind: 'question', text, action: { type: 'cancel', task: id } } })
    }
    default:
      return stay(board)
  }
}

function pressInQuestion(board: Board, mode: Extract<Mode, { kind: 'question' }>, key: Key): Pressed {
  if (key === 'y' || key === 'Y')
    return { board: { ...board, mode: BOARD }, wish: { kind: 'act', action: mode.action } }
  if (key === 'n' || key === 'N' || key === 'q' || key === 'escape')
    return stay({ ...board, mode: BOARD, notice: { text: 'Nothing was changed.', paint: 'dim' } })
  return stay(board)
}

/** As long as a reason may get here; a longer one is for `orch reject --reason`. */
const REASON_CHARACTERS = 2_000

function pressInReason(board: Board, mode: Extract<Mode, { kind: 'reason' }>, key: Key): Pressed {
  const typed = (text: string): Pressed => stay({ ...board, mode: { ...mode, text } })
  if (key === 'escape') return stay({ ...board, mode: BOARD, notice: { text: 'Nothing was changed.', paint: 'dim' } })
  if (key === 'backspace') return typed(mode.text.replace(/.$/u, ''))
  if (key === 'enter') {
    const reason = mode.text.trim()
    if (reason === '') return stay(board)
    return {
      board: { ...board, mode: BOARD },
      wish: { kind: 'act', action: { type: 'reject', task: mode.task, reason } },
    }
  }
  const isCharacter = /^.$/u.test(key)
  return isCharacter && mode.text.length < REASON_CHARACTERS ? typed(mode.text + key) : stay(board)
}

const PAGE = 10

function pressInStream(board: Board, mode: Extract<Mode, { kind: 'stream' }>, key: Key): Pressed {
  const length = board.output.get(mode.task)?.length ?? 0
  const scroll = (by: number): Pressed =>
    stay({ ...board, mode: { ...mode, back: Math.min(Math.max(mode.back + by, 0), Math.max(0, length - 1)) } })
  switch (key) {
    case 'q':
    case 's':
    case 'escape':
    case 'enter':
    case 'backspace':
    case 'left':
      return stay({ ...board, mode: BOARD })
    case 'up':
    case 'k':
      return scroll(1)
    case 'down':
    case 'j':
      return scroll(-1)
    case 'page-up':
      return scroll(PAGE)
    case 'page-down':
      return scroll(-PAGE)
    case 'home':
    case 'g':
      return scroll(Infinity)
    case 'end':
    case 'G':
      return scroll(-Infinity)
    default:
      return stay(board)
  }
}
