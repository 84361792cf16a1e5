// Keeps the pools of checkouts filled behind the work: after something changed, never before it, never for idle projects.
// Invariant: at most one filling at a time, and none that outlives the service.

import { isTerminal, TASK_STATUSES } from '../core/lifecycle.ts'
import type { Timer } from '../lib/clock.ts'
import { ExternalError } from '../lib/errors.ts'
import type { StockRequest } from '../workspace/workspace.ts'
import type { Capabilities } from './capabilities.ts'

/** From a change to the look: what the change set off (a run's start, say) goes first, and a burst is looked at once. */
const QUIET_MS = 1_000
/** Open tasks that are looked at for one that was started; those before it in line are waiting for the same base. */
const LOOK_AT = 20

export interface StockKeeper {
  /** Something changed. Costs a timer. */
  kick(): void
  /** Makes nothing more, removes what idle projects need no more, and resolves when nothing of it runs. */
  stop(): Promise<void>
}

export function makeStockKeeper(
  capabilities: Pick<Capabilities, 'timers'> & {
    store: Pick<Capabilities['store'], 'listProjects' | 'listTasks' | 'getTask'>
  } & {
    workspaces: Pick<Capabilities['workspaces'], 'stock'>
  },
  onError: (error: unknown) => void,
): StockKeeper {
  const { store, workspaces, timers } = capabilities
  const abort = new AbortController()
  let timer: Timer | undefined
  let running: Promise<void> | null = null
  let again = false

  async function stock(): Promise<void> {
    try {
      const known = store.listProjects().map((project) => project.id)
      const wanted = known.flatMap((project) => wantedBy(store, project))
      await workspaces.stock({ wanted, known, signal: abort.signal })
    } catch (error) {
      // Whoever needs a place hears of trouble with the disk or the mirror; without a pool it is only slower.
      if (!(error instanceof ExternalError)) onError(error)
    }
  }

  function kick(): void {
    again = true
    if (timer || running || abort.signal.aborted) return
    timer = timers.after(QUIET_MS, () => {
      timer = undefined
      again = false
      running = stock().finally(() => {
        running = null
        if (again) kick()
      })
    })
  }

  async function stop(): Promise<void> {
    timer?.cancel()
    abort.abort()
    await running
    await stock()
  }

  return { kick, stop }
}

/** Nothing for a project without open tasks, or whose first one has not been started yet. */
function wantedBy(store: Pick<Capabilities['store'], 'listTasks' | 'getTask'>, project: string): StockRequest[] {
  const statuses = TASK_STATUSES.filter((status) => !isTerminal(status))
  for (const line of store.listTasks({ project, statuses, limit: LOOK_AT })) {
    const task = store.getTask(line.id)?.state
    if (task?.baseSha && task.policy)
      return [{ project, sha: task.baseSha, sparse: task.policy.checkout?.sparse ?? [] }]
  }
  return []
}
