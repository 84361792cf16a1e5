// The board as lines of a terminal. Pure: the same board and size give the same lines.
// Invariant: never more lines than rows, never a line wider than the columns; texts from outside are sanitised here.

import type { ServiceView, StatusView, WhyView } from '../../../flow/app.ts'
import { describeStatus } from '../describe-status.ts'
import { type Paint, displayWidth, fit, paint, wrap } from '../print.ts'
import type { ShownLine } from '../run-event-lines.ts'
import { sanitizeLine } from '../sanitize.ts'
import { STATUS_PAINTS, countsLine } from '../status-table.ts'
import { clockTime, shortDuration } from '../time.ts'
import { type Board, type Group, type Mode, groupsOf, selectedLine } from './board.ts'

export interface Size {
  columns: number
  rows: number
  color: boolean
  /** Milliseconds since 1970. */
  now: number
}

type Task = StatusView['tasks'][number]
type Span = readonly [text: string, paint: Paint | null]
interface Row {
  spans: Span[]
  /** The task that the row belongs to. */
  task: string | null
}

/** What the terminal shows. */
export function renderBoard(board: Board, size: Size): string[] {
  const lines = board.mode.kind === 'help' ? helpRows() : board.mode.kind === 'stream' ? [] : null
  const frame = board.mode.kind === 'stream' ? streamRows(board, board.mode, size) : (lines ?? boardRows(board, size))
  return frame.slice(0, Math.max(1, size.rows)).map((row) => lineOf(row, size))
}

function lineOf(row: Row, { columns, color }: Size): string {
  let left = columns
  let line = ''
  for (const [text, paintName] of row.spans) {
    const cut = fit(text, left)
    line += paint({ color }, paintName, cut)
    left -= displayWidth(cut)
    if (left <= 0 || cut !== text) break
  }
  return line
}

const plain = (text: string, paintName: Paint | null = null): Row => ({ spans: [[text, paintName]], task: null })

function boardRows(board: Board, size: Size): Row[] {
  const foot = footRows(board, size)
  const room = Math.max(1, size.rows - 1 - foot.length)
  const body = bodyRows(board, size)
  const shown = windowOf(body, { selected: board.selected, room })
  const blank = Array.from({ length: Math.max(0, room - shown.length) }, () => plain(''))
  return [headRow(board), ...shown, ...blank, ...foot]
}

function headRow({ view }: Board): Row {
  return {
    task: null,
    spans: [
      ['Orch  ', 'bold'],
      [countsLine(view.counts), null],
      [`  ${serviceText(view.service)}`, view.service.running ? 'dim' : 'yellow'],
    ],
  }
}

const serviceText = (service: ServiceView): string =>
  service.running ? `orch up runs (pid ${service.pid})` : 'orch up is not running'

/** As much of the body as there is room for, around the selected task. */
function windowOf(body: Row[], { selected, room }: { selected: string | null; room: number }): Row[] {
  if (body.length <= room) return body
  const at = Math.max(
    0,
    body.findIndex((row) => row.task === selected),
  )
  const from = Math.min(Math.max(0, at - Math.floor(room / 2)), body.length - room)
  const shown = body.slice(from, from + room)
  const below = body.length - from - room
  if (below > 0 && room > 2) shown[room - 1] = plain(`  … ${below + 1} lines below`, 'dim')
  if (from > 0 && room > 3) shown[0] = plain(`  … ${from + 1} lines above`, 'dim')
  return shown
}

function bodyRows(board: Board, size: Size): Row[] {
  const groups = groupsOf(board.view)
  if (groups.length === 0) return [plain(''), plain('No open tasks. `orch task add "…"` adds one.', 'dim')]
  const widths = columnWidths(board.view.tasks)
  // Two lines of each run's output where there is room, one or none on a low screen.
  const live = size.rows >= 20 ? 2 : size.rows >= 12 ? 1 : 0
  const rowsOf = (group: Group): Row[] => {
    const detail = Math.max(...group.tasks.map((task) => displayWidth(detailOf(task))))
    return group.tasks.flatMap((task) => [
      taskRow(task, { board, size, widths: { ...widths, detail } }),
      ...(task.status === 'running' ? liveRows(board, { task: task.id, count: live }) : []),
    ])
  }
  const rows = groups.flatMap((group) => [
    plain(`${group.status.replace('_', ' ').toUpperCase()} ${board.view.counts[group.status]}`, 'dim'),
    ...rowsOf(group),
  ])
  return board.view.more > 0 ? [...rows, plain(`… and ${board.view.more} more tasks`, 'dim')] : rows
}

interface Widths {
  id: number
  stage: number
  agent: number
  /** Of the tasks of one group. */
  detail: number
}

function columnWidths(tasks: Task[]): Omit<Widths, 'detail'> {
  const widest = (text: (task: Task) => string): number =>
    Math.max(0, ...tasks.map((task) => displayWidth(sanitizeLine(text(task)))))
  return { id: widest((t) => t.id), stage: widest((t) => t.stage), agent: widest((t) => t.agent ?? '') }
}

function taskRow(task: Task, at: { board: Board; size: Size; widths: Widths }): Row {
  const { board, size, widths } = at
  const isSelected = board.selected === task.id
  const cell = (text: string, width: number): string => {
    const safe = sanitizeLine(text)
    return `${safe}${' '.repeat(Math.max(0, width - displayWidth(safe)))}  `
  }
  const detail = detailOf(task)
  // What a narrow screen can do without goes first: the agent, how long, the stage.
  return {
    task: task.id,
    spans: [
      [isSelected ? '> ' : '  ', 'cyan'],
      [cell(task.id, widths.id), 'bold'],
      ...(size.columns >= 36 ? ([[cell(task.stage, widths.stage), STATUS_PAINTS[task.status]]] as const) : []),
      ...(widths.detail > 0 ? ([[cell(detail, widths.detail), STATUS_PAINTS[task.status]]] as const) : []),
      ...(size.columns >= 64 && task.agent ? ([[cell(task.agent, widths.agent), null]] as const) : []),
      ...(size.columns >= 48 ? ([[cell(shortDuration(size.now - task.since), 7), 'dim']] as const) : []),
      [sanitizeLine(task.title), isSelected ? 'bold' : null],
    ],
  }
}

/** What the heading of its group does not say of a task. */
function detailOf(task: Task): string {
  const parts = [
    task.status === 'waiting' ? `for ${task.waitingFor ?? 'something'}` : '',
    task.status === 'needs_review' ? (task.reasonCode ?? '') : '',
    task.stallsAt === null ? '' : `quiet, ended at ${clockTime(task.stallsAt)}`,
    task.attempt > 1 && task.status === 'running' ? `try ${task.attempt}` : '',
    task.paused && task.status !== 'done' && task.status !== 'cancelled' ? '(paused)' : '',
  ]
  return sanitizeLine(parts.filter(Boolean).join(' '))
}

function liveRows(board: Board, of: { task: string; count: number }): Row[] {
  const lines = (board.output.get(of.task) ?? []).filter((line) => line.text.trim() !== '')
  return lines.slice(lines.length - Math.min(of.count, lines.length)).map((line) => ({
    task: of.task,
    spans: [
      ['    │ ', 'dim'],
      [line.text, line.paint ?? 'dim'],
    ],
  }))
}

function footRows(board: Board, size: Size): Row[] {
  const rule = plain('─'.repeat(size.columns), 'dim')
  const why = board.why && size.rows >= 10 ? whyRows(board.why, size) : []
  return [...(size.rows >= 8 ? [rule] : []), ...why, ...promptRows(board, size)]
}

function whyRows(why: WhyView, size: Size): Row[] {
  const since = shortDuration(size.now - Date.parse(why.since))
  const sentence = sanitizeLine(`${why.id}: ${why.because} (${why.owner}, ${since})`)
  const most = size.rows >= 20 ? 3 : 1
  const lines = wrap(sentence, size.columns)
  const shown = lines.slice(0, most)
  if (lines.length > most) shown[most - 1] = fit(`${shown[most - 1]} …`, size.columns)
  const press = pressText(why.actions)
  return [...shown.map((line) => plain(line)), ...(press ? [plain(fit(press, size.columns), 'cyan')] : [])]
}

const KEYS_OF: readonly (readonly [RegExp, string])[] = [
  [/^orch approve /, 'a approve'],
  [/^orch reject /, 'r reject'],
  [/^orch task retry /, 't retry'],
  [/^orch task resume /, 'p resume'],
  [/^orch task cancel /, 'c cancel'],
]

/** What moves the task: keys where there are some, else the command to type. */
function pressText(actions: readonly string[]): string {
  const keyOf = (action: string): string | undefined => KEYS_OF.find(([pattern]) => pattern.test(action))?.[1]
  const keys = actions.flatMap((action) => keyOf(action) ?? [])
  const commands = actions.filter((action) => keyOf(action) === undefined).map((action) => sanitizeLine(action))
  return [keys.length > 0 ? `Press ${keys.join(', ')}` : '', commands.length > 0 ? `Run ${commands.join(' or ')}` : '']
    .filter(Boolean)
    .join(' · ')
}

function promptRows(board: Board, size: Size): Row[] {
  const { mode, notice } = board
  if (mode.kind === 'question') return questionRows(`${mode.text} (y/n)`, size)
  if (mode.kind === 'reason') {
    // The end is what is being typed; the beginning gives way.
    const label = `Why is ${mode.task} sent back? `
    const room = Math.max(1, size.columns - 1)
    const lines = wrap(`${label}${sanitizeLine(mode.text)}`, room).slice(-3)
    return [
      ...lines.map((line, index) => plain(index === lines.length - 1 ? `${line}▏` : line, 'yellow')),
      plain('enter sends it, esc leaves it', 'dim'),
    ]
  }
  if (notice) return questionRows(notice.text, size, notice.paint)
  return [plain(KEYS.find((keys) => displayWidth(keys) <= size.columns) ?? '? q', 'dim')]
}

function questionRows(text: string, size: Size, paintName: Paint | null = 'yellow'): Row[] {
  return wrap(sanitizeLine(text), size.columns)
    .slice(0, 3)
    .map((line) => plain(line, paintName))
}

/** The longest that fits is shown. */
const KEYS = [
  '↑↓ select · enter stream · a approve · r reject · p pause · c cancel · t retry · ? help · q leave',
  '↑↓ enter stream · a approve · r reject · p pause · c cancel · t retry · ? · q',
  'enter stream · ? help · q leave',
  '? help · q leave',
]

function helpRows(): Row[] {
  const keys: [string, string][] = [
    ['↑ ↓  j k', 'select a task'],
    ['enter  s', 'show what its run prints; the same key leads back'],
    ['a', 'approve its head, after a question'],
    ['r', 'reject it with a reason'],
    ['p', 'pause it, or let it go on'],
    ['c', 'cancel it, after a question'],
    ['t', 'try it again with a fresh budget'],
    ['g  G', 'first and last task; in a stream its beginning and end'],
    ['?', 'this help'],
    ['q  Ctrl-C', 'leave; the service and the runs go on'],
  ]
  return [
    plain('Keys', 'bold'),
    ...keys.map(([key, text]): Row => ({
      task: null,
      spans: [
        [`  ${key.padEnd(10)}`, 'cyan'],
        [text, null],
      ],
    })),
    plain(''),
    plain('Any key leads back.', 'dim'),
  ]
}

function streamRows(board: Board, mode: Extract<Mode, { kind: 'stream' }>, size: Size): Row[] {
  const task = board.view.tasks.find((one) => one.id === mode.task) ?? selectedLine(board)
  const status = task ? describeStatus({ ...task, reason: task.reasonCode }) : ''
  const head: Row = {
    task: null,
    spans: [
      [`${mode.task}  `, 'bold'],
      [sanitizeLine([task?.agent, task?.stage, status].filter(Boolean).join(' · ')), null],
      [task ? `  ${sanitizeLine(task.title)}` : '', 'dim'],
    ],
  }
  const room = Math.max(1, size.rows - 2)
  const all = board.output.get(mode.task) ?? []
  const lines = all.slice(0, all.length - Math.min(mode.back, Math.max(0, all.length - 1)))
  const shown = lastRows(lines, { room, columns: size.columns })
  const blank = Array.from({ length: Math.max(0, room - shown.length) }, () => plain(''))
  const empty = all.length === 0 ? [plain('Nothing was printed yet.', 'dim'), ...blank.slice(1)] : [...shown, ...blank]
  const foot = mode.back > 0 ? `${mode.back} lines above the end · G end · q back` : '↑↓ scroll · q back'
  return [head, ...empty, plain(foot, 'dim')]
}

/** The last lines that fit, wrapped; only as many are wrapped as are shown. */
function lastRows(lines: readonly ShownLine[], at: { room: number; columns: number }): Row[] {
  const rows: Row[] = []
  for (let index = lines.length - 1; index >= 0 && rows.length < at.room; index--) {
    const line = lines[index]
    if (line)
      rows.unshift(...wrap(line.text.replaceAll('\t', '    '), at.columns).map((text) => plain(text, line.paint)))
  }
  return rows.slice(-at.room)
}
