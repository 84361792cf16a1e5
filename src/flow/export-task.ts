// Puts a task together for another machine. Invariant: everything in it went through the redactor; every text has a bound
// and says when it was cut.

import { open, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { ExternalError, messageOf } from '../lib/errors.ts'
import { makeRedactor, secretsIn } from '../lib/redact.ts'
import type { RunRow } from '../store/store.ts'
import type { InspectView, Reader } from './app.ts'
import type { Capabilities } from './capabilities.ts'
import { inspectTask } from './inspect.ts'
import { readLogs } from './run-logs.ts'
import {
  EXPORT_FORMAT,
  type ExportedArtifact,
  type ExportedDiff,
  type ExportedRun,
  type KeptText,
  type TaskExport,
} from './task-export.ts'
import { iso } from './views.ts'

type Deps = Pick<Capabilities, 'home' | 'env' | 'now' | 'store' | 'runner' | 'adapters' | 'workspaces'>

/** The end of a run's log tells how it ended; a whole hour's is seldom longer than some MiB. */
const LOG_BYTES = 1 << 20
const DIFF_BYTES = 4 << 20
const ARTIFACT_BYTES = 1 << 20
const RUN_EVENTS = 2_000

/** Null: no such task. */
export async function exportTask(
  deps: Deps,
  { reader, task: id }: { reader: Reader; task: string },
): Promise<TaskExport<InspectView> | null> {
  const { store, home, env, now } = deps
  const inspection = await inspectTask({ capabilities: deps, reader }, { task: id, logTails: false })
  const project = store.listProjects().find((one) => one.id === inspection?.task.project)
  if (!inspection) return null
  const missing: string[] = []
  const runs = store.listRuns({ task: id })
  const change = store.getChange(id)
  const exported: TaskExport<InspectView> = {
    format: EXPORT_FORMAT,
    exportedAt: iso(now()),
    project: {
      id: inspection.task.project,
      name: project?.name ?? '',
      remote: (project?.remote ?? '').replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/@]*@/i, '$1'),
    },
    inspection: withoutPlaces(inspection, home),
    events: store.listEvents({ task: id }).map((entry) => ({ ...entry, at: iso(entry.at) })),
    change: change && { ...change, createdAt: iso(change.createdAt), updatedAt: iso(change.updatedAt) },
    reviews: change ? store.listReviews(change.project, change.number).map((row) => ({ ...row, at: iso(row.at) })) : [],
    runs: await Promise.all(runs.map((run) => exportRun(deps, run))),
    diffs: await exportDiffs(deps, { task: id, runs, missing }),
    artifacts: await exportArtifacts(deps, { task: id, missing }),
    costs: {
      usd: inspection.task.costUsd,
      runs: runs.map((run) => ({
        run: run.id,
        role: run.role,
        agent: run.agent,
        usd: run.costUsd,
        tokens: Object.values(run.usage).reduce((sum, n) => sum + n, 0),
      })),
    },
    missing,
    hidden: 0,
  }
  const redactor = makeRedactor(secretsIn(env))
  return { ...redactor.value(exported), hidden: redactor.hidden() }
}

/** Where things lie on this machine is nobody else's business. */
function withoutPlaces(view: InspectView, home: string): InspectView {
  const below = (path: string): string => relative(home, path)
  const runs = view.runs.map((run) => ({
    ...run,
    files: run.files.map((file) => ({ ...file, path: below(file.path) })),
  }))
  return { ...view, runs, places: view.places.map((place) => ({ ...place, path: below(place.path) })) }
}

async function exportRun(deps: Deps, run: RunRow): Promise<ExportedRun> {
  const dir = deps.runner.dir(run.id)
  const events: ExportedRun['events'] = []
  let all = 0
  const logs = readLogs(deps, { task: run.task, runId: run.id, of: 'output', raw: false })
  for await (const item of logs?.lines ?? []) {
    all += 1
    events.push(typeof item === 'string' ? { task: run.task, line: item } : { task: run.task, ...item })
    if (events.length > 2 * RUN_EVENTS) events.splice(0, events.length - RUN_EVENTS)
  }
  const kept = events.slice(-RUN_EVENTS)
  // A few of them may be large.
  let bytes = 0
  let from = kept.length
  while (from > 0 && (bytes += JSON.stringify(kept[from - 1]).length) <= LOG_BYTES) from -= 1
  return {
    id: run.id,
    agent: run.agent,
    prompt: await endOf(join(dir, 'prompt.md')),
    output: await endOf(join(dir, 'output.log')),
    stderr: await endOf(join(dir, 'stderr.log')),
    events: kept.slice(from),
    eventsCut: kept.length - from < all,
  }
}

/** The last lines of a file; null where there is none. */
async function endOf(path: string): Promise<KeptText | null> {
  const found = await stat(path).catch(() => null)
  if (!found) return null
  await using file = await open(path, 'r')
  const length = Math.min(found.size, LOG_BYTES)
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, found.size - length)
  const text = buffer.subarray(0, bytesRead).toString('utf8')
  const cut = found.size > length
  return { text: cut ? text.slice(text.indexOf('\n') + 1) : text, bytes: found.size, cut }
}

async function exportDiffs(
  deps: Deps,
  of: { task: string; runs: RunRow[]; missing: string[] },
): Promise<ExportedDiff[]> {
  const task = deps.store.getTask(of.task)?.state
  const project = deps.store.listProjects().find((one) => one.id === task?.project)
  const runs = of.runs.filter((run) => run.headSha !== null)
  if (!task?.baseSha || runs.length === 0) return []
  if (!project) {
    of.missing.push(`the diffs: project ${task.project} is not registered any more`)
    return []
  }
  const diffs: ExportedDiff[] = []
  for (const run of runs) {
    const head = run.headSha ?? ''
    try {
      const mirror = await deps.workspaces.mirror(project)
      const base = (await mirror.mergeBase(task.baseSha, head)) ?? task.baseSha
      const text = await mirror.diffText(base, head, { maxBytes: DIFF_BYTES })
      const bytes = Buffer.byteLength(text)
      const diff = { text, bytes, cut: /\[… the difference goes on; cut at \d+ bytes …\]\n$/.test(text) }
      diffs.push({ run: run.id, base, head, files: await mirror.diffFiles(base, head), diff })
    } catch (error) {
      if (!(error instanceof ExternalError)) throw error
      of.missing.push(`the diff of ${run.id}: ${messageOf(error)}`)
    }
  }
  return diffs
}

async function exportArtifacts(
  { store, home }: Deps,
  of: { task: string; missing: string[] },
): Promise<ExportedArtifact[]> {
  const artifacts: ExportedArtifact[] = []
  for (const row of store.listArtifacts(of.task)) {
    const found = await open(join(home, row.path), 'r').catch(() => null)
    if (!found) {
      of.missing.push(`${row.path}: it is gone`)
      continue
    }
    await using file = found
    const { buffer, bytesRead } = await file.read(Buffer.alloc(ARTIFACT_BYTES), 0, ARTIFACT_BYTES, 0)
    const bytes = buffer.subarray(0, bytesRead)
    const text = bytes.toString('utf8')
    const isText = Buffer.from(text).equals(bytes) && !text.includes('\0')
    artifacts.push({
      name: row.name,
      run: row.runId,
      bytes: row.bytes,
      encoding: isText ? 'utf8' : 'base64',
      content: isText ? text : bytes.toString('base64'),
      cut: row.bytes > bytesRead,
    })
  }
  return artifacts
}
