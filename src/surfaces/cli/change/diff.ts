import { defineCommand } from '../command.ts'
import { TASK_ID, needTaskId } from '../common.ts'
import { EXIT } from '../exit-codes.ts'
import { paint, printJson } from '../print.ts'
import { sanitizeBlock } from '../sanitize.ts'
import { noChange } from './show.ts'

export const command = defineCommand({
  summary: 'Show what a task changes, as a diff',
  positionals: [TASK_ID],
  options: {},
  examples: ['orch change diff 1', 'orch change diff SHOP-1 | less'],
  mutates: false,
  async run({ positionals: [name = ''], json }, context) {
    const id = await needTaskId(name, context)
    const diff = await (await context.app()).changeDiff(id)
    if (diff === null) throw noChange(id)
    if (json) printJson(context, { task: id, diff })
    // A pipe gets the patch as it is, so that `git apply` can take it; a terminal must not obey it.
    else
      context.stdout.write(
        context.isTty
          ? sanitizeBlock(diff)
              .split('\n')
              .map((line) => colored(line, context))
              .join('\n')
          : diff,
      )
    return EXIT.ok
  },
})

function colored(line: string, context: { color: boolean }): string {
  if (/^(?:diff |index |\+\+\+ |--- )/.test(line)) return paint(context, 'bold', line)
  if (line.startsWith('@@')) return paint(context, 'cyan', line)
  if (line.startsWith('+')) return paint(context, 'green', line)
  return paint(context, line.startsWith('-') ? 'red' : null, line)
}
