import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import type { Usage } from '../core/run.ts'
import { describeAgent } from './agent.contract.ts'
import type { AgentRequest, RunEvent, RunSummary } from './agent.ts'
import { keptOf, settingsOf, textAt, tomlOf } from './codex-config.ts'
import { classify } from './codex-errors.ts'
import { codexReads, findCodex, nativeOf } from './codex-program.ts'
import { codexAdapter } from './codex.ts'

const folder = fileURLToPath(new URL('./__fixtures__/codex/', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'orch-codex-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const transcript = (name: string): string[] => readFileSync(join(folder, `${name}.jsonl`), 'utf8').split('\n')

interface Read {
  events: RunEvent[]
  summary: RunSummary
}

function read(
  lines: string[],
  options: { exitCode?: number | null; signal?: string; stderrTail?: string; previousUsage?: Usage | null } = {},
): Read {
  const { exitCode = 0, signal = null, stderrTail = '', previousUsage } = options
  const resumed = previousUsage !== undefined
  const parser = codexAdapter.parser({ resumed, previousUsage: previousUsage ?? null, previousCostUsd: null })
  const events = lines.flatMap((line) => parser.push(line))
  return { events, summary: parser.end({ exitCode, signal, stderrTail }) }
}

describeAgent({ adapter: codexAdapter, goodRun: transcript('success'), speaks: true })

describe('codex: its stream', () => {
  test('a real success: session, tools and usage, each once, and no cost', () => {
    const { events, summary } = read(transcript('success'))
    expect(summary).toEqual({
      failure: null,
      sessionId: '00000000-0000-4000-8000-000000000001',
      model: null,
      usage: { input: 4_000, output: 400, cacheRead: 0, cacheWrite: 0 },
      costUsd: 0,
    })
    expect(events[0]).toMatchObject({ type: 'started', sessionId: summary.sessionId })
    const tools = events.flatMap((event) => (event.type === 'tool' ? [`${event.name} ${event.state}`] : []))
    expect(tools).toEqual(['shell started', 'shell ok', 'shell started', 'shell ok', 'shell started', 'shell ok'])
    expect(events).toContainEqual(
      expect.objectContaining({ detail: 'echo more >> greeting.txt && git add . && git commit -qm Greeting' }),
    )
    expect(events.filter((event) => event.type === 'usage')).toHaveLength(1)
  })

  test('a resumed session tells its whole thread: the run alone is counted', () => {
    const before: Usage = { input: 4_000, output: 400, cacheRead: 0, cacheWrite: 0 }
    const { events, summary } = read(transcript('resumed'), { previousUsage: before })
    expect(summary.usage).toEqual({ input: 3_000, output: 300, cacheRead: 0, cacheWrite: 0 })
    expect(events).toContainEqual({ type: 'usage', usage: summary.usage, costUsd: null })
    expect(events).toContainEqual(expect.objectContaining({ type: 'tool', state: 'failed' }))
    // Not known, or more than there ever was: the total it is.
    expect(read(transcript('resumed'), { previousUsage: null }).summary.usage.input).toBe(7_000)
    expect(read(transcript('resumed'), { previousUsage: { ...before, input: 9_000 } }).summary.usage.input).toBe(7_000)
  })

  test('cached input is a part of the input it tells, and is counted apart', () => {
    expect(read(transcript('cached')).summary.usage).toEqual({
      input: 500,
      output: 50,
      cacheRead: 300,
      cacheWrite: 200,
    })
  })

  test('edited files are told; a patch that did not fit has no item', () => {
    const edits = read(transcript('file-change')).events.filter(
      (event) => event.type === 'tool' && event.name === 'edit',
    )
    expect(edits).toEqual([
      { type: 'tool', name: 'edit', detail: 'add /runs/workspace/p.txt', state: 'started' },
      { type: 'tool', name: 'edit', detail: 'add /runs/workspace/p.txt', state: 'ok' },
    ])
  })

  test('what it warns of is no failure', () => {
    const { events, summary } = read(transcript('success'))
    expect(events).toContainEqual({ type: 'message', text: expect.stringContaining('warning: Model metadata') })
    expect(summary.failure).toBeNull()
  })

  test('other tools by their names', () => {
    const item = (fields: object): string =>
      JSON.stringify({ type: 'item.completed', item: { id: 'item_1', ...fields } })
    const { events } = read([
      item({
        type: 'mcp_tool_call',
        server: 's',
        tool: 't',
        arguments: { a: 1 },
        error: { message: 'no' },
        status: 'failed',
      }),
      item({ type: 'web_search', query: 'q' }),
      item({ type: 'reasoning', text: 'hm' }),
      item({ type: 'todo_list', items: [{ text: 'x', completed: false }] }),
    ])
    expect(events).toEqual([
      { type: 'tool', name: 's.t', detail: 'no', state: 'failed' },
      { type: 'tool', name: 'web_search', detail: 'q', state: 'ok' },
    ])
  })
})

describe('codex: its troubles', () => {
  test.each([
    ['api-401', 'auth'],
    ['api-403', 'auth'],
    ['api-404', 'model-unavailable'],
    ['api-429', 'rate-limit'],
    ['api-500', 'overload'],
    ['api-529', 'overload'],
    ['too-long', 'context-overflow'],
    ['broken', 'overload'],
    ['usage-limit', 'rate-limit'],
    ['usage-limit-days', 'rate-limit'],
    ['rate-limit-told', 'rate-limit'],
    ['quota', 'auth'],
    ['plan', 'auth'],
    ['no-key', 'auth'],
    ['cloudflare', 'auth'],
    ['model-unknown', 'model-unavailable'],
    ['model-not-in-plan', 'model-unavailable'],
    ['context-window', 'context-overflow'],
    ['at-capacity', 'overload'],
    ['stream-closed', 'overload'],
    ['refused', 'overload'],
  ])('a real failure %s is %s', (name, code) => {
    const { events, summary } = read(transcript(name), { exitCode: 1 })
    expect(summary.failure).toMatchObject({ code })
    expect(events).toContainEqual(expect.objectContaining({ type: 'error', code }))
    // Also when the process claims to have ended well.
    expect(read(transcript(name)).summary.failure).toMatchObject({ code })
  })
})

describe('codex: how its troubles are told', () => {
  test('what it tries again is told while it happens', () => {
    const limits = read(transcript('rate-limit-told')).events.filter((event) => event.type === 'limit')
    expect(limits).toEqual([
      { type: 'limit', text: expect.stringContaining('tries again (1/1): rate limit exceeded'), retryAfterMs: 1_898 },
    ])
  })

  test('ended between two tries, the class is that of the last one; once it was answered again, it is a crash', () => {
    const lines = transcript('api-529').filter((line) => !line.includes('turn.failed'))
    expect(read(lines, { exitCode: 143 }).summary.failure).toMatchObject({ code: 'overload' })
    const answered = '{"type":"item.completed","item":{"id":"item_9","type":"agent_message","text":"hi"}}'
    expect(read([...lines, answered], { exitCode: 143 }).summary.failure).toMatchObject({ code: 'crash' })
  })

  test('a stream that stops in the middle is never a success', () => {
    for (const name of ['success', 'resumed', 'cut', 'hang']) {
      const lines = transcript(name).filter((line) => !line.startsWith('{"type":"turn.completed"'))
      expect(read(lines).summary.failure, name).toMatchObject({ code: 'malformed-stream' })
    }
    expect(read(transcript('hang'), { exitCode: null, signal: 'SIGKILL' }).summary).toMatchObject({
      failure: { code: 'crash' },
      usage: { input: 0 },
    })
  })

  test.each([
    ['No prompt provided via stdin.', 'waiting-for-input'],
    ['Error loading config.toml: missing field `name`', 'crash'],
    ['Error: thread/resume: thread/resume failed: no rollout found for thread id 1', 'crash'],
    ['Your access token could not be refreshed. Please log out and sign in again.', 'auth'],
  ])('before the stream begins, stderr tells: %s', (stderrTail, code) => {
    const { failure } = read([], { exitCode: 1, stderrTail }).summary
    expect(failure).toMatchObject({ code, text: expect.stringContaining(stderrTail) })
  })

  test('where its own sandbox cannot start, no command ran: that is no success', () => {
    const lines = transcript('no-namespaces')
    expect(read(lines).summary.failure).toMatchObject({ code: 'permission', text: expect.stringContaining('bwrap: ') })
    // A command of the agent's own may say the same.
    const ran = { type: 'command_execution', command: 'true', aggregated_output: '', exit_code: 0, status: 'completed' }
    expect(read([...lines, JSON.stringify({ type: 'item.completed', item: ran })]).summary.failure).toBeNull()
  })

  test('a program that is not there is a missing tool', () => {
    expect(read([], { exitCode: 127, stderrTail: 'codex: not found' }).summary.failure).toMatchObject({
      code: 'missing-tool',
    })
  })

  test('a status wins over prose', () => {
    const text = 'unexpected status 401 Unauthorized: rate limit of this key, url: https://api.example.com'
    expect(classify(text).code).toBe('auth')
    const json = '{"error":{"message":"Something","code":"context_length_exceeded"}}'
    expect(classify(json)).toEqual({ code: 'context-overflow', text: 'Something' })
  })

  test.each([
    ['try again at 12:18 PM.', new Date(2026, 10, 21, 10, 13), (2 * 60 + 6) * 60_000],
    ['try again at 10:00 AM.', new Date(2026, 10, 21, 10, 13), 0],
    ['try again at Nov 23rd, 2026 10:13 AM.', new Date(2026, 10, 21, 10, 13), 48 * 3_600_000 + 60_000],
    ['Please try again in 6m0.5s. Visit', new Date(0), 360_500],
    ['try again in 20ms.', new Date(0), 20],
    ['try again in 2 hours 5 minutes.', new Date(0), 125 * 60_000],
    ['Try again later.', new Date(0), undefined],
  ])("a usage limit's end: %s", (text, now, wait) => {
    const failure = classify(`You’ve hit your usage limit. ${text}`, () => now.getTime())
    expect([failure.code, failure.retryAfterMs]).toEqual(['rate-limit', wait])
  })
})

const request: AgentRequest = {
  program: {},
  path: join(root, 'codex'),
  model: null,
  effort: null,
  resume: null,
  configDir: join(root, 'config'),
  sandboxed: true,
  env: { HOME: root },
}
writeFileSync(request.path, '#!/bin/sh\necho "codex-cli 0.169.0"\n')
chmodSync(request.path, 0o755)

const write = (path: string, text = ''): string => {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text, { mode: 0o755 })
  return path
}

/** A person's home with a configuration and a login. */
function home(name: string, files: Record<string, string>): string {
  for (const [file, text] of Object.entries(files)) write(join(root, name, '.codex', file), text)
  return join(root, name)
}

const configOf = (changes: Partial<AgentRequest>): string =>
  codexAdapter.command({ ...request, ...changes }).files?.find(({ to }) => to === 'config.toml')?.text ?? ''

describe('codex: its command', () => {
  test('in our sandbox its own is off; alone it holds all but the places of the run, its git directory among them', () => {
    const { args, env } = codexAdapter.command({ ...request, model: 'm', effort: 'low' })
    expect(args.join(' ')).toBe(
      'exec --json --skip-git-repo-check -c approval_policy="never" -s danger-full-access -m m -c model_reasoning_effort="low" -',
    )
    expect(env['CODEX_HOME']).toBe(request.configDir)
    const alone = codexAdapter.command({ ...request, sandboxed: false, writable: ['/w', '/runtime', '/handoff'] }).args
    expect(alone).toContain('workspace-write')
    expect(alone).toContain('sandbox_workspace_write.writable_roots=["/w/.git", "/runtime", "/handoff"]')
    // The machine's temp folders, which it would leave open.
    expect(alone).toContain('sandbox_workspace_write.exclude_slash_tmp=true')
    expect(alone).toContain('sandbox_workspace_write.exclude_tmpdir_env_var=true')
    expect(codexAdapter.command({ ...request, sandboxed: false }).args).toContain(
      'sandbox_workspace_write.writable_roots=[".git"]',
    )
  })

  test("a project's own settings count only inside our sandbox", () => {
    const trusted = '"projects"."/w"."trust_level" = "trusted"'
    expect(configOf({ writable: ['/w'] })).toContain(trusted)
    expect(configOf({ writable: ['/w'], sandboxed: false })).not.toContain(trusted)
  })

  test('a session is resumed only where its file is, and only with its provider', () => {
    const resume = '11111111-1111-4111-8111-111111111111'
    const file = join(request.configDir, `sessions/2026/11/21/rollout-2026-11-21T10-12-36-${resume}.jsonl`)
    expect(codexAdapter.command({ ...request, resume })).toMatchObject({ resumes: false })
    write(file, '{"type":"session_meta","payload":{"model_provider":"openai"}}\n')
    const command = codexAdapter.command({ ...request, resume, model: 'm' })
    expect(command.args.slice(-5)).toEqual(['-m', 'm', 'resume', resume, '-'])
    expect(command.resumes).toBe(true)
    write(file, '{"type":"session_meta","payload":{"model_provider":"corp"}}\n')
    expect(codexAdapter.command({ ...request, resume }).args).not.toContain('resume')
    expect(codexAdapter.command({ ...request, resume: '../x' })).toMatchObject({ resumes: false })
  })

  test('links among the sessions are not followed', () => {
    const resume = '22222222-2222-4222-8222-222222222222'
    const configDir = join(root, 'linked')
    const day = join(configDir, 'sessions/2026/11/21')
    mkdirSync(day, { recursive: true })
    const real = write(join(root, 'elsewhere', `rollout-${resume}.jsonl`), '{"model_provider":"openai"}\n')
    symlinkSync('.', join(configDir, 'sessions/2026/a'))
    symlinkSync('.', join(configDir, 'sessions/2026/b'))
    symlinkSync(dirname(real), join(configDir, 'sessions/2026/11/22'))
    symlinkSync(real, join(day, basename(real)))
    expect(codexAdapter.command({ ...request, configDir, resume })).toMatchObject({ resumes: false })
  })
})

describe('codex: what of the person comes along', () => {
  test("the person's model and provider come along, with few retries; nothing that starts a program does", () => {
    const config = `model = "m" # mine
notify = ["notify-send"]
model_provider = 'corp'
sandbox_mode = "read-only"
[mcp_servers.x]
command = "x"
[model_providers.corp]
name = "Corp"
env_key = "CORP_KEY"
env_http_headers = { "X-Team" = "CORP_TEAM" }
stream_max_retries = 9
[model_providers.other]
env_key = "OTHER_KEY"
[hooks]
x = "y"
`
    const env = { HOME: home('corp', { 'config.toml': config }), CORP_KEY: 'k', CORP_TEAM: 't', OTHER_KEY: 'o' }
    const settings = settingsOf(configOf({ env }))
    const provider = (name: string) => textAt(settings, ['model_providers', 'corp', name])
    expect([textAt(settings, ['model']), provider('name'), provider('env_key')]).toEqual(['m', 'Corp', 'CORP_KEY'])
    const valueOf = (name: string) =>
      settings.find(({ path }) => path.join('.') === `model_providers.corp.${name}`)?.value
    // Theirs wins.
    expect([valueOf('request_max_retries'), valueOf('stream_max_retries')]).toEqual(['2', '9'])
    const tops = new Set(settings.map(({ path }) => path[0]))
    for (const name of ['notify', 'sandbox_mode', 'mcp_servers', 'hooks']) expect(tops).not.toContain(name)
    const passed = codexAdapter.command({ ...request, env }).env
    expect(passed).toMatchObject({ CORP_KEY: 'k', CORP_TEAM: 't' })
    expect(passed).not.toHaveProperty('OTHER_KEY')
  })

  test("with a key OpenAI's API gets few retries too; an account keeps the CLI's own way to it", () => {
    const key = { HOME: root, CODEX_API_KEY: 'k' }
    expect(configOf({ env: key })).toContain('"model_provider" = "orch-openai"')
    const config = 'openai_base_url = "https://gateway.example.com/v1"'
    const byFile = { HOME: home('key', { 'auth.json': '{"OPENAI_API_KEY":"k"}', 'config.toml': config }) }
    expect(configOf({ env: byFile })).toContain(
      '"model_providers"."orch-openai"."base_url" = "https://gateway.example.com/v1"',
    )
    const account = { HOME: home('account', { 'auth.json': '{"auth_mode":"chatgpt","tokens":{}}' }) }
    expect(configOf({ env: account })).not.toContain('orch-openai')
  })

  test('only what the CLI needs of the environment comes along', () => {
    const env = { HOME: root, CODEX_API_KEY: 'k', OPENAI_API_KEY: 'o', AWS_PROFILE: 'a', HTTPS_PROXY: 'http://proxy' }
    const passed = codexAdapter.command({ ...request, env }).env
    expect(passed).toEqual({ CODEX_API_KEY: 'k', HTTPS_PROXY: 'http://proxy', CODEX_HOME: request.configDir })
    const bedrock = { ...env, HOME: home('bedrock', { 'config.toml': 'model_provider = "amazon-bedrock"' }) }
    expect(codexAdapter.command({ ...request, env: bedrock }).env).toHaveProperty('AWS_PROFILE')
  })
})

describe("codex: the person's configuration", () => {
  test('every form of TOML that holds a setting is read, and what cannot be read is left out', () => {
    const toml = `# a comment = "x"
model = "a # b = [c]"
"model_provider" = 'p.q'
notify = [ # a list
  "one]", 'two'
]
developer_instructions = """
model = "not this"
"""
broken line
[ model_providers . "p.q" ] # a table
name = "P"
query_params = { api-version = "1", nested = { deep = true } }
[[skills.config]]
model = "nor this"
[tools]
web_search = true
`
    const settings = settingsOf(toml)
    expect(Object.fromEntries(settings.map(({ path, value }) => [path.join('/'), value]))).toEqual({
      model: '"a # b = [c]"',
      model_provider: "'p.q'",
      notify: `[ # a list\n  "one]", 'two'\n]`,
      developer_instructions: '"""\nmodel = "not this"\n"""',
      'model_providers/p.q/name': '"P"',
      'model_providers/p.q/query_params/api-version': '"1"',
      'model_providers/p.q/query_params/nested/deep': 'true',
      'tools/web_search': 'true',
    })
    expect(keptOf(settings).map(({ path }) => path[0])).not.toContain('notify')
    // What is written is read again as it was.
    expect(settingsOf(tomlOf(settings))).toEqual(settings)
    for (const text of ['[', '[[', '=', 'a', 'a = [', 'a = "', 'a = {', '"', "a = '''", 'a.=1', '{}\n]'])
      expect(() => settingsOf(text)).not.toThrow()
  })
})

describe('codex: where it is', () => {
  test('on the PATH, in the usual places, and where the user says', async () => {
    const env = { HOME: join(root, 'found'), PATH: '/usr/bin:/bin' }
    expect(await codexAdapter.find({ bin: '/no/such/codex' }, env)).toBeNull()
    const local = write(join(env.HOME, '.local/bin/codex'), '#!/bin/sh\nexit 1\n')
    expect(await codexAdapter.find({}, env)).toMatchObject({ path: local, version: null })
    expect(await codexAdapter.find({}, { ...env, PATH: root })).toMatchObject({
      path: request.path,
      version: '0.169.0',
    })
    expect(await codexAdapter.find({ bin: request.path }, env)).toMatchObject({ path: request.path })
  })

  const elsewhere = ['/usr/local/bin/codex', '/opt/homebrew/bin/codex'].find((path) => existsSync(path))
  test.skipIf(elsewhere)(
    `last in an editor, the newest${elsewhere ? ` (skipped: ${elsewhere} comes first)` : ''}`,
    () => {
      const env = { HOME: join(root, 'editor'), PATH: '/usr/bin:/bin' }
      for (const version of ['26.9.1', '26.10.0'])
        for (const machine of ['linux-x86_64', 'linux-aarch64', 'macos-x86_64', 'macos-aarch64'])
          write(join(env.HOME, `.cursor/extensions/openai.chatgpt-${version}/bin/${machine}/codex`))
      expect(findCodex(undefined, env)).toContain('openai.chatgpt-26.10.0/bin')
    },
  )

  test("npm's launcher is passed over, and what its program reads comes along", () => {
    const modules = join(root, 'npm/lib/node_modules/@openai')
    const launcher = write(join(modules, 'codex/bin/codex.js'))
    write(join(modules, 'codex/package.json'), '{}')
    expect(nativeOf(launcher)).toBe(launcher)
    expect(codexReads(launcher)).toContain(join(modules, 'codex'))
    const own = join(modules, `codex/node_modules/@openai/codex-${process.platform}-${process.arch}`)
    const cpu = process.arch === 'arm64' ? 'aarch64' : 'x86_64'
    const triple = `${cpu}-${process.platform === 'darwin' ? 'apple-darwin' : 'unknown-linux-musl'}`
    const program = write(join(own, 'vendor', triple, 'bin/codex'))
    write(join(own, 'package.json'), '{}')
    expect(nativeOf(launcher)).toBe(program)
    expect(codexReads(program)).toContain(own)
    const unpacked = join(root, 'standalone')
    write(join(unpacked, 'codex-package.json'), '{}')
    expect(codexReads(write(join(unpacked, 'bin/codex')))).toContain(unpacked)
  })

  test.each([
    ['nothing', {}, {}, 'no', 'codex login'],
    ['another key', {}, { OPENAI_API_KEY: 'k' }, 'no', 'does not read OPENAI_API_KEY'],
    ['a key', {}, { CODEX_API_KEY: 'k' }, 'yes', ''],
    ['an account', { 'auth.json': '{"tokens":{}}' }, {}, 'yes', ''],
    ['a broken file', { 'auth.json': '{' }, {}, 'no', 'codex login'],
    ['the keyring', { 'config.toml': 'cli_auth_credentials_store = "keyring"' }, {}, 'no', 'keyring'],
    [
      'a provider without its key',
      { 'config.toml': 'model_provider = "p"\nmodel_providers.p.env_key = "P"' },
      {},
      'no',
      'set P',
    ],
    [
      'a provider with its key',
      { 'config.toml': 'model_provider = "p"\nmodel_providers.p.env_key = "P"' },
      { P: 'k' },
      'yes',
      '',
    ],
    ['a provider of this machine', { 'config.toml': 'model_provider = "ollama"' }, {}, 'unknown', 'ollama'],
  ])('the login is told without spending: %s', async (name, files, variables, loggedIn, note) => {
    const env = { HOME: home(`login-${name}`, files), PATH: root, ...variables }
    expect(await codexAdapter.find({}, env)).toMatchObject({ loggedIn, note: expect.stringContaining(note) })
  })
})
