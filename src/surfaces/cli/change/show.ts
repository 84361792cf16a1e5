import { defineCommand } from '../command.ts'
import { TASK_ID, needReader, needTaskId } from '../common.ts'
import { describeStatus } from '../describe-status.ts'
import { EXIT } from '../exit-codes.ts'
import { pairs, paint, printJson, printLines } from '../print.ts'
import { sanitizeBlock, sanitizeLine } from '../sanitize.ts'
import { isoTime } from '../time.ts'
import { changeJson } from './change-json.ts'
import { noChange } from './no-change.ts'

export const command = defineCommand({
  summary: 'Show the change of a task with its reviews and approvals',
  positionals: [TASK_ID],
  options: {},
  examples: ['orch change show 1', 'orch change show SHOP-1 --json'],
  mutates: false,
  async run({ positionals: [name = ''], json }, context) {
    const id = await needTaskId(name, context)
    const found = (await needReader(context)).change(id)
    if (!found) throw noChange(id)
    const { change, reviews, task } = found
    if (json) {
      printJson(context, {
        ...changeJson(change),
        reviews: reviews.map((review) => ({ ...review, at: isoTime(review.at) })),
        approvals: task.approvals,
      })
      return EXIT.ok
    }
    printLines(context, [
      paint(context, 'bold', sanitizeLine(change.title.startsWith(`${id}:`) ? change.title : `${id}: ${change.title}`)),
      ...pairs(
        [
          ['State', change.state],
          ['Task', describeStatus(task)],
          ['Branch', `${change.branch} → ${change.base}`],
          ['Head', change.head],
          ['Merged as', change.mergedSha],
        ],
        context,
      ),
      ...(change.body.trim() === '' ? [] : ['', sanitizeBlock(change.body.trimEnd())]),
      ...reviews.flatMap((review) => [
        '',
        paint(context, 'bold', sanitizeLine(`${review.verdict} of ${review.sha.slice(0, 10)} by ${review.by}`)),
        sanitizeBlock(review.text.trimEnd()),
      ]),
      ...task.approvals.map((approval) =>
        sanitizeLine(
          `approved ${approval.sha.slice(0, 10)} by ${approval.by} at ${approval.at}${approval.bypass === undefined ? '' : `, passing over the definition of done: ${approval.bypass}`}`,
        ),
      ),
    ])
    return EXIT.ok
  },
})
