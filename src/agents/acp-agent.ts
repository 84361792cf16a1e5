// The agent of an ACP run, a program of its own: takes the prompt from stdin, starts the user's agent and has the
// conversation with it, one line of acp-lines.ts for each thing that happens.
// Use: acp-agent [--model M] [--resume SESSION] [--sandboxed] -- PROGRAM ARGUMENTS…
// Invariant: when it ends, so has what it started.

import { mkdirSync, readFileSync, writeSync } from 'node:fs'
import { sleep } from '../lib/process.ts'
import { keepGeminiSession } from './acp-gemini.ts'
import type { AcpLine } from './acp-lines.ts'
import { type AcpProcess, startAcpProcess } from './acp-process.ts'
import { AcpFailure } from './acp-failure.ts'
import { type ConversationRequest, converse } from './acp-session.ts'

/** From the start to the prompt. What has not answered by then waits for a terminal, or is no ACP agent. */
const HANDSHAKE_LIMIT_MS = 180_000
/** A cancelled turn ends within this, or is ended (measured: at most 0.11 s). With the end of a tree it fits into 5 s. */
const CANCEL_MS = 2_000
/** 128 + SIGTERM. */
const CANCELLED = 143

function say(line: AcpLine): void {
  // Synchronous: what was said before a crash is in the log.
  writeSync(1, `${JSON.stringify(line)}\n`)
}

interface Options {
  model: string | null
  resume: string | null
  sandboxed: boolean
  argv: [string, ...string[]]
}

function readOptions(words: string[]): Options {
  const end = words.indexOf('--')
  const own = words.slice(0, end)
  const [file, ...args] = words.slice(end + 1)
  if (end < 0 || file === undefined) {
    console.error('usage: acp-agent [--model M] [--resume SESSION] [--sandboxed] -- PROGRAM ARGUMENTS…')
    process.exit(2)
  }
  const value = (name: string): string | null => own[own.indexOf(name) + 1 || own.length] ?? null
  return {
    model: value('--model'),
    resume: value('--resume'),
    sandboxed: own.includes('--sandboxed'),
    argv: [file, ...args],
  }
}

function definedIn(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined))
}

/** Has the conversation, to its end or to SIGTERM. True when the turn came to an end by itself. */
async function talk(agent: AcpProcess, request: ConversationRequest, stop: AbortSignal): Promise<boolean> {
  const { connection, updates } = agent
  let session: string | null = null
  const late = setTimeout(() => {
    const limit = `${HANDSHAKE_LIMIT_MS / 1_000} s`
    const text = `the agent gave no session within ${limit}; is it an ACP agent, and does it need no terminal?`
    connection.close(new AcpFailure('initialize', text))
  }, HANDSHAKE_LIMIT_MS)
  const cancel = (): void => {
    if (session === null) connection.close(new AcpFailure('prompt', 'ended before it had a session'))
    else connection.notify('session/cancel', { sessionId: session })
    setTimeout(() => connection.close(new AcpFailure('prompt', 'the agent did not end its turn when asked')), CANCEL_MS)
  }
  if (stop.aborted) cancel()
  else stop.addEventListener('abort', cancel)
  const onSession = (id: string): void => {
    clearTimeout(late)
    session = id
  }
  try {
    await converse({ connection, updates, say, sleep, onSession }, request)
    return true
  } catch (error) {
    updates.flush()
    say(error instanceof AcpFailure ? error.line : { type: 'error', at: 'prompt', code: null, text: String(error) })
    return false
  } finally {
    clearTimeout(late)
  }
}

async function main(): Promise<number> {
  // A stop that comes before there is an agent is remembered.
  const stop = new AbortController()
  process.on('SIGTERM', () => stop.abort())
  const { model, resume, sandboxed, argv } = readOptions(process.argv.slice(2))
  const prompt = readFileSync(0, 'utf8')
  const { env } = process
  const cwd = process.cwd()
  const places = [cwd, env['ORCH_HANDOFF'], env['TMPDIR']].filter((place) => place !== undefined)
  const leave = { sandboxed, cwd, places }
  // A home of its own is one that nobody has made yet.
  if (env['HOME']) mkdirSync(env['HOME'], { recursive: true })
  if (env['GEMINI_CLI_HOME'] && resume !== null) keepGeminiSession(env['GEMINI_CLI_HOME'], resume)
  let agent: AcpProcess
  try {
    agent = await startAcpProcess({ argv, env: definedIn(env), leave, stderr: 'inherit', say })
  } catch (error) {
    say({ type: 'error', at: 'start', code: null, text: `${argv[0]} could not be started: ${String(error)}` })
    return 1
  }
  const ended = await talk(agent, { prompt, model, resume, leave, env }, stop.signal)
  await agent.end()
  if (stop.signal.aborted) return CANCELLED
  return ended ? 0 : 1
}

process.exit(await main())
