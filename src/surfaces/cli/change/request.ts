import type { ApprovalRequest } from '../../../flow/app.ts'
import { UserError } from '../../../lib/errors.ts'
import { defineCommand } from '../command.ts'
import { TASK_ID, callerOf, needTaskId, unwrap } from '../common.ts'
import type { CliContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { pairs, paint, printJson, printLines } from '../print.ts'
import { sanitizeBlock, sanitizeLine } from '../sanitize.ts'

export const command = defineCommand({
  summary: 'Ask for the token with which a change is approved, where two confirmations are wanted',
  details:
    'Under `approval: human-twice`: shows what would be approved and whether it is done by its definition: every gate passed at this head, the handoff of its author is kept, no thread is open at the forge. The token is shown this once, says yes to this head alone, and for 30 minutes; another request voids it. Exit code 5 when it is not done.\n' +
    '--allow-dod-bypass passes over handoff and threads, never over gates; the reason is kept with the approval.',
  positionals: [TASK_ID],
  options: {
    'allow-dod-bypass': { kind: 'text', value: 'REASON', description: 'For emergencies: ask although it is not done' },
  },
  examples: ['orch change request 1', 'orch approve 1 --token TOKEN --confirm'],
  mutates: true,
  async run({ positionals: [name = ''], values, json }, context) {
    const bypass = values['allow-dod-bypass'] ?? null
    if (bypass?.trim() === '')
      throw new UserError(EXIT.usage, 'bad-value', '--allow-dod-bypass: say why; the reason is written down')
    const task = await needTaskId(name, context)
    const request = unwrap(await (await context.app()).requestApproval({ task, bypass }, callerOf(context)))
    if (json) printJson(context, request)
    else printLines(context, lines(request, context))
    return EXIT.ok
  },
})

function lines(request: ApprovalRequest, context: CliContext): string[] {
  const { files, addedLines, deletedLines, done, bypass } = request
  return [
    paint(context, 'bold', sanitizeLine(request.title)),
    ...pairs(
      [
        ['Head', request.sha],
        ['Size', `${files} ${files === 1 ? 'file' : 'files'}, +${addedLines} −${deletedLines}`],
      ],
      context,
    ),
    ...(request.body.trim() === '' ? [] : ['', sanitizeBlock(request.body.trimEnd())]),
    '',
    paint(context, 'bold', 'Definition of done'),
    ...done.criteria.map(
      ({ met, text }) => `  ${paint(context, met ? 'green' : 'red', met ? '✓' : '✗')} ${sanitizeLine(text)}`,
    ),
    ...(bypass === null ? [] : [paint(context, 'yellow', sanitizeLine(`Passed over: ${bypass}`))]),
    '',
    `Until ${request.expiresAt}, for this head alone: orch approve ${request.task} --token ${request.token} --confirm`,
  ]
}
