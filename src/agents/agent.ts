// The contract of an agent: what a run is asked (RunSpec), what it says meanwhile (RunEvent), how it ended (RunReport).
// An adapter only describes and reads its CLI; the supervisor owns the process; nobody here judges the work.

import type { RunFailure, RunOutcome, Usage } from '../core/run.ts'
import type { AgentProgram, Effort } from '../core/policy.ts'

/** What a run says while it works. Closed. */
export type RunEvent =
  | { type: 'started'; sessionId: string | null; model: string | null }
  | { type: 'message'; text: string }
  | { type: 'tool'; name: string; detail: string; state: 'started' | 'ok' | 'failed' }
  | { type: 'usage'; usage: Usage; costUsd: number | null }
  | { type: 'limit'; text: string; retryAfterMs: number | null }
  | { type: 'error'; code: RunFailure; text: string }

/** Reads one agent's output stream, line by line, from its beginning. Never throws: what can't be read is an event. */
export interface StreamParser {
  push(line: string): RunEvent[]
  /** Called once, after the last line. Usage and cost of this run alone, each counted once. */
  end(exit: { exitCode: number | null; signal: string | null; stderrTail: string }): RunSummary
}

export interface RunSummary {
  /** Null when the agent itself ended well. That is no verdict on its work. */
  failure: { code: RunFailure; text: string; retryAfterMs?: number } | null
  sessionId: string | null
  model: string | null
  usage: Usage
  costUsd: number
}

/** Where an agent's program is, as found on this machine. */
export interface FoundAgent {
  path: string
  version: string | null
  /** 'unknown' when it can't be told without spending. */
  loggedIn: 'yes' | 'no' | 'unknown'
  note: string
}

export interface AgentRequest {
  program: AgentProgram
  /** Result of `find`. */
  path: string
  model: string | null
  /** How hard the model should think; null: the agent's own default. Only one of the adapter's `efforts`. */
  effort: Effort | null
  /** Session to go on with, when the same agent has worked on this task in this role. */
  resume: string | null
  /** The run's own configuration directory, writable: only the agent's credential is shared into it. */
  configDir: string
  /** True when Orch's own sandbox is around the agent: then the agent's own is switched off. */
  sandboxed: boolean
  /** Folders the run may write, its workspace first, for an agent whose own sandbox must be told. Absent: its workspace. */
  writable?: readonly string[]
  env: NodeJS.ProcessEnv
}

export interface AgentCommand {
  file: string
  args: string[]
  /** Added to the run's allowlisted environment. */
  env: Record<string, string>
  /** Paths the program needs to read that the sandbox would hide (its own installation). */
  reads: string[]
  /** The run's own settings: written anew into configDir before each start; `to` is relative to it. */
  files?: { to: string; text: string }[]
  /** Credential files: `from` on this machine, `to` relative to configDir; copied in before, taken back when changed. */
  credentials: { from: string; to: string }[]
  /** Whether it goes on with the session it was asked to resume; absent: yes. A fresh one's use has nothing before it. */
  resumes?: boolean
}

/** What a parser is told of the session before this run, so that each token and dollar is counted once. */
export interface ParserContext {
  resumed: boolean
  /** What the resumed session had used and cost before this run, for agents that report the session's total. Null: unknown. */
  previousUsage: Usage | null
  previousCostUsd: number | null
}

export interface AgentAdapter {
  name: string
  /** Versions its streams and errors were tested on, both included, as dotted numbers; null where there is no version to test. */
  tested: { from: string; to: string } | null
  /** The efforts it can be asked for; empty when it has no such setting. */
  efforts: readonly Effort[]
  /** What holds it where Orch has no sandbox of its own, in a few words; null: nothing does. */
  ownSandbox: string | null
  /** Finds the program without running a model. Null when it isn't installed. */
  find(program: AgentProgram, env: NodeJS.ProcessEnv): Promise<FoundAgent | null>
  /** The prompt always comes by stdin, never as an argument (E2BIG). */
  command(request: AgentRequest): AgentCommand
  parser(context: ParserContext): StreamParser
}

/** A process to supervise: fully wrapped (sandbox included), environment complete. */
export interface RunSpec {
  runId: string
  task: string
  agent: string
  resumed: boolean
  /** Use and cost of the session's earlier runs, when one is resumed; null or absent when unknown. */
  previousUsage?: Usage | null
  previousCostUsd?: number | null
  /** Argument vector as the supervisor starts it, sandbox and all. */
  file: string
  args: string[]
  env: Record<string, string>
  cwd: string
  prompt: string
  timeLimitMs: number
  /** A run whose output does not grow for so long is ended as `stalled`. */
  stallMs: number
  /** Between SIGTERM and SIGKILL of the whole tree. */
  graceMs: number
  /** Output past this ends the run as `output-flood`. */
  logCapBytes: number
  /** How the tree is held together: a pid namespace that dies with `file`, a cgroup, or only the environment marker. */
  containment: 'pid-namespace' | 'cgroup' | 'marker'
}

export interface RunReport {
  outcome: RunOutcome
  sessionId: string | null
  model: string | null
  usage: Usage
  costUsd: number
  startedAt: number
  endedAt: number
}

/** What the world has of a run, whatever the books say. */
export interface SurveyedRun {
  runId: string
  state: 'absent' | 'running' | 'ended' | 'lost'
  /** Living processes that carry its mark; its supervisor is not among them. */
  processes: number[]
}

/** Starts, follows and stops runs; a run lives on when the process that holds this object dies. */
export interface Runner {
  /** Gets ready to start runs cheaply; a service calls it while it is small. May be called again, or never. */
  prepare(): void
  /** Starts the run unless it was started before (then: nothing). Resolves when its supervisor is up. */
  start(spec: RunSpec): Promise<void>
  /** What the world says of a run: its supervisor's process identity and its outcome file, never our memory. */
  state(runId: string): Promise<'absent' | 'running' | 'ended' | 'lost'>
  /** Resolves when the run has ended (also if it ended long ago) and its tree is dead. `lost` is an outcome. */
  wait(runId: string, options?: { signal?: AbortSignal }): Promise<RunReport>
  /** Ends the whole tree: SIGTERM, grace, SIGKILL. Idempotent; resolves when nothing of it is left. */
  stop(runId: string, by: string): Promise<void>
  /** The run's output as events (or raw lines), from its start or from now; ends when the run ends. */
  stream(runId: string, options: { from: 'start' | 'now'; raw: false; signal?: AbortSignal }): AsyncIterable<RunEvent>
  stream(runId: string, options: { from: 'start' | 'now'; raw: true; signal?: AbortSignal }): AsyncIterable<string>
  /** All runs of this folder that have left a folder or still have a process. Looks at every process of the machine once. */
  survey(): Promise<SurveyedRun[]>
  /** Like `stop`, and ends also what lives of a run that has its outcome or has lost its folder. Gives pids that would not end. */
  stopStrays(runId: string, by: string): Promise<number[]>
  /** Time of the last output, ms, or null. */
  lastActivity(runId: string): Promise<number | null>
  /** Folder of a run's files: prompt.md, output.log, stderr.log, spec.json, supervisor.json, outcome.json. */
  dir(runId: string): string
}
