import type { ConfigSource } from '../../../flow/app.ts'
import { UserError } from '../../../lib/errors.ts'
import { defineCommand } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { type Column, printJson, printLines, table } from '../print.ts'

const COLUMNS: Column<ConfigSource>[] = [
  { title: 'KEY', text: (source) => source.key, paint: () => 'bold' },
  { title: 'FROM', text: (source) => source.source },
  {
    title: 'VALUE',
    text: (source) => (typeof source.value === 'string' ? source.value : (JSON.stringify(source.value) ?? '-')),
  },
]

export const command = defineCommand({
  summary: 'Say which value holds and where it comes from',
  details: 'Flag over environment (ORCH_*) over the project’s .orch.yml over ~/.orch/config.yml over the default.',
  positionals: [
    {
      name: 'KEY',
      required: false,
      description: 'A key such as `limits.attempts` (default: all)',
      complete: 'config-key',
    },
  ],
  options: {},
  examples: ['orch config explain', 'orch config explain limits.attempts'],
  mutates: false,
  async run({ positionals: [key], json }, context) {
    const sources = await (await context.app()).configExplain(context.cwd, key ?? null)
    if (key !== undefined && sources.length === 0) {
      throw new UserError(
        EXIT.notFound,
        'no-such-key',
        `there is no key "${key}": \`orch config explain\` lists all of them`,
      )
    }
    if (json) printJson(context, sources)
    else printLines(context, table(COLUMNS, sources, context))
    return EXIT.ok
  },
})
