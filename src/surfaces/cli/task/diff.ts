import { defineCommand } from '../command.ts'
import { TASK_ID, needTaskId } from '../common.ts'
import { showDiff, showStat } from '../show-diff.ts'

export const command = defineCommand({
  summary: 'Show what a task changes against its base, as a diff or as its size',
  details:
    'On a terminal the diff is coloured and shown in your pager, chosen as git does: GIT_PAGER, core.pager of your global configuration, PAGER, less. A pipe gets the patch as it is.',
  positionals: [TASK_ID],
  options: { stat: { kind: 'flag', description: 'Only the changed files and how many lines' } },
  examples: ['orch task diff 1', 'orch task diff 1 --stat', 'orch task diff SHOP-1 | git apply --check'],
  mutates: false,
  looksAtExport: true,
  async run({ positionals: [name = ''], values, json }, context) {
    const id = await needTaskId(name, context)
    return values.stat ? showStat(id, { json, context }) : showDiff(id, { json, context })
  },
})
