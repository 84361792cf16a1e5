import type { WebhooksView } from '../../../flow/app.ts'
import { defineCommand } from '../command.ts'
import type { CliContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { type Column, printJson, printLines, table } from '../print.ts'
import { sanitizeLine } from '../sanitize.ts'
import { shortTime } from '../time.ts'

type Source = WebhooksView['sources'][number]

const COLUMNS: Column<Source>[] = [
  { title: 'SOURCE', text: (source) => source.name, paint: () => 'bold' },
  { title: 'SECRET', text: (source) => (source.signed ? 'set' : '-') },
  { title: 'LAST', text: (source) => (source.lastDeliveryAt ? shortTime(new Date(source.lastDeliveryAt)) : 'never') },
  { title: 'APPLIED', text: (source) => String(source.last24h.applied) },
  { title: 'IGNORED', text: (source) => String(source.last24h.ignored) },
  { title: 'REJECTED', text: (source) => String(source.last24h.rejected) },
  { title: 'RETRIED', text: (source) => String(source.last24h.retried) },
  { title: 'WAITING', text: (source) => String(source.last24h.received) },
  {
    title: 'FAILED',
    text: (source) => String(source.last24h.failed),
    paint: (source) => (source.last24h.failed > 0 ? 'red' : null),
  },
]

export const command = defineCommand({
  summary: 'Show whether webhooks reach Orch, and what the last 24 hours brought',
  positionals: [],
  options: {},
  examples: ['orch webhook status', 'orch webhook status --json'],
  mutates: false,
  async run({ json }, context) {
    const view = (await context.reader())?.webhooks() ?? { listening: null, sources: [] }
    if (json) printJson(context, view)
    else printLines(context, [listeningLine(view), ...sourceLines(view, context)])
    return EXIT.ok
  },
})

function listeningLine({ listening }: WebhooksView): string {
  if (!listening) return 'Nobody listens: set `webhooks: { port: … }` in config.yml and run `orch up`.'
  const where = `Listening at ${sanitizeLine(listening.url)}`
  return listening.unsigned ? `${where}; what has no signature is taken too` : where
}

function sourceLines({ sources }: WebhooksView, context: CliContext): string[] {
  return sources.length === 0 ? ['Nothing was delivered yet.'] : table(COLUMNS, sources, context)
}
