import { defineCommand } from '../command.ts'
import { EXIT } from '../exit-codes.ts'

export const command = defineCommand({
  summary: 'Print the JSON Schema of .orch.yml, of your config.yml or of a pipeline, for editors',
  positionals: [],
  options: {
    user: { kind: 'flag', description: 'Of your own ORCH_HOME/config.yml instead' },
    pipeline: { kind: 'flag', description: 'Of pipeline files instead' },
  },
  examples: ['orch config schema > orch.schema.json', 'orch config schema --user', 'orch config schema --pipeline'],
  mutates: false,
  async run({ values, json }, context) {
    const schema = (await context.app()).configSchema(values.pipeline ? 'pipeline' : values.user ? 'user' : 'config')
    context.stdout.write(`${JSON.stringify(schema, null, json ? 0 : 2)}\n`)
    return EXIT.ok
  },
})
