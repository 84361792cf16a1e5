// What a verb is handed: the terminal, the place it was called from, and the two doors to Orch, opened only when asked for.
// A verb that only looks takes `reader` and never builds the rest, so that it starts fast.

import { fstatSync, writeSync } from 'node:fs'
import type { App, DoctorReport, DoctorRequest, QuickNeeds, QuickTrouble, Reader, Vault } from '../../flow/app.ts'
import type { Screen, ScreenHandlers } from './terminal.ts'

export interface Output {
  write(text: string): unknown
}

export interface CliContext {
  /** ORCH_HOME. */
  home: string
  cwd: string
  env: Record<string, string | undefined>
  version(): string
  /** The package's own folder, with `pipelines/` and `schemas/`. */
  packageDir: string
  /** Where the build has described the commands for completion; null when this runs from the sources. */
  commandsFile: string | null
  /** Names of the agents Orch knows, without looking for their programs. */
  agentNames(): Promise<string[]>
  stdout: Output
  stderr: Output
  /** Standard input, read in chunks of bytes. */
  stdin: AsyncIterable<Uint8Array>
  /** Standard output is a terminal. */
  isTty: boolean
  /** Standard input and output are a terminal: a question can be asked. */
  canAsk: boolean
  /** Width and height of the terminal now. */
  columns: number
  rows: number
  color: boolean
  /** Milliseconds since 1970. */
  now(): number
  /** Null when ORCH_HOME holds no database yet. Gives the same one when called twice. */
  reader(): Promise<Reader | null>
  /** Gives the same one when called twice; with `home` an app on another ORCH_HOME, for the demo. */
  app(options?: { home: string }): Promise<App>
  /** For the state as a whole, also where the database can't be opened. */
  vault(): Promise<Vault>
  /** Looks at everything, whatever is broken. */
  doctor(request: DoctorRequest): Promise<DoctorReport>
  /** Looks in some milliseconds at what a command needs; null when that is in order. Throws UserError for broken books. */
  quickDoctor(needs: readonly QuickNeeds[]): Promise<QuickTrouble | null>
  /** Calls back at every Ctrl-C or SIGTERM instead of ending the process; the result takes that back. */
  onInterrupt(handler: () => void): () => void
  /** Takes over the whole terminal, until it is closed; only where `canAsk`. */
  screen(handlers: ScreenHandlers): Promise<Screen>
  /** Shows a long text through the user's pager; false when there is none, and nothing was shown. */
  page(text: string): Promise<boolean>
  /** Ends the process at once. */
  exitNow(code: number): void
}

/** What `main` adds to what the process itself tells. */
export interface ContextParts {
  home: string
  version: () => string
  packageDir: string
  commandsFile: string | null
  agentNames: () => Promise<string[]>
  reader: () => Promise<Reader | null>
  app: (options?: { home: string }) => Promise<App>
  vault: () => Promise<Vault>
  doctor: CliContext['doctor']
  quickDoctor: CliContext['quickDoctor']
}

/** The context of the running process. */
export function makeProcessContext(parts: ContextParts): CliContext {
  const { env } = process
  const plain = writesPlainly(1)
  const isTty = !plain && process.stdout.isTTY === true
  // `orch status | head -1` closes the pipe early: the reader has seen enough, nobody is left to tell.
  if (!plain) {
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0)
      throw error
    })
  }
  return {
    ...parts,
    cwd: process.cwd(),
    env,
    stdout: plain ? { write: (text) => writeWhole(1, text) } : process.stdout,
    // Getters, because touching one of the process's streams makes it, which costs a millisecond or two.
    get stderr(): Output {
      return process.stderr
    },
    get stdin(): AsyncIterable<Uint8Array> {
      return process.stdin
    },
    isTty,
    get canAsk(): boolean {
      return isTty && process.stdin.isTTY === true
    },
    get columns(): number {
      return isTty ? (process.stdout.columns ?? 80) : 80
    },
    get rows(): number {
      return isTty ? (process.stdout.rows ?? 24) : 24
    },
    color: wantsColor(env, isTty),
    now: Date.now,
    onInterrupt(handler) {
      process.on('SIGINT', handler)
      process.on('SIGTERM', handler)
      return () => {
        process.off('SIGINT', handler)
        process.off('SIGTERM', handler)
      }
    },
    screen: async (handlers) => (await import('./screen.ts')).openScreen(handlers),
    page: async (text) => isTty && (await import('./pager.ts')).page(text, env),
    exitNow: (code) => process.exit(code),
  }
}

/** A pipe, a socket or a file: written without Node's stream for it, whose making is a tenth of a short command's time. */
function writesPlainly(fd: number): boolean {
  try {
    const kind = fstatSync(fd)
    return kind.isFIFO() || kind.isFile() || kind.isSocket()
  } catch {
    return false
  }
}

/** Writes all of a text, as Node itself does to pipes and files on POSIX: synchronously. */
function writeWhole(fd: number, text: string): void {
  let rest = Buffer.from(text)
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EPIPE') process.exit(0)
      if (code !== 'EAGAIN') throw error
      // A reader that shares a non-blocking pipe is slower than we are: give it a moment.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
  }
}

/** NO_COLOR (no-color.org) and FORCE_COLOR win over what the terminal is. */
export function wantsColor(env: Record<string, string | undefined>, isTty: boolean): boolean {
  if (env.NO_COLOR) return false
  if (env.FORCE_COLOR !== undefined && env.FORCE_COLOR !== '') return env.FORCE_COLOR !== '0'
  return isTty && env.TERM !== 'dumb'
}
