import { STATUSES } from '../../../flow/app.ts'
import type { TaskStatus } from '../../../core/lifecycle.ts'
import { UserError } from '../../../lib/errors.ts'
import { defineCommand } from '../command.ts'
import { needProject, parseWholeNumber } from '../common.ts'
import { EXIT } from '../exit-codes.ts'
import { printJson, printLines } from '../print.ts'
import { statusLines } from '../status-table.ts'
import { lineJson } from '../task-json.ts'

export const command = defineCommand({
  summary: 'List tasks, the open ones first',
  positionals: [],
  options: {
    all: { kind: 'flag', description: 'Those that are done or cancelled too' },
    status: { kind: 'list', value: 'STATUS', description: `Only these: ${STATUSES.join(', ')}`, complete: 'status' },
    project: { kind: 'text', value: 'PREFIX', description: 'Only this project', complete: 'project' },
    limit: { kind: 'text', value: 'N', description: 'At most so many (default: 50)' },
  },
  examples: ['orch task list', 'orch task list --status needs_review', 'orch task list --all --limit 500 --json'],
  mutates: false,
  async run({ values, json }, context) {
    const statuses = values.all ? [...STATUSES] : values.status.map(checkStatus)
    const limit = parseWholeNumber(values.limit ?? '50', { option: '--limit', min: 1, max: 1_000_000 })
    const project = values.project === undefined ? undefined : await needProject(values.project, context)
    const view = (await context.reader())?.status({
      limit,
      ...(project ? { project: project.id } : {}),
      ...(statuses.length > 0 ? { statuses } : {}),
    })
    if (json) printJson(context, view?.tasks.map(lineJson) ?? [])
    else
      printLines(
        context,
        view ? statusLines(view, context) : ['No tasks: nothing is registered yet. Run `orch init` in a clone.'],
      )
    return EXIT.ok
  },
})

function checkStatus(text: string): TaskStatus {
  const status = STATUSES.find((known) => known === text)
  if (status) return status
  throw new UserError(EXIT.usage, 'bad-value', `--status: "${text}" is no status; known: ${STATUSES.join(', ')}`)
}
