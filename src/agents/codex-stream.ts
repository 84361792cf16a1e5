// Reads `codex exec --json` (measured on 0.169.0): thread, items, reconnects, usage and the turn's end.
// Invariant: only `turn.completed` is a good end. Its usage is the whole thread's, so a resumed run's own is the rest
// after what was counted before. Written without a schema library: this is the path of every line of every run.

import { NO_USAGE, type Usage } from '../core/run.ts'
import type { ParserContext, RunEvent, RunSummary, StreamParser } from './agent.ts'
import { classify, type Failure } from './codex-errors.ts'
import { crashText } from './report.ts'

/** Enough of a command or its output to know it by. */
const DETAIL_LENGTH = 500

type Json = Record<string, unknown>

interface State {
  sessionId: string | null
  /** The thread's total, with the turn's end. */
  total: Usage | null
  /** Why the turn failed; an earlier trouble until then. */
  trouble: Failure | null
  failed: boolean
  /** What its own sandbox said when it couldn't start; a command that ran says that it can. */
  walled: string | null
  ran: boolean
  broken: number
  lines: number
}

/** A parser of one run's stream. The stream names no model and no cost. */
export function makeCodexParser(context: ParserContext): StreamParser {
  const state: State = {
    sessionId: null,
    total: null,
    trouble: null,
    failed: false,
    walled: null,
    ran: false,
    broken: 0,
    lines: 0,
  }
  return {
    push(raw) {
      const line = readLine(raw)
      if (!line && raw.trim() === '') return []
      state.lines += 1
      if (line) return take(state, line, context)
      state.broken += 1
      return [{ type: 'error', code: 'malformed-stream', text: `not a line of codex's stream: ${raw.slice(0, 200)}` }]
    },
    end: (exit) => ({
      failure: failureOf(state, exit),
      sessionId: state.sessionId,
      model: null,
      usage: ownUsage(state, context),
      costUsd: 0,
    }),
  }
}

function readLine(raw: string): (Json & { type: string }) | null {
  try {
    const line: unknown = JSON.parse(raw)
    return isObject(line) && typeof line['type'] === 'string' ? (line as Json & { type: string }) : null
  } catch {
    return null
  }
}

function take(state: State, line: Json & { type: string }, context: ParserContext): RunEvent[] {
  switch (line.type) {
    case 'thread.started':
      state.sessionId = textOf(line['thread_id']) || null
      return [{ type: 'started', sessionId: state.sessionId, model: null }]
    case 'item.started':
    case 'item.completed':
      return isObject(line['item']) ? takeItem(state, line['item'], line.type === 'item.started') : []
    case 'error':
      return takeError(state, textOf(line['message']))
    case 'turn.completed': {
      state.total = usageOf(isObject(line['usage']) ? line['usage'] : {})
      return [{ type: 'usage', usage: ownUsage(state, context), costUsd: null }]
    }
    case 'turn.failed': {
      const error = line['error']
      state.trouble = classify(isObject(error) ? textOf(error['message']) : '')
      state.failed = true
      return [{ type: 'error', code: state.trouble.code, text: state.trouble.text }]
    }
    default:
      return []
  }
}

/** It says when it tries again and why; what it says at last, `turn.failed` says again. */
function takeError(state: State, message: string): RunEvent[] {
  const retry = /^Reconnecting\.\.\. (.*?) \((.*)\)$/s.exec(message)
  state.trouble = classify(retry?.[2] ?? message)
  if (!retry) return []
  const { text, retryAfterMs = null } = state.trouble
  return [{ type: 'limit', text: `codex tries again (${retry[1]}): ${text}`, retryAfterMs }]
}

function takeItem(run: State, item: Json, starts: boolean): RunEvent[] {
  const type = textOf(item['type'])
  // Not the run's failure: a setting it ignores, a model it doesn't know, another way to the API.
  if (type === 'error') return starts ? [] : [{ type: 'message', text: `warning: ${textOf(item['message'])}` }]
  // The API has answered, so what was tried again is over.
  run.trouble = null
  if (type === 'agent_message') return starts ? [] : [{ type: 'message', text: textOf(item['text']) }]
  const failed = item['status'] === 'failed' || item['status'] === 'declined'
  const state = starts ? 'started' : failed ? 'failed' : 'ok'
  if (type === 'command_execution') {
    const output = starts ? '' : textOf(item['aggregated_output']).slice(0, DETAIL_LENGTH)
    if (failed && output.startsWith('bwrap: ')) run.walled = output
    else if (!starts) run.ran = true
    const detail = output || commandOf(textOf(item['command'])).slice(0, DETAIL_LENGTH)
    return [{ type: 'tool', name: 'shell', detail: detail.trim(), state }]
  }
  const tool = toolOf(type, item)
  return tool ? [{ type: 'tool', name: tool.name, detail: tool.detail.slice(0, DETAIL_LENGTH), state }] : []
}

/** A tool's name, and what it was asked or why it failed. Null for what is no tool: thoughts, plans. */
function toolOf(type: string, item: Json): { name: string; detail: string } | null {
  switch (type) {
    case 'file_change': {
      const changes = Array.isArray(item['changes']) ? item['changes'].filter(isObject) : []
      return { name: 'edit', detail: changes.map((one) => `${textOf(one['kind'])} ${textOf(one['path'])}`).join(', ') }
    }
    case 'mcp_tool_call': {
      const error = isObject(item['error']) ? textOf(item['error']['message']) : ''
      const detail = error || JSON.stringify(item['arguments'] ?? {})
      return { name: `${textOf(item['server'])}.${textOf(item['tool'])}`, detail }
    }
    case 'web_search':
      return { name: type, detail: textOf(item['query']) }
    case 'collab_tool_call':
      return { name: textOf(item['tool']) || type, detail: textOf(item['prompt']) }
    default:
      return null
  }
}

/** A command without the shell around it, where it is quoted plainly: "/bin/bash -c '…'". */
function commandOf(command: string): string {
  const start = command.slice(0, 40).indexOf(" '") + 2
  const shell = command.slice(0, start)
  const plain = shell.endsWith("sh -c '") || shell.endsWith("sh -lc '")
  return plain && command.indexOf("'", start) === command.length - 1 ? command.slice(start, -1) : command
}

/** Cached input is part of the input it tells; ours are counted apart. */
function usageOf(told: Json): Usage {
  const count = (name: string): number => {
    const value = told[name]
    return typeof value === 'number' && value > 0 ? value : 0
  }
  const [cacheRead, cacheWrite] = [count('cached_input_tokens'), count('cache_write_input_tokens')]
  return {
    input: Math.max(0, count('input_tokens') - cacheRead - cacheWrite),
    output: count('output_tokens'),
    cacheRead,
    cacheWrite,
  }
}

/** The thread's total less what its earlier runs were counted. */
function ownUsage({ total }: State, { resumed, previousUsage }: ParserContext): Usage {
  if (!total) return NO_USAGE
  if (!resumed || !previousUsage) return total
  const before = previousUsage
  const rest: Usage = {
    input: total.input - before.input,
    output: total.output - before.output,
    cacheRead: total.cacheRead - before.cacheRead,
    cacheWrite: total.cacheWrite - before.cacheWrite,
  }
  // A total below what was spent before is not that session's: a fresh one, or one that had forgotten.
  return Object.values(rest).every((value) => value >= 0) ? rest : total
}

interface Exit {
  exitCode: number | null
  signal: string | null
  stderrTail: string
}

/** Why the run failed, or null. */
function failureOf(state: State, exit: Exit): RunSummary['failure'] {
  const how = crashText({ name: 'codex', ...exit })
  if (state.failed) return state.trouble
  // It goes on without its hands and ends well: nothing it could not do is the code's fault.
  if (state.walled !== null && !state.ran)
    return { code: 'permission', text: `codex's own sandbox does not start on this machine: ${state.walled}` }
  if (state.total) return exit.exitCode === 0 ? null : { code: 'crash', text: how }
  if (exit.exitCode === 127) return { code: 'missing-tool', text: how }
  // Ended between two tries: the class is that of the last trouble.
  if (state.trouble) return state.trouble
  const unread = `codex's stream has no end of its turn (${state.lines} lines, ${state.broken} unreadable); ${how}`
  if (exit.exitCode === 0) return { code: 'malformed-stream', text: unread }
  // Trouble before the stream begins (settings, session, prompt) is told on stderr only.
  const early = classify(exit.stderrTail)
  if (early.code !== 'crash') return early
  if (state.broken > 0 && !exit.signal && (exit.exitCode ?? 0) < 128) return { code: 'malformed-stream', text: unread }
  return { code: 'crash', text: how }
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
