// The only place that starts processes. Every one has a time limit, an output cap and an explicit environment,
// runs in a process group of its own and is ended as a group: SIGTERM, grace, SIGKILL. One that is talked to is ended by
// whoever talks to it, and nothing of its output is kept.

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { Socket } from 'node:net'

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

/**
 * Hands the terminal to a program that a person drives, such as a pager, and gives it a text to read. No time limit:
 * the person ends it. Resolves with its exit code; null when it could not be started or was killed.
 */
export function runOnTerminal(request: {
  argv: readonly [string, ...string[]]
  env: Record<string, string>
  input: string
}): Promise<number | null> {
  const [file, ...args] = request.argv
  return new Promise((resolve) => {
    const child = spawn(file, args, { env: request.env, stdio: ['pipe', 'inherit', 'inherit'] })
    child.on('error', () => resolve(null))
    child.on('close', resolve)
    // Left before the end of the text.
    child.stdin.on('error', () => undefined)
    child.stdin.end(request.input)
  })
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

/** Starts processes that outlive this one, each with one argument of its own. */
export interface Starter {
  /** Gives the pid once it was forked. `cwd` becomes its folder and its argument; both streams are appended to `log`. */
  start(request: { cwd: string; log: string }): Promise<number>
}

/**
 * Reads folders and logs in turn, starts the command in a session of its own for each, and says its pid (a shell
 * reaps what has ended whenever it forks). Nothing is expanded: both are only ever used in quotes.
 */
const STARTER_SCRIPT = `while IFS= read -r cwd && IFS= read -r log; do
  (cd "$cwd" && exec setsid "$@" "$cwd" </dev/null >>"$log" 2>&1) &
  echo $!
done`

/**
 * A starter that forks in a small shell: a fork copies the page tables of who forks, and the loop stands still for it
 * (about 20 ms in a process of 800 MB). Null where there is no setsid. The shell is started now, while we are small,
 * again when it was killed, and it ends with us. A start that was under way when the shell died is asked again: the
 * command itself must see to it that two of it on one folder are as good as one.
 */
export function makeStarter(argv: readonly [string, ...string[]], env: Record<string, string>): Starter | null {
  if (!['/usr/bin/setsid', '/bin/setsid'].some((path) => existsSync(path))) return null
  let shell = openStarterShell(argv, env)
  return {
    async start({ cwd, log }) {
      if (/[\r\n]/.test(cwd + log)) throw new Error(`a folder with a line break in its name can't be worked in: ${cwd}`)
      const asked = shell
      const question = `${cwd}\n${log}\n`
      return asked.ask(question).catch(() => {
        if (shell === asked) shell = openStarterShell(argv, env)
        return shell.ask(question)
      })
    },
  }
}

function openStarterShell(argv: readonly [string, ...string[]], env: Record<string, string>) {
  const child = spawn('/bin/sh', ['-c', STARTER_SCRIPT, 'sh', ...argv], {
    env,
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const waiting: { resolve: (pid: number) => void; reject: (error: Error) => void }[] = []
  let said = ''
  let over: Error | null = null
  // Only a question that waits for its answer keeps this process alive.
  const hold = (held: boolean): void => {
    // Without a free descriptor there is no child, and nothing of one.
    for (const handle of [child, child.stdin as Socket | undefined, child.stdout as Socket | undefined])
      if (held) handle?.ref()
      else handle?.unref()
  }
  const end = (error: Error): void => {
    over ??= error
    for (const one of waiting.splice(0)) one.reject(error)
    hold(false)
  }
  child.on('error', end)
  child.on('close', () => end(new Error('the shell that starts runs has ended')))
  child.stdin?.on('error', () => undefined)
  child.stdout?.on('data', (chunk: Buffer) => {
    const lines = (said + chunk.toString('latin1')).split('\n')
    said = lines.pop() ?? ''
    for (const line of lines) waiting.shift()?.resolve(Number(line))
    if (waiting.length === 0) hold(false)
  })
  hold(false)
  return {
    ask: (question: string): Promise<number> =>
      new Promise((resolve, reject) => {
        if (over || !child.stdin?.writable) {
          reject(over ?? new Error('the shell that starts runs could not be started'))
          return
        }
        hold(true)
        waiting.push({ resolve, reject })
        child.stdin.write(question)
      }),
  }
}

/** A process that is talked to. Whoever holds it ends it; it has no time limit of its own. */
export interface PipedProcess {
  pid: number
  /** False when its input is closed or broken: nothing more gets through. */
  write(text: string): boolean
  closeInput(): void
  /** Resolves at its end, when all it had written was handed over. Never rejects. */
  exited: Promise<{ exitCode: number | null; signal: string | null }>
  /** What it wrote to stderr, when that is kept: both ends, as of runProcess. */
  stderr(): string
  /** Ends its group: SIGTERM, grace, SIGKILL. May be called again, and after its end: what it left in its group goes too. */
  end(graceMs: number): Promise<void>
}

/**
 * Starts a process with pipes to its input and output, in a group of its own. Output is handed over as it comes, nothing
 * of it is kept. Rejects when it can't be started.
 */
export function startPiped(request: {
  argv: readonly [string, ...string[]]
  cwd: string
  /** The complete environment; nothing is inherited. */
  env: Record<string, string>
  onOutput: (chunk: Buffer) => void
  stderr: 'inherit' | 'keep'
}): Promise<PipedProcess> {
  const [file, ...args] = request.argv
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd: request.cwd,
      env: request.env,
      detached: true,
      stdio: ['pipe', 'pipe', request.stderr === 'inherit' ? 'inherit' : 'pipe'],
    })
    const stderr = makeSink(64 << 10)
    child.stdout?.on('data', request.onOutput)
    child.stderr?.on('data', stderr.push)
    // A process that ends before it reads breaks the pipe; its end tells the story.
    child.stdin?.on('error', () => undefined)
    child.once('error', reject)
    const exited = new Promise<{ exitCode: number | null; signal: string | null }>((done) => {
      child.once('close', (exitCode, signal) => done({ exitCode, signal }))
      child.once('exit', () => {
        // Whoever it left behind may hold its pipes open.
        setTimeout(() => {
          child.stdout?.destroy()
          child.stderr?.destroy()
        }, DRAIN_MS).unref()
      })
    })
    child.once('spawn', () => {
      resolve({
        pid: child.pid ?? 0,
        write: (text) => {
          if (!child.stdin?.writable) return false
          child.stdin.write(text)
          return true
        },
        closeInput: () => child.stdin?.end(),
        exited,
        stderr: stderr.text,
        end: (graceMs) => endGroup(child, graceMs),
      })
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
