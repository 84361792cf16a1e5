// Processes of the machine: pids that are used again, start times, boots.

import type { ProcessIdentity } from '../../src/lib/process-identity.ts'
import type { Process } from './chaos.ts'
import { loseRun } from './runs.ts'
import type { Sim } from './sim.ts'

/** Pids come round on a small machine: those of dead processes are given again. */
const PIDS = 5

export function spawn(sim: Sim, kind: Process['kind']): Process {
  const { machine, scheduler } = sim
  const taken = new Set(machine.live.map((process) => process.identity.pid))
  do machine.nextPid = (machine.nextPid % PIDS) + 1
  while (taken.has(machine.nextPid))
  const process: Process = {
    identity: { pid: machine.nextPid, startTime: Math.round(scheduler.elapsedMs()), bootId: machine.bootId },
    kind,
    alive: true,
    frozenUntil: 0,
    points: 0,
    diesAt: 0,
    die: () => bury(sim, process),
    stop: () => undefined,
  }
  machine.live.push(process)
  return process
}

function bury(sim: Sim, process: Process): void {
  process.alive = false
  sim.machine.live = sim.machine.live.filter((other) => other !== process)
  for (const watcher of sim.watchers) if (watcher.process === process) sim.watchers.delete(watcher)
}

export function isAlive(sim: Sim, identity: ProcessIdentity): boolean {
  return sim.machine.live.some(
    ({ identity: other }) =>
      other.pid === identity.pid && other.startTime === identity.startTime && other.bootId === identity.bootId,
  )
}

/** The power goes: every process and every run ends, and pids begin anew. */
export function reboot(sim: Sim): void {
  for (const process of sim.machine.live) if (process.kind === 'service') process.die()
  for (const run of sim.runs.values()) loseRun(sim, run)
  sim.machine.bootId = `boot-${sim.random.hex()}`
  sim.machine.nextPid = 0
}
