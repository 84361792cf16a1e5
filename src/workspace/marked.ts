// Without a pid namespace a command's processes are those of its cgroup, where there are cgroups, and those that carry a
// mark in their environment, which they inherit.

import { readdir, readFile } from 'node:fs/promises'
import { makeGroup, placeOfGroup } from '../lib/cgroup.ts'
import { sleep } from '../lib/process.ts'
import { type ProcessIdentity, identifyProcess, isSameProcessAlive } from '../lib/process-identity.ts'

/** Name of the variable that marks a command's whole tree. */
export const MARK = 'ORCH_COMMAND_MARK'

/** Only a process stuck in the kernel takes so long. */
const END_LIMIT_MS = 10_000

export function newMark(): string {
  return crypto.randomUUID()
}

let groups = 0

/** A cgroup for one command, or null where there can be none. */
export function openCommandGroup(): string | null {
  const ourselves = identifyProcess(process.pid)
  const place = ourselves && placeOfGroup(ourselves, ++groups)
  return place && makeGroup(place) ? place : null
}

/** Ends every process that carries the mark, until a look finds none: a process may fork while it is looked for. */
export async function endMarked(mark: string): Promise<void> {
  const deadline = performance.now() + END_LIMIT_MS
  while (performance.now() < deadline) {
    const found = await findMarked(mark)
    if (found.length === 0) return
    for (const identity of found) if (isSameProcessAlive(identity)) kill(identity.pid)
    await sleep(20)
  }
}

async function findMarked(mark: string): Promise<ProcessIdentity[]> {
  const wanted = `${MARK}=${mark}`
  const found: ProcessIdentity[] = []
  const pids = (await readdir('/proc').catch(() => [])).filter(
    (name) => /^\d+$/.test(name) && Number(name) !== process.pid,
  )
  for (const pid of pids) {
    const environ = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
    if (!environ.includes(wanted)) continue
    const identity = identifyProcess(Number(pid))
    if (identity) found.push(identity)
  }
  return found
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself meanwhile.
  }
}
