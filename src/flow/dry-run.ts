// The same handlers over a world that takes no writes: what they would do is decided and remembered for the moment, so that
// the second step sees the first, and nothing is kept, neither in the store nor at a vendor.

import type { RemoteForge, Tracker } from '../drivers/driver.ts'
import type { Store } from '../store/store.ts'
import { makeEngine } from './engine.ts'
import type { HappeningDeps } from './happenings.ts'

/** Reads pass; of the store only what the handlers write is taken over. */
export function dryRun(deps: HappeningDeps): HappeningDeps {
  const store = dryStore(deps.store)
  return {
    ...deps,
    store,
    engine: makeEngine({ store, now: deps.now, wake: () => undefined }),
    trackerOf: (project) => dryTracker(deps.trackerOf(project)),
    remoteForgeOf: (project) => dryForge(deps.remoteForgeOf(project)),
  }
}

/** Every write that is not among these throws: a handler that learns to write something else must say here what that is. */
function dryStore(real: Store): Store {
  const tasks = new Map<string, ReturnType<Store['getTask']>>()
  const seen = new Map<string, ReturnType<Store['seenIssue']>>()
  const marks = new Map<string, string>()
  const key = (...parts: string[]): string => JSON.stringify(parts)
  const dry: Partial<Store> = {
    getTask: (id) => tasks.get(id) ?? real.getTask(id),
    tasksOfOrigin: ({ project, origin }) => {
      const opened = [...tasks.values()].flatMap((one) =>
        one?.state.project === project && one.state.origin === origin ? [one.state.id] : [],
      )
      return [...new Set([...real.tasksOfOrigin({ project, origin }), ...opened])]
    },
    seenIssue: (of) => seen.get(key(of.project, of.issue)) ?? real.seenIssue(of),
    mark: (of) => marks.get(key(of.project, of.what)) ?? real.mark(of),
    commit: async ({ aggregates, events }) => {
      for (const change of aggregates)
        if (change.kind === 'task') tasks.set(change.id, { version: change.expected + 1, state: change.state })
      return { ok: true, seqs: events.map((_event, index) => index), jobIds: [] }
    },
    putSeenIssue: async ({ project, issue, ...state }) => {
      seen.set(key(project, issue), state)
      return true
    },
    saveChange: async (change) => ({ ...change, number: change.number ?? 0 }),
    putMark: async ({ project, what, value }) => void marks.set(key(project, what), value),
  }
  return new Proxy(real, {
    get(store, name) {
      if (Object.hasOwn(dry, name)) return dry[name as keyof Store]
      if (READS.has(name as keyof Store)) return store[name as keyof Store]
      throw new Error(`a dry run may not call the store's ${String(name)}`)
    },
  })
}

const READS: ReadonlySet<keyof Store> = new Set([
  'listProjects',
  'listTasks',
  'countTasks',
  'getRepository',
  'getAccount',
  'dependantsOf',
  'tasksWithEndedDependency',
  'listEvents',
  'listRuns',
  'getRun',
  'listChanges',
  'getChange',
])

function dryTracker(real: Tracker | null): Tracker | null {
  return (
    real && {
      ...real,
      ensureView: async () => ({ missing: [] }),
      ensureComment: async () => ({ url: '' }),
      ensureReaction: async () => true,
    }
  )
}

function dryForge(real: RemoteForge | null): RemoteForge | null {
  const refuse = async (): Promise<never> => Promise.reject(new Error('a dry run may not write to a forge'))
  return (
    real && {
      ...real,
      ensureChange: refuse,
      addReview: refuse,
      markMerged: refuse,
      closeChange: refuse,
      merge: refuse,
      ensureComment: async () => ({ url: '' }),
      ensureReply: async () => undefined,
      ensureReaction: async () => true,
    }
  )
}
