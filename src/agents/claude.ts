// The adapter for Claude Code: how its CLI is found, called and fed with credentials. Its stream is read in claude-stream.ts.

import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { AgentAdapter, AgentCommand, AgentRequest, FoundAgent } from './agent.ts'
import { makeClaudeParser } from './claude-stream.ts'
import {
  CERTIFICATE_NAMES,
  findProgram,
  findVersion,
  installationOf,
  pickEnv,
  placesIn,
  PROXY_NAMES,
} from './find-program.ts'
import { filesIn, foldersIn } from './session-files.ts'

/** Any of these is a login; the CLI prefers them to its own files. */
const KEY_NAMES = ['ANTHROPIC_API_KEY', 'ANTHROPIC_AUTH_TOKEN', 'CLAUDE_CODE_OAUTH_TOKEN'] as const
/** With these the model is reached through a cloud's account, so that account's variables are needed too. */
const CLOUDS: readonly { flag: string; prefixes: string[] }[] = [
  { flag: 'CLAUDE_CODE_USE_BEDROCK', prefixes: ['AWS_'] },
  { flag: 'CLAUDE_CODE_USE_VERTEX', prefixes: ['GOOGLE_', 'GCLOUD_', 'CLOUD_ML_', 'VERTEX_'] },
]
/** Of the CLI's own variables, those that say where we are, or that belong to an agent that runs us. */
const NOT_PASSED = new Set([
  'CLAUDE_CODE_ENTRYPOINT',
  'CLAUDE_CODE_SSE_PORT',
  'CLAUDE_CODE_SESSION_ID',
  'CLAUDE_CODE_TMPDIR',
  'CLAUDE_CONFIG_DIR',
])
/** Without a sandbox of ours the CLI asks before everything else, and a run without a person is then refused it. */
const UNSANDBOXED_TOOLS = ['Edit', 'Write', 'Read', 'Grep', 'Glob', 'Bash']

export const claudeAdapter: AgentAdapter = {
  name: 'claude',
  tested: { from: '2.1.329', to: '2.1.329' },
  efforts: ['low', 'medium', 'high'],
  ownSandbox: 'its own permissions: edits and commands in the workspace are allowed, nothing is walled off',

  async find(program, env): Promise<FoundAgent | null> {
    const path = findProgram({ name: program.bin ?? 'claude', env, folders: usualFolders(env) })
    if (!path) return null
    const loggedIn = isLoggedIn(env) ? 'yes' : 'no'
    const note = loggedIn === 'yes' ? '' : loginNote(process.platform)
    return { path, version: await findVersion(path, env), loggedIn, note }
  },

  command(request: AgentRequest): AgentCommand {
    const { path, model, effort, resume, configDir, sandboxed, env } = request
    const permissions = sandboxed
      ? ['--dangerously-skip-permissions']
      : ['--permission-mode', 'acceptEdits', '--allowedTools', ...UNSANDBOXED_TOOLS]
    const args = ['-p', '--output-format', 'stream-json', '--verbose', ...permissions]
    if (model) args.push('--model', model)
    if (effort) args.push('--effort', effort)
    // The CLI ends with an error on a session it does not have; a fresh one goes on with the task as well.
    if (resume && hasSession(configDir, resume)) args.push('--resume', resume)
    return {
      file: path,
      args,
      env: {
        // Long waits are Orch's to plan, not a run's to sit out; a user's own number wins.
        CLAUDE_CODE_MAX_RETRIES: '3',
        ...passedEnv(env),
        DISABLE_AUTOUPDATER: '1',
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
        CLAUDE_CONFIG_DIR: configDir,
        // As root the CLI skips permissions only when told that something else holds it.
        ...(sandboxed && process.getuid?.() === 0 ? { IS_SANDBOX: '1' } : {}),
      },
      reads: [...installationOf(path), ...placesIn(env, CERTIFICATE_NAMES)],
      credentials: [{ from: join(loginFolder(env), '.credentials.json'), to: '.credentials.json' }],
    }
  },

  parser: makeClaudeParser,
}

function usualFolders(env: NodeJS.ProcessEnv): string[] {
  const home = env['HOME']
  const prefix = env['npm_config_prefix'] ?? env['NPM_CONFIG_PREFIX']
  const ofHome = home
    ? ['.local/bin', '.claude/local', '.claude/local/node_modules/.bin', '.npm-global/bin', '.bun/bin'].map((folder) =>
        join(home, folder),
      )
    : []
  return [...ofHome, ...(prefix ? [join(prefix, 'bin')] : []), '/usr/local/bin', '/opt/homebrew/bin']
}

/** Sessions live in a file each, in a folder for each directory worked in. */
function hasSession(configDir: string, id: string): boolean {
  const files = foldersIn(join(configDir, 'projects')).flatMap(filesIn)
  return files.some((path) => basename(path) === `${id}.jsonl`)
}

/** The user's own configuration folder of the CLI. */
function loginFolder(env: NodeJS.ProcessEnv): string {
  return env['CLAUDE_CONFIG_DIR'] || join(env['HOME'] ?? '/', '.claude')
}

function isLoggedIn(env: NodeJS.ProcessEnv): boolean {
  if (KEY_NAMES.some((name) => env[name])) return true
  if (CLOUDS.some(({ flag }) => env[flag])) return true
  return existsSync(join(loginFolder(env), '.credentials.json'))
}

/** What a person can do. A keychain's login opens for nobody but the CLI under its usual folder, so it can't be lent. */
function loginNote(platform: NodeJS.Platform): string {
  return platform === 'darwin'
    ? "not logged in for runs: macOS keeps claude's login in the keychain, where no run can reach it; set CLAUDE_CODE_OAUTH_TOKEN to what `claude setup-token` prints, or set ANTHROPIC_API_KEY"
    : 'not logged in: run `claude` once and log in, or set ANTHROPIC_API_KEY'
}

function passedEnv(env: NodeJS.ProcessEnv): Record<string, string> {
  const prefixes = ['ANTHROPIC_', 'CLAUDE_CODE_', ...CLOUDS.flatMap((cloud) => (env[cloud.flag] ? cloud.prefixes : []))]
  const names = Object.keys(env).filter(
    (name) => prefixes.some((prefix) => name.startsWith(prefix)) && !NOT_PASSED.has(name),
  )
  return pickEnv(env, [...names, ...PROXY_NAMES, ...CERTIFICATE_NAMES])
}
