import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { App, RunEvent, TaskAction, TaskLine } from '../../../flow/app.ts'
import type { ScreenHandlers } from '../terminal.ts'
import { counts, fakeApp, fakeLine, fakeReader, fakeTask, orch } from '../fake-app.ts'

const HEAD = 'abcdef0123456789'

/** `orch status --watch` on a terminal whose keys the test presses. */
function watching(
  change: Partial<App> = {},
  lines: TaskLine[] = [fakeLine()],
  env: Record<string, string> = { USER: 'ann' },
) {
  let handlers: ScreenHandlers | null = null
  let frame: readonly string[] = []
  const tasks = lines.map((line) => ({ lastActivityAt: null, stallsAt: null, ...line }))
  const state = { tasks, closed: 0, acted: [] as TaskAction[] }
  let wake = (): void => undefined
  const reader = fakeReader(
    {
      status: () => ({
        tasks: state.tasks,
        counts: counts(),
        more: 0,
        service: { running: true, pid: 1, since: null },
      }),
      why: (id) => ({
        id,
        because: `Reason of ${id}.`,
        owner: 'you',
        since: '2026-01-02T11:59:00.000Z',
        actions: [`orch approve ${id}`],
      }),
      nextChange: ({ signal }) =>
        new Promise((resolve) => {
          wake = resolve
          signal?.addEventListener('abort', () => resolve())
        }),
    },
    tasks.map((line) => fakeTask({ id: line.id, headSha: HEAD })),
  )
  const app = fakeApp(
    {
      stream: async () => null,
      act: async (action) => {
        state.acted.push(action)
        return { ok: true, value: fakeTask({ id: action.task, status: 'queued' }) }
      },
      ...change,
    },
    reader,
  )
  let interrupt = (): void => undefined
  const ended = orch(['status', '--watch'], {
    app,
    env,
    isTty: true,
    canAsk: true,
    onReady: (press) => (interrupt = press),
    screen: async (given) => {
      handlers = given
      return { draw: (drawn) => (frame = drawn), close: () => (state.closed += 1) }
    },
  })
  return {
    state,
    ended,
    change: () => wake(),
    interrupt: () => interrupt(),
    end: () => handlers?.onEnd(),
    press: (...keys: string[]) => {
      for (const key of keys) handlers?.onKey(key)
    },
    async shows(text: string): Promise<void> {
      for (let waited = 0; !frame.join('\n').includes(text); waited += 5) {
        if (waited > 20_000) throw new Error(`not shown: ${text}\n${frame.join('\n')}`)
        await delay(5)
      }
    },
  }
}

test('the board shows changes as they come, and q gives the terminal back', async () => {
  const board = watching()
  await board.shows('SHOP-1: Reason of SHOP-1.')
  board.state.tasks = [{ ...fakeLine({ id: 'SHOP-7' }), lastActivityAt: null, stallsAt: null }]
  board.change()
  await board.shows('> SHOP-7')
  board.press('q')
  expect(await board.ended).toEqual({ exit: 0, stdout: '', stderr: '' })
  expect(board.state.closed).toBe(1)
})

test('an approval names the head that the question showed', async () => {
  const files = [{ path: 'a', status: 'added' as const, addedLines: 4, deletedLines: 1, binary: false }]
  const board = watching({
    changeStat: async () => ({ base: 'b', head: HEAD, files, addedLines: 4, deletedLines: 1 }),
  })
  await board.shows('> SHOP-1')
  board.press('a')
  await board.shows('Approve SHOP-1 at abcdef0123 (1 file, +4 −1)? (y/n)')
  expect(board.state.acted).toEqual([])
  board.press('y')
  await board.shows('SHOP-1: approved, now queued at develop')
  expect(board.state.acted).toEqual([{ type: 'approve', task: 'SHOP-1', sha: HEAD }])
  board.press('q')
  await board.ended
})

test('a refusal and an error are one line, and the board goes on', async () => {
  const board = watching({
    act: async (action) => {
      if (action.type === 'retry') throw new Error('the disk is full')
      return { ok: false, refusal: { code: 'task-ended', text: 'The task is done.' } }
    },
  })
  await board.shows('> SHOP-1')
  board.press('p')
  await board.shows('The task is done. [task-ended]')
  board.press('t')
  await board.shows('the disk is full')
  board.press('ctrl-c')
  expect((await board.ended).exit).toBe(0)
})

test('inside a run nothing can be changed from it', async () => {
  const board = watching({}, [fakeLine()], { ORCH_RUN: 'r7' })
  await board.shows('> SHOP-1')
  board.press('p')
  await board.shows('may not change Orch')
  expect(board.state.acted).toEqual([])
  board.press('q')
  await board.ended
})

test('live runs show their last lines; one that can not be read yet is tried again', async () => {
  let asked = 0
  async function* output(): AsyncGenerator<RunEvent> {
    yield { type: 'message', text: 'first\nsecond\nthird' }
  }
  const board = watching({
    stream: async () => {
      asked += 1
      if (asked === 1) throw new Error('never started')
      return output()
    },
  })
  await board.shows('> SHOP-1')
  board.change()
  await board.shows('    │ second\n    │ third')
  board.press('enter')
  await board.shows('first\nsecond\nthird')
  board.press('q', 'q')
  await board.ended
  expect(asked).toBe(2)
})

test.each(['interrupt', 'end'] as const)(
  'it leaves when the process or the terminal is told to end (%s)',
  async (how) => {
    const board = watching()
    await board.shows('> SHOP-1')
    board[how]()
    expect((await board.ended).exit).toBe(0)
    expect(board.state.closed).toBe(1)
  },
)
