// Reads Claude Code's stream-json (measured on 2.1.329): messages, tools, retries, usage and the result line.
// Invariant: `is_error` decides, never `subtype` (a failed result says "success"); without a result line nothing succeeded.

import { z } from 'zod'
import { addUsage, NO_USAGE, type Usage } from '../core/run.ts'
import type { ParserContext, RunEvent, RunSummary, StreamParser } from './agent.ts'
import { classify, type Failure, type ResultFacts } from './claude-errors.ts'
import { crashText } from './report.ts'

const tokens = z.number().nonnegative().catch(0)

const apiUsage = z.object({
  input_tokens: tokens,
  output_tokens: tokens,
  cache_read_input_tokens: tokens,
  cache_creation_input_tokens: tokens,
})

const modelUsage = z.object({
  inputTokens: tokens,
  outputTokens: tokens,
  cacheReadInputTokens: tokens,
  cacheCreationInputTokens: tokens,
  costUSD: z.number().nonnegative().catch(0),
})

const text = z.string().nullish().catch(null)

const content = z.object({
  type: z.string(),
  text: text,
  id: text,
  name: text,
  input: z.record(z.string(), z.unknown()).nullish().catch(null),
  tool_use_id: text,
  is_error: z.boolean().nullish().catch(null),
  content: z.unknown().optional(),
})

const line = z.object({
  type: z.string(),
  subtype: text,
  session_id: text,
  model: text,
  error: z.unknown().optional(),
  error_status: z.number().nullish().catch(null),
  attempt: z.number().nullish().catch(null),
  max_retries: z.number().nullish().catch(null),
  retry_delay_ms: z.number().nullish().catch(null),
  tool_name: text,
  message: z
    .object({
      id: text,
      model: text,
      content: z.union([z.string(), z.array(content)]),
      usage: apiUsage.nullish().catch(null),
    })
    .nullish()
    .catch(null),
  is_error: z.boolean().nullish().catch(null),
  api_error_status: z.number().nullish().catch(null),
  terminal_reason: text,
  result: text,
  total_cost_usd: z.number().nonnegative().nullish().catch(null),
  usage: apiUsage.nullish().catch(null),
  model_usage_since_last_result: z.record(z.string(), modelUsage).nullish().catch(null),
  permission_denials: z
    .array(z.object({ tool_name: text }))
    .nullish()
    .catch(null),
  errors: z.array(z.string()).nullish().catch(null),
  rate_limit_info: z
    .object({ status: text, resetsAt: z.number().nullish().catch(null) })
    .nullish()
    .catch(null),
})
type Line = z.infer<typeof line>

interface State {
  sessionId: string | null
  model: string | null
  /** Usage of every answer, by its id: for a run that ends without a result line. */
  answers: Map<string, Usage>
  tools: Map<string, string>
  result: Line | null
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
      if (raw.trim() === '') return []
      state.lines += 1
      const read = readLine(raw)
      if (read) return take(state, read)
      state.broken += 1
      return [{ type: 'error', code: 'malformed-stream', text: `not a line of claude's stream: ${raw.slice(0, 200)}` }]
    },
    end: (exit) => summarize(state, { ...exit, ...context }),
  }
}

function readLine(raw: string): Line | null {
  try {
    return line.parse(JSON.parse(raw))
  } catch {
    return null
  }
}

function take(state: State, read: Line): RunEvent[] {
  state.sessionId = read.session_id ?? state.sessionId
  switch (read.type) {
    case 'system':
      return takeSystem(state, read)
    case 'assistant':
      return takeAnswer(state, read)
    case 'user':
      return takeToolResults(state, read)
    case 'result':
      return takeResult(state, read)
    case 'rate_limit_event':
      return takeLimit(state, read)
    default:
      return []
  }
}

function takeSystem(state: State, read: Line): RunEvent[] {
  switch (read.subtype) {
    case 'init':
      state.model = read.model ?? state.model
      return [{ type: 'started', sessionId: state.sessionId, model: state.model }]
    case 'api_retry': {
      state.lastError = { status: read.error_status ?? null, error: textOf(read.error), text: '', reason: null }
      const what = `${read.error_status ?? ''} ${textOf(read.error) ?? ''}`.trim()
      const count = `attempt ${read.attempt ?? '?'} of ${read.max_retries ?? '?'}`
      return [
        {
          type: 'limit',
          text: `the model's API answered ${what}; ${count}`,
          retryAfterMs: read.retry_delay_ms ?? null,
        },
      ]
    }
    case 'permission_denied':
      return [
        { type: 'error', code: 'permission', text: `the agent was not permitted to use ${read.tool_name ?? 'a tool'}` },
      ]
    default:
      return []
  }
}

function takeAnswer(state: State, read: Line): RunEvent[] {
  const { message } = read
  if (!message) return []
  const synthetic = message.model === '<synthetic>'
  if (!synthetic && message.model) state.model = message.model
  // One answer comes in several lines, each with the same id and the same usage.
  if (!synthetic && message.id && message.usage) state.answers.set(message.id, usageOf(message.usage))
  const parts = typeof message.content === 'string' ? [] : message.content
  const events: RunEvent[] = []
  for (const part of parts) {
    if (part.type === 'text' && part.text) events.push({ type: 'message', text: part.text })
    if (part.type === 'tool_use' && part.name) {
      if (part.id) state.tools.set(part.id, part.name)
      events.push({ type: 'tool', name: part.name, detail: detailOf(part.input ?? {}), state: 'started' })
    }
  }
  if (typeof message.content === 'string' && message.content !== '')
    events.push({ type: 'message', text: message.content })
  const error = textOf(read.error)
  if (error)
    state.lastError = {
      status: state.lastError?.status ?? null,
      error,
      text: parts.map((part) => part.text ?? '').join(' '),
      reason: null,
    }
  return events
}

function takeToolResults(state: State, read: Line): RunEvent[] {
  const parts = typeof read.message?.content === 'object' ? read.message.content : []
  return parts
    .filter((part) => part.type === 'tool_result')
    .map((part) => ({
      type: 'tool',
      name: state.tools.get(part.tool_use_id ?? '') ?? 'tool',
      detail: resultText(part.content),
      state: part.is_error ? 'failed' : 'ok',
    }))
}

function takeLimit(state: State, read: Line): RunEvent[] {
  const info = read.rate_limit_info
  if (!info || info.status === 'allowed' || info.status === 'allowed_warning') return []
  if (info.resetsAt) state.resetsAtMs = info.resetsAt * 1_000
  return [{ type: 'limit', text: 'the account has reached its usage limit', retryAfterMs: null }]
}

function takeResult(state: State, read: Line): RunEvent[] {
  state.result = read
  const usage = read.usage ? usageOf(read.usage) : NO_USAGE
  const since = read.model_usage_since_last_result
  // Per-model figures include what helpers spent; `usage` is the main conversation's alone.
  const own = since ? sumModels(Object.values(since)) : null
  state.resultUsage = addUsage(state.resultUsage, own?.usage ?? usage)
  state.costUsd = own && state.costUsd !== null ? state.costUsd + own.costUsd : null
  const events: RunEvent[] = [
    { type: 'usage', usage: state.resultUsage, costUsd: state.costUsd ?? read.total_cost_usd ?? null },
  ]
  const denied = (read.permission_denials ?? []).map((denial) => denial.tool_name ?? 'a tool')
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
  const usage = state.result ? state.resultUsage : [...state.answers.values()].reduce(addUsage, NO_USAGE)
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
  const total = state.result.total_cost_usd ?? 0
  const before = end.resumed ? (end.previousCostUsd ?? 0) : 0
  // A total below what we know was spent is not the session's: the CLI had forgotten, so it is this run's.
  return total >= before ? total - before : total
}

/** Why the run failed, or null. `end` is null while the process still lives. */
function failureOf(state: State, end: End | null): Failure | null {
  const { result } = state
  if (result) {
    const failed = result.is_error === true || result.subtype !== 'success'
    if (failed) {
      const said = result.result || (result.errors ?? []).join('; ') || result.subtype || 'no reason given'
      return classify({
        status: result.api_error_status ?? state.lastError?.status ?? null,
        error: state.lastError?.error ?? null,
        text: said,
        reason: result.terminal_reason ?? result.subtype ?? null,
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

function usageOf(usage: z.infer<typeof apiUsage>): Usage {
  return {
    input: usage.input_tokens,
    output: usage.output_tokens,
    cacheRead: usage.cache_read_input_tokens,
    cacheWrite: usage.cache_creation_input_tokens,
  }
}

function sumModels(models: z.infer<typeof modelUsage>[]): { usage: Usage; costUsd: number } {
  const usages = models.map((model) => ({
    input: model.inputTokens,
    output: model.outputTokens,
    cacheRead: model.cacheReadInputTokens,
    cacheWrite: model.cacheCreationInputTokens,
  }))
  return { usage: usages.reduce(addUsage, NO_USAGE), costUsd: models.reduce((sum, model) => sum + model.costUSD, 0) }
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
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
