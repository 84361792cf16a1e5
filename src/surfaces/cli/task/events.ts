import { defineCommand } from '../command.ts'
import { TASK_ID, needReader, needTaskId } from '../common.ts'
import { eventSentence } from '../event-lines.ts'
import { EXIT } from '../exit-codes.ts'
import { printJson, printLines, table } from '../print.ts'
import { eventJson } from '../task-json.ts'

export const command = defineCommand({
  summary: 'Show the journal of a task, oldest first',
  positionals: [TASK_ID],
  options: {},
  examples: ['orch task events 1', 'orch task events SHOP-1 --json | jq -r ".[].type"'],
  mutates: false,
  looksAtExport: true,
  async run({ positionals: [name = ''], json }, context) {
    const id = await needTaskId(name, context)
    const events = (await needReader(context)).events(id)
    if (json) {
      printJson(context, events.map(eventJson))
      return EXIT.ok
    }
    const columns = [
      { title: 'TIME', text: (event: (typeof events)[number]) => new Date(event.at).toISOString() },
      { title: 'BY', text: (event: (typeof events)[number]) => event.actor.name },
      { title: 'EVENT', text: (event: (typeof events)[number]) => event.type },
      { title: 'WHAT', text: (event: (typeof events)[number]) => eventSentence(event) ?? '' },
    ]
    printLines(context, table(columns, events, context))
    return EXIT.ok
  },
})
