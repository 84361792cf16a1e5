// The key `agents`: names of roles and names of agents side by side, told apart by what stands under them.

import type { AgentProgram, Effort, RoleChoice } from '../core/policy.ts'
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

type Field = keyof typeof AGENT_FIELDS

interface Entry {
  name: string
  agent: string | undefined
  text(field: Exclude<Field, 'fallback'>): string | undefined
  fallback: string[] | undefined
  problem(field: Field, words: string): void
  result: ReadAgents
}

function makeEntry(leaves: Leaves, name: string, result: ReadAgents): Entry {
  const leaf = (field: Field): ReturnType<Leaves['get']> => leaves.get(`agents.${name}.${field}`)
  const text: Entry['text'] = (field) => leaf(field)?.value as string | undefined
  return {
    name,
    agent: text('agent'),
    text,
    fallback: leaf('fallback')?.value as string[] | undefined,
    problem: (field, words) => {
      const at = leaf(field)?.at ?? { file: 'default', line: null }
      result.problems.push({ ...at, key: `agents.${name}.${field}`, text: words })
    },
    result,
  }
}

const ROLE_FIELDS = ['model', 'effort', 'fallback'] as const

function readRole(entry: Entry, known: readonly string[]): void {
  const { name, agent, text, fallback, result } = entry
  const given = { model: text('model'), effort: text('effort') as Effort | undefined, fallback }
  const fields = ROLE_FIELDS.filter((field) => given[field] !== undefined)
  if (agent === undefined && fields.length === 0) return
  if (agent === undefined && known.includes(name)) {
    for (const field of fields)
      entry.problem(
        field,
        `"${name}" is an agent; give the ${field} under the role that uses it, such as agents.developer.${field}`,
      )
    return
  }
  checkNames(entry, known)
  const { model, effort } = given
  result.roles[name] = {
    ...(agent === undefined ? {} : { agent }),
    ...(model === undefined ? {} : { model }),
    ...(effort === undefined ? {} : { effort }),
    // A higher layer may have chosen one of those that a lower one lets take over.
    ...(fallback === undefined ? {} : { fallback: [...new Set(fallback)].filter((other) => other !== agent) }),
    ...(agent === undefined ? {} : programIn(text)),
  }
}

/** The agents that a role names: all known, and somebody to take over from. */
function checkNames({ name, agent, fallback, problem }: Entry, known: readonly string[]): void {
  const check = (field: 'agent' | 'fallback', given: string): void => {
    if (known.length > 0 && !known.includes(given))
      problem(field, `unknown agent "${given}"${hint(given, known)}; known: ${known.join(', ')}`)
  }
  if (agent !== undefined) check('agent', agent)
  for (const other of fallback ?? []) check('fallback', other)
  if (agent === undefined && fallback !== undefined)
    problem(
      'fallback',
      `it says who may take over, and agents.${name}.agent names nobody to take over from; while nobody is chosen, any agent found may take over`,
    )
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
