// What happens around Orch: others push, refs are moved by force, remotes and the forge go away, clocks jump, processes are
// suspended, stopped, killed; the machine goes down.

import { move } from './git.ts'
import { reboot } from './processes.ts'
import { loseRun } from './runs.ts'
import { type Sim, remoteOf } from './sim.ts'

type Happening = (sim: Sim) => void

const MINUTE = 60_000

const HAPPENINGS: Record<string, Happening> = {
  'main moves': (sim) => moveMain(sim),
  'a branch is moved': (sim) => moveBranch(sim),
  'the remote is away': (sim) => {
    const remote = remoteOf(sim, sim.random.pick(sim.plan.projects))
    remote.isReachable = false
    // Now and then for longer than any budget of repeats lasts.
    const awayMs = sim.random.chance(0.15) ? sim.random.int(20, 45) * MINUTE : sim.random.int(5_000, 5 * MINUTE)
    sim.scheduler.at(awayMs, null, () => (remote.isReachable = true))
  },
  'main is protected': (sim) => {
    const remote = remoteOf(sim, sim.random.pick(sim.plan.projects))
    remote.isProtected = true
    sim.scheduler.at(sim.random.int(5_000, 5 * MINUTE), null, () => (remote.isProtected = false))
  },
  'the forge is away': (sim) => {
    sim.isForgeUp = false
    sim.scheduler.at(sim.random.int(5_000, 10 * MINUTE), null, () => (sim.isForgeUp = true))
  },
  'the forge limits us': (sim) => {
    for (const vendor of sim.vendors.values())
      vendor.limitedUntil = sim.scheduler.elapsedMs() + sim.random.int(5_000, 5 * MINUTE)
  },
  'no webhook comes through': (sim) => {
    for (const vendor of sim.vendors.values())
      vendor.muteUntil = sim.scheduler.elapsedMs() + sim.random.int(MINUTE, 15 * MINUTE)
  },
  'the clock jumps': (sim) => {
    const { random, scheduler } = sim
    scheduler.jump(random.pick([-1, 1]) * random.pick([5_000, 2 * MINUTE, 60 * MINUTE]))
  },
  'a service is suspended': (sim) => {
    const live = sim.machine.live.filter((process) => process.kind === 'service')
    if (live.length === 0) return
    sim.random.pick(live).frozenUntil = sim.scheduler.elapsedMs() + sim.random.int(20_000, 150_000)
  },
  'a service is stopped': (sim) => {
    for (const process of sim.machine.live) if (process.kind === 'service') process.stop()
  },
  'a service is killed': (sim) => {
    const live = sim.machine.live.filter((process) => process.kind === 'service')
    if (live.length > 0) sim.random.pick(live).die()
  },
  'a supervisor is killed': (sim) => {
    const live = [...sim.runs.values()].filter((run) => run.state === 'running')
    if (live.length > 0) loseRun(sim, sim.random.pick(live))
  },
  'the machine goes down': (sim) => {
    if (sim.random.chance(0.3)) reboot(sim)
  },
}

export const HAPPENING_NAMES = Object.keys(HAPPENINGS)
/** Those of a world without a vendor. */
const HERE = HAPPENING_NAMES.filter((name) => !/limits us|webhook/.test(name))

export function happen(sim: Sim): void {
  const name = sim.random.pick(sim.vendors.size > 0 ? HAPPENING_NAMES : HERE)
  sim.happened.add(name)
  HAPPENINGS[name]?.(sim)
}

/** Everything that is out of order comes back. */
export function settleDown(sim: Sim): void {
  sim.isForgeUp = true
  for (const vendor of sim.vendors.values()) Object.assign(vendor, { limitedUntil: 0, muteUntil: 0 })
  for (const remote of sim.remotes.values()) Object.assign(remote, { isReachable: true, isProtected: false })
}

/** Somebody pushes to main; now and then to its configuration. */
function moveMain(sim: Sim): void {
  const { random, objects } = sim
  const remote = remoteOf(sim, random.pick(sim.plan.projects))
  const tip = objects.get(remote.refs.get(remote.base) ?? '')
  const path = random.pick(['theirs', 'shared', '.orch.yml'])
  const files = { ...tip.files, [path]: random.hex() }
  const { sha } = objects.commit({ files, parents: [tip.sha], message: 'somebody’s', task: null })
  move(remote, { branch: remote.base, to: sha, by: 'outside' })
}

/** A task's branch is deleted, or moved by force to something else. */
function moveBranch(sim: Sim): void {
  const { random, objects } = sim
  const remote = remoteOf(sim, random.pick(sim.plan.projects))
  const branches = [...remote.refs.keys()].filter((name) => name !== remote.base)
  const taken = sim.store.listTasks({ limit: 10 }).map((line) => `orch/${line.id}-do-it`)
  const branch = random.pick([...branches, ...taken, 'topic'])
  if (random.chance(0.5)) {
    if (remote.refs.has(branch)) move(remote, { branch, to: null, by: 'outside' })
    return
  }
  const tip = objects.get(remote.refs.get(remote.base) ?? '')
  const files = { ...tip.files, theirs: random.hex() }
  const { sha } = objects.commit({ files, parents: [tip.sha], message: 'somebody’s', task: null })
  move(remote, { branch, to: sha, by: 'outside' })
}
