// What must hold after each durable write: only what the write touched is looked at, so that it costs little.

import { isTerminal } from '../../src/core/lifecycle.ts'
import type { Task } from '../../src/core/task.ts'
import type { Commit, CommitResult, Job, Store } from '../../src/store/store.ts'
import type { Process } from './chaos.ts'
import { type Sim, violate } from './sim.ts'

interface Written {
  name: keyof Store
  args: unknown[]
  value: unknown
}

export function checkWrite(sim: Sim, process: Process, { name, args, value }: Written): void {
  switch (name) {
    case 'commit':
      return checkResult(sim, value as CommitResult, (args as Parameters<Store['commit']>)[0])
    case 'claim':
      if (value) noteClaim(sim, process, value as Job)
      return
    case 'renew':
    case 'release':
    case 'park':
    case 'finish': {
      const [lease] = args as [{ jobId: number; token: number; now?: number; leaseMs?: number }]
      if (value !== true) return
      checkToken(sim, lease, name)
      const held = sim.leases.get(lease.jobId)
      if (name === 'renew' && held) held.until = (lease.now ?? 0) + (lease.leaseMs ?? 0)
      return
    }
    case 'reclaim':
      for (const id of value as number[]) checkReclaim(sim, id, (args as Parameters<Store['reclaim']>)[0].now)
      return
    default:
  }
}

function checkResult(sim: Sim, result: CommitResult, commit: Commit): void {
  if (result.ok) checkCommit(sim, commit)
  else sim.refused[result.because] += 1
}

function noteClaim(sim: Sim, process: Process, job: Job): void {
  const before = sim.leases.get(job.id)
  if (before && job.token <= before.token) violate(sim, `S2: job ${job.id} was given twice with token ${job.token}`)
  const { kind } = job.effect
  sim.leases.set(job.id, { job: { kind, id: job.id }, process, token: job.token, until: job.leaseUntil })
}

function checkToken(sim: Sim, { jobId, token }: { jobId: number; token: number }, what: string): void {
  const last = sim.leases.get(jobId)?.token ?? 0
  if (token !== last)
    violate(sim, `S2: ${what} of job ${jobId} was taken with token ${token}; the last given is ${last}`)
}

/** A live worker keeps its jobs while its lease lasts. */
function checkReclaim(sim: Sim, id: number, now: number): void {
  const held = sim.leases.get(id)
  if (held?.process.alive && held.until > now)
    violate(sim, `S2: job ${id} was taken from a worker that lives and holds it`)
}

function checkCommit(sim: Sim, commit: Commit): void {
  if (commit.fence) checkToken(sim, commit.fence, 'a commit')
  for (const change of commit.aggregates) {
    const key = `${change.kind} ${change.id}`
    const before = sim.versions.get(key) ?? 0
    if (change.expected !== before)
      violate(sim, `S1: ${key} was decided at version ${change.expected} and written over ${before}`)
    sim.versions.set(key, change.expected + 1)
    const row = change.kind === 'task' ? sim.store.getTask(change.id) : null
    if (row) checkTask(sim, commit, row.state)
  }
}

function checkTask(sim: Sim, commit: Commit, task: Task): void {
  const types = commit.events.filter((event) => event.id === task.id).map((event) => event.body.event.type)
  const ended = types.includes('task.done') || types.includes('task.cancelled')
  if (isTerminal(task.status) && !ended && types.some((type) => type !== 'run.ended'))
    violate(sim, `S12: ${task.id} is ${task.status}, and got ${types.join(', ')}`)
  if (types.includes('retry.counted') || types.includes('task.sent_back')) checkBudgets(sim, task)
  if (types.includes('task.sent_back') && commit.actor.kind !== 'person') checkSentBack(sim, task)
  if (task.mergedSha && types.includes('task.landed')) checkLanded(sim, task)
}

/** S10: also when the last attempt was spent before a restart. */
function checkBudgets(sim: Sim, task: Task): void {
  const { attempts, codeBase, policy, id } = task
  // Before it has a policy, it has what Orch grants, or its project's budget.
  const { infra, transient, attempts: most } = sim.plan.policy.limits
  const limits = policy?.limits ?? { attempts: most, infra: Math.max(infra, 3), transient: Math.max(transient, 6) }
  const spent = attempts.code - codeBase
  if (spent > limits.attempts || attempts.infra > limits.infra || attempts.transient > limits.transient)
    violate(
      sim,
      `S10: ${id} has spent ${JSON.stringify({ ...attempts, sinceGrant: spent })} of ${JSON.stringify(limits)}`,
    )
}

/** S13: the world knows what was the code's fault; nothing else may send work back. */
function checkSentBack(sim: Sim, task: Task): void {
  const events = sim.store.listEvents({ task: task.id })
  const sentBack = events.filter((entry) => entry.type === 'task.sent_back' && entry.actor.kind !== 'person').length
  const blames = sim.blames.filter((one) => one.task === task.id)
  if (sentBack > blames.length)
    violate(sim, `S13: ${task.id} was sent back ${sentBack} times; its code was at fault ${blames.length} times`)
}

function checkLanded(sim: Sim, task: Task): void {
  const remote = sim.remotes.get(task.project)
  const main = remote?.refs.get(remote.base) ?? ''
  if (!sim.objects.isAncestor(task.mergedSha ?? '', main))
    violate(sim, `S4: ${task.id} is recorded merged and main lacks it`)
}
