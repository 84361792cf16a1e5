// The Reader over the store's queries: what a surface can see. Opens nothing, changes nothing, starts nothing.
// Imports stay few: `orch status` is little more than this file and the queries.

import { type FSWatcher, realpathSync, watch } from 'node:fs'
import { join, sep } from 'node:path'
import { TASK_STATUSES, type TaskStatus, isTerminal } from '../core/lifecycle.ts'
import { quietOf } from '../core/quiet.ts'
import { explain } from '../core/why.ts'
import type { Project, Queries, TaskLine } from '../store/store.ts'
import type { Reader, ServiceView, StatusView, WhyView } from './app.ts'
import { becauseOf } from './journal-facts.ts'
import { liveRunOf } from './quiet-runs.ts'
import { iso, parkedView, taskView } from './views.ts'
import { deliveryView, webhooksView } from './webhook-views.ts'
import type { ListenerView } from './webhooks.ts'

export interface ReaderDeps {
  queries: Queries
  /** ORCH_HOME. */
  home: string
  /** Whether an `orch up` runs on this home. */
  service: () => ServiceView
  /** What that service wrote of its listener for webhooks. */
  listener: () => ListenerView | null
  /** Time of the last output of a run, ms, or null. */
  lastActivity: (runId: string) => number | null
  now: () => number
  /** Closes the queries. */
  close: () => void
}

/** Default of `status` (issue: at most 50). */
const LISTED = 50
const OPEN = TASK_STATUSES.filter((status) => !isTerminal(status))

/** Makes the Reader. Cheap: the file watch starts with the first `nextChange`. */
export function makeReader(deps: ReaderDeps): Reader {
  const { queries } = deps
  const changes = makeChanges(deps)
  const projectAt = (cwd: string): Project | null => findProject(queries.listProjects(), cwd)
  const task: Reader['task'] = (id) => {
    const found = queries.getTask(id)
    return (
      found &&
      taskView(found.state, {
        runs: queries.listRuns({ task: id }),
        artifacts: queries.listArtifacts(id),
        tampering: queries.listEvidence({ task: id, gate: 'tampering' }),
      })
    )
  }
  return {
    status: (filter) => status(deps, filter),
    task,
    events: (id) => queries.listEvents({ task: id }),
    why: (id) => why(deps, id),
    projects: () => queries.listProjects(),
    projectAt,
    resolveTaskId(text, cwd) {
      const project = /^\d+$/.test(text) ? projectAt(cwd) : null
      const id = project ? `${project.id}-${Number(text)}` : text.toUpperCase()
      return queries.getTask(id) ? id : null
    },
    tree: async (of) => (await import('./task-tree.ts')).taskTree(queries, of),
    changes: (project) => queries.listChanges(project),
    change(id) {
      const change = queries.getChange(id)
      const view = change && task(id)
      return view && { change, reviews: queries.listReviews(change.project, change.number), task: view }
    },
    service: deps.service,
    webhooks: () => webhooksView(queries, { listening: deps.listener(), now: deps.now() }),
    deliveries: (filter) => queries.listDeliveries(filter).map(deliveryView),
    webhookAudit: async (of) => (await import('./webhook-audit.ts')).readAudit(deps.home, of),
    nextChange: changes.next,
    close() {
      changes.close()
      deps.close()
    },
  }
}

function status(deps: ReaderDeps, filter: { project?: string; statuses?: TaskStatus[]; limit?: number }): StatusView {
  const { queries } = deps
  const statuses = filter.statuses ?? OPEN
  const project = filter.project === undefined ? {} : { project: filter.project }
  const lines = queries.listTasks({ ...project, statuses, limit: filter.limit ?? LISTED })
  const counts = queries.countTasks(filter.project)
  const matching = statuses.reduce((sum, one) => sum + counts[one], 0)
  return {
    tasks: lines.map((line) => {
      const lastActivityAt = line.runId === null ? null : deps.lastActivity(line.runId)
      return { ...line, lastActivityAt, stallsAt: stallsAt(deps, line, lastActivityAt) }
    }),
    counts,
    more: Math.max(0, matching - lines.length),
    service: deps.service(),
  }
}

/** When a run that has been quiet for long is ended; null for any other. */
function stallsAt({ queries, now }: ReaderDeps, line: TaskLine, lastActivityAt: number | null): number | null {
  const run = line.status === 'running' && line.runId !== null ? queries.getRun(line.runId) : null
  if (!run || run.endedAt !== null) return null
  return quietOf(liveRunOf(queries, run, lastActivityAt), now())?.endsAt ?? null
}

function why(deps: ReaderDeps, id: string): WhyView | null {
  const { queries } = deps
  const task = queries.getTask(id)?.state
  if (!task) return null
  const run = task.runId === null ? null : queries.getRun(task.runId)
  const explained = explain(task, {
    serviceRunning: deps.service().running,
    liveRun: run && run.endedAt === null ? liveRunOf(queries, run, deps.lastActivity(run.id)) : null,
    because: becauseOf(queries, task),
    parked: queries
      .parkedJobs()
      .filter((job) => job.task === id)
      .map(parkedView),
    now: deps.now(),
    time: iso,
  })
  return { id, because: explained.because, owner: explained.owner, since: iso(task.since), actions: explained.actions }
}

/** The project whose clone contains the folder (the innermost), else the only one, else null. */
function findProject(projects: Project[], cwd: string): Project | null {
  const here = realPath(cwd)
  const containing = projects
    .filter((project) =>
      [project.path, realPath(project.path)].some(
        (path) => here === path || here.startsWith(path.endsWith(sep) ? path : path + sep),
      ),
    )
    .toSorted((a, b) => b.path.length - a.path.length)
  return containing[0] ?? (projects.length === 1 ? (projects[0] ?? null) : null)
}

function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    // A folder that is gone still has its name.
    return path
  }
}

/** Every commit touches `ORCH_HOME/wake`; the database's own counter is the slow fallback where watches fail. */
const FALLBACK_MS = 1_000

interface Changes {
  next: Reader['nextChange']
  close: () => void
}

function makeChanges(deps: ReaderDeps): Changes {
  let watcher: FSWatcher | null | undefined
  let wakes = 0
  let seenWakes = 0
  let seenVersion: number | undefined
  const waiting = new Set<() => void>()

  const tellAll = (): void => {
    for (const finish of waiting) finish()
  }
  const start = (): void => {
    watcher = openWatch(join(deps.home, 'wake'), () => {
      wakes += 1
      if (waiting.size > 0 && moved()) tellAll()
    })
  }
  const moved = (): boolean => {
    const version = deps.queries.dataVersion()
    // Our own commits move no data_version of this connection, and a watch may have failed: either is enough.
    const isNew = wakes !== seenWakes || (seenVersion !== undefined && version !== seenVersion)
    seenWakes = wakes
    seenVersion = version
    return isNew
  }
  return {
    next({ timeoutMs, signal }) {
      if (watcher === undefined) start()
      if (signal?.aborted || moved()) {
        tellAll()
        return Promise.resolve()
      }
      return new Promise((resolve) => {
        const finish = (): void => {
          waiting.delete(finish)
          clearTimeout(timer)
          clearInterval(fallback)
          signal?.removeEventListener('abort', finish)
          resolve()
        }
        const timer = setTimeout(finish, timeoutMs)
        const fallback = setInterval(() => {
          if (moved()) tellAll()
        }, FALLBACK_MS)
        waiting.add(finish)
        signal?.addEventListener('abort', finish)
      })
    },
    close() {
      watcher?.close()
      watcher = null
    },
  }
}

/** A watch that keeps no process alive; null where there is no such file or no watch to be had. */
function openWatch(file: string, changed: () => void): FSWatcher | null {
  try {
    const watcher = watch(file, { persistent: false }, changed)
    watcher.on('error', () => watcher.close())
    return watcher
  } catch {
    return null
  }
}
