// The world of one acceptance test: a folder with a bare remote, a clone of it and an ORCH_HOME, and the real program
// run on them from outside. What came out is asked of plain git; Orch's own word is only what a person would read.
// Invariant: only processes that a test started are ended, and none of a world's runs outlives it.

import { type ChildProcess, spawn } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import type { TaskView, WhyView } from '../../src/flow/app.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const BIN = join(ROOT, 'node_modules', '.bin')
const NODE = join(BIN, 'node')
const LAUNCHER = join(ROOT, 'bin', 'orch.js')
const AGENT = join(import.meta.dirname, 'agents', 'worker.mjs')

export interface Ended {
  code: number | null
  signal: string | null
  stdout: string
  stderr: string
}

export interface Orch extends Ended {
  /** stdout as one JSON value. */
  json<T>(): T
  /** stdout as one JSON value a line. */
  events(): JournalLine[]
}

export interface JournalLine {
  seq: number
  at: string
  task: string
  type: string
  data: Record<string, unknown>
}

export interface CallOptions {
  env?: Record<string, string>
  input?: string
  cwd?: string
  timeoutMs?: number
}

/** A program that goes on beside the test. */
export interface Live {
  pid: number
  stdout(): string
  stderr(): string
  /** Resolves when the text has come out (stdout and stderr together). */
  says(text: string | RegExp, timeoutMs?: number): Promise<void>
  kill(signal: NodeJS.Signals): void
  ended: Promise<Orch>
}

export interface World {
  dir: string
  home: string
  clone: string
  remote: string
  /** Readable for agents also in a sandbox: a file made here is a sign to them. */
  signals: string
  env: Record<string, string>
  orch(args: string[], options?: CallOptions): Promise<Orch>
  /** The same, which must end with 0. */
  ok(args: string[], options?: CallOptions): Promise<Orch>
  start(args: string[], options?: CallOptions): Live
  add(title: string, body?: string, args?: string[]): Promise<string>
  task(id: string): Promise<TaskView>
  why(id: string): Promise<WhyView>
  journal(id: string): Promise<JournalLine[]>
  /** `up --until-idle --json`, which must end with 0. */
  upUntilIdle(options?: CallOptions & { timerWait?: string }): Promise<Orch>
  until(id: string, what: (task: TaskView) => boolean, timeoutMs?: number): Promise<TaskView>
  sign(name: string): void
  /** Plain git in the bare remote; stdout without its last line break. */
  git(...args: string[]): Promise<string>
  gitIn(cwd: string, ...args: string[]): Promise<string>
  /** Ends what is left, asserts that no run of this world lives and that Orch logged no fault of its own, removes the folder. */
  close(): Promise<void>
}

export interface WorldOptions {
  /** Lines added to `.orch.yml`; null leaves the file away. */
  config?: string | null
  approval?: 'auto' | 'human'
  verify?: string
  files?: Record<string, string>
  env?: Record<string, string>
  /** False: neither registered nor initialised. */
  init?: boolean
}

/** Every file under `parts` must be ok; the numbers must not add up to more than ten. */
const FILES: Record<string, string> = {
  'README.md': '# Sample\n',
  'package.json': `${JSON.stringify({ name: 'sample', version: '1.0.0', private: true, scripts: { test: 'sh test.sh' } }, null, 2)}\n`,
  'test.sh': 'set -e\nfor check in test/*.sh; do sh "$check"; done\necho "all checks passed"\n',
  'test/parts.sh':
    'for part in parts/*; do\n  grep -qx ok "$part" || { echo "FAIL: $part does not say ok"; exit 1; }\ndone\n',
  'test/sum.sh':
    'sum=0\nfor n in numbers/*; do sum=$((sum + $(cat "$n"))); done\n[ "$sum" -le 10 ] || { echo "FAIL: the sum is $sum, at most 10"; exit 1; }\n',
  'parts/first': 'ok\n',
  'numbers/zero': '0\n',
  'shared.txt': 'one\ntwo\nthree\n',
}

/** Makes the folder, the remote with a first commit, the clone, and (unless told not to) registers it with prefix T. */
export async function makeWorld(options: WorldOptions = {}): Promise<World> {
  // Sockets and links of the temp folder itself are not what is tested: its real path.
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'orch-acceptance-')))
  const world = worldIn(dir, options.env ?? {})
  for (const folder of ['user', 'signals', 'tmp']) mkdirSync(join(dir, folder))
  await world.gitIn(dir, 'init', '--quiet', '--bare', '--initial-branch=main', world.remote)
  await world.gitIn(dir, 'init', '--quiet', '--initial-branch=main', world.clone)
  for (const [key, value] of [
    ['user.name', 'Ann Example'],
    ['user.email', 'ann@example.com'],
  ] as const)
    await world.gitIn(world.clone, 'config', key, value)
  await world.gitIn(world.clone, 'remote', 'add', 'origin', world.remote)
  const config = configText(world, options)
  await commitAndPush(
    world,
    { ...FILES, ...(config === null ? {} : { '.orch.yml': config }), ...options.files },
    'A small sample',
  )
  await world.gitIn(world.clone, 'remote', 'set-head', 'origin', 'main')
  if (options.init !== false) await world.ok(['init', '--yes', '--prefix', 'T'])
  return world
}

/** Writes files into the clone, commits and pushes them to main; a null file is removed. */
export async function commitAndPush(
  world: World,
  files: Record<string, string | null>,
  message: string,
): Promise<void> {
  if (existsSync(join(world.clone, 'README.md')))
    await world.gitIn(world.clone, 'pull', '--quiet', '--ff-only', 'origin', 'main')
  for (const [path, text] of Object.entries(files)) {
    const file = join(world.clone, path)
    mkdirSync(dirname(file), { recursive: true })
    if (text === null) rmSync(file)
    else writeFileSync(file, text)
  }
  await world.gitIn(world.clone, 'add', '--all')
  await world.gitIn(world.clone, 'commit', '--quiet', '-m', message)
  await world.gitIn(world.clone, 'push', '--quiet', '--set-upstream', 'origin', 'main')
}

/** The shell command by which the `command` agent starts one of the programs beside this file. */
export function agentCommand(file = AGENT): string {
  return `${NODE} ${file}`
}

function configText(world: World, options: WorldOptions): string | null {
  if (options.config === null) return null
  return [
    'agents:',
    '  developer: { agent: command }',
    '  reviewer: { agent: command }',
    `  command: { command: ${JSON.stringify(agentCommand())} }`,
    `verify: ${options.verify ?? '["sh test.sh"]'}`,
    `approval: ${options.approval ?? 'auto'}`,
    `sandbox: { read: [${JSON.stringify(world.signals)}] }`,
    `env: { set: { SIGNALS: ${JSON.stringify(world.signals)} } }`,
    options.config ?? '',
    '',
  ].join('\n')
}

function worldIn(dir: string, extra: Record<string, string>): World {
  const at = (name: string): string => join(dir, name)
  const env = environment(dir, extra)
  const started = new Set<ChildProcess>()
  const launch = (argv: string[], call: CallOptions): Running =>
    run(argv, { cwd: call.cwd ?? at('clone'), env: { ...env, ...call.env }, input: call.input, started })

  async function orch(args: string[], options: CallOptions = {}): Promise<Orch> {
    const running = launch([NODE, LAUNCHER, ...args], options)
    const timer = setTimeout(() => running.child.kill('SIGKILL'), options.timeoutMs ?? 60_000)
    return running.ended.finally(() => clearTimeout(timer))
  }

  async function ok(args: string[], options?: CallOptions): Promise<Orch> {
    const result = await orch(args, options)
    if (result.code !== 0)
      throw new Error(
        `orch ${args.join(' ')} ended with ${result.code ?? result.signal}\n${result.stdout.slice(-4_000)}\n${result.stderr.slice(-4_000)}${logOf(dir)}`,
      )
    return result
  }

  async function gitIn(cwd: string, ...args: string[]): Promise<string> {
    const result = await launch(['git', ...args], { cwd }).ended
    if (result.code !== 0)
      throw new Error(`git ${args.join(' ')} in ${cwd} ended with ${result.code}: ${result.stderr}`)
    return result.stdout.replace(/\n$/, '')
  }

  async function until(id: string, what: (task: TaskView) => boolean, timeoutMs = 30_000): Promise<TaskView> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      const task = await world.task(id)
      if (what(task)) return task
      if (performance.now() > deadline)
        throw new Error(`${id} did not get there in ${timeoutMs} ms: ${JSON.stringify(task, null, 1)}${logOf(dir)}`)
      await sleep(250)
    }
  }

  const world: World = {
    dir,
    home: at('home'),
    clone: at('clone'),
    remote: at('remote.git'),
    signals: at('signals'),
    env,
    orch,
    ok,
    gitIn,
    until,
    start: (args, options = {}) => live(launch([NODE, LAUNCHER, ...args], options)),
    add: async (title, body = '', args = []) =>
      (await ok(['task', 'add', title, '--body', body, '--json', ...args])).json<TaskView>().id,
    task: async (id) => (await ok(['task', 'show', id, '--json'])).json<TaskView>(),
    why: async (id) => (await ok(['why', id, '--json'])).json<WhyView>(),
    journal: async (id) => (await ok(['task', 'events', id, '--json'])).json<JournalLine[]>(),
    upUntilIdle: ({ timerWait = '1s', ...options } = {}) =>
      ok(['up', '--until-idle', '--timer-wait', timerWait, '--json'], options),
    sign: (name) => writeFileSync(join(at('signals'), name), ''),
    git: (...args) => gitIn(at('remote.git'), ...args),
    async close() {
      for (const child of started) child.kill('SIGKILL')
      const left = await untilNobody(dir)
      for (const one of left) endProcess(one.pid)
      if (left.length > 0) await untilNobody(dir)
      const faults = logOf(dir)
      makeWritable(dir)
      rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
      if (left.length > 0) throw new Error(`processes of this world were left: ${JSON.stringify(left)}`)
      if (faults !== '') throw new Error(`Orch logged faults of its own: ${faults}`)
    },
  }
  return world
}

function environment(dir: string, extra: Record<string, string>): Record<string, string> {
  const { PATH = '/usr/bin:/bin', ORCH_SANDBOX } = process.env
  return {
    PATH: [BIN, ...PATH.split(delimiter).filter((entry) => entry !== BIN)].join(delimiter),
    HOME: join(dir, 'user'),
    TMPDIR: join(dir, 'tmp'),
    ORCH_HOME: join(dir, 'home'),
    USER: 'ann',
    LC_ALL: 'C',
    // What a test starts is a test, too: it writes to no vendor of the real world.
    VITEST: 'true',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    // Hundreds of short processes compile the same files: Node's own cache of them.
    NODE_COMPILE_CACHE: join(tmpdir(), `orch-acceptance-cache-${process.getuid?.() ?? 0}`),
    ...(ORCH_SANDBOX ? { ORCH_SANDBOX } : {}),
    ...extra,
  }
}

interface Running {
  child: ChildProcess
  out: { stdout: string; stderr: string }
  ended: Promise<Orch>
}

function run(
  argv: string[],
  at: { cwd: string; env: Record<string, string>; input: string | undefined; started: Set<ChildProcess> },
): Running {
  const [file = '', ...args] = argv
  const child = spawn(file, args, { cwd: at.cwd, env: at.env, stdio: ['pipe', 'pipe', 'pipe'] })
  at.started.add(child)
  const out = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (out.stderr += text))
  child.stdin.on('error', () => undefined)
  child.stdin.end(at.input ?? '')
  const ended = new Promise<Orch>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      at.started.delete(child)
      const { stdout, stderr } = out
      resolve({
        code,
        signal,
        stdout,
        stderr,
        json: () => JSON.parse(stdout),
        events: () =>
          stdout
            .split('\n')
            .filter(Boolean)
            .map((line) => JSON.parse(line) as JournalLine),
      })
    })
  })
  return { child, out, ended }
}

function live({ child, out, ended }: Running): Live {
  return {
    pid: child.pid ?? 0,
    stdout: () => out.stdout,
    stderr: () => out.stderr,
    ended,
    kill: (signal) => child.kill(signal),
    async says(text, timeoutMs = 30_000) {
      const deadline = performance.now() + timeoutMs
      const said = (): boolean =>
        typeof text === 'string'
          ? `${out.stdout}\n${out.stderr}`.includes(text)
          : text.test(`${out.stdout}\n${out.stderr}`)
      while (!said()) {
        if (performance.now() > deadline || child.exitCode !== null)
          throw new Error(`it did not say ${text}:\n${out.stdout}\n${out.stderr}`)
        await sleep(5)
      }
    },
  }
}

/** Live processes whose command or environment names the folder. */
export function processesOf(dir: string): { pid: number; command: string }[] {
  if (!existsSync('/proc')) return []
  return readdirSync('/proc').flatMap((entry) => {
    const pid = Number(entry)
    if (!Number.isInteger(pid) || pid === process.pid) return []
    const read = (name: string): string => {
      try {
        return readFileSync(`/proc/${pid}/${name}`, 'latin1')
      } catch {
        return ''
      }
    }
    const command = read('cmdline')
    if (!command.includes(dir) && !read('environ').includes(dir)) return []
    return /^State:\s*[ZX]/m.test(read('status')) ? [] : [{ pid, command: command.replaceAll('\0', ' ').slice(0, 300) }]
  })
}

async function untilNobody(dir: string): Promise<{ pid: number; command: string }[]> {
  const deadline = performance.now() + 5_000
  let left = processesOf(dir)
  while (left.length > 0 && performance.now() < deadline) {
    await sleep(50)
    left = processesOf(dir)
  }
  return left
}

export function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It went by itself meanwhile.
  }
}

/** Orch keeps some folders read-only; an ordinary user could not remove what is in them. */
function makeWritable(dir: string): void {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue
    chmodSync(join(dir, entry.name), 0o700)
    makeWritable(join(dir, entry.name))
  }
}

function logOf(dir: string): string {
  try {
    return `\norch.log: ${readFileSync(join(dir, 'home', 'orch.log'), 'utf8').slice(-4_000)}`
  } catch {
    return ''
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
