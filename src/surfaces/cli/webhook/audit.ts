import type { AuditView } from '../../../flow/app.ts'
import { UserError } from '../../../lib/errors.ts'
import { type Args, defineCommand } from '../command.ts'
import { parseWholeNumber } from '../common.ts'
import type { CliContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { pairs, printJson, printLines } from '../print.ts'
import { parseDuration } from '../time.ts'

const options = {
  since: { kind: 'text', value: 'TIME', description: 'What came within this time (default: 60m)' },
  'max-lines': { kind: 'text', value: 'N', description: 'Look at no more than the newest N lines (default: 5000)' },
  'fail-on-5xx-rate': { kind: 'text', value: 'PERCENT', description: 'Exit 1 when more requests than that got a 5xx' },
  'fail-on-failed': { kind: 'text', value: 'N', description: 'Exit 1 when more than N deliveries were given up' },
  'fail-on-retries': {
    kind: 'text',
    value: 'N',
    description: 'Exit 1 when more than N attempts failed and were retried',
  },
} as const

export const command = defineCommand({
  summary: 'Sum up the audit of webhooks, and fail over a threshold: for cron and monitoring',
  details: 'The audit is ORCH_HOME/webhooks.jsonl: a line for each request and each thing that came of one.',
  positionals: [],
  options,
  examples: [
    'orch webhook audit --since 60m',
    'orch webhook audit --since 60m --fail-on-5xx-rate 5 --fail-on-failed 0 --json',
  ],
  mutates: false,
  run: audit,
})

async function audit({ values, json }: Args<typeof options>, context: CliContext): Promise<number> {
  const since = context.now() - parseDuration(values.since ?? '60m', '--since')
  const maxLines = parseWholeNumber(values['max-lines'] ?? '5000', { option: '--max-lines', min: 1, max: 1_000_000 })
  const limits = {
    rate5xx: percent(values['fail-on-5xx-rate']),
    failed: count(values['fail-on-failed'], '--fail-on-failed'),
    retries: count(values['fail-on-retries'], '--fail-on-retries'),
  }
  const reader = await context.reader()
  if (!reader) throw new UserError(6, 'no-database', 'there is no audit yet: run `orch up` with `webhooks.port` set')
  const view = await reader.webhookAudit({ since, maxLines })
  const over = [
    ...(limits.rate5xx !== null && view.rate5xx > limits.rate5xx
      ? [`${view.rate5xx} % of the requests got a 5xx, more than ${limits.rate5xx} %`]
      : []),
    ...(limits.failed !== null && view.settled.failed > limits.failed
      ? [`${view.settled.failed} deliveries were given up, more than ${limits.failed}`]
      : []),
    ...(limits.retries !== null && view.retries > limits.retries
      ? [`${view.retries} attempts failed and were retried, more than ${limits.retries}`]
      : []),
  ]
  if (json) printJson(context, { ...view, over })
  else printLines(context, [...auditLines(view, context), ...over.map((text) => `OVER: ${text}`)])
  return over.length > 0 ? EXIT.failed : EXIT.ok
}

function auditLines(view: AuditView, context: CliContext): string[] {
  const counts = (of: Record<string, number>): string =>
    Object.entries(of)
      .map(([name, n]) => `${n} ${name}`)
      .join(', ')
  return [
    ...pairs(
      [
        ['since', view.since],
        ['requests', String(view.requests)],
        ['answers', counts(Object.fromEntries(Object.entries(view.byStatus).map(([status, n]) => [`× ${status}`, n])))],
        ['5xx', `${view.rate5xx} %`],
        ['settled', counts(view.settled)],
        ['retries', String(view.retries)],
      ],
      context,
    ),
    ...pairs(
      view.reasons.map(({ reason, n }) => [`${n} ×`, reason] as const),
      context,
    ),
  ]
}

function percent(text: string | undefined): number | null {
  if (text === undefined) return null
  const value = Number(text)
  if (text.trim() !== '' && value >= 0 && value <= 100) return value
  throw new UserError(2, 'bad-value', `--fail-on-5xx-rate: "${text}" is no share between 0 and 100`)
}

function count(text: string | undefined, option: string): number | null {
  return text === undefined ? null : parseWholeNumber(text, { option, min: 0, max: 1_000_000 })
}
