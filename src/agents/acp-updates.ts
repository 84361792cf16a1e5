// Turns an agent's session updates into lines of our own: chunks of text joined to paragraphs, a tool's beginning and end
// once each, a plan when it changed. Invariant: what is replayed of an earlier run is never said again.

import { asAmount, asNumber, asObject, asObjects, asText, type JsonObject } from './json-fields.ts'
import type { AcpLine } from './acp-lines.ts'

/** Text without a paragraph's end is said anyway when it has grown to this many characters. */
const LONGEST_TEXT = 4_000
const DETAIL_LENGTH = 500

interface Tool {
  name: string
  title: string
  started: boolean
}

export interface AcpUpdates {
  /** An update of the session, as it came. */
  take(update: JsonObject): void
  /** A tool's call as a permission request tells of it; gives how it is called. */
  tool(call: JsonObject): string
  /** Says what is still held back. */
  flush(): void
  /** From now on nothing is said, but for what the session has cost. */
  mute(muted: boolean): void
  /** The session's cost by the last update that told, or null. */
  costUsd(): number | null
  /** Updates so far, muted ones too. */
  count(): number
}

export function makeAcpUpdates(say: (line: AcpLine) => void): AcpUpdates {
  const text = makeText(say)
  const tools = makeTools(say, text.flush)
  let plan = ''
  let muted = false
  let costUsd: number | null = null
  let count = 0

  function takePlan(update: JsonObject): void {
    const entries = asObjects(update['entries']).map(
      (entry) => `${MARKS[String(entry['status'])] ?? '[ ]'} ${asText(entry['content']) ?? ''}`,
    )
    const now = entries.join('\n')
    if (now === plan) return
    plan = now
    text.flush()
    say({ type: 'plan', text: now })
  }

  function takeUsage(update: JsonObject): void {
    const cost = asObject(update['cost'])
    if (!cost || asNumber(cost['amount']) === null || cost['currency'] !== 'USD') return
    costUsd = asAmount(cost['amount'])
    if (!muted) say({ type: 'cost', costUsd })
  }

  return {
    take(update) {
      count += 1
      const kind = update['sessionUpdate']
      if (kind === 'usage_update') return takeUsage(update)
      if (muted) return
      if (kind === 'agent_message_chunk') text.add('say', update)
      else if (kind === 'agent_thought_chunk') text.add('thought', update)
      else if (kind === 'tool_call' || kind === 'tool_call_update') tools.take(update)
      else if (kind === 'plan') takePlan(update)
      else if (kind === 'notice') say({ type: 'note', text: noticeOf(update) })
    },
    tool: tools.asked,
    flush: text.flush,
    mute(now) {
      muted = now
    },
    costUsd: () => costUsd,
    count: () => count,
  }
}

/** Joins chunks to paragraphs. */
function makeText(say: (line: AcpLine) => void) {
  let text = ''
  let speaking: { type: 'say' | 'thought'; message: string | null } = { type: 'say', message: null }
  const flush = (): void => {
    const whole = text.trim()
    text = ''
    if (whole !== '') say({ type: speaking.type, text: whole })
  }
  return {
    flush,
    add(type: 'say' | 'thought', update: JsonObject): void {
      const message = asText(update['messageId'])
      if (speaking.type !== type || speaking.message !== message) flush()
      speaking = { type, message }
      text += textOf(update['content'])
      const at = text.length > LONGEST_TEXT ? text.length : text.lastIndexOf('\n\n')
      if (at <= 0) return
      const rest = text.slice(at)
      text = text.slice(0, at)
      flush()
      text = rest.trimStart()
    },
  }
}

/** Tells each tool's beginning and end once. */
function makeTools(say: (line: AcpLine) => void, flush: () => void) {
  const tools = new Map<string, Tool>()
  const toolOf = (call: JsonObject): Tool => {
    const id = asText(call['toolCallId']) ?? ''
    const tool = tools.get(id) ?? { name: 'tool', title: '', started: false }
    tool.name = asText(call['name']) ?? asText(call['kind']) ?? tool.name
    tool.title = asText(call['title']) ?? tool.title
    tools.set(id, tool)
    return tool
  }
  const begin = (tool: Tool): void => {
    if (tool.started) return
    tool.started = true
    flush()
    say({ type: 'tool', name: tool.name, detail: tool.title.slice(0, DETAIL_LENGTH), state: 'started' })
  }
  return {
    asked(call: JsonObject): string {
      const tool = toolOf(call)
      begin(tool)
      return tool.title || tool.name
    },
    take(update: JsonObject): void {
      const tool = toolOf(update)
      const status = update['status']
      // A pending call often has no words yet for what it will do.
      if (status === 'in_progress') begin(tool)
      if (status !== 'completed' && status !== 'failed') return
      begin(tool)
      const detail = (resultOf(update) || tool.title).slice(0, DETAIL_LENGTH)
      say({ type: 'tool', name: tool.name, detail, state: status === 'completed' ? 'ok' : 'failed' })
      tools.delete(asText(update['toolCallId']) ?? '')
    },
  }
}

const MARKS: Record<string, string> = { completed: '[x]', in_progress: '[>]' }

/** What a tool gave back: the text of its content. */
function resultOf(update: JsonObject): string {
  return asObjects(update['content'])
    .map((part) => textOf(part['content']))
    .filter((part) => part !== '')
    .join('\n')
}

/** The text of a content block. */
function textOf(block: unknown): string {
  return asText(asObject(block)?.['text']) ?? ''
}

function noticeOf(update: JsonObject): string {
  return [asText(update['title']), asText(update['description'])].filter((part) => part !== null).join(': ')
}
