import { defineCommand } from '../command.ts'
import { TASK_ID, act, needTaskId } from '../common.ts'
import { describeStatus } from '../describe-status.ts'
import { EXIT } from '../exit-codes.ts'
import { printJson, printLines } from '../print.ts'
import { sanitizeLine } from '../sanitize.ts'

export const command = defineCommand({
  summary: 'Let another agent write a task’s change from its next run on',
  details:
    'A run that is under way goes on. What waits for an agent’s limit goes on at once with the other. `none` leaves it to the configuration again.',
  positionals: [
    TASK_ID,
    { name: 'AGENT', required: true, description: 'Such as `codex`; `none` takes it back', complete: 'agent' },
  ],
  options: {},
  examples: ['orch task reroute 1 codex', 'orch task reroute SHOP-1 none'],
  mutates: true,
  async run({ positionals: [name = '', agent = ''], json }, context) {
    const task = await needTaskId(name, context)
    const view = await act({ type: 'reroute', task, agent: agent === 'none' ? null : agent }, context)
    if (json) printJson(context, view)
    else
      printLines(context, [
        sanitizeLine(
          `${view.id}: ${view.preferredAgent ? `${view.preferredAgent} writes it from its next run on` : 'the configuration says who writes it'}, now ${describeStatus(view)} at ${view.stage}`,
        ),
      ])
    return EXIT.ok
  },
})
