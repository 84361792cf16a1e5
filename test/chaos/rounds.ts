// The rounds: orchestrators are started, somebody is killed at a random moment, and cheap things are asked of what is
// left, again and again in changing weather. Then the disturbance ends, and what is held is let go on as `orch why` says.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { StatusView } from '../../src/flow/app.ts'
import { type Live, type World, endProcess, sleep } from '../acceptance/harness.ts'
import { type Dice, makeDice } from './dice.ts'
import type { Site, Weather } from './site.ts'
import { type Victim, type VictimKind, agentRuns, commandOf, findVictim } from './victims.ts'

export interface Phase {
  name: string
  /** Its share of all rounds. */
  share: number
  orchestrators: 1 | 2
  begin?: (weather: Weather) => void
  end?: (weather: Weather) => void
  /** Whom a round kills, instead of the usual. */
  victims?: VictimKind[]
  /** Orch may say no or leave while this lasts: there is no room for a row. */
  noRoom?: boolean
}

export interface Plan {
  seed: number
  rounds: number
  phases: Phase[]
}

/** Whom a round kills, as often as it stands here. */
const VICTIMS: VictimKind[] = [
  ...Array<VictimKind>(3).fill('orchestrator'),
  ...Array<VictimKind>(3).fill('supervisor'),
  ...Array<VictimKind>(3).fill('agent'),
  'helper',
  'everybody',
]

export interface Course {
  site: Site
  /** By number, less one. */
  tasks: string[]
  played: number
  kills: Record<VictimKind, number>
  retries: number
  /** What was found wrong on the way, in sentences. */
  problems: string[]
  /** What was done, for whoever has to understand a failure. */
  log: string[]
}

interface Rounds extends Course {
  dice: Dice
  ups: Live[]
  phase: Phase
  main: string
}

const MOMENTS = ['run.begun', 'run.ended', 'stage.judged', 'change.intended', 'merge.intended', 'task.landed']

/** Tasks on the move that a round should find, so that there is something to kill. */
const MOVING_TASKS = 4
/** More are never open: in weather in which nothing lands they would only pile up. */
const OPEN_TASKS = 12
/** Held tasks that are let go on in a round, as an impatient person does. */
const RETRIES_A_ROUND = 2

/** Plays all rounds and lets everything come to rest. Problems are collected, none thrown, but for the test's own. */
export async function play(site: Site, plan: Plan): Promise<Course> {
  const [phase] = plan.phases
  if (!phase) throw new Error('a plan without a phase')
  const rounds: Rounds = {
    site,
    phase,
    dice: makeDice(plan.seed),
    ups: [],
    tasks: [],
    played: 0,
    kills: { orchestrator: 0, supervisor: 0, agent: 0, helper: 0, everybody: 0 },
    retries: 0,
    problems: [],
    log: [],
    main: await site.world.git('rev-parse', 'main'),
  }
  for (rounds.phase of plan.phases) {
    rounds.phase.begin?.(site.weather)
    const count = Math.max(1, Math.round(rounds.phase.share * plan.rounds))
    for (let n = 1; n <= count; n++) await playRound(rounds, `${rounds.phase.name} ${n}`)
    rounds.phase.end?.(site.weather)
  }
  for (const up of rounds.ups) up.kill('SIGKILL')
  await Promise.all(rounds.ups.map((up) => up.ended))
  await comeToRest(rounds)
  return rounds
}

async function playRound(rounds: Rounds, name: string): Promise<void> {
  const { dice, phase } = rounds
  rounds.played++
  note(rounds, `round ${name}`)
  // Without room an orchestrator doesn't even start: the disk gets full while it is at work.
  if (phase.noRoom) rounds.site.weather.freeDisk()
  const fresh = startMissing(rounds)
  const open = await lookAround(rounds)
  await feed(rounds, open)
  await letGoOn(rounds, open)
  if (fresh && (phase.noRoom || dice.chance(0.7))) await untilServing(rounds)
  if (phase.noRoom) rounds.site.weather.fillDisk()
  if (dice.chance(0.5)) await sleep(dice.between(50, dice.chance(0.5) ? 700 : 2_500))
  else await untilMoment(rounds)
  await noteEnded(rounds)
  if (phase.noRoom && dice.chance(0.5)) {
    // With room for a moment, so that the disk is full at other lines too.
    rounds.site.weather.freeDisk()
    await sleep(dice.between(50, 1_500))
    rounds.site.weather.fillDisk()
    await sleep(dice.between(50, 800))
  }
  await strike(rounds)
  await sleep(dice.between(0, 300))
}

/** Starts orchestrators until there are as many as the phase wants; true when one was started. */
function startMissing(rounds: Rounds): boolean {
  const { world } = rounds.site
  const missing = rounds.phase.orchestrators - rounds.ups.length
  for (let n = 0; n < missing; n++) {
    const up = world.start(['up', '--json'], { env: { ORCH_UNSAFE_NO_LOCK: '1' } })
    rounds.ups.push(up)
    note(rounds, `orchestrator ${up.pid} started`)
  }
  // A phase for one has no use for the second of the phase before.
  for (const up of rounds.ups.splice(rounds.phase.orchestrators)) up.kill('SIGKILL')
  return missing > 0
}

/** Until the newest orchestrator has come to its work; a while when it doesn't. */
async function untilServing({ site, ups }: Rounds): Promise<void> {
  const pid = ups.at(-1)?.pid
  for (let looks = 0; looks < 100; looks++) {
    try {
      const service = JSON.parse(readFileSync(join(site.world.home, 'service.json'), 'utf8')) as { pid: number }
      if (service.pid === pid) return
    } catch {
      // Not written yet, or on a full disk never.
    }
    await sleep(20)
  }
}

/**
 * Until something is told that is followed by an effect, or was one's end: pushes and merges are over in milliseconds, and
 * blind blows hardly ever meet them. A while, when nothing of the kind happens.
 */
async function untilMoment({ dice, ups }: Rounds): Promise<void> {
  const told = (): string => ups.map((up) => up.stdout()).join('')
  const awaited = `"type":"${dice.one(MOMENTS)}"`
  const count = (): number => told().split(awaited).length
  const before = count()
  for (let looks = 0; looks < 300 && count() === before; looks++) await sleep(10)
  await sleep(dice.between(0, 150))
}

/** Orchestrators don't end by themselves, whatever happens around them. */
async function noteEnded(rounds: Rounds): Promise<void> {
  for (const up of rounds.ups) {
    if (identityGone(up.pid)) {
      const { code, signal, stderr } = await up.ended
      rounds.ups = rounds.ups.filter((other) => other !== up)
      const text = `orchestrator ${up.pid} ended by itself (${code ?? signal}): ${stderr.slice(-1_000)}`
      // Without room for its own files none can start; one line and exit 6 is all that is asked of it.
      if (rounds.phase.noRoom && code === 6) note(rounds, text)
      else problem(rounds, text)
    }
  }
}

function identityGone(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return /^State:\s*[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return true
  }
}

/** What must hold after any crash at once: Orch answers, no task has two runs at work, main moved forward. */
async function lookAround(rounds: Rounds): Promise<StatusView['tasks']> {
  const { world } = rounds.site
  for (const [task, runs] of await doubled(world))
    problem(rounds, `two runs of ${task} are at work at once: ${[...runs].join(', ')}`)
  await checkMain(rounds)
  const status = await world.orch(['status', '--json'])
  if (status.code === 0) return status.json<StatusView>().tasks
  const text = `orch status ended with ${status.code ?? status.signal}: ${status.stderr}`
  if (rounds.phase.noRoom && status.code === 6) note(rounds, text)
  else problem(rounds, text)
  return []
}

/** Tasks for which two runs are at work; one that is just dying gets a moment. */
async function doubled(world: World): Promise<[string, Set<string>][]> {
  const look = (): [string, Set<string>][] => [...agentRuns(world.dir)].filter(([, runs]) => runs.size > 1)
  const first = look()
  if (first.length === 0) return first
  await sleep(1_000)
  const pairs = new Set(first.map(([task, runs]) => `${task} ${[...runs].toSorted().join()}`))
  return look().filter(([task, runs]) => pairs.has(`${task} ${[...runs].toSorted().join()}`))
}

async function checkMain(rounds: Rounds): Promise<void> {
  const { world } = rounds.site
  // The remote may be out of reach: for us too, then.
  const now = await world.git('rev-parse', 'main').catch(() => rounds.main)
  if (now === rounds.main) return
  const forward = await world.git('merge-base', '--is-ancestor', rounds.main, now).then(
    () => true,
    () => false,
  )
  if (!forward) problem(rounds, `main went from ${rounds.main} to ${now}, which does not hold it`)
  rounds.main = now
}

async function feed(rounds: Rounds, open: StatusView['tasks']): Promise<void> {
  const moving = open.filter((task) => task.status === 'queued' || task.status === 'running').length
  const wanted = Math.min(MOVING_TASKS - moving, OPEN_TASKS - open.length)
  for (let n = 0; n < wanted; n++) rounds.tasks.push(await rounds.site.add(rounds.tasks.length + 1))
}

/** Does what `orch why` names for some of the tasks that wait for a time or a person, as an impatient person would. */
async function letGoOn(rounds: Rounds, open: StatusView['tasks']): Promise<void> {
  const waiting = open.filter(
    (task) => task.status === 'needs_review' || task.waitingFor === 'timer' || task.waitingFor === 'limit',
  )
  for (let n = 0; n < RETRIES_A_ROUND && waiting.length > 0; n++) {
    const task = rounds.dice.one(waiting)
    if (task && rounds.dice.chance(0.7)) await retry(rounds, task.id)
  }
}

/** Retries a task if `orch why` says so; an orchestrator may have been quicker. */
async function retry(rounds: Rounds, id: string): Promise<void> {
  const { world } = rounds.site
  const why = await world.orch(['why', id, '--json'])
  if (why.code !== 0 || !why.stdout.includes(`orch task retry ${id}`)) return
  const retried = await world.orch(['task', 'retry', id])
  if (retried.code === 0) rounds.retries++
  note(rounds, `retry ${id}: ${retried.code === 0 ? 'ok' : retried.stderr.trim()} (${why.stdout.slice(0, 300)})`)
}

/** Kills somebody, with SIGKILL. Whoever isn't there and doesn't come soon is replaced by an orchestrator. */
async function strike(rounds: Rounds): Promise<void> {
  const { dice, phase, site } = rounds
  const asked = dice.one(phase.victims ?? VICTIMS) ?? 'orchestrator'
  const ups = rounds.ups.map((up) => up.pid)
  const look = (): Victim | null => findVictim({ as: asked, world: site.world, ups, dice })
  let victim = look()
  for (let looks = 0; looks < 100 && victim?.as !== asked; looks++) {
    await sleep(20)
    victim = look()
  }
  if (!victim) return
  const commands = victim.pids.map((pid) => `${pid} ${commandOf(pid)}`).join(', ')
  for (const pid of victim.pids) endProcess(pid)
  rounds.kills[victim.as]++
  note(rounds, `kill -9 of ${victim.as} ${commands} (${victim.of})`)
  const dead = rounds.ups.filter((up) => victim.pids.includes(up.pid))
  await Promise.all(dead.map((up) => up.ended))
  rounds.ups = rounds.ups.filter((up) => !dead.includes(up))
}

/** How often a person comes by who does what `orch why` says. */
const VISITS = 6

async function comeToRest(rounds: Rounds): Promise<void> {
  const { world } = rounds.site
  for (let visit = 1; visit <= VISITS; visit++) {
    note(rounds, `to rest ${visit}`)
    const up = await world.orch(['up', '--until-idle', '--timer-wait', '1s', '--json'], { timeoutMs: 600_000 })
    if (up.code !== 0) problem(rounds, `orch up --until-idle ended with ${up.code ?? up.signal}: ${up.stderr}`)
    await checkMain(rounds)
    const { tasks } = (await world.ok(['status', '--json'])).json<StatusView>()
    if (tasks.length === 0 || visit === VISITS) return
    for (const { id } of tasks) await retry(rounds, id)
  }
}

function note(rounds: Rounds, text: string): void {
  rounds.log.push(`${new Date().toISOString().slice(11, 23)} ${text}`)
}

function problem(rounds: Rounds, text: string): void {
  note(rounds, `PROBLEM: ${text}`)
  rounds.problems.push(text)
}
