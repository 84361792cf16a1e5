import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { runProcess } from '../lib/process.ts'
import { describeAgent } from './agent.contract.ts'
import type { AgentRequest, RunEvent, RunSummary } from './agent.ts'
import { classify, factsOf } from './opencode-errors.ts'
import { makePlugin, SESSIONS_FOLDER } from './opencode-plugin.ts'
import { opencodeAdapter } from './opencode.ts'

const folder = fileURLToPath(new URL('./__fixtures__/opencode/', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'orch-opencode-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const transcript = (name: string): string[] => readFileSync(join(folder, `${name}.jsonl`), 'utf8').split('\n')

interface Read {
  events: RunEvent[]
  summary: RunSummary
}

function read(lines: string[], options: { exitCode?: number | null; signal?: string; stderrTail?: string } = {}): Read {
  const { exitCode = 0, signal = null, stderrTail = '' } = options
  const parser = opencodeAdapter.parser({ resumed: false, previousUsage: null, previousCostUsd: null })
  const events = lines.flatMap((line) => parser.push(line))
  return { events, summary: parser.end({ exitCode, signal, stderrTail }) }
}

describeAgent({ adapter: opencodeAdapter, goodRun: transcript('success'), speaks: true })

test('a real success: session, model, tools, usage and cost, each once', () => {
  const { events, summary } = read(transcript('success'))
  expect(summary).toMatchObject({
    failure: null,
    sessionId: 'ses_1',
    model: 'scripted/scripted-1',
    usage: { input: 4_000, output: 400, cacheRead: 0, cacheWrite: 0 },
  })
  // Four answers of 1,000 tokens at 3 dollars a million and 100 at 15.
  expect(summary.costUsd).toBeCloseTo(0.018, 9)
  expect(events[0]).toEqual({ type: 'started', sessionId: 'ses_1', model: 'scripted/scripted-1' })
  expect(events.filter((event) => event.type === 'started')).toHaveLength(1)
  const tools = events.flatMap((event) => (event.type === 'tool' ? [`${event.name} ${event.state}`] : []))
  expect(tools).toEqual(['write started', 'write ok', 'bash started', 'bash ok', 'bash started', 'bash ok'])
  expect(events).toContainEqual(expect.objectContaining({ detail: '/runs/workspace/greeting.txt', state: 'started' }))
})

test('a resumed session: the run alone is counted, a failed tool is no failed run', () => {
  const { events, summary } = read(transcript('resumed'))
  expect(summary).toMatchObject({ failure: null, usage: { input: 3_000, output: 300 } })
  expect(summary.costUsd).toBeCloseTo(0.0135, 9)
  expect(events).toContainEqual(expect.objectContaining({ type: 'tool', name: 'bash', state: 'failed' }))
})

test('without the lines of our plugin all but the model and the starts of tools is told as well', () => {
  const lines = transcript('success').filter((line) => !line.includes('"type":"orch.'))
  const { events, summary } = read(lines)
  expect(summary).toMatchObject({ failure: null, sessionId: 'ses_1', model: null, usage: { input: 4_000 } })
  expect(events[0]).toMatchObject({ type: 'started', sessionId: 'ses_1' })
})

test('a step that is told again is counted once', () => {
  const lines = transcript('success').flatMap((line) => (line.includes('"step_finish"') ? [line, line] : [line]))
  expect(read(lines).summary).toMatchObject({ usage: { input: 4_000 } })
})

test("a helper's steps are paid for too, each once however often it is told, and start no session", () => {
  const tokens = { total: 1_100, input: 800, output: 70, reasoning: 30, cache: { write: 50, read: 200 } }
  const step = { type: 'orch.step', sessionID: 'ses_2', part: { id: 'prt_x', tokens, cost: 0.5 } }
  const lines = [JSON.stringify(step), JSON.stringify(step), ...transcript('success')]
  const { summary } = read(lines)
  expect(summary).toMatchObject({ sessionId: 'ses_1', failure: null })
  expect(summary.usage).toEqual({ input: 4_800, output: 500, cacheRead: 200, cacheWrite: 50 })
  expect(summary.costUsd).toBeCloseTo(0.518, 9)
})

test.each([
  ['api-401', 'auth', 1],
  ['api-403', 'auth', 1],
  ['api-404', 'model-unavailable', 1],
  ['api-429', 'rate-limit', 0],
  ['api-500', 'overload', 0],
  ['api-529', 'overload', 0],
  ['broken', 'overload', 0],
  ['too-long', 'context-overflow', 1],
])('a real failure %s is %s, whatever the process says of its end', (name, code, exitCode) => {
  const lines = transcript(name)
  const { events, summary } = read(lines, { exitCode })
  expect(summary.failure).toMatchObject({ code })
  expect(events).toContainEqual(expect.objectContaining({ type: 'error', code }))
  if (name.startsWith('api-')) expect(summary).toMatchObject({ costUsd: 0, usage: { input: 0 } })
  expect(read(lines, { exitCode: 1 - exitCode }).summary.failure).toMatchObject({ code })
})

test('repeats of the CLI are told while they happen, with how long it waits', () => {
  const limits = read(transcript('api-429')).events.filter((event) => event.type === 'limit')
  expect(limits.length).toBeGreaterThan(1)
  expect(limits[0]).toMatchObject({ text: expect.stringContaining('429'), retryAfterMs: expect.any(Number) })
})

test('ended while it waits to try again, the class is that of the refusal; after an answer it is over', () => {
  const waiting = transcript('api-529').filter((line) => !line.includes('"givesUp":true'))
  expect(read(waiting, { exitCode: 143 }).summary.failure).toMatchObject({ code: 'overload' })
  const [started = '', ...rest] = transcript('hang')
  expect(read([started, ...waiting, ...rest], { exitCode: 143 }).summary.failure).toMatchObject({ code: 'crash' })
  expect(read([...waiting, ...transcript('success')]).summary.failure).toBeNull()
  // Ended because of it, the session may complain of that.
  const aborted = JSON.stringify({ type: 'error', sessionID: 'ses_1', error: { name: 'MessageAbortedError' } })
  expect(read([...transcript('api-529'), aborted], { exitCode: 1 }).summary.failure).toMatchObject({ code: 'overload' })
  // Lines of the CLI's own come a moment later than our plugin's.
  const late = [...transcript('broken'), transcript('hang').find((line) => line.includes('"step_start"')) ?? '']
  expect(read(late).summary.failure).toMatchObject({ code: 'overload' })
})

test('a run that was ended in a tool has used what its finished steps say', () => {
  const { summary } = read(transcript('hang'), { exitCode: 143 })
  expect(summary).toMatchObject({ failure: { code: 'crash' }, usage: { input: 0 } })
  const cut = transcript('success').slice(0, -3)
  expect(read(cut, { exitCode: null, signal: 'SIGKILL' }).summary).toMatchObject({
    failure: { code: 'crash' },
    usage: { input: 3_000, output: 300 },
  })
})

test('a stream that stops in the middle is never a success', () => {
  for (const name of readdirSync(folder)) {
    const lines = transcript(name.replace('.jsonl', '')).filter((line) => !line.includes('"reason":"stop"'))
    expect(read(lines).summary.failure, name).not.toBeNull()
  }
  expect(read(transcript('cut')).summary.failure).toMatchObject({ code: 'malformed-stream' })
  expect(read(['not json']).summary.failure).toMatchObject({ code: 'malformed-stream' })
})

test('what its permissions refused is told; the run fails of it only when it ended there', () => {
  const { events, summary } = read(transcript('refused'))
  expect(events).toContainEqual(expect.objectContaining({ type: 'error', code: 'permission' }))
  expect(summary.failure).toBeNull()
  const lines = transcript('refused')
  const refused = lines.findIndex((line) => line.includes('"status":"error"'))
  const upTo = lines.findIndex((line, index) => index > refused && line.includes('"type":"step_finish"'))
  expect(read(lines.slice(0, upTo + 1)).summary.failure).toMatchObject({ code: 'permission' })
})

/** As the CLI prints it for any error that it did not foresee. */
const HIDDEN = JSON.stringify({
  type: 'error',
  sessionID: 'ses_1',
  error: { name: 'UnknownError', data: { message: 'Unexpected server error. Check server logs for details.' } },
})
const LOG =
  'timestamp=2026-01-01T00:00:00.000Z level=ERROR run=a200756c message=failed ref=err_0f51d687 error="ProviderModelNotFoundError: Model not found: foo/bar. Did you mean: frogbot?" cause="…"'

test('a reason that is only in its log is found there', () => {
  const { failure } = read([HIDDEN], { exitCode: 1, stderrTail: LOG }).summary
  expect(failure).toMatchObject({ code: 'model-unavailable', text: expect.stringContaining('foo/bar') })
  expect(read([HIDDEN], { exitCode: 1 }).summary.failure).toMatchObject({ code: 'crash' })
})

test.each([
  ['Error: You must provide a message or a command', 1, 'waiting-for-input'],
  ['Error: Session not found', 1, 'crash'],
  [LOG, 1, 'model-unavailable'],
  ['message=failed ref=x error="ProviderNoProvidersError: No providers are available" cause="…"', 1, 'auth'],
  ['sh: opencode: not found', 127, 'missing-tool'],
  ['something else', 1, 'crash'],
])('before the stream begins, stderr tells: %s', (stderrTail, exitCode, code) => {
  expect(read([], { exitCode, stderrTail }).summary.failure).toMatchObject({ code })
})

const apiError = (data: Record<string, unknown>, at: number | null = 0) =>
  factsOf({ name: 'APIError', data: { message: 'no', ...data } }, { at })

test.each([
  [{ statusCode: 429, responseHeaders: { 'retry-after': '60' } }, 60_000],
  [{ statusCode: 429, responseHeaders: { 'retry-after': '60', 'retry-after-ms': '1500' } }, 1_500],
  [{ statusCode: 429, responseHeaders: { 'retry-after': 'Thu, 01 Jan 1970 00:01:00 GMT' } }, 60_000],
  [{ statusCode: 429, responseBody: '{"error":{"type":"usage_limit_reached","resets_in_seconds":90}}' }, 90_000],
  [{ statusCode: 429, responseBody: '{"error":{"resets_at":1700000000}}' }, 1_700_000_000_000],
  [{ statusCode: 429, message: 'Rate limit reached. Please try again in 1m 30.5s.' }, 90_500],
  [{ statusCode: 429, message: 'Limit: resets at 1970-01-01T01:00:00Z' }, 3_600_000],
])('a limit says when it ends: %j', (data, retryAfterMs) => {
  expect(classify(apiError(data), '', () => 0)).toMatchObject({ code: 'rate-limit', retryAfterMs })
  // Told some time ago, it is sooner over; a limit that doesn't say has no end.
  expect(classify(apiError(data), '', () => 500)).toMatchObject({ retryAfterMs: retryAfterMs - 500 })
  expect(classify(apiError({ statusCode: 429 }))).not.toHaveProperty('retryAfterMs')
})

test.each([
  [{ statusCode: 429, responseBody: '{"error":{"code":"insufficient_quota","type":"insufficient_quota"}}' }, 'auth'],
  [{ statusCode: 400, responseBody: '{"error":{"code":"context_length_exceeded"}}' }, 'context-overflow'],
  [{ statusCode: 400, responseBody: '{"error":{"code":"model_not_found"}}' }, 'model-unavailable'],
  [{ statusCode: 400, message: 'The model `x` does not exist' }, 'model-unavailable'],
  // The status wins over prose.
  [{ statusCode: 500, message: 'rate limit of the invalid api key' }, 'overload'],
  [{ statusCode: 402, message: 'pay' }, 'auth'],
  [{ statusCode: 413, message: 'too much' }, 'context-overflow'],
  [{ statusCode: 400, message: 'no such field' }, 'crash'],
  [{ message: 'Cannot connect to API: Unable to connect. Is the computer able to access the url?' }, 'overload'],
  [{ message: 'anything', isRetryable: true }, 'overload'],
])('a machine word, then the status, then prose: %j', (data, code) => {
  expect(classify(apiError(data))).toMatchObject({ code })
})

const request: AgentRequest = {
  program: {},
  path: join(root, 'bin/opencode'),
  model: null,
  effort: null,
  resume: null,
  configDir: join(root, 'run'),
  sandboxed: true,
  env: { HOME: join(root, 'home') },
}
write(request.path, '#!/bin/sh\necho 1.18.33\n')
chmodSync(request.path, 0o755)

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

const settingsOf = (env: Record<string, string>): Record<string, unknown> =>
  JSON.parse(env['OPENCODE_CONFIG_CONTENT'] ?? '') as Record<string, unknown>

test('its folders are the run’s, its network habits are off, its login is lent', () => {
  const { args, env, credentials } = opencodeAdapter.command(request)
  expect(args.slice(0, 3)).toEqual(['run', '--format', 'json'])
  expect(env).toMatchObject({
    XDG_CONFIG_HOME: join(request.configDir, 'config'),
    XDG_DATA_HOME: join(request.configDir, 'data'),
    XDG_STATE_HOME: join(request.configDir, 'state'),
    OPENCODE_DISABLE_AUTOUPDATE: '1',
    OPENCODE_DISABLE_MODELS_FETCH: '1',
    OPENCODE_DISABLE_LSP_DOWNLOAD: '1',
  })
  expect(settingsOf(env)).toMatchObject({ autoupdate: false, share: 'disabled', snapshot: false })
  const from = join(root, 'home/.local/share/opencode/auth.json')
  expect(credentials).toEqual([{ from, to: 'data/opencode/auth.json' }])
  const moved = opencodeAdapter.command({ ...request, env: { ...request.env, XDG_DATA_HOME: '/elsewhere' } })
  expect(moved.credentials[0]?.from).toBe('/elsewhere/opencode/auth.json')
})

test('in our sandbox all is granted; without one its tools stay in the workspace and the handoff', () => {
  const inside = opencodeAdapter.command(request)
  expect(inside.args).toContain('--auto')
  expect(settingsOf(inside.env)).not.toHaveProperty('permission')
  const open = opencodeAdapter.command({ ...request, sandboxed: false })
  expect(open.args).not.toContain('--auto')
  expect(settingsOf(open.env)['permission']).toEqual({
    external_directory: { '*': 'deny', '{env:ORCH_HANDOFF}/*': 'allow' },
  })
})

test('model, effort, and a session only where its file is', () => {
  const resume = 'ses_abc123'
  const asked = { ...request, model: 'anthropic/claude-sonnet-4-5', effort: 'high' as const, resume }
  expect(opencodeAdapter.command(asked).args.slice(-6)).toEqual([
    '--model',
    'anthropic/claude-sonnet-4-5',
    '--variant',
    'high',
    '--title',
    'Orch run',
  ])
  write(join(request.configDir, 'state', SESSIONS_FOLDER, resume), '')
  expect(opencodeAdapter.command(asked).args.slice(-2)).toEqual(['--session', resume])
  expect(opencodeAdapter.command({ ...asked, resume: `../${SESSIONS_FOLDER}/${resume}` }).args).not.toContain(
    '--session',
  )
})

const HOME = join(root, 'person')
const OWN = `{
  // The person's own, with everything the CLI's format allows.
  "model": "mine/big", /* and */ "small_model": "mine/small",
  "provider": {
    "mine": { "options": { "baseURL": "https://models.example.com/v1", "apiKey": "{env:MINE_TOKEN}" } },
    "filed": { "env": ["FILED_TOKEN"], "options": { "apiKey": "{file:./key.txt}", "note": "a \\"//\\" b,]" } },
  },
  "mcp": { "local": { "type": "local", "command": ["touch", "/code/ran"] } },
  "plugin": ["some-plugin"],
  "permission": { "bash": "allow" },
}`

test("the person's providers and models are the run's, what starts programs is not", () => {
  write(join(HOME, '.config/opencode/opencode.jsonc'), OWN)
  write(join(HOME, '.config/opencode/opencode.json'), '{"model": "mine/old", "enabled_providers": ["mine"]}')
  write(join(HOME, '.config/opencode/key.txt'), 'k-1\n')
  write(join(HOME, '.local/state/opencode/model.json'), '{"recent":[{"providerID":"a","modelID":"b"},{"x":1}]}')
  const broken = join(root, 'broken.json')
  write(broken, '{')
  const { files = [] } = opencodeAdapter.command({ ...request, env: { HOME, OPENCODE_CONFIG: broken } })
  const textOf = (to: string): unknown => JSON.parse(files.find((file) => file.to === to)?.text ?? '')
  expect(textOf('config/opencode/opencode.json')).toEqual({
    $schema: 'https://opencode.ai/config.json',
    model: 'mine/big',
    small_model: 'mine/small',
    enabled_providers: ['mine'],
    provider: {
      mine: { options: { baseURL: 'https://models.example.com/v1', apiKey: '{env:MINE_TOKEN}' } },
      filed: { env: ['FILED_TOKEN'], options: { apiKey: 'k-1', note: 'a "//" b,]' } },
    },
  })
  expect(textOf('state/opencode/model.json')).toEqual({ recent: [{ providerID: 'a', modelID: 'b' }] })
  expect(files.some((file) => file.to === 'config/opencode/plugin/orch.js')).toBe(true)
})

const KEYS = {
  ANTHROPIC_API_KEY: 'a',
  ANTHROPIC_BASE_URL: '',
  GROQ_API_KEY: 'g',
  TOGETHER_API_KEY: 't',
  MINE_TOKEN: 'm',
  FILED_TOKEN: 'f',
  AWS_SECRET_ACCESS_KEY: 's',
  GITHUB_TOKEN: 'h',
  STRIPE_API_KEY: 'p',
  OPENCODE_CONFIG_DIR: '/code/own',
  HTTPS_PROXY: 'http://proxy.example.com',
}

test.each([
  [null, ['ANTHROPIC_API_KEY', 'FILED_TOKEN', 'GROQ_API_KEY', 'MINE_TOKEN', 'TOGETHER_API_KEY']],
  ['anthropic/claude-sonnet-4-5', ['ANTHROPIC_API_KEY', 'FILED_TOKEN', 'MINE_TOKEN']],
  ['togetherai/glm', ['FILED_TOKEN', 'MINE_TOKEN', 'TOGETHER_API_KEY']],
  ['amazon-bedrock/claude', ['AWS_SECRET_ACCESS_KEY', 'FILED_TOKEN', 'MINE_TOKEN']],
  ['github-copilot/gpt', ['FILED_TOKEN', 'MINE_TOKEN']],
])('only the keys that model %s may need come along', (model, names) => {
  const { env } = opencodeAdapter.command({ ...request, model, env: { HOME, ...KEYS } })
  expect(env).toMatchObject({ HTTPS_PROXY: 'http://proxy.example.com' })
  expect(
    Object.keys(env)
      .filter((name) => name in KEYS && name !== 'HTTPS_PROXY')
      .sort(),
  ).toEqual(names)
})

test('npm’s launcher comes with the packages of its platform, the CLI with what it fetched before', () => {
  const modules = join(HOME, 'npm/lib/node_modules')
  const launcher = join(modules, 'opencode-ai/bin/opencode')
  write(launcher, '#!/bin/sh\n')
  write(join(modules, 'opencode-ai/package.json'), '{}')
  write(join(modules, 'opencode-linux-x64/bin/opencode'), '')
  write(join(modules, 'other/package.json'), '{}')
  const plain = opencodeAdapter.command({ ...request, path: launcher, env: { HOME } })
  expect(plain.reads).toEqual([launcher, join(modules, 'opencode-ai'), join(modules, 'opencode-linux-x64')])
  expect(plain.env).not.toHaveProperty('OPENCODE_MODELS_PATH')
  const cache = join(HOME, '.cache/opencode')
  write(join(cache, 'models.json'), '{}')
  write(join(cache, 'bin/rg'), '')
  const known = opencodeAdapter.command({ ...request, path: launcher, env: { HOME } })
  expect(known.env).toMatchObject({ OPENCODE_MODELS_PATH: join(cache, 'models.json') })
  expect(known.reads).toEqual([...plain.reads, join(cache, 'models.json'), join(cache, 'bin')])
  expect(known.files?.find((file) => file.to.endsWith('orch.js'))?.text).toContain(join(cache, 'bin'))
})

test('it is found on the PATH, in the usual places and where the user says; the login is told without spending', async () => {
  const env = { HOME: join(root, 'found'), PATH: '/usr/bin:/bin' }
  expect(await opencodeAdapter.find({ bin: '/no/such/opencode' }, env)).toBeNull()
  const found = await opencodeAdapter.find({}, { ...env, PATH: join(root, 'bin') })
  expect(found).toMatchObject({ path: request.path, version: '1.18.33', loggedIn: 'no' })
  expect(found?.note).toContain('opencode auth login')
  const own = join(env.HOME, '.opencode/bin/opencode')
  write(own, '#!/bin/sh\nexit 1\n')
  chmodSync(own, 0o755)
  expect(await opencodeAdapter.find({}, env)).toMatchObject({ path: own, version: null })
  const loggedIn = async (more: Record<string, string>) =>
    (await opencodeAdapter.find({ bin: request.path }, { ...env, ...more }))?.loggedIn
  expect(await loggedIn({ GROQ_API_KEY: 'g' })).toBe('yes')
  expect(await loggedIn({ HOME, MINE_TOKEN: 'm' })).toBe('yes')
  write(join(env.HOME, '.local/share/opencode/auth.json'), '{}')
  expect(await loggedIn({})).toBe('no')
  write(join(env.HOME, '.local/share/opencode/auth.json'), '{"anthropic":{"type":"api","key":"k"}}')
  expect(await loggedIn({})).toBe('yes')
})

/** Loads the plugin as the CLI does and shows it events; what it printed, and whether it ended the session. */
async function playPlugin(verb: string, events: object[]): Promise<Record<string, unknown>[]> {
  const plugin = join(root, 'plugin.mjs')
  write(plugin, makePlugin(null))
  const harness = `import plugin from ${JSON.stringify(plugin)}
globalThis.fetch = async () => new Response('{"error":{"type":"x"}}', { status: 529, headers: { 'retry-after': '7', 'x-a': 'b' } })
const abort = async ({ path }) => console.log(JSON.stringify({ aborted: path.id }))
const hooks = await plugin({ client: { session: { abort } } })
await fetch('http://models.example.com', { method: 'POST' })
for (const event of ${JSON.stringify(events)}) {
  if (event.tool) await hooks['tool.execute.before']?.(event, event.output)
  else await hooks.event?.({ event })
}`
  write(join(root, 'harness.mjs'), harness)
  const env = { PATH: process.env['PATH'] ?? '', XDG_STATE_HOME: join(root, 'plugin-state') }
  const argv = [process.execPath, join(root, 'harness.mjs'), verb] as const
  const result = await runProcess({ argv: [...argv], env, timeoutMs: 30_000 })
  expect(result.stderr).toBe('')
  return result.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

const status = (retry: { attempt: number; waitMs: number }) => ({
  type: 'session.status',
  properties: {
    sessionID: 'ses_9',
    status: { type: 'retry', attempt: retry.attempt, message: 'busy', next: Date.now() + retry.waitMs },
  },
})
const opening = ['user', 'assistant'].map((role) => ({
  type: 'message.updated',
  properties: { info: { sessionID: 'ses_9', role, providerID: 'p', modelID: 'm' } },
}))

test('the plugin tells model, tools, helpers’ steps and refusals, and ends what would wait too long', async () => {
  const step = (sessionID: string) => ({
    type: 'message.part.updated',
    properties: { part: { type: 'step-finish', id: 'prt_1', sessionID, tokens: { input: 1 }, cost: 2 } },
  })
  const tool = { tool: 'bash', sessionID: 'ses_9', callID: 'c', output: { args: { command: 'ls', timeout: 1 } } }
  const retries = [status({ attempt: 1, waitMs: 2_000 }), status({ attempt: 2, waitMs: 60_000 })]
  const said = await playPlugin('run', [...opening, step('ses_9'), step('ses_10'), tool, ...retries])
  expect(said).toMatchObject([
    { type: 'orch.started', sessionID: 'ses_9', model: 'p/m' },
    { type: 'orch.step', sessionID: 'ses_10', part: { id: 'prt_1', tokens: { input: 1 }, cost: 2 } },
    { type: 'orch.tool', tool: 'bash', detail: 'ls' },
    {
      type: 'orch.retry',
      givesUp: false,
      error: { message: 'busy', statusCode: 529, responseHeaders: { 'retry-after': '7' } },
    },
    { type: 'orch.retry', givesUp: true },
    { aborted: 'ses_9' },
  ])
  expect(said[3]?.['error']).not.toHaveProperty('responseHeaders.x-a')
  expect(existsSync(join(root, 'plugin-state', SESSIONS_FOLDER, 'ses_9'))).toBe(true)
})

test('the plugin lets two short repeats pass, not a third, and is silent where stdout is a protocol’s', async () => {
  const retries = [1, 2, 3].map((attempt) => status({ attempt, waitMs: 1_000 * attempt }))
  const said = await playPlugin('run', [...opening, ...retries])
  expect(said.map((line) => line['givesUp'] ?? line['aborted'])).toEqual([undefined, false, false, true, 'ses_9'])
  expect(await playPlugin('acp', [...opening, ...retries])).toEqual([])
})
