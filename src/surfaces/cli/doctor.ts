import { type Check, type DoctorReport, PROFILES, type Profile } from '../../flow/app.ts'
import { UserError } from '../../lib/errors.ts'
import { type Args, defineCommand } from './command.ts'
import type { CliContext } from './context.ts'
import { EXIT } from './exit-codes.ts'
import { paint, printJson, printLines } from './print.ts'
import { sanitizeLine } from './sanitize.ts'

const MARKS = { ok: ['✓', 'green'], warning: ['!', 'yellow'], failed: ['✗', 'red'] } as const

const options = {
  profile: {
    kind: 'list',
    value: 'NAME',
    description: `Only this part: ${PROFILES.join(', ')}; several with commas`,
    complete: PROFILES,
  },
  fix: { kind: 'flag', description: 'Mend what is safe, and say what was mended' },
} as const

export const command = defineCommand({
  summary: 'Check this machine, this project, the agents and the service',
  details:
    'Exit code 6 when a check failed; warnings do not count. It works when things are broken: what can’t be opened is a failed check.\n' +
    '--fix removes workspaces and logins of tasks that are over (what is not committed is saved first), ends processes that nobody waits for, closes the books of runs that died, queues steps that lost their job, and deletes remote branches of ended tasks where they still are as Orch pushed them. It leaves alone what a running `orch up` may be at.',
  positionals: [],
  options,
  examples: [
    'orch doctor',
    'orch doctor --profile host,service',
    'orch doctor --fix',
    'orch doctor --json | jq ".checks[] | select(.status != \\"ok\\")"',
  ],
  mutates: false,
  run: runDoctor,
})

async function runDoctor({ values, json }: Args<typeof options>, context: CliContext): Promise<number> {
  const profiles = readProfiles(values.profile)
  if (values.fix) (await import('./inside-run.ts')).refuseInsideRun(context.env, 'doctor --fix')
  const report = await context.doctor({ cwd: context.cwd, profiles, fix: values.fix })
  const failed = report.checks.filter((check) => check.status === 'failed').length
  if (json) printJson(context, { ok: failed === 0, ...report })
  else printLines(context, [...checkLines(report.checks, context), ...(values.fix ? fixLines(report, context) : [])])
  return failed === 0 ? EXIT.ok : EXIT.notReady
}

/** Throws UserError(2) for a name that is none. */
function readProfiles(given: readonly string[]): Profile[] {
  const words = given.flatMap((text) => text.split(',')).map((word) => word.trim())
  for (const word of words) {
    if (!PROFILES.some((profile) => profile === word))
      throw new UserError(EXIT.usage, 'bad-value', `--profile: "${word}" is no part; known: ${PROFILES.join(', ')}`)
  }
  return PROFILES.filter((profile) => words.length === 0 || words.includes(profile))
}

function checkLines(checks: Check[], context: Pick<CliContext, 'color'>): string[] {
  const profiles = [...new Set(checks.map((check) => check.profile))]
  const width = Math.max(0, ...checks.map((check) => check.name.length))
  const lines = profiles.flatMap((profile) => [
    paint(context, 'bold', profile),
    ...checks
      .filter((check) => check.profile === profile)
      .flatMap((check) => {
        const [mark, color] = MARKS[check.status]
        return [
          `  ${paint(context, color, mark)} ${check.name.padEnd(width)}  ${sanitizeLine(check.text)}`,
          ...(check.fix ? [`    ${' '.repeat(width)}  ${paint(context, 'dim', `→ ${sanitizeLine(check.fix)}`)}`] : []),
        ]
      }),
  ])
  const count = (status: Check['status']): number => checks.filter((check) => check.status === status).length
  return [...lines, '', `${count('ok')} fine, ${count('warning')} warnings, ${count('failed')} failed`]
}

function fixLines({ fixed, notFixed }: DoctorReport, context: Pick<CliContext, 'color'>): string[] {
  const part = (title: string, lines: string[]): string[] =>
    lines.length === 0 ? [] : ['', paint(context, 'bold', title), ...lines.map((line) => `  ${sanitizeLine(line)}`)]
  if (fixed.length + notFixed.length === 0) return ['', 'Nothing was to be mended']
  return [...part('Mended', fixed), ...part('Not mended', notFixed)]
}
