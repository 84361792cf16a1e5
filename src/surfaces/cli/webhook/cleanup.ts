import { defineCommand } from '../command.ts'
import { parseWholeNumber } from '../common.ts'
import { EXIT } from '../exit-codes.ts'
import { printJson, printLines } from '../print.ts'

export const command = defineCommand({
  summary: 'Remove deliveries that were settled long ago',
  details:
    '`orch up` does it once a day with 30 days, and drops bodies after 7. What is still to be worked on is never removed, and what was given up only with --failed.',
  positionals: [],
  options: {
    'keep-days': { kind: 'text', value: 'N', description: 'Keep those of the last N days (default: 30)' },
    failed: { kind: 'flag', description: 'Remove those that were given up too' },
  },
  examples: ['orch webhook cleanup --keep-days 30', 'orch webhook cleanup --keep-days 7 --failed'],
  mutates: true,
  async run({ values, json }, context) {
    const keepDays = parseWholeNumber(values['keep-days'] ?? '30', { option: '--keep-days', min: 0, max: 36_500 })
    const removed = await (await context.app()).cleanDeliveries({ keepDays, failed: values.failed })
    if (json) printJson(context, removed)
    else printLines(context, [`Removed ${removed.removed} deliveries`])
    return EXIT.ok
  },
})
