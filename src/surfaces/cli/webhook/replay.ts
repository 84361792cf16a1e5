import { defineCommand } from '../command.ts'
import { parseWholeNumber } from '../common.ts'
import { EXIT } from '../exit-codes.ts'
import { printJson, printLines } from '../print.ts'

export const command = defineCommand({
  summary: 'Have a settled delivery applied again, such as one that was given up',
  details: '`orch up` does it, at once if it runs. What it leads to is judged by how things are now.',
  positionals: [{ name: 'ID', required: true, description: 'Its number, as `orch webhook deliveries` shows it' }],
  options: {},
  examples: ['orch webhook replay 17'],
  mutates: true,
  async run({ positionals, json }, context) {
    const id = parseWholeNumber(positionals[0] ?? '', { option: 'ID', min: 1, max: Number.MAX_SAFE_INTEGER })
    const row = await (await context.app()).replayDelivery(id)
    if (json) printJson(context, row)
    else printLines(context, [`Delivery ${id} will be applied again`])
    return EXIT.ok
  },
})
