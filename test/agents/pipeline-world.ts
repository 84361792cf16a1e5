// A world of the acceptance suite whose agents are one subject's real CLI, talking to a scripted model on loopback.

import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { RunView, TaskView } from '../../src/flow/app.ts'
import { runProcess } from '../../src/lib/process.ts'
import { commitAndPush, makeWorld, type Orch, type World } from '../acceptance/harness.ts'
import type { Installed } from './install.ts'
import { type ModelServer, startModelServer, USAGE } from './model-server.ts'
import { writeHome } from './site.ts'
import type { Subject } from './subject.ts'

export interface AgentWorld extends World {
  subject: Subject
  server: ModelServer
  /** Adds a task whose body carries the model's script. */
  script(title: string, script: string): Promise<string>
  /** A file of a run, such as `prompt.md`. */
  runFile(runId: string, name: string): string
  /** Whether the sample's own tests pass in a folder. */
  passes(folder: string): Promise<boolean>
  /** Folders of a task that must not outlive it: its places to work and its copies of the person's login. */
  leftOf(id: string): string[]
  /** The command line of a run, with what Orch put around the agent. */
  argvOf(runId: string): string[]
  /** Tokens the model handed out, as far as the subject tells of them. */
  handedOut(): { input: number; output: number }
}

export interface AgentWorldOptions {
  installed: Installed
  subject: Subject
  /** Lines added to the `.orch.yml` that `orch init` wrote. */
  config?: string
  env?: Record<string, string>
}

/** The slowest CLI needs half a minute for a task on a quiet machine. */
const IDLE_LIMIT_MS = 240_000

/** Makes it as a person would: a clone, `orch init`, what that wrote pushed; the CLI named in the person's own config. */
export async function makeAgentWorld({ installed, subject, ...options }: AgentWorldOptions): Promise<AgentWorld> {
  const server = await startModelServer(installed.aimock)
  const world = await makeWorld({ config: null, init: false })
  const place = { url: server.url, home: join(world.dir, 'user') }
  Object.assign(world.env, subject.env(place), options.env)
  writeHome(subject, place)
  const role = subject.model === null ? {} : { model: subject.model }
  const agents = { [subject.adapter.name]: subject.program(installed), developer: role, reviewer: role }
  mkdirSync(world.home, { mode: 0o700 })
  writeFileSync(join(world.home, 'config.yml'), stringify({ agents }))
  const choices = ['--agent', subject.adapter.name, '--approval', 'auto', '--verify', 'sh test.sh', '--prefix', 'CLI']
  await world.ok(['init', '--yes', ...choices])
  appendFileSync(join(world.clone, '.orch.yml'), options.config ?? '')
  await commitAndPush(world, {}, 'Set up Orch')
  const runFile = (runId: string, name: string): string => readFileSync(join(world.home, 'runs', runId, name), 'utf8')
  return {
    ...world,
    subject,
    server,
    script: (title, script) => world.add(title, `Please.\n\n\`\`\`model-script\n${script}\n\`\`\`\n`),
    upUntilIdle: (call = {}): Promise<Orch> => world.upUntilIdle({ timeoutMs: IDLE_LIMIT_MS, ...call }),
    runFile,
    passes: async (folder) =>
      (await runProcess({ argv: ['sh', 'test.sh'], cwd: folder, env: world.env, timeoutMs: 30_000 })).exitCode === 0,
    leftOf: (id) =>
      ['workspaces', 'logins'].map((name) => join(world.home, name, id)).filter((path) => existsSync(path)),
    argvOf: (runId) => (JSON.parse(runFile(runId, 'spec.json')) as { args: string[] }).args,
    handedOut() {
      const { usage } = subject.tells
      const answers = usage === 'none' ? 0 : server.answered() - (usage === 'all' ? 0 : server.asides())
      return { input: answers * USAGE.input_tokens, output: answers * USAGE.output_tokens }
    },
    async close() {
      await world.close().finally(() => server.stop())
    },
  }
}

/** It is done, main holds its merge, and a fresh clone of the remote passes its own tests. Throws else. */
export async function landed(world: AgentWorld, id: string): Promise<TaskView> {
  const task = await world.task(id)
  if (task.status !== 'done' || task.mergedSha === null)
    throw new Error(`${id} is ${task.status}, not done: ${JSON.stringify(task, null, 1)}`)
  const merges = await world.git('log', '--first-parent', '--format=%H', 'main', `--grep=Orch-Task: ${id}`)
  if (merges !== task.mergedSha) throw new Error(`${id} says it landed as ${task.mergedSha}, main has "${merges}"`)
  const fresh = `${world.dir}/fresh-${id}`
  await world.gitIn(world.dir, 'clone', '--quiet', world.remote, fresh)
  if (!(await world.passes(fresh))) throw new Error(`${id} landed, and a fresh clone fails its own tests`)
  return task
}

/** What the runs say was used and cost, summed. All input counts, from a cache or not. */
export function usedOf(task: TaskView): { input: number; output: number; costUsd: number } {
  const sum = (of: (run: RunView) => number): number => task.runs.reduce((total, run) => total + of(run), 0)
  return {
    input: sum(inputOf),
    output: sum((run) => run.usage.output),
    costUsd: sum((run) => run.costUsd ?? 0),
  }
}

export function inputOf({ usage }: RunView): number {
  return usage.input + usage.cacheRead + usage.cacheWrite
}
