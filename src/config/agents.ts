// The key `agents`: names of roles and names of agents side by side, told apart by what stands under them.

import type { AgentProgram, RoleChoice } from '../core/policy.ts'
import type { ConfigProblem } from './config.ts'
import { hint } from './nearest.ts'
import type { Leaves } from './resolve.ts'
import type { AGENT_FIELDS } from './schema.ts'

export interface ReadAgents {
  roles: Record<string, RoleChoice>
  agents: Record<string, AgentProgram>
  problems: ConfigProblem[]
}

/** Splits `agents` into roles and programs; what doesn't fit together is a problem. `known` empty: any agent name will do. */
export function readAgents(leaves: Leaves, known: readonly string[]): ReadAgents {
  const result: ReadAgents = { roles: {}, agents: {}, problems: [] }
  const names = new Set(
    [...leaves.keys()].flatMap((key) => (key.startsWith('agents.') ? [key.split('.')[1] ?? ''] : [])),
  )
  for (const name of names) {
    const entry = makeEntry(leaves, name, result)
    readRole(entry, known)
    readProgram(entry, known)
  }
  return result
}

type Field = (typeof AGENT_FIELDS)[number]

interface Entry {
  name: string
  agent: string | undefined
  text(field: Field): string | undefined
  problem(field: Field, words: string): void
  result: ReadAgents
}

function makeEntry(leaves: Leaves, name: string, result: ReadAgents): Entry {
  const leaf = (field: Field): ReturnType<Leaves['get']> => leaves.get(`agents.${name}.${field}`)
  const text = (field: Field): string | undefined => leaf(field)?.value as string | undefined
  return {
    name,
    agent: text('agent'),
    text,
    problem: (field, words) => {
      const at = leaf(field)?.at ?? { file: 'default', line: null }
      result.problems.push({ ...at, key: `agents.${name}.${field}`, text: words })
    },
    result,
  }
}

function readRole({ name, agent, text, problem, result }: Entry, known: readonly string[]): void {
  const model = text('model')
  if (agent === undefined && model === undefined) return
  if (agent === undefined && known.includes(name)) {
    problem(
      'model',
      `"${name}" is an agent; give the model under the role that uses it, such as agents.developer.model`,
    )
  }
  if (agent !== undefined && known.length > 0 && !known.includes(agent)) {
    problem('agent', `unknown agent "${agent}"${hint(agent, known)}; known: ${known.join(', ')}`)
  }
  const program = agent === undefined ? {} : programIn(text)
  result.roles[name] = {
    ...(agent === undefined ? {} : { agent }),
    ...(model === undefined ? {} : { model }),
    ...program,
  }
}

/** What an agent's own name says is the agent's; what stands beside a role is that role's, and the agent's for whom nobody said more. */
function readProgram({ name, agent, text, problem, result }: Entry, known: readonly string[]): void {
  const program = programIn(text)
  if (agent !== undefined) {
    result.agents[agent] = { ...program, ...result.agents[agent] }
    return
  }
  for (const field of PROGRAM_FIELDS) {
    if (program[field] === undefined || known.length === 0 || known.includes(name)) continue
    problem(field, `"${name}" is no agent; write "agent: command" beside it, or put it under agents.<agent>.${field}`)
  }
  if (Object.keys(program).length > 0) result.agents[name] = { ...result.agents[name], ...program }
}

const PROGRAM_FIELDS = ['bin', 'command'] as const

function programIn(text: Entry['text']): AgentProgram {
  const [bin, command] = PROGRAM_FIELDS.map(text)
  return { ...(bin === undefined ? {} : { bin }), ...(command === undefined ? {} : { command }) }
}
