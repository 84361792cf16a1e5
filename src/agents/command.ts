// The adapter for a user's own program: prompt on stdin, the handoff directory in ORCH_HANDOFF, every line a message.

import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { NO_USAGE } from '../core/run.ts'
import type { AgentAdapter, AgentCommand, AgentRequest, FoundAgent, RunSummary, StreamParser } from './agent.ts'
import { findProgram, installationOf } from './find-program.ts'
import { crashText } from './report.ts'

/** Exit code of a shell that did not find the program. */
const NOT_FOUND = 127

export const commandAdapter: AgentAdapter = {
  name: 'command',
  tested: null,
  efforts: [],
  ownSandbox: null,

  async find(program, env): Promise<FoundAgent | null> {
    const loggedIn = 'unknown' as const
    if (program.command) {
      const shell = findProgram({ name: 'sh', env, folders: ['/bin', '/usr/bin'] })
      return shell === null ? null : { path: shell, version: null, loggedIn, note: `runs: ${program.command}` }
    }
    if (!program.bin) return null
    const path = findProgram({ name: program.bin, env })
    // Not asked for its version: a person's own program may take any call as its cue to work.
    return path === null ? null : { path, version: null, loggedIn, note: `runs: ${path}` }
  },

  command({ program, path, env }: AgentRequest): AgentCommand {
    const base = { env: {}, credentials: [] }
    if (!program.command) return { ...base, file: path, args: [], reads: installationOf(path) }
    return { ...base, file: path, args: ['-c', program.command], reads: readsOf(program.command, env) }
  },

  parser: () => makeLinesParser('the command'),
}

/** Paths that a shell command names, with the installation of its programs: what a sandbox must let it read. */
function readsOf(command: string, env: NodeJS.ProcessEnv): string[] {
  const words = command.split(/[\s;&|()<>"']+/).filter((word) => word !== '')
  const paths = words.flatMap((word) => {
    // An option's value (`--config=/path`) or a variable's (`X=/path`).
    const value = word.replace(/^[^/~]*=/, '').replace(/^~(?=\/)/, homedir())
    if (value.startsWith('/')) return existsSync(value) && value !== '/' ? [value] : []
    return []
  })
  const first = words.find((word) => !/^\w+=/.test(word))
  const program = first === undefined ? null : findProgram({ name: first, env })
  return [...new Set([...paths, ...(program ? installationOf(program) : [])])]
}

/** A stream without a format: every line that isn't empty is a message; the exit code alone tells the end. */
function makeLinesParser(name: string): StreamParser {
  return {
    push: (line) => (line.trim() === '' ? [] : [{ type: 'message', text: line }]),
    end({ exitCode, signal, stderrTail }): RunSummary {
      const base = { sessionId: null, model: null, usage: NO_USAGE, costUsd: 0 }
      if (exitCode === 0) return { ...base, failure: null }
      const code = exitCode === NOT_FOUND ? 'missing-tool' : 'crash'
      return { ...base, failure: { code, text: crashText({ name, exitCode, signal, stderrTail }) } }
    },
  }
}
