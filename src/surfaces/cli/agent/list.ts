import type { AgentView } from '../../../flow/app.ts'
import { defineCommand } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { type Column, type Paint, printJson, printLines, table } from '../print.ts'

const COLUMNS: Column<AgentView>[] = [
  { title: 'AGENT', text: (agent) => agent.name, paint: () => 'bold' },
  { title: 'FOUND', text: (agent) => (agent.found ? 'yes' : 'no'), paint: (agent) => (agent.found ? 'green' : 'dim') },
  {
    title: 'VERSION',
    text: (agent) => (agent.version === null ? '-' : `${agent.version}${agent.tested === false ? ' (untested)' : ''}`),
    paint: (agent) => (agent.tested === false ? 'yellow' : null),
  },
  { title: 'LOGGED IN', text: (agent) => (agent.found ? agent.loggedIn : '-') },
  { title: 'STATE', text: (agent) => stateOf(agent).text, paint: (agent) => stateOf(agent).paint },
  { title: 'SANDBOX', text: (agent) => (agent.found ? (agent.sandbox ?? 'none') : '-') },
  { title: 'WHERE', text: (agent) => [agent.path, agent.note].filter(Boolean).join('  ') || '-' },
]

export const command = defineCommand({
  summary: 'List the agents Orch knows, and which are ready here',
  details:
    'STATE says whether its runs may begin: limited by its vendor until a time, or stopped after failures in a row until one run may try it again. Untested is a version that Orch was not tested with.',
  positionals: [],
  options: {},
  examples: ['orch agent list', 'orch agent list --json | jq ".[] | select(.found)"'],
  mutates: false,
  async run({ json }, context) {
    const agents = await (await context.app()).agents(context.cwd)
    if (json) printJson(context, agents)
    else printLines(context, table(COLUMNS, agents, context))
    return EXIT.ok
  },
})

/** Whether a run of it may begin now, and if not, until when. */
function stateOf({ found, limitedUntil, limitReason, breaker }: AgentView): { text: string; paint: Paint | null } {
  if (limitedUntil !== null) {
    const why = limitReason === null ? '' : `: ${limitReason}`
    return { text: `limited until ${limitedUntil}${why}`, paint: 'yellow' }
  }
  if (breaker === null) return found ? { text: 'ready', paint: 'green' } : { text: '-', paint: null }
  const { state, failures, reason, retryAt, trial } = breaker
  switch (state) {
    case 'open':
      return {
        text: `stopped${retryAt === null ? '' : ` until ${retryAt}`} after ${failures} failures: ${reason}`,
        paint: 'red',
      }
    case 'trying':
      return { text: `tried again by run ${trial ?? 'next'}`, paint: 'yellow' }
    case 'closed':
      return { text: `ready, ${failures} failed in a row: ${reason}`, paint: 'yellow' }
    default:
      return state satisfies never
  }
}
