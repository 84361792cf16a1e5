import { execFileSync } from 'node:child_process'
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
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { describeAgent } from './agent.contract.ts'
import type { AgentRequest, RunEvent, RunSummary } from './agent.ts'
import { classifyResult } from './gemini-errors.ts'
import { geminiAdapter } from './gemini.ts'

const folder = fileURLToPath(new URL('./__fixtures__/gemini/', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'orch-gemini-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const transcript = (name: string): string[] => readFileSync(join(folder, `${name}.jsonl`), 'utf8').split('\n')

interface Read {
  events: RunEvent[]
  summary: RunSummary
}

function read(lines: string[], options: { exitCode?: number | null; signal?: string; stderrTail?: string } = {}): Read {
  const { exitCode = 0, signal = null, stderrTail = '' } = options
  const parser = geminiAdapter.parser({ resumed: false, previousUsage: null, previousCostUsd: null })
  const events = lines.flatMap((line) => parser.push(line))
  return { events, summary: parser.end({ exitCode, signal, stderrTail }) }
}

/** Writes a file, with the folders it needs. */
function put(path: string, text: string): string {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  return path
}

describeAgent({ adapter: geminiAdapter, goodRun: transcript('success'), speaks: true })

test('a real success: session, model, tools and usage, each once; pieces become one message; the prompt is none', () => {
  const { events, summary } = read(transcript('success'))
  expect(summary).toEqual({
    failure: null,
    sessionId: '00000000-0000-4000-8000-000000000001',
    model: 'gemini-2.5-pro',
    usage: { input: 4_000, output: 400, cacheRead: 0, cacheWrite: 0 },
    costUsd: 0,
  })
  const told = events.map((event) => {
    if (event.type === 'message') return event.text
    return event.type === 'tool' ? `${event.name} ${event.state}` : event.type
  })
  const shell = ['Now run_shell_command.', 'run_shell_command started', 'run_shell_command ok']
  const write = ['Now write_file.', 'write_file started', 'write_file ok']
  expect(told).toEqual(['started', ...write, ...shell, ...shell, 'All done.', 'usage'])
  expect(events).toContainEqual({
    type: 'tool',
    name: 'write_file',
    detail: '/runs/workspace/greeting.txt',
    state: 'started',
  })
})

test('a resumed session counts its own run alone; a command that failed without a word is a failed tool', () => {
  const { events, summary } = read(transcript('resumed'))
  expect(summary).toMatchObject({ failure: null, usage: { input: 3_000, output: 300 } })
  expect(events).toContainEqual({
    type: 'tool',
    name: 'run_shell_command',
    detail: 'Command exited with code: 1',
    state: 'failed',
  })
})

const stats = {
  total_tokens: 127,
  input_tokens: 100,
  output_tokens: 10,
  cached: 40,
  models: { router: { total_tokens: 27 }, worker: { total_tokens: 100 } },
}
const said = { type: 'message', role: 'assistant', content: 'ok', delta: true }
const lines = (...objects: object[]): string[] => objects.map((object) => JSON.stringify(object))

test('thinking is output, the cache is no input, and the model that did most speaks for a run that was left to choose', () => {
  const { summary } = read(lines({ type: 'init', model: 'auto' }, said, { type: 'result', status: 'success', stats }))
  expect(summary).toMatchObject({
    failure: null,
    model: 'worker',
    usage: { input: 60, output: 27, cacheRead: 40, cacheWrite: 0 },
  })
})

test('a message without an end is told in parts', () => {
  const piece = JSON.stringify({ ...said, content: 'x'.repeat(10_000) })
  const { events } = read(Array.from({ length: 20 }, () => piece))
  expect(events.filter((event) => event.type === 'message').length).toBeGreaterThan(1)
})

test.each([
  ['api-401', 'auth', 145],
  ['api-403', 'auth', 147],
  ['api-404', 'model-unavailable', 1],
  ['api-429', 'rate-limit', 173],
  ['api-500', 'overload', 244],
  ['api-529', 'overload', 17],
  ['too-long', 'context-overflow', 144],
  ['broken', 'overload', 1],
])('a real failure %s is %s', (name, code, exitCode) => {
  // For a model that isn't there the status is on stderr alone.
  const stderrTail =
    name === 'api-404' ? 'Error when talking to Gemini API … ModelNotFoundError: gone\n  code: 404' : ''
  const { events, summary } = read(transcript(name), { exitCode, stderrTail })
  expect(summary.failure).toMatchObject({ code })
  expect(summary.costUsd).toBe(0)
  expect(events.at(-1)).toMatchObject({ type: 'error' })
  // Also when the process claims to have ended well.
  expect(read(transcript(name)).summary.failure).not.toBeNull()
})

test('a conversation that its model could not read is told as a success without an answer: it is none', () => {
  expect(transcript('overflow').join('\n')).toContain('"status":"success"')
  expect(read(transcript('overflow')).summary.failure).toMatchObject({ code: 'context-overflow' })
  const call = { type: 'tool_use', tool_name: 'glob', tool_id: '1', parameters: {} }
  const late = lines(said, call, { type: 'tool_result', tool_id: '1', status: 'success' })
  const result = JSON.stringify({ type: 'result', status: 'success', stats })
  expect(read([...late, result]).summary.failure).toMatchObject({ code: 'context-overflow' })
  // An agent that is stopped in a loop is told of by a line of its own.
  const warned = JSON.stringify({ type: 'error', severity: 'warning', message: 'Loop detected, stopping execution' })
  expect(read([...late, warned, result]).summary.failure).toBeNull()
})

test.each([
  ['The model returned an empty response with no text or thoughts.', 'overload'],
  ['Model response was truncated because it exceeded the token limit.', 'context-overflow'],
  ['The model response was blocked due to safety settings.', 'crash'],
])('a result without a reason has that of the last error: %s', (message, code) => {
  const stream = lines({ type: 'error', severity: 'error', message }, { type: 'result', status: 'error', stats })
  expect(read(stream).summary.failure).toEqual({ code, text: message })
})

test.each([
  ['Please retry in 34.5s.', 34_500],
  ['Please retry in 500ms.', 500],
  ['You have exhausted your capacity on this model. Your quota will reset after 12h37m5s.', 45_425_000],
  ['try again in 2 hours', 7_200_000],
  ['{"error":{"code":429,"details":[{"retryDelay": "40s"}]}}', 40_000],
  ['quota resets at 2026-01-01T00:01:00Z', 60_000],
  ['rate limit, reset: 1767225660', 60_000],
  ['You have exhausted your daily quota on this model.', undefined],
])('a limit says when it ends, if the API does: %s', (text, retryAfterMs) => {
  const now = (): number => Date.parse('2026-01-01T00:00:00Z')
  const end = { exitCode: 173, signal: null, stderrTail: '' }
  expect(classifyResult(text, end, now)).toEqual({
    code: 'rate-limit',
    text,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })
})

test.each([
  ['[API Error: {"error":{"code":400,"message":"API key not valid. Please pass a valid API key."}}]', 144, 'auth'],
  ['[API Error: models/x is not found for API version v1beta]', 1, 'model-unavailable'],
  ['[API Error: exception TypeError: fetch failed sending request]', 1, 'overload'],
  ['[API Error: Resource has been exhausted (Status: RESOURCE_EXHAUSTED)]', 1, 'rate-limit'],
  ['[API Error: scripted 503]', 247, 'overload'],
  ['[API Error: scripted 529]', 17, 'overload'],
  ['[API Error: something new]', 144, 'crash'],
  ['', 53, 'crash'],
])('a status wins over prose, and prose over nothing: %s with exit code %i', (message, exitCode, code) => {
  expect(classifyResult(message, { exitCode, signal: null, stderrTail: '' })).toMatchObject({ code })
})

test.each([
  [41, 'Manual authorization is required but the current session is non-interactive.', 'auth'],
  [55, 'Gemini CLI is not running in a trusted directory.', 'permission'],
  [52, 'YOLO mode is disabled by the administrator', 'permission'],
  [42, 'No input provided via stdin.', 'waiting-for-input'],
  [127, '/bin/sh: 1: /home/ann/bin/gemini: not found', 'missing-tool'],
  [42, 'Error resuming session: No previous sessions found for this project.', 'crash'],
  [137, 'Attempt 1 failed with status 429. Retrying with backoff... quota', 'crash'],
  [0, 'Attempt 1 failed with status 429. Retrying with backoff... quota', 'malformed-stream'],
])('without a result the exit code tells, else stderr: %i %s', (exitCode, stderrTail, code) => {
  expect(read([], { exitCode, stderrTail }).summary.failure).toMatchObject({ code })
})

test('a stream that stops in the middle is never a success', () => {
  for (const name of readdirSync(folder)) {
    const whole = transcript(name.replace('.jsonl', ''))
    const cut = whole.filter((line) => !line.includes('"type":"result"'))
    expect(read(cut).summary.failure, name).toMatchObject({ code: 'malformed-stream' })
    expect(read(cut, { exitCode: null, signal: 'SIGKILL' }).summary.failure, name).toMatchObject({ code: 'crash' })
  }
})

const home = join(root, 'home')
const request: AgentRequest = {
  program: {},
  path: put(join(root, 'package/bundle/gemini.js'), '#!/usr/bin/env node\n'),
  model: null,
  effort: null,
  resume: null,
  configDir: join(root, 'config'),
  sandboxed: true,
  env: { HOME: home, GEMINI_API_KEY: 'k' },
}
put(
  join(root, 'package/package.json'),
  '{"name": "@google/gemini-cli", "version": "0.61.0", "bin": {"gemini": "bundle/gemini.js"}}',
)
chmodSync(request.path, 0o755)

const settingsOf = (asked: AgentRequest): unknown =>
  JSON.parse(geminiAdapter.command(asked).files?.find(({ to }) => to === '.gemini/settings.json')?.text ?? '')

test('it is run by our own node, its prompt comes by stdin with the command that keeps it as it is', () => {
  const { file, args, reads } = geminiAdapter.command({ ...request, model: 'm' })
  expect(file).toBe('/bin/sh')
  expect(args.slice(0, 3)).toEqual(['-c', '{ echo /orch-run; cat; } | "$0" "$@"', process.execPath])
  expect(args[3]).toMatch(/^--max-old-space-size=\d+$/)
  const options = '--output-format stream-json --approval-mode yolo --model m'
  expect(args.slice(4)).toEqual([request.path, ...options.split(' ')])
  expect(reads).toEqual(expect.arrayContaining([join(root, 'package'), process.execPath]))
  expect(geminiAdapter.command(request).files?.map(({ to }) => to)).toContain('.gemini/commands/orch-run.toml')
  // A program that is no script for node is started as it is.
  const binary = put(join(root, 'bin/gemini'), '#!/bin/sh\n')
  expect(geminiAdapter.command({ ...request, path: binary }).args[2]).toBe(binary)
})

test('without a sandbox of ours its own rules hold: edits and commands, nothing else', () => {
  const open = geminiAdapter.command({ ...request, sandboxed: false })
  expect(open.args).not.toContain('yolo')
  expect(open.args).toContain('auto_edit')
  expect(open.files?.find(({ to }) => to.startsWith('.gemini/policies/'))?.text).toContain('run_shell_command')
})

test('only what the CLI needs of the environment comes along, and no repository moves the login elsewhere', () => {
  const env = {
    ...request.env,
    GOOGLE_CLOUD_PROJECT: 'p',
    GITHUB_TOKEN: 'g',
    GEMINI_CLI_IDE_SERVER_PORT: '1',
    GEMINI_MODEL: '',
    HTTPS_PROXY: 'http://proxy',
  }
  const passed = geminiAdapter.command({ ...request, env }).env
  expect(passed).toMatchObject({
    GEMINI_API_KEY: 'k',
    GOOGLE_CLOUD_PROJECT: 'p',
    HTTPS_PROXY: 'http://proxy',
    GOOGLE_GEMINI_BASE_URL: '',
    GOOGLE_VERTEX_BASE_URL: '',
    GEMINI_CLI_HOME: request.configDir,
    GEMINI_CLI_NO_RELAUNCH: 'true',
  })
  for (const name of ['GITHUB_TOKEN', 'GEMINI_CLI_IDE_SERVER_PORT', 'GEMINI_MODEL'])
    expect(passed).not.toHaveProperty(name)
  const own = geminiAdapter.command({ ...request, env: { ...env, GOOGLE_GEMINI_BASE_URL: 'https://mine' } }).env
  expect(own).toMatchObject({ GOOGLE_GEMINI_BASE_URL: 'https://mine' })
})

test("of the person's settings those for the model come along, none that starts a program", () => {
  const env = { ...request.env, HOME: join(root, 'settled') }
  const user = `{
    // A comment, and "quotes // in it"
    "model": {"name": "mine"}, "general": {"maxAttempts": 7, "vimMode": true}, "context": {"fileName": "AGENTS.md"},
    "modelConfigs": {"customAliases": {"own": {"modelConfig": {"model": "https://x/*y*/"}}}},
    "mcpServers": {"a": {"command": "x"}}, "hooks": {"SessionStart": []}, "tools": {"discoveryCommand": "x"}
  }`
  put(join(env.HOME, '.gemini/settings.json'), user)
  expect(settingsOf({ ...request, env })).toEqual({
    model: { name: 'mine' },
    modelConfigs: { customAliases: { own: { modelConfig: { model: 'https://x/*y*/' } } } },
    general: {
      maxAttempts: 7,
      enableAutoUpdate: false,
      enableAutoUpdateNotification: false,
      sessionRetention: { enabled: false },
    },
    security: { auth: { selectedType: 'gemini-api-key' } },
    context: { fileName: 'AGENTS.md', includeDirectories: ['${ORCH_HANDOFF:-.}'] },
    privacy: { usageStatisticsEnabled: false },
    telemetry: { enabled: false },
    ide: { enabled: false },
  })
  put(join(env.HOME, '.gemini/settings.json'), '{ broken')
  expect(settingsOf({ ...request, env })).toMatchObject({ general: { maxAttempts: 3 } })
})

test('an effort is a level for newer models and a budget for older ones', () => {
  expect(settingsOf({ ...request, effort: 'low', model: 'gemini-9-pro' })).toMatchObject({
    modelConfigs: {
      customAliases: {
        'chat-base-3': { modelConfig: { generateContentConfig: { thinkingConfig: { thinkingLevel: 'LOW' } } } },
        'chat-base-2.5': { modelConfig: { generateContentConfig: { thinkingConfig: { thinkingBudget: 1_024 } } } },
        'gemini-9-pro': { extends: 'chat-base-3', modelConfig: { model: 'gemini-9-pro' } },
      },
    },
  })
  expect(settingsOf(request)).toMatchObject({ modelConfigs: {} })
})

const stranger = { HOME: join(root, 'nobody') }
const adc = put(join(root, 'gcloud/.config/gcloud/application_default_credentials.json'), '{}')
put(join(root, 'oauth/.gemini/oauth_creds.json'), '{}')
put(join(root, 'both/.gemini/oauth_creds.json'), '{}')
put(join(root, 'both/.gemini/settings.json'), '{"security":{"auth":{"selectedType":"oauth-personal"}}}')
put(join(root, 'stored/.gemini/gemini-credentials.json'), 'x')
put(join(root, 'dotted/.gemini/.env'), 'GEMINI_API_KEY="from file"\nGITHUB_TOKEN=g\n')
put(join(root, 'chain/.gemini/settings.json'), '{"security":{"auth":{"selectedType":"gemini-api-key"}}}')
const place = { GOOGLE_CLOUD_PROJECT: 'p', GOOGLE_CLOUD_LOCATION: 'l' }

test.each([
  ['nobody', {}, null, 'no', []],
  ['nobody', { GEMINI_API_KEY: 'k' }, 'gemini-api-key', 'yes', []],
  ['nobody', { GEMINI_API_KEY: 'k', ...place }, 'gemini-api-key', 'yes', []],
  ['nobody', { GEMINI_API_KEY: 'k', ...place, GOOGLE_GENAI_USE_VERTEXAI: 'true' }, 'vertex-ai', 'unknown', []],
  ['gcloud', { ...place, GOOGLE_GENAI_USE_VERTEXAI: 'true' }, 'vertex-ai', 'yes', []],
  ['nobody', { GOOGLE_API_KEY: 'k', GOOGLE_GENAI_USE_VERTEXAI: 'true' }, 'vertex-ai', 'yes', []],
  ['nobody', { CLOUD_SHELL: 'true' }, 'compute-default-credentials', 'unknown', []],
  ['oauth', {}, 'oauth-personal', 'yes', ['oauth_creds.json', 'google_accounts.json', 'gemini-credentials.json']],
  ['oauth', { GEMINI_API_KEY: 'k' }, 'gemini-api-key', 'yes', []],
  [
    'both',
    { GEMINI_API_KEY: 'k' },
    'oauth-personal',
    'yes',
    ['oauth_creds.json', 'google_accounts.json', 'gemini-credentials.json'],
  ],
  ['stored', {}, 'gemini-api-key', 'yes', ['gemini-credentials.json']],
  ['dotted', {}, 'gemini-api-key', 'yes', []],
  ['chain', {}, null, 'no', []],
] as const)('the login of %s with %j is %s', async (name, variables, way, loggedIn, lent) => {
  const env = { HOME: join(root, name), ...variables }
  const found = await geminiAdapter.find({ bin: request.path }, env)
  expect(found).toMatchObject({ version: '0.61.0', loggedIn })
  expect(found?.note === '').toBe(loggedIn !== 'no')
  const { credentials, env: passed, reads } = geminiAdapter.command({ ...request, env })
  const auth = way === null ? {} : { selectedType: way }
  expect(settingsOf({ ...request, env })).toMatchObject({ security: { auth } })
  expect(credentials).toEqual(lent.map((file) => ({ from: join(root, name, '.gemini', file), to: `.gemini/${file}` })))
  expect(passed['GEMINI_API_KEY']).toBe(name === 'dotted' ? 'from file' : env['GEMINI_API_KEY' as never])
  expect(passed).not.toHaveProperty('GITHUB_TOKEN')
  expect(passed['GOOGLE_APPLICATION_CREDENTIALS']).toBe(name === 'gcloud' ? adc : undefined)
  expect(reads.includes(adc)).toBe(name === 'gcloud')
})

test('a session is resumed only where its file is and its model has answered', () => {
  const resume = '11111111-1111-4111-8111-111111111111'
  const asked = { ...request, resume }
  expect(geminiAdapter.command(asked).args).not.toContain('--resume')
  const file = join(request.configDir, '.gemini/tmp/shop/chats/session-2026-01-01T00-00-11111111.jsonl')
  put(file, '{"sessionId":"…"}\n{"id":"1","type":"user"}\n')
  expect(geminiAdapter.command(asked).args).not.toContain('--resume')
  writeFileSync(file, '{"id":"2","type":"gemini","content":"ok"}\n', { flag: 'a' })
  expect(geminiAdapter.command({ ...asked, model: 'm' }).args.slice(-4)).toEqual(['--model', 'm', '--resume', resume])
})

test('what is no plain file is no session, and holds nothing up', () => {
  const resume = '22222222-2222-4222-8222-222222222222'
  const configDir = join(root, 'planted')
  const chats = join(configDir, '.gemini/tmp/shop/chats')
  mkdirSync(chats, { recursive: true })
  execFileSync('mkfifo', [join(chats, 'session-a-22222222.jsonl')])
  symlinkSync('/dev/zero', join(chats, 'session-b-22222222.jsonl'))
  symlinkSync(join(root, 'no-such-file'), join(chats, 'session-c-22222222.jsonl'))
  writeFileSync(join(configDir, '.gemini/tmp/file'), '')
  expect(geminiAdapter.command({ ...request, configDir, resume }).args).not.toContain('--resume')
})

test('it is found on the PATH, in the usual places and where the user says', async () => {
  expect(await geminiAdapter.find({ bin: '/no/such/gemini' }, stranger)).toBeNull()
  expect(await geminiAdapter.find({}, { ...stranger, PATH: '/usr/bin:/bin' })).toBeNull()
  const own = put(join(stranger.HOME, '.npm-global/bin/gemini'), '#!/bin/sh\necho 0.99.1\n')
  chmodSync(own, 0o755)
  expect(await geminiAdapter.find({}, { ...stranger, PATH: '/usr/bin:/bin' })).toMatchObject({
    path: own,
    version: '0.99.1',
  })
})
