// `orch status --watch` on a terminal: reads the Reader at each change, follows live runs, acts through the app.
// Invariant: what is shown is the board's value; whatever goes wrong with a key is one line on it, never the end of it.

import type { App, StatusView, TaskAction } from '../../../flow/app.ts'
import { messageOf } from '../../../lib/errors.ts'
import { callerOf } from '../common.ts'
import type { CliContext } from '../context.ts'
import { describeStatus } from '../describe-status.ts'
import { statText } from '../diff-stat.ts'
import { EXIT } from '../exit-codes.ts'
import { refuseInsideRun } from '../inside-run.ts'
import type { ShownLine } from '../run-event-lines.ts'
import type { Screen } from '../terminal.ts'
import { type Board, type Wish, press, withView } from './board.ts'
import { makeFollower } from './follow-output.ts'
import { renderBoard } from './render.ts'

/** Output comes in bursts: drawn at most some thirty times a second. */
const DRAW_MS = 30

export interface BoardRequest {
  look: () => Promise<StatusView>
  /** Resolves when something changed, or times have moved on. */
  next: (signal: AbortSignal) => Promise<void>
  context: CliContext
}

/** Shows the board until it is left. Gives the exit code. */
export async function runBoard({ look, next, context }: BoardRequest): Promise<number> {
  const stop = new AbortController()
  const output = new Map<string, readonly ShownLine[]>()
  let board: Board = { view: await look(), selected: null, why: null, output, mode: { kind: 'board' }, notice: null }
  let screen: Screen | null = null
  let timer: NodeJS.Timeout | undefined

  const draw = (): void => {
    clearTimeout(timer)
    timer = undefined
    const { columns, rows, color } = context
    if (!stop.signal.aborted) screen?.draw(renderBoard(board, { columns, rows, color, now: context.now() }))
  }
  const drawSoon = (): void => {
    timer ??= setTimeout(draw, DRAW_MS)
  }
  const follower = makeFollower({ app: () => context.app(), output, changed: drawSoon })
  const update = async (): Promise<void> => {
    const view = await look()
    const reader = await context.reader()
    // Keys may have changed the board meanwhile: it is taken as it is now.
    board = withView(board, view)
    board = { ...board, why: board.selected === null ? null : (reader?.why(board.selected) ?? null) }
    follower.follow(board.view.tasks, board.mode.kind === 'stream' ? board.mode.task : null)
    draw()
  }
  const tell = (text: string, paint: 'red' | 'green'): void => {
    board = { ...board, notice: { text, paint } }
  }
  const onKey = (key: string): void => {
    const pressed = press(board, key)
    board = pressed.board
    if (pressed.wish?.kind === 'leave') return stop.abort()
    draw()
    void fulfil(pressed.wish)
      .catch((error: unknown) => tell(messageOf(error), 'red'))
      .then(update)
      .catch((error: unknown) => tell(messageOf(error), 'red'))
  }
  async function fulfil(wish: Wish | null): Promise<void> {
    if (wish?.kind === 'ask-approval') {
      const asked = await askApproval(wish.task, context)
      if (board.mode.kind === 'board') board = { ...board, ...asked }
    }
    if (wish?.kind === 'act') {
      const { text, ok } = await carryOut(wish.action, context)
      tell(text, ok ? 'green' : 'red')
    }
  }

  const release = context.onInterrupt(() => stop.abort())
  screen = await context.screen({ onKey, onResize: draw, onEnd: () => stop.abort() })
  try {
    while (!stop.signal.aborted) {
      await update()
      await next(stop.signal)
    }
  } finally {
    clearTimeout(timer)
    screen.close()
    release()
    follower.stop()
  }
  return EXIT.ok
}

/** The question before an approval: which head, and how much it changes. The answer approves that head and no other. */
async function askApproval(task: string, context: CliContext): Promise<Partial<Pick<Board, 'mode' | 'notice'>>> {
  const head = (await context.reader())?.task(task)?.headSha
  if (!head) return { notice: { text: `${task} has no commits yet: there is nothing to approve.`, paint: 'red' } }
  const stat = await (await context.app()).changeStat(task)
  const size = stat ? statText(stat) : 'its size is unknown'
  const text = `Approve ${task} at ${head.slice(0, 10)} (${size})?`
  return { mode: { kind: 'question', text, action: { type: 'approve', task, sha: head } } }
}

async function carryOut(action: TaskAction, context: CliContext): Promise<{ ok: boolean; text: string }> {
  refuseInsideRun(context.env, action.type)
  const app: App = await context.app()
  const answer = await app.act(action, callerOf(context))
  if (!answer.ok) return { ok: false, text: `${answer.refusal.text} [${answer.refusal.code}]` }
  const { value } = answer
  return { ok: true, text: `${value.id}: ${DONE[action.type]}, now ${describeStatus(value)} at ${value.stage}` }
}

const DONE: Record<TaskAction['type'], string> = {
  approve: 'approved',
  reject: 'sent back with your reason',
  answer: 'answered',
  retry: 'will be tried again',
  unblock: 'unblocked',
  pause: 'paused',
  resume: 'resumed',
  cancel: 'cancelled',
  reopen: 'starts the issue afresh',
  reroute: 'rerouted',
  edit: 'changed',
}
