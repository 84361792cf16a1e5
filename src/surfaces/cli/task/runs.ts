import type { RunView } from '../../../flow/app.ts'
import { defineCommand } from '../command.ts'
import { TASK_ID, needTask } from '../common.ts'
import type { CliContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { type Column, printJson, printLines, table } from '../print.ts'
import { shortDuration } from '../time.ts'

export const command = defineCommand({
  summary: 'List the runs of a task: who worked how long, how it ended, what it used',
  positionals: [TASK_ID],
  options: {},
  examples: ['orch task runs 1', 'orch task runs SHOP-1 --json | jq ".[].costUsd"'],
  mutates: false,
  looksAtExport: true,
  async run({ positionals: [name = ''], json }, context) {
    const task = await needTask(name, context)
    if (json) printJson(context, task.runs)
    else if (task.runs.length === 0)
      printLines(context, [`${task.id} has had no run yet: \`orch why ${task.id}\` says what it waits for`])
    else printLines(context, table(runColumns(context), task.runs, context))
    return EXIT.ok
  },
})

/** Columns of a table of runs. */
export function runColumns(context: CliContext): Column<RunView>[] {
  return [
    { title: 'RUN', text: (run) => run.id, paint: () => 'bold' },
    { title: 'STAGE', text: (run) => run.stage },
    { title: 'ROLE', text: (run) => run.role },
    { title: 'AGENT', text: (run) => run.agent },
    { title: 'MODEL', text: (run) => run.model ?? '-' },
    { title: 'TRY', text: (run) => String(run.attempt) },
    { title: 'TIME', text: (run) => runTime(run, context.now()) },
    { title: 'TOKENS', text: tokensText },
    { title: 'COST', text: (run) => (run.costUsd === undefined ? '-' : `$${run.costUsd.toFixed(4)}`) },
    {
      title: 'OUTCOME',
      text: (run) => [run.outcome, run.failure, run.text].filter(Boolean).join(': '),
      paint: (run) => (run.outcome === 'succeeded' ? 'green' : run.outcome === 'running' ? 'cyan' : 'red'),
    },
  ]
}

/** How long it took, or has taken so far. */
function runTime(run: RunView, now: number): string {
  return shortDuration((run.endedAt === null ? now : Date.parse(run.endedAt)) - Date.parse(run.startedAt))
}

/** Everything that went in, cached or not, and what came out. */
function tokensText({ usage }: RunView): string {
  const { input, output, cacheRead, cacheWrite } = usage
  return `${input + cacheRead + cacheWrite} in, ${output} out`
}
