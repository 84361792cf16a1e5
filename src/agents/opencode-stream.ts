// Reads OpenCode's `run --format json` (measured on 1.18.33) and the lines that our plugin adds to it (opencode-plugin.ts).
// Invariant: the stream has no end of its own: a turn ended well only when its last step finished for a reason that is no
// tool call, nothing was complained of, and the process ended with 0.

import { addUsage, NO_USAGE, type Usage } from '../core/run.ts'
import type { RunEvent, RunSummary, StreamParser } from './agent.ts'
import { asAmount, asNumber, asObject, asText, type JsonObject, parseObject } from './json-fields.ts'
import { classify, classifyEarly, type ErrorFacts, factsOf, type Failure } from './opencode-errors.ts'
import { crashText } from './report.ts'

/** After a step that finished so, the CLI asks the model again. */
const GOES_ON = new Set(['tool-calls', 'unknown'])
/** How the CLI's tools tell that its rules, or nobody at the keyboard, kept them from working. */
const DENIED = /^The user (rejected permission|has specified a rule which prevents you)/

interface State {
  sessionId: string | null
  model: string | null
  /** Ids of what is counted, so that it is counted once. */
  lastStep: string | null
  helperSteps: Set<string>
  usage: Usage
  costUsd: number
  /** Why the last step finished; null while one is open, and before the first. */
  finished: string | null
  /** The latest refusal that the CLI wanted to sit out. Null as soon as an answer came. */
  refused: ErrorFacts | null
  /** It was not sat out: the session was ended because of it. */
  gaveUp: boolean
  error: ErrorFacts | null
  denied: string | null
  broken: number
  lines: number
}

/** A parser of one run's stream. Steps are a run's own also in a resumed session, so there is nothing to take off. */
export function makeOpencodeParser(): StreamParser {
  const state: State = {
    sessionId: null,
    model: null,
    lastStep: null,
    helperSteps: new Set(),
    usage: NO_USAGE,
    costUsd: 0,
    finished: null,
    refused: null,
    gaveUp: false,
    error: null,
    denied: null,
    broken: 0,
    lines: 0,
  }
  return {
    push(raw) {
      if (raw.trim() === '') return []
      state.lines += 1
      const line = parseObject(raw)
      if (line) return take(state, line)
      state.broken += 1
      return [
        { type: 'error', code: 'malformed-stream', text: `not a line of opencode's stream: ${raw.slice(0, 200)}` },
      ]
    },
    end: (exit) => summarize(state, exit),
  }
}

function take(state: State, line: JsonObject): RunEvent[] {
  const type = asText(line['type'])
  if (type === 'orch.step') return takeHelper(state, line)
  if (type === 'orch.tool') {
    const { tool, detail } = line
    answered(state)
    return [{ type: 'tool', name: asText(tool) ?? 'tool', detail: asText(detail) ?? '', state: 'started' }]
  }
  if (state.sessionId !== null) return takeOwn(state, type, line)
  // The first line of the run's own session tells of it.
  state.sessionId = asText(line['sessionID'])
  if (state.sessionId === null) return []
  state.model = asText(line['model'])
  return [{ type: 'started', sessionId: state.sessionId, model: state.model }, ...takeOwn(state, type, line)]
}

function takeOwn(state: State, type: string | null, line: JsonObject): RunEvent[] {
  switch (type) {
    case 'step_start':
      state.finished = null
      answered(state)
      return []
    case 'step_finish':
      return takeFinish(state, asObject(line['part']) ?? {})
    case 'text': {
      const part = asObject(line['part'])
      const text = asText(part?.['text'])
      // What the CLI itself put into the conversation was said by nobody.
      return text === null || part?.['synthetic'] === true ? [] : [{ type: 'message', text }]
    }
    case 'tool_use':
      return takeTool(state, asObject(line['part']) ?? {})
    case 'orch.retry':
      return takeRetry(state, line)
    case 'error': {
      state.error = factsOf(asObject(line['error']), { at: asNumber(line['timestamp']) })
      const { code, text } = classify(state.error)
      return [{ type: 'error', code, text }]
    }
    default:
      return []
  }
}

/** What was refused before is over, unless the session was ended for it: then this is only told late. */
function answered(state: State): void {
  if (!state.gaveUp) state.refused = null
}

function takeFinish(state: State, part: JsonObject): RunEvent[] {
  state.finished = asText(part['reason']) ?? 'unknown'
  // Told again, it would follow itself: a set of all would cost a sixth of the parsing.
  const id = asText(part['id'])
  if (id !== null && id === state.lastStep) return []
  state.lastStep = id
  return takeUse(state, part)
}

function takeHelper(state: State, line: JsonObject): RunEvent[] {
  const part = asObject(line['part']) ?? {}
  const id = asText(part['id'])
  if (id === null || state.helperSteps.has(id)) return []
  state.helperSteps.add(id)
  return takeUse(state, part)
}

/** A step's use, and the run's so far. */
function takeUse(state: State, part: JsonObject): RunEvent[] {
  const tokens = asObject(part['tokens']) ?? {}
  const cache = asObject(tokens['cache']) ?? {}
  state.usage = addUsage(state.usage, {
    input: asAmount(tokens['input']),
    // What a model thinks is paid for as what it says.
    output: asAmount(tokens['output']) + asAmount(tokens['reasoning']),
    cacheRead: asAmount(cache['read']),
    cacheWrite: asAmount(cache['write']),
  })
  state.costUsd += asAmount(part['cost'])
  return [{ type: 'usage', usage: state.usage, costUsd: state.costUsd }]
}

function takeTool(state: State, part: JsonObject): RunEvent[] {
  const name = asText(part['tool']) ?? 'tool'
  const told = asObject(part['state']) ?? {}
  const error = asText(told['error'])
  // A command's own exit code is beside the point for the CLI: the tool did its work.
  const exit = asNumber(asObject(told['metadata'])?.['exit'])
  const failed = told['status'] === 'error' || (exit !== null && exit !== 0)
  const detail = (error ?? asText(told['output']) ?? asText(told['title']) ?? '').slice(0, 500)
  const events: RunEvent[] = [{ type: 'tool', name, detail, state: failed ? 'failed' : 'ok' }]
  state.denied = error !== null && DENIED.test(error) ? `the agent was not permitted to use ${name}` : null
  if (state.denied !== null) events.push({ type: 'error', code: 'permission', text: state.denied })
  return events
}

function takeRetry(state: State, line: JsonObject): RunEvent[] {
  state.refused = factsOf(asObject(line['error']), { at: asNumber(line['timestamp']), passes: true })
  state.gaveUp = line['givesUp'] === true
  const failure = classify(state.refused)
  const text = `${failure.text}; attempt ${asNumber(line['attempt']) ?? '?'}`
  const events: RunEvent[] = [{ type: 'limit', text, retryAfterMs: asNumber(line['waitMs']) }]
  if (state.gaveUp) events.push({ type: 'error', code: failure.code, text: failure.text })
  return events
}

interface End {
  exitCode: number | null
  signal: string | null
  stderrTail: string
}

function summarize(state: State, end: End): RunSummary {
  const { sessionId, model, usage, costUsd } = state
  return { failure: failureOf(state, end), sessionId, model, usage, costUsd }
}

function failureOf(state: State, end: End): Failure | null {
  const { refused, gaveUp, error, denied, finished } = state
  // A session that is ended for a refusal complains of having been ended, if of anything.
  if (refused && gaveUp) return classify(refused)
  if (error) return classify(error, end.stderrTail)
  const how = crashText({ name: 'opencode', ...end })
  if (end.exitCode === 127) return { code: 'missing-tool', text: how }
  if (finished !== null && !GOES_ON.has(finished)) return end.exitCode === 0 ? null : { code: 'crash', text: how }
  // Ended while it waited to try again, the trouble is what it waited for.
  if (refused) return classify(refused)
  if (finished !== null && denied !== null && end.exitCode === 0) return { code: 'permission', text: denied }
  return failureWithoutEnd(state, end, how)
}

function failureWithoutEnd(state: State, end: End, how: string): Failure {
  const early = state.sessionId !== null || end.exitCode === 0 ? null : classifyEarly(end.stderrTail)
  if (early) return early
  if (end.exitCode === 0 || (state.broken > 0 && !end.signal && (end.exitCode ?? 0) < 128)) {
    const counted = `${state.lines} lines, ${state.broken} unreadable`
    return { code: 'malformed-stream', text: `opencode's stream has no end of its turn (${counted}); ${how}` }
  }
  return { code: 'crash', text: how }
}
