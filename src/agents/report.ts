// From what a run left behind to its report: the supervisor's outcome record and the adapter's summary become one RunOutcome.
// Invariant: only a clean exit with a clean summary is `succeeded`; output that can't be read never is.

import { open, stat } from 'node:fs/promises'
import { NO_USAGE, type RunOutcome } from '../core/run.ts'
import type { AgentAdapter, ParserContext, RunReport, RunSummary } from './agent.ts'
import { readLines } from './follow.ts'
import {
  findRecord,
  type Found,
  type OutcomeRecord,
  runFiles,
  type StoredSpec,
  type SupervisorRecord,
} from './run-files.ts'

/** How much of stderr's end is shown to the adapter and in an outcome's text. */
const STDERR_TAIL_BYTES = 4_096
/** Programs of the sandbox that name themselves when they fail before the agent starts. */
const WRAPPER_COMPLAINT = /^(bwrap|unshare|setpriv|cgroup): .+/m

/** What the records of a run say. */
export interface Records {
  spec: StoredSpec | null
  supervisor: SupervisorRecord | null
  outcome: OutcomeRecord | null
  /** Those that are there and can't be read. */
  broken: ('spec' | 'supervisor' | 'outcome')[]
}

export interface Ending extends Records {
  runId: string
  lastOutputAt: number | null
}

/**
 * Reads a run's whole output through its adapter (streaming, bounded memory) and gives the report. May be called again.
 * What a power cut left of a run is lost, never an error: it would be met again at each start.
 */
export async function makeReport(
  dir: string,
  adapters: Record<string, AgentAdapter>,
  ending: Ending,
): Promise<RunReport> {
  const { runId, spec, outcome, supervisor } = ending
  const startedAt = outcome?.startedAt ?? supervisor?.startedAt ?? 0
  const endedAt = outcome?.endedAt ?? Math.max(startedAt, ending.lastOutputAt ?? startedAt)
  if (outcome?.startError !== undefined) {
    const text = outcome.startError
    return {
      outcome: { kind: 'could-not-start', text },
      sessionId: null,
      model: null,
      usage: NO_USAGE,
      costUsd: 0,
      startedAt,
      endedAt,
    }
  }
  if (!spec)
    return { outcome: lost(ending), sessionId: null, model: null, usage: NO_USAGE, costUsd: 0, startedAt, endedAt }
  const adapter = adapters[spec.agent]
  if (!adapter) throw new Error(`run ${runId} is of an unknown agent "${spec.agent}"`)
  const files = runFiles(dir)
  const parser = adapter.parser(contextOf(spec))
  let said = false
  for await (const lines of readLines(files.output)) {
    said ||= lines.length > 0
    for (const line of lines) parser.push(line)
  }
  const stderrTail = await readTail(files.stderr, STDERR_TAIL_BYTES)
  const summary = parser.end({ exitCode: outcome?.exitCode ?? null, signal: outcome?.signal ?? null, stderrTail })
  const { sessionId, model, usage, costUsd } = summary
  const judged = outcome ? judge({ spec, outcome, summary, stderrTail, said }) : lost(ending)
  return { outcome: judged, sessionId, model, usage, costUsd, startedAt, endedAt }
}

/** What a parser of this run's stream is told. */
export function contextOf({ resumed, previousUsage = null, previousCostUsd = null }: StoredSpec): ParserContext {
  return { resumed, previousUsage, previousCostUsd }
}

function lost({ runId, spec, broken }: Ending): RunOutcome {
  const run = spec ? `${runId} (${spec.agent})` : runId
  const how =
    broken.length > 0
      ? `${broken.map((name) => `${name}.json`).join(' and ')} of run ${run} can't be read, as after a power cut`
      : `the supervisor of run ${run} died without leaving an outcome`
  return { kind: 'lost', text: `${how}; what was left of the run has been ended` }
}

interface Evidence {
  spec: StoredSpec
  outcome: OutcomeRecord
  summary: RunSummary
  stderrTail: string
  said: boolean
}

function judge({ spec, outcome, summary, stderrTail, said }: Evidence): RunOutcome {
  const { exitCode } = outcome
  switch (outcome.endedBy) {
    case 'time-limit':
      return {
        kind: 'timed-out',
        text: `${spec.agent} was ended after its time limit of ${duration(spec.timeLimitMs)}`,
      }
    case 'stalled':
      return {
        kind: 'stalled',
        text: `${spec.agent} printed nothing for ${duration(spec.stallMs)} and was ended; \`limits.stallMinutes\` says how long a run may be quiet`,
      }
    case 'cancelled':
      return { kind: 'cancelled', by: outcome.by ?? 'a signal' }
    case 'flood':
      return {
        kind: 'failed',
        code: 'output-flood',
        text: `${spec.agent} wrote more than ${spec.logCapBytes} bytes of output and was ended`,
        exitCode,
      }
    default:
  }
  const complaint = WRAPPER_COMPLAINT.exec(stderrTail)?.[0]
  if (exitCode !== 0 && !said && complaint)
    return { kind: 'could-not-start', text: `the sandbox of ${spec.agent} did not start: ${complaint}` }
  if (summary.failure) return { kind: 'failed', exitCode, ...summary.failure }
  if (exitCode === 0) return { kind: 'succeeded' }
  return {
    kind: 'failed',
    code: 'crash',
    text: crashText({ name: spec.agent, exitCode, signal: outcome.signal, stderrTail }),
    exitCode,
  }
}

/** One sentence for an end that the agent did not explain. */
export function crashText(end: {
  name: string
  exitCode: number | null
  signal: string | null
  stderrTail: string
}): string {
  const how = end.signal ? `was ended by ${end.signal}` : `ended with exit code ${end.exitCode ?? 'unknown'}`
  const tail = end.stderrTail.trim()
  return tail === '' ? `${end.name} ${how}` : `${end.name} ${how}; stderr ends: ${tail.slice(-1_000)}`
}

/** "90 s" or "12 min". */
function duration(ms: number): string {
  return ms < 120_000 ? `${ms / 1_000} s` : `${Math.round(ms / 60_000)} min`
}

/** The end of a text file, empty when there is none. */
export async function readTail(path: string, bytes: number): Promise<string> {
  try {
    await using file = await open(path, 'r')
    const { size } = await file.stat()
    const length = Math.min(size, bytes)
    const buffer = Buffer.alloc(length)
    const { bytesRead } = await file.read(buffer, 0, length, size - length)
    return buffer.subarray(0, bytesRead).toString('utf8')
  } catch {
    return ''
  }
}

/** Time of the last output of a run, ms, or null before any. */
export async function lastOutputAt(dir: string): Promise<number | null> {
  const files = runFiles(dir)
  const times = await Promise.all(
    [files.output, files.stderr].map(async (path) => {
      try {
        const found = await stat(path)
        return found.size > 0 ? found.mtimeMs : null
      } catch {
        return null
      }
    }),
  )
  const known = times.filter((time) => time !== null)
  return known.length > 0 ? Math.max(...known) : null
}

export function readRecords(dir: string): Records {
  // The outcome last: between the two looks a run may only go forward.
  const spec = findRecord(dir, 'spec')
  const supervisor = findRecord(dir, 'supervisor')
  const outcome = findRecord(dir, 'outcome')
  const all = { spec, supervisor, outcome }
  return {
    spec: recordOf(spec),
    supervisor: recordOf(supervisor),
    outcome: recordOf(outcome),
    broken: (['spec', 'supervisor', 'outcome'] as const).filter((name) => all[name].is === 'broken'),
  }
}

function recordOf<T>(found: Found<T>): T | null {
  return found.is === 'there' ? found.record : null
}
