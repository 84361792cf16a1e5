// The supervisor: one small program for each run, in a session of its own, that outlives whoever started it.
// It starts the agent with its output going straight to the run's files, holds the limits, ends the whole tree and
// leaves one whole outcome.json. Invariant: no outcome is written while a process of the run lives.
// The only file beside lib/process.ts that starts a process; it imports nothing that isn't needed for that.

import { type ChildProcess, spawn } from 'node:child_process'
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { basename, delimiter, dirname, join } from 'node:path'
import { sleep } from '../lib/process.ts'
import { identifyProcess, type ProcessIdentity } from '../lib/process-identity.ts'
import { findAgentProcesses, identifyDescendants, killRun, signalProcess } from './process-tree.ts'
import {
  claimWhole,
  markOf,
  type OutcomeRecord,
  readRecord,
  RUN_MARKER,
  RUN_NAME,
  runFiles,
  type StopRecord,
  type StoredSpec,
  syncFolder,
  writeWhole,
} from './run-files.ts'

type EndedBy = Exclude<OutcomeRecord['endedBy'], null>

/** A timer can't hold more than 2^31-1 ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1
const SIZE_CHECK_MS = 250
/** Looks this often when the log grows fast enough to pass its cap before the next ordinary look. */
const FAST_SIZE_CHECK_MS = 20
/** An outcome is never longer, so its space is taken while there is some (a full disk must not cost the outcome). */
const OUTCOME_BYTES = 4096
const RETRY_OUTCOME_MS = 1_000

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

  const spec = readRecord<StoredSpec>(files.spec)
  const identity = identifyProcess(process.pid)
  if (!spec || !identity) throw new Error(`no spec.json in ${dir}, or this process can't be identified`)
  const startedAt = Date.now()
  const outcome = openOutcome(files.outcome)
  if (!claimWhole(files.supervisor, JSON.stringify({ ...identity, startedAt }))) {
    // Somebody else supervises this run already.
    closeSync(outcome)
    unlinkSync(`${files.outcome}.${process.pid}.tmp`)
    return
  }
  dropEnvironment(files.spec, spec)

  const output = openSync(files.output, 'a', 0o600)
  const stderr = openSync(files.stderr, 'a', 0o600)
  const end = await runAgent({
    spec,
    mark: markOf(dir),
    files,
    output,
    stderr,
    stopped: () => stopEarly || readRecord<StopRecord>(files.stop) !== null,
    onStop: (handler) => {
      stop = handler
      if (stopEarly) handler()
    },
  })
  const by = end.endedBy === 'cancelled' ? (readRecord<StopRecord>(files.stop)?.by ?? 'a signal') : null
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
  files: ReturnType<typeof runFiles>
  output: number
  stderr: number
  stopped: () => boolean
  onStop: (handler: () => void) => void
}

type AgentEnd = Omit<OutcomeRecord, 'by' | 'startedAt' | 'endedAt'>

/** Runs the agent to its end, by itself or by a limit, and until nothing of its tree is left. */
async function runAgent(run: AgentRun): Promise<AgentEnd> {
  const { spec, mark } = run
  if (run.stopped()) return { exitCode: null, signal: null, endedBy: 'cancelled' }
  const started = await startAgent(run)
  if (typeof started === 'string') return { exitCode: null, signal: null, endedBy: null, startError: started }
  const { child, pid } = started
  const strays = new Map<string, ProcessIdentity>()
  let endedBy: EndedBy | null = null
  const end = (why: EndedBy): void => {
    if (endedBy) return
    endedBy = why
    void endTree({ child, pid, spec, mark })
  }
  run.onStop(() => end('cancelled'))
  const timeLimit = setTimeout(() => end('time-limit'), Math.min(spec.timeLimitMs, LONGEST_TIMER_MS))
  const stopWatching = watchSizes({
    descriptors: [run.output, run.stderr],
    capBytes: spec.logCapBytes,
    onFlood: () => end('flood'),
    // Without a namespace a process that drops its environment and its parent can be known only from before.
    onTick: () => {
      if (spec.containment === 'marker')
        for (const found of identifyDescendants(pid)) strays.set(`${found.pid}/${found.startTime}`, found)
    },
  })
  const { exitCode, signal } = await started.exit
  clearTimeout(timeLimit)
  stopWatching()
  const survivors = await killRun({ mark, root: null, known: [...strays.values()] })
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
  const { file, args } = tieToUs(spec)
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

/** Has the kernel end `file` when we die, where the wrapper doesn't see to that itself (bwrap's --die-with-parent does). */
function tieToUs(spec: StoredSpec): { file: string; args: string[] } {
  const plain = { file: spec.file, args: spec.args }
  if (process.platform !== 'linux' || basename(spec.file) === 'bwrap') return plain
  const path = spec.env['PATH'] ?? ''
  const setpriv = findExecutable('setpriv', '/usr/bin:/bin:/usr/sbin:/sbin')
  const target = spec.file.includes('/') ? spec.file : findExecutable(spec.file, path)
  // Without the program itself the plain start gives the true error.
  if (!setpriv || !target || !isExecutable(target)) return plain
  return { file: setpriv, args: ['--pdeathsig', 'KILL', '--', target, ...spec.args] }
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
}

/** SIGTERM to the agent, a grace, then SIGKILL to everything. */
async function endTree({ child, pid, spec, mark }: Tree): Promise<void> {
  for (const target of findAgentProcesses(pid)) signalProcess(target, 'SIGTERM')
  const deadline = performance.now() + spec.graceMs
  while (child.exitCode === null && child.signalCode === null) {
    if (performance.now() >= deadline) {
      // With a namespace the wrapper's end is the end of all; without, the search finds the rest.
      signalProcess(pid, 'SIGKILL')
      await killRun({ mark, root: pid })
      return
    }
    await sleep(Math.min(20, Math.max(1, deadline - performance.now())))
  }
}

interface SizeWatch {
  descriptors: number[]
  capBytes: number
  onFlood: () => void
  onTick: () => void
}

/** Looks at the logs' sizes, sparsely, and at a running agent. Gives what ends it. */
function watchSizes({ descriptors, capBytes, onFlood, onTick }: SizeWatch): () => void {
  let before = 0
  let timer: NodeJS.Timeout | undefined
  const look = (): void => {
    const size = descriptors.reduce((sum, descriptor) => sum + fstatSync(descriptor).size, 0)
    if (size > capBytes) {
      onFlood()
      return
    }
    onTick()
    const fast = (size - before) * 2 > capBytes - size
    before = size
    timer = setTimeout(look, fast ? FAST_SIZE_CHECK_MS : SIZE_CHECK_MS)
  }
  timer = setTimeout(look, SIZE_CHECK_MS)
  return () => clearTimeout(timer)
}

/** The environment may hold keys: once it has served, only its names stay on disk. */
function dropEnvironment(path: string, spec: StoredSpec): void {
  try {
    writeWhole(path, JSON.stringify({ ...spec, env: {}, envNames: Object.keys(spec.env).sort() }))
  } catch (error) {
    console.error(`the environment stays in ${path}: ${String(error)}`)
  }
}

/** Takes the outcome's space on disk before anything can fill it. */
function openOutcome(path: string): number {
  const descriptor = openSync(`${path}.${process.pid}.tmp`, 'w', 0o600)
  try {
    writeSync(descriptor, Buffer.alloc(OUTCOME_BYTES, ' '))
    fsyncSync(descriptor)
  } catch (error) {
    console.error(`no space reserved for the outcome: ${String(error)}`)
  }
  return descriptor
}

/** Writes the outcome, also on a full disk: into the reserved space, at last at the log's expense, again until it is there. */
async function leaveOutcome(request: {
  path: string
  descriptor: number
  record: OutcomeRecord
  output: number
}): Promise<void> {
  const { path, descriptor, record, output } = request
  const startError = record.startError?.slice(0, 1_000)
  const text = JSON.stringify({ ...record, ...(startError === undefined ? {} : { startError }) })
  for (let attempt = 0; ; attempt += 1) {
    try {
      const length = writeSync(descriptor, text, 0)
      ftruncateSync(descriptor, length)
      fsyncSync(descriptor)
      renameSync(`${path}.${process.pid}.tmp`, path)
      syncFolder(dirname(path))
      return
    } catch (error) {
      console.error(`outcome not written (attempt ${attempt + 1}): ${String(error)}`)
      // Its folder was removed: there is nobody left to tell.
      if (!existsSync(dirname(path))) return
      if (attempt === 3) ftruncateSync(output, Math.floor(fstatSync(output).size / 2))
      await sleep(RETRY_OUTCOME_MS)
    }
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
