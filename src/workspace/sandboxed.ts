// Running things in the sandbox to their end: git in a place an agent may have touched, setup and verify commands.

import { endGroup, inGroup } from '../lib/cgroup.ts'
import { ExternalError } from '../lib/errors.ts'
import { type ProcessResult, runProcess } from '../lib/process.ts'
import { gitError, isolatedGitEnv, LOCAL_LIMIT_MS, SAFE_OPTIONS } from './git.ts'
import { endMarked, MARK, newMark, openCommandGroup } from './marked.ts'
import type { Sandbox, SandboxRequest } from './workspace.ts'

export interface SandboxedRun extends SandboxRequest {
  timeoutMs: number
  input?: string
  outputCapBytes?: number
  signal?: AbortSignal
}

/** Runs a command in the sandbox and leaves nothing of its tree alive. Throws ExternalError `tool-missing` when the sandbox itself fails. */
export async function runSandboxed(sandbox: Sandbox, request: SandboxedRun): Promise<ProcessResult> {
  const mark = newMark()
  const wrapped = sandbox.wrap({ ...request, env: { ...request.env, [MARK]: mark } })
  const group = wrapped.containment === 'cgroup' ? openCommandGroup() : null
  const argv = [wrapped.file, ...wrapped.args] as const
  const result = await runProcess({
    argv: group ? inGroup(group, argv) : argv,
    cwd: request.cwd,
    env: wrapped.env,
    timeoutMs: request.timeoutMs,
    ...(request.input === undefined ? {} : { input: request.input }),
    ...(request.outputCapBytes === undefined ? {} : { outputCapBytes: request.outputCapBytes }),
    ...(request.signal === undefined ? {} : { signal: request.signal }),
  })
  if (group) await endGroup(group)
  if (wrapped.containment !== 'pid-namespace') await endMarked(mark)
  if (result.exitCode !== 0 && result.stderr.startsWith('bwrap: ')) {
    const message = `The sandbox did not start: ${result.stderr.trim().split('\n')[0]}; run \`orch doctor\``
    throw new ExternalError({
      system: 'sandbox',
      kind: /No space left/.test(result.stderr) ? 'disk-full' : 'tool-missing',
      message,
    })
  }
  return result
}

export interface SandboxedGit {
  tree: string
  args: string[]
  /** The mirror's objects, read-only. */
  objects: string
  masked: string[]
  userEnv: NodeJS.ProcessEnv
  env?: Record<string, string>
  writable?: string[]
  input?: string
  okCodes?: number[]
}

/** Runs git in an agent's tree: nothing else is writable, no network, no configuration but the tree's own. Throws ExternalError. */
export async function sandboxedGit(sandbox: Sandbox, what: string, request: SandboxedGit): Promise<ProcessResult> {
  const result = await runSandboxed(sandbox, {
    argv: ['git', ...SAFE_OPTIONS, ...request.args],
    cwd: request.tree,
    env: { ...agentGitEnv(request.userEnv, request.tree), ...request.env },
    writable: [request.tree, ...(request.writable ?? [])],
    readable: [request.objects],
    masked: request.masked,
    network: false,
    timeoutMs: LOCAL_LIMIT_MS,
    outputCapBytes: 64 << 20,
    ...(request.input === undefined ? {} : { input: request.input }),
  })
  if (result.outcome !== 'exited' || !(request.okCodes ?? [0]).includes(result.exitCode ?? -1))
    throw gitError(what, result)
  return result
}

/** Git's environment in an agent's tree. The git directory is named, so that none is looked for elsewhere. */
export function agentGitEnv(userEnv: NodeJS.ProcessEnv, tree: string): Record<string, string> {
  return { ...isolatedGitEnv(userEnv), GIT_DIR: `${tree}/.git`, GIT_WORK_TREE: tree }
}
