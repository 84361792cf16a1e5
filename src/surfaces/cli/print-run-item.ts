// One item of a run's output, printed as every verb that shows runs prints it.

import type { RunEvent } from '../../flow/app.ts'
import type { CliContext } from './context.ts'
import { type Paint, paint, printJson } from './print.ts'
import { runEventLines } from './run-event-lines.ts'
import { sanitizeLine } from './sanitize.ts'

export interface RunItemStyle {
  task: string
  json: boolean
  context: CliContext
  /** Put before each line where several tasks share the screen. */
  prefix?: { text: string; paint: Paint }
}

/** Prints an event as lines, a raw line as it is; with `json` one object a line that names the task. */
export function printRunItem(item: RunEvent | string, style: RunItemStyle): void {
  const { task, json, context, prefix } = style
  if (json) {
    printJson(context, typeof item === 'string' ? { task, line: item } : { task, ...item })
    return
  }
  const before = prefix ? `${paint(context, prefix.paint, `${prefix.text} │`)} ` : ''
  // A pipe gets what the agent printed; a terminal must not obey it.
  const lines =
    typeof item === 'string'
      ? [context.isTty ? sanitizeLine(item) : item]
      : runEventLines(item).map((line) => paint(context, line.paint, line.text))
  context.stdout.write(lines.map((line) => `${before}${line}\n`).join(''))
}
