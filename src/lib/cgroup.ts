// Groups of processes that the kernel keeps (cgroup v2, a group for each run or command): whoever is in one stays in it
// with all that it starts, whatever it does to its session, its parents or its environment; the kernel ends all at once.
// A subreaper would need prctl(2), which Node can't call. Only a process that may write our own group's files can leave
// on purpose. Lean: the supervisor loads this.

import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmdirSync, writeFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { sleep } from './process.ts'
import { identifyProcess } from './process-identity.ts'

/** Longest wait for a killed group to be empty; only a process stuck in the kernel takes so long. */
const END_LIMIT_MS = 10_000

/** The folder of the group that we are in, or null where there is no cgroup v2 to be seen. */
function findOwnGroup(): string | null {
  try {
    return parseOwnGroup(readFileSync('/proc/self/cgroup', 'utf8'), readFileSync('/proc/self/mountinfo', 'utf8'))
  } catch {
    return null
  }
}

/** From /proc/self/cgroup and /proc/self/mountinfo; null when our group lies outside of what is mounted. */
export function parseOwnGroup(cgroup: string, mountinfo: string): string | null {
  const path = /^0::(\/.*)$/m.exec(cgroup)?.[1]
  // A group outside of our cgroup namespace is shown from its root upwards.
  if (path === undefined || path.startsWith('/..')) return null
  for (const line of mountinfo.split('\n')) {
    const [place = '', type = ''] = line.split(' - ')
    if (!type.startsWith('cgroup2 ')) continue
    const [root = '/', at = '/'] = place.split(' ').slice(3, 5).map(unescapeMount)
    const below = posix.relative(root, path)
    if (below !== '..' && !below.startsWith('../')) return posix.join(at, below)
  }
  return null
}

/** Spaces and their like are octal in mountinfo (proc(5)). */
const unescapeMount = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)))

/**
 * The place of a new group of a process of ours, or null where there can be none. The name says whose it is, in which pid
 * namespace, so that what a killed owner leaves can be found. Makes nothing.
 */
export function placeOfGroup(owner: { pid: number; startTime: number }, serial = 0): string | null {
  const own = findOwnGroup()
  const namespace = pidNamespace()
  return own && namespace && join(own, `orch-${namespace}-${owner.pid}-${owner.startTime}-${serial}`)
}

function pidNamespace(): string | null {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? null
  } catch {
    return null
  }
}

/** True for a path that `placeOfGroup` may have made: what is read from a file must name no other group. */
function isOurs(path: string): boolean {
  return /\/orch-\d+-\d+-\d+-\d+$/.test(path)
}

/** Makes the group; false where that isn't allowed. */
export function makeGroup(path: string): boolean {
  try {
    mkdirSync(path)
    return true
  } catch {
    return false
  }
}

const ENTER = 'echo 0 >"$0/cgroup.procs" || { echo "cgroup: $0 could not be entered" >&2; exit 125; }; exec "$@"'

/** A command that enters the group before it becomes the given one, so that nothing of it was ever outside. */
export function inGroup(path: string, argv: readonly string[]): [string, ...string[]] {
  return ['/bin/sh', '-c', ENTER, path, ...argv]
}

/** Live processes of a group and the groups below it; none when it is gone. */
export function membersOf(path: string): number[] {
  try {
    const own = readFileSync(join(path, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number)
    return [...own, ...groupsIn(path).flatMap(membersOf)]
  } catch {
    return []
  }
}

const groupsIn = (path: string): string[] =>
  readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(path, entry.name))

/** Ends everything in a group and removes it. Gives whoever is left after the limit. May be called again. */
export async function endGroup(path: string, limitMs = END_LIMIT_MS): Promise<number[]> {
  if (!isOurs(path)) return []
  const deadline = performance.now() + limitMs
  for (;;) {
    kill(path)
    const left = membersOf(path)
    if (left.length === 0 && removeGroup(path)) return []
    if (performance.now() > deadline) return left
    await sleep(2)
  }
}

/** All at once where the kernel can (5.14), however fast they fork; else one after the other, again and again. */
function kill(path: string): void {
  try {
    writeFileSync(join(path, 'cgroup.kill'), '1', { flag: 'r+' })
  } catch {
    for (const pid of membersOf(path)) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It ended meanwhile.
      }
    }
  }
}

/** False when something is still in it. */
function removeGroup(path: string): boolean {
  try {
    for (const below of groupsIn(path)) removeGroup(below)
    rmdirSync(path)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT'
  }
}

/** Ends the groups, beside our own place, whose owner died without doing so. Gives how many there were. */
export async function endOrphanedGroups(): Promise<number> {
  const own = findOwnGroup()
  const namespace = pidNamespace()
  if (!own || !namespace) return 0
  const orphaned = namesIn(own).filter((name) => {
    const [, of, pid, startTime] = /^orch-(\d+)-(\d+)-(\d+)-\d+$/.exec(name) ?? []
    return of === namespace && identifyProcess(Number(pid))?.startTime !== Number(startTime)
  })
  for (const name of orphaned) await endGroup(join(own, name))
  return orphaned.length
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}
