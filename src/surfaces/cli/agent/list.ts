import type { AgentView } from '../../../flow/app.ts'
import { defineCommand } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { type Column, printJson, printLines, table } from '../print.ts'

const COLUMNS: Column<AgentView>[] = [
  { title: 'AGENT', text: (agent) => agent.name, paint: () => 'bold' },
  { title: 'FOUND', text: (agent) => (agent.found ? 'yes' : 'no'), paint: (agent) => (agent.found ? 'green' : 'dim') },
  { title: 'VERSION', text: (agent) => agent.version ?? '-' },
  { title: 'LOGGED IN', text: (agent) => (agent.found ? agent.loggedIn : '-') },
  { title: 'WHERE', text: (agent) => [agent.path, agent.note].filter(Boolean).join('  ') || '-' },
]

export const command = defineCommand({
  summary: 'List the agents Orch knows, and which are ready here',
  positionals: [],
  options: {},
  examples: ['orch agent list', 'orch agent list --json'],
  mutates: false,
  async run({ json }, context) {
    const agents = await (await context.app()).agents(context.cwd)
    if (json) printJson(context, agents)
    else printLines(context, table(COLUMNS, agents, context))
    return EXIT.ok
  },
})
