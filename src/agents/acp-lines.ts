// What acp-agent.ts prints for acp-stream.ts to read: one JSON object a line, facts as the agent told them, unjudged.
// Invariant: `begin` names the format; a run's log may be read by a later version than the one that wrote it.

export const ACP_FORMAT = 1

/** Where in the conversation something went wrong. */
export type AcpPlace =
  | 'start'
  | 'initialize'
  | 'authenticate'
  | 'session'
  | 'mode'
  | 'model'
  | 'prompt'
  /** The agent's output is no ACP. */
  | 'stream'
  /** The agent's process ended before its turn did. */
  | 'exit'

export type AcpLine =
  | { type: 'begin'; format: typeof ACP_FORMAT; agent: string | null; version: string | null; protocol: number | null }
  /** `costUsd`: what the session had cost before this run, when the agent told. */
  | { type: 'session'; id: string; resumed: boolean; model: string | null; mode: string | null; costUsd: number | null }
  | { type: 'say'; text: string }
  | { type: 'thought'; text: string }
  | { type: 'tool'; name: string; detail: string; state: 'started' | 'ok' | 'failed' }
  | { type: 'plan'; text: string }
  | { type: 'permission'; title: string; allowed: boolean; why: string }
  /** The session's cost so far, of all its runs. */
  | { type: 'cost'; costUsd: number }
  /** What the turn used. */
  | { type: 'usage'; input: number; output: number; cacheRead: number; cacheWrite: number }
  /** Something a person should know that is no failure. */
  | { type: 'note'; text: string }
  /** `code`: the JSON-RPC error's, or the exit code at `exit`. */
  | { type: 'error'; at: AcpPlace; code: number | null; text: string; data?: unknown; signal?: string }
  | { type: 'end'; reason: string }
