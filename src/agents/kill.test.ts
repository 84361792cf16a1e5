// Killing is complete: whatever an agent has started and however it hides, nothing of it lives when its run is over.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { RunSpec } from './agent.ts'
import { findContainments, HIDE, makeTestRuns, untilSaid } from './__fixtures__/runs.ts'
import { readRecord } from './run-files.ts'

const runs = makeTestRuns()
const { runner } = runs
afterAll(runs.close)

/** What lives and has the text in its arguments, by the last word of them. */
function holdersOf(text: string): string[] {
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return []
    try {
      const command = readFileSync(`/proc/${entry}/cmdline`, 'utf8')
      if (!command.includes(text) || /^State:\s*[ZX]/m.test(readFileSync(`/proc/${entry}/status`, 'utf8'))) return []
      return [command.split('\0').find((word) => word.includes(text)) ?? '']
    } catch {
      return []
    }
  })
}

const supervisorOf = (runId: string): number => readRecord(runner.dir(runId), 'supervisor')?.pid ?? 0

interface Way {
  changes?: Partial<RunSpec>
  flood?: boolean
  act?: (runId: string) => Promise<void> | void
  kind: string
}

const WAYS: [string, Way][] = [
  ['a cancel', { act: (runId) => runner.stop(runId, 'test'), kind: 'cancelled' }],
  ['its time limit', { changes: { timeLimitMs: 2_500 }, kind: 'timed-out' }],
  ['its stall limit', { changes: { stallMs: 1_200 }, kind: 'stalled' }],
  ['a flood of output', { changes: { logCapBytes: 100_000 }, flood: true, kind: 'failed' }],
  [
    'its supervisor killed, and a wait',
    { act: (runId) => void process.kill(supervisorOf(runId), 'SIGKILL'), kind: 'lost' },
  ],
  [
    'its supervisor killed, and a cancel',
    {
      act: (runId) => {
        process.kill(supervisorOf(runId), 'SIGKILL')
        return runner.stop(runId, 'test')
      },
      kind: 'lost',
    },
  ],
]

// A process that gives up its environment, its parent and its session within milliseconds is known to nobody where there
// is neither a namespace nor a cgroup: `orch doctor` says so.
const found = await findContainments()
describe.skipIf(process.platform !== 'linux').each(found)('contained by %s (needs /proc)', (containment) => {
  test.each(WAYS)('nothing is left after %s', async (_, way) => {
    const mark = join(runs.runsDir, `hidden-${containment}-${crypto.randomUUID()}`)
    const bare = containment === 'none' ? 'kept' : 'bare'
    const base = runs.spec('hang', { in: containment, graceMs: 200, ...way.changes })
    const args = [...(base.args.length > 1 ? base.args.slice(0, -2) : []), ...(base.args.length > 1 ? [HIDE] : [])]
    const spec = {
      ...base,
      file: base.args.length > 1 ? base.file : HIDE,
      args: [...args, mark, bare, ...(way.flood ? ['flood'] : [])],
    }
    await runner.start(spec)
    await untilSaid(runner, spec.runId, 'hidden')
    if (!way.flood) {
      const names = ['deaf', 'orphan', 'nohup', 'stopped', 'closed', ...(bare === 'bare' ? ['bare'] : [])]
      expect(holdersOf(mark)).toEqual(expect.arrayContaining(names.map((name) => `${mark}.${name}`)))
    }
    await way.act?.(spec.runId)
    expect((await runner.wait(spec.runId)).outcome.kind).toBe(way.kind)
    expect(holdersOf(mark)).toEqual([])
  })
})
