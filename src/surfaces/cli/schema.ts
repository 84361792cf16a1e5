import { UserError } from '../../lib/errors.ts'
import { defineCommand } from './command.ts'
import { EXIT } from './exit-codes.ts'
import { printJson, printLines } from './print.ts'
import { nearest } from './suggest.ts'

export const command = defineCommand({
  summary: 'Print the JSON Schema of what a command prints with --json',
  details:
    'Without arguments the commands. `orch schema error` is of the line that a failing command prints to standard error. The same schemas are in the package, in schemas/cli/. Fields may be added in later versions; those named stay.',
  positionals: [
    { name: 'COMMAND', required: false, many: true, description: 'Such as `task show`', complete: 'command' },
  ],
  options: {},
  examples: ['orch schema', 'orch schema task show', 'orch schema status > status.schema.json'],
  mutates: false,
  async run({ positionals, json }, context) {
    const { OUTPUTS, outputSchema } = await import('./schemas/verbs.ts')
    const verbs = [...Object.keys(OUTPUTS), 'error']
    const name = positionals.join(' ')
    if (name === '') {
      if (json) printJson(context, verbs)
      else printLines(context, verbs)
      return EXIT.ok
    }
    const schema = outputSchema(name)
    if (!schema) {
      const near = nearest(name, verbs)
      throw new UserError(
        EXIT.notFound,
        'no-such-schema',
        `there is no command "${name}"${near ? `; did you mean \`orch schema ${near}\`?` : ''}: \`orch schema\` lists them`,
      )
    }
    context.stdout.write(`${JSON.stringify(schema, null, json ? 0 : 2)}\n`)
    return EXIT.ok
  },
})
