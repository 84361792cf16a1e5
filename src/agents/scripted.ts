// The adapter for our own scripted agent, for demos and tests: how it is started and how its JSON lines are read.

import { existsSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { RUN_FAILURES, addUsage, NO_USAGE, type Usage } from '../core/run.ts'
import type { AgentAdapter, RunEvent, RunSummary, StreamParser } from './agent.ts'
import { crashText } from './report.ts'

const count = z.number().nonnegative()

const line = z.discriminatedUnion('type', [
  z.object({ type: z.literal('start'), session: z.string(), model: z.string() }),
  z.object({ type: z.literal('say'), text: z.string() }),
  z.object({
    type: z.literal('tool'),
    name: z.string(),
    detail: z.string(),
    state: z.enum(['started', 'ok', 'failed']),
  }),
  z.object({
    type: z.literal('usage'),
    input: count,
    output: count,
    cacheRead: count,
    cacheWrite: count,
    costUsd: count,
  }),
  z.object({ type: z.literal('error'), code: z.enum(RUN_FAILURES), text: z.string(), retryAfterMs: count.optional() }),
  z.object({ type: z.literal('end') }),
])
type Line = z.infer<typeof line>

/** Makes the adapter; `program` starts the scripted agent: [node, its file]. */
export function makeScriptedAdapter(program: readonly [string, string]): AgentAdapter {
  const [node, file] = program
  return {
    name: 'scripted',
    tested: null,
    efforts: [],
    ownSandbox: null,
    async find() {
      if (!existsSync(file)) return null
      return {
        path: file,
        version: null,
        loggedIn: 'yes',
        note: 'does what the ```script block of a task says; for demos and tests',
      }
    },
    command: ({ model, resume }) => ({
      file: node,
      args: [file, ...(model ? ['--model', model] : []), ...(resume ? ['--resume', resume] : [])],
      env: {},
      reads: [...ownProgramReads(node, file), ...dependencies()],
      credentials: [],
    }),
    parser: makeScriptedParser,
  }
}

/** What a program of Orch's own needs: Node, and one bundled file in the package, or the sources in the repository. */
export function ownProgramReads(node: string, file: string): string[] {
  const sources = file.endsWith('.ts') ? dirname(dirname(file)) : file
  // Node reads the manifest above a module to know which kind it is.
  const manifest = [dirname(file), dirname(dirname(file)), dirname(dirname(dirname(file)))]
    .map((folder) => join(folder, 'package.json'))
    .find((path) => existsSync(path))
  return [...new Set([node, realpathSync(node), sources, ...(manifest ? [manifest] : [])])]
}

/** Folders of the packages the program imports, where they aren't bundled into it. */
function dependencies(): string[] {
  return ['yaml', 'zod'].flatMap((name) => {
    try {
      const path = fileURLToPath(import.meta.resolve(name))
      const folder = path.slice(0, path.lastIndexOf(`/node_modules/${name}/`) + `/node_modules/${name}`.length)
      return existsSync(join(folder, 'package.json')) ? [folder] : []
    } catch {
      return []
    }
  })
}

function makeScriptedParser(): StreamParser {
  let sessionId: string | null = null
  let model: string | null = null
  let usage: Usage = NO_USAGE
  let costUsd = 0
  let ended = false
  let broken: string | null = null
  let failure: RunSummary['failure'] = null

  function take(read: Line): RunEvent[] {
    switch (read.type) {
      case 'start':
        sessionId = read.session
        model = read.model
        return [{ type: 'started', sessionId, model }]
      case 'say':
        return [{ type: 'message', text: read.text }]
      case 'tool':
        return [read]
      case 'usage':
        usage = addUsage(usage, read)
        costUsd += read.costUsd
        return [{ type: 'usage', usage, costUsd }]
      case 'error': {
        const { code, text, retryAfterMs } = read
        failure = { code, text, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
        return [{ type: 'error', code, text }]
      }
      case 'end':
        ended = true
        return []
    }
  }

  return {
    push(raw) {
      if (raw.trim() === '') return []
      const read = readLine(raw)
      if (read) return take(read)
      broken ??= raw.slice(0, 200)
      return [
        {
          type: 'error',
          code: 'malformed-stream',
          text: `not a line of the scripted agent's stream: ${raw.slice(0, 200)}`,
        },
      ]
    },
    end(exit) {
      const summary = { sessionId, model, usage, costUsd }
      if (failure) return { ...summary, failure }
      const how = crashText({ name: 'the scripted agent', ...exit })
      if (exit.exitCode !== 0) return { ...summary, failure: { code: 'crash', text: how } }
      if (broken !== null)
        return {
          ...summary,
          failure: { code: 'malformed-stream', text: `the stream has an unreadable line: ${broken}` },
        }
      if (!ended)
        return {
          ...summary,
          failure: { code: 'malformed-stream', text: `the stream stops before its end line; ${how}` },
        }
      return { ...summary, failure: null }
    },
  }
}

function readLine(raw: string): Line | null {
  try {
    return line.parse(JSON.parse(raw))
  } catch {
    return null
  }
}
