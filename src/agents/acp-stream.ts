// Reads what acp-agent.ts prints. The conversation's own end decides: without an `end` line nothing succeeded.

import { NO_USAGE, type Usage } from '../core/run.ts'
import type { ParserContext, RunEvent, RunSummary, StreamParser } from './agent.ts'
import { type AcpError, classify, type Failure, failureOfStop } from './acp-errors.ts'
import { ACP_FORMAT, type AcpPlace } from './acp-lines.ts'
import { asAmount, asNumber, asText, type JsonObject, parseObject } from './json-fields.ts'
import { crashText } from './report.ts'

/** Agents that tell the use of a turn's last request alone (measured on OpenCode 1.18.33): a part is no count. */
const PARTIAL_USAGE = new Set(['OpenCode'])

interface State {
  agent: string | null
  sessionId: string | null
  model: string | null
  resumed: boolean
  usage: Usage
  /** The session's cost before this run and now, as the agent tells. */
  costBefore: number | null
  costUsd: number | null
  error: Failure | null
  /** Its process ended before it had a session: what it had to say is on stderr. */
  early: boolean
  end: string | null
  broken: string | null
  lines: number
}

/** A parser of one run's lines. */
export function makeAcpParser(context: ParserContext): StreamParser {
  const state: State = {
    agent: null,
    sessionId: null,
    model: null,
    resumed: false,
    usage: NO_USAGE,
    costBefore: null,
    costUsd: null,
    error: null,
    early: false,
    end: null,
    broken: null,
    lines: 0,
  }
  return {
    push(raw) {
      if (raw.trim() === '') return []
      state.lines += 1
      const line = parseObject(raw)
      const events = line ? take(state, line, context) : null
      if (events) return events
      state.broken ??= raw.slice(0, 200)
      return [{ type: 'error', code: 'malformed-stream', text: `not a line of an ACP run: ${raw.slice(0, 200)}` }]
    },
    end: (exit) => ({
      failure: failureOf(state, exit),
      sessionId: state.sessionId,
      model: state.model,
      usage: state.usage,
      costUsd: costOf(state, context),
    }),
  }
}

/** The events of a line; null when it is none of ours. */
function take(state: State, line: JsonObject, context: ParserContext): RunEvent[] | null {
  switch (line['type']) {
    case 'begin':
      state.agent = asText(line['agent'])
      if (line['format'] === ACP_FORMAT) return []
      state.error = {
        code: 'malformed-stream',
        text: `this run was written in format ${String(line['format'])}, which this version of Orch can't read`,
      }
      return [{ type: 'error', ...state.error }]
    case 'session':
      state.sessionId = asText(line['id'])
      state.model = asText(line['model'])
      state.resumed = line['resumed'] === true
      state.costBefore = asNumber(line['costUsd'])
      return [{ type: 'started', sessionId: state.sessionId, model: state.model }]
    case 'say':
    case 'plan':
    case 'note':
      return [{ type: 'message', text: asText(line['text']) ?? '' }]
    case 'thought':
      return []
    case 'tool':
      return takeTool(line)
    case 'permission':
      return takePermission(line)
    case 'cost':
      state.costUsd = asAmount(line['costUsd'])
      return []
    case 'usage':
      return takeUsage(state, line, context)
    case 'error':
      return takeError(state, line)
    case 'end':
      return takeEnd(state, line)
    default:
      return null
  }
}

function takeTool(line: JsonObject): RunEvent[] {
  const state = line['state']
  if (state !== 'started' && state !== 'ok' && state !== 'failed') return []
  return [{ type: 'tool', name: asText(line['name']) ?? 'tool', detail: asText(line['detail']) ?? '', state }]
}

function takePermission(line: JsonObject): RunEvent[] {
  if (line['allowed'] === true) return []
  const text = `the agent was not permitted: ${asText(line['title']) ?? 'a tool'} (${asText(line['why']) ?? 'no reason given'})`
  return [{ type: 'error', code: 'permission', text }]
}

function takeUsage(state: State, line: JsonObject, context: ParserContext): RunEvent[] {
  const partial = state.agent !== null && PARTIAL_USAGE.has(state.agent)
  if (!partial)
    state.usage = {
      input: asAmount(line['input']),
      output: asAmount(line['output']),
      cacheRead: asAmount(line['cacheRead']),
      cacheWrite: asAmount(line['cacheWrite']),
    }
  return [{ type: 'usage', usage: state.usage, costUsd: state.costUsd === null ? null : costOf(state, context) }]
}

function takeError(state: State, line: JsonObject): RunEvent[] {
  const error: AcpError = {
    at: (asText(line['at']) ?? 'prompt') as AcpPlace,
    code: asNumber(line['code']),
    text: asText(line['text']) ?? 'no reason given',
    data: line['data'],
    signal: asText(line['signal']),
  }
  state.error = classify(error)
  state.early = error.at === 'exit' && error.signal === null && state.sessionId === null
  return [{ type: 'error', code: state.error.code, text: state.error.text }]
}

function takeEnd(state: State, line: JsonObject): RunEvent[] {
  state.end = asText(line['reason']) ?? 'no reason'
  const failure = failureOfStop(state.end)
  return failure ? [{ type: 'error', code: failure.code, text: failure.text }] : []
}

/** The run's own cost: the session's, less what it had cost before. */
function costOf({ costUsd, costBefore, resumed }: State, { previousCostUsd }: ParserContext): number {
  if (costUsd === null) return 0
  const before = costBefore ?? (resumed ? (previousCostUsd ?? 0) : 0)
  // A total below what was spent before counts this run alone.
  return costUsd >= before ? costUsd - before : costUsd
}

function failureOf(
  state: State,
  exit: { exitCode: number | null; signal: string | null; stderrTail: string },
): RunSummary['failure'] {
  const how = crashText({ name: state.agent ?? 'the ACP agent', ...exit })
  if (state.error) return explained(state.error, { early: state.early, tail: exit.stderrTail.trim() })
  const stopped = state.end === null ? null : failureOfStop(state.end)
  if (stopped) return stopped
  if (exit.exitCode !== 0) return { code: exit.exitCode === 127 ? 'missing-tool' : 'crash', text: how }
  if (state.broken !== null)
    return { code: 'malformed-stream', text: `the run has an unreadable line: ${state.broken}` }
  if (state.end === null)
    return {
      code: 'malformed-stream',
      text: `the run stops before the end of the agent's turn (${state.lines} lines); ${how}`,
    }
  return null
}

/** A process that ended without a word has often said why on stderr. */
function explained(error: Failure, { early, tail }: { early: boolean; tail: string }): Failure {
  if (tail === '' || (error.code !== 'crash' && error.code !== 'missing-tool')) return error
  const said = early ? classify({ at: 'prompt', code: null, text: tail, data: null, signal: null }).code : 'crash'
  const code = error.code === 'crash' ? said : error.code
  return { ...error, code, text: `${error.text}; stderr ends: ${tail.slice(-1_000)}` }
}
