// Reads Gemini CLI's stream-json (measured on 0.61.0): init, pieces of messages, tools and one result line.
// Invariants: without a result line nothing succeeded, and neither did a run whose result follows no answer of the model.

import { NO_USAGE, type Usage } from '../core/run.ts'
import type { RunEvent, RunSummary, StreamParser } from './agent.ts'
import { classifyEarly, classifyResult, type End, type Failure } from './gemini-errors.ts'
import { asAmount, asObject, asText, type JsonObject, parseObject } from './json-fields.ts'
import { crashText } from './report.ts'

/** A message longer than this is told in parts: what waits for its end must not grow with what an agent prints. */
const MESSAGE_LIMIT = 64_000

interface State {
  sessionId: string | null
  model: string | null
  /** The message that is being said, as far as its pieces have come. */
  message: string
  /** Names of tools by the id of their call. */
  tools: Map<string, string>
  /** The model has said something since the prompt, or since the last tool's result. */
  answered: boolean
  lastError: string | null
  result: JsonObject | null
  usage: Usage
  broken: number
  lines: number
}

/** A parser of one run's stream. Its usage is the run's own, also in a resumed session; the CLI tells no cost. */
export function makeGeminiParser(): StreamParser {
  const state: State = {
    sessionId: null,
    model: null,
    message: '',
    tools: new Map(),
    answered: false,
    lastError: null,
    result: null,
    usage: NO_USAGE,
    broken: 0,
    lines: 0,
  }
  return {
    push(raw) {
      const line = parseObject(raw)
      if (!line && raw.trim() === '') return []
      state.lines += 1
      if (line && typeof line['type'] === 'string') return take(state, line)
      state.broken += 1
      return [{ type: 'error', code: 'malformed-stream', text: `not a line of gemini's stream: ${raw.slice(0, 200)}` }]
    },
    end: (exit) => summarize(state, exit),
  }
}

function take(state: State, line: JsonObject): RunEvent[] {
  switch (line['type']) {
    case 'init':
      state.sessionId = asText(line['session_id']) ?? state.sessionId
      state.model = asText(line['model']) ?? state.model
      return [{ type: 'started', sessionId: state.sessionId, model: state.model }]
    case 'message':
      return takeMessage(state, line)
    case 'tool_use':
      return after(state, takeCall(state, line))
    case 'tool_result':
      return after(state, takeToolResult(state, line))
    case 'error':
      state.lastError = asText(line['message']) ?? state.lastError
      return after(state, {
        type: 'error',
        code: classifyResult(state.lastError ?? '', null).code,
        text: state.lastError ?? 'no reason given',
      })
    case 'result':
      return [...spoken(state), ...takeResult(state, line)]
    default:
      return []
  }
}

function takeMessage(state: State, line: JsonObject): RunEvent[] {
  const text = asText(line['content'])
  // The stream repeats the prompt as the user's message.
  if (text === null || line['role'] !== 'assistant') return []
  state.answered = true
  if (line['delta'] !== true) return [...spoken(state), { type: 'message', text }]
  state.message += text
  return state.message.length >= MESSAGE_LIMIT ? spoken(state) : []
}

/** The message whose pieces have come so far, if any. */
function spoken(state: State): RunEvent[] {
  const text = state.message
  if (text === '') return []
  state.message = ''
  return text.trim() === '' ? [] : [{ type: 'message', text }]
}

/** What is told by a line that ends the message before it. */
function after(state: State, event: RunEvent): RunEvent[] {
  return state.message === '' ? [event] : [...spoken(state), event]
}

function takeCall(state: State, line: JsonObject): RunEvent {
  const name = asText(line['tool_name']) ?? 'tool'
  const id = asText(line['tool_id'])
  if (id) state.tools.set(id, name)
  state.answered = true
  return { type: 'tool', name, detail: detailOf(asObject(line['parameters']) ?? {}), state: 'started' }
}

function takeToolResult(state: State, line: JsonObject): RunEvent {
  const id = asText(line['tool_id']) ?? ''
  const name = state.tools.get(id) ?? 'tool'
  state.tools.delete(id)
  state.answered = false
  const detail = asText(line['output']) ?? asText(asObject(line['error'])?.['message']) ?? ''
  // A command that failed without a word, or was not run at all, is told as a success that says so.
  const failed = line['status'] !== 'success' || saysFailed(detail)
  return { type: 'tool', name, detail: detail.slice(0, 500), state: failed ? 'failed' : 'ok' }
}

function saysFailed(output: string): boolean {
  if (output.startsWith('Command ')) return /^Command (exited with code: [1-9]|terminated by signal)/.test(output)
  return output.startsWith('Blocked: ')
}

function takeResult(state: State, line: JsonObject): RunEvent[] {
  state.result = line
  const stats = asObject(line['stats']) ?? {}
  state.usage = usageOf(stats)
  // Asked for "auto", the CLI chooses for each request: the one that did most of the work speaks for the run.
  if (state.model === null || state.model.startsWith('auto')) state.model = busiest(stats) ?? state.model
  const failure = failureOf(state, null)
  const used: RunEvent = { type: 'usage', usage: state.usage, costUsd: null }
  return failure ? [used, { type: 'error', code: failure.code, text: failure.text }] : [used]
}

function summarize(state: State, end: End): RunSummary {
  const { sessionId, model, usage } = state
  return { failure: failureOf(state, end), sessionId, model, usage, costUsd: 0 }
}

/** Why the run failed, or null. `end` is null while the process still lives. */
function failureOf(state: State, end: End | null): Failure | null {
  const { result } = state
  if (!result) return end && failureWithoutResult(state, end)
  if (result['status'] !== 'success') {
    return classifyResult(asText(asObject(result['error'])?.['message']) ?? state.lastError ?? '', end)
  }
  // A conversation that no longer fits its model is not sent, and nothing but the missing answer says so.
  if (!state.answered && state.lastError === null) {
    return {
      code: 'context-overflow',
      text: 'gemini ended without an answer: it sends nothing that it takes to be longer than its model can read',
    }
  }
  if (end && end.exitCode !== 0) return { code: 'crash', text: crashText({ name: 'gemini', ...end }) }
  return null
}

function failureWithoutResult(state: State, end: End): Failure {
  const early = classifyEarly(end)
  if (early) return early
  const how = crashText({ name: 'gemini', ...end })
  if (end.exitCode === 0 || (state.broken > 0 && !end.signal && (end.exitCode ?? 0) < 128)) {
    return {
      code: 'malformed-stream',
      text: `gemini's stream has no result line (${state.lines} lines, ${state.broken} unreadable); ${how}`,
    }
  }
  return { code: 'crash', text: how }
}

function usageOf(stats: JsonObject): Usage {
  const [prompt, cacheRead] = [asAmount(stats['input_tokens']), asAmount(stats['cached'])]
  // What a model thinks is billed as output but counted in the total alone.
  const output = Math.max(asAmount(stats['output_tokens']), asAmount(stats['total_tokens']) - prompt)
  return { input: Math.max(0, prompt - cacheRead), output, cacheRead, cacheWrite: 0 }
}

function busiest(stats: JsonObject): string | null {
  const models = Object.entries(asObject(stats['models']) ?? {})
  const tokens = ([, model]: [string, unknown]): number => asAmount(asObject(model)?.['total_tokens'])
  return models.sort((a, b) => tokens(b) - tokens(a))[0]?.[0] ?? null
}

/** What a tool works on, in one line: the input that says most. */
function detailOf(input: JsonObject): string {
  for (const key of ['command', 'file_path', 'dir_path', 'path', 'pattern', 'url', 'query', 'title', 'prompt']) {
    const value = input[key]
    if (typeof value === 'string') return value.slice(0, 500)
  }
  return JSON.stringify(input).slice(0, 500)
}
