// The checks of a plain command: prompt on stdin, the handoff directory in ORCH_HANDOFF, lines of text, an exit code.

import { type PipedProcess, startPiped } from '../lib/process.ts'
import type { Report, Trial } from './conformance-report.ts'
import type { Site } from './conformance-site.ts'
import { CANCEL_PROMPT, seconds, tellWork, within, workPrompt } from './conformance-work.ts'
import { findAgentProcesses, signalProcess } from './process-tree.ts'

const TURN_LIMIT_MS = 10 * 60_000
const END_LIMIT_MS = 5_000
/** How long it may work at its long command before it is told to end. */
const WORK_MS = 5_000

interface Started {
  child: PipedProcess
  firstOutputAt: () => number | null
}

async function start(site: Site, prompt: string): Promise<Started> {
  let first: number | null = null
  const onOutput = (): void => {
    first ??= performance.now()
  }
  const child = await startPiped({ ...site.start, cwd: site.workspace, stderr: 'keep', onOutput })
  child.write(prompt)
  child.closeInput()
  const stop = (): void => void child.end(0)
  site.signal.addEventListener('abort', stop)
  void child.exited.then(() => site.signal.removeEventListener('abort', stop))
  return { child, firstOutputAt: () => first }
}

/** All checks; each needs a prompt. */
export async function checkCommand(site: Site, { report, prompts }: Trial): Promise<void> {
  if (!prompts) {
    report.warn('prompt answered', 'not tried: a plain command shows nothing without a prompt', 'leave out --no-prompt')
    return
  }
  await checkWork(site, report)
  if (!site.signal.aborted) await checkSigterm(site, report)
}

async function checkWork(site: Site, report: Report): Promise<void> {
  const { child, firstOutputAt } = await start(site, workPrompt(site.handoff))
  const ended = await within(child.exited, TURN_LIMIT_MS)
  const endedAt = performance.now()
  if (!ended) {
    report.fail(
      'prompt answered',
      `it was still working after ${TURN_LIMIT_MS / 60_000} min, and was ended`,
      'read the prompt from stdin to its end, do the work, and end with exit code 0; ask nobody',
    )
  } else {
    const { exitCode, signal } = await child.exited
    const said = child.stderr().trim().slice(-500)
    if (exitCode === 0) report.ok('prompt answered', 'it ended with exit code 0')
    else
      report.fail(
        'prompt answered',
        `it ended ${signal === null ? `with exit code ${exitCode}` : `by ${signal}`}${said === '' ? '' : `; stderr ends: ${said}`}`,
        'end with exit code 0 when the work is done; anything else is a failed run',
      )
  }
  await child.end(0)
  const first = firstOutputAt()
  if (first !== null && endedAt - first > 0)
    report.ok('output', `its first came ${seconds(endedAt - first)} before its end`)
  else report.warn('output', 'it printed nothing', 'print what it does, a line at a time: people watch it')
  await tellWork(site, report)
  await site.sweep('after the work')
}

async function checkSigterm(site: Site, report: Report): Promise<void> {
  const { child } = await start(site, CANCEL_PROMPT)
  if (await within(child.exited, WORK_MS))
    report.warn('SIGTERM', 'it was done before it could be told to end', 'try again')
  else {
    const startedAt = performance.now()
    for (const pid of findAgentProcesses(child.pid)) signalProcess(pid, 'SIGTERM')
    if (await within(child.exited, END_LIMIT_MS))
      report.ok('SIGTERM', `it ended ${seconds(performance.now() - startedAt)} after SIGTERM`)
    else
      report.warn(
        'SIGTERM',
        `it went on for ${END_LIMIT_MS / 1_000} s after SIGTERM`,
        'end on SIGTERM; Orch kills it otherwise, and what it had not written is lost',
      )
  }
  await child.end(0)
  await site.sweep('after SIGTERM')
}
