// What runs printed: followed live, or read once to its present end.
// Invariant: bounded memory, whatever a run printed; nothing here changes a run.

import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { NO_USAGE } from '../core/run.ts'
import type { App, RunEvent } from './app.ts'
import type { Capabilities } from './capabilities.ts'

type Deps = Pick<Capabilities, 'store' | 'runner' | 'adapters'>

/** A log that is shorter is read from its start in some tens of milliseconds: a JSON stream is parsed at about 300 MB/s. */
const SHORT_BYTES = 8 << 20

/** See `App.stream`. */
export async function streamRun(deps: Deps, request: Parameters<App['stream']>[0]): ReturnType<App['stream']> {
  const { runner } = deps
  const run = findRun(deps, request)
  if (!run) return null
  const { signal } = request
  const from = request.from === 'recent' ? await whereToBegin(join(runner.dir(run.id), 'output.log')) : request.from
  return request.raw
    ? runner.stream(run.id, { from, raw: true, signal })
    : runner.stream(run.id, { from, raw: false, signal })
}

/** See `App.logs`. */
export function readLogs(deps: Deps, request: Parameters<App['logs']>[0]): ReturnType<App['logs']> {
  const run = findRun(deps, request)
  if (!run) return null
  const name = { output: 'output.log', stderr: 'stderr.log', prompt: 'prompt.md' }[request.of]
  const lines = readLines(join(deps.runner.dir(run.id), name))
  const events = request.of === 'output' && !request.raw
  return { runId: run.id, lines: events ? parsed(deps, { agent: run.agent, lines }) : lines }
}

function findRun({ store }: Deps, request: { task: string; runId?: string }) {
  const runs = store.listRuns({ task: request.task })
  return request.runId === undefined ? runs.at(-1) : runs.find((row) => row.id === request.runId)
}

async function whereToBegin(log: string): Promise<'start' | 'now'> {
  const bytes = await stat(log).then(
    (found) => found.size,
    () => 0,
  )
  return bytes <= SHORT_BYTES ? 'start' : 'now'
}

async function* parsed(
  { adapters }: Deps,
  run: { agent: string; lines: AsyncIterable<string> },
): AsyncGenerator<RunEvent | string> {
  const parser = adapters[run.agent]?.parser({ resumed: false, previousUsage: NO_USAGE, previousCostUsd: 0 })
  for await (const line of run.lines) {
    if (parser) yield* parser.push(line)
    else yield line
  }
}

/** Lines of a file; none where there is no file. A line ends at a line feed alone: JSON may hold every other separator. */
export async function* readLines(path: string): AsyncGenerator<string> {
  let rest: Buffer[] = []
  try {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      let from = 0
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
        yield Buffer.concat([...rest, chunk.subarray(from, at)]).toString()
        rest = []
        from = at + 1
      }
      if (from < chunk.length) rest.push(chunk.subarray(from))
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  if (rest.length > 0) yield Buffer.concat(rest).toString()
}
