import { defineCommand } from '../command.ts'
import { TASK_ID, needTaskId } from '../common.ts'
import { showDiff } from '../show-diff.ts'

export const command = defineCommand({
  summary: 'Show what a task changes, as a diff',
  details:
    'The same as `orch task diff`. On a terminal it is shown in your pager (GIT_PAGER, core.pager, PAGER, less).',
  positionals: [TASK_ID],
  options: {},
  examples: ['orch change diff 1', 'orch change diff SHOP-1 | git apply --check'],
  mutates: false,
  async run({ positionals: [name = ''], json }, context) {
    return showDiff(await needTaskId(name, context), { json, context })
  },
})
