import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { describeAgent } from './agent.contract.ts'
import type { AgentRequest, RunEvent, RunSummary } from './agent.ts'
import { classify } from './claude-errors.ts'
import { claudeAdapter } from './claude.ts'

const folder = fileURLToPath(new URL('./__fixtures__/claude/', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'orch-claude-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const transcript = (name: string): string[] => readFileSync(join(folder, `${name}.jsonl`), 'utf8').split('\n')

interface Read {
  events: RunEvent[]
  summary: RunSummary
}

function read(
  lines: string[],
  options: { exitCode?: number | null; signal?: string; stderrTail?: string; previousCostUsd?: number | null } = {},
): Read {
  const { exitCode = 0, signal = null, stderrTail = '', previousCostUsd } = options
  const parser = claudeAdapter.parser({
    resumed: previousCostUsd !== undefined,
    previousUsage: null,
    previousCostUsd: previousCostUsd ?? null,
  })
  const events = lines.flatMap((line) => parser.push(line))
  return { events, summary: parser.end({ exitCode, signal, stderrTail }) }
}

describeAgent({ adapter: claudeAdapter, goodRun: transcript('success'), speaks: true })

test('a real success: session, model, tools, usage and cost, each once', () => {
  const { events, summary } = read(transcript('success'))
  expect(summary).toMatchObject({
    failure: null,
    sessionId: '00000000-0000-4000-8000-000000000001',
    model: expect.stringContaining('claude'),
    usage: { input: 4_000, output: 400, cacheRead: 0, cacheWrite: 0 },
    costUsd: 0.024,
  })
  expect(events[0]).toMatchObject({ type: 'started' })
  const tools = events.flatMap((event) => (event.type === 'tool' ? [`${event.name} ${event.state}`] : []))
  expect(tools).toEqual(['Write started', 'Write ok', 'Bash started', 'Bash ok', 'Bash started', 'Bash ok'])
  expect(events.filter((event) => event.type === 'usage')).toHaveLength(1)
})

test('a resumed session: the run alone is counted, a failed tool is no failed run', () => {
  const { events, summary } = read(transcript('resumed'), { previousCostUsd: 0.024 })
  expect(summary.failure).toBeNull()
  expect(summary.usage).toMatchObject({ input: 3_000, output: 300 })
  expect(summary.costUsd).toBeCloseTo(0.018, 9)
  // Not even by what the caller knows: the stream says it itself.
  expect(read(transcript('resumed'), { previousCostUsd: null }).summary.costUsd).toBeCloseTo(0.018, 9)
  expect(events).toContainEqual(expect.objectContaining({ type: 'tool', state: 'failed' }))
})

test('without per-result figures the session total is taken less what it had cost', () => {
  const lines = transcript('resumed').map((line) => line.replace('"model_usage_since_last_result"', '"something_else"'))
  expect(read(lines, { previousCostUsd: 0.024 }).summary.costUsd).toBeCloseTo(0.018, 9)
  // A total below what was spent before is the CLI's, not the session's.
  expect(read(lines, { previousCostUsd: 5 }).summary.costUsd).toBeCloseTo(0.042, 9)
  expect(read(lines).summary.costUsd).toBeCloseTo(0.042, 9)
})

test.each([
  ['api-401', 'auth'],
  ['api-403', 'auth'],
  ['api-404', 'model-unavailable'],
  ['api-429', 'rate-limit'],
  ['api-500', 'overload'],
  ['api-529', 'overload'],
  ['too-long', 'context-overflow'],
])('a real failure %s is %s, although its subtype is "success"', (name, code) => {
  const lines = transcript(name)
  expect(lines.join('\n')).toContain('"subtype":"success"')
  const { events, summary } = read(lines, { exitCode: 1 })
  expect(summary.failure).toMatchObject({ code })
  expect(summary.costUsd).toBe(0)
  expect(events).toContainEqual(expect.objectContaining({ type: 'error', code }))
  // Also when the process claims to have ended well.
  expect(read(lines).summary.failure).toMatchObject({ code })
})

test('an answer that broke off is trouble of the vendor or the network', () => {
  const { failure } = read(transcript('broken'), { exitCode: 1 }).summary
  expect(failure).toMatchObject({ code: 'overload', text: expect.stringContaining('ECONNRESET') })
})

test('output that comes through by halves is malformed, whatever the exit code says', () => {
  const { events, summary } = read(transcript('cut'))
  expect(summary.failure).toMatchObject({ code: 'malformed-stream' })
  // What was whole is heard.
  expect(events).toContainEqual(expect.objectContaining({ type: 'message' }))
})

test('retries of the CLI are told while they happen', () => {
  const limits = read(transcript('api-429')).events.filter((event) => event.type === 'limit')
  expect(limits.length).toBeGreaterThan(0)
  expect(limits[0]).toMatchObject({ text: expect.stringContaining('429'), retryAfterMs: expect.any(Number) })
})

test('ended between retries, the class is that of the last answer', () => {
  const lines = transcript('api-529').filter((line) => line.includes('api_retry'))
  expect(read(lines, { exitCode: 143 }).summary.failure).toMatchObject({ code: 'overload' })
})

test('an unknown session says so', () => {
  const { failure } = read(transcript('no-session'), { exitCode: 1 }).summary
  expect(failure).toMatchObject({ code: 'crash', text: expect.stringContaining('No conversation found') })
})

test('a run without a result line has used what its answers say, once each', () => {
  const { summary } = read(transcript('hang'), { exitCode: 143 })
  expect(summary.failure).toMatchObject({ code: 'crash' })
  expect(summary.usage).toMatchObject({ input: 1_000, output: 100 })
})

test('a stream that stops in the middle is never a success', () => {
  for (const name of readdirSync(folder)) {
    const lines = transcript(name.replace('.jsonl', '')).filter((line) => !line.includes('"type":"result"'))
    expect(read(lines).summary.failure, name).not.toBeNull()
  }
  expect(read(['not json']).summary.failure).toMatchObject({ code: 'malformed-stream' })
})

test('an interrupted run exits 0 and is still failed', () => {
  const line = JSON.stringify({
    type: 'result',
    subtype: 'error_during_execution',
    is_error: false,
    session_id: 's',
    total_cost_usd: 0,
  })
  expect(read([line]).summary.failure).not.toBeNull()
})

test('denied permissions are told', () => {
  const result = {
    type: 'result',
    subtype: 'success',
    is_error: false,
    permission_denials: [{ tool_name: 'Bash', tool_use_id: 'x' }],
    total_cost_usd: 0,
  }
  const { events, summary } = read([
    JSON.stringify({ type: 'system', subtype: 'permission_denied', tool_name: 'Bash' }),
    JSON.stringify(result),
  ])
  expect(events.filter((event) => event.type === 'error' && event.code === 'permission')).toHaveLength(2)
  expect(summary.failure).toBeNull()
})

test.each([
  "You've hit your 5-hour limit · resets 3pm (UTC)",
  '5-hour limit reached ∙ resets 3pm (UTC)',
  'Weekly limit reached · resets 3pm (UTC)',
  "You've hit your session limit · resets 3pm (UTC)",
])('a limit of the plan is one, and its time of day is read: %s', (text) => {
  const facts = { status: null, error: null, text, reason: null }
  const now = (): number => Date.parse('2026-11-21T12:00:00Z')
  expect(classify(facts, now)).toEqual({ code: 'rate-limit', text, retryAfterMs: 3 * 3_600_000 })
})

test('a usage limit says when it ends, if the CLI knows', () => {
  const facts = { status: 429, error: null, text: 'Claude AI usage limit reached|1800000000', reason: null }
  expect(classify(facts, () => 1_799_999_000_000)).toMatchObject({ code: 'rate-limit', retryAfterMs: 1_000_000 })
  expect(classify({ ...facts, text: 'limited', resetsAtMs: 2_000 }, () => 500)).toMatchObject({ retryAfterMs: 1_500 })
  expect(classify({ ...facts, text: 'limited' })).not.toHaveProperty('retryAfterMs')
})

test.each([
  ['Invalid API key · Please run /login', 'auth'],
  ['Credit balance is too low', 'auth'],
  ['--dangerously-skip-permissions cannot be used with root/sudo privileges for security reasons', 'permission'],
  ['getaddrinfo ENOTFOUND api.anthropic.com', 'overload'],
  [
    'Error: Input must be provided either through stdin or as a prompt argument when using --print',
    'waiting-for-input',
  ],
  ['something else', 'crash'],
])('before the stream begins, stderr tells: %s', (stderrTail, code) => {
  expect(read([], { exitCode: 1, stderrTail }).summary.failure).toMatchObject({ code })
})

const request: AgentRequest = {
  program: {},
  path: join(root, 'claude'),
  model: null,
  effort: null,
  resume: null,
  configDir: join(root, 'config'),
  sandboxed: true,
  env: { HOME: root },
}
writeFileSync(request.path, '#!/bin/sh\necho "2.1.329 (Claude Code)"\n')
chmodSync(request.path, 0o755)

test('in our sandbox its own is off, as root with a word that there is one', () => {
  const { args, env } = claudeAdapter.command(request)
  expect(args).toContain('--dangerously-skip-permissions')
  expect(env['IS_SANDBOX']).toBe(process.getuid?.() === 0 ? '1' : undefined)
  expect(env).toMatchObject({
    CLAUDE_CONFIG_DIR: request.configDir,
    DISABLE_AUTOUPDATER: '1',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  })
  const open = claudeAdapter.command({ ...request, sandboxed: false })
  expect(open.args).not.toContain('--dangerously-skip-permissions')
  expect(open.env).not.toHaveProperty('IS_SANDBOX')
})

test('only what the CLI needs of the environment comes along', () => {
  const env = {
    HOME: root,
    ANTHROPIC_API_KEY: 'k',
    ANTHROPIC_BASE_URL: '',
    CLAUDE_CODE_MAX_RETRIES: '9',
    CLAUDE_CODE_ENTRYPOINT: 'cli',
    AWS_SECRET_ACCESS_KEY: 'a',
    GITHUB_TOKEN: 'g',
    HTTPS_PROXY: 'http://proxy',
  }
  const passed = claudeAdapter.command({ ...request, env }).env
  expect(passed).toMatchObject({ ANTHROPIC_API_KEY: 'k', CLAUDE_CODE_MAX_RETRIES: '9', HTTPS_PROXY: 'http://proxy' })
  for (const name of ['GITHUB_TOKEN', 'AWS_SECRET_ACCESS_KEY', 'CLAUDE_CODE_ENTRYPOINT', 'ANTHROPIC_BASE_URL'])
    expect(passed).not.toHaveProperty(name)
  expect(claudeAdapter.command({ ...request, env: { ...env, CLAUDE_CODE_USE_BEDROCK: '1' } }).env).toHaveProperty(
    'AWS_SECRET_ACCESS_KEY',
  )
})

test('a session is resumed only where its file is', () => {
  const resume = '11111111-1111-4111-8111-111111111111'
  expect(claudeAdapter.command({ ...request, resume }).args).not.toContain('--resume')
  mkdirSync(join(request.configDir, 'projects/-work'), { recursive: true })
  symlinkSync('/dev/zero', join(request.configDir, `projects/-work/${resume}.jsonl`))
  expect(claudeAdapter.command({ ...request, resume }).args).not.toContain('--resume')
  rmSync(join(request.configDir, `projects/-work/${resume}.jsonl`))
  writeFileSync(join(request.configDir, `projects/-work/${resume}.jsonl`), '')
  expect(claudeAdapter.command({ ...request, resume, model: 'opus' }).args.slice(-4)).toEqual([
    '--model',
    'opus',
    '--resume',
    resume,
  ])
})

test('it is found on the PATH, in the usual places and where the user says; the login is told without spending', async () => {
  const env = { HOME: join(root, 'home'), PATH: '/usr/bin:/bin' }
  expect(await claudeAdapter.find({ bin: '/no/such/claude' }, env)).toBeNull()
  expect(await claudeAdapter.find({}, { ...env, PATH: root })).toMatchObject({
    path: request.path,
    version: '2.1.329',
    loggedIn: 'no',
  })
  mkdirSync(join(env.HOME, '.local/bin'), { recursive: true })
  writeFileSync(join(env.HOME, '.local/bin/claude'), '#!/bin/sh\nexit 1\n', { mode: 0o755 })
  expect(await claudeAdapter.find({}, env)).toMatchObject({ path: join(env.HOME, '.local/bin/claude'), version: null })
  mkdirSync(join(env.HOME, '.claude'))
  writeFileSync(join(env.HOME, '.claude/.credentials.json'), '{}')
  expect(await claudeAdapter.find({ bin: request.path }, env)).toMatchObject({ loggedIn: 'yes' })
})
