import type { RunView, TaskView } from '../../../flow/app.ts'
import { defineCommand } from '../command.ts'
import { TASK_ID, needTask } from '../common.ts'
import type { CliContext } from '../context.ts'
import { describeStatus } from '../describe-status.ts'
import { EXIT } from '../exit-codes.ts'
import { type Column, paint, pairs, printJson, printLines, table } from '../print.ts'
import { sanitizeBlock, sanitizeLine } from '../sanitize.ts'
import { shortDuration } from '../time.ts'

export const command = defineCommand({
  summary: 'Show all of a task: where it is, its runs, verdicts and findings',
  positionals: [TASK_ID],
  options: {},
  examples: ['orch task show 1', 'orch task show SHOP-1 --json | jq .mergedSha'],
  mutates: false,
  looksAtExport: true,
  async run({ positionals: [name = ''], json }, context) {
    const task = await needTask(name, context)
    if (json) printJson(context, task)
    else printLines(context, taskLines(task, context))
    return EXIT.ok
  },
})

function taskLines(task: TaskView, context: CliContext): string[] {
  const heading = (text: string): string[] => ['', paint(context, 'bold', text)]
  const { code, transient, infra } = task.attempts
  const { input, output, cacheRead, cacheWrite } = task.tokens
  return [
    paint(context, 'bold', `${task.id}: ${sanitizeLine(task.title)}`),
    ...pairs(
      [
        ['Status', describeStatus(task)],
        ['Reason', task.reasonText],
        ['Stage', `${task.stage} of ${task.pipeline}`],
        ['Priority', task.priority === 0 ? null : String(task.priority)],
        ['Labels', task.labels.join(', ')],
        ['Waits for', task.openDependencies.join(', ')],
        ['Waits until', task.waitingUntil],
        ['Attempts', `${code} code, ${transient} transient, ${infra} infra`],
        ['Branch', task.branch],
        ['Base', task.baseSha],
        ['Head', task.headSha],
        ['Merged as', task.mergedSha],
        ['Approvals', task.approvals.map((approval) => `${approval.sha.slice(0, 10)} by ${approval.by}`).join(', ')],
        ['Passed over', bypasses(task).join('; ')],
        ['Agent', task.preferredAgent ? `${task.preferredAgent}, because a person says so` : null],
        [
          'Cost',
          `$${task.costUsd.toFixed(4)}, tokens: ${input} in, ${output} out, ${cacheRead} cache read, ${cacheWrite} cache write`,
        ],
        ['Created', task.createdAt],
        ['Updated', task.updatedAt],
      ],
      context,
    ),
    ...(task.body.trim() === '' ? [] : [...heading('Body'), sanitizeBlock(task.body.trimEnd())]),
    ...(task.runs.length === 0 ? [] : [...heading('Runs'), ...table(runColumns(context), task.runs, context)]),
    ...(task.verdicts.length === 0 ? [] : [...heading('Verdicts'), ...table(VERDICTS, task.verdicts, context)]),
    ...(task.findings.length === 0
      ? []
      : [...heading('Findings for the next run'), ...task.findings.flatMap(findingLines)]),
    ...(task.tampering ? [...heading('Tried what no agent may do'), ...task.tampering.flatMap(tamperingLines)] : []),
    ...(task.artifacts.length === 0
      ? []
      : [
          ...heading('Kept files'),
          ...task.artifacts.map(
            (file) => `${sanitizeLine(file.name)}  ${sanitizeLine(`${context.home}/${file.path}`)}`,
          ),
        ]),
  ]
}

/** Where the definition of done was not met and somebody meant it all the same. */
function bypasses({ approvals, request }: TaskView): string[] {
  const given = approvals.flatMap(({ sha, by, bypass }) =>
    bypass === undefined ? [] : [`definition of done at ${sha.slice(0, 10)}, by ${by}: ${bypass}`],
  )
  const asked =
    request?.bypass === undefined
      ? []
      : [`definition of done at ${request.sha.slice(0, 10)}, asked for: ${request.bypass}`]
  return [...given, ...asked]
}

function runColumns(context: CliContext): Column<RunView>[] {
  return [
    { title: 'RUN', text: (run) => run.id },
    { title: 'STAGE', text: (run) => run.stage },
    { title: 'ROLE', text: (run) => run.role },
    { title: 'AGENT', text: (run) => (run.model ? `${run.agent} (${run.model})` : run.agent) },
    { title: 'TRY', text: (run) => String(run.attempt) },
    {
      title: 'TIME',
      text: (run) =>
        shortDuration((run.endedAt === null ? context.now() : Date.parse(run.endedAt)) - Date.parse(run.startedAt)),
    },
    {
      title: 'OUTCOME',
      text: (run) => [run.outcome, run.failure, run.text].filter(Boolean).join(': '),
      paint: (run) => (run.outcome === 'succeeded' ? 'green' : run.outcome === 'running' ? 'cyan' : 'red'),
    },
  ]
}

const VERDICTS: Column<TaskView['verdicts'][number]>[] = [
  { title: 'STAGE', text: (verdict) => verdict.stage },
  { title: 'GATE', text: (verdict) => verdict.gate },
  {
    title: 'RESULT',
    text: (verdict) => verdict.result,
    paint: (verdict) => ({ pass: 'green', fail: 'red', wait: 'yellow', unknown: 'yellow' } as const)[verdict.result],
  },
  { title: 'SHA', text: (verdict) => verdict.sha.slice(0, 10) },
  { title: 'NOTE', text: (verdict) => verdict.note },
]

function tamperingLines(one: NonNullable<TaskView['tampering']>[number]): string[] {
  return one.tried.map((tried) => sanitizeLine(`run ${one.run} (${one.agent}): ${tried}`))
}

function findingLines(finding: TaskView['findings'][number]): string[] {
  const where = finding.file ? ` ${finding.file}${finding.line ? `:${finding.line}` : ''}` : ''
  return [
    sanitizeLine(`${finding.severity} ${finding.gate}${where}`),
    ...sanitizeBlock(finding.text.trimEnd())
      .split('\n')
      .map((line) => `  ${line}`),
  ]
}
