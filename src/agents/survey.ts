// What there is of runs in one folder of runs, whoever knows of it: folders, supervisors, marked processes.
// One look at all processes, however many runs there are.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { Runner, SurveyedRun } from './agent.ts'
import { killRun } from './process-tree.ts'
import { markOf, RUN_MARKER, runFiles } from './run-files.ts'

type Survey = Pick<Runner, 'survey' | 'stopStrays'>

/** The runner's part that looks at all runs of a folder. */
export function makeSurvey(runsDir: string, runner: Pick<Runner, 'dir' | 'state' | 'stop'>): Survey {
  return {
    survey: () => surveyRuns(runsDir, runner),
    stopStrays: async (runId, by) => {
      await runner.stop(runId, by)
      // A run that has its outcome, or no folder, is nothing to stop; what carries its mark lives all the same.
      return killRun({ mark: `${markOf(runsDir)}/${runId}`, root: null })
    },
  }
}

async function surveyRuns(runsDir: string, runner: Pick<Runner, 'dir' | 'state'>): Promise<SurveyedRun[]> {
  const living = markedProcesses(markOf(runsDir))
  const runs: SurveyedRun[] = []
  for (const runId of new Set([...foldersIn(runsDir), ...living.keys()])) {
    const folder = runner.dir(runId)
    // Most runs ended long ago: their records need not be read for that.
    const state = existsSync(runFiles(folder).outcome) ? 'ended' : await runner.state(runId)
    runs.push({ runId, state, processes: living.get(runId) ?? [] })
  }
  return runs
}

function foldersIn(runsDir: string): string[] {
  try {
    const entries = readdirSync(runsDir, { withFileTypes: true })
    return entries.filter((entry) => entry.isDirectory() && isRunId(entry.name)).map((entry) => entry.name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

const isRunId = (name: string): boolean => /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(name)

/** Pids by the run whose mark they carry. Empty where there is no /proc: a run's own supervisor ends its tree there. */
function markedProcesses(runsDir: string): Map<string, number[]> {
  const found = new Map<string, number[]>()
  for (const entry of listProc()) {
    const pid = Number(entry)
    if (!Number.isInteger(pid)) continue
    const mark = markIn(pid)
    if (mark === null || dirname(mark) !== runsDir || !isRunId(basename(mark))) continue
    found.set(basename(mark), [...(found.get(basename(mark)) ?? []), pid])
  }
  return found
}

function listProc(): string[] {
  try {
    return readdirSync('/proc')
  } catch {
    return []
  }
}

function markIn(pid: number): string | null {
  try {
    const entry = readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .find((line) => line.startsWith(`${RUN_MARKER}=`))
    return entry?.slice(RUN_MARKER.length + 1) ?? null
  } catch {
    // Gone meanwhile, or another user's: a run is its user's own.
    return null
  }
}
