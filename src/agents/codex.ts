// The adapter for OpenAI's Codex CLI: how it is called, configured for a run and fed with a login. Where it is:
// codex-program.ts; what of the person's settings comes along: codex-config.ts; its stream: codex-stream.ts.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AgentAdapter, AgentCommand, AgentRequest, FoundAgent } from './agent.ts'
import { keptOf, quoted, type Setting, settingsOf, textAt, tomlOf } from './codex-config.ts'
import { codexReads, findCodex, nativeOf } from './codex-program.ts'
import { makeCodexParser } from './codex-stream.ts'
import { findVersion, pickEnv, placesIn, PROXY_NAMES } from './find-program.ts'
import { filesIn, foldersIn, headOf } from './session-files.ts'

/** A login of the environment's; the CLI prefers them to its own file, and does not read OPENAI_API_KEY. */
const KEY_NAMES = ['CODEX_API_KEY', 'CODEX_ACCESS_TOKEN']
const TRUST_NAMES = ['CODEX_CA_CERTIFICATE', 'SSL_CERT_FILE', 'SSL_CERT_DIR']
const PASSED_NAMES = [
  ...KEY_NAMES,
  ...TRUST_NAMES,
  ...PROXY_NAMES,
  'ALL_PROXY',
  'all_proxy',
  'OPENAI_ORGANIZATION',
  'OPENAI_PROJECT',
  'CODEX_OSS_BASE_URL',
  'CODEX_OSS_PORT',
]
/**
 * Long waits are Orch's to plan. A request that got no good answer is asked again after 0.2 s, 0.4 s …; a stream after
 * as long as `retry-after` says, however long that is (measured: 100 s), so once at most.
 */
const RETRIES: readonly [string, number][] = [
  ['request_max_retries', 2],
  ['stream_max_retries', 1],
]
/** The provider OpenAI's API under another name: the CLI's own can't be given fewer retries (31 s of them on a 500). */
const OWN_PROVIDER = 'orch-openai'
/** The session's first line names its provider within this (measured: 600 bytes). */
const SESSION_HEAD_BYTES = 8 << 10

const OWN_SETTINGS: Setting[] = [
  setting(['check_for_update_on_startup'], false),
  setting(['analytics', 'enabled'], false),
  setting(['feedback', 'enabled'], false),
  setting(['cli_auth_credentials_store'], 'file'),
  // A login shell would replace the PATH that Orch made by the system's.
  setting(['allow_login_shell'], false),
  // Else it waits for the network without an end.
  setting(['features', 'unbounded_connection_retries'], false),
  // The account's connectors and shared plugins, and what skills would install: each a program or a server of the person's.
  setting(['features', 'apps'], false),
  setting(['features', 'plugins'], false),
  setting(['features', 'remote_plugin'], false),
  setting(['features', 'skill_mcp_dependency_install'], false),
]

export const codexAdapter: AgentAdapter = {
  name: 'codex',
  tested: { from: '0.169.0', to: '0.169.0' },
  efforts: ['low', 'medium', 'high'],
  ownSandbox: 'its own sandbox: it writes in the workspace and in folders of its run only; reading is not walled off',

  async find(program, env): Promise<FoundAgent | null> {
    const path = findCodex(program.bin, env)
    return path ? { path, version: await findVersion(nativeOf(path), env), ...loginOf(env) } : null
  },

  command(request: AgentRequest): AgentCommand {
    const { path, model, effort, configDir, sandboxed, env, writable = [] } = request
    const settings = runSettings(request)
    const provider = textAt(settings, ['model_provider']) ?? 'openai'
    const resume = request.resume && hasSession(configDir, request.resume, provider) ? request.resume : null
    const args = ['exec', '--json', '--skip-git-repo-check', '-c', 'approval_policy="never"']
    args.push('-s', sandboxed ? 'danger-full-access' : 'workspace-write')
    if (!sandboxed) args.push(...holdOpen(writable))
    if (model) args.push('-m', model)
    if (effort) args.push('-c', `model_reasoning_effort=${quoted(effort)}`)
    if (resume) args.push('resume', resume)
    const file = nativeOf(path)
    return {
      file,
      args: [...args, '-'],
      env: { ...passedEnv(env, settings, provider), CODEX_HOME: configDir },
      reads: [...codexReads(file), ...placesIn(env, TRUST_NAMES)],
      files: [{ to: 'config.toml', text: tomlOf(settings) }],
      credentials: [{ from: join(codexHome(env), 'auth.json'), to: 'auth.json' }],
      resumes: resume !== null,
    }
  },

  parser: makeCodexParser,
}

/**
 * Its sandbox keeps git directories read-only and the network shut unless told; the workspace is where it is started.
 * The machine's temp folders, which it leaves open by itself, are others': a run has its own.
 */
function holdOpen([workspace, ...others]: readonly string[]): string[] {
  const roots = [workspace === undefined ? '.git' : join(workspace, '.git'), ...others]
  return [
    '-c',
    `sandbox_workspace_write.writable_roots=[${roots.map(quoted).join(', ')}]`,
    '-c',
    'sandbox_workspace_write.network_access=true',
    '-c',
    'sandbox_workspace_write.exclude_slash_tmp=true',
    '-c',
    'sandbox_workspace_write.exclude_tmpdir_env_var=true',
  ]
}

/** The person's choice of model and provider, then what a run needs, each path once. */
function runSettings({ env, sandboxed, writable }: AgentRequest): Setting[] {
  const users = keptOf(userSettings(env))
  const provider = textAt(users, ['model_provider']) ?? 'openai'
  const [workspace] = writable ?? []
  const all = [
    ...users,
    ...(provider === 'openai' && loginKind(env) === 'key' ? ownProvider(users) : retriesOf(provider, users)),
    ...OWN_SETTINGS,
    // A project's own settings belong to its workspace. Without our sandbox they could start programs outside of any.
    ...(sandboxed && workspace ? [setting(['projects', workspace, 'trust_level'], 'trusted')] : []),
  ]
  return [...new Map(all.map((one) => [one.path.join('\0'), one])).values()]
}

function setting(path: string[], value: string | number | boolean): Setting {
  return { path, value: JSON.stringify(value) }
}

/** Few retries for a provider of the person's own; their numbers win. The CLI's own providers refuse to be changed. */
function retriesOf(provider: string, users: readonly Setting[]): Setting[] {
  const theirs = users.filter(({ path }) => path[0] === 'model_providers' && path[1] === provider)
  if (theirs.length === 0 || provider === 'amazon-bedrock') return []
  return RETRIES.filter(([name]) => theirs.every(({ path }) => path[2] !== name)).map(([name, count]) =>
    setting(['model_providers', provider, name], count),
  )
}

/**
 * OpenAI's API with a key, as the CLI's own provider reaches it (compared: same requests) but for a header of its
 * version, which an account's login may need: that one keeps the CLI's own.
 */
function ownProvider(users: readonly Setting[]): Setting[] {
  const at = (...path: string[]): string[] => ['model_providers', OWN_PROVIDER, ...path]
  const base = textAt(users, ['openai_base_url'])
  return [
    setting(['model_provider'], OWN_PROVIDER),
    setting(at('name'), 'OpenAI'),
    setting(at('wire_api'), 'responses'),
    setting(at('requires_openai_auth'), true),
    setting(at('supports_websockets'), true),
    setting(at('env_http_headers', 'OpenAI-Organization'), 'OPENAI_ORGANIZATION'),
    setting(at('env_http_headers', 'OpenAI-Project'), 'OPENAI_PROJECT'),
    ...(base === null ? [] : [setting(at('base_url'), base)]),
    ...RETRIES.map(([name, count]) => setting(at(name), count)),
  ]
}

/**
 * The CLI ends with an error on a session it does not have, or whose provider is configured no more. Sessions lie in
 * sessions/YYYY/MM/DD.
 */
function hasSession(configDir: string, id: string, provider: string): boolean {
  if (!/^[0-9a-f-]{36}$/i.test(id)) return false
  const days = foldersIn(join(configDir, 'sessions')).flatMap(foldersIn).flatMap(foldersIn)
  const file = days.flatMap(filesIn).find((path) => path.endsWith(`-${id}.jsonl`))
  const head = file === undefined ? null : headOf(file, SESSION_HEAD_BYTES)
  return head?.head.includes(`"model_provider":${quoted(provider)}`) ?? false
}

/** The person's own folder of the CLI. */
function codexHome(env: NodeJS.ProcessEnv): string {
  return env['CODEX_HOME'] || join(env['HOME'] ?? '/', '.codex')
}

function userFile(env: NodeJS.ProcessEnv, name: string): string {
  try {
    return readFileSync(join(codexHome(env), name), 'utf8')
  } catch {
    return ''
  }
}

function userSettings(env: NodeJS.ProcessEnv): Setting[] {
  return settingsOf(userFile(env, 'config.toml'))
}

/** How OpenAI is paid: by a key, by a ChatGPT account, or null when there is no login that a run can use. */
function loginKind(env: NodeJS.ProcessEnv): 'key' | 'account' | null {
  if (env['CODEX_API_KEY']) return 'key'
  if (env['CODEX_ACCESS_TOKEN']) return 'account'
  try {
    const login = JSON.parse(userFile(env, 'auth.json')) as Record<string, unknown>
    if (login['tokens'] && login['auth_mode'] !== 'apikey') return 'account'
    return login['OPENAI_API_KEY'] ? 'key' : null
  } catch {
    return null
  }
}

/** Whether a run would have a login, as far as files and variables tell, and what to do when not. */
function loginOf(env: NodeJS.ProcessEnv): Pick<FoundAgent, 'loggedIn' | 'note'> {
  const settings = userSettings(env)
  const provider = textAt(settings, ['model_provider']) ?? 'openai'
  const own = settings.filter(({ path }) => path[0] === 'model_providers' && path[1] === provider)
  const key = textAt(own, ['model_providers', provider, 'env_key'])
  if (key !== null)
    return env[key]
      ? { loggedIn: 'yes', note: '' }
      : { loggedIn: 'no', note: `not logged in: set ${key}, where codex's provider ${provider} has its key` }
  const byOpenai = own.some(({ path, value }) => path[2] === 'requires_openai_auth' && value === 'true')
  if (provider !== 'openai' && !byOpenai)
    return { loggedIn: 'unknown', note: `codex uses the provider ${provider} of its config.toml` }
  if (loginKind(env) !== null) return { loggedIn: 'yes', note: '' }
  return { loggedIn: 'no', note: loginNote(env, settings) }
}

function loginNote(env: NodeJS.ProcessEnv, settings: readonly Setting[]): string {
  const store = textAt(settings, ['cli_auth_credentials_store'])
  if (store === 'keyring' || store === 'auto')
    return `not logged in for runs: codex keeps its login in the keyring, where no run can reach it; set cli_auth_credentials_store = "file" in its config.toml and run \`codex login\`, or set CODEX_API_KEY`
  const other = env['OPENAI_API_KEY'] ? ' (codex does not read OPENAI_API_KEY)' : ''
  return `not logged in: run \`codex login\`, or set CODEX_API_KEY${other}`
}

/** The variables that its provider's settings name come along: those alone. */
function passedEnv(env: NodeJS.ProcessEnv, settings: readonly Setting[], provider: string): Record<string, string> {
  const named = settings
    .filter(({ path: [top, id, name] }) => top === 'model_providers' && id === provider && NAMING.has(name ?? ''))
    .flatMap(({ path }) => textAt(settings, path) ?? [])
  const cloud = provider === 'amazon-bedrock' ? Object.keys(env).filter((name) => name.startsWith('AWS_')) : []
  return pickEnv(env, [...PASSED_NAMES, ...named, ...cloud])
}

const NAMING = new Set(['env_key', 'env_http_headers'])
