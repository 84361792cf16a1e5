import { defineCommand } from './command.ts'
import { TASK_ID, act, needTaskId } from './common.ts'
import { describeStatus } from './describe-status.ts'
import { EXIT } from './exit-codes.ts'
import { printJson, printLines } from './print.ts'
import { sanitizeLine } from './sanitize.ts'

export const command = defineCommand({
  summary: 'Approve the head of a task, for everything that waits for it',
  details:
    'An approval names one head: a new commit needs a new one. It covers every gate that waits on that head and says which.',
  positionals: [TASK_ID],
  options: {
    sha: { kind: 'text', value: 'SHA', description: 'Only if the head still is this commit' },
    token: {
      kind: 'text',
      value: 'TOKEN',
      description: 'Of `orch change request`, where two confirmations are wanted',
    },
    confirm: { kind: 'flag', description: 'With the token: it is meant' },
  },
  examples: [
    'orch change diff 1',
    'orch approve 1',
    'orch approve SHOP-1 --sha 1f0c9a2b6d…',
    'orch approve 1 --token TOKEN --confirm',
  ],
  mutates: true,
  async run({ positionals: [name = ''], values, json }, context) {
    const task = await needTaskId(name, context)
    const { sha, token, confirm } = values
    const given = { ...(sha === undefined ? {} : { sha }), ...(token === undefined ? {} : { token }) }
    const view = await act({ type: 'approve', task, ...given, ...(confirm ? { confirmed: true } : {}) }, context)
    if (json) {
      printJson(context, view)
      return EXIT.ok
    }
    const approval = view.approvals.at(-1)
    const covers = approval?.covers ?? []
    printLines(context, [
      `${view.id}: approved ${approval?.sha.slice(0, 10) ?? ''}, now ${describeStatus(view)} at ${sanitizeLine(view.stage)}`,
      ...(covers.length > 0 ? ['It covers:', ...covers.map((gate) => `  ${sanitizeLine(gate)}`)] : []),
    ])
    return EXIT.ok
  },
})
