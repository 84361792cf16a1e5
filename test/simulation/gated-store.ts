// The real store as one process sees it: each durable write takes a moment, may be the last thing the process does, and is
// looked at by the checks once it is made.

import { makeQueries } from '../../src/store/sqlite-queries.ts'
import type { Store } from '../../src/store/store.ts'
import { checkWrite } from './check-writes.ts'
import { type JobAtWork, type Process, jobAtWork, step } from './chaos.ts'
import type { Sim } from './sim.ts'

/** Every method that is no read counts as a write, so that a new one is not forgotten. */
export function gateStore(sim: Sim, process: Process, store: Store): Store {
  const reads = new Set([...Object.keys(makeQueries(sim.sql)), 'leaseHolders', 'close'])
  const gated = { ...store }
  for (const name of Object.keys(store) as (keyof Store)[]) {
    if (reads.has(name)) continue
    const write = store[name] as (...args: unknown[]) => Promise<unknown>
    const gatedWrite = (...args: unknown[]): Promise<unknown> => {
      // A look at an empty queue writes nothing.
      if (name === 'claim' && isQueueEmpty(store, args)) return Promise.resolve(null)
      return throughGate(sim, process, { name, args, write })
    }
    Object.assign(gated, { [name]: gatedWrite })
  }
  return gated
}

function isQueueEmpty(store: Store, args: unknown[]): boolean {
  const { ready, nextDueAt } = store.jobSummary()
  const [{ now }] = args as Parameters<Store['claim']>
  return ready === 0 && (nextDueAt === null || nextDueAt > now)
}

interface Write {
  name: keyof Store
  args: unknown[]
  write: (...args: unknown[]) => Promise<unknown>
}

async function throughGate(sim: Sim, process: Process, { name, args, write }: Write): Promise<unknown> {
  const label = name === 'commit' ? `commit ${nameOf(args as Parameters<Store['commit']>)}` : name
  // The transaction itself is synchronous, so the promise is settled when the next event happens.
  const result = await step(sim, process, {
    name: label,
    job: jobAtWork.getStore() ?? jobOf(sim, args),
    // Now and then a disk or another's lock makes it wait: then others get in between.
    takes: isHeldUp(sim, process, name) ? [0, 4_000] : [0, 3],
    apply: () => {
      const written = write(...args)
      sim.chaos.writes += 1
      void written.then(
        (value) => checkWrite(sim, process, { name, args, value }),
        (error: unknown) => sim.errors.push(error),
      )
      return written
    },
  })
  return result
}

function isHeldUp({ random, chaos }: Sim, { kind }: Process, name: string): boolean {
  return name === 'commit' && !chaos.isCalm && random.chance(kind === 'command' ? 0.5 : 0.2)
}

/** The job whose lease is shown. */
function jobOf(sim: Sim, [first]: unknown[]): JobAtWork | undefined {
  const { fence, jobId } = (first ?? {}) as { fence?: { jobId: number }; jobId?: number }
  return sim.leases.get(fence?.jobId ?? jobId ?? 0)?.job
}

/** A commit is known by the first thing that it says. */
function nameOf([commit]: Parameters<Store['commit']>): string {
  return commit.events[0]?.body.event.type ?? 'nothing'
}
