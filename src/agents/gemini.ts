// The adapter for Gemini CLI: how it is found and called. Its login is in gemini-login.ts, the settings it runs by in
// gemini-settings.ts, its stream in gemini-stream.ts.

import { closeSync, openSync, readFileSync, readSync, realpathSync } from 'node:fs'
import { totalmem } from 'node:os'
import { basename, dirname, join } from 'node:path'
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
import { findLogin, userSettings } from './gemini-login.ts'
import { PROMPT_COMMAND, settingsFiles } from './gemini-settings.ts'
import { makeGeminiParser } from './gemini-stream.ts'
import { asText, parseObject } from './json-fields.ts'
import { filesIn, foldersIn, headOf } from './session-files.ts'

const PACKAGE = '@google/gemini-cli'
/** A session longer than this has had answers; no more of one is read, so that no start holds up anything else. */
const LONG_SESSION_BYTES = 1 << 20
/** Settings that whoever runs this machine put above all users'. */
const SYSTEM_NAMES = ['GEMINI_CLI_SYSTEM_SETTINGS_PATH', 'GEMINI_CLI_SYSTEM_DEFAULTS_PATH']

export const geminiAdapter: AgentAdapter = {
  name: 'gemini',
  tested: { from: '0.61.0', to: '0.61.0' },
  efforts: ['low', 'medium', 'high'],
  ownSandbox:
    'its own rules: its tools for files keep to the workspace, commands are allowed and walled off by nothing',

  async find(program, env): Promise<FoundAgent | null> {
    const path = findProgram({ name: program.bin ?? 'gemini', env, folders: usualFolders(env) })
    if (!path) return null
    const { loggedIn, note } = findLogin(env)
    return { path, version: packageVersion(path) ?? (await findVersion(path, env)), loggedIn, note }
  },

  command(request: AgentRequest): AgentCommand {
    const { path, model, effort, resume, configDir, sandboxed, env } = request
    const login = findLogin(env)
    const own = pickEnv(env, [...PROXY_NAMES, ...CERTIFICATE_NAMES, ...SYSTEM_NAMES])
    const program = programOf(path)
    const args = ['--output-format', 'stream-json', '--approval-mode', sandboxed ? 'yolo' : 'auto_edit']
    if (model) args.push('--model', model)
    // The CLI ends with an error on a session it does not have; a fresh one goes on with the task as well.
    if (resume && hasSession(configDir, resume)) args.push('--resume', resume)
    return {
      file: '/bin/sh',
      args: ['-c', `{ echo /${PROMPT_COMMAND}; cat; } | "$0" "$@"`, ...program, ...args],
      env: {
        // The CLI reads a `.env` of the workspace for what isn't set: no repository says where a person's login is sent.
        GOOGLE_GEMINI_BASE_URL: '',
        GOOGLE_VERTEX_BASE_URL: '',
        CODE_ASSIST_ENDPOINT: 'https://cloudcode-pa.googleapis.com',
        ...login.env,
        ...own,
        GEMINI_CLI_HOME: configDir,
        // Its launcher would start a second process with more memory, and be deaf to SIGTERM meanwhile.
        GEMINI_CLI_NO_RELAUNCH: 'true',
        // There is nobody to answer; the workspace is the task's own.
        GEMINI_CLI_TRUST_WORKSPACE: 'true',
        NO_BROWSER: 'true',
        // Its own sandbox needs docker, and would take the prompt as an argument.
        GEMINI_SANDBOX: 'false',
        GEMINI_TELEMETRY_ENABLED: 'false',
        NO_COLOR: '1',
      },
      reads: [
        ...installationOf(path),
        ...(program[0] === path ? [] : [process.execPath, realpathSync(process.execPath)]),
        ...login.reads,
        ...placesIn(env, [...CERTIFICATE_NAMES, ...SYSTEM_NAMES]),
      ],
      files: settingsFiles({ way: login.way, model, effort, user: userSettings(env), sandboxed }),
      credentials: login.credentials,
    }
  },

  parser: makeGeminiParser,
}

function usualFolders(env: NodeJS.ProcessEnv): string[] {
  const home = env['HOME']
  const prefix = env['npm_config_prefix'] ?? env['NPM_CONFIG_PREFIX']
  const ofHome = home
    ? ['.local/bin', '.npm-global/bin', '.bun/bin', '.volta/bin', '.local/share/pnpm', 'Library/pnpm'].map((folder) =>
        join(home, folder),
      )
    : []
  return [...ofHome, ...(prefix ? [join(prefix, 'bin')] : []), '/usr/local/bin', '/opt/homebrew/bin']
}

/**
 * The words that start it. It is a script for node: ours runs it, since a service's PATH may have none or an old one, with
 * half of the machine's memory to grow into, as its own launcher would give it.
 */
function programOf(path: string): string[] {
  if (!/^#!.*\bnode\b/.test(firstLine(path))) return [path]
  return [process.execPath, `--max-old-space-size=${Math.floor(totalmem() / 2 ** 21)}`, path]
}

/** Empty when there is nothing to read: then the path itself is what is started. */
function firstLine(path: string): string {
  try {
    const file = openSync(path, 'r')
    try {
      const buffer = Buffer.alloc(128)
      return buffer.toString('latin1', 0, readSync(file, buffer)).split('\n', 1)[0] ?? ''
    } finally {
      closeSync(file)
    }
  } catch {
    return ''
  }
}

/** Its package says its version; asked by `--version` it takes more than a second and litters the person's folder. */
function packageVersion(path: string): string | null {
  const folder = dirname(dirname(realpathSync(path)))
  try {
    const manifest = parseObject(readFileSync(join(folder, 'package.json'), 'utf8'))
    return manifest?.['name'] === PACKAGE ? asText(manifest['version']) : null
  } catch {
    return null
  }
}

/**
 * Sessions live in a file each, named by time and the id's first letters, in a folder for each directory worked in. One
 * whose model never answered can't be resumed: the CLI takes back what it was asked.
 */
function hasSession(configDir: string, id: string): boolean {
  const chats = foldersIn(join(configDir, '.gemini/tmp'))
    .flatMap(foldersIn)
    .filter((path) => basename(path) === 'chats')
  const files = chats.flatMap(filesIn).filter((path) => basename(path).includes(`-${id.slice(0, 8)}.json`))
  return files.some((path) => {
    const session = headOf(path, LONG_SESSION_BYTES)
    return session !== null && (session.size > LONG_SESSION_BYTES || session.head.includes('"type":"gemini"'))
  })
}
