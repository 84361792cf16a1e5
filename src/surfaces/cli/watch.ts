// `orch status --watch`: a full-screen board where keys can be read, redrawn on a terminal without them, printed anew in
// a pipe, one JSON line a change for scripts.

import type { StatusView } from '../../flow/app.ts'
import type { CliContext } from './context.ts'
import { EXIT } from './exit-codes.ts'
import { BEGIN_LIVE, END_LIVE, makeLive } from './live.ts'
import { printJson, printLines } from './print.ts'
import { statusKey, statusLines } from './status-table.ts'
import { statusJson } from './task-json.ts'

/** Times count up once a second even if nothing else happens. */
const TICK_MS = 1_000

export async function watchStatus(request: {
  look: () => Promise<StatusView>
  json: boolean
  context: CliContext
}): Promise<number> {
  const { look, json, context } = request
  if (context.canAsk && !json && context.env.TERM !== 'dumb') {
    const { runBoard } = await import('./board/run-board.ts')
    return runBoard({ look, next: (signal) => nextLook(context, signal), context })
  }
  const stop = new AbortController()
  const release = context.onInterrupt(() => stop.abort())
  const live = context.isTty && !json ? makeLive(context) : null
  let shownKey = ''
  if (live) context.stdout.write(BEGIN_LIVE)
  try {
    while (!stop.signal.aborted) {
      const view = await look()
      const key = statusKey(view)
      if (live) live.draw(statusLines(view, context))
      else if (key !== shownKey) printSnapshot(view, { json, context })
      shownKey = key
      await nextLook(context, stop.signal)
    }
  } finally {
    if (live) context.stdout.write(END_LIVE)
    release()
  }
  return EXIT.ok
}

function printSnapshot(view: StatusView, to: { json: boolean; context: CliContext }): void {
  if (to.json) printJson(to.context, statusJson(view))
  else printLines(to.context, [...statusLines(view, to.context), ''])
}

async function nextLook(context: CliContext, signal: AbortSignal): Promise<void> {
  const reader = await context.reader()
  if (reader) return reader.nextChange({ timeoutMs: TICK_MS, signal })
  const { setTimeout: delay } = await import('node:timers/promises')
  await delay(TICK_MS, undefined, { signal }).catch(() => undefined)
}
