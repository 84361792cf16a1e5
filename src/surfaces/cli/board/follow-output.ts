// The last lines that live runs print, kept for the board.
// Invariant: one follower a task; it ends with the run, with the board, or when another run takes its place.

import type { App, StatusView } from '../../../flow/app.ts'
import { messageOf } from '../../../lib/errors.ts'
import { type ShownLine, runEventLines } from '../run-event-lines.ts'

/** Lines kept of each run: more than anyone scrolls through here; `orch task logs` has the rest. */
const KEPT_LINES = 2_000

/** So many failures in the same session are worth a line. */
const PATIENCE = 10

export interface Follower {
  /** Follows the live runs of the tasks, and the latest run of the task named. */
  follow(tasks: StatusView['tasks'], also: string | null): void
  stop(): void
}

/** Fills `output` by task and tells of each change. */
export function makeFollower(deps: {
  app: () => Promise<App>
  output: Map<string, readonly ShownLine[]>
  changed: () => void
}): Follower {
  const { app, output, changed } = deps
  let failures = 0
  const followed = new Map<string, { runId: string | null; stop: AbortController }>()

  async function read(task: string, run: { runId: string | null; signal: AbortSignal }): Promise<void> {
    const { runId, signal } = run
    const request = { task, from: 'recent', raw: false, signal, ...(runId ? { runId } : {}) } as const
    const events = await (await app()).stream(request)
    let lines: ShownLine[] = []
    for await (const event of events ?? []) {
      if (signal.aborted) return
      lines.push(...(typeof event === 'string' ? [{ text: event, paint: null }] : runEventLines(event)))
      if (lines.length > KEPT_LINES * 2) lines = lines.slice(-KEPT_LINES)
      output.set(task, lines)
      changed()
    }
  }

  function begin(task: string, runId: string | null): void {
    const before = followed.get(task)
    if (before && (runId === null || before.runId === runId)) return
    before?.stop.abort()
    const stop = new AbortController()
    followed.set(task, { runId, stop })
    output.delete(task)
    read(task, { runId, signal: stop.signal }).catch((error: unknown) => failed(task, error))
  }

  /** The books know a run a moment before its folder is there: at the next look it is tried again. */
  function failed(task: string, error: unknown): void {
    followed.delete(task)
    failures += 1
    if (failures % PATIENCE !== 0) return
    output.set(task, [{ text: `its output can't be read: ${messageOf(error)}`, paint: 'red' }])
    changed()
  }

  return {
    follow(tasks, also) {
      for (const task of tasks) {
        if (task.status === 'running' && task.runId !== null) begin(task.id, task.runId)
      }
      if (also !== null) begin(also, null)
    },
    stop() {
      for (const { stop } of followed.values()) stop.abort()
    },
  }
}
