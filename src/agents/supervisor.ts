// The supervisor: one small program for each run, in a session of its own, that outlives whoever started it.
// It starts the agent with its output going straight to the run's files, holds the limits, ends the whole tree and
// leaves one whole outcome.json. Invariant: no outcome is written while a process of the run lives.
// The only file beside lib/process.ts that starts a process; it imports nothing that isn't needed for that.

import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, closeSync, constants, fstatSync, ftruncateSync, openSync } from 'node:fs'
import { basename, delimiter, join } from 'node:path'
import { inGroup, makeGroup, placeOfGroup } from '../lib/cgroup.ts'
import { sleep } from '../lib/process.ts'
import { identifyProcess, type ProcessIdentity } from '../lib/process-identity.ts'
import { dropOutcome, leaveOutcome, openOutcome } from './leave-outcome.ts'
import { watchLimits } from './limits-watch.ts'
import { findAgentProcesses, identifyDescendants, killRun, signalProcess } from './process-tree.ts'
import {
  claimWhole,
  markOf,
  type OutcomeRecord,
  findRecord,
  readRecord,
  RUN_MARKER,
  RUN_NAME,
  runFiles,
  type SupervisorRecord,
  type StoredSpec,
  writeWhole,
} from './run-files.ts'

type EndedBy = Exclude<OutcomeRecord['endedBy'], null>

async function supervise(dir: string): Promise<void> {
  const files = runFiles(dir)
  // Deaf to the terminal from the first moment; a stop that comes early is remembered.
  let stopEarly = false
  let stop = (): void => {
    stopEarly = true
  }
  process.on('SIGHUP', () => undefined)
  process.on('SIGTERM', () => stop())
  process.on('SIGINT', () => stop())

  const spec = readRecord(dir, 'spec')
  const identity = identifyProcess(process.pid)
  if (!spec || !identity) throw new Error(`no readable spec.json in ${dir}, or this process can't be identified`)
  const startedAt = Date.now()
  const outcome = openOutcome(files.outcome)
  // Its place is on record before it is made: whoever finds the run lost ends what is in it.
  const place = spec.containment === 'cgroup' ? placeOfGroup(identity) : null
  const claim: SupervisorRecord = { ...identity, startedAt, ...(place ? { group: place } : {}) }
  if (!claimWhole(files.supervisor, JSON.stringify(claim))) {
    // Somebody else supervises this run already.
    dropOutcome(files.outcome, outcome)
    return
  }
  dropEnvironment(files.spec, spec)

  const output = openSync(files.output, 'a', 0o600)
  const stderr = openSync(files.stderr, 'a', 0o600)
  const end = await runAgent({
    spec,
    mark: markOf(dir),
    group: place && makeGroup(place) ? place : undefined,
    files,
    output,
    stderr,
    stopped: () => stopEarly || findRecord(dir, 'stop').is !== 'absent',
    onStop: (handler) => {
      stop = handler
      if (stopEarly) handler()
    },
  })
  const by = end.endedBy === 'cancelled' ? (readRecord(dir, 'stop')?.by ?? 'a signal') : null
  const record: OutcomeRecord = { ...end, by, startedAt, endedAt: Date.now() }
  if (end.endedBy === 'flood') {
    for (const descriptor of [output, stderr])
      if (fstatSync(descriptor).size > spec.logCapBytes) ftruncateSync(descriptor, spec.logCapBytes)
  }
  await leaveOutcome({ path: files.outcome, descriptor: outcome, record, output })
}

interface AgentRun {
  spec: StoredSpec
  /** By which its processes are found. */
  mark: string
  group: string | undefined
  files: ReturnType<typeof runFiles>
  output: number
  stderr: number
  stopped: () => boolean
  onStop: (handler: () => void) => void
}

type AgentEnd = Omit<OutcomeRecord, 'by' | 'startedAt' | 'endedAt'>

/** Runs the agent to its end, by itself or by a limit, and until nothing of its tree is left. */
async function runAgent(run: AgentRun): Promise<AgentEnd> {
  const { spec, mark, group } = run
  if (run.stopped()) return { exitCode: null, signal: null, endedBy: 'cancelled' }
  const started = await startAgent(run)
  if (typeof started === 'string') return { exitCode: null, signal: null, endedBy: null, startError: started }
  const { child, pid } = started
  const strays = new Map<string, ProcessIdentity>()
  let endedBy: EndedBy | null = null
  const end = (why: EndedBy): void => {
    if (endedBy) return
    endedBy = why
    void endTree({ child, pid, spec, mark, group })
  }
  run.onStop(() => end('cancelled'))
  const stopWatching = watchLimits({
    descriptors: [run.output, run.stderr],
    spec,
    onLimit: end,
    onRunaway: () => void endNow({ pid, mark, group }),
    // With neither a namespace nor a group, a process that drops environment and parent can be known only from before.
    onLook: () => {
      if (spec.containment !== 'pid-namespace' && group === undefined)
        for (const found of identifyDescendants(pid)) strays.set(`${found.pid}/${found.startTime}`, found)
    },
  })
  const { exitCode, signal } = await started.exit
  // What can have no group where there was to be one is known by its marker alone.
  const containment = spec.containment === 'cgroup' && group === undefined ? 'marker' : spec.containment
  stopWatching()
  const survivors = await killRun({ mark, root: null, containment, known: [...strays.values()], group })
  return { exitCode, signal, endedBy, ...(survivors.length > 0 ? { survivors: survivors.slice(0, 100) } : {}) }
}

interface StartedAgent {
  child: ChildProcess
  pid: number
  exit: Promise<{ exitCode: number | null; signal: string | null }>
}

/** Starts the agent; a sentence when it can't be started. */
async function startAgent(run: AgentRun): Promise<StartedAgent | string> {
  const { spec, files, output, stderr } = run
  const env = { ...spec.env, [RUN_NAME]: spec.runId, [RUN_MARKER]: run.mark }
  const { file, args } = wrap(spec, run.group)
  let prompt: number | undefined
  try {
    prompt = openSync(files.prompt, 'r')
    const child = spawn(file, args, { cwd: spec.cwd, env, detached: true, stdio: [prompt, output, stderr] })
    const exit = new Promise<{ exitCode: number | null; signal: string | null }>((resolve) => {
      child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }))
    })
    const error = await new Promise<Error | null>((resolve) => {
      child.once('spawn', () => resolve(null))
      child.once('error', resolve)
    })
    if (error || child.pid === undefined)
      return `${spec.file} could not be started in ${spec.cwd}: ${error?.message ?? 'no process'}`
    return { child, pid: child.pid, exit }
  } catch (error) {
    return `${spec.file} could not be started in ${spec.cwd}: ${error instanceof Error ? error.message : String(error)}`
  } finally {
    if (prompt !== undefined) closeSync(prompt)
  }
}

/**
 * Has the kernel end `file` when we die, where the sandbox doesn't see to that itself (bwrap's --die-with-parent does),
 * and starts it in the run's group where there is one.
 */
function wrap(spec: StoredSpec, group: string | undefined): { file: string; args: string[] } {
  const plain = { file: spec.file, args: spec.args }
  if (process.platform !== 'linux' || basename(spec.file) === 'bwrap') return plain
  const path = spec.env['PATH'] ?? ''
  const setpriv = findExecutable('setpriv', '/usr/bin:/bin:/usr/sbin:/sbin')
  const target = spec.file.includes('/') ? spec.file : findExecutable(spec.file, path)
  // Without the program itself the plain start gives the true error.
  if (!target || !isExecutable(target)) return plain
  const tied = [...(setpriv ? [setpriv, '--pdeathsig', 'KILL', '--'] : []), target, ...spec.args]
  const [file = target, ...args] = group === undefined ? tied : inGroup(group, tied)
  return { file, args }
}

function findExecutable(name: string, path: string): string | undefined {
  return path
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

interface Tree {
  child: ChildProcess
  pid: number
  spec: StoredSpec
  mark: string
  group: string | undefined
}

/** SIGTERM to the agent, a grace, then SIGKILL to everything. */
async function endTree({ child, pid, spec, mark, group }: Tree): Promise<void> {
  for (const target of findAgentProcesses(pid)) signalProcess(target, 'SIGTERM')
  const deadline = performance.now() + spec.graceMs
  while (child.exitCode === null && child.signalCode === null) {
    if (performance.now() >= deadline) return endNow({ pid, mark, group })
    await sleep(Math.min(20, Math.max(1, deadline - performance.now())))
  }
}

/** With a namespace the wrapper's end is the end of all; without, the search finds the rest. */
async function endNow({ pid, mark, group }: Pick<Tree, 'pid' | 'mark' | 'group'>): Promise<void> {
  signalProcess(pid, 'SIGKILL')
  await killRun({ mark, root: pid, group })
}

/** The environment may hold keys: once it has served, only its names stay on disk. */
function dropEnvironment(path: string, spec: StoredSpec): void {
  try {
    writeWhole(path, JSON.stringify({ ...spec, env: {}, envNames: Object.keys(spec.env).sort() }))
  } catch (error) {
    console.error(`the environment stays in ${path}: ${String(error)}`)
  }
}

const dir = process.argv[2]
if (!dir) {
  console.error('usage: supervisor RUN-FOLDER')
  process.exit(2)
}
supervise(dir).then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error)
    process.exit(1)
  },
)
