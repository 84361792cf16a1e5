import { UserError } from '../../../lib/errors.ts'
import { type Args, defineCommand } from '../command.ts'
import { TASK_ID, act, needTaskId, parseWholeNumber } from '../common.ts'
import type { CliContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { printJson, printLines } from '../print.ts'
import { sanitizeLine } from '../sanitize.ts'
import { checkLabels, checkTitle, readBody } from '../task-input.ts'

const options = {
  title: { kind: 'text', value: 'TITLE', description: 'The new title' },
  body: { kind: 'text', value: 'TEXT', description: 'The new body' },
  'body-file': {
    kind: 'text',
    value: 'FILE',
    description: 'Read the new body from a file; - is standard input',
    complete: 'file',
  },
  label: { kind: 'list', value: 'LABEL', description: 'The labels from now on; --label= alone takes all away' },
  priority: { kind: 'text', value: 'N', description: 'Higher goes first' },
} as const

export const command = defineCommand({
  summary: 'Change the title, body, labels or priority of a task',
  details: 'The next run is given the new text; a run under way goes on with the old one.',
  positionals: [TASK_ID],
  options,
  examples: ['orch task edit 1 --priority 10', 'orch task edit SHOP-1 --title "Fix the rounding" --body-file note.md'],
  mutates: true,
  run: edit,
})

async function edit(
  { positionals: [name = ''], values, json }: Args<typeof options>,
  context: CliContext,
): Promise<number> {
  const body = await readBody(values, context)
  const clears = values.label.length === 1 && values.label[0] === ''
  const changes = {
    ...(values.title === undefined ? {} : { title: checkTitle(values.title) }),
    ...(body === undefined ? {} : { body }),
    ...(values.label.length === 0 ? {} : { labels: clears ? [] : checkLabels(values.label) }),
    ...(values.priority === undefined
      ? {}
      : { priority: parseWholeNumber(values.priority, { option: '--priority', min: -1_000, max: 1_000 }) }),
  }
  if (Object.keys(changes).length === 0) {
    throw new UserError(
      EXIT.usage,
      'nothing-to-edit',
      'say what to change: --title, --body, --body-file, --label or --priority',
    )
  }
  const task = await needTaskId(name, context)
  const view = await act({ type: 'edit', task, ...changes }, context)
  if (json) printJson(context, view)
  else printLines(context, [`${view.id}: changed ${Object.keys(changes).join(', ')}: ${sanitizeLine(view.title)}`])
  return EXIT.ok
}
