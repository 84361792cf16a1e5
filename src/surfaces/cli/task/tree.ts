import type { TaskNode } from '../../../flow/app.ts'
import { UserError } from '../../../lib/errors.ts'
import { defineCommand } from '../command.ts'
import { needProject, needReader, needTaskId } from '../common.ts'
import type { CliContext } from '../context.ts'
import { describeStatus } from '../describe-status.ts'
import { EXIT } from '../exit-codes.ts'
import { fit, displayWidth, paint, printJson, printLines } from '../print.ts'
import { sanitizeLine } from '../sanitize.ts'
import { STATUS_PAINTS } from '../status-table.ts'

export const command = defineCommand({
  summary: 'Show tasks above those they wait for, with their status',
  details: 'Without ID: every open task that no other open task waits for.',
  positionals: [
    { name: 'ID', required: false, description: 'The task at the top (default: all open ones)', complete: 'task' },
  ],
  options: { project: { kind: 'text', value: 'PREFIX', description: 'Only this project', complete: 'project' } },
  examples: ['orch task tree', 'orch task tree 4', 'orch task tree SHOP-4 --json'],
  mutates: false,
  async run({ positionals: [name], values, json }, context) {
    const project = values.project === undefined ? undefined : (await needProject(values.project, context)).id
    const reader = await context.reader()
    const task = name === undefined ? undefined : await needTaskId(name, context)
    const tree =
      task === undefined
        ? ((await reader?.tree(project ? { project } : {})) ?? [])
        : await (await needReader(context)).tree({ task })
    if (tree === null) throw new UserError(EXIT.notFound, 'no-such-task', `there is no task ${task}`)
    if (json) printJson(context, tree)
    else printLines(context, tree.length === 0 ? ['No open tasks.'] : tree.flatMap((node) => treeLines(node, context)))
    return EXIT.ok
  },
})

/** The node and everything below it. */
function treeLines(node: TaskNode, context: CliContext): string[] {
  return [lineOf(node, '', context), ...below(node, '', context)]
}

function below(node: TaskNode, indent: string, context: CliContext): string[] {
  return node.dependsOn.flatMap((child, index) => {
    const last = index === node.dependsOn.length - 1
    return [
      lineOf(child, `${indent}${last ? '└─ ' : '├─ '}`, context),
      ...below(child, `${indent}${last ? '   ' : '│  '}`, context),
    ]
  })
}

function lineOf(node: TaskNode, branch: string, context: CliContext): string {
  const status = sanitizeLine(describeStatus(node))
  const title = `${sanitizeLine(node.title)}${node.repeated ? ' (what it waits for is shown above)' : ''}`
  const before = displayWidth(`${branch}${node.id}  ${status}  `)
  const room = context.isTty ? Math.max(8, context.columns - before) : Infinity
  return `${branch}${paint(context, 'bold', node.id)}  ${paint(context, STATUS_PAINTS[node.status], status)}  ${fit(title, room)}`
}
