import type { App, TaskLine } from '../../flow/app.ts'
import { UserError, messageOf } from '../../lib/errors.ts'
import { type Args, defineCommand } from './command.ts'
import { TASK_ID, needReader, needTaskId } from './common.ts'
import type { CliContext } from './context.ts'
import { EXIT } from './exit-codes.ts'
import { noRun } from './no-run.ts'
import type { Paint } from './print.ts'
import { printRunItem } from './print-run-item.ts'
import { sanitizeLine } from './sanitize.ts'

const options = {
  all: { kind: 'flag', description: 'Every task that runs, now or later, until Ctrl-C' },
  raw: { kind: 'flag', description: 'As the agent printed it, line by line' },
  from: {
    kind: 'text',
    value: 'start|now',
    description: 'Where to begin (default: start)',
    complete: ['start', 'now'],
  },
  run: { kind: 'text', value: 'RUNID', description: 'This run instead of the latest one', complete: 'run' },
} as const

export const command = defineCommand({
  summary: 'Show what agents print, live, until their runs end',
  details:
    'Of several tasks each line begins with its task. With --json one event a line, which names its task; with --raw what the agent printed.',
  positionals: [{ ...TASK_ID, required: false, many: true }],
  options,
  examples: [
    'orch stream 1',
    'orch stream 1 2 3 --from now',
    'orch stream --all',
    'orch stream SHOP-1 --raw > run.log',
  ],
  mutates: false,
  run: stream,
})

interface Shown {
  app: App
  from: 'start' | 'now'
  raw: boolean
  json: boolean
  context: CliContext
  stop: AbortController
  /** Of all tasks shown so far; null where there is one task only. */
  prefixes: Prefixes | null
  /** Told when something was printed. */
  progress?: { printed: boolean }
}

async function stream({ positionals, values, json }: Args<typeof options>, context: CliContext): Promise<number> {
  const from = values.from ?? 'start'
  if (from !== 'start' && from !== 'now')
    throw new UserError(EXIT.usage, 'bad-value', `--from: "${from}" is neither start nor now`)
  checkCombination(positionals, values)
  const tasks = [...new Set(await Promise.all(positionals.map((name) => needTaskId(name, context))))]
  const stop = new AbortController()
  const release = context.onInterrupt(() => stop.abort())
  try {
    const app = await context.app()
    const prefixes = values.all || tasks.length > 1 ? makePrefixes(tasks) : null
    const shown: Shown = { app, from, raw: values.raw, json, context, stop, prefixes }
    if (values.all) await streamAll(shown)
    else await streamTasks(tasks, values.run, shown)
    return stop.signal.aborted ? EXIT.interrupted : EXIT.ok
  } finally {
    release()
  }
}

function checkCombination(positionals: string[], values: Args<typeof options>['values']): void {
  if (values.all ? positionals.length > 0 : positionals.length === 0)
    throw new UserError(EXIT.usage, 'which-tasks', 'name the tasks to show, or all of them with --all, not both')
  if (values.run !== undefined && positionals.length !== 1)
    throw new UserError(EXIT.usage, 'one-run', '--run names a run of one task: give that task alone')
}

/** Shows the tasks' latest runs until all of them have ended. Throws UserError(3) for a task without one. */
async function streamTasks(tasks: string[], runId: string | undefined, shown: Shown): Promise<void> {
  const outputs = await Promise.all(tasks.map(async (task) => ({ task, output: await openRun(task, runId, shown) })))
  const missing = outputs.find(({ output }) => output === null)
  if (missing) throw noRun(missing.task, runId)
  await Promise.all(outputs.map(({ task, output }) => print(task, output, shown)))
}

type Output = Awaited<ReturnType<App['stream']>>

function openRun(task: string, runId: string | undefined, { app, from, raw, stop }: Shown): Promise<Output> {
  return app.stream({ task, from, raw, signal: stop.signal, ...(runId ? { runId } : {}) })
}

async function print(task: string, output: Output, shown: Shown): Promise<void> {
  const { json, context, stop, prefixes, progress } = shown
  const prefix = prefixes?.of(task)
  for await (const item of output ?? []) {
    if (stop.signal.aborted) return
    if (progress) progress.printed = true
    printRunItem(item, { task, json, context, ...(prefix ? { prefix } : {}) })
  }
}

/** Times out only to look again where the watch of commits fails; a second is what `status --watch` waits. */
const LOOK_MS = 1_000

/** Follows each run from its beginning on, until interrupted. What one run's output does to us ends no other. */
async function streamAll(shown: Shown): Promise<void> {
  const { context, stop } = shown
  const reader = await needReader(context)
  const followed = new Set<string>()
  let first = true
  while (!stop.signal.aborted) {
    const live = reader.status({ statuses: ['running'], limit: 1_000 }).tasks.filter((task) => task.runId !== null)
    // A run that begins while we watch is shown whole, wherever those before it were taken up.
    const begun = { ...shown, from: first ? shown.from : ('start' as const) }
    for (const task of live) followOne(task, followed, begun)
    first = false
    await reader.nextChange({ timeoutMs: LOOK_MS, signal: stop.signal })
  }
}

function followOne(task: TaskLine, followed: Set<string>, shown: Shown): void {
  const { runId } = task
  if (runId === null || followed.has(runId)) return
  followed.add(runId)
  const progress = { printed: false }
  openRun(task.id, runId, shown)
    .then((output) => print(task.id, output, { ...shown, progress }))
    .catch((error: unknown) => {
      // The books know a run a moment before its folder is there: at the next look it is tried again.
      if (!progress.printed) followed.delete(runId)
      else shown.context.stderr.write(`orch: ${task.id}: ${sanitizeLine(messageOf(error))}\n`)
    })
}

interface Prefixes {
  of(task: string): { text: string; paint: Paint }
}

const PAINTS: readonly Paint[] = ['cyan', 'magenta', 'yellow', 'green', 'blue']

/** Each task's own colour, in the order in which they turn up; names as wide as the widest so far. */
function makePrefixes(tasks: string[]): Prefixes {
  const order = [...tasks]
  return {
    of(task) {
      if (!order.includes(task)) order.push(task)
      const width = Math.max(...order.map((one) => one.length))
      return { text: task.padEnd(width), paint: PAINTS[order.indexOf(task) % PAINTS.length] ?? 'cyan' }
    },
  }
}
