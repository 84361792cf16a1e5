// The runner: starts a supervisor for each run, follows it by its files, ends it. It remembers nothing:
// Invariant: what is said of a run comes from its folder and from living processes, so any process at any time says the same.

import { existsSync } from 'node:fs'
import { mkdir, open, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ExternalError, isDiskFull, messageOf } from '../lib/errors.ts'
import { makeStarter, signalGroup, sleep, startDetached, type Starter } from '../lib/process.ts'
import { identifyProcess, isSameProcessAlive } from '../lib/process-identity.ts'
import type { AgentAdapter, RunEvent, Runner, RunReport, RunSpec } from './agent.ts'
import { followLines, makeWaker } from './follow.ts'
import { killRun, signalProcess } from './process-tree.ts'
import { contextOf, lastOutputAt, makeReport, readRecords, readTail } from './report.ts'
import { makeSurvey } from './survey.ts'
import { markOf, runFiles, type StopRecord, type StoredSpec, writeWhole } from './run-files.ts'

export interface RunnerOptions {
  /** Folder of all runs' folders. */
  runsDir: string
  /** What starts a supervisor: [node, its program]; the run's folder is added. */
  supervisor: readonly [string, ...string[]]
  adapters: Record<string, AgentAdapter>
}

/** A supervisor that has not claimed its run by then has failed. */
const START_LIMIT_MS = 15_000
/** Another start of the same run may be under way: its supervisor gets this long to show. */
const OTHER_START_MS = 300
/** How much longer than the grace a supervisor may take to end its tree before it is ended itself. */
const STOP_MARGIN_MS = 15_000

/** Makes the runner of one folder of runs. Several processes may use the same folder at once. */
export function makeRunner({ runsDir, supervisor, adapters }: RunnerOptions): Runner {
  function dir(runId: string): string {
    if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(runId))
      throw new Error(`"${runId}" can't be a run's id: letters, digits, ".", "_" and "-" only`)
    return join(runsDir, runId)
  }

  async function state(runId: string): Promise<'absent' | 'running' | 'ended' | 'lost'> {
    const folder = dir(runId)
    const { outcome, supervisor: record, broken } = readRecords(folder)
    if (outcome) return 'ended'
    if (broken.includes('outcome') || broken.includes('supervisor')) return 'lost'
    if (!record) return 'absent'
    if (isSameProcessAlive(record)) return 'running'
    // It may have left its outcome and gone between the two looks.
    return existsSync(runFiles(folder).outcome) ? 'ended' : 'lost'
  }

  async function wait(runId: string, options: { signal?: AbortSignal } = {}): Promise<RunReport> {
    const folder = dir(runId)
    const now = await untilOver({ runId, folder, state, ...options })
    const records = readRecords(folder)
    const { spec, supervisor: record } = records
    if (now === 'absent') throw new Error(`run ${runId} was never started in ${runsDir}`)
    if (now === 'lost')
      await killRun({ mark: markOf(folder), root: null, containment: spec?.containment, group: record?.group })
    return makeReport(folder, adapters, { ...records, runId, lastOutputAt: await lastOutputAt(folder) })
  }

  async function stop(runId: string, by: string): Promise<void> {
    await stopRun({ runId, by, folder: dir(runId), state })
  }

  function stream(
    runId: string,
    options: { from: 'start' | 'now'; raw: false; signal?: AbortSignal },
  ): AsyncIterable<RunEvent>
  function stream(
    runId: string,
    options: { from: 'start' | 'now'; raw: true; signal?: AbortSignal },
  ): AsyncIterable<string>
  function stream(
    runId: string,
    options: { from: 'start' | 'now'; raw: boolean; signal?: AbortSignal },
  ): AsyncIterable<RunEvent | string> {
    return streamRun({ runId, folder: dir(runId), adapters, state }, options)
  }

  // Nothing of our environment: the supervisor needs none, and would hand its marker on.
  const env = { PATH: '/usr/bin:/bin' }
  let starter: Starter | null | undefined
  const prepare = (): Starter | null => (starter === undefined ? (starter = makeStarter(supervisor, env)) : starter)

  /** Starts the supervisor of a run's folder; gives its pid. */
  async function launch(folder: string): Promise<number> {
    const log = runFiles(folder).supervisorLog
    // Made by us: the shell's own would not be private.
    await using file = await open(log, 'a', 0o600)
    const shell = prepare()
    if (shell) return shell.start({ cwd: folder, log })
    return startDetached({ argv: [...supervisor, folder], cwd: folder, env, stdout: file.fd, stderr: file.fd })
  }

  return {
    dir,
    state,
    wait,
    stop,
    stream,
    ...makeSurvey(runsDir, { dir, state, stop }),
    lastActivity: (runId) => lastOutputAt(dir(runId)),
    start: async (spec) => {
      if (!adapters[spec.agent])
        throw new Error(`unknown agent "${spec.agent}"; known: ${Object.keys(adapters).join(', ')}`)
      await startRun({ spec, folder: dir(spec.runId), launch })
    },
    prepare: () => void prepare(),
  }
}

interface OneRun {
  runId: string
  folder: string
  state: Runner['state']
}

/** Asks the supervisor to end its run; ends the tree without it when it is dead or hangs. */
async function stopRun({ runId, by, folder, state }: OneRun & { by: string }): Promise<void> {
  const { supervisor, spec, outcome } = readRecords(folder)
  if (outcome || !existsSync(folder)) return
  const files = runFiles(folder)
  // Who asked first is who ended it.
  if (!existsSync(files.stop)) writeWhole(files.stop, JSON.stringify({ by } satisfies StopRecord))
  if (supervisor && isSameProcessAlive(supervisor)) {
    signalProcess(supervisor.pid, 'SIGTERM')
    const limit = AbortSignal.timeout((spec?.graceMs ?? 0) + STOP_MARGIN_MS)
    const now = await untilOver({ runId, folder, state, signal: limit }).catch(() => 'running' as const)
    if (now === 'ended') return
    // A supervisor that hangs ends no tree.
    if (now === 'running' && isSameProcessAlive(supervisor)) signalProcess(supervisor.pid, 'SIGKILL')
  }
  await killRun({ mark: markOf(folder), root: null, containment: spec?.containment, group: supervisor?.group })
}

async function* streamRun(
  { runId, folder, state, adapters }: OneRun & { adapters: Record<string, AgentAdapter> },
  { from, raw, signal }: { from: 'start' | 'now'; raw: boolean; signal?: AbortSignal },
): AsyncGenerator<RunEvent | string> {
  const { spec, supervisor } = readRecords(folder)
  if (!spec && !supervisor) throw new Error(`run ${runId} was never started: there is no ${folder}`)
  const ended = async (): Promise<boolean> => ['ended', 'lost'].includes(await state(runId))
  const path = runFiles(folder).output
  const lines = followLines({ dir: folder, path, from, ended, ...(signal ? { signal } : {}) })
  const parser = raw || !spec ? undefined : adapters[spec.agent]?.parser(contextOf(spec))
  for await (const line of lines) {
    if (raw) yield line
    else if (parser) yield* parser.push(line)
  }
}

interface Waiting extends OneRun {
  signal?: AbortSignal
}

/** Resolves when a run runs no more. Rejects with the signal's reason when that aborts first. */
async function untilOver({ runId, folder, state, signal }: Waiting): Promise<'absent' | 'ended' | 'lost'> {
  const waker = makeWaker(folder)
  try {
    for (;;) {
      const now = await state(runId)
      if (now !== 'running') return now
      signal?.throwIfAborted()
      await waker.next(signal)
    }
  } finally {
    waker.close()
  }
}

/**
 * Starts a run's supervisor unless the run has one. Safe when called twice at once or after a crash at any line:
 * the supervisor itself claims the run, so a second one leaves at once.
 */
async function startRun(request: {
  spec: RunSpec
  folder: string
  launch: (folder: string) => Promise<number>
}): Promise<void> {
  const { spec, folder, launch } = request
  const files = runFiles(folder)
  const claimed = (): boolean => existsSync(files.supervisor) || existsSync(files.outcome)
  try {
    const made = await mkdir(folder, { recursive: true, mode: 0o700 })
    if (made === undefined) {
      for (let waited = 0; waited < OTHER_START_MS && !claimed(); waited += 20) await sleep(20)
    }
    if (claimed()) return
    const { prompt, ...stored } = spec
    await writeSpec(files.prompt, prompt)
    await writeSpec(files.spec, JSON.stringify(stored satisfies StoredSpec))
  } catch (error) {
    throw diskError(error, folder)
  }
  await untilClaimed({ claimed, pid: await launch(folder), folder })
}

/** Like `writeWhole`, but the loop goes on while the disk works. */
async function writeSpec(path: string, content: string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`
  await writeFile(temporary, content, { mode: 0o600, flush: true })
  await rename(temporary, path)
}

async function untilClaimed({
  claimed,
  pid,
  folder,
}: {
  claimed: () => boolean
  pid: number
  folder: string
}): Promise<void> {
  const waker = makeWaker(folder)
  const limit = AbortSignal.timeout(START_LIMIT_MS)
  const files = runFiles(folder)
  try {
    while (!claimed()) {
      const gone = identifyProcess(pid) === null
      if (claimed()) return
      if (gone || limit.aborted) {
        if (!gone) signalGroup(pid, 'SIGKILL')
        const said = (await readTail(files.supervisorLog, 2_000)).trim()
        const why = gone
          ? 'ended before it took over the run'
          : `did not take over the run within ${START_LIMIT_MS / 1_000} s`
        throw said.includes('ENOSPC')
          ? diskError(new Error('ENOSPC: no space left on device'), folder)
          : new Error(`the supervisor of ${folder} ${why}${said === '' ? '' : `: ${said}`}`)
      }
      await waker.next(limit)
    }
  } finally {
    waker.close()
  }
}

function diskError(error: unknown, folder: string): unknown {
  if (!isDiskFull(error) && !messageOf(error).includes('ENOSPC')) return error
  return new ExternalError({
    system: 'disk',
    kind: 'disk-full',
    message: `a run could not be prepared in ${folder}: the disk is full; free some space, then retry`,
    cause: error,
  })
}
