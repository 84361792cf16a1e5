import { UserError } from '../../lib/errors.ts'
import { defineCommand } from './command.ts'
import { TASK_ID, act, needTaskId } from './common.ts'
import { describeStatus } from './describe-status.ts'
import { EXIT } from './exit-codes.ts'
import { printJson, printLines } from './print.ts'
import { checkText } from './task-input.ts'

export const command = defineCommand({
  summary: 'Send a change back to its developer with your reason',
  details: 'The reason is handed to the agent word for word, with a fresh budget of attempts.',
  positionals: [TASK_ID],
  options: { reason: { kind: 'text', value: 'TEXT', description: 'What is to be changed (required)' } },
  examples: ['orch reject 1 --reason "Keep the old parameter, deprecate it"'],
  mutates: true,
  async run({ positionals: [name = ''], values, json }, context) {
    const reason = checkText(values.reason ?? '', '--reason').trim()
    if (reason === '')
      throw new UserError(EXIT.usage, 'missing-reason', 'say what is to be changed: orch reject ID --reason "…"')
    const task = await needTaskId(name, context)
    const view = await act({ type: 'reject', task, reason }, context)
    if (json) printJson(context, view)
    else printLines(context, [`${view.id}: sent back with your reason, now ${describeStatus(view)} at ${view.stage}`])
    return EXIT.ok
  },
})
