import type { DeliveryState, DeliveryView } from '../../../flow/app.ts'
import { UserError } from '../../../lib/errors.ts'
import { defineCommand } from '../command.ts'
import { parseWholeNumber } from '../common.ts'
import { EXIT } from '../exit-codes.ts'
import { type Column, type Paint, printJson, printLines, table } from '../print.ts'
import { shortTime } from '../time.ts'

const STATES = ['received', 'applied', 'ignored', 'rejected', 'failed'] as const satisfies DeliveryState[]

const PAINTS: Partial<Record<DeliveryState, Paint>> = { failed: 'red', rejected: 'yellow', applied: 'green' }

const COLUMNS: Column<DeliveryView>[] = [
  { title: 'ID', text: (row) => String(row.id), paint: () => 'bold' },
  { title: 'AT', text: (row) => shortTime(new Date(row.receivedAt)) },
  { title: 'SOURCE', text: (row) => row.source },
  { title: 'EVENT', text: (row) => row.event },
  { title: 'STATE', text: (row) => row.state, paint: (row) => PAINTS[row.state] ?? null },
  { title: 'FAILURES', text: (row) => String(row.failures) },
  { title: 'NOTE', text: (row) => row.note ?? '' },
]

export const command = defineCommand({
  summary: 'List what was delivered, newest first, and what came of it',
  positionals: [],
  options: {
    source: { kind: 'text', value: 'NAME', description: 'Only of this driver, such as github' },
    state: { kind: 'list', value: 'STATE', description: `Only in this state: ${STATES.join(', ')}`, complete: STATES },
    limit: { kind: 'text', value: 'N', description: 'At most so many (default: 50)' },
  },
  examples: ['orch webhook deliveries', 'orch webhook deliveries --state failed --state rejected --json'],
  mutates: false,
  async run({ values, json }, context) {
    const limit = parseWholeNumber(values.limit ?? '50', { option: '--limit', min: 1, max: 1_000_000 })
    const states = values.state.map(stateOf)
    const filter = {
      limit,
      ...(values.source ? { source: values.source } : {}),
      ...(states.length > 0 ? { states } : {}),
    }
    const rows = (await context.reader())?.deliveries(filter) ?? []
    if (json) printJson(context, rows)
    else printLines(context, rows.length === 0 ? ['No such delivery.'] : table(COLUMNS, rows, context))
    return EXIT.ok
  },
})

function stateOf(text: string): DeliveryState {
  const state = STATES.find((known) => known === text)
  if (state) return state
  throw new UserError(2, 'bad-value', `--state: "${text}" is none of ${STATES.join(', ')}`)
}
