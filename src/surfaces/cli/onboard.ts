import type { OnboardStep, OnboardView } from '../../flow/app.ts'
import { UserError } from '../../lib/errors.ts'
import { type Args, defineCommand } from './command.ts'
import { needProject } from './common.ts'
import type { CliContext } from './context.ts'
import { EXIT } from './exit-codes.ts'
import { paint, printJson, printLines } from './print.ts'
import { sanitizeLine } from './sanitize.ts'

const MARKS: Record<OnboardStep['state'], [string, 'green' | 'yellow' | 'red']> = {
  there: ['✓', 'green'],
  made: ['+', 'green'],
  mended: ['+', 'green'],
  missing: ['!', 'yellow'],
  impossible: ['✗', 'red'],
}

const options = {
  plan: { kind: 'flag', description: 'Say what is there and what is missing; reads only (default)' },
  apply: { kind: 'flag', description: 'Make what is missing; deletes nothing, and again it changes nothing' },
  verify: { kind: 'flag', description: 'Look again, permissions too; exit code 6 when something is missing' },
  url: {
    kind: 'text',
    value: 'https://HOST',
    description: 'Where the vendor reaches the webhooks of `orch up`; remembered once applied',
  },
} as const

export const command = defineCommand({
  summary: 'Prepare a project at its tracker and forge: labels, columns, webhook',
  details:
    'The labels that show a status, those that make an issue a task, the columns that the configuration names, and the webhook, whose secret is read from ORCH_GITHUB_WEBHOOK_SECRET (ORCH_GITEA_…, ORCH_PLANE_…). The vendor’s name is put behind the address: https://HOST/webhooks/github.',
  positionals: [
    {
      name: 'PROJECT',
      required: false,
      description: 'Its prefix (default: the project of this folder)',
      complete: 'project',
    },
  ],
  options,
  examples: [
    'orch onboard SHOP',
    'ORCH_GITHUB_WEBHOOK_SECRET=… orch onboard SHOP --apply --url https://orch.example.org',
    'orch onboard SHOP --verify --json',
  ],
  mutates: true,
  run: onboard,
})

async function onboard(
  { positionals: [name], values, json }: Args<typeof options>,
  context: CliContext,
): Promise<number> {
  const asked = (['plan', 'apply', 'verify'] as const).filter((mode) => values[mode])
  if (asked.length > 1)
    throw new UserError(EXIT.usage, 'bad-value', `--${asked.join(' and --')} can't be had together: give one`)
  const project = await needProject(name, context)
  const app = await context.app()
  const view = await app.onboard(project.id, { mode: asked[0] ?? 'plan', url: values.url ?? null })
  if (json) printJson(context, view)
  else printLines(context, lines(view, context))
  return view.ok || view.mode === 'plan' ? EXIT.ok : EXIT.notReady
}

function lines(view: OnboardView, context: CliContext): string[] {
  const places = [...new Set(view.steps.map(({ at }) => at))]
  const missing = view.steps.filter(({ state }) => state === 'missing' || state === 'impossible').length
  return [
    ...places.flatMap((place) => [
      paint(context, 'bold', sanitizeLine(place)),
      ...view.steps.filter(({ at }) => at === place).map((step) => stepLine(step, context)),
    ]),
    ...view.notes.map(sanitizeLine),
    '',
    missing === 0 ? 'Nothing is missing.' : `${missing} of ${view.steps.length} are missing${nextOf(view)}`,
    ...(view.mode === 'plan'
      ? ['', 'In .orch.yml it could say:', ...view.config.trimEnd().split('\n').map(indented)]
      : []),
  ]
}

function stepLine({ state, text }: OnboardStep, context: CliContext): string {
  const [mark, color] = MARKS[state]
  return `  ${paint(context, color, mark)} ${sanitizeLine(text)}${state === 'there' ? '' : ` (${state})`}`
}

function nextOf({ mode, project }: OnboardView): string {
  return mode === 'apply' ? '.' : `: \`orch onboard ${project} --apply\` makes what it can.`
}

const indented = (line: string): string => `  ${sanitizeLine(line)}`
