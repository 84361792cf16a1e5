import { defineCommand } from '../command.ts'
import { printProblems } from '../problems.ts'

export const command = defineCommand({
  summary: 'Check the configuration that holds in this folder',
  details: 'Exit code 1 when it has problems; each is told with file, line and key.',
  positionals: [],
  options: {},
  examples: ['orch config check', 'orch config check --json'],
  mutates: false,
  async run({ json }, context) {
    const problems = await (await context.app()).configCheck(context.cwd)
    return printProblems(problems, { json, context, fine: 'The configuration is fine.' })
  },
})
