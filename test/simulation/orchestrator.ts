// A service as `orch up` runs it, on simulated time: the real loop, engine, worker, handlers, reconciler and store.

import { makeEngine, type Engine } from '../../src/flow/engine.ts'
import type { Capabilities } from '../../src/flow/capabilities.ts'
import { makeHandlers } from '../../src/flow/flow.ts'
import { workerName } from '../../src/flow/reconcile.ts'
import { serve } from '../../src/flow/service.ts'
import type { OutsideDeps } from '../../src/flow/outside.ts'
import type { Handlers } from '../../src/flow/worker.ts'
import type { EffectKind } from '../../src/core/messages.ts'
import { makeSimCapabilities } from './capabilities.ts'
import { type Process, jobAtWork } from './chaos.ts'
import { gateStore } from './gated-store.ts'
import { spawn } from './processes.ts'
import type { Sim, Watcher } from './sim.ts'
import { startSimOutside } from './vendor-service.ts'

export interface Instance {
  process: Process
  capabilities: Capabilities
  engine: Engine
}

/** A process with its own handle on the database. */
export async function makeInstance(sim: Sim, kind: Process['kind']): Promise<Instance> {
  const process = spawn(sim, kind)
  const store = gateStore(sim, process, await sim.openStore())
  const capabilities = makeSimCapabilities(sim, process, store)
  const engine = makeEngine({ store, now: sim.scheduler.now, wake: capabilities.wake })
  return { process, capabilities, engine }
}

/** Starts a service; it runs until its process dies or `stop` ends it in good order. `over` is called then. */
export function startService(sim: Sim, over: () => void): void {
  const abort = new AbortController()
  void begin(sim, abort).catch((error: unknown) => sim.errors.push(error))

  async function begin(world: Sim, stopping: AbortController): Promise<void> {
    const instance = await makeInstance(world, 'service')
    const { process } = instance
    process.diesAt = deathOf(world)
    const { die } = process
    let isOver = false
    const end = (): void => {
      if (isOver) return
      isOver = true
      die()
      over()
    }
    process.die = end
    process.stop = () => stopping.abort()
    const loop = {
      capabilities: instance.capabilities,
      engine: instance.engine,
      handlers: named(makeHandlers(instance.capabilities, instance.engine)),
      onError: (error: unknown) => world.errors.push(error),
      settleRestore: () => Promise.resolve([]),
      startOutside: (deps: OutsideDeps) => startSimOutside(world, process, deps),
      watch: (changed: () => void) => watch(world, process, changed),
    }
    const options = { untilIdle: false, timerWaitMs: 0, signal: stopping.signal }
    await serve(loop, { options, worker: workerName(process.identity) })
    end()
  }
}

/** The point at which it will die, if it gets there: some die young, in the middle of their recovery. */
function deathOf({ random, chaos, plan }: Sim): number {
  if (chaos.isCalm || random.chance(0.4)) return 0
  const isFirst = chaos.deathsLeft === plan.deaths
  return !isFirst && random.chance(0.5) ? random.int(1, 12) : random.int(1, 400)
}

function watch(sim: Sim, process: Process, changed: () => void): () => void {
  const watcher: Watcher = { process, changed, isTold: false }
  sim.watchers.add(watcher)
  return () => sim.watchers.delete(watcher)
}

/** Everything that a handler does is known by its job. */
function named(handlers: Handlers): Handlers {
  const kinds = Object.keys(handlers) as EffectKind[]
  return Object.fromEntries(
    kinds.map((kind) => {
      const handler = handlers[kind]
      return [kind, (job, context) => jobAtWork.run({ kind, id: job.id }, () => handler(job, context))] as const
    }) satisfies (readonly [EffectKind, Handlers[EffectKind]])[],
  ) as Handlers
}
