import { defineCommand } from './command.ts'
import { EXIT } from './exit-codes.ts'
import { printJson, printLines } from './print.ts'

export const command = defineCommand({
  summary: 'Show the version of Orch and of Node',
  positionals: [],
  options: {},
  examples: ['orch version'],
  mutates: false,
  async run({ json }, context) {
    const value = { version: context.version(), node: process.versions.node }
    if (json) printJson(context, value)
    else printLines(context, [`orch ${value.version} (Node ${value.node})`])
    return EXIT.ok
  },
})
