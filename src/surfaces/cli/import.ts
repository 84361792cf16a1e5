import { UserError } from '../../lib/errors.ts'
import { bytesText } from './backup-lines.ts'
import { defineCommand } from './command.ts'
import type { CliContext } from './context.ts'
import { describeStatus } from './describe-status.ts'
import { EXIT } from './exit-codes.ts'
import { type Exported, readExport } from './exported.ts'
import { paint, pairs, printJson, printLines, table } from './print.ts'
import { sanitizeLine } from './sanitize.ts'
import { runColumns } from './task/runs.ts'

export const command = defineCommand({
  summary: 'Look at a task that `orch export` wrote, on any machine',
  details:
    'Checks the file and shows what is in it. It makes no task here and writes nothing: an exported task is another machine’s work, for looking at. Verbs that look at a task take the file by `--from FILE`: task show, runs, logs, diff, events, inspect, and why.\n' +
    'The file may come from anyone: it is read within bounds and checked, and nothing in it is run.',
  positionals: [{ name: 'FILE', required: true, description: 'The file; `-` for standard input', complete: 'file' }],
  options: {},
  examples: [
    'orch import task-1.json.gz',
    'orch task events SHOP-1 --from task-1.json.gz',
    'orch task diff SHOP-1 --from task-1.json.gz | less',
  ],
  mutates: false,
  async run({ positionals: [file = ''], json }, context) {
    if (file === '') throw new UserError(EXIT.usage, 'bad-value', 'FILE is empty')
    const exported = await readExport(file, context)
    if (json) printJson(context, exported)
    else printLines(context, overview(exported, { file, context }))
    return EXIT.ok
  },
})

function overview(exported: Exported, { file, context }: { file: string; context: CliContext }): string[] {
  const { inspection, events, runs, diffs, artifacts, costs, hidden, missing } = exported
  const { task, why } = inspection
  const cut = [...runs.flatMap((run) => [run.prompt, run.output, run.stderr]), ...diffs.map((one) => one.diff)].filter(
    (text) => text?.cut,
  ).length
  const bytes = runs.reduce((sum, run) => sum + (run.output?.bytes ?? 0) + (run.stderr?.bytes ?? 0), 0)
  const from = file === '-' ? 'FILE' : file
  return [
    paint(context, 'bold', sanitizeLine(`${task.id}: ${task.title}`)),
    ...pairs(
      [
        ['Exported', exported.exportedAt],
        ['Project', `${exported.project.name} (${exported.project.remote})`],
        ['Status', `${describeStatus(task)} at ${task.stage}`],
        ['Why', why.because],
        ['Events', String(events.length)],
        ['Logs', `${runs.length} run(s), ${bytesText(bytes)} printed`],
        ['Diffs', String(diffs.length)],
        ['Kept files', artifacts.map((one) => one.name).join(', ')],
        ['Cost', `$${costs.usd.toFixed(4)}`],
        ['Cut', cut === 0 ? null : `${cut} text(s) were too long and are cut`],
        ['Hidden', hidden === 0 ? null : `${hidden} text(s) that look like secrets`],
        ['Missing', missing.join('; ')],
      ],
      context,
    ),
    ...(task.runs.length === 0 ? [] : ['', ...table(runColumns(context), task.runs, context)]),
    '',
    'Look closer:',
    ...['task show', 'task events', 'task logs', 'task diff'].map((verb) =>
      sanitizeLine(`  orch ${verb} ${task.id} --from ${from}`),
    ),
  ]
}
