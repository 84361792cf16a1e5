// Reads Claude Code's stream-json (measured on 2.1.329): messages, tools, retries, usage and the result line.
// Invariant: `is_error` decides, never `subtype` (a failed result says "success"); without a result line nothing succeeded.

import { addUsage, NO_USAGE, type Usage } from '../core/run.ts'
import type { ParserContext, RunEvent, RunSummary, StreamParser } from './agent.ts'
import { classify, type Failure, type ResultFacts } from './claude-errors.ts'
import { asAmount, asNumber, asObject, asObjects, asText, type JsonObject, parseObject } from './json-fields.ts'
import { crashText } from './report.ts'

interface State {
  sessionId: string | null
  model: string | null
  /** Usage of every answer, by its id: for a run that ends without a result line. */
  answers: Map<string, JsonObject>
  tools: Map<string, string>
  result: JsonObject | null
  resultUsage: Usage
  /** Cost of the results so far by the CLI's own per-result figures; null when a result had none. */
  costUsd: number | null
  lastError: ResultFacts | null
  resetsAtMs: number | null
  broken: number
  lines: number
}

/** A parser of one run's stream. `previousCostUsd` serves CLIs that tell a resumed session's total only. */
export function makeClaudeParser(context: ParserContext): StreamParser {
  const state: State = {
    sessionId: null,
    model: null,
    answers: new Map(),
    tools: new Map(),
    result: null,
    resultUsage: NO_USAGE,
    costUsd: 0,
    lastError: null,
    resetsAtMs: null,
    broken: 0,
    lines: 0,
  }
  return {
    push(raw) {
      const read = readLine(raw)
      if (!read && raw.trim() === '') return []
      state.lines += 1
      if (read) return take(state, read)
      state.broken += 1
      return [{ type: 'error', code: 'malformed-stream', text: `not a line of claude's stream: ${raw.slice(0, 200)}` }]
    },
    end: (exit) => summarize(state, { ...exit, ...context }),
  }
}

function readLine(raw: string): JsonObject | null {
  const line = parseObject(raw)
  return line && typeof line['type'] === 'string' ? line : null
}

function take(state: State, line: JsonObject): RunEvent[] {
  state.sessionId = asText(line['session_id']) ?? state.sessionId
  switch (line['type']) {
    case 'system':
      return takeSystem(state, line)
    case 'assistant':
      return takeAnswer(state, line)
    case 'user':
      return takeToolResults(state, line)
    case 'result':
      return takeResult(state, line)
    case 'rate_limit_event':
      return takeLimit(state, line)
    default:
      return []
  }
}

function takeSystem(state: State, line: JsonObject): RunEvent[] {
  switch (line['subtype']) {
    case 'init':
      state.model = asText(line['model']) ?? state.model
      return [{ type: 'started', sessionId: state.sessionId, model: state.model }]
    case 'api_retry': {
      const [status, error] = [asNumber(line['error_status']), asText(line['error'])]
      state.lastError = { status, error, text: '', reason: null }
      const what = `${status ?? ''} ${error ?? ''}`.trim()
      const count = `attempt ${asNumber(line['attempt']) ?? '?'} of ${asNumber(line['max_retries']) ?? '?'}`
      return [
        {
          type: 'limit',
          text: `the model's API answered ${what}; ${count}`,
          retryAfterMs: asNumber(line['retry_delay_ms']),
        },
      ]
    }
    case 'permission_denied': {
      const tool = asText(line['tool_name']) ?? 'a tool'
      return [{ type: 'error', code: 'permission', text: `the agent was not permitted to use ${tool}` }]
    }
    default:
      return []
  }
}

function takeAnswer(state: State, line: JsonObject): RunEvent[] {
  const message = asObject(line['message'])
  if (!message) return []
  const model = asText(message['model'])
  const synthetic = model === '<synthetic>'
  if (!synthetic && model) state.model = model
  // One answer comes in several lines, each with the same id and the same usage.
  const id = asText(message['id'])
  const usage = asObject(message['usage'])
  if (!synthetic && id && usage) state.answers.set(id, usage)
  const parts = asObjects(message['content'])
  const events: RunEvent[] = []
  for (const part of parts) {
    const text = part['type'] === 'text' ? asText(part['text']) : null
    if (text) events.push({ type: 'message', text })
    const name = part['type'] === 'tool_use' ? asText(part['name']) : null
    if (name) {
      const callId = asText(part['id'])
      if (callId) state.tools.set(callId, name)
      events.push({ type: 'tool', name, detail: detailOf(asObject(part['input']) ?? {}), state: 'started' })
    }
  }
  const plain = asText(message['content'])
  if (plain) events.push({ type: 'message', text: plain })
  const error = asText(line['error'])
  if (error) {
    const text = parts.map((part) => asText(part['text']) ?? '').join(' ')
    state.lastError = { status: state.lastError?.status ?? null, error, text, reason: null }
  }
  return events
}

function takeToolResults(state: State, line: JsonObject): RunEvent[] {
  const events: RunEvent[] = []
  for (const part of asObjects(asObject(line['message'])?.['content'])) {
    if (part['type'] !== 'tool_result') continue
    const id = asText(part['tool_use_id']) ?? ''
    const name = state.tools.get(id) ?? 'tool'
    state.tools.delete(id)
    const failed = part['is_error'] === true
    events.push({ type: 'tool', name, detail: resultText(part['content']), state: failed ? 'failed' : 'ok' })
  }
  return events
}

function takeLimit(state: State, line: JsonObject): RunEvent[] {
  const info = asObject(line['rate_limit_info'])
  if (!info || info['status'] === 'allowed' || info['status'] === 'allowed_warning') return []
  const resetsAt = asNumber(info['resetsAt'])
  if (resetsAt) state.resetsAtMs = resetsAt * 1_000
  return [{ type: 'limit', text: 'the account has reached its usage limit', retryAfterMs: null }]
}

function takeResult(state: State, line: JsonObject): RunEvent[] {
  state.result = line
  const since = asObject(line['model_usage_since_last_result'])
  // Per-model figures include what helpers spent; `usage` is the main conversation's alone.
  const own = since ? sumModels(asObjects(Object.values(since))) : null
  state.resultUsage = addUsage(state.resultUsage, own?.usage ?? usageOf(asObject(line['usage']) ?? {}))
  state.costUsd = own && state.costUsd !== null ? state.costUsd + own.costUsd : null
  const events: RunEvent[] = [
    { type: 'usage', usage: state.resultUsage, costUsd: state.costUsd ?? asNumber(line['total_cost_usd']) },
  ]
  const denied = asObjects(line['permission_denials']).map((denial) => asText(denial['tool_name']) ?? 'a tool')
  if (denied.length > 0)
    events.push({ type: 'error', code: 'permission', text: `not permitted: ${[...new Set(denied)].join(', ')}` })
  const failure = failureOf(state, null)
  if (failure) events.push({ type: 'error', code: failure.code, text: failure.text })
  return events
}

interface End {
  exitCode: number | null
  signal: string | null
  stderrTail: string
  resumed: boolean
  previousCostUsd: number | null
}

function summarize(state: State, end: End): RunSummary {
  const usage = state.result ? state.resultUsage : [...state.answers.values()].map(usageOf).reduce(addUsage, NO_USAGE)
  return {
    failure: failureOf(state, end),
    sessionId: state.sessionId,
    model: state.model,
    usage,
    costUsd: costOf(state, end),
  }
}

/** The run's own cost. Without per-result figures, a resumed session's total less what it had cost before. */
function costOf(state: State, end: End): number {
  if (!state.result) return 0
  if (state.costUsd !== null) return state.costUsd
  const total = asAmount(state.result['total_cost_usd'])
  const before = end.resumed ? (end.previousCostUsd ?? 0) : 0
  // A total below what we know was spent is not the session's: the CLI had forgotten, so it is this run's.
  return total >= before ? total - before : total
}

/** Why the run failed, or null. `end` is null while the process still lives. */
function failureOf(state: State, end: End | null): Failure | null {
  const { result } = state
  if (result) {
    const subtype = asText(result['subtype'])
    if (result['is_error'] === true || subtype !== 'success') {
      const errors = Array.isArray(result['errors']) ? result['errors'].filter((error) => asText(error)) : []
      const said = asText(result['result']) ?? (errors.join('; ') || subtype || 'no reason given')
      return classify({
        status: asNumber(result['api_error_status']) ?? state.lastError?.status ?? null,
        error: state.lastError?.error ?? null,
        text: said,
        reason: asText(result['terminal_reason']) ?? subtype,
        ...(state.resetsAtMs === null ? {} : { resetsAtMs: state.resetsAtMs }),
      })
    }
    if (end && end.exitCode !== 0) return { code: 'crash', text: crashText({ name: 'claude', ...end }) }
    return null
  }
  if (!end) return null
  return failureWithoutResult(state, end)
}

function failureWithoutResult(state: State, end: End): Failure {
  const how = crashText({ name: 'claude', ...end })
  if (end.exitCode === 127) return { code: 'missing-tool', text: how }
  if (state.lastError) return classify({ ...state.lastError, text: state.lastError.text || how })
  // Trouble before the stream begins (login, arguments, session) is told on stderr only.
  const early = classify({ status: null, error: null, text: end.stderrTail, reason: null })
  if (early.code !== 'crash') return early
  if (end.exitCode === 0 || (state.broken > 0 && !end.signal && (end.exitCode ?? 0) < 128)) {
    return {
      code: 'malformed-stream',
      text: `claude's stream has no result line (${state.lines} lines, ${state.broken} unreadable); ${how}`,
    }
  }
  return { code: 'crash', text: how }
}

function usageOf(usage: JsonObject): Usage {
  return {
    input: asAmount(usage['input_tokens']),
    output: asAmount(usage['output_tokens']),
    cacheRead: asAmount(usage['cache_read_input_tokens']),
    cacheWrite: asAmount(usage['cache_creation_input_tokens']),
  }
}

function sumModels(models: JsonObject[]): { usage: Usage; costUsd: number } {
  const usages = models.map((model) => ({
    input: asAmount(model['inputTokens']),
    output: asAmount(model['outputTokens']),
    cacheRead: asAmount(model['cacheReadInputTokens']),
    cacheWrite: asAmount(model['cacheCreationInputTokens']),
  }))
  const costUsd = models.reduce((sum, model) => sum + asAmount(model['costUSD']), 0)
  return { usage: usages.reduce(addUsage, NO_USAGE), costUsd }
}

/** What a tool works on, in one line: the input that says most. */
function detailOf(input: Record<string, unknown>): string {
  for (const key of ['command', 'file_path', 'path', 'pattern', 'url', 'query', 'description', 'prompt']) {
    const value = input[key]
    if (typeof value === 'string') return value.slice(0, 500)
  }
  return JSON.stringify(input).slice(0, 500)
}

function resultText(value: unknown): string {
  if (typeof value === 'string') return value.slice(0, 500)
  if (!Array.isArray(value)) return ''
  const parts = value.map((part: unknown) =>
    part && typeof part === 'object' && 'text' in part ? String(part.text) : '',
  )
  return parts.join('\n').slice(0, 500)
}
