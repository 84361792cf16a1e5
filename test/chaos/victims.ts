// Whom a round may kill: found by pid from Orch's own files and /proc, never by name.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type World, processesOf } from '../acceptance/harness.ts'
import type { Dice } from './dice.ts'
import { type ProcessIdentity, isSameProcessAlive } from '../../src/lib/process-identity.ts'

/** `helper`: what an orchestrator started for itself, such as git or a test; `everybody`: as when the power goes. */
export type VictimKind = 'orchestrator' | 'supervisor' | 'agent' | 'helper' | 'everybody'

export interface Victim {
  as: VictimKind
  pids: number[]
  /** Of which run or orchestrator, for the log. */
  of: string
}

/** Chooses one of a kind; an orchestrator where there is none of it now, null where there is none of those either. */
export function findVictim(request: { as: VictimKind; world: World; ups: number[]; dice: Dice }): Victim | null {
  const { as, world, ups, dice } = request
  const runs = liveRuns(world.home)
  const run = dice.one(runs)
  const up = dice.one(ups)
  const inRuns = new Set(runs.flatMap(({ supervisor }) => [supervisor, ...descendantsOf(supervisor)]))
  const chosen: Record<VictimKind, (number | undefined)[]> = {
    orchestrator: [up],
    supervisor: [run?.supervisor],
    agent: run ? [dice.one(descendantsOf(run.supervisor))] : [],
    helper: up === undefined ? [] : [dice.one(descendantsOf(up).filter((pid) => !inRuns.has(pid)))],
    everybody: processesOf(world.dir).map((one) => one.pid),
  }
  const pids = chosen[as].filter((pid) => pid !== undefined)
  const of = as === 'supervisor' || as === 'agent' ? run?.run : up
  if (pids.length > 0) return { as, pids, of: String(of ?? 'nobody') }
  return up === undefined ? null : { as: 'orchestrator', pids: [up], of: String(up) }
}

export function commandOf(pid: number): string {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0')
    return words.slice(0, 4).join(' ').replaceAll('\n', ' ').slice(-80)
  } catch {
    return 'gone'
  }
}

interface LiveRun {
  run: string
  supervisor: number
}

/** Runs whose supervisor lives, by the files that supervisors leave. */
function liveRuns(home: string): LiveRun[] {
  const folder = join(home, 'runs')
  if (!existsSync(folder)) return []
  return readdirSync(folder).flatMap((run) => {
    const record = readIdentity(join(folder, run, 'supervisor.json'))
    return record && isSameProcessAlive(record) ? [{ run, supervisor: record.pid }] : []
  })
}

function readIdentity(path: string): ProcessIdentity | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as ProcessIdentity
  } catch {
    return null
  }
}

/** All live descendants of a process: an agent with its wrappers and all that it started, below its supervisor. */
function descendantsOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) => {
      const text = readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim()
      const children = text === '' ? [] : text.split(' ').map(Number)
      return children.flatMap((child) => [child, ...descendantsOf(child)])
    })
  } catch {
    return []
  }
}

/** Runs at work in a task's name, by the environment of living agents. */
export function agentRuns(dir: string): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>()
  for (const entry of readdirSync('/proc')) {
    const environment = /^\d+$/.test(entry) ? environmentOf(entry) : ''
    if (!environment.includes(dir)) continue
    const value = (name: string): string | undefined =>
      environment
        .split('\0')
        .find((line) => line.startsWith(`${name}=`))
        ?.slice(name.length + 1)
    const task = value('ORCH_TASK')
    const run = value('ORCH_RUN')
    if (task !== undefined && run !== undefined) found.set(task, (found.get(task) ?? new Set()).add(run))
  }
  return found
}

function environmentOf(pid: string): string {
  try {
    if (/^State:\s*[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) return ''
    return readFileSync(`/proc/${pid}/environ`, 'latin1')
  } catch {
    return ''
  }
}
