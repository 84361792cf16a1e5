// Agents and their supervisors: processes of their own, which live on when Orch dies, do their work after a while or fail,
// may be deaf to a request to end, and are gone after a reboot.

import type { Runner, RunSpec } from '../../src/agents/agent.ts'
import { NO_USAGE, type RunOutcome } from '../../src/core/run.ts'
import { ExternalError } from '../../src/lib/errors.ts'
import { type Process, step } from './chaos.ts'
import { doWork } from './agents.ts'
import { type Sim, type WorldRun, violate } from './sim.ts'

/** Made by a run of any kind. */
export const COST_USD = 0.25

export function makeSimRunner(sim: Sim, process: Process): Runner {
  const { runs } = sim
  const notUsed = (): never => {
    throw new Error('nobody looks at a log here')
  }
  return {
    prepare: () => undefined,
    survey: notUsed,
    stopStrays: notUsed,
    start: (spec) =>
      step(sim, process, {
        name: 'start',
        takes: [20, 400],
        apply: () => begin(sim, spec),
        faults: {
          failed: () => {
            throw new Error('the supervisor did not take over the run within 15 s')
          },
        },
      }),
    state: (runId) => Promise.resolve(runs.get(runId)?.state ?? 'absent'),
    wait: async (runId, options) => {
      const run = runs.get(runId)
      if (!run) throw new Error(`run ${runId} was never started`)
      await untilOver(sim, process, { run, signal: options?.signal })
      if (!run.report) throw new Error(`run ${runId} is over without a report`)
      return run.report
    },
    stop: async (runId, by) => {
      await step(sim, process, {
        name: 'stop',
        takes: [1, 30],
        apply: () => askToStop(sim, runId, by),
        faults: {
          failed: () => {
            throw new ExternalError({ system: 'process', kind: 'timed-out', message: `run ${runId} does not end` })
          },
        },
      })
      const run = runs.get(runId)
      if (run) await untilOver(sim, process, { run, signal: undefined })
    },
    stream: notUsed,
    lastActivity: () => Promise.resolve(null),
    dir: (runId) => `/runs/${runId}`,
  }
}

function untilOver(
  sim: Sim,
  process: Process,
  { run, signal }: { run: WorldRun; signal: AbortSignal | undefined },
): Promise<void> {
  if (run.state !== 'running') return sim.scheduler.pause(process, [0, 2])
  signal?.throwIfAborted()
  return new Promise((resolve, reject) => {
    const over = (): void => void sim.scheduler.at(sim.random.next() * 20, process, () => resolve())
    run.waiters.add(over)
    signal?.addEventListener('abort', () => {
      run.waiters.delete(over)
      reject(signal.reason as Error)
    })
  })
}

/** As a supervisor does: the first that claims the run has it, a second start is nothing. */
function begin(sim: Sim, spec: RunSpec): void {
  const { runs, random, scheduler } = sim
  if (runs.has(spec.runId)) return
  const row = sim.store.getRun(spec.runId)
  if (!row) violate(sim, `S9: run ${spec.runId} was started without being on the books`)
  const place = [...sim.places.values()].find((other) => other.path === spec.cwd)
  for (const other of runs.values())
    if (other.state === 'running' && other.cwd === spec.cwd)
      violate(sim, `S2: ${spec.runId} and ${other.id} work in one workspace`)
  if (!place) violate(sim, `run ${spec.runId} was started in ${spec.cwd}, which is not there`)
  const run: WorldRun = {
    id: spec.runId,
    task: spec.task,
    agent: spec.agent,
    role: spec.env['ORCH_ROLE'] ?? '',
    stage: spec.env['ORCH_STAGE'] ?? '',
    cwd: spec.cwd,
    handoffDir: spec.env['ORCH_HANDOFF'] ?? '',
    startedAt: scheduler.now(),
    state: 'running',
    report: null,
    isDeaf: !sim.chaos.isCalm && random.chance(0.2),
    stoppedBy: null,
    limitMs: spec.timeLimitMs,
    graceMs: spec.graceMs,
    waiters: new Set(),
  }
  runs.set(run.id, run)
  const worksMs = random.chance(0.85) ? random.int(1_000, 60_000) : random.int(60_000, 2_400_000)
  const isLate = worksMs > run.limitMs
  scheduler.at(Math.min(worksMs, run.limitMs), null, () => {
    if (run.state !== 'running') return
    const outcome = isLate ? ({ kind: 'timed-out', text: 'the run passed its time limit' } as const) : doWork(sim, run)
    finish(sim, run, outcome)
  })
}

function askToStop(sim: Sim, runId: string, by: string): void {
  const run = sim.runs.get(runId)
  if (!run || run.state !== 'running' || run.stoppedBy !== null) return
  run.stoppedBy = by
  const afterMs = run.isDeaf ? run.graceMs : sim.random.int(50, 3_000)
  sim.scheduler.at(afterMs, null, () => finish(sim, run, { kind: 'cancelled', by }))
}

function finish(sim: Sim, run: WorldRun, outcome: RunOutcome): void {
  if (run.state !== 'running') return
  run.state = outcome.kind === 'lost' ? 'lost' : 'ended'
  run.report = {
    outcome,
    sessionId: `s-${run.task}-${run.role}`,
    model: null,
    usage: { ...NO_USAGE, input: 10, output: 5 },
    costUsd: COST_USD,
    startedAt: run.startedAt,
    endedAt: sim.scheduler.now(),
  }
  for (const tell of run.waiters) tell()
  run.waiters.clear()
}

/** The supervisor was killed, or the machine went down. */
export function loseRun(sim: Sim, run: WorldRun): void {
  finish(sim, run, { kind: 'lost', text: 'its supervisor is gone and left no outcome' })
}
