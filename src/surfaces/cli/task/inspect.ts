import type { InspectView } from '../../../flow/app.ts'
import { UserError } from '../../../lib/errors.ts'
import { defineCommand } from '../command.ts'
import { TASK_ID, needTaskId } from '../common.ts'
import type { CliContext } from '../context.ts'
import { describeStatus } from '../describe-status.ts'
import { EXIT } from '../exit-codes.ts'
import { paint, pairs, printJson, printLines, table } from '../print.ts'
import { sanitizeLine } from '../sanitize.ts'

export const command = defineCommand({
  summary: 'Show everything that is held of a task, for finding out what went wrong',
  details:
    'The task, its policy and that policy’s hash, each run with its prompt’s hash and files, evidence, verdicts, approvals, intents, jobs, the number of events and its folders. With --json all of it at length.',
  positionals: [TASK_ID],
  options: { 'log-tails': { kind: 'flag', description: 'The last lines that each run printed, too' } },
  examples: ['orch task inspect 1', 'orch task inspect SHOP-1 --log-tails --json > report.json'],
  mutates: false,
  looksAtExport: true,
  async run({ positionals: [name = ''], values, json }, context) {
    const id = await needTaskId(name, context)
    const view = await (await context.app()).inspect(id, { logTails: values['log-tails'] })
    if (!view) throw new UserError(EXIT.notFound, 'no-such-task', `there is no task ${id}`)
    if (json) printJson(context, view)
    else printLines(context, inspectLines(view, context))
    return EXIT.ok
  },
})

function inspectLines(view: InspectView, context: CliContext): string[] {
  const { task, why, policy, step } = view
  const section = (title: string, lines: string[]): string[] =>
    lines.length === 0 ? [] : ['', paint(context, 'bold', title), ...lines]
  return [
    paint(context, 'bold', `${task.id}: ${sanitizeLine(task.title)}`),
    ...pairs(
      [
        ['Status', `${describeStatus(task)} at ${task.stage}`],
        ['Why', why.because],
        ['Step', step ? JSON.stringify(step) : null],
        ['Epoch', String(view.epoch)],
        ['Policy', policy ? `${policy.pipeline.name}, hash ${policy.configHash}` : 'not pinned yet'],
        ['Branch', task.branch],
        ['Base', task.baseSha],
        ['Head', task.headSha],
        ['Events', eventsText(view.events)],
      ],
      context,
    ),
    ...section(
      'Runs',
      view.runs.flatMap((run) => runLines(run, { task, context })),
    ),
    ...section('Evidence', view.evidence.length === 0 ? [] : table(EVIDENCE, view.evidence, context)),
    ...section('Verdicts', task.verdicts.map(verdictLine)),
    ...section(
      'Approvals',
      task.approvals.map((one) => sanitizeLine(`${one.at}  ${one.sha} by ${one.by}`)),
    ),
    ...section('Intents', view.intents.length === 0 ? [] : table(INTENTS, view.intents, context)),
    ...section('Jobs', view.jobs.length === 0 ? [] : table(JOBS, view.jobs, context)),
    ...section(
      'Faults',
      view.faults.flatMap((fault) => [
        sanitizeLine(`${fault.kind}, job ${fault.id}, ${fault.state}, failed ${fault.failures} time(s)`),
        ...fault.error.split('\n').map((line) => `  ${sanitizeLine(line)}`),
      ]),
    ),
    ...section(
      'Kept files',
      task.artifacts.map((file) => sanitizeLine(`${file.name}  ${context.home}/${file.path}`)),
    ),
    ...section(
      'Places',
      view.places.map((place) => sanitizeLine(`${place.what}  ${place.path}`)),
    ),
  ]
}

function eventsText({ count, byType }: InspectView['events']): string {
  const most = Object.entries(byType).toSorted((a, b) => b[1] - a[1])
  return `${count}: ${most.map(([type, times]) => `${type} ${times}`).join(', ')}`
}

function verdictLine(verdict: InspectView['task']['verdicts'][number]): string {
  return sanitizeLine(
    `${verdict.stage}  ${verdict.gate}  ${verdict.result}  ${verdict.sha.slice(0, 10)}  ${verdict.note}`,
  )
}

type Run = InspectView['runs'][number]

function runLines(run: Run, of: { task: InspectView['task']; context: CliContext }): string[] {
  const { context } = of
  const shown = of.task.runs.find((one) => one.id === run.id)
  const tail = (name: string, lines: readonly string[] | undefined): string[] =>
    lines && lines.length > 0
      ? [paint(context, 'dim', `    end of ${name}:`), ...lines.map((line) => `    │ ${sanitizeLine(line)}`)]
      : []
  return [
    sanitizeLine(
      `${run.id}  ${shown?.stage ?? ''}  ${shown?.agent ?? ''}  ${[shown?.outcome, shown?.failure, shown?.text].filter(Boolean).join(': ')}`,
    ),
    ...pairs(
      [
        ['    chosen', run.why],
        ['    head', run.headSha],
        ['    session', shown?.sessionId],
        ['    prompt', run.promptSha256 && `sha256 ${run.promptSha256}`],
        ...run.files.map((file) => [`    ${file.name}`, `${file.path}  ${file.bytes} bytes`] as const),
      ],
      context,
    ),
    ...tail('output.log', run.tails?.output),
    ...tail('stderr.log', run.tails?.stderr),
  ]
}

type Evidence = InspectView['evidence'][number]
const EVIDENCE = [
  { title: 'AT', text: (row: Evidence) => row.at },
  { title: 'GATE', text: (row: Evidence) => row.gate },
  { title: 'STAGE', text: (row: Evidence) => row.stage },
  { title: 'RESULT', text: (row: Evidence) => row.result },
  { title: 'SHA', text: (row: Evidence) => row.sha.slice(0, 10) },
  { title: 'TREE', text: (row: Evidence) => row.tree?.slice(0, 10) ?? '-' },
  { title: 'CONFIG', text: (row: Evidence) => row.configHash.slice(0, 10) },
]

type Intent = InspectView['intents'][number]
const INTENTS = [
  { title: 'ID', text: (row: Intent) => String(row.id) },
  { title: 'KIND', text: (row: Intent) => row.kind },
  { title: 'STATE', text: (row: Intent) => row.state },
  { title: 'OPENED', text: (row: Intent) => row.openedAt },
  { title: 'SETTLED', text: (row: Intent) => row.settledAt ?? '-' },
  { title: 'KEY', text: (row: Intent) => row.key },
]

type Job = InspectView['jobs'][number]
const JOBS = [
  { title: 'ID', text: (row: Job) => String(row.id) },
  { title: 'KIND', text: (row: Job) => row.kind },
  { title: 'STATE', text: (row: Job) => row.state },
  { title: 'EPOCH', text: (row: Job) => (row.epoch === null ? '-' : String(row.epoch)) },
  { title: 'RUNS AT', text: (row: Job) => row.runAt },
]
