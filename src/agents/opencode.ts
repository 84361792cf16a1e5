// The adapter for OpenCode: how its CLI is found, called and configured. Its stream is read in opencode-stream.ts.
// Invariant: the CLI's folders all lie in the run's configuration directory; the person's are read, never written.

import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import type { AgentAdapter, AgentCommand, AgentRequest, FoundAgent } from './agent.ts'
import {
  CERTIFICATE_NAMES,
  findProgram,
  findVersion,
  installationOf,
  pickEnv,
  placesIn,
  PROXY_NAMES,
} from './find-program.ts'
import { type JsonObject, parseObject } from './json-fields.ts'
import { foldersOf, hasKey, keyNames, readRecentModels, readSettings } from './opencode-config.ts'
import { makePlugin, SESSIONS_FOLDER } from './opencode-plugin.ts'
import { makeOpencodeParser } from './opencode-stream.ts'

/** Of the CLI's own variables, those that are a login or a limit. Its places and its settings are Orch's to choose. */
const OWN_NAMES = [
  'OPENCODE_API_KEY',
  'OPENCODE_AUTH_CONTENT',
  'OPENCODE_MODELS_URL',
  'OPENCODE_EXPERIMENTAL_OUTPUT_TOKEN_MAX',
  'OPENCODE_EXPERIMENTAL_BASH_DEFAULT_TIMEOUT_MS',
]
/** The lock file says that what the CLI would fetch for its plugin folder at each start is there: our plugin needs none of it. */
const NOTHING_TO_INSTALL = { dependencies: { '@opencode-ai/plugin': '*' } }

export const opencodeAdapter: AgentAdapter = {
  name: 'opencode',
  tested: { from: '1.18.33', to: '1.18.33' },
  // Its "variants". What a model does not have is passed over by the CLI in silence.
  efforts: ['low', 'medium', 'high'],
  ownSandbox: 'its own permissions: its tools stay in the workspace, but a shell command can get around them',

  async find(program, env): Promise<FoundAgent | null> {
    const path = findProgram({ name: program.bin ?? 'opencode', env, folders: usualFolders(env) })
    if (!path) return null
    const loggedIn = isLoggedIn(env) ? 'yes' : 'no'
    const note =
      loggedIn === 'yes'
        ? ''
        : "not logged in: run `opencode auth login`, or set a provider's key such as ANTHROPIC_API_KEY (without one the CLI falls back on free models of others)"
    return { path, version: await findVersion(path, env), loggedIn, note }
  },

  command(request: AgentRequest): AgentCommand {
    const { path, model, effort, resume, configDir, sandboxed, env } = request
    const settings = readSettings(env)
    const models = modelsFile(env)
    const passed = pickEnv(env, [
      ...keyNames(settings, { model, env }),
      ...OWN_NAMES,
      ...PROXY_NAMES,
      ...CERTIFICATE_NAMES,
    ])
    // Of its log the errors: some have their reason nowhere else.
    const args = ['run', '--format', 'json', '--print-logs', '--log-level', 'ERROR']
    // What it would ask a person is granted, since a sandbox is around it; what a project denies stays denied.
    if (sandboxed) args.push('--auto')
    if (model) args.push('--model', model)
    if (effort) args.push('--variant', effort)
    // A title that is given is none that a model is paid to find.
    if (resume && hasSession(configDir, resume)) args.push('--session', resume)
    else args.push('--title', 'Orch run')
    return {
      file: path,
      args,
      env: {
        ...passed,
        XDG_CONFIG_HOME: join(configDir, 'config'),
        XDG_DATA_HOME: join(configDir, 'data'),
        XDG_STATE_HOME: join(configDir, 'state'),
        ...(models === null ? {} : { OPENCODE_MODELS_PATH: models }),
        OPENCODE_CONFIG_CONTENT: JSON.stringify(ownSettings(sandboxed)),
        OPENCODE_DISABLE_AUTOUPDATE: '1',
        OPENCODE_DISABLE_MODELS_FETCH: '1',
        OPENCODE_DISABLE_LSP_DOWNLOAD: '1',
        OPENCODE_DISABLE_SHARE: '1',
        // It would watch every file of the workspace for a screen that isn't there.
        OPENCODE_EXPERIMENTAL_DISABLE_FILEWATCHER: '1',
      },
      reads: [
        ...installationOf(path),
        ...platformPackages(path),
        ...[models, toolsFolder(env)].filter((place) => place !== null),
        ...placesIn(passed, [...CERTIFICATE_NAMES, 'GOOGLE_APPLICATION_CREDENTIALS']),
      ],
      files: filesOf(settings, env),
      credentials: [{ from: join(foldersOf(env).data, 'auth.json'), to: 'data/opencode/auth.json' }],
    }
  },

  parser: makeOpencodeParser,
}

/** The last layer of the CLI's settings: neither the person nor the project can change it. */
function ownSettings(sandboxed: boolean): JsonObject {
  const own = { autoupdate: false, share: 'disabled', snapshot: false }
  if (sandboxed) return own
  return {
    ...own,
    // What is refused is told to the model, which goes on; by default the run would just end there.
    experimental: { continue_loop_on_deny: true },
    permission: { external_directory: { '*': 'deny', '{env:ORCH_HANDOFF}/*': 'allow' } },
  }
}

/** Written anew for each run: the person's providers and models, our plugin, and what keeps the CLI from fetching more. */
function filesOf(settings: JsonObject, env: NodeJS.ProcessEnv): { to: string; text: string }[] {
  const at = (name: string, value: unknown) => ({ to: `config/opencode/${name}`, text: `${JSON.stringify(value)}\n` })
  return [
    at('opencode.json', { $schema: 'https://opencode.ai/config.json', ...settings }),
    at('package.json', NOTHING_TO_INSTALL),
    at('package-lock.json', { lockfileVersion: 3, packages: { '': NOTHING_TO_INSTALL } }),
    at('node_modules/.package-lock.json', { lockfileVersion: 3, packages: {} }),
    { to: 'config/opencode/plugin/orch.js', text: makePlugin(toolsFolder(env)) },
    { to: 'state/opencode/model.json', text: `${JSON.stringify({ recent: readRecentModels(env) })}\n` },
  ]
}

function usualFolders(env: NodeJS.ProcessEnv): string[] {
  const home = env['HOME']
  const prefix = env['npm_config_prefix'] ?? env['NPM_CONFIG_PREFIX']
  const ofHome = home
    ? ['.opencode/bin', '.local/bin', 'bin', '.npm-global/bin', '.bun/bin'].map((folder) => join(home, folder))
    : []
  const ofInstaller = [env['OPENCODE_INSTALL_DIR'], env['XDG_BIN_DIR']].filter((folder) => folder !== undefined)
  return [
    ...ofInstaller,
    ...ofHome,
    ...(prefix ? [join(prefix, 'bin')] : []),
    '/usr/local/bin',
    '/opt/homebrew/bin',
    '/home/linuxbrew/.linuxbrew/bin',
  ]
}

/** npm's launcher may be a script that looks for the program in the package of this platform, beside its own or in it. */
function platformPackages(path: string): string[] {
  const real = realpathSync(path)
  const at = real.lastIndexOf('/node_modules/')
  if (at < 0) return []
  const modules = real.slice(0, at + '/node_modules'.length)
  return [modules, join(modules, 'opencode-ai/node_modules')].flatMap((folder) =>
    existsSync(folder)
      ? readdirSync(folder)
          .filter((name) => /^opencode-(linux|darwin)-/.test(name))
          .map((name) => join(folder, name))
      : [],
  )
}

/** Our plugin leaves a file for each session; with the run's folder the session is gone as well. */
function hasSession(configDir: string, id: string): boolean {
  return /^ses_\w+$/.test(id) && existsSync(join(configDir, 'state', SESSIONS_FOLDER, id))
}

/** The CLI's list of models as the person last had it: newer than what the program brings along, and it won't fetch one. */
function modelsFile(env: NodeJS.ProcessEnv): string | null {
  const file = env['OPENCODE_MODELS_PATH'] || join(foldersOf(env).cache, 'models.json')
  return existsSync(file) ? file : null
}

/** Where the CLI keeps the ripgrep that it fetched when there was none: without it, each new workspace would fetch it again. */
function toolsFolder(env: NodeJS.ProcessEnv): string | null {
  const folder = join(foldersOf(env).cache, 'bin')
  return existsSync(join(folder, 'rg')) ? folder : null
}

function isLoggedIn(env: NodeJS.ProcessEnv): boolean {
  if (env['OPENCODE_AUTH_CONTENT']) return true
  const settings = readSettings(env)
  if (keyNames(settings, { model: null, env }).some((name) => !name.endsWith('_BASE_URL') && env[name])) return true
  if (hasKey(settings, env)) return true
  try {
    const logins = parseObject(readFileSync(join(foldersOf(env).data, 'auth.json'), 'utf8'))
    return Object.keys(logins ?? {}).length > 0
  } catch {
    return false
  }
}

/** Those of the named variables whose value is a file that is there. */
