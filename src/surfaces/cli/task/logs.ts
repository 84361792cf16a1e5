import type { RunEvent } from '../../../flow/app.ts'
import { UserError } from '../../../lib/errors.ts'
import { type Args, defineCommand } from '../command.ts'
import { TASK_ID, needTaskId, parseWholeNumber } from '../common.ts'
import type { CliContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { noRun } from '../no-run.ts'
import { printRunItem } from '../print-run-item.ts'

const options = {
  run: { kind: 'text', value: 'RUNID', description: 'This run instead of the latest one', complete: 'run' },
  raw: { kind: 'flag', description: 'As the agent printed it, line by line' },
  stderr: { kind: 'flag', description: 'What it printed to standard error' },
  prompt: { kind: 'flag', description: 'The prompt it was given' },
  tail: { kind: 'text', value: 'N', description: 'Only the last N entries (lines with --raw, --stderr, --prompt)' },
} as const

export const command = defineCommand({
  summary: 'Show what a run printed so far, or what it was asked',
  details: 'Does not wait for more: `orch stream ID` follows a run. With --json one object a line.',
  positionals: [TASK_ID],
  options,
  examples: [
    'orch task logs 1',
    'orch task logs 1 --tail 20',
    'orch task logs SHOP-1 --run SHOP-1-2 --raw > run.jsonl',
  ],
  mutates: false,
  looksAtExport: true,
  run: logs,
})

async function logs(
  { positionals: [name = ''], values, json }: Args<typeof options>,
  context: CliContext,
): Promise<number> {
  if (values.stderr && values.prompt)
    throw new UserError(EXIT.usage, 'two-logs', 'ask for --stderr or for --prompt, not for both')
  const tail =
    values.tail === undefined ? null : parseWholeNumber(values.tail, { option: '--tail', min: 0, max: 10_000_000 })
  const task = await needTaskId(name, context)
  const found = (await context.app()).logs({
    task,
    of: values.stderr ? 'stderr' : values.prompt ? 'prompt' : 'output',
    raw: values.raw,
    ...(values.run ? { runId: values.run } : {}),
  })
  if (!found) throw noRun(task, values.run)
  for await (const item of tail === null ? found.lines : lastOf(found.lines, tail))
    printRunItem(item, { task, json, context })
  return EXIT.ok
}

/** The last items, when all have been read; never more than twice as many are held. */
async function* lastOf(items: AsyncIterable<RunEvent | string>, count: number): AsyncGenerator<RunEvent | string> {
  let kept: (RunEvent | string)[] = []
  for await (const item of items) {
    kept.push(item)
    if (kept.length > 2 * count + 1_000) kept = lastItems(kept, count)
  }
  yield* lastItems(kept, count)
}

const lastItems = <T>(items: T[], count: number): T[] => items.slice(items.length - Math.min(count, items.length))
