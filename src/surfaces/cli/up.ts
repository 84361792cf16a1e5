import type { JournalEntry, UpResult } from '../../flow/app.ts'
import { type Args, defineCommand } from './command.ts'
import type { CliContext } from './context.ts'
import { eventLine } from './event-lines.ts'
import { EXIT } from './exit-codes.ts'
import { END_LIVE } from './live.ts'
import { printJson, printLines } from './print.ts'
import { jsonText, sanitizeLine } from './sanitize.ts'
import { countsLine } from './status-table.ts'
import { eventJson } from './task-json.ts'
import { clockTime, parseDuration } from './time.ts'

const options = {
  'until-idle': { kind: 'flag', description: 'End when nothing can move without a person' },
  'timer-wait': {
    kind: 'text',
    value: 'TIME',
    description: 'With --until-idle: wait for what is due within this time (default: 10m)',
  },
} as const

export const command = defineCommand({
  summary: 'Run the service: work on the tasks until stopped',
  details:
    'Ctrl-C stops dispatch and leaves live runs to themselves: the next `orch up` takes them up again. A second Ctrl-C ends at once (exit 130).\n' +
    'After a clean stop the exit code is 0; with --until-idle it is 130 when stopped before everything was idle.',
  positionals: [],
  options,
  examples: ['orch up', 'orch up --until-idle', 'orch up --until-idle --timer-wait 30s --json'],
  mutates: true,
  needs: ['home', 'git'],
  run: up,
})

async function up({ values, json }: Args<typeof options>, context: CliContext): Promise<number> {
  const untilIdle = values['until-idle']
  const timerWaitMs = parseDuration(values['timer-wait'] ?? '10m', '--timer-wait')
  const stop = new AbortController()
  const release = stopOnInterrupt(stop, context)
  try {
    const app = await context.app()
    const result = await app.up({
      untilIdle,
      timerWaitMs,
      signal: stop.signal,
      onEvent: (entry) => printEvent(entry, { json, context }),
      onNotice: (text) => printNotice(text, { json, context }),
    })
    printEnd(result, { json, context, interrupted: stop.signal.aborted })
    return untilIdle && stop.signal.aborted ? EXIT.interrupted : EXIT.ok
  } finally {
    release()
  }
}

/** The first Ctrl-C stops cleanly, the second at once. */
export function stopOnInterrupt(stop: AbortController, context: CliContext): () => void {
  return context.onInterrupt(() => {
    if (stop.signal.aborted) {
      if (context.isTty) context.stdout.write(END_LIVE)
      context.exitNow(EXIT.interrupted)
      return
    }
    context.stderr.write('orch: stopping; Ctrl-C again ends at once\n')
    stop.abort()
  })
}

function printEvent(entry: JournalEntry, to: { json: boolean; context: CliContext }): void {
  if (to.json) {
    printJson(to.context, eventJson(entry))
    return
  }
  const line = eventLine(entry)
  if (line !== null) printLines(to.context, [line])
}

/** Notices are for people: beside JSON they go to stderr. */
function printNotice(text: string, to: { json: boolean; context: CliContext }): void {
  const line = `${clockTime(to.context.now())} ${sanitizeLine(text)}\n`
  if (to.json) to.context.stderr.write(line)
  else to.context.stdout.write(line)
}

function printEnd(result: UpResult, to: { json: boolean; context: CliContext; interrupted: boolean }): void {
  const lines = endLines(result, to.interrupted)
  // stdout holds one JSON value a line, each an event; the end is for people.
  if (to.json)
    to.context.stderr.write(
      to.interrupted ? `${lines.join('\n')}\n` : `${jsonText({ idle: true, counts: result.counts })}\n`,
    )
  else printLines(to.context, lines)
}

/** What a person must know when the service has stopped. */
export function endLines(result: UpResult, interrupted: boolean): string[] {
  const runs = result.liveRuns.map(
    (run) =>
      `  ${run.task}: ${sanitizeLine(run.agent)} (run ${run.runId}); stop it with \`orch task cancel ${run.task}\``,
  )
  if (runs.length === 0) return [`${interrupted ? 'Stopped' : 'Idle'}: ${countsLine(result.counts)}; no run goes on`]
  return [`Stopped: ${countsLine(result.counts)}`, `These runs go on; \`orch up\` takes them up again:`, ...runs]
}
