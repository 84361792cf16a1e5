import type { SyncView } from '../../flow/app.ts'
import { type Args, defineCommand } from './command.ts'
import { needProject } from './common.ts'
import type { CliContext } from './context.ts'
import { EXIT } from './exit-codes.ts'
import { paint, printJson, printLines } from './print.ts'
import { sanitizeLine } from './sanitize.ts'

const options = {
  'dry-run': { kind: 'flag', description: 'Say what would be done, and write nothing, neither there nor here' },
} as const

export const command = defineCommand({
  summary: 'Ask trackers and forges now what is new, and act on it',
  details:
    'What `orch up` does by itself, on webhooks and on a timer, once and at once; it may run beside it. Issues become tasks and changes are followed, but agents work only while `orch up` runs. A project that can’t be asked holds up no other; the exit code is then that of the first trouble.',
  positionals: [
    { name: 'PROJECT', required: false, description: 'Its prefix (default: all projects)', complete: 'project' },
  ],
  options,
  examples: ['orch sync --dry-run', 'orch sync SHOP', 'orch sync --json | jq ".projects[].said[]"'],
  mutates: true,
  run: runSync,
})

async function runSync(
  { positionals: [name], values, json }: Args<typeof options>,
  context: CliContext,
): Promise<number> {
  const project = name === undefined ? null : (await needProject(name, context)).id
  const view = await (await context.app()).sync({ project, dryRun: values['dry-run'] })
  if (json) printJson(context, view)
  else
    printLines(
      context,
      view.projects.flatMap((one) => projectLines(one, { view, context })),
    )
  return view.projects.find(({ trouble }) => trouble !== null)?.trouble?.exit ?? EXIT.ok
}

function projectLines(
  { project, said, trouble }: SyncView['projects'][number],
  { view, context }: { view: SyncView; context: CliContext },
): string[] {
  const nothing = said.length === 0 && trouble === null
  return [
    paint(context, 'bold', `${project}${view.dryRun ? ' (dry run: nothing is written)' : ''}`),
    ...said.map((sentence) => `  ${sanitizeLine(sentence)}`),
    ...(nothing ? ['  nothing new'] : []),
    ...(trouble ? [`  ${paint(context, 'red', '✗')} ${sanitizeLine(trouble.text)}`] : []),
  ]
}
