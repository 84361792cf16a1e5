// Runs the service until it is idle and shows how it goes: a terminal sees the table, a pipe the log, a script nothing yet.

import { STATUSES, type App, type StatusView, type UpResult } from '../../flow/app.ts'
import type { CliContext } from './context.ts'
import { eventLine } from './event-lines.ts'
import { BEGIN_LIVE, END_LIVE, makeLive } from './live.ts'
import { printLines } from './print.ts'
import { sanitizeLine } from './sanitize.ts'
import { statusLines } from './status-table.ts'

/** At most five redraws a second: more can't be read. */
const REDRAW_MS = 200
/** Times count up once a second even if nothing else happens. */
const TICK_MS = 1_000

/** Works until nothing can move without a person, waiting at most `timerWaitMs` for what is due later. */
export async function runShown(
  app: App,
  shown: { json: boolean; context: CliContext; stop: AbortController; timerWaitMs: number },
): Promise<UpResult> {
  const { json, context, stop, timerWaitMs } = shown
  const table = context.isTty && !json
  const ended = new AbortController()
  const drawing = table ? drawUntil(app, { context, signal: ended.signal }) : Promise.resolve()
  try {
    return await app.up({
      untilIdle: true,
      timerWaitMs,
      signal: stop.signal,
      onEvent: (entry) => {
        const line = table || json ? null : eventLine(entry)
        if (line !== null) printLines(context, [line])
      },
      onNotice: (text) => {
        if (!table && !json) printLines(context, [sanitizeLine(text)])
      },
    })
  } finally {
    ended.abort()
    await drawing
  }
}

async function drawUntil(app: App, shown: { context: CliContext; signal: AbortSignal }): Promise<void> {
  const { context, signal } = shown
  const live = makeLive(context)
  const draw = (): void => live.draw(statusLines(allTasks(app), context))
  context.stdout.write(BEGIN_LIVE)
  try {
    while (!signal.aborted) {
      draw()
      await Promise.all([app.reader.nextChange({ timeoutMs: TICK_MS, signal }), pause(REDRAW_MS, signal)])
    }
    draw()
  } finally {
    context.stdout.write(END_LIVE)
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(done, ms)
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer)
        done()
      },
      { once: true },
    )
  })
}

/** Every task there is, ended ones too. */
export function allTasks(app: App): StatusView {
  return app.reader.status({ statuses: [...STATUSES] })
}
