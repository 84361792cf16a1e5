import type { RunEvent } from '../../flow/app.ts'
import { UserError } from '../../lib/errors.ts'
import { type Args, defineCommand } from './command.ts'
import { TASK_ID, needTaskId } from './common.ts'
import type { CliContext } from './context.ts'
import { EXIT } from './exit-codes.ts'
import { paint, printJson } from './print.ts'
import { jsonText, sanitizeBlock, sanitizeLine } from './sanitize.ts'

const options = {
  raw: { kind: 'flag', description: 'As the agent printed it, line by line' },
  from: { kind: 'text', value: 'start|now', description: 'Where to begin (default: start)' },
  run: { kind: 'text', value: 'RUNID', description: 'This run instead of the latest one' },
} as const

export const command = defineCommand({
  summary: 'Show what an agent prints, live, until its run ends',
  details: 'With --json one event a line; with --raw exactly what the agent printed.',
  positionals: [TASK_ID],
  options,
  examples: ['orch stream 1', 'orch stream 1 --from now', 'orch stream SHOP-1 --raw > run.log'],
  mutates: false,
  run: stream,
})

async function stream(
  { positionals: [name = ''], values, json }: Args<typeof options>,
  context: CliContext,
): Promise<number> {
  const from = values.from ?? 'start'
  if (from !== 'start' && from !== 'now')
    throw new UserError(EXIT.usage, 'bad-value', `--from: "${from}" is neither start nor now`)
  const task = await needTaskId(name, context)
  const stop = new AbortController()
  const release = context.onInterrupt(() => stop.abort())
  try {
    const app = await context.app()
    const output = await app.stream({
      task,
      from,
      raw: values.raw,
      signal: stop.signal,
      ...(values.run ? { runId: values.run } : {}),
    })
    if (!output) throw new UserError(EXIT.notFound, 'no-run', noRun(task, values.run))
    for await (const item of output) {
      if (stop.signal.aborted) break
      if (typeof item === 'string') printRaw(item, { json, context })
      else if (json) printJson(context, item)
      else context.stdout.write(formatRunEvent(item, context))
    }
    return stop.signal.aborted ? EXIT.interrupted : EXIT.ok
  } finally {
    release()
  }
}

function noRun(task: string, runId: string | undefined): string {
  return runId
    ? `${task} has no run ${runId}: \`orch task show ${task}\` lists its runs`
    : `${task} has had no run yet: \`orch why ${task}\` says what it waits for`
}

function printRaw(line: string, to: { json: boolean; context: CliContext }): void {
  // A pipe gets what the agent printed; a terminal must not obey it.
  const shown = to.json ? jsonText({ line }) : to.context.isTty ? sanitizeLine(line) : line
  to.context.stdout.write(`${shown}\n`)
}

/** One event as people read it, ending with a line break; empty for what only scripts want. */
export function formatRunEvent(event: RunEvent, context: Pick<CliContext, 'color'>): string {
  switch (event.type) {
    case 'started':
      return `${paint(context, 'dim', `started${event.model ? ` (${sanitizeLine(event.model)})` : ''}`)}\n`
    case 'message':
      return `${sanitizeBlock(event.text.trimEnd())}\n`
    case 'tool': {
      const mark = event.state === 'started' ? '→' : event.state === 'ok' ? '✓' : '✗'
      const text = sanitizeLine(`${mark} ${event.name}${event.detail ? ` ${event.detail}` : ''}`)
      return `${paint(context, event.state === 'failed' ? 'red' : 'dim', text)}\n`
    }
    case 'usage': {
      const cost = event.costUsd === null ? '' : `, $${event.costUsd.toFixed(4)}`
      return `${paint(context, 'dim', `${event.usage.input} tokens in, ${event.usage.output} out${cost}`)}\n`
    }
    case 'limit':
      return `${paint(context, 'yellow', `limit: ${sanitizeLine(event.text)}`)}\n`
    case 'error':
      return `${paint(context, 'red', `${event.code}: ${sanitizeBlock(event.text)}`)}\n`
    default:
      return event satisfies never
  }
}
