// A model server on loopback that speaks the real wire format and says what the prompt's script says.
// Invariant: what comes next follows from the conversation it is sent; the one thing it remembers is a test's outage.

import { randomUUID } from 'node:crypto'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'
import { startErrorFront } from './error-front.ts'
import { type Turn, turnsOf } from './model-script.ts'

/** The part of the library that we use. */
interface MockServer {
  addFixture(fixture: {
    match: { predicate: (request: unknown) => boolean }
    response: (request: unknown) => unknown
    /** Letters of a text in one piece of the stream, ms between two, and after how many the connection is cut. */
    chunkSize?: number
    latency?: number
    truncateAfterChunks?: number
    chaos?: { disconnectRate: number }
  }): unknown
  start(): Promise<string>
  stop(): Promise<void>
  url: string
}
interface MockLibrary {
  LLMock: new (options: { port: number; host: string; logLevel: string }) => MockServer
}

/** Every provider's request arrives in this form. */
const request = z.object({
  messages: z.array(z.object({ role: z.string(), content: z.unknown() })),
  tools: z.array(z.object({ function: z.object({ name: z.string() }) })).nullish(),
  stream: z.boolean().nullish(),
})

/** How each CLI names the tools that write a file and run a command, known by the name of the second. */
const DIALECTS: Record<string, (turn: ToolTurn) => { name: string; input: Record<string, string> }> = {
  // claude
  Bash: (turn) =>
    turn.kind === 'write'
      ? { name: 'Write', input: { file_path: turn.path, content: turn.content } }
      : { name: 'Bash', input: { command: turn.command, description: 'scripted step' } },
  // codex has no tool that only writes
  exec_command: (turn) => ({
    name: 'exec_command',
    input: { cmd: turn.kind === 'write' ? writing(turn) : turn.command },
  }),
  // opencode
  bash: (turn) =>
    turn.kind === 'write'
      ? { name: 'write', input: { filePath: turn.path, content: turn.content } }
      : { name: 'bash', input: { command: turn.command, description: 'scripted step' } },
  // gemini
  run_shell_command: (turn) =>
    turn.kind === 'write'
      ? { name: 'write_file', input: { file_path: turn.path, content: turn.content } }
      : { name: 'run_shell_command', input: { command: hidden(turn.command), description: 'scripted step' } },
}

type ToolTurn = Extract<Turn, { kind: 'write' | 'shell' }>

/** gemini runs no command with a substitution in it, unless that stands in single quotes. */
function hidden(command: string): string {
  return command.includes('$(') ? `env sh -c '${command.replaceAll("'", "'\\''")}'` : command
}

function writing(turn: { path: string; content: string }): string {
  return `cat > '${turn.path}' <<'END-OF-FILE'\n${turn.content.replace(/\n$/, '')}\nEND-OF-FILE`
}

export interface ModelServer {
  url: string
  /** Requests so far, refused ones too. */
  requests: () => number
  /** Requests answered by the model: each handed out `USAGE`. */
  answered: () => number
  /** Those of them that were no part of the script, such as for a title: requests without tools. */
  asides: () => number
  /** From now on every request is refused with this status; null ends the outage. */
  outage: (status: number | null) => void
  stop: () => Promise<void>
}

/** What one answer is said to cost, under every provider's names. */
export const USAGE = { input_tokens: 1_000, output_tokens: 100, prompt_tokens: 1_000, completion_tokens: 100 }

/** Starts the server on a free port of the loopback. `aimock` is the library's module file. */
export async function startModelServer(aimock: string): Promise<ModelServer> {
  const library = (await import(pathToFileURL(aimock).href)) as MockLibrary
  const server = new library.LLMock({ port: 0, host: '127.0.0.1', logLevel: 'silent' })
  const counts = { requests: 0, answered: 0, asides: 0 }
  let outage: number | null = null
  const turnFor = (raw: unknown): Turn =>
    outage === null ? nextTurn(raw) : { kind: 'error', status: outage, text: `outage ${outage}` }
  const response = (raw: unknown): unknown => {
    counts.requests += 1
    const turn = turnFor(raw)
    // What breaks off never comes to the usage at its end.
    if (turn.kind !== 'error' && turn.kind !== 'broken') {
      counts.answered += 1
      if (isAside(raw)) counts.asides += 1
    }
    return wire(turn, raw)
  }
  const breaksOff = (raw: unknown): boolean => turnFor(raw).kind === 'broken'
  // The first that matches answers. What is asked for in one piece (a CLI's second try) can only be no answer at all.
  server.addFixture({
    match: { predicate: (raw) => breaksOff(raw) && request.parse(raw).stream !== true },
    response,
    chaos: { disconnectRate: 1 },
  })
  server.addFixture({
    match: { predicate: breaksOff },
    response,
    chunkSize: 5,
    // What was said must be out before the connection goes.
    latency: 50,
    truncateAfterChunks: 6,
  })
  server.addFixture({ match: { predicate: () => true }, response })
  await server.start()
  const front = await startErrorFront(server.url)
  return {
    url: front.url,
    requests: () => counts.requests,
    answered: () => counts.answered,
    asides: () => counts.asides,
    outage: (status) => {
      outage = status
    },
    stop: async () => {
      front.stop()
      await server.stop()
    },
  }
}

function isAside(raw: unknown): boolean {
  const { tools } = request.parse(raw)
  return !tools || tools.length === 0
}

function nextTurn(raw: unknown): Turn {
  const { messages } = request.parse(raw)
  if (isAside(raw)) return { kind: 'text', text: 'A title' }
  // Of a resumed session only what came after its latest prompt counts, else the old script is played again.
  const at = messages.findLastIndex(
    (message) => message.role === 'user' && /^Orch-Task: /m.test(textOf(message.content)),
  )
  const turns = turnsOf(at < 0 ? '' : textOf(messages[at]?.content))
  const done = messages.slice(at + 1).filter((message) => message.role === 'tool').length
  return turns[Math.min(done, turns.length - 1)] ?? { kind: 'text', text: 'nothing to say' }
}

function wire(turn: Turn, raw: unknown): unknown {
  if (turn.kind === 'text') return { content: turn.text, usage: USAGE }
  if (turn.kind === 'error') {
    const error = {
      message: turn.text,
      type: ERROR_TYPES[turn.status] ?? 'invalid_request_error',
      code: String(turn.status),
    }
    return {
      error,
      status: turn.status,
      ...(turn.retryAfterSeconds === undefined ? {} : { retryAfter: turn.retryAfterSeconds }),
    }
  }
  if (turn.kind === 'broken') return { content: 'This answer breaks off in the middle of its very words', usage: USAGE }
  const tools = (request.parse(raw).tools ?? []).map((tool) => tool.function.name)
  const dialect = tools.map((name) => DIALECTS[name]).find((known) => known !== undefined)
  if (!dialect) throw new Error(`no CLI of ours has these tools: ${tools.join(', ')}`)
  const { name, input } = dialect(turn)
  // Ids are never used twice: the CLI drops a tool call whose id it has seen in the session.
  const call = { id: `toolu_${randomUUID().replaceAll('-', '')}`, name, arguments: JSON.stringify(input) }
  return { content: `Now ${name}.`, toolCalls: [call], usage: USAGE }
}

const ERROR_TYPES: Record<number, string> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  429: 'rate_limit_error',
  500: 'api_error',
  529: 'overloaded_error',
}

/** The text of a message, whether it is one string or parts. The library glues gemini's parts together without a line break. */
function textOf(content: unknown): string {
  if (typeof content === 'string') return content.replaceAll('</session_context>', '$&\n')
  if (!Array.isArray(content)) return ''
  return content
    .map((part: unknown) => (part && typeof part === 'object' && 'text' in part ? String(part.text) : ''))
    .join('\n')
}
