// Runs of one subject through the runner and its adapter, put together as Orch does it.
// Invariant: the run's HOME is empty. What a subject needs of the person's comes by its adapter, as in Orch's sandbox.

import { chmodSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import {
  type Containment,
  findContainments,
  makeTestRuns,
  PATH,
  survivorsOf,
} from '../../src/agents/__fixtures__/runs.ts'
import type { AgentCommand, Runner, RunReport, RunSpec } from '../../src/agents/agent.ts'
import { lendCredentials, writeSettings } from '../../src/agents/credentials.ts'
import { runFiles } from '../../src/agents/run-files.ts'
import type { AgentProgram } from '../../src/core/policy.ts'
import { addUsage, NO_USAGE } from '../../src/core/run.ts'
import { endProcess, processesOf } from '../acceptance/harness.ts'
import { ensureInstalled, type Installed } from './install.ts'
import { type ModelServer, startModelServer } from './model-server.ts'
import { environmentOf, makeSiteIn, type Site } from './site.ts'
import type { Subject } from './subject.ts'
import { saveTranscript } from './transcripts.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const GARBLE = fileURLToPath(new URL('./garble.ts', import.meta.url))
const GRACE_MS = 5_000
/** As in Orch; a prompt may come back whole. */
const LOG_CAP_BYTES = 256 << 20
/** A killed namespace's processes are gone a moment after its first one. */
const KERNEL_PATIENCE_MS = 5_000

export interface Play {
  script: string
  /** Runs that resume a session share one. Default: a new one. */
  site?: Site
  attempt?: number
  /** The session's earlier runs, the latest one last: it is resumed. */
  resume?: Pick<RunReport, 'sessionId' | 'usage' | 'costUsd'>[]
  timeLimitMs?: number
  /** Whether the adapter is told that a sandbox is around it. Default true. */
  sandboxed?: boolean
  /** What really is around it. Default: bubblewrap where it works. */
  in?: Containment
  /** Its output goes through the garbler. */
  garbled?: boolean
}

export interface StartedRun {
  runId: string
  site: Site
}

export interface SubjectRuns {
  installed: Installed
  server: ModelServer
  runner: Runner
  makeSite(): Promise<Site>
  start(play: Play): Promise<StartedRun>
  /** Plays a run to its end, which leaves nobody; its transcript is kept under `name` when there is one. */
  play(name: string | null, play: Play): Promise<RunReport>
  /** Live processes of a run, whatever they did with their environment. */
  leftOf(run: StartedRun): Promise<unknown[]>
  close(): Promise<void>
}

/** Installs what is missing, starts the model server. Throws when a pinned CLI can't be installed: none is skipped. */
export async function makeSubjectRuns(subject: Subject): Promise<SubjectRuns> {
  const installed = await ensureInstalled()
  const server = await startModelServer(installed.aimock)
  const runs = makeTestRuns()
  const { runner } = runs
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'orch-subject-')))
  const best: Containment = (await findContainments()).includes('bwrap') ? 'bwrap' : 'none'
  let sites = 0
  const makeSite = (): Promise<Site> => makeSiteIn(join(root, `site-${(sites += 1)}`), subject, server.url)

  async function start(play: Play): Promise<StartedRun> {
    const site = play.site ?? (await makeSite())
    const { resume = [], in: containment = best } = play
    const command = await commandOf({ subject, installed, url: server.url, play, site })
    const { file, args, ...wrapped } = runs.spec('', { in: containment })
    const around = containment === 'none' ? [] : [file, ...args.slice(0, -2)]
    const [first = '', ...rest] = [...around, command.file, ...command.args]
    const spec: RunSpec = {
      ...wrapped,
      agent: subject.adapter.name,
      resumed: resume.length > 0,
      previousUsage: resume.length === 0 ? null : resume.map((run) => run.usage).reduce(addUsage, NO_USAGE),
      previousCostUsd: resume.length === 0 ? null : resume.reduce((sum, run) => sum + run.costUsd, 0),
      file: first,
      args: rest,
      env: { ...environmentOf(site), ...command.env, ORCH_HANDOFF: site.handoff },
      cwd: site.workspace,
      prompt: promptOf(site, play),
      timeLimitMs: play.timeLimitMs ?? subject.runMs ?? 60_000,
      stallMs: 600_000,
      graceMs: GRACE_MS,
      logCapBytes: LOG_CAP_BYTES,
    }
    await runner.start(spec)
    return { runId: spec.runId, site }
  }

  async function leftOf({ runId, site }: StartedRun): Promise<unknown[]> {
    const marked = await survivorsOf(runner.dir(runId), KERNEL_PATIENCE_MS)
    return [...marked, ...processesOf(`${site.dir}/`)]
  }

  return {
    installed,
    server,
    runner,
    makeSite,
    start,
    leftOf,
    async play(name, play) {
      const run = await start(play)
      const report = await runner.wait(run.runId)
      expect(await leftOf(run)).toEqual([])
      const places = {
        runs: run.site.dir,
        programs: dirname(dirname(dirname(dirname(installed.aimock)))),
        project: ROOT,
      }
      const log = runFiles(runner.dir(run.runId)).output
      if (name !== null) saveTranscript({ folder: subject.transcripts, name, log, places })
      return report
    },
    async close() {
      await runs.close()
      await server.stop()
      // Only what a failed test found left.
      for (const { pid } of processesOf(`${root}/`)) endProcess(pid)
      rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
    },
  }
}

/** The adapter's command for a run, with what it lends and writes in place. */
async function commandOf(at: {
  subject: Subject
  installed: Installed
  url: string
  play: Play
  site: Site
}): Promise<AgentCommand> {
  const { subject, installed, url, play, site } = at
  const env = { HOME: site.home, PATH, ...subject.env({ url, home: site.home }) }
  const plain = subject.program(installed)
  const program = play.garbled ? garbled(plain, site) : plain
  const found = await subject.adapter.find(program, env)
  if (!found) throw new Error(`${subject.title} was not found as ${JSON.stringify(program)}`)
  const command = subject.adapter.command({
    program,
    path: found.path,
    model: subject.model,
    effort: null,
    resume: play.resume?.at(-1)?.sessionId ?? null,
    configDir: site.config,
    sandboxed: play.sandboxed ?? true,
    env,
  })
  await lendCredentials(command.credentials, site.config)
  await writeSettings(command.files ?? [], site.config)
  return command
}

/** As Orch makes one, as far as the script needs it. */
function promptOf({ handoff }: Site, { attempt = 1, script }: Play): string {
  const header = `Orch-Task: T-1\nOrch-Stage: develop\nOrch-Role: developer\nOrch-Attempt: ${attempt}\nOrch-Handoff: ${handoff}\n`
  return `${header}\nDo the task.\n\n\`\`\`model-script\n${script}\n\`\`\`\n`
}

/** The same program with the garbler around it. */
function garbled(program: AgentProgram, site: Site): AgentProgram {
  const file = join(site.dir, 'garbled')
  const own = program.command === undefined ? `'${program.bin}' ` : ''
  writeFileSync(file, `#!/bin/sh\nexec '${process.execPath}' '${GARBLE}' ${own}"$@"\n`)
  chmodSync(file, 0o755)
  return program.command === undefined ? { bin: file } : { command: `${file} ${program.command}` }
}
