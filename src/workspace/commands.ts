// Running a project's own commands (setup, verify) in the sandbox, each with its time limit.

import { mkdtemp, readdir } from 'node:fs/promises'
import path from 'node:path'
import { ExternalError } from '../lib/errors.ts'
import type { ProcessResult } from '../lib/process.ts'
import type { Context } from './context.ts'
import { removeTree } from './places.ts'
import { trimOutput } from './output.ts'
import { runSandboxed } from './sandboxed.ts'

export interface CommandPlace {
  tree: string
  runtimeDir: string
  cwd: string
  env: Record<string, string>
  objects: string
  masked: string[]
  /** More that may be read, of the project's `sandbox.read`. */
  read: string[]
  network: boolean
  outputCapBytes: number
  signal?: AbortSignal
}

/** Output and errors in one stream, in their order; the file says that the sandbox let the command start. */
const SHELL = 'exec 2>&1; : > "$1/started"; exec sh -c "$2"'

/** Runs one shell command. Throws ExternalError when the sandbox could not be set up, and the signal's reason when it was aborted. */
export async function runCommand(
  context: Context,
  command: string,
  place: CommandPlace & { timeoutMs: number },
): Promise<ProcessResult> {
  place.signal?.throwIfAborted()
  const marker = await mkdtemp(path.join(place.runtimeDir, 'start-'))
  try {
    const result = await runSandboxed(context.sandbox, {
      argv: ['sh', '-c', SHELL, 'orch', marker, command],
      cwd: place.cwd,
      env: place.env,
      writable: [place.tree, place.runtimeDir],
      readable: [place.objects, ...context.readPaths, ...place.read],
      masked: place.masked,
      network: place.network,
      timeoutMs: place.timeoutMs,
      outputCapBytes: place.outputCapBytes,
      ...(place.signal ? { signal: place.signal } : {}),
    })
    place.signal?.throwIfAborted()
    if (result.outcome === 'exited' && (await readdir(marker)).length === 0) {
      const why = (result.stderr || result.stdout).trim().split('\n')[0] ?? ''
      const message = `The sandbox did not start \`${command}\`: ${why || `it ended with ${result.exitCode}`}; run \`orch doctor\``
      throw new ExternalError({ system: 'sandbox', kind: 'tool-missing', message })
    }
    return result
  } finally {
    await removeTree(marker)
  }
}

/** Runs setup commands one after the other within one time limit. Throws ExternalError `setup-failed` with the output's end. */
export async function runSetup(
  context: Context,
  commands: string[],
  place: CommandPlace & { timeoutMs: number },
): Promise<void> {
  const deadline = performance.now() + place.timeoutMs
  for (const command of commands) {
    const result = await runCommand(context, command, {
      ...place,
      timeoutMs: Math.max(1, deadline - performance.now()),
    })
    if (result.outcome === 'exited' && result.exitCode === 0) continue
    const output = trimOutput(result.stdout, 2_048)
    const end =
      result.outcome === 'timed-out'
        ? `ran past its time limit (${Math.round(place.timeoutMs / 1000)} s)`
        : endOf(result)
    const kind = /No space left on device|ENOSPC/.test(result.stdout) ? 'disk-full' : 'setup-failed'
    throw new ExternalError({
      system: 'setup',
      kind,
      message: `Setup command \`${command}\` ${end}:\n${output || '(no output)'}`,
    })
  }
}

function endOf(result: ProcessResult): string {
  if (result.outcome === 'could-not-start') return `could not be started (${result.stderr})`
  return result.exitCode === null ? `was ended by ${result.signal ?? 'a signal'}` : `exited ${result.exitCode}`
}
