// Many tasks and two agents that fail, are limited, vanish and recover: whoever waits is called again, one run at a time
// tries an agent that kept failing, and once the agents work everything ends, without looking more often than it must.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Account, newAccount } from './account.ts'
import { decide } from './decide.ts'
import type { Command, Effect } from './messages.ts'
import type { Policy } from './policy.ts'
import { newRepository } from './repository.ts'
import type { RunOutcome } from './run.ts'
import { mayBegin } from './schedule.ts'
import type { Task } from './task.ts'
import { HEAD, MINUTE, OPEN, POLICY } from './test-spec.ts'

interface Job {
  effect: Extract<Effect, { epoch: number }>
  runAt: number
}

interface Sim {
  now: number
  tasks: Map<string, Task>
  accounts: Map<string, Account>
  jobs: Job[]
  running: { task: string; epoch: number; runId: string; role: string; agent: string; model: null; endsAt: number }[]
  /** Times at which some run's job was begun. */
  looks: number
}

const AGENTS = ['bot', 'other']
const TASKS = ['T-1', 'T-2', 'T-3', 'T-4', 'T-5', 'T-6']
const LIMITS = { ...POLICY.limits, infra: 1_000, transient: 1_000 }
const ALONE: Policy = { ...POLICY, limits: LIMITS }
const SHARED: Policy = { ...ALONE, roles: { maker: { agent: 'bot', fallback: ['other'] } } }

const fail = (code: 'crash' | 'auth' | 'rate-limit' | 'overload', retryAfterMs?: number): RunOutcome => ({
  kind: 'failed',
  code,
  text: 'x',
  exitCode: 1,
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
})
/** Null: nothing is ever heard of the run; its step is taken up again without it. */
const BAD: (RunOutcome | null)[] = [
  ...Array<RunOutcome>(6).fill(fail('crash')),
  fail('auth'),
  fail('rate-limit', 90 * MINUTE),
  fail('overload'),
  { kind: 'lost', text: 'x' },
  { kind: 'timed-out', text: 'x' },
  { kind: 'stalled', text: 'x' },
  { kind: 'cancelled', by: 'ann' },
  null,
  null,
]

const RUN_MS = 30 * MINUTE

function submit(sim: Sim, command: Command): Task {
  const agent = 'agent' in command ? command.agent : null
  const account = agent === null ? null : (sim.accounts.get(agent) ?? newAccount(agent))
  const state = { task: sim.tasks.get(command.task) ?? null, repository: newRepository('T'), account }
  const decision = decide(state, command, { now: sim.now, actor: 'orch' })
  if (!decision.ok || !decision.state.task) throw new Error(`${command.type} was refused: ${JSON.stringify(decision)}`)
  sim.tasks.set(command.task, decision.state.task)
  if (decision.state.account) sim.accounts.set(decision.state.account.id, decision.state.account)
  for (const { effect, runAt } of decision.effects)
    if ('epoch' in effect && effect.kind === 'run') sim.jobs.push({ effect, runAt })
  return decision.state.task
}

/** What comes next in time: a run's end, or a job that is due. False: neither is left. */
function step(sim: Sim, policy: Policy, outcome: RunOutcome | null): boolean {
  const job = sim.jobs.toSorted((a, b) => a.runAt - b.runAt)[0]
  const run = sim.running[0]
  if (run && (!job || run.endsAt <= Math.max(job.runAt, sim.now))) end(sim, outcome)
  else if (job) begin(sim, policy, job)
  return job !== undefined || run !== undefined
}

function begin(sim: Sim, policy: Policy, job: Job): void {
  sim.jobs.splice(sim.jobs.indexOf(job), 1)
  const { task: id, epoch } = job.effect
  const at = { task: id, epoch }
  if (sim.tasks.get(id)?.epoch !== epoch) return
  sim.now = Math.max(sim.now, job.runAt)
  sim.looks += 1
  submit(sim, { type: 'begin-step', ...at })
  if (!sim.tasks.get(id)?.policy) submit(sim, { type: 'start-task', ...at, policy, baseSha: 'b', branch: 'b' })
  const permitted = policy === SHARED ? AGENTS : ['bot']
  const free = permitted.find((name) => mayBegin(sim.accounts.get(name) ?? null, sim.now).ok)
  const agent = free ?? permitted[0] ?? ''
  const isOpen = (sim.accounts.get(agent)?.breaker?.retryAt ?? null) !== null
  const run = { ...at, runId: `${id}-${epoch}`, role: 'maker', agent, model: null }
  const begun = submit(sim, { type: 'begin-run', ...run, why: '', lastResort: !free })
  if (begun.runId === null) {
    expect(begun.waitingUntil).toBeGreaterThan(sim.now)
    return
  }
  if (isOpen) expect(sim.accounts.get(agent)?.breaker?.canary?.runId).toBe(run.runId)
  sim.running.push({ ...run, endsAt: sim.now + RUN_MS })
}

/** Ends the run that was begun first. */
function end(sim: Sim, outcome: RunOutcome | null): void {
  const ending = sim.running.shift()
  if (!ending) return
  const { endsAt, ...run } = ending
  sim.now = Math.max(sim.now, endsAt)
  if (outcome === null) {
    submit(sim, { type: 'recover-step', task: run.task, epoch: run.epoch })
    return
  }
  const used = { usage: { input: 1, output: 1, cacheRead: 0, cacheWrite: 0 }, costUsd: 1 }
  const ended = submit(sim, { type: 'end-run', ...run, outcome, sessionId: null, headSha: HEAD, ...used })
  // A person looks in the morning; until then what is held for one is not what is tested here.
  if (ended.status === 'needs_review') submit(sim, { type: 'retry', task: run.task, parallel: 1 })
}

test.each([
  ['one agent', ALONE],
  ['two agents', SHARED],
])('L6, %s: whatever became of runs, once the agents work every task gets its run', (_, policy) => {
  const script = fc.array(fc.nat(BAD.length - 1), { minLength: 100, maxLength: 300 })
  fc.assert(
    fc.property(script, (seeds) => {
      const sim: Sim = { now: 1, tasks: new Map(), accounts: new Map(), jobs: [], running: [], looks: 0 }
      for (const task of TASKS) submit(sim, { ...OPEN, task, origin: task })
      for (const seed of seeds) step(sim, policy, BAD[seed] ?? null)
      const from = { looks: sim.looks, now: sim.now }
      while (sim.looks - from.looks < 5_000 && step(sim, policy, { kind: 'succeeded' }));
      for (const task of sim.tasks.values()) expect(task.step?.kind, JSON.stringify(task)).toBe('judge')
      // The longest limit, the longest cooldown and a trial that is never heard of again, and a look for each a minute.
      const hours = (sim.now - from.now) / (60 * MINUTE)
      expect(hours).toBeLessThan(4)
      expect(sim.looks - from.looks).toBeLessThan(TASKS.length * (hours * 60 + 5))
    }),
    { numRuns: 200 },
  )
})
