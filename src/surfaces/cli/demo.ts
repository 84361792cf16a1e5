import { mkdir, mkdtemp, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { App, UpResult } from '../../flow/app.ts'
import { UserError } from '../../lib/errors.ts'
import { type Args, defineCommand } from './command.ts'
import { callerOf } from './common.ts'
import type { CliContext } from './context.ts'
import { EXIT } from './exit-codes.ts'
import { paint, printJson, printLines } from './print.ts'
import { allTasks, runShown } from './run-shown.ts'
import { sanitizeBlock } from './sanitize.ts'
import { countsLine, statusLines } from './status-table.ts'
import { lineJson } from './task-json.ts'
import { endLines, stopOnInterrupt } from './up.ts'

const options = {
  agent: {
    kind: 'text',
    value: 'NAME',
    description: 'The agent that does the work, such as `claude` (default: scripted, which needs no model)',
    complete: 'agent',
  },
  dir: { kind: 'text', value: 'DIR', description: 'A new or empty folder for all of it (default: a temporary one)' },
} as const

export const command = defineCommand({
  summary: 'Show the whole job on a sample repository, live',
  details:
    'Makes a sample repository with a bare remote and a state folder of its own, and runs four tasks in parallel. Nothing else on this machine is touched.\n' +
    'Exit code 0 when the tasks came to the ends they should come to.',
  positionals: [],
  options,
  examples: ['orch demo', 'orch demo --agent claude', 'orch demo --dir ./orch-demo'],
  mutates: true,
  needs: ['git'],
  run: demo,
})

/** Longest wait for a back-off or a limit, as in `orch up --until-idle`. */
const TIMER_WAIT_MS = 600_000

type Demo = Awaited<ReturnType<App['demo']>>

async function demo({ values, json }: Args<typeof options>, context: CliContext): Promise<number> {
  const agent = values.agent ?? 'scripted'
  const dir =
    values.dir === undefined
      ? await mkdtemp(join(tmpdir(), 'orch-demo-'))
      : await emptyFolder(resolve(context.cwd, values.dir))
  const home = join(dir, 'home')
  await mkdir(home, { recursive: true })
  const stop = new AbortController()
  const release = stopOnInterrupt(stop, context)
  try {
    const app = await context.app({ home })
    const made = await app.demo({ agent, dir, actor: callerOf(context) })
    if (!json)
      printLines(context, [
        `A sample repository with ${made.tasks.length} tasks is in ${made.dir}; its remote is ${made.remote}`,
        '',
      ])
    const result = await runShown(app, { json, context, stop, timerWaitMs: TIMER_WAIT_MS })
    if (stop.signal.aborted) {
      printLines({ stdout: context.stderr }, endLines(result, true))
      return EXIT.interrupted
    }
    const fine = endedWell(result, agent)
    await report(app, { made, home, result, fine, json, context })
    return fine ? EXIT.ok : EXIT.failed
  } finally {
    release()
  }
}

async function emptyFolder(dir: string): Promise<string> {
  await mkdir(dir, { recursive: true })
  if ((await readdir(dir)).length > 0)
    throw new UserError(EXIT.usage, 'not-empty', `--dir: ${dir} is not empty; name a new folder`)
  return dir
}

/** The scripted agent's ends are known; a real one may do better or worse, so long as something landed and nothing hangs. */
function endedWell(result: UpResult, agent: string): boolean {
  const { done, needs_review: held, waiting, queued, running } = result.counts
  if (agent === 'scripted') return done === 3 && held === 1 && waiting + queued + running === 0
  return done > 0 && queued + running === 0
}

async function report(
  app: App,
  told: { made: Demo; home: string; result: UpResult; fine: boolean; json: boolean; context: CliContext },
): Promise<void> {
  const { made, home, result, fine, json, context } = told
  const landed = await app.demoLog(made.remote)
  const { tasks } = allTasks(app)
  if (json) {
    printJson(context, {
      ...made,
      home,
      ok: fine,
      counts: result.counts,
      tasks: tasks.map(lineJson),
      landed,
      logs: runLogs(home),
    })
    return
  }
  const held = tasks.find((task) => task.status === 'needs_review')
  const heading = (text: string): string[] => ['', paint(context, 'bold', text)]
  printLines(context, [
    // On a terminal the table stands above and has said it all.
    ...(context.isTty ? [] : ['', ...statusLines(allTasks(app), context)]),
    ...heading('What landed on main'),
    sanitizeBlock(landed.trimEnd()),
    ...heading('Logs of the runs'),
    `  ${runLogs(home)}`,
    ...heading('Look around'),
    `  export ORCH_HOME=${home}`,
    ...(held ? [`  orch why ${held.id}`] : []),
    ...made.tasks
      .slice(0, 1)
      .flatMap((id) => [`  orch task show ${id}`, `  orch stream ${id}`, `  orch change diff ${id}`]),
    ...heading('On your own repository'),
    '  unset ORCH_HOME; cd your/clone',
    '  orch init && orch doctor',
    '  orch task add "Fix the rounding in totals" --body-file note.md',
    '  orch up',
    '',
    `${fine ? 'The demo ended as it should' : 'The demo did NOT end as it should'}: ${countsLine(result.counts)}. All of it is in ${made.dir}; delete that folder when you are done.`,
  ])
}

const runLogs = (home: string): string => join(home, 'runs')
