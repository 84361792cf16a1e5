// A world of the acceptance suite whose agents are the real Claude Code CLI, talking to a scripted model on loopback.

import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RunView, TaskView } from '../../src/flow/app.ts'
import { runProcess } from '../../src/lib/process.ts'
import { commitAndPush, makeWorld, type World } from '../acceptance/harness.ts'
import type { Installed } from './install.ts'
import { type ModelServer, startModelServer, USAGE } from './model-server.ts'

export interface ClaudeWorld extends World {
  server: ModelServer
  /** Adds a task whose body carries the model's script. */
  script(title: string, script: string): Promise<string>
  /** A file of a run, such as `prompt.md`. */
  runFile(runId: string, name: string): string
  /** Whether the sample's own tests pass in a folder. */
  passes(folder: string): Promise<boolean>
  /** Folders of a task that must not outlive it: its places to work and its copies of the person's login. */
  leftOf(id: string): string[]
  /** The claude command line of a run, without what Orch put around it. */
  argvOf(runId: string): string[]
}

export interface ClaudeWorldOptions {
  installed: Installed
  /** Lines added to the `.orch.yml` that `orch init` wrote. */
  config?: string
  env?: Record<string, string>
  /** How claude is logged in: a key in the environment, or what its own login leaves in the home folder. */
  login?: 'key' | 'file'
}

/** The login file as `claude` itself writes it; the token means something to the scripted model only. */
const LOGIN = {
  claudeAiOauth: {
    accessToken: 'sk-ant-oat01-scripted',
    refreshToken: 'sk-ant-ort01-scripted',
    expiresAt: Date.parse('2100-01-01'),
    scopes: ['user:inference', 'user:profile'],
    subscriptionType: 'max',
  },
}

/** Makes it as a person would: a clone, `orch init`, what that wrote pushed; the CLI named in the person's own config. */
export async function makeClaudeWorld(options: ClaudeWorldOptions): Promise<ClaudeWorld> {
  const { installed, login = 'key' } = options
  const server = await startModelServer(installed.aimock)
  const env = {
    ANTHROPIC_BASE_URL: server.url,
    // One repeat by the CLI itself: what is tested is what Orch does afterwards.
    CLAUDE_CODE_MAX_RETRIES: '1',
    ...(login === 'key' ? { ANTHROPIC_API_KEY: 'test' } : {}),
    ...options.env,
  }
  const world = await makeWorld({ config: null, init: false, env })
  if (login === 'file') {
    mkdirSync(join(world.dir, 'user', '.claude'))
    writeFileSync(join(world.dir, 'user', '.claude', '.credentials.json'), JSON.stringify(LOGIN), { mode: 0o600 })
  }
  mkdirSync(world.home, { mode: 0o700 })
  writeFileSync(join(world.home, 'config.yml'), `agents: { claude: { bin: ${JSON.stringify(installed.claude)} } }\n`)
  const choices = ['--agent', 'claude', '--approval', 'auto', '--verify', 'sh test.sh', '--prefix', 'CLI']
  await world.ok(['init', '--yes', ...choices])
  appendFileSync(join(world.clone, '.orch.yml'), options.config ?? '')
  await commitAndPush(world, {}, 'Set up Orch')
  const runFile = (runId: string, name: string): string => readFileSync(join(world.home, 'runs', runId, name), 'utf8')
  return {
    ...world,
    server,
    script: (title, script) => world.add(title, `Please.\n\n\`\`\`model-script\n${script}\n\`\`\`\n`),
    runFile,
    passes: async (folder) =>
      (await runProcess({ argv: ['sh', 'test.sh'], cwd: folder, env: world.env, timeoutMs: 30_000 })).exitCode === 0,
    leftOf: (id) =>
      ['workspaces', 'logins'].map((name) => join(world.home, name, id)).filter((path) => existsSync(path)),
    argvOf(runId) {
      const { args } = JSON.parse(runFile(runId, 'spec.json')) as { args: string[] }
      return args.slice(args.indexOf(installed.claude) + 1)
    },
    async close() {
      await world.close().finally(() => server.stop())
    },
  }
}

/** What the runs and the task say was used is what the model handed out, each answer once. */
export function usedOf(task: TaskView): {
  runs: { input: number; output: number; costUsd: number }
  task: TaskView['tokens']
} {
  const sum = (of: (run: RunView) => number): number => task.runs.reduce((total, run) => total + of(run), 0)
  return {
    runs: {
      input: sum((run) => run.usage.input),
      output: sum((run) => run.usage.output),
      costUsd: sum((run) => run.costUsd ?? 0),
    },
    task: task.tokens,
  }
}

/** Tokens the model handed out. */
export function handedOut(server: ModelServer): { input: number; output: number } {
  return { input: server.answered() * USAGE.input_tokens, output: server.answered() * USAGE.output_tokens }
}
