import type { PipelineView } from '../../../flow/app.ts'
import { defineCommand } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { type Column, printJson, printLines, table } from '../print.ts'

const COLUMNS: Column<PipelineView>[] = [
  { title: 'PIPELINE', text: (pipeline) => pipeline.name, paint: () => 'bold' },
  { title: 'FROM', text: (pipeline) => pipeline.source },
  { title: 'STAGES', text: (pipeline) => pipeline.stages.map((stage) => stage.name).join(' → ') || '-' },
  {
    title: 'ABOUT',
    text: (pipeline) =>
      pipeline.problems.length > 0
        ? `${pipeline.problems.length} problem(s): orch pipeline validate ${pipeline.file}`
        : pipeline.description,
    paint: (pipeline) => (pipeline.problems.length > 0 ? 'red' : null),
  },
]

export const command = defineCommand({
  summary: 'List the pipelines that a task of this folder’s project can go through',
  positionals: [],
  options: {},
  examples: ['orch pipeline list'],
  mutates: false,
  async run({ json }, context) {
    const pipelines = await (await context.app()).pipelines(context.cwd)
    if (json) printJson(context, pipelines)
    else printLines(context, table(COLUMNS, pipelines, context))
    return EXIT.ok
  },
})
