// Running git: with a time limit, no prompt, no hooks, no fsmonitor, messages in the C locale so that failures can be told apart.
// Two environments: `isolated` reads no configuration but the repository's own; `remote` is the user's, with the user's credentials.
// Invariant: nothing here may be pointed at a directory an agent can write; sandbox.ts wraps those commands.

import { ExternalError, type ExternalKind } from '../lib/errors.ts'
import { type ProcessResult, runProcess } from '../lib/process.ts'

/** Options that go before every git command of the engine. */
export const SAFE_OPTIONS = [
  '-c',
  'core.hooksPath=/dev/null',
  '-c',
  'core.fsmonitor=false',
  '-c',
  'gc.auto=0',
  '-c',
  'maintenance.auto=false',
  '-c',
  'protocol.file.allow=always',
  '-c',
  'advice.detachedHead=false',
  '-c',
  'submodule.recurse=false',
] as const

/** Limits of one git command. A fetch or push of a large repository over a slow line takes minutes, a local command seconds. */
export const LOCAL_LIMIT_MS = 120_000
export const REMOTE_LIMIT_MS = 600_000

export interface GitRequest {
  args: string[]
  env: Record<string, string>
  cwd?: string
  input?: string
  timeoutMs?: number
  outputCapBytes?: number
  /** Exit codes that are answers, not failures. Default only 0. */
  okCodes?: number[]
  /** At the lowest priority: nobody waits for it. */
  background?: boolean
  signal?: AbortSignal
}

/** Runs git and gives its result, whatever it is. */
export function runGit(request: GitRequest): Promise<ProcessResult> {
  return runProcess({
    argv: request.background
      ? ['nice', '-n', '19', 'git', ...SAFE_OPTIONS, ...request.args]
      : ['git', ...SAFE_OPTIONS, ...request.args],
    ...(request.signal === undefined ? {} : { signal: request.signal }),
    ...(request.cwd === undefined ? {} : { cwd: request.cwd }),
    ...(request.input === undefined ? {} : { input: request.input }),
    env: request.env,
    timeoutMs: request.timeoutMs ?? LOCAL_LIMIT_MS,
    outputCapBytes: request.outputCapBytes ?? 64 << 20,
  })
}

/** Runs git; throws ExternalError unless it ended with an expected code and its output is whole. `what` completes "could not …". */
export async function git(what: string, request: GitRequest): Promise<ProcessResult> {
  return expectGood(what, request, await runGit(request))
}

/** The result, if it is what was expected of a git command; throws ExternalError otherwise. */
export function expectGood(what: string, request: Pick<GitRequest, 'okCodes'>, result: ProcessResult): ProcessResult {
  if (result.outcome !== 'exited' || !(request.okCodes ?? [0]).includes(result.exitCode ?? -1))
    throw gitError(what, result)
  if (result.truncated) {
    throw new ExternalError({
      system: 'git',
      kind: 'rejected',
      message: `Could not ${what}: git's answer is larger than 64 MiB`,
    })
  }
  return result
}

/** True when git failed because somebody else holds a lock, or held it when it died. */
export function isLocked(text: string): boolean {
  return /cannot lock ref|Unable to create '.*\.lock'/i.test(text)
}

/** Of a process that SIGKILL ended, as a shell or a sandbox around it tells it: 128 + 9. */
const KILLED = 137

const FAILURES: readonly [ExternalKind, RegExp][] = [
  ['disk-full', /No space left on device|Disk quota exceeded|unable to write file|out of disk/i],
  [
    'auth',
    /Authentication failed|could not read (?:Username|Password)|terminal prompts disabled|Permission denied \(|Host key verification failed|returned error: 40[13]|HTTP 40[13]|Invalid username|Invalid credentials|Permission to \S+ denied|access denied/i,
  ],
  [
    'not-found',
    /couldn't find remote ref|Repository not found|returned error: 404|repository '.*' not found|bad object|Not a valid object name|unknown revision|bad revision|invalid reference/i,
  ],
  [
    'unreachable',
    /Could not resolve host|Failed to connect|Connection (?:refused|timed out|reset|closed)|Network is unreachable|No route to host|unable to access|early EOF|hung up unexpectedly|Could not read from remote repository|returned error: 5\d\d|RPC failed|does not appear to be a git repository|does not exist/i,
  ],
]

/** Tells a failure's kind from git's own words, which the C locale keeps stable. Null when nothing is known about it. */
export function classifyGitText(text: string): ExternalKind | null {
  return FAILURES.find(([, pattern]) => pattern.test(text))?.[0] ?? null
}

const ADVICE: Partial<Record<ExternalKind, string>> = {
  auth: 'check that `git fetch` and `git push` work in your clone without asking for a password',
  unreachable: "check the network and the remote's address",
  'not-found': 'check that it exists and that you may see it',
  'disk-full': 'free some space',
  'timed-out': 'check the network, or try again',
  'tool-missing': 'install git 2.38 or newer',
}

/** The error of a git command that did not end well. */
export function gitError(what: string, result: ProcessResult): ExternalError {
  const text = lastLines(result.stderr || result.stdout)
  const kind = kindOf(result)
  const late = `git did not end within its time limit (${Math.round(result.durationMs / 1000)} s)`
  const reason = wasKilled(result) ? 'git was killed' : kind === 'timed-out' ? late : text
  const advice = ADVICE[kind]
  return new ExternalError({
    system: 'git',
    kind,
    message: `Could not ${what}: ${reason}${advice ? `; ${advice}` : ''}`,
  })
}

function kindOf(result: ProcessResult): ExternalKind {
  if (result.outcome === 'timed-out' || result.outcome === 'cancelled' || wasKilled(result)) return 'timed-out'
  if (result.outcome === 'could-not-start') return /ENOSPC|EDQUOT/.test(result.stderr) ? 'disk-full' : 'tool-missing'
  return classifyGitText(result.stderr) ?? (isLocked(result.stderr) ? 'conflict' : 'rejected')
}

/** Killed from outside, by a person or a machine short of memory: it says nothing of the repository, and passes. */
function wasKilled({ outcome, exitCode }: ProcessResult): boolean {
  return outcome === 'killed' || (outcome === 'exited' && exitCode === KILLED)
}

/** The last lines of a message, without credentials that stand in an address. */
export function lastLines(text: string, count = 6): string {
  const lines = text
    .trim()
    .split('\n')
    .filter((line) => !line.startsWith('hint:'))
  return withoutCredentials(lines.slice(-count).join(' / ')) || 'no message'
}

/** Takes user names, passwords and tokens out of addresses. */
export function withoutCredentials(text: string): string {
  return text.replace(/(\b[a-z][a-z0-9+.-]*:\/\/)[^/\s@]+@/gi, '$1')
}

/** Variables that would point git at another repository or make it do more than it was asked. */
const REPOSITORY_VARIABLES = new Set([
  'GIT_DIR',
  'GIT_WORK_TREE',
  'GIT_INDEX_FILE',
  'GIT_OBJECT_DIRECTORY',
  'GIT_ALTERNATE_OBJECT_DIRECTORIES',
  'GIT_COMMON_DIR',
  'GIT_NAMESPACE',
  'GIT_PREFIX',
  'GIT_CEILING_DIRECTORIES',
  'GIT_GRAFT_FILE',
  'GIT_SHALLOW_FILE',
  'GIT_EXTERNAL_DIFF',
  'GIT_DIFF_OPTS',
  'GIT_TEMPLATE_DIR',
  'GIT_QUARANTINE_PATH',
  'GIT_INTERNAL_SUPER_PREFIX',
  'GIT_EDITOR',
  'GIT_PAGER',
  'GIT_LITERAL_PATHSPECS',
  'GIT_GLOB_PATHSPECS',
  'GIT_NOGLOB_PATHSPECS',
  'GIT_ICASE_PATHSPECS',
  'GIT_DEFAULT_HASH',
  'GIT_ATTR_SOURCE',
  'GIT_REPLACE_REF_BASE',
])

/** The environment for reading and writing repositories that the engine owns: no user or system configuration at all. */
export function isolatedGitEnv(env: NodeJS.ProcessEnv): Record<string, string> {
  return {
    PATH: absolutePath(env['PATH']),
    HOME: '/nonexistent',
    LC_ALL: 'C',
    TZ: 'UTC',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_EDITOR: 'true',
    GIT_PAGER: 'cat',
  }
}

/** The environment for talking to the remote: the user's own, never asking, with `config` (from the registered clone) on top. `sshChosen`: some configuration names an ssh command. */
export function remoteGitEnv(
  env: NodeJS.ProcessEnv,
  config: [string, string][],
  options: { sshChosen: boolean },
): Record<string, string> {
  const result: Record<string, string> = {}
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && !REPOSITORY_VARIABLES.has(name) && !name.startsWith('GIT_TRACE')) result[name] = value
  }
  result['LC_ALL'] = 'C'
  result['GIT_TERMINAL_PROMPT'] = '0'
  result['GCM_INTERACTIVE'] ??= 'never'
  if (!result['GIT_SSH_COMMAND'] && !result['GIT_SSH'] && !options.sshChosen)
    result['GIT_SSH_COMMAND'] = 'ssh -oBatchMode=yes'
  // By variables and not by `-c`, since arguments can be read by every user of the machine and a header may hold a token.
  let count = Number(result['GIT_CONFIG_COUNT'] ?? '0') || 0
  for (const [key, value] of config) {
    result[`GIT_CONFIG_KEY_${count}`] = key
    result[`GIT_CONFIG_VALUE_${count}`] = value
    count += 1
  }
  if (count > 0) result['GIT_CONFIG_COUNT'] = String(count)
  return result
}

/** PATH without relative entries: those would find programs in whatever folder the engine or an agent is in. */
export function absolutePath(path: string | undefined): string {
  const entries = (path ?? '').split(':').filter((entry) => entry.startsWith('/'))
  return [...new Set(entries)].join(':') || '/usr/local/bin:/usr/bin:/bin'
}
