// Where a command is tried: a scratch repository with the folders of a run, and the means to start it there as a run would be.

import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ExternalError } from '../lib/errors.ts'
import { runProcess, sleep } from '../lib/process.ts'
import type { Sandbox } from '../workspace/workspace.ts'
import type { AcpLeave } from './acp-permissions.ts'
import type { AgentAdapter, AgentCommand } from './agent.ts'
import { lendCredentials, takeBackCredentials, writeSettings } from './credentials.ts'
import { findRunProcesses, killRun } from './process-tree.ts'
import { markOf, RUN_MARKER } from './run-files.ts'

/** A killed namespace's processes are gone a moment after its first one. */
const KERNEL_PATIENCE_MS = 3_000
const GIT_LIMIT_MS = 30_000
const WHO = { name: 'Orch conformance', email: 'conformance@localhost' }

export interface SiteDeps {
  /** The user's. */
  env: NodeJS.ProcessEnv
  sandbox: Sandbox
  /** The environment of a run in these folders, before its adapter adds to it. */
  environment(runtimeDir: string, workspace: string): Record<string, string>
}

export interface Site {
  /** Aborted: nothing more is begun here, and what is under way ends. */
  signal: AbortSignal
  workspace: string
  handoff: string
  leave: AcpLeave
  /** How the command is started, as it would be in a run. */
  start: { argv: [string, ...string[]]; env: Record<string, string> }
  /** The same without a login: no key, an empty home. */
  stranger: { argv: [string, ...string[]]; env: Record<string, string> }
  /** Plain git in the scratch repository; null when it failed. */
  git(...args: string[]): Promise<string | null>
  /** Ends what is left of all that was started, and remembers after what there was something. */
  sweep(after: string): Promise<void>
  /** What sweeps have found: "3 after the work". */
  left: string[]
  /** Gives back what was lent, and removes everything. */
  close(): Promise<void>
}

/** Makes a site for one command. Throws when git can't make the repository. */
export async function makeSite(
  deps: SiteDeps,
  { adapter, command, path, signal }: { adapter: AgentAdapter; command: string; path: string; signal: AbortSignal },
): Promise<Site> {
  const dir = await realpath(await mkdtemp(join(tmpdir(), 'orch-conformance-')))
  const names = ['workspace', 'runtime', 'handoff', 'config', 'stranger'] as const
  const [workspace, runtime, handoff, config, stranger] = names.map((name) => join(dir, name)) as [
    string,
    string,
    string,
    string,
    string,
  ]
  for (const folder of [workspace, runtime, handoff, config, stranger]) await mkdir(folder, { mode: 0o700 })
  const base = await baseOf(deps, { runtime, workspace })
  const sandboxed = deps.sandbox.means.kind === 'bubblewrap'
  const writable = [workspace, runtime, handoff]
  const commandOf = (configDir: string, env: NodeJS.ProcessEnv): AgentCommand =>
    adapter.command({
      program: { command },
      path,
      model: null,
      effort: null,
      resume: null,
      configDir,
      sandboxed,
      writable: [...writable, configDir],
      env,
    })
  const startOf = (configDir: string, lent: AgentCommand): Site['start'] => {
    const wrapped = deps.sandbox.wrap({
      argv: argvOf(lent),
      cwd: workspace,
      env: { ...base, ...lent.env, ORCH_HANDOFF: handoff, [RUN_MARKER]: markOf(dir) },
      writable: [...writable, configDir],
      readable: lent.reads,
      network: true,
    })
    return { argv: [wrapped.file, ...wrapped.args], env: wrapped.env }
  }
  const own = commandOf(config, deps.env)
  await lendCredentials(own.credentials, config)
  await writeSettings(own.files ?? [], config)
  // Programs are still found; who pays is not.
  const nobody = commandOf(stranger, { PATH: deps.env['PATH'], HOME: join(stranger, 'home') })
  await writeSettings(nobody.files ?? [], stranger)
  const git = async (...args: string[]): Promise<string | null> => {
    const result = await runProcess({ argv: ['git', ...args], cwd: workspace, env: base, timeoutMs: GIT_LIMIT_MS })
    return result.outcome === 'exited' && result.exitCode === 0 ? result.stdout.trim() : null
  }
  const site: Site = {
    signal,
    workspace,
    handoff,
    leave: { sandboxed, cwd: workspace, places: [workspace, handoff, runtime] },
    start: startOf(config, own),
    stranger: startOf(stranger, nobody),
    git,
    left: [],
    async sweep(after) {
      const count = await sweep(markOf(dir))
      if (count > 0) site.left.push(`${count} ${after}`)
    },
    async close() {
      await sweep(markOf(dir))
      await takeBackCredentials(own.credentials, config)
      await rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
    },
  }
  const made = (await git('init', '--quiet', '--initial-branch=main')) ?? null
  if (made === null || (await git('commit', '--quiet', '--allow-empty', '-m', 'Start')) === null) {
    await site.close()
    const message = `git could not make a scratch repository in ${workspace}; see \`orch doctor\``
    throw new ExternalError({ system: 'git', kind: 'tool-missing', message })
  }
  return site
}

async function baseOf(deps: SiteDeps, at: { runtime: string; workspace: string }): Promise<Record<string, string>> {
  const base = {
    ...deps.environment(at.runtime, at.workspace),
    GIT_AUTHOR_NAME: WHO.name,
    GIT_AUTHOR_EMAIL: WHO.email,
    GIT_COMMITTER_NAME: WHO.name,
    GIT_COMMITTER_EMAIL: WHO.email,
  }
  for (const name of ['HOME', 'TMPDIR', 'XDG_CACHE_HOME', 'XDG_CONFIG_HOME', 'XDG_DATA_HOME', 'XDG_STATE_HOME'])
    if (name in base) await mkdir(base[name as keyof typeof base], { recursive: true, mode: 0o700 })
  return base
}

/** What a run would start, without the program of ours that has the conversation. */
function argvOf({ file, args }: AgentCommand): string[] {
  const at = args.indexOf('--')
  return at < 0 ? [file, ...args] : args.slice(at + 1)
}

async function sweep(mark: string): Promise<number> {
  const deadline = performance.now() + KERNEL_PATIENCE_MS
  let left = await findRunProcesses(mark, null)
  while (left.length > 0 && performance.now() < deadline) {
    await sleep(20)
    left = await findRunProcesses(mark, null)
  }
  if (left.length > 0) await killRun({ mark, root: null })
  return left.length
}
