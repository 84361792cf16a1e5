import type { ChangeRow } from '../../../flow/app.ts'
import { defineCommand } from '../command.ts'
import { needProject } from '../common.ts'
import { EXIT } from '../exit-codes.ts'
import { type Column, printJson, printLines, table } from '../print.ts'
import { changeJson } from './change-json.ts'

const COLUMNS: Column<ChangeRow>[] = [
  { title: 'TASK', text: (change) => change.task, paint: () => 'bold' },
  { title: 'NO', text: (change) => String(change.number) },
  {
    title: 'STATE',
    text: (change) => change.state,
    paint: (change) => ({ open: 'cyan', merged: 'green', closed: 'dim' } as const)[change.state],
  },
  { title: 'HEAD', text: (change) => change.head.slice(0, 10) },
  { title: 'BRANCH', text: (change) => change.branch },
  { title: 'TITLE', text: (change) => change.title },
]

export const command = defineCommand({
  summary: 'List the changes: branches pushed for review and landing',
  positionals: [],
  options: { project: { kind: 'text', value: 'PREFIX', description: 'Only this project', complete: 'project' } },
  examples: ['orch change list', 'orch change list --project SHOP --json'],
  mutates: false,
  async run({ values, json }, context) {
    const project = values.project === undefined ? undefined : (await needProject(values.project, context)).id
    const changes = (await context.reader())?.changes(project) ?? []
    if (json) printJson(context, changes.map(changeJson))
    else printLines(context, changes.length === 0 ? ['No changes yet.'] : table(COLUMNS, changes, context))
    return EXIT.ok
  },
})
