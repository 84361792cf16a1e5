// Verbs that do one thing to one task and need nothing more than its id.

import type { TaskView } from '../../flow/app.ts'
import { type Command, defineCommand } from './command.ts'
import { TASK_ID, act, needTaskId } from './common.ts'
import { describeStatus } from './describe-status.ts'
import { EXIT } from './exit-codes.ts'
import { printJson, printLines } from './print.ts'

export function makeActionCommand(verb: {
  type: 'retry' | 'cancel' | 'pause' | 'resume' | 'reopen'
  summary: string
  details: string
  done: (task: TaskView) => string
}): Command {
  return defineCommand({
    summary: verb.summary,
    details: verb.details,
    positionals: [TASK_ID],
    options: {},
    examples: [`orch task ${verb.type} 1`, `orch task ${verb.type} SHOP-1 --json`],
    mutates: true,
    async run({ positionals: [name = ''], json }, context) {
      const task = await needTaskId(name, context)
      const view = await act({ type: verb.type, task }, context)
      if (json) printJson(context, view)
      else printLines(context, [`${view.id}: ${verb.done(view)}, now ${describeStatus(view)} at ${view.stage}`])
      return EXIT.ok
    },
  })
}
