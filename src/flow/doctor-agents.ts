// The doctor's look at the agents: there, of a tested version, logged in, able to do what the roles ask, free to begin.

import type { FoundAgent } from '../agents/agent.ts'
import type { Policy } from '../core/policy.ts'
import { accountTrouble, versionWithin } from './agent-state.ts'
import type { Check } from './app.ts'
import { AGENTS_BY_DEFAULT } from './choose-agent.ts'
import { type DoctorDeps, reporter } from './doctor-parts.ts'
import type { ProjectLook } from './doctor-project.ts'

const { ok, warning, failed } = reporter('agents')

type Agents = Map<string, FoundAgent | null>

/** All checks of all agents. Runs no model. */
export async function checkAgents(deps: DoctorDeps, look: ProjectLook): Promise<Check[]> {
  const { policy } = look
  const found = await Promise.all(
    Object.values(deps.adapters).map(async (adapter): Promise<[string, FoundAgent | null]> => [
      adapter.name,
      await adapter.find(policy?.agents[adapter.name] ?? {}, deps.env),
    ]),
  )
  const agents: Agents = new Map(found)
  return [
    ...presenceChecks(agents, look),
    ...versionChecks(deps, agents),
    ...accountChecks(deps, agents),
    ...(policy ? effortChecks(deps, policy) : []),
  ]
}

function presenceChecks(agents: Agents, { policy, missingPrograms }: ProjectLook): Check[] {
  const wanted = wantedAgents(agents, policy)
  const checks = [...agents].map(([name, found]): Check => {
    const check = `agent.${name}`
    const want = wanted.get(name)
    const bad = want?.needed ? failed : warning
    if (!found)
      return want
        ? bad(check, `${name} ${want.why}, but was not found`, missingFix(name))
        : ok(check, 'not found; nothing here needs it')
    if (name === 'command' && missingPrograms.length > 0)
      return failed(check, `not found: ${missingPrograms.join(', ')}`, 'install it, or mend `command` in .orch.yml')
    const text = [found.version ?? 'version unknown', found.path, found.note].filter(Boolean).join(', ')
    if (found.loggedIn === 'no') return bad(check, `not logged in: ${text}`, `log in once with ${name} itself`)
    return ok(check, found.loggedIn === 'unknown' ? `${text} (login can't be told without spending)` : text)
  })
  const unknown = [...wanted.keys()].filter((name) => !agents.has(name))
  return [
    ...checks,
    ...unknown.map((name) =>
      failed(
        `agent.${name}`,
        `the configuration chooses ${name}, which Orch doesn't know`,
        `use one of ${[...agents.keys()].join(', ')}`,
      ),
    ),
  ]
}

interface Want {
  why: string
  /** Without it some task can't go on. */
  needed: boolean
}

/** The agents that tasks will ask for, and why: chosen, named to take over, or looked for where a role is left open and nothing else is ready. */
function wantedAgents(agents: Agents, policy: Policy | null): Map<string, Want> {
  const wanted = new Map<string, Want>()
  if (!policy) return wanted
  const isReady = (name: string): boolean => (agents.get(name)?.loggedIn ?? 'no') !== 'no'
  for (const { fallback = [] } of Object.values(policy.roles))
    for (const name of fallback) wanted.set(name, { why: 'is named to take over', needed: false })
  for (const { agent, fallback = [] } of Object.values(policy.roles)) {
    if (agent === undefined) continue
    const needed = wanted.get(agent)?.needed === true || !fallback.some(isReady)
    wanted.set(agent, { why: 'is chosen in the configuration', needed })
  }
  // An independent role falls back on the author's agent.
  const open = policy.pipeline.stages.some(
    ({ kind, role, independent }) => kind === 'agent' && !independent && !policy.roles[role ?? '']?.agent,
  )
  const known = AGENTS_BY_DEFAULT.filter((name) => agents.has(name))
  if (open && !known.some(isReady))
    for (const name of known) wanted.set(name, { why: 'is what tasks are given when no agent is chosen', needed: true })
  return wanted
}

function missingFix(name: string): string {
  if (name === 'command')
    return 'say which program: `command: "python3 my-agent.py"` beside `agent: command` in .orch.yml'
  return `install ${name}, set agents.${name}.bin, or choose another: agents.developer.agent in .orch.yml`
}

function versionChecks({ adapters }: DoctorDeps, agents: Agents): Check[] {
  return [...agents].flatMap(([name, found]) => {
    const tested = adapters[name]?.tested ?? null
    if (!found || !tested || versionWithin(found.version, tested) !== false) return []
    const text = `${name} ${found.version} lies outside of ${tested.from} to ${tested.to}, the versions this orch was tested with`
    const fix = `if its runs end as malformed-stream or crash, install ${name} ${tested.to}`
    return [warning(`agent.${name}.version`, text, fix)]
  })
}

function accountChecks({ books, now }: DoctorDeps, agents: Agents): Check[] {
  if (!books.ok) return []
  const { store } = books.value
  return [...agents.keys()].flatMap((name) => {
    const trouble = accountTrouble(store.getAccount(name)?.state ?? null, now())
    const fix = `it goes on by itself; mend what can be mended, then \`orch task retry\` lets a waiting task try ${name} at once`
    return trouble === null ? [] : [warning(`agent.${name}.account`, `${name} ${trouble}`, fix)]
  })
}

/** An effort that an agent can't be asked for is left out of its runs. */
function effortChecks({ adapters }: DoctorDeps, policy: Policy): Check[] {
  return Object.entries(policy.roles).flatMap(([role, { agent, effort }]) => {
    const efforts = agent === undefined ? null : (adapters[agent]?.efforts ?? null)
    if (effort === undefined || efforts === null || efforts.includes(effort)) return []
    const can = efforts.length === 0 ? 'it has no such setting' : `it knows ${efforts.join(', ')}`
    const text = `agents.${role}.effort says ${effort}, which ${agent} can't be asked for: ${can}`
    return [warning(`role.${role}.effort`, text, `remove agents.${role}.effort, or choose another agent`)]
  })
}
