// Which process is which. Apart from `process.ts`, so that who only asks does not load what starts processes.

import { readFileSync } from 'node:fs'

/** A process for sure: a pid alone may be somebody else's after a while (S3). */
export interface ProcessIdentity {
  pid: number
  /** Field 22 of /proc/PID/stat, in clock ticks since boot; 0 where there is no /proc. */
  startTime: number
  bootId: string
}

/** The identity of a live process, or null when there is none (a zombie counts as none). */
export function identifyProcess(pid: number): ProcessIdentity | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the name in parentheses and may hold anything, so count from the last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z' || fields[0] === 'X') return null
    return { pid, startTime: Number(fields[19]), bootId: bootId() }
  } catch {
    if (process.platform === 'linux') return null
    try {
      process.kill(pid, 0)
      return { pid, startTime: 0, bootId: bootId() }
    } catch {
      return null
    }
  }
}

/** True when exactly that process still lives. */
export function isSameProcessAlive(identity: ProcessIdentity): boolean {
  const now = identifyProcess(identity.pid)
  return now !== null && now.startTime === identity.startTime && now.bootId === identity.bootId
}

let knownBootId: string | undefined

/** Identity of this boot of the machine; empty where the system has none. */
function bootId(): string {
  if (knownBootId === undefined) {
    try {
      knownBootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    } catch {
      knownBootId = ''
    }
  }
  return knownBootId
}
