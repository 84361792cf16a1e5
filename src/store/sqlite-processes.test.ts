import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { runProcess } from '../lib/process.ts'
import { commitOf, queued, runEffect } from './__fixtures__/commits.ts'
import { rowMismatches } from './test-fold-journal.ts'
import { openStore } from './sqlite.ts'

const UPDATES = 400
const JOBS = 600

interface Report {
  jobs: number[]
  conflicts: number
  p99Ms: number
  maxMs: number
}

test(
  'two processes on one database lose no update, claim no job twice, block no loop',
  { timeout: 60_000 },
  async () => {
    const dir = mkdtempSync(join(tmpdir(), 'orch-processes-'))
    const path = join(dir, 'orch.db')
    const store = await openStore(path)
    const effects = Array.from({ length: JOBS }, (_, n) =>
      queued(runEffect(`A-${n}`), { lane: `lane-${n % 7}`, laneCapacity: 2, rank: n }),
    )
    await store.commit(commitOf({ effects }))
    const script = fileURLToPath(new URL('./__fixtures__/hammer.ts', import.meta.url))
    const hammer = async (worker: string): Promise<Report> => {
      const result = await runProcess({
        argv: [process.execPath, script, path, worker, String(UPDATES)],
        env: {},
        timeoutMs: 50_000,
      })
      expect(result).toMatchObject({ outcome: 'exited', exitCode: 0, stderr: '' })
      return JSON.parse(result.stdout) as Report
    }
    const reports = await Promise.all([hammer('w1'), hammer('w2')])
    const jobs = reports.flatMap((report) => report.jobs)
    expect(new Set(jobs).size).toBe(jobs.length)
    expect(jobs).toHaveLength(JOBS)
    expect(store.getAccount('claude')).toMatchObject({ version: 2 * UPDATES, state: { runs: 2 * UPDATES } })
    expect(store.jobSummary()).toEqual({ ready: 0, delayed: 0, running: 0, nextDueAt: null })
    expect(rowMismatches(store)).toEqual([])
    // They did meet, or this would prove nothing.
    expect(reports.reduce((sum, report) => sum + report.conflicts, 0)).toBeGreaterThan(0)
    // A loop may stand still for its own disk's sync, so the rare worst case is the disk's; the usual case is ours.
    for (const report of reports) expect(report.p99Ms).toBeLessThan(50)
    store.close()
    rmSync(dir, { recursive: true, force: true })
  },
)
