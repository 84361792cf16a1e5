// What a service hears of the vendor: its door for webhooks, the worker on what came in, and the looks that catch the rest;
// the same parts as in production, on simulated time.

import type { Capabilities } from '../../src/flow/capabilities.ts'
import type { Engine } from '../../src/flow/engine.ts'
import { makeDeliveryWorker } from '../../src/flow/apply-deliveries.ts'
import { makeDoor } from '../../src/flow/deliveries.ts'
import type { HappeningDeps } from '../../src/flow/happenings.ts'
import type { Outside, OutsideDeps } from '../../src/flow/outside.ts'
import { makePoll } from '../../src/flow/poll.ts'
import { resolveAt } from '../../src/flow/project.ts'
import { makeInLine } from '../../src/flow/in-line.ts'
import { identityOf } from '../../src/flow/reconcile.ts'
import { SECRET } from '../../src/flow/test-webhooks.ts'
import type { Timers } from '../../src/lib/clock.ts'
import { type Process, jobAtWork } from './chaos.ts'
import { isAlive } from './processes.ts'
import type { Sim } from './sim.ts'
import { DRIVER } from './vendor.ts'
import { simSource } from './vendor-api.ts'

const TICK_MS = 10_000
const SILENT = { add: () => undefined, flush: () => Promise.resolve() }

export async function startSimOutside(sim: Sim, process: Process, deps: OutsideDeps): Promise<Outside> {
  if (sim.vendors.size === 0) return { kick: () => undefined, isIdle: () => true, stop: () => Promise.resolve() }
  const { capabilities, engine } = deps
  const { store, now } = capabilities
  const happenings = happeningDeps(capabilities, engine)
  const sources = { [DRIVER]: simSource }
  const worker = makeDeliveryWorker({
    ...deps,
    store,
    happenings,
    selfAt: capabilities.selfAt,
    sources,
    audit: SILENT,
    now,
    timers: within('delivery', capabilities.timers),
  })
  const kick = (): void => as('delivery', () => worker.kick())
  await as('delivery', () => store.reclaimDeliveries({ now: now(), isDead: (name) => !isAlive(sim, identityOf(name)) }))
  const door = makeDoor({
    store,
    sources,
    secrets: { [DRIVER]: [SECRET] },
    settings: { host: '', port: 1, unsigned: false, maxBytes: 1_000_000 },
    audit: SILENT,
    health: capabilities.webhookHealth,
    now,
    onError: deps.onError,
    onNew: kick,
  })
  sim.doors.set(process, { ...door, ingest: (delivery) => as('delivery', () => door.ingest(delivery)) })
  const poll = startPoll(sim, deps, happenings)
  kick()
  return {
    kick,
    isIdle: () => true,
    stop: async () => {
      sim.doors.delete(process)
      await Promise.all([poll.stop(), worker.stop()])
    },
  }
}

function happeningDeps(capabilities: Capabilities, engine: Engine): HappeningDeps {
  return {
    ...capabilities,
    engine,
    // No vendor of a simulation is renamed.
    names: { recall: async ({ ref }) => ref },
    inLine: makeInLine(),
    configOf: async (project, pipeline) => {
      const mirror = await capabilities.workspaces.mirror(project)
      const base = await mirror.fetchBase(null)
      return resolveAt(capabilities, { project, mirror, sha: base.sha, baseName: base.branch, pipeline })
    },
  }
}

function startPoll(sim: Sim, deps: OutsideDeps, happenings: HappeningDeps): { stop(): Promise<void> } {
  const { capabilities, onError, onNotice } = deps
  const poll = makePoll({
    ...happenings,
    ...capabilities,
    heardAt: capabilities.webhookHealth.heardAt,
    engine: deps.engine,
    onError,
    onNotice,
  })
  let isStopped = false
  let looking: Promise<void> = Promise.resolve()
  const look = async (): Promise<void> => {
    const startedAt = sim.scheduler.elapsedMs()
    const before = [...sim.vendors.values()].map((vendor) => vendor.listedAt)
    let isWhole = true
    await poll({ onTrouble: () => (isWhole = false) }).catch((error: unknown) => {
      isWhole = false
      onError(error)
    })
    for (const [index, vendor] of [...sim.vendors.values()].entries())
      if (isWhole && vendor.listedAt !== before[index]) vendor.polledAt = startedAt
    if (!isStopped) capabilities.timers.after(TICK_MS * (0.75 + sim.random.next() / 2), begin)
  }
  const begin = (): void => {
    looking = as('poll', look)
  }
  begin()
  return {
    stop: async () => {
      isStopped = true
      await looking
    },
  }
}

function as<T>(kind: string, work: () => T): T {
  return jobAtWork.run({ kind, id: 0 }, work)
}

/** What happens later for it is known as its too. */
function within(kind: string, timers: Timers): Timers {
  return {
    ...timers,
    after: (ms, work) => timers.after(ms, () => as(kind, work)),
    every: (ms, work) => timers.every(ms, () => as(kind, work)),
  }
}
