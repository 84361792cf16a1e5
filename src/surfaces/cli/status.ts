import { STATUSES, type Reader, type StatusView } from '../../flow/app.ts'
import type { TaskStatus } from '../../core/lifecycle.ts'
import { defineCommand } from './command.ts'
import type { CliContext } from './context.ts'
import { EXIT } from './exit-codes.ts'
import { printJson, printLines } from './print.ts'
import { statusJson } from './task-json.ts'
import { statusLines } from './status-table.ts'

export const command = defineCommand({
  summary: 'Show the open tasks (at most 50) and counts',
  positionals: [],
  options: {
    watch: { kind: 'flag', short: 'w', description: 'Stay and redraw whenever something changes; Ctrl-C ends it' },
    all: { kind: 'flag', description: 'Show tasks that are done or cancelled too' },
    project: { kind: 'text', value: 'PREFIX', description: 'Only this project', complete: 'project' },
  },
  examples: ['orch status', 'orch status --watch', 'orch status --json | jq .counts'],
  mutates: false,
  async run({ values, json }, context) {
    const project = values.project?.toUpperCase()
    const look = async (): Promise<StatusView> => {
      const reader = await context.reader()
      return reader
        ? reader.status({ ...(project ? { project } : {}), ...(values.all ? { statuses: [...STATUSES] } : {}) })
        : EMPTY
    }
    if (project) await knownProject(project, context)
    if (values.watch) {
      const { watchStatus } = await import('./watch.ts')
      return watchStatus({ look, json, context })
    }
    const view = await look()
    if (json) printJson(context, statusJson(view))
    else printLines(context, statusLines(view, context))
    return EXIT.ok
  },
})

async function knownProject(project: string, context: CliContext): Promise<void> {
  const reader: Reader | null = await context.reader()
  if (reader?.projects().some((known) => known.id === project)) return
  const { UserError } = await import('../../lib/errors.ts')
  throw new UserError(
    EXIT.notFound,
    'no-such-project',
    `there is no project ${project}: \`orch project list\` shows them`,
  )
}

/** Before anything was ever registered. */
const EMPTY: StatusView = {
  tasks: [],
  counts: Object.fromEntries(STATUSES.map((status) => [status, 0])) as Record<TaskStatus, number>,
  more: 0,
  service: { running: false, pid: null, since: null },
}
