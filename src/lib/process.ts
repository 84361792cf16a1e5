// The only place that starts processes. Every one has a time limit, an output cap and an explicit environment,
// runs in a process group of its own and is ended as a group: SIGTERM, grace, SIGKILL.

import { type ChildProcess, spawn } from 'node:child_process'

export interface ProcessRequest {
  argv: readonly [string, ...string[]]
  cwd?: string
  /** The complete environment; nothing is inherited. */
  env: Record<string, string>
  input?: string | Uint8Array
  timeoutMs: number
  /** Between SIGTERM and SIGKILL. Default 2,000. */
  graceMs?: number
  /** Kept bytes of each stream; past it the middle is dropped, the process goes on. Default 4 MiB. */
  outputCapBytes?: number
  signal?: AbortSignal
}

/** One shape for every end, a failed start included. Never thrown. */
export interface ProcessResult {
  outcome: 'exited' | 'timed-out' | 'cancelled' | 'killed' | 'could-not-start'
  exitCode: number | null
  signal: string | null
  stdout: string
  stderr: string
  /** True when output was dropped. */
  truncated: boolean
  durationMs: number
}

/** How long after the exit its pipes may stay open: a grandchild that holds them must not hang us. */
const DRAIN_MS = 500

/** Runs a command to its end. */
export function runProcess(request: ProcessRequest): Promise<ProcessResult> {
  const startedAt = performance.now()
  const stdout = makeSink(request.outputCapBytes ?? 4 << 20)
  const stderr = makeSink(request.outputCapBytes ?? 4 << 20)
  return new Promise((resolve) => {
    const [file, ...args] = request.argv
    let ended: ProcessResult['outcome'] | undefined
    let finished = false
    let drainTimer: NodeJS.Timeout | undefined
    const finish = (exitCode: number | null, signal: string | null, startError?: Error): void => {
      if (finished) return
      finished = true
      clearTimeout(timer)
      clearTimeout(drainTimer)
      request.signal?.removeEventListener('abort', onAbort)
      const outcome = startError ? 'could-not-start' : (ended ?? (signal ? 'killed' : 'exited'))
      resolve({
        outcome,
        exitCode,
        signal,
        stdout: stdout.text(),
        stderr: startError ? startError.message : stderr.text(),
        truncated: stdout.dropped() || stderr.dropped(),
        durationMs: performance.now() - startedAt,
      })
    }
    let child: ChildProcess
    const end = (why: 'timed-out' | 'cancelled'): void => {
      if (ended) return
      ended = why
      void endGroup(child, request.graceMs ?? 2_000)
    }
    const onAbort = (): void => end('cancelled')
    const timer = setTimeout(() => end('timed-out'), request.timeoutMs)
    try {
      child = spawn(file, args, {
        cwd: request.cwd,
        env: request.env,
        detached: true,
        stdio: [request.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      })
    } catch (error) {
      finish(null, null, error as Error)
      return
    }
    child.stdout?.on('data', stdout.push)
    child.stderr?.on('data', stderr.push)
    // A command that ends before reading its input breaks the pipe; its exit code tells the story.
    child.stdin?.on('error', () => undefined)
    if (request.input !== undefined) child.stdin?.end(request.input)
    child.on('error', (error) => finish(null, null, error))
    child.on('close', (code, signal) => finish(code, signal))
    child.on('exit', (code, signal) => {
      drainTimer = setTimeout(() => {
        child.stdout?.destroy()
        child.stderr?.destroy()
        finish(code, signal)
      }, DRAIN_MS)
    })
    request.signal?.addEventListener('abort', onAbort)
    if (request.signal?.aborted) onAbort()
  })
}

/** Ends a child's whole group: SIGTERM, then SIGKILL after the grace. Resolves when it was signalled for the last time. */
async function endGroup(child: ChildProcess, graceMs: number): Promise<void> {
  signalGroup(child.pid, 'SIGTERM')
  const deadline = performance.now() + graceMs
  while (performance.now() < deadline && child.exitCode === null && child.signalCode === null) await sleep(20)
  signalGroup(child.pid, 'SIGKILL')
}

/** Signals a process group; false when nothing of it is left. */
export function signalGroup(pid: number | undefined, signal: NodeJS.Signals): boolean {
  if (!pid) return false
  try {
    process.kill(-pid, signal)
    return true
  } catch {
    return false
  }
}

/** Starts a process that outlives this one: own session, streams to the given descriptors. Throws when it can't start. */
export function startDetached(request: {
  argv: readonly [string, ...string[]]
  cwd: string
  env: Record<string, string>
  stdout: number
  stderr: number
}): Promise<number> {
  const [file, ...args] = request.argv
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd: request.cwd,
      env: request.env,
      detached: true,
      stdio: ['ignore', request.stdout, request.stderr],
    })
    child.once('error', reject)
    child.once('spawn', () => {
      child.unref()
      resolve(child.pid ?? 0)
    })
  })
}

/** Keeps the first and the last half of what may be kept: errors stand at both ends. */
function makeSink(capBytes: number): { push: (chunk: Buffer) => void; text: () => string; dropped: () => boolean } {
  const head: Buffer[] = []
  let tail: Buffer[] = []
  let headBytes = 0
  let tailBytes = 0
  let droppedBytes = 0
  const half = Math.floor(capBytes / 2)
  const push = (chunk: Buffer): void => {
    if (headBytes < half) {
      const part = chunk.subarray(0, half - headBytes)
      head.push(part)
      headBytes += part.length
      if (part.length === chunk.length) return
      chunk = chunk.subarray(part.length)
    }
    tail.push(chunk)
    tailBytes += chunk.length
    if (tailBytes > half * 2) {
      const joined = Buffer.concat(tail)
      droppedBytes += joined.length - half
      tail = [joined.subarray(joined.length - half)]
      tailBytes = half
    }
  }
  const text = (): string => {
    let end = Buffer.concat(tail)
    let dropped = droppedBytes
    if (end.length > half) {
      dropped += end.length - half
      end = end.subarray(end.length - half)
    }
    // Joined as bytes: the two parts may meet inside one character.
    if (dropped === 0) return Buffer.concat([...head, end]).toString('utf8')
    return `${Buffer.concat(head).toString('utf8')}\n[… ${dropped} bytes left out …]\n${end.toString('utf8')}`
  }
  return { push, text, dropped: () => droppedBytes > 0 || tailBytes > half }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
