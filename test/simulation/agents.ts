// What agents do in their workspace, and how badly: the only authors of code, questions and reviews here.

import type { RunOutcome } from '../../src/core/run.ts'
import type { Tree } from './git.ts'
import { type Sim, type WorldRun, blame, remoteOf } from './sim.ts'

/** Carries out a run that is not disturbed; gives how its process ended. */
export function doWork(sim: Sim, run: WorldRun): RunOutcome {
  const { random, chaos, plan } = sim
  const isInTrouble = !chaos.isCalm && random.chance(plan.trouble)
  if (isInTrouble && random.chance(0.5)) return fail(sim, run)
  if (run.role === 'judge') review(sim, run, isInTrouble)
  else make(sim, run, isInTrouble)
  return { kind: 'succeeded' }
}

function fail(sim: Sim, run: WorldRun): RunOutcome {
  const { random } = sim
  const text = 'as the seed wants it'
  // Work of a failed run is work too.
  if (run.role !== 'judge' && random.chance(0.5)) commitWork(sim, run, 'good')
  const code = random.pick([
    'rate-limit',
    'overload',
    'crash',
    'crash',
    'auth',
    'malformed-stream',
    'context-overflow',
  ] as const)
  const hour = 3_600_000
  const retryAfterMs = code === 'rate-limit' ? { retryAfterMs: random.int(60_000, hour) } : {}
  return random.chance(0.2)
    ? { kind: 'lost', text: 'its supervisor is gone and left no outcome' }
    : { kind: 'failed', code, text, exitCode: 1, ...retryAfterMs }
}

function make(sim: Sim, run: WorldRun, isInTrouble: boolean): void {
  const { random } = sim
  const how = isInTrouble ? random.pick(['bad', 'bad', 'nothing', 'silent', 'asks'] as const) : 'good'
  if (how === 'nothing') blame(sim, run.task, `${run.id} changed nothing`)
  else commitWork(sim, run, how === 'bad' ? 'bad' : 'good')
  if (how === 'silent') blame(sim, run.task, `${run.id} wrote no handoff`)
  else handOff(sim, run, how === 'asks' ? { status: 'needs_input', questions: 'which way?' } : { status: 'done' })
}

/** On top of what is there, merged with the remote's base when that has gone on. */
function commitWork(sim: Sim, run: WorldRun, how: 'good' | 'bad'): void {
  const { objects, places } = sim
  const place = places.get(run.cwd)
  if (!place) return
  const remote = remoteOf(sim, projectOf(run.task))
  const main = remote.refs.get(remote.base) ?? ''
  const ours = objects.get(place.head)
  const merged = objects.merge(ours.sha, main)
  const theirs = objects.get(main).files
  const before: Tree = merged.ok ? objects.treeOf(merged.tree) : { ...ours.files, ...theirs }
  const files = { ...before, ...workOf(sim, run, how) }
  const parents = objects.isAncestor(main, ours.sha) ? [ours.sha] : [ours.sha, main]
  place.head = objects.commit({ files, parents, message: `${how} work of ${run.id}`, task: run.task }).sha
}

/** A file of its own, one that all tasks touch, and a half of what is only red together. */
function workOf(sim: Sim, run: WorldRun, how: 'good' | 'bad'): Tree {
  const number = Number(run.task.split('-')[1])
  const taste = (number * 7 + sim.seed) % 4
  return {
    [`tasks/${run.task}`]: `${how} ${run.id}`,
    ...(taste === 0 || sim.plan.isColliding ? { shared: `by ${run.id}` } : {}),
    ...(taste === 1 ? { [`together/${number % 2}`]: isMended(sim, run) ? 'mended' : 'raw' } : {}),
    ...(taste === 2 && number % 2 === 0 ? { 'guarded/rules': run.task } : {}),
  }
}

/** Told that it is red together with main's, an agent mends it. */
function isMended(sim: Sim, run: WorldRun): boolean {
  return (sim.store.getTask(run.task)?.state.attempts.code ?? 0) > 0
}

/** Whether a tree's verification fails, whoever runs it. */
export function isRed(files: Tree): boolean {
  const values = Object.entries(files)
  if (values.some(([path, text]) => path.startsWith('tasks/') && text.startsWith('bad'))) return true
  return files['together/0'] === 'raw' && files['together/1'] === 'raw'
}

function review(sim: Sim, run: WorldRun, isInTrouble: boolean): void {
  const { random } = sim
  const sha = sim.places.get(run.cwd)?.head ?? ''
  const how = isInTrouble ? random.pick(['asks-for-changes', 'silent', 'stale', 'undecided'] as const) : 'approves'
  if (how === 'silent') return
  if (how === 'asks-for-changes') blame(sim, run.task, `${run.id} asks for changes`)
  const verdict = {
    approves: 'approve',
    'asks-for-changes': 'request_changes',
    stale: 'approve',
    undecided: 'blocked',
  }[how]
  const findings = how === 'asks-for-changes' ? [{ severity: 'P1', text: 'do it better' }] : []
  handOff(sim, run, { verdict, sha: how === 'stale' ? '0'.repeat(40) : sha, findings })
}

function handOff(sim: Sim, run: WorldRun, keys: Record<string, unknown>): void {
  sim.files.set(`${run.handoffDir}/handoff.md`, new TextEncoder().encode(JSON.stringify(keys)))
}

export function projectOf(task: string): string {
  return task.split('-')[0] ?? ''
}
