// Everything that is held of one task, put together for a person or a script that looks for trouble.
// Invariant: reads alone; what is missing on the disk is left out, never an error.

import { createHash } from 'node:crypto'
import { readFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { RunRow } from '../store/store.ts'
import type { InspectView, KeptFile, Reader } from './app.ts'
import type { Capabilities } from './capabilities.ts'
import { readLines } from './run-logs.ts'
import { iso } from './views.ts'

/** Lines of each log that are shown as its end. */
const TAIL_LINES = 40

/** See `App.inspect`. */
export async function inspectTask(
  deps: { capabilities: Pick<Capabilities, 'home' | 'store' | 'runner' | 'workspaces'>; reader: Reader },
  request: { task: string; logTails: boolean },
): Promise<InspectView | null> {
  const { capabilities, reader } = deps
  const { store } = capabilities
  const id = request.task
  const task = store.getTask(id)?.state
  const view = reader.task(id)
  const why = reader.why(id)
  if (!task || !view || !why) return null
  const byType: Record<string, number> = {}
  const events = store.listEvents({ task: id })
  for (const { type } of events) byType[type] = (byType[type] ?? 0) + 1
  const runs = store.listRuns({ task: id })
  return {
    task: view,
    why,
    policy: task.policy,
    epoch: task.epoch,
    step: task.step,
    runs: await Promise.all(
      runs.map((run) => inspectRun(run, { dir: capabilities.runner.dir(run.id), tails: request.logTails })),
    ),
    evidence: store.listEvidence({ task: id }).map((row) => ({ ...row, at: iso(row.at) })),
    intents: store.listIntents({ task: id }).map((row) => ({
      ...row,
      openedAt: iso(row.openedAt),
      settledAt: row.settledAt === null ? null : iso(row.settledAt),
    })),
    faults: store.faultsOf(id),
    jobs: store.jobsOf(id).map((job) => ({ ...job, runAt: iso(job.runAt) })),
    events: { count: events.length, byType },
    places: await placesOf(capabilities, id),
  }
}

async function inspectRun(run: RunRow, at: { dir: string; tails: boolean }): Promise<InspectView['runs'][number]> {
  const prompt = await readFile(join(at.dir, 'prompt.md')).catch(() => null)
  return {
    id: run.id,
    why: run.why,
    headSha: run.headSha,
    promptSha256: prompt && createHash('sha256').update(prompt).digest('hex'),
    files: await filesIn(at.dir),
    ...(at.tails
      ? {
          tails: {
            output: await lastLines(join(at.dir, 'output.log')),
            stderr: await lastLines(join(at.dir, 'stderr.log')),
          },
        }
      : {}),
  }
}

async function filesIn(dir: string): Promise<KeptFile[]> {
  const names = await readdir(dir).catch(() => [])
  const files = names.map(async (name): Promise<KeptFile[]> => {
    const path = join(dir, name)
    const found = await stat(path).catch(() => null)
    return found?.isFile() ? [{ name, path, bytes: found.size }] : []
  })
  return (await Promise.all(files)).flat().toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

async function lastLines(path: string): Promise<string[]> {
  const kept: string[] = []
  for await (const line of readLines(path)) {
    kept.push(line)
    if (kept.length > TAIL_LINES) kept.shift()
  }
  return kept
}

async function placesOf(
  { home, workspaces }: Pick<Capabilities, 'home' | 'workspaces'>,
  task: string,
): Promise<InspectView['places']> {
  const workspace = workspaces.find(task)
  const saved = await readdir(join(home, 'saved')).catch(() => [])
  return [
    ...(workspace
      ? ([
          { what: 'workspace', path: workspace.path },
          { what: 'runtime', path: workspace.runtimeDir },
        ] as const)
      : []),
    ...saved
      .filter((name) => name.startsWith(`${task}-`))
      .map((name) => ({ what: 'saved' as const, path: join(home, 'saved', name) })),
  ]
}
