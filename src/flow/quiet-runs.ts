// Names the live runs that have been quiet for long, once for each spell of silence, before they are ended for it.
// It looks at the times of a few files on the slow tick; no agent is asked anything. A stall limit of a minute or two can
// be over before the next tick: `orch why` and `orch status` name such a run all the same.

import { runLimitsOf } from '../core/policy.ts'
import { type LiveRun, quietOf, quietText } from '../core/quiet.ts'
import type { Queries, RunRow } from '../store/store.ts'

type Books = Pick<Queries, 'getTask' | 'listRuns'>

/** A live run with what limits it. */
export function liveRunOf(books: Pick<Queries, 'getTask'>, run: RunRow, lastActivityAt: number | null): LiveRun {
  const policy = books.getTask(run.task)?.state.policy ?? null
  return {
    agent: run.agent,
    startedAt: run.startedAt,
    lastActivityAt,
    limits: policy && runLimitsOf(policy, run.stage),
  }
}

export interface QuietDeps {
  books: Books
  lastActivity: (runId: string) => Promise<number | null>
  now: () => number
  time: (at: number) => string
}

/** Gives the sentences that are new since the last call. */
export function makeQuietRuns({ books, lastActivity, now, time }: QuietDeps): () => Promise<string[]> {
  /** By run: the last output before the silence that was named. */
  let named = new Map<string, number | null>()
  return async () => {
    const sentences: string[] = []
    const quietNow = new Map<string, number | null>()
    for (const row of books.listRuns({ live: true })) {
      const run = liveRunOf(books, row, await lastActivity(row.id))
      const quiet = quietOf(run, now())
      if (!quiet) continue
      quietNow.set(row.id, run.lastActivityAt)
      if (named.get(row.id) !== run.lastActivityAt)
        sentences.push(
          `${row.task}: ${quietText(run.agent, quiet, time)}; \`orch stream ${row.task}\` shows what it said`,
        )
    }
    named = quietNow
    return sentences
  }
}
