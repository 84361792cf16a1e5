import { type Args, defineCommand } from '../command.ts'
import { callerOf, needProject, needTaskId, parseWholeNumber, unwrap } from '../common.ts'
import type { CliContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { printJson, printLines } from '../print.ts'
import { sanitizeLine } from '../sanitize.ts'
import { checkLabels, checkTitle, readBody } from '../task-input.ts'

const options = {
  body: { kind: 'text', value: 'TEXT', description: 'What is to be done, at length' },
  'body-file': {
    kind: 'text',
    value: 'FILE',
    description: 'Read the body from a file; - is standard input',
    complete: 'file',
  },
  label: { kind: 'list', value: 'LABEL', description: 'A label' },
  priority: { kind: 'text', value: 'N', description: 'Higher goes first (default: 0)' },
  'depends-on': { kind: 'list', value: 'ID', description: 'Wait until this task is done', complete: 'task' },
  pipeline: {
    kind: 'text',
    value: 'NAME',
    description: 'The stages it goes through (default: the project’s)',
    complete: 'pipeline',
  },
  project: {
    kind: 'text',
    value: 'PREFIX',
    description: 'Its project (default: the one of this folder)',
    complete: 'project',
  },
} as const

export const command = defineCommand({
  summary: 'Add a task',
  positionals: [{ name: 'TITLE', required: true, description: 'One line that says what is to be done' }],
  options,
  examples: [
    'orch task add "Fix the rounding in totals" --body-file note.md',
    'orch task add "Add an index page" --body "With links to all reports." --label docs --priority 5',
    'git log -1 --format=%B | orch task add "Follow up" --body-file - --depends-on 1 --json',
  ],
  mutates: true,
  run: add,
})

async function add(
  { positionals: [text = ''], values, json }: Args<typeof options>,
  context: CliContext,
): Promise<number> {
  const title = checkTitle(text)
  const labels = checkLabels(values.label)
  const priority = parseWholeNumber(values.priority ?? '0', { option: '--priority', min: -1_000, max: 1_000 })
  const body = (await readBody(values, context)) ?? ''
  const project = await needProject(values.project, context)
  const dependsOn = await Promise.all(values['depends-on'].map((id) => dependency(id, project.id, context)))
  const app = await context.app()
  const request = {
    project: project.id,
    title,
    body,
    labels,
    priority,
    dependsOn: [...new Set(dependsOn)],
    pipeline: values.pipeline ?? null,
  }
  const task = unwrap(await app.addTask(request, callerOf(context)))
  if (json) {
    printJson(context, task)
    return EXIT.ok
  }
  const service = app.reader.service()
  printLines(context, [
    `${task.id}: ${sanitizeLine(task.title)}`,
    task.status === 'blocked'
      ? `It waits for ${task.openDependencies.join(', ')}.`
      : service.running
        ? `Follow it with \`orch status --watch\`.`
        : 'Run `orch up` to have it done.',
  ])
  return EXIT.ok
}

/** A bare number means the same project as the new task's. */
function dependency(text: string, project: string, context: CliContext): Promise<string> {
  return needTaskId(/^\d+$/.test(text) ? `${project}-${text}` : text, context)
}
