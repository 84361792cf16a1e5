// Finding and ending every process of a run, wherever it went: children, re-parented ones, other sessions.
// Invariant: a pid is signalled only right after it was seen to belong to the run. Lean: the supervisor loads this.

import { readdirSync, readFileSync } from 'node:fs'
import { endGroup } from '../lib/cgroup.ts'
import { runProcess, sleep } from '../lib/process.ts'
import { identifyProcess, type ProcessIdentity, isSameProcessAlive } from '../lib/process-identity.ts'
import type { RunSpec } from './agent.ts'
import { RUN_MARKER } from './run-files.ts'

/** One process as the system lists it. */
interface Listed {
  pid: number
  parent: number
  marked: boolean
}

/** Wrappers that stand between the supervisor and the agent, and between a namespace's first process and the agent. */
const WRAPPERS = new Set(['bwrap', 'unshare', 'setpriv'])

/**
 * Looks that are taken at most to be sure that nobody is there. Of a chain of processes that live for milliseconds, each
 * the parent of the next, about every third look sees one. On a machine where others come and go so many cost half a
 * second, so a few do where the kernel has ended everybody already.
 */
const MOST_LOOKS = { marker: 50, 'pid-namespace': 10, cgroup: 10 } as const
/** A process that had no environment in so many looks is not in the middle of an exec: it has none. */
const BLANK_LOOKS = 10
/** PF_KTHREAD of the kernel's include/linux/sched.h: a kernel thread, which never has an environment. */
const KERNEL_THREAD = 0x00200000

/** All live descendants of a process, nearest first. */
function findDescendants(root: number): number[] {
  const found: number[] = []
  const queue = [root]
  for (let pid = queue.shift(); pid !== undefined; pid = queue.shift()) {
    for (const child of childrenOf(pid)) {
      found.push(child)
      queue.push(child)
    }
  }
  return found
}

/**
 * The processes to tell that the run should end: the agent itself, below any sandbox wrapper, with those of its
 * process group (a shell's command). A wrapper would die of the signal and take the agent along without a word.
 */
export function findAgentProcesses(root: number): number[] {
  const agents = belowWrappers(root)
  const targets = new Set<number>()
  for (const agent of agents) {
    targets.add(agent)
    const group = statOf(agent)?.group
    const below = findDescendants(agent)
    for (const pid of below) if (statOf(pid)?.group === group) targets.add(pid)
    // The first process of a pid namespace gets no signal it has no handler for; its children do.
    if (isNamespaceInit(agent)) for (const pid of childrenOf(agent)) targets.add(pid)
  }
  return [...targets]
}

/** Every live process of the run: descendants of `root` (if given) and whoever carries its mark (`markOf`). Never ourselves. */
export async function findRunProcesses(
  mark: string,
  root: number | null,
  how: { containment?: RunSpec['containment'] | undefined; onMarked?: (pid: number) => void } = {},
): Promise<number[]> {
  const { containment = 'marker', onMarked = () => undefined } = how
  const request = { mark, mostLooks: MOST_LOOKS[containment], onMarked }
  const listed = process.platform === 'linux' ? await listForSure(request) : await listFromPs(mark)
  const members = new Set(listed.filter((entry) => entry.marked || entry.pid === root).map((entry) => entry.pid))
  for (let grown = true; grown;) {
    grown = false
    for (const { pid, parent } of listed) {
      if (members.has(parent) && !members.has(pid)) {
        members.add(pid)
        grown = true
      }
    }
  }
  members.delete(process.pid)
  return [...members]
}

/**
 * Ends every process of a run with SIGKILL, again and again until a look finds none.
 * Gives those that could not be ended within the limit (a process stuck in the kernel).
 */
export async function killRun(request: {
  mark: string
  root: number | null
  /** Absent: nothing is known to hold it together. */
  containment?: RunSpec['containment'] | undefined
  known?: ProcessIdentity[]
  /** The run's cgroup, which is removed. */
  group?: string | undefined
  limitMs?: number
}): Promise<number[]> {
  const stuck = request.group === undefined ? [] : await endGroup(request.group, request.limitMs)
  const deadline = performance.now() + (request.limitMs ?? 10_000)
  for (;;) {
    // On sight: of a chain whose links live for milliseconds none is left by the end of a look.
    const end = (pid: number): void => void (pid !== process.pid && signalProcess(pid, 'SIGKILL'))
    const { containment } = request
    const found = await findRunProcesses(request.mark, request.root, { containment, onMarked: end })
    const known = (request.known ?? [])
      .filter((identity) => isSameProcessAlive(identity))
      .map((identity) => identity.pid)
    const all = [...new Set([...found, ...known])]
    if (all.length === 0) return stuck
    for (const pid of all) signalProcess(pid, 'SIGKILL')
    if (performance.now() > deadline) return [...new Set([...stuck, ...all])]
    await sleep(5)
  }
}

/** Signals one process; false when it is gone or not ours. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal)
    return true
  } catch {
    return false
  }
}

function belowWrappers(pid: number): number[] {
  const name = statOf(pid)?.name
  if (name === undefined) return []
  if (!WRAPPERS.has(name)) return [pid]
  return childrenOf(pid).flatMap(belowWrappers)
}

function isNamespaceInit(pid: number): boolean {
  try {
    const line = /^NSpid:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? ''
    const ids = line.split(/\s+/)
    return ids.length > 1 && ids.at(-1) === '1'
  } catch {
    return false
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) => {
      const text = readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim()
      return text === '' ? [] : text.split(' ').map(Number)
    })
  } catch {
    return []
  }
}

interface Stat {
  name: string
  state: string
  parent: number
  group: number
  flags: number
}

function statOf(pid: number): Stat | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const end = stat.lastIndexOf(')')
    const fields = stat.slice(end + 2).split(' ')
    return {
      name: stat.slice(stat.indexOf('(') + 1, end),
      state: fields[0] ?? '',
      parent: Number(fields[1]),
      group: Number(fields[2]),
      flags: Number(fields[6]),
    }
  } catch {
    return null
  }
}

interface Search {
  mark: string
  mostLooks: number
  /** Called at once for each process that carries the mark. */
  onMarked: (pid: number) => void
}

/**
 * Looks again while it has found nobody and may have missed somebody: a process that went away meanwhile may have left a
 * child behind that is too young for the list, and one in the middle of an exec has no environment for a moment.
 */
async function listForSure({ mark, mostLooks, onMarked }: Search): Promise<Listed[]> {
  const blanks = new Map<number, number>()
  let knownDead = new Set<number>()
  for (let look = 1; ; look += 1) {
    const { listed, blank, dead, gone } = listFromProc(mark, onMarked)
    for (const pid of blank) blanks.set(pid, (blanks.get(pid) ?? 0) + 1)
    const nobodyEnded = !gone && dead.every((pid) => knownDead.has(pid))
    const sure = nobodyEnded && blank.every((pid) => (blanks.get(pid) ?? 0) >= BLANK_LOOKS)
    knownDead = new Set(dead)
    if (sure || look === mostLooks || listed.some(({ marked }) => marked)) return listed
    await sleep(1)
  }
}

/** Everybody in one look; who had no environment then; who is dead and not reaped; whether somebody went away meanwhile. */
function listFromProc(
  mark: string,
  onMarked: (pid: number) => void,
): { listed: Listed[]; blank: number[]; dead: number[]; gone: boolean } {
  const listed: Listed[] = []
  const blank: number[] = []
  const dead: number[] = []
  let gone = false
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry)
    if (!Number.isInteger(pid)) continue
    const stat = statOf(pid)
    if (!stat) gone = true
    // A zombie is dead already; whoever should reap it may never do so.
    if (stat?.state === 'Z' || stat?.state === 'X') dead.push(pid)
    if (!stat || stat.state === 'Z' || stat.state === 'X') continue
    const marked = carriesMarker(pid, mark)
    if (marked === true) onMarked(pid)
    if (marked === 'unknown' && (stat.flags & KERNEL_THREAD) === 0) blank.push(pid)
    listed.push({ pid, parent: stat.parent, marked: marked === true })
  }
  return { listed, blank, dead, gone }
}

function carriesMarker(pid: number, mark: string): boolean | 'unknown' {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8')
    return environment === '' ? 'unknown' : `\0${environment}`.includes(`\0${RUN_MARKER}=${mark}\0`)
  } catch (error) {
    // Somebody else's, or gone. Only the second may have left a child.
    return error instanceof Error && 'code' in error && error.code === 'EACCES' ? false : 'unknown'
  }
}

/** Where there is no /proc: `ps` shows the environment of the user's own processes after the command. */
async function listFromPs(mark: string): Promise<Listed[]> {
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C' }
  const result = await runProcess({
    argv: ['ps', '-A', '-E', '-ww', '-o', 'pid=,ppid=,stat=,command='],
    env,
    timeoutMs: 10_000,
    outputCapBytes: 64 << 20,
  })
  return parsePs(result.stdout, mark)
}

/** Parses `ps -o pid=,ppid=,stat=,command=` with the environment behind the command. */
export function parsePs(text: string, mark: string): Listed[] {
  const listed: Listed[] = []
  for (const line of text.split('\n')) {
    const match = /^\s*(\d+)\s+(\d+)\s+(\S+)\s(.*)$/.exec(line)
    if (!match || match[3]?.startsWith('Z')) continue
    const marked = ` ${match[4]} `.includes(` ${RUN_MARKER}=${mark} `)
    listed.push({ pid: Number(match[1]), parent: Number(match[2]), marked })
  }
  return listed
}

/** Identities of a process's present descendants, to find them again should they slip away from their parents. */
export function identifyDescendants(root: number): ProcessIdentity[] {
  return findDescendants(root).flatMap((pid) => identifyProcess(pid) ?? [])
}
