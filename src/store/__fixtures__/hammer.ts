// One of several processes that write one database as fast as they can: node hammer.ts PATH WORKER UPDATES
// Prints what it did and how long its event loop stood still, as JSON.

import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { evolveAccount, newAccount } from '../../core/account.ts'
import { openStore } from '../sqlite.ts'
import type { Store } from '../store.ts'
import { commitOf } from './commits.ts'

const [path = '', worker = '', updates = '0'] = process.argv.slice(2)

/** Reads, decides, commits; again when the other process was faster. Gives the number of lost races. */
async function charge(store: Store): Promise<number> {
  for (let lost = 0; ; lost++) {
    await nextTurn()
    const row = store.getAccount('claude') ?? { version: 0, state: newAccount('claude') }
    // Time for the other one to be faster.
    await nextTurn()
    const event = { type: 'account.charged' as const, data: { costUsd: 1 } }
    const state = evolveAccount(row.state, event)
    const aggregates = [{ kind: 'account' as const, id: 'claude', expected: row.version, state }]
    const result = await store.commit(
      commitOf({ aggregates, events: [{ id: 'claude', body: { stream: 'account', event } }] }),
    )
    if (result.ok) return lost
  }
}

const store = await openStore(path)
const delay = monitorEventLoopDelay({ resolution: 1 })
delay.enable()
const jobs: number[] = []
let conflicts = 0
for (let n = 0; n < Number(updates); n++) {
  conflicts += await charge(store)
  const job = await store.claim({ worker, now: 1, leaseMs: 60_000 })
  if (!job) continue
  jobs.push(job.id)
  await nextTurn()
  const ended = await store.commit(commitOf({ fence: { jobId: job.id, token: job.token, then: 'done' } }))
  if (!ended.ok) throw new Error(`job ${job.id} was taken away`)
}
delay.disable()
store.close()
console.log(JSON.stringify({ jobs, conflicts, p99Ms: delay.percentile(99) / 1e6, maxMs: delay.max / 1e6 }))
