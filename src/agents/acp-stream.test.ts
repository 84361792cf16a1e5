// The reader of ACP runs, on transcripts of real agents and on errors as agents and vendors write them.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { NO_USAGE } from '../core/run.ts'
import { type AcpError, classify } from './acp-errors.ts'
import type { AcpLine } from './acp-lines.ts'
import { makeAcpParser } from './acp-stream.ts'
import type { RunEvent, RunSummary } from './agent.ts'

const FIXTURES = fileURLToPath(new URL('./__fixtures__/', import.meta.url))

interface Exit {
  exitCode?: number | null
  signal?: string | null
  stderrTail?: string
  previousCostUsd?: number
}

function read(lines: string[], { exitCode = 0, signal = null, stderrTail = '', previousCostUsd }: Exit = {}) {
  const parser = makeAcpParser({
    resumed: previousCostUsd !== undefined,
    previousUsage: null,
    previousCostUsd: previousCostUsd ?? null,
  })
  const events: RunEvent[] = lines.flatMap((line) => parser.push(line))
  const summary: RunSummary = parser.end({ exitCode, signal, stderrTail })
  return { events, summary }
}

const transcript = (agent: string, name: string): string[] =>
  readFileSync(join(FIXTURES, agent, `${name}.jsonl`), 'utf8').split('\n')
const written = (...lines: AcpLine[]): string[] => lines.map((line) => JSON.stringify(line))
const BEGIN: AcpLine = { type: 'begin', format: 1, agent: 'fake', version: '1', protocol: 1 }
const SESSION: AcpLine = { type: 'session', id: 's', resumed: false, model: null, mode: null, costUsd: null }
const END: AcpLine = { type: 'end', reason: 'end_turn' }

describe('real transcripts', () => {
  test.each([
    ['acp-gemini', { input: 5_000, output: 500, cacheRead: 0, cacheWrite: 0 }, 0],
    // It tells its last request's tokens alone, and the session's whole cost.
    ['acp-opencode', NO_USAGE, 0.018],
  ])('a success of %s: session, model, tools, use and cost, each once', (agent, usage, costUsd) => {
    const { events, summary } = read(transcript(agent, 'success'))
    expect(summary).toMatchObject({ failure: null, sessionId: expect.any(String), model: expect.any(String) })
    expect(summary.costUsd).toBeCloseTo(costUsd, 9)
    expect(summary.usage.input % 1_000).toBe(0)
    expect(summary.usage.input > 0).toBe(usage.input > 0)
    expect(events.filter((event) => event.type === 'started')).toHaveLength(1)
    expect(events.filter((event) => event.type === 'usage')).toHaveLength(1)
    const tools = events.flatMap((event) => (event.type === 'tool' ? [event.state] : []))
    expect(tools.filter((state) => state === 'started')).toHaveLength(tools.filter((state) => state === 'ok').length)
    expect(tools.length).toBeGreaterThan(0)
  })

  test('a resumed session of opencode: its total less what it had cost', () => {
    const lines = transcript('acp-opencode', 'resumed')
    const total = read(lines).summary.costUsd
    expect(read(lines, { previousCostUsd: 0.018 }).summary.costUsd).toBeCloseTo(total - 0.018, 9)
    // A total below what was spent is no total.
    expect(read(lines, { previousCostUsd: 5 }).summary.costUsd).toBe(total)
  })

  test.each([
    ['api-401', 'auth'],
    ['api-403', 'auth'],
    ['api-404', 'model-unavailable'],
    ['api-429', 'rate-limit'],
    ['api-500', 'overload'],
    ['api-529', 'overload'],
    ['broken', 'overload'],
    ['cut', 'malformed-stream'],
  ])('%s is %s, over each agent', (name, code) => {
    for (const agent of ['acp-gemini', 'acp-opencode']) {
      const { events, summary } = read(transcript(agent, name), { exitCode: 1 })
      expect(summary.failure, agent).toMatchObject({ code })
      expect(events, agent).toContainEqual(expect.objectContaining({ type: 'error', code }))
      // Also when the process claims to have ended well.
      expect(read(transcript(agent, name)).summary.failure, agent).toMatchObject({ code })
    }
    expect(read(transcript('acp-gemini', 'api-429')).summary.failure).toMatchObject({ retryAfterMs: 7_000 })
    expect(read(transcript('acp-gemini', 'too-long')).summary.failure).toMatchObject({ code: 'context-overflow' })
  })

  test('a run that was ended in the middle is no success, whatever the line it ended at', () => {
    for (const agent of readdirSync(FIXTURES).filter((name) => name.startsWith('acp-'))) {
      const lines = transcript(agent, 'success').filter((line) => line !== '')
      for (let count = 0; count < lines.length; count += 1)
        expect(read(lines.slice(0, count)).summary.failure, `${agent} ${count}`).not.toBeNull()
    }
  })
})

describe('the end of a run', () => {
  test('stderr explains a process that ended before it had a session, and only that one', () => {
    const exit: AcpLine = { type: 'error', at: 'exit', code: 1, text: 'the agent ended with exit code 1' }
    const stderrTail = 'Error: Please log in first: run `agent login`'
    expect(read(written(exit), { exitCode: 1, stderrTail }).summary.failure).toMatchObject({
      code: 'auth',
      text: expect.stringContaining('agent login'),
    })
    expect(read(written(BEGIN, SESSION, exit), { exitCode: 1, stderrTail }).summary.failure?.code).toBe('crash')
    const killed: AcpLine = { ...exit, code: null, signal: 'SIGKILL' }
    expect(read(written(killed), { exitCode: 1, stderrTail }).summary.failure?.code).toBe('crash')
  })

  test('a cost that was told when the session was taken up is not counted again', () => {
    const lines = written(BEGIN, { ...SESSION, resumed: true, costUsd: 0.5 }, { type: 'cost', costUsd: 0.75 }, END)
    expect(read(lines, { previousCostUsd: 0.1 }).summary.costUsd).toBeCloseTo(0.25, 9)
  })

  test('a new session instead of the old one has nothing before it', () => {
    const lines = written(BEGIN, SESSION, { type: 'cost', costUsd: 0.75 }, END)
    expect(read(lines, { previousCostUsd: 0.5 }).summary.costUsd).toBe(0.75)
  })

  test('lines of another format are not guessed at', () => {
    const later = JSON.stringify({ ...BEGIN, format: 2 })
    expect(read([later, ...written(SESSION, END)]).summary.failure).toMatchObject({ code: 'malformed-stream' })
  })
})

const error = (text: string, more: Partial<AcpError> = {}): AcpError => ({
  at: 'prompt',
  code: -32603,
  text,
  data: null,
  signal: null,
  ...more,
})

describe('errors as they are written', () => {
  test.each([
    ['a code of the protocol', error('Authentication required', { code: -32000 }), 'auth'],
    ['a status as the code', error('no', { code: 403 }), 'auth'],
    ['a status in the text', error('API Error: 529 {"type":"error"}'), 'overload'],
    ['a type in the text', error('{"error":{"type":"overloaded_error","message":"Overloaded"}}'), 'overload'],
    ['a type in the details', error('Internal error', { data: { details: 'rate_limit_error' } }), 'rate-limit'],
    ['an own 500 around a status', error('{"error":{"code":429,"message":"slow"}}', { code: 500 }), 'rate-limit'],
    ['no money behind a 429', error('insufficient_quota: check your plan', { code: 429 }), 'auth'],
    ['no money in the details', error('Internal error', { data: { type: 'billing_error' } }), 'auth'],
    ['a word against prose', error('authentication_error: rate limit of logins'), 'auth'],
    ['numbers that are no status', error('it took 500 ms and 429 tokens'), 'crash'],
    ['a version that is no status', error('release 1.404.2 is broken'), 'crash'],
    ['a long prompt', error('prompt is too long: 210000 tokens > 200000 maximum'), 'context-overflow'],
    ['a refused connection', error('connect ECONNREFUSED 127.0.0.1:1'), 'overload'],
    ['a missing key', error('Gemini API key is missing or not configured.', { at: 'session' }), 'auth'],
    ['nothing', error('Internal error'), 'crash'],
    ['no first method', error('Method not found', { at: 'initialize', code: -32601 }), 'malformed-stream'],
    ['no mode', error('Invalid params', { at: 'mode', code: -32602 }), 'crash'],
  ])('%s', (_, given, code) => {
    expect(classify(given).code).toBe(code)
  })

  test.each([
    ['Rate limit reached. Please try again in 7s.', 7_000],
    ['rate_limit_error: retry-after: 12', 12_000],
    ['rate limit, try again in 2 minutes', 120_000],
    ['429 "retryDelay":"3.5s"', 3_500],
    ['usage limit reached, resets at 2026-01-02T12:00:05Z', 5_000],
    ['usage limit reached|1767355205', 5_000],
    ['rate limit, try again in 2 days', 2 * 86_400_000],
    ['quota will reset after 12h3m5s', 43_385_000],
    ['rate limit', undefined],
  ])('when a limit ends: %s', (text, retryAfterMs) => {
    const now = Date.UTC(2026, 0, 2, 12, 0, 0)
    const failure = classify(error(text), () => now)
    expect(failure.code).toBe('rate-limit')
    expect(failure.retryAfterMs).toBe(retryAfterMs)
  })
})
