import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type App, type Effort, EFFORTS, type TaskView, type WhyView } from '../../../flow/app.ts'
import { UserError } from '../../../lib/errors.ts'
import { type Args, defineCommand } from '../command.ts'
import { callerOf } from '../common.ts'
import type { CliContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { paint, printJson, printLines, table } from '../print.ts'
import { runShown } from '../run-shown.ts'
import { sanitizeLine } from '../sanitize.ts'
import { runColumns } from '../task/runs.ts'
import { stopOnInterrupt } from '../up.ts'

const options = {
  model: { kind: 'text', value: 'MODEL', description: 'The model, as the agent names it (default: its own)' },
  effort: {
    kind: 'text',
    value: 'LEVEL',
    description: 'How hard it should think: low, medium or high (default: its own)',
    complete: EFFORTS,
  },
  keep: { kind: 'flag', description: 'Keep the sample repository and the logs, also when all went well' },
} as const

export const command = defineCommand({
  summary: 'Give an agent one tiny job, end to end, and say what it cost',
  details:
    'Makes a sample repository in a temporary folder and has the agent do one small task there: write it, review it, land it. It spends what two short runs cost. The program and the settings are those of this folder; your repositories and ORCH_HOME are not touched.\n' +
    'Exit code 0 when the change landed; 1 when it did not (then everything is kept, and where is said).',
  positionals: [{ name: 'NAME', required: true, description: 'The agent, such as `claude`', complete: 'agent' }],
  options,
  examples: ['orch agent test claude', 'orch agent test codex --effort low', 'orch agent test acp --keep --json'],
  mutates: true,
  needs: ['git'],
  run: testAgent,
})

/** A trial is watched by a person: it waits for no limit. */
const TIMER_WAIT_MS = 0

async function testAgent(
  { positionals: [name = ''], values, json }: Args<typeof options>,
  context: CliContext,
): Promise<number> {
  const effort = readEffort(values.effort)
  const user = await context.app()
  const agents = await user.agents(context.cwd)
  const view = agents.find((agent) => agent.name === name)
  const known = agents.map((agent) => agent.name).join(', ')
  if (!view) throw new UserError(EXIT.notFound, 'no-agent', `there is no agent "${name}"; known: ${known}`)
  if (!view.found) throw new UserError(EXIT.notReady, 'agent-missing', `agent ${name} can't be tried: ${view.note}`)
  const program = await user.agentProgram(context.cwd, name)
  const dir = await mkdtemp(join(tmpdir(), 'orch-trial-'))
  const stop = new AbortController()
  const release = stopOnInterrupt(stop, context)
  try {
    const app = await context.app({ home: join(dir, 'home') })
    const agent = { name, program, model: values.model ?? null, effort }
    const made = await app.trial({ agent, dir, actor: callerOf(context) })
    await runShown(app, { json, context, stop, timerWaitMs: TIMER_WAIT_MS })
    const task = app.reader.task(made.task)
    if (!task) throw new Error(`the trial's task ${made.task} is gone from ${dir}`)
    const passed = task.status === 'done' && task.runs.every((run) => run.agent === name)
    const kept = values.keep || !passed ? dir : null
    const why = passed ? null : app.reader.why(task.id)
    if (!passed) await endWork(app, { task: made.task, dir, context })
    tell({ name, task: app.reader.task(made.task) ?? task, why, kept, json, context })
    if (kept === null) await discard(app, dir)
    if (stop.signal.aborted) return EXIT.interrupted
    return passed ? EXIT.ok : EXIT.failed
  } finally {
    release()
  }
}

function readEffort(text: string | undefined): Effort | null {
  if (text === undefined) return null
  const known = EFFORTS.find((effort) => effort === text)
  if (known === undefined)
    throw new UserError(EXIT.usage, 'bad-effort', `--effort: "${text}" is none of ${EFFORTS.join(', ')}`)
  return known
}

/** Nobody comes back to this place: a run that goes on is ended, and no copy of a login stays behind. */
async function endWork(app: App, at: { task: string; dir: string; context: CliContext }): Promise<void> {
  const { task, dir, context } = at
  await app.act({ type: 'cancel', task }, callerOf(context))
  await app.up({ untilIdle: true, timerWaitMs: 0, signal: new AbortController().signal })
  await rm(join(dir, 'home', 'logins'), { recursive: true, force: true, maxRetries: 3 })
}

async function discard(app: App, dir: string): Promise<void> {
  await app.close()
  await rm(dir, { recursive: true, force: true, maxRetries: 3 })
}

function tell(told: {
  name: string
  task: TaskView
  why: WhyView | null
  kept: string | null
  json: boolean
  context: CliContext
}): void {
  const { name, task, why, kept, json, context } = told
  const { costUsd, tokens, runs } = task
  if (json) {
    printJson(context, { agent: name, passed: why === null, why: why?.because ?? null, costUsd, tokens, runs, kept })
    return
  }
  const seconds = Math.round((Date.parse(task.updatedAt) - Date.parse(task.createdAt)) / 1000)
  const cost = costUsd > 0 ? `$${costUsd.toFixed(4)}` : 'no cost that it told'
  const used = `${tokens.input + tokens.cacheRead + tokens.cacheWrite} tokens in, ${tokens.output} out, ${cost}, ${seconds} s`
  const verdict = why === null ? paint(context, 'green', 'works') : paint(context, 'red', 'does not work here yet')
  printLines(context, [
    '',
    ...(runs.length > 0 ? [...table(runColumns(context), runs, context), ''] : []),
    `${sanitizeLine(name)} ${verdict}: ${used}`,
    ...(why === null ? [] : [sanitizeLine(why.because)]),
    ...(kept === null ? [] : [`Everything is kept in ${kept}; its logs are in ${join(kept, 'home', 'runs')}`]),
  ])
}
