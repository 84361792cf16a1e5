// Which agent works in a role now: the one that was chosen, or the next permitted one while that is limited, keeps
// failing, is missing or not logged in. Invariant: a run once on the books keeps its agent, and every choice has its reason.

import type { AgentAdapter, FoundAgent } from '../agents/agent.ts'
import { type Effort, type Policy, type RoleChoice, programOf } from '../core/policy.ts'
import { type MayBegin, mayBegin } from '../core/schedule.ts'
import type { Stage } from '../core/pipeline.ts'
import type { Task } from '../core/task.ts'
import type { Queries } from '../store/store.ts'
import { StepTrouble } from './dispatch.ts'
import { iso } from './views.ts'

export interface ChosenAgent {
  name: string
  found: FoundAgent
  model: string | null
  effort: Effort | null
  why: string
  /** Nobody who may work here can begin now; this one can soonest. */
  lastResort: boolean
}

/** Agents that need no user's program to be set up, in the order in which they are preferred when nobody chose. */
export const AGENTS_BY_DEFAULT = ['claude', 'codex', 'opencode', 'gemini'] as const

export interface ChooseDeps {
  adapters: Record<string, AgentAdapter>
  env: NodeJS.ProcessEnv
  store: Pick<Queries, 'getAccount' | 'getRun' | 'listRuns'>
  now: () => number
}

/** Whose run it is to be. */
export interface Post {
  task: Task
  policy: Policy
  stage: Stage
  runId: string
}

/** An agent that may work here, as it was found. */
interface Candidate {
  name: string
  found: FoundAgent
  may: MayBegin
}

/** Throws StepTrouble when no agent that may work here is there. Runs no model. */
export async function chooseAgent(deps: ChooseDeps, post: Post): Promise<ChosenAgent> {
  const role = post.stage.role ?? ''
  const choice = post.policy.roles[role] ?? {}
  const begun = deps.store.getRun(post.runId)
  if (begun) return goOn(deps, post, begun)
  const permitted = permittedAgents(deps, post)
  const known: Candidate[] = []
  const passedOver: string[] = []
  for (const name of permitted) {
    const candidate = await look(deps, post, name)
    if (candidate) known.push(candidate)
    const reason = whyNot(candidate, name)
    if (candidate && reason === null) return chosen(deps, post, { candidate, passedOver, lastResort: false })
    // Where nobody chose, an agent that isn't there is passed over without a word.
    if (reason !== null && (choice.agent !== undefined || (candidate && !candidate.may.ok))) passedOver.push(reason)
  }
  return chosen(deps, post, { ...soonest(known, { permitted, role, choice, deps }), passedOver: [] })
}

/** The names that may work here, the preferred one first. */
function permittedAgents(deps: ChooseDeps, post: Post): string[] {
  const role = post.stage.role ?? ''
  const { agent: chosen, fallback = [] } = post.policy.roles[role] ?? {}
  // Who writes the change is what a person or a label may choose; who judges it is not.
  const wished = post.stage.independent ? null : wishOf(deps, post.task)
  const agent = wished ?? chosen
  const author = post.stage.independent ? authorOf(deps, post) : null
  // The chosen one is chosen; of the others, an independent role prefers those who did not write the change.
  const others = [...new Set(agent === undefined ? AGENTS_BY_DEFAULT : fallback)].filter((name) => name !== agent)
  const preferred = [...others.filter((name) => name !== author), ...others.filter((name) => name === author)]
  return agent === undefined ? preferred : [agent, ...preferred]
}

/** Asked for by a person, else by a label `agent:NAME` (O-31); a name nobody knows is no wish. */
function wishOf({ adapters }: ChooseDeps, task: Task): string | null {
  const label = task.labels.find((one) => one.toLowerCase().startsWith('agent:'))?.slice('agent:'.length)
  const name = (task.preferredAgent ?? label ?? '').trim().toLowerCase()
  return Object.hasOwn(adapters, name) ? name : null
}

/** The agent of the latest run in another role: it wrote the change. */
function authorOf({ store }: ChooseDeps, post: Post): string | null {
  const runs = store.listRuns({ task: post.task.id }).filter((run) => run.role !== post.stage.role)
  return runs.at(-1)?.agent ?? null
}

async function look(deps: ChooseDeps, post: Post, name: string): Promise<Candidate | null> {
  const found = await deps.adapters[name]?.find(
    programOf(post.policy, { role: post.stage.role ?? '', agent: name }),
    deps.env,
  )
  if (!found) return null
  return { name, found, may: mayBegin(deps.store.getAccount(name)?.state ?? null, deps.now(), iso) }
}

/** Why an agent can't begin now, as part of a sentence; null when it can. */
function whyNot(candidate: Candidate | null, name: string): string | null {
  if (!candidate) return `${name} was not found`
  if (candidate.found.loggedIn === 'no') return `${name} is not logged in`
  return candidate.may.ok ? null : `${name} ${candidate.may.why}`
}

/**
 * Nobody can begin: the one to wait for. A login that can't be seen may still be there (a helper program, a keychain),
 * so where no other is, such an agent begins: its own first answer decides, it comes before any token and holds the task.
 */
function soonest(
  known: Candidate[],
  at: { permitted: string[]; role: string; choice: RoleChoice; deps: ChooseDeps },
): { candidate: Candidate; lastResort: boolean } {
  const loggedIn = known.filter(({ found }) => found.loggedIn !== 'no')
  const pool = loggedIn.length > 0 ? loggedIn : known
  const free = pool.find(({ may }) => may.ok)
  const until = ({ may }: Candidate): number => (may.ok ? 0 : may.until)
  const candidate = free ?? pool.toSorted((a, b) => until(a) - until(b))[0]
  if (candidate) return { candidate, lastResort: !free }
  const { permitted, choice, deps } = at
  const names = permitted.join(', ')
  const adapters = Object.keys(deps.adapters)
  if (choice.agent !== undefined && !deps.adapters[choice.agent]) {
    const text = `there is no agent "${choice.agent}"; known: ${adapters.join(', ')}`
    throw new StepTrouble({ class: 'hold', code: 'unknown-agent', text })
  }
  const text =
    choice.agent === undefined
      ? 'no agent was found on this machine; install claude or set `agents` in .orch.yml, then `orch doctor`'
      : `${permitted.length > 1 ? `none of the agents ${names} was` : `agent ${names} was not`} found on this machine; install it or set agents.${choice.agent}.bin, then \`orch doctor\``
  throw new StepTrouble({ class: 'hold', code: 'agent-missing', text })
}

function chosen(
  deps: ChooseDeps,
  post: Post,
  { candidate, passedOver, lastResort }: { candidate: Candidate; passedOver: string[]; lastResort: boolean },
): ChosenAgent {
  const { name, found, may } = candidate
  const choice = post.policy.roles[post.stage.role ?? ''] ?? {}
  const isStandIn = passedOver.length > 0 || (choice.agent !== undefined && choice.agent !== name)
  const why = passedOver.length > 0 ? `${passedOver.join('; ')}; ${name} may take over` : reasonOf(deps, post, name)
  const trial = may.ok && may.canary ? [`${name} ${may.why}`] : []
  const asked = askEffort(deps, { name, effort: choice.effort })
  return {
    name,
    found,
    // A model was written for the agent it stands beside.
    model: isStandIn ? null : (choice.model ?? null),
    effort: asked.effort,
    why: [why, ...trial, ...asked.note].join('; '),
    lastResort,
  }
}

/** Why this agent is the first choice. */
function reasonOf(deps: ChooseDeps, post: Post, name: string): string {
  const role = post.stage.role ?? ''
  const chosenAgent = post.policy.roles[role]?.agent
  if (chosenAgent === name) return `agents.${role}.agent says so`
  if (chosenAgent !== undefined) return `agents.${role}.fallback names it`
  const author = post.stage.independent ? authorOf(deps, post) : null
  if (author === name) return 'the only agent there is, in a session of its own'
  return author === null ? 'the first agent found on this machine' : `another agent than the author's (${author})`
}

/** An effort the agent can be asked for; else none, and what to say. */
function askEffort(
  { adapters }: ChooseDeps,
  of: { name: string; effort: Effort | undefined },
): { effort: Effort | null; note: string[] } {
  const { name, effort } = of
  if (effort === undefined) return { effort: null, note: [] }
  if (adapters[name]?.efforts.includes(effort)) return { effort, note: [] }
  return { effort: null, note: [`effort ${effort} is left out: ${name} has no such setting`] }
}

/** A run that was begun before a crash goes on as the books have it. */
async function goOn(
  deps: ChooseDeps,
  post: Post,
  run: { agent: string; model: string | null; why: string },
): Promise<ChosenAgent> {
  const candidate = await look(deps, post, run.agent)
  if (!candidate) {
    const text = `agent ${run.agent}, which began this run, is not found on this machine any more; see \`orch doctor\``
    throw new StepTrouble({ class: 'hold', code: 'agent-missing', text })
  }
  const { effort } = askEffort(deps, { name: run.agent, effort: post.policy.roles[post.stage.role ?? '']?.effort })
  return { name: run.agent, found: candidate.found, model: run.model, effort, why: run.why, lastResort: false }
}
