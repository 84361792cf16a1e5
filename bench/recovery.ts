// What a start, another service's death and a sweep cost with 10,000 open tasks and 50 agents at work: a real `orch up`,
// real supervisors, killed as a machine kills.

import { createHook } from 'node:async_hooks'
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeEngine, type Engine } from '../src/flow/engine.ts'
import { type Reconcile, makeReconcile } from '../src/flow/reconcile.ts'
import { makeSettleMerges } from '../src/flow/settle.ts'
import { isSameProcessAlive } from '../src/lib/process-identity.ts'
import { runProcess, sleep } from '../src/lib/process.ts'
import { connect } from '../src/store/sql-connection.ts'
import type { Sql } from '../src/store/sql.ts'
import { openStore } from '../src/store/sqlite.ts'
import type { Store } from '../src/store/store.ts'
import { INFORMS, type Measure, atMost, median, percentile } from './lib.ts'
import { addOpenTasks } from './open-tasks.ts'
import { makeBenchRunner } from './runs.ts'
import { openedTask } from './store-fixture.ts'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const PATH = process.env['PATH'] ?? '/usr/bin:/bin'
const OPEN_TASKS = 10_000
const LIVE_RUNS = 50
const STARTS = 5
const TICKS = 2_000
const CHANGED_TICKS = 50
/** A lease and a sweep: the most that a dead worker's job may wait for a second service. */
const RECLAIM_S = 90

interface Bench {
  dir: string
  home: string
  env: Record<string, string>
  store: Store
  sql: Sql
  engine: Engine
}

/** All measures; takes about two minutes, most of it a wait for the second service's sweep. */
export async function benchRecovery(): Promise<Measure[]> {
  const dir = await mkdtemp(join(tmpdir(), 'orch-bench-recovery-'))
  const bench = await makeBench(dir)
  const ups: Up[] = []
  const start = async (more: Record<string, string> = {}): Promise<Up> => {
    const up = await startService(bench, more)
    ups.push(up)
    return up
  }
  try {
    const first = await start()
    await until('all runs are live', () => liveRuns(bench) === LIVE_RUNS, 300_000)
    await addOpenTasks(bench.sql, {
      project: 'FULL',
      count: OPEN_TASKS - LIVE_RUNS,
      parallel: LIVE_RUNS,
      now: Date.now(),
    })
    const reclaimed = await benchReclaim(bench, { first, second: await start({ ORCH_UNSAFE_NO_LOCK: '1' }) })
    const starts = await benchStarts(bench, { running: ups.at(-1), start })
    return [...starts, ...reclaimed, ...(await benchSweep(bench))]
  } finally {
    for (const up of ups) await up.kill()
    bench.store.close()
    bench.sql.close()
    const runner = makeBenchRunner(join(bench.home, 'runs'))
    for (const name of await readdir(join(bench.home, 'runs')).catch(() => [])) await runner.stop(name, 'bench')
    await rm(dir, { recursive: true, force: true })
  }
}

/** A remote and two projects on it: one whose lane of runs is full, one that has room for whoever comes. */
async function makeBench(dir: string): Promise<Bench> {
  const home = join(dir, 'home')
  const env = { PATH, HOME: dir, ORCH_HOME: home, GIT_CONFIG_GLOBAL: '/dev/null' }
  const remote = join(dir, 'remote.git')
  const run = async (cwd: string, ...argv: [string, ...string[]]): Promise<void> => {
    const result = await runProcess({ argv, cwd, env, timeoutMs: 60_000 })
    if (result.exitCode !== 0) throw new Error(`${argv.join(' ')}: ${result.stderr}${result.stdout}`)
  }
  await run(dir, 'git', 'init', '--quiet', '--bare', '-b', 'main', remote)
  const agent = '{ agent: command, command: "echo live; exec tail -s 1 -f /dev/null" }'
  const config = `verify: none\nagents: { developer: ${agent}, reviewer: ${agent} }\nlimits: { parallel: ${LIVE_RUNS} }\n`
  for (const project of ['FULL', 'FREE']) {
    const clone = join(dir, project)
    await mkdir(clone)
    await run(clone, 'git', 'init', '--quiet', '-b', 'main')
    await run(clone, 'git', 'remote', 'add', 'origin', remote)
    if (project === 'FREE') await run(clone, 'git', 'pull', '--quiet', 'origin', 'main')
    await writeFile(join(clone, '.orch.yml'), config)
    await run(clone, 'git', 'add', '.')
    const identity = ['-c', 'user.name=Bench', '-c', 'user.email=bench@example.com'] as const
    await run(clone, 'git', ...identity, 'commit', '--quiet', '--allow-empty', '-m', 'Begin')
    await run(clone, 'git', 'push', '--quiet', 'origin', 'main')
    await run(clone, process.execPath, join(root, 'dist', 'main.js'), 'project', 'add', clone, '--prefix', project)
  }
  const store = await openStore(join(home, 'orch.db'))
  const bench = { dir, home, env, store, sql: await connect(join(home, 'orch.db')), engine: engineOn(store) }
  for (let n = 1; n <= LIVE_RUNS; n++) await open(bench, { project: 'FULL', n })
  return bench
}

const engineOn = (store: Store): Engine => makeEngine({ store, now: Date.now, wake: () => undefined })

const BY = { actor: { kind: 'person', name: 'bench' }, cause: 'bench', correlation: 'bench' } as const

async function open(bench: Bench, of: { project: string; n: number }): Promise<string> {
  const task = `${of.project}-${of.n}`
  const { id: _, stage, ...fields } = openedTask({ id: task, project: of.project, at: 0 }).event.data
  const command = { type: 'open-task' as const, ...fields, task, firstStage: stage, parallel: LIVE_RUNS }
  const opened = await bench.engine.submit(command, BY)
  if (!opened.ok) throw new Error(`${task} was not opened`)
  return task
}

interface Up {
  pid: number
  startedAt: number
  /** As a machine kills: nothing is said and nothing put back. Idempotent. */
  kill(): Promise<void>
}

async function startService({ home, dir, env }: Bench, more: Record<string, string>): Promise<Up> {
  const startedAt = Date.now()
  const serviceFile = join(home, 'service.json')
  await rm(serviceFile, { force: true })
  const argv = [process.execPath, join(root, 'dist', 'main.js'), 'up', '--json'] as const
  const ended = runProcess({ argv, cwd: dir, env: { ...env, ...more }, timeoutMs: 600_000 })
  const pid = await servicePid(serviceFile)
  return {
    pid,
    startedAt,
    async kill() {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It was killed before.
      }
      await ended
    },
  }
}

async function servicePid(file: string): Promise<number> {
  for (let waited = 0; waited < 30_000; waited += 5) {
    const text = await readFile(file, 'utf8').catch(() => '')
    if (text !== '') return (JSON.parse(text) as { pid: number }).pid
    await sleep(5)
  }
  throw new Error('orch up did not start within 30 s')
}

async function until(what: string, is: () => boolean, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!is()) {
    if (performance.now() > deadline) throw new Error(`after ${timeoutMs} ms it is still not so that ${what}`)
    await sleep(10)
  }
}

const liveRuns = ({ store }: Bench): number => store.listRuns({ live: true }).length

/** Jobs of live runs that this process has. */
function leasesOf({ sql }: Bench, pid: number): number {
  return sql.get<{ n: number }>(LEASES, `${pid}:%`)?.n ?? 0
}

const LEASES = `SELECT count(*) AS n FROM jobs WHERE state = 'running' AND kind = 'run' AND worker LIKE ?`

/** Run folders that a process watches: a run is followed when its folder is. */
function watchedFolders(pid: number): number {
  let watches = 0
  try {
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      if (!readlinkSync(`/proc/${pid}/fd/${fd}`).includes('inotify')) continue
      watches += readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8').match(/^inotify /gm)?.length ?? 0
    }
  } catch {
    // A descriptor was closed meanwhile: the next look counts again.
  }
  // The service's own is of ORCH_HOME/wake.
  return watches - 1
}

/** From the kill of a service to the moment when another that was there beside it has its jobs. */
async function benchReclaim(bench: Bench, of: { first: Up; second: Up }): Promise<Measure[]> {
  await of.first.kill()
  const killedAt = performance.now()
  await until(
    'the second service has the jobs of the first',
    () => leasesOf(bench, of.second.pid) >= LIVE_RUNS,
    180_000,
  )
  const took = (performance.now() - killedAt) / 1000
  return [
    {
      name: `jobs of a killed worker, ${LIVE_RUNS} live runs, until a second service beside it has them`,
      value: took,
      unit: 's',
      limit: null,
      target: `≤ ${RECLAIM_S} s (lease + sweep)`,
      ...atMost(took, RECLAIM_S),
    },
  ]
}

/** From the start of a service after a kill to its first word about a task that waits, and to the last run taken up again. */
async function benchStarts(
  bench: Bench,
  of: { running: Up | undefined; start: () => Promise<Up> },
): Promise<Measure[]> {
  const dispatched: number[] = []
  const followed: number[] = []
  let running = of.running
  for (let n = 1; n <= STARTS; n++) {
    await running?.kill()
    // A job waits longer after each worker that dies with it; ten kills within seconds are this bench's own.
    bench.sql.run('UPDATE jobs SET failures = 0 WHERE is_live = 1')
    const live = liveRuns(bench)
    const task = await open(bench, { project: 'FREE', n })
    const up = await of.start()
    running = up
    await until(`${live} runs are followed`, () => watchedFolders(up.pid) >= live, 60_000)
    followed.push(Date.now() - up.startedAt)
    const begun = (): number | undefined =>
      bench.store.listEvents({ task }).find(({ type }) => type === 'step.begun')?.at
    await until(`${task} is dispatched`, () => begun() !== undefined, 60_000)
    dispatched.push((begun() ?? Number.NaN) - up.startedAt)
    await until(`${task} has its run`, () => liveRuns(bench) === live + 1, 60_000)
  }
  const name = `start of orch up after a kill, ${OPEN_TASKS.toLocaleString('en')} open tasks, ${LIVE_RUNS} live runs`
  const first = median(dispatched)
  return [
    {
      name: `${name}: first dispatch`,
      value: first,
      unit: 'ms',
      limit: null,
      target: '≤ 1 s',
      ...atMost(first, 1_000),
    },
    { name: `${name}: all runs followed again`, value: median(followed), unit: 'ms', limit: null, ...INFORMS },
  ]
}

/** Sweeps on the same database, beside a service that follows the runs and is otherwise idle. */
async function benchSweep(bench: Bench): Promise<Measure[]> {
  const sweep = makeSweep(bench)
  await sweep()
  const { samples, handles } = await quietTicks(bench, sweep)
  const [p50, p99] = [median(samples), percentile(samples, 0.99)]
  const changed: number[] = []
  for (let n = 0; n < CHANGED_TICKS; n++) {
    await bench.engine.submit({ type: 'edit-task', task: 'FULL-10001', priority: n + 1 }, BY)
    changed.push(await timed(sweep))
  }
  const name = `sweep, ${OPEN_TASKS.toLocaleString('en')} open tasks`
  return [
    { name: `${name}, nothing changed, p50`, value: p50, unit: 'ms', limit: null, ...INFORMS },
    {
      name: `${name}, nothing changed, p99`,
      value: p99,
      unit: 'ms',
      limit: null,
      target: '≤ 5 ms',
      ...atMost(p99, 5),
    },
    {
      name: `${name}, nothing changed: processes and sockets in ${TICKS}`,
      value: handles,
      unit: '',
      limit: null,
      target: '0',
      ...atMost(handles, 0),
    },
    { name: `${name}, something changed, p50`, value: median(changed), unit: 'ms', limit: null, ...INFORMS },
    { name: `${name}, something changed, p99`, value: percentile(changed, 0.99), unit: 'ms', limit: null, ...INFORMS },
  ]
}

function makeSweep({ store, engine }: Bench): Reconcile {
  const never = (): never => {
    throw new Error('a sweep with nothing to do looked at the world')
  }
  const onError = (error: unknown): void => {
    throw error
  }
  return makeReconcile({
    store,
    engine,
    now: Date.now,
    isProcessAlive: isSameProcessAlive,
    stopRun: never,
    settleMerges: makeSettleMerges({ store, engine, workspaces: { mirror: never }, now: Date.now, onError }),
    onError,
  })
}

async function timed(sweep: Reconcile): Promise<number> {
  const startedAt = performance.now()
  const done = await sweep()
  if (done.length > 0) throw new Error(`the sweep had something to do: ${done.join('; ')}`)
  return performance.now() - startedAt
}

/** The time of each sweep, and what Node made of handles for processes and the network during all of them. */
async function quietTicks(bench: Bench, sweep: Reconcile): Promise<{ samples: number[]; handles: number }> {
  let handles = 0
  const hook = createHook({
    init: (_, type) => {
      if (/PROCESS|TCP|PIPE|UDP|TLS|GETADDRINFO|QUERY/.test(type)) handles += 1
    },
  }).enable()
  const samples: number[] = []
  try {
    let seen = ''
    while (samples.length < TICKS) {
      // The other service renews its leases: what it writes is looked at, and such a sweep is not one of these.
      const isQuiet = bench.store.changeMark() === seen
      const took = await timed(sweep)
      if (isQuiet) samples.push(took)
      seen = bench.store.changeMark()
    }
  } finally {
    hook.disable()
  }
  return { samples, handles }
}
