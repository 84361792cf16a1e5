// A task's diff and its size, for every verb that shows them.

import { noChange } from './change/no-change.ts'
import type { CliContext } from './context.ts'
import { statLines } from './diff-stat.ts'
import { EXIT } from './exit-codes.ts'
import { type Paint, paint, printJson, printLines } from './print.ts'
import { sanitizeBlock } from './sanitize.ts'

interface To {
  json: boolean
  context: CliContext
}

/** Prints the whole diff. Throws UserError(3) when there is none yet. */
export async function showDiff(task: string, { json, context }: To): Promise<number> {
  const diff = await (await context.app()).changeDiff(task)
  if (diff === null) throw noChange(task)
  if (json) printJson(context, { task, diff })
  else if (context.isTty) {
    // A terminal must not obey what stands in a file.
    const shown = sanitizeBlock(diff)
      .split('\n')
      .map((line) => paint(context, paintOf(line), line))
      .join('\n')
    if (!(await context.page(shown))) context.stdout.write(shown)
  }
  // A pipe gets the patch as it is, so that `git apply` can take it.
  else context.stdout.write(diff)
  return EXIT.ok
}

/** Prints the changed files. Throws UserError(3) when there is no change yet. */
export async function showStat(task: string, { json, context }: To): Promise<number> {
  const stat = await (await context.app()).changeStat(task)
  if (stat === null) throw noChange(task)
  if (json) printJson(context, { task, ...stat })
  else printLines(context, statLines(stat, context))
  return EXIT.ok
}

function paintOf(line: string): Paint | null {
  if (/^(?:diff |index |\+\+\+ |--- )/.test(line)) return 'bold'
  if (line.startsWith('@@')) return 'cyan'
  if (line.startsWith('+')) return 'green'
  return line.startsWith('-') ? 'red' : null
}
