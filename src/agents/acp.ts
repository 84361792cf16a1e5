// The adapter for any agent that speaks the Agent Client Protocol on stdio. Its program is the user's (`agents.acp.command`);
// what is started is acp-agent.ts, which has the conversation. Invariant: an agent that has an adapter of its own gets over
// ACP what that one would give it, login and settings alike; any other gets a home of its own and the keys of models.

import { existsSync, realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { AgentProgram } from '../core/policy.ts'
import { makeAcpParser } from './acp-stream.ts'
import type { AgentAdapter, AgentCommand, AgentRequest, FoundAgent } from './agent.ts'
import { findProgram, installationOf, pickEnv } from './find-program.ts'
import { ownProgramReads } from './scripted.ts'

/** Programs and packages that are agents with an adapter of their own, by their names in a command. */
const NATIVE: Record<string, string> = {
  opencode: 'opencode',
  'opencode-ai': 'opencode',
  gemini: 'gemini',
  'gemini-cli': 'gemini',
  codex: 'codex',
  'codex-acp': 'codex',
  claude: 'claude',
  'claude-agent-acp': 'claude',
  'claude-code-acp': 'claude',
}
/** Programs that start another one: what they are says nothing of the agent. */
const RUNNERS = new Set([
  'npx',
  'bunx',
  'pnpx',
  'uvx',
  'pipx',
  'node',
  'bun',
  'deno',
  'python',
  'python3',
  'sh',
  'bash',
  'env',
  'npm',
  'pnpm',
  'yarn',
  'uv',
  'docker',
  'podman',
  'mise',
  'nix',
  'cargo',
])
/** What variables of these names hold is for their own programs: tokens of registries, forges and clouds among them. */
const NO_PREFIX = new Set(['NPM', 'PNPM', 'YARN', 'UV', 'CARGO', 'DOCKER', 'AWS', 'NODE', 'GITHUB', 'GH', 'GITLAB'])
const MODEL_VENDORS = [
  'ANTHROPIC',
  'AZURE_OPENAI',
  'CEREBRAS',
  'DASHSCOPE',
  'DEEPSEEK',
  'FIREWORKS',
  'GEMINI',
  'GOOGLE',
  'GROQ',
  'MISTRAL',
  'MOONSHOT',
  'OLLAMA',
  'OPENAI',
  'OPENROUTER',
  'TOGETHER',
  'XAI',
  'ZAI',
]
const VENDOR_FIELDS = ['API_KEY', 'AUTH_TOKEN', 'BASE_URL', 'API_BASE', 'HOST', 'ENDPOINT']
/** What makes shell words more than one simple command. */
const CONTROL = /[;&|()<>`\n]/
/** No agent holds a forge's token, and nothing of Orch's own or of the session we were started from. */
const NEVER = /^(GH|GITHUB|GITLAB|GITEA|FORGEJO|PLANE|ORCH|SSH|GIT|XDG)_|^(HOME|PATH|SHELL|TMPDIR)$/

/** Makes the adapter. `program` starts acp-agent: [node, its file]; `natives`: the adapters of agents that have one. */
export function makeAcpAdapter(program: readonly [string, string], natives: readonly AgentAdapter[]): AgentAdapter {
  const nativeOf = (words: string[]): AgentAdapter | undefined => {
    const name = words.map((word) => NATIVE[bareName(word)]).find((known) => known !== undefined)
    return natives.find((adapter) => adapter.name === name)
  }
  return {
    name: 'acp',
    tested: null,
    efforts: [],
    ownSandbox: 'the questions it asks: edits and commands in the workspace are allowed, nothing is walled off',
    find: (wanted, env) => findAcp(wanted, env, nativeOf(wordsOf(wanted))),
    command: (request) => commandOf(program, request, nativeOf(wordsOf(request.program))),
    parser: makeAcpParser,
  }
}

async function findAcp(
  program: AgentProgram,
  env: NodeJS.ProcessEnv,
  native: AgentAdapter | undefined,
): Promise<FoundAgent | null> {
  const words = wordsOf(program)
  const name = words.find((word) => !isAssignment(word))
  if (name === undefined) return null
  const own = findProgram({ name, env, folders: usualFolders(env) })
  // Its first word may be the shell's own (`cd agent && ./run`).
  const path = own ?? (CONTROL.test(program.command ?? '') ? findProgram({ name: 'sh', env, folders: ['/bin'] }) : null)
  if (path === null) return null
  const runs = `runs: ${program.command ?? path}`
  // Only a program that is known to answer is asked for its version: another one might begin to work.
  const itself = native !== undefined && bareName(path) === native.name
  const known = await native?.find(itself ? { bin: path } : {}, env)
  if (!known) return { path, version: null, loggedIn: 'unknown', note: runs }
  return {
    path,
    version: itself ? known.version : null,
    loggedIn: known.loggedIn,
    note: known.note === '' ? runs : `${known.note}; ${runs}`,
  }
}

function commandOf(
  own: readonly [string, string],
  request: AgentRequest,
  native: AgentAdapter | undefined,
): AgentCommand {
  const { program, path, model, resume, sandboxed, configDir, env } = request
  const [node, file] = own
  const options = [
    ...(model ? ['--model', model] : []),
    ...(resume ? ['--resume', resume] : []),
    ...(sandboxed ? ['--sandboxed'] : []),
  ]
  const argv = program.command ? ['/bin/sh', '-c', shellWords(program.command, path)] : [path]
  const lent: Omit<AgentCommand, 'file' | 'args'> = native
    ? native.command({ ...request, program: { bin: path }, effort: null, resume: null })
    : { env: { ...homeEnv(configDir), ...keysOf(wordsOf(program), env) }, reads: [], credentials: [] }
  return {
    file: node,
    args: [file, ...options, '--', ...argv],
    env: { ...lent.env, ...namedIn(program.command ?? '', env) },
    reads: [...new Set([...ownProgramReads(node, file), ...installed(path), ...pathsIn(program), ...lent.reads])],
    files: lent.files ?? [],
    credentials: lent.credentials,
  }
}

/** The words of what is run; quotes are not taken apart. */
function wordsOf({ command, bin }: AgentProgram): string[] {
  return command ? command.split(/[\s;&|()<>"']+/).filter((word) => word !== '') : bin ? [bin] : []
}

function isAssignment(word: string): boolean {
  return /^\w+=/.test(word)
}

/** `@google/gemini-cli@0.61.0` and `/opt/bin/gemini-cli` are both gemini-cli. */
function bareName(word: string): string {
  return basename(word).replace(/(?<=.)@.*$/, '')
}

/**
 * The command with its program by its path, since a run's PATH need not have it. A simple command takes the shell's place:
 * a shell would stand between the agent and its signals.
 */
function shellWords(command: string, path: string): string {
  const words = wordsOf({ command })
  const whole = withPath(command.trim(), { word: words.find((one) => !isAssignment(one)), path })
  if (CONTROL.test(command)) return whole
  return isAssignment(words[0] ?? '') ? `exec env ${whole}` : `exec ${whole}`
}

function withPath(command: string, { word, path }: { word: string | undefined; path: string }): string {
  if (word === undefined || basename(word) !== basename(path)) return command
  const at = command.indexOf(word)
  const quoted = /^[\w./@+-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`
  return `${command.slice(0, at)}${quoted}${command.slice(at + word.length)}`
}

/** Where an agent that we know nothing of keeps what it wants to find again in its next run. */
function homeEnv(configDir: string): Record<string, string> {
  const home = join(configDir, 'home')
  return {
    HOME: home,
    XDG_CONFIG_HOME: join(home, '.config'),
    XDG_DATA_HOME: join(home, '.local/share'),
    XDG_STATE_HOME: join(home, '.local/state'),
  }
}

/** Keys and addresses of models, and the variables that begin with the program's own name (`GOOSE_…` of goose). */
function keysOf(words: string[], env: NodeJS.ProcessEnv): Record<string, string> {
  const vendors = MODEL_VENDORS.flatMap((vendor) => VENDOR_FIELDS.map((field) => `${vendor}_${field}`))
  const program = words.find(
    (word) => !isAssignment(word) && !RUNNERS.has(bareName(word)) && /^[\w@./~-]+$/.test(word) && !word.startsWith('-'),
  )
  const name = program === undefined ? '' : prefixOf(program)
  const known = name.length > 1 && !NO_PREFIX.has(name)
  const own = Object.keys(env).filter((one) => known && one.startsWith(`${name}_`) && !NEVER.test(one))
  return pickEnv(env, [...vendors, ...own])
}

/** `@block/goose-cli` is GOOSE. */
function prefixOf(program: string): string {
  return bareName(program)
    .replace(/[-_.].*$/, '')
    .toUpperCase()
}

/** Variables that the command names (`TOKEN=$MY_TOKEN agent acp`): who wrote it means them to be there. */
function namedIn(command: string, env: NodeJS.ProcessEnv): Record<string, string> {
  const names = [...command.matchAll(/\$\{?([A-Za-z_]\w*)/g)].map((match) => match[1] ?? '')
  return pickEnv(
    env,
    names.filter((name) => !NEVER.test(name)),
  )
}

/** The program's installation with the packages beside it: a launcher loads its platform's own. */
function installed(path: string): string[] {
  if (path === '' || !existsSync(path)) return []
  const real = realpathSync(path)
  const modules = real.lastIndexOf('/node_modules/')
  return [...installationOf(path), ...(modules >= 0 ? [real.slice(0, modules + '/node_modules'.length)] : [])]
}

/** Paths that the command names, as words, options' values or variables': what it was given to read. */
function pathsIn({ command }: AgentProgram): string[] {
  return wordsOf({ command: command ?? '' })
    .map((word) => word.replace(/^[^/]*=/, ''))
    .filter((word) => word.startsWith('/') && word !== '/' && existsSync(word))
}

function usualFolders(env: NodeJS.ProcessEnv): string[] {
  const home = env['HOME']
  const prefix = env['npm_config_prefix'] ?? env['NPM_CONFIG_PREFIX']
  const below = ['.local/bin', '.opencode/bin', '.npm-global/bin', '.bun/bin', '.cargo/bin', 'go/bin']
  return [
    ...(home ? below.map((folder) => join(home, folder)) : []),
    ...(prefix ? [join(prefix, 'bin')] : []),
    '/usr/local/bin',
    '/opt/homebrew/bin',
  ]
}
