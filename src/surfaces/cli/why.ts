import { UserError } from '../../lib/errors.ts'
import { defineCommand } from './command.ts'
import { TASK_ID, needReader, needTaskId } from './common.ts'
import { EXIT } from './exit-codes.ts'
import { paint, printJson, printLines } from './print.ts'
import { sanitizeLine } from './sanitize.ts'
import { shortDuration } from './time.ts'

export const command = defineCommand({
  summary: 'Say why a task is where it is, whose move it is, and what moves it',
  positionals: [TASK_ID],
  options: {},
  examples: ['orch why 1', 'orch why SHOP-1 --json'],
  mutates: false,
  looksAtExport: true,
  async run({ positionals: [name = ''], json }, context) {
    const id = await needTaskId(name, context)
    const why = (await needReader(context)).why(id)
    if (!why) throw new UserError(EXIT.notFound, 'no-such-task', `there is no task ${id}`)
    if (json) {
      printJson(context, why)
      return EXIT.ok
    }
    const heading = `${paint(context, 'bold', why.id)}: ${sanitizeLine(why.because)}`
    const owner = `Its move: ${sanitizeLine(why.owner)}, for ${shortDuration(context.now() - Date.parse(why.since))}`
    printLines(context, [
      heading,
      owner,
      ...(why.actions.length > 0
        ? ['What you can do:', ...why.actions.map((action) => `  ${sanitizeLine(action)}`)]
        : []),
    ])
    return EXIT.ok
  },
})
