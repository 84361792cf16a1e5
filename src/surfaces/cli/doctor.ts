import type { Check } from '../../flow/app.ts'
import { defineCommand } from './command.ts'
import type { CliContext } from './context.ts'
import { EXIT } from './exit-codes.ts'
import { paint, printJson, printLines } from './print.ts'
import { sanitizeLine } from './sanitize.ts'

const MARKS = { ok: ['✓', 'green'], warning: ['!', 'yellow'], failed: ['✗', 'red'] } as const

export const command = defineCommand({
  summary: 'Check this machine, this project, the agents and the service',
  details: 'Exit code 6 when a check failed; warnings do not count.',
  positionals: [],
  options: {},
  examples: ['orch doctor', 'orch doctor --json | jq ".checks[] | select(.status != \\"ok\\")"'],
  mutates: false,
  async run({ json }, context) {
    const checks = await (await context.app()).doctor({ cwd: context.cwd })
    const failed = checks.filter((check) => check.status === 'failed').length
    if (json) printJson(context, { ok: failed === 0, checks })
    else printLines(context, checkLines(checks, context))
    return failed === 0 ? EXIT.ok : EXIT.notReady
  },
})

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
