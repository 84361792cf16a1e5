import { UserError } from '../../lib/errors.ts'
import { defineCommand } from './command.ts'
import { TASK_ID, act, needTaskId } from './common.ts'
import { describeStatus } from './describe-status.ts'
import { EXIT } from './exit-codes.ts'
import { printJson, printLines } from './print.ts'
import { checkText } from './task-input.ts'

export const command = defineCommand({
  summary: 'Answer what the agent asked',
  positionals: [
    TASK_ID,
    { name: 'TEXT', required: true, description: 'The answer, handed to the agent word for word' },
  ],
  options: {},
  examples: ['orch why 1', 'orch answer 1 "Round half to even, as the invoices do"'],
  mutates: true,
  async run({ positionals: [name = '', answer = ''], json }, context) {
    const text = checkText(answer, 'the answer').trim()
    if (text === '') throw new UserError(EXIT.usage, 'empty-answer', 'the answer is empty')
    const task = await needTaskId(name, context)
    const view = await act({ type: 'answer', task, text }, context)
    if (json) printJson(context, view)
    else printLines(context, [`${view.id}: answered, now ${describeStatus(view)} at ${view.stage}`])
    return EXIT.ok
  },
})
