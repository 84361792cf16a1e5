// What the runner's tests share: a runner on the real supervisor in a temporary folder, and the containments found here.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { endGroup, makeGroup, placeOfGroup } from '../../lib/cgroup.ts'
import { runProcess, sleep } from '../../lib/process.ts'
import { makeAdapters } from '../adapters.ts'
import type { Runner, RunSpec } from '../agent.ts'
import { findRunProcesses } from '../process-tree.ts'
import { markOf } from '../run-files.ts'
import { makeRunner } from '../runner.ts'

const at = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
export const SUPERVISOR = at('../supervisor.ts')
export const SCRIPTED = at('../scripted-agent.ts')
export const ACP = at('../acp-agent.ts')
export const AGENT = at('./agent.sh')
export const HIDE = at('./hide.sh')
export const START_AND_LEAVE = at('./start-and-leave.ts')
export const START_TOGETHER = at('./start-together.ts')
export const PATH = process.env['PATH'] ?? '/usr/bin:/bin'

export type Containment = 'none' | 'cgroup' | 'bwrap' | 'unshare'

const ENDS: Record<Containment, RunSpec['containment']> = {
  none: 'marker',
  cgroup: 'cgroup',
  bwrap: 'pid-namespace',
  unshare: 'pid-namespace',
}

const WRAPPERS: Record<Containment, string[]> = {
  none: [],
  cgroup: [],
  bwrap: [
    'bwrap',
    '--unshare-all',
    '--share-net',
    '--die-with-parent',
    '--new-session',
    '--bind',
    '/',
    '/',
    '--dev',
    '/dev',
    '--proc',
    '/proc',
    '--',
  ],
  unshare: ['unshare', '--user', '--map-root-user', '--pid', '--fork', '--kill-child', '--mount-proc', '--'],
}

/** Those containments that work on this machine. */
export async function findContainments(): Promise<Containment[]> {
  const found: Containment[] = ['none']
  const place = placeOfGroup({ pid: process.pid, startTime: 0 })
  if (place && makeGroup(place)) {
    await endGroup(place)
    found.push('cgroup')
  }
  for (const name of ['bwrap', 'unshare'] as const) {
    const [file = '', ...args] = WRAPPERS[name]
    const result = await runProcess({ argv: [file, ...args, 'true'], env: { PATH }, timeoutMs: 5_000 })
    if (result.outcome === 'exited' && result.exitCode === 0) found.push(name)
  }
  return found
}

export interface TestRuns {
  runner: Runner
  runsDir: string
  /** A spec for one behaviour of agent.sh. */
  spec(behaviour: string, changes?: Partial<RunSpec> & { in?: Containment }): RunSpec
  /** Ends whatever is left and removes the folder. */
  close(): Promise<void>
}

let serial = 0

export function makeTestRuns(): TestRuns {
  const runsDir = mkdtempSync(join(tmpdir(), 'orch-runs-'))
  const runner = makeRunner({
    runsDir,
    supervisor: [process.execPath, SUPERVISOR],
    adapters: makeAdapters({ scripted: [process.execPath, SCRIPTED], acp: [process.execPath, ACP] }),
  })
  const started: string[] = []
  return {
    runner,
    runsDir,
    spec(behaviour, changes = {}) {
      const { in: containment = 'none', ...rest } = changes
      const argv = [...WRAPPERS[containment], AGENT, behaviour]
      serial += 1
      const runId = `test-${process.pid}-${serial}`
      started.push(runId)
      return {
        runId,
        task: 'T-1',
        agent: 'command',
        resumed: false,
        file: argv[0] ?? AGENT,
        args: argv.slice(1),
        env: { PATH },
        cwd: runsDir,
        prompt: 'do it',
        timeLimitMs: 20_000,
        stallMs: 20_000,
        graceMs: 300,
        logCapBytes: 1 << 20,
        containment: ENDS[containment],
        ...rest,
      }
    },
    async close() {
      for (const runId of started) await runner.stop(runId, 'test')
      rmSync(runsDir, { recursive: true, force: true })
    },
  }
}

/** The first line of a run's output that holds the text. */
export async function untilSaid(runner: Runner, runId: string, text: string): Promise<string> {
  for await (const line of runner.stream(runId, { from: 'start', raw: true, signal: AbortSignal.timeout(5_000) }))
    if (line.includes(text)) return line
  throw new Error(`"${text}" was never said by ${runId}`)
}

/** Live processes of the run in a folder, its supervisor not counted; waits a moment for the kernel to finish with a killed namespace. */
export async function survivorsOf(dir: string, patienceMs = 0): Promise<number[]> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    const found = await findRunProcesses(markOf(dir), null)
    if (found.length === 0 || performance.now() >= deadline) return found
    await sleep(10)
  }
}
