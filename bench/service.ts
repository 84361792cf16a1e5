// What the command line and an idle or waking `orch up` cost, with the built program as users have it.

import { utimesSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeEngine } from '../src/flow/engine.ts'
import { runProcess, sleep } from '../src/lib/process.ts'
import { openStore } from '../src/store/sqlite.ts'
import { buildStatusFixture, openedTask } from './store-fixture.ts'
import { INFORMS, type Measure, atMost, median, percentile, ratioOf, rotatedRounds } from './lib.ts'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
/** The package as npm installs it: a checkout's launcher would run the sources. */
const PACKAGED = ['bin', 'dist', 'pipelines', 'prompts', 'package.json', 'node_modules']
const ROUNDS = 21
/** While a new service still starts, and reads the code of its first job; told apart. */
const COLD_WAKES = 10
const COLD_NAME = `ready event to claimed job, slowest of the first ${COLD_WAKES} of a new service`
const WAKES = 200
const IDLE_TICKS = 5_000

async function installPackage(into: string): Promise<string> {
  const dir = join(into, 'orch')
  await mkdir(dir)
  for (const name of PACKAGED) {
    if (name === 'node_modules') await symlink(join(root, name), join(dir, name))
    else await cp(join(root, name), join(dir, name), { recursive: true })
  }
  return join(dir, 'bin', 'orch.js')
}

/** `orch status --json` with 100,000 tasks against an empty script, start to exit. */
export async function benchStatus(): Promise<Measure[]> {
  const home = await mkdtemp(join(tmpdir(), 'orch-bench-'))
  try {
    await buildStatusFixture(join(home, 'orch.db'))
    const orch = await installPackage(home)
    const empty = join(home, 'empty.mjs')
    await writeFile(empty, '')
    const time = async (script: string, args: string[]): Promise<number> => {
      const startedAt = performance.now()
      const result = await runProcess({
        argv: [process.execPath, script, ...args],
        cwd: home,
        env: { PATH: process.env['PATH'] ?? '', ORCH_HOME: home },
        timeoutMs: 60_000,
      })
      if (result.exitCode !== 0)
        throw new Error(`${script} ${args.join(' ')} exited ${result.exitCode}: ${result.stderr}`)
      return performance.now() - startedAt
    }
    const { status, limit } = await rotatedRounds(
      { status: () => time(orch, ['status', '--json']), limit: () => time(empty, []) },
      ROUNDS,
    )
    const ratio = ratioOf(status, limit)
    return [
      {
        name: 'orch status --json, 100,000 tasks, against an empty Node script',
        value: median(status),
        unit: 'ms',
        limit: median(limit),
        ratio,
        target: '≤ 1.5×',
        ...atMost(ratio, 1.5),
      },
    ]
  } finally {
    await rm(home, { recursive: true, force: true })
  }
}

/** A real `orch up`: how fast it wakes for another process's commit, what it costs while nothing happens. */
export async function benchService(): Promise<Measure[]> {
  const home = await mkdtemp(join(tmpdir(), 'orch-bench-'))
  const abort = new AbortController()
  try {
    const store = await openStore(join(home, 'orch.db'))
    const orch = await installPackage(home)
    const up = runProcess({
      argv: [process.execPath, orch, 'up', '--json'],
      cwd: home,
      env: { PATH: process.env['PATH'] ?? '', HOME: home, ORCH_HOME: home },
      timeoutMs: 300_000,
      signal: abort.signal,
    })
    const pid = await servicePid(home)
    const wakes = await measureWakes(home, store)
    await sleep(3_000)
    const idle = await measureIdle(pid)
    const tick = measureTick(store)
    abort.abort()
    await up
    store.close()
    return [...wakes, ...idle, ...tick]
  } finally {
    abort.abort()
    await rm(home, { recursive: true, force: true })
  }
}

async function servicePid(home: string): Promise<number> {
  for (let waited = 0; waited < 10_000; waited += 20) {
    const text = await readFile(join(home, 'service.json'), 'utf8').catch(() => null)
    if (text) return (JSON.parse(text) as { pid: number }).pid
    await sleep(20)
  }
  throw new Error('orch up did not start within 10 s')
}

/** From the moment at which an open task is on the disk to the worker's first word about it, by the journal's own time. */
async function measureWakes(home: string, store: Awaited<ReturnType<typeof openStore>>): Promise<Measure[]> {
  let committedAt = 0
  const wake = (): void => {
    committedAt = Date.now()
    utimesSync(join(home, 'wake'), new Date(), new Date())
  }
  const engine = makeEngine({ store, now: Date.now, wake })
  const ready: { id: string; at: number }[] = []
  for (let n = 1; n <= COLD_WAKES + WAKES; n++) {
    const id = `BENCH-${n}`
    const command = { type: 'open-task' as const, ...openFields(id) }
    const opened = await engine.submit(command, {
      actor: { kind: 'person', name: 'bench' },
      cause: 'bench',
      correlation: id,
    })
    if (!opened.ok) throw new Error(`${id} was not opened`)
    ready.push({ id, at: committedAt })
    await sleep(25)
  }
  await sleep(500)
  const delays = ready.map(({ id, at }) => {
    const begun = store.listEvents({ task: id }).find((event) => event.type === 'step.begun')?.at
    if (begun === undefined) throw new Error(`${id} was not begun`)
    return begun - at
  })
  const warm = delays.slice(COLD_WAKES)
  const p99 = percentile(warm, 0.99)
  const row = { unit: 'ms', limit: null }
  return [
    { ...row, name: COLD_NAME, value: Math.max(...delays.slice(0, COLD_WAKES)), ...INFORMS },
    { ...row, name: 'ready event to claimed job, p50', value: median(warm), ...INFORMS },
    { ...row, name: 'ready event to claimed job, p99', value: p99, target: '≤ 10 ms', ...atMost(p99, 10) },
  ]
}

function openFields(task: string) {
  const { id: _, stage, ...fields } = openedTask({ id: task, project: 'BENCH', at: 0 }).event.data
  return { ...fields, task, firstStage: stage, parallel: 64 }
}

/** Memory, and children reaped while nothing changed (their page faults are counted by the kernel when they are reaped). */
async function measureIdle(pid: number): Promise<Measure[]> {
  const childFaults = async (): Promise<number> => {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[8])
  }
  const before = await childFaults()
  await sleep(5_000)
  const started = (await childFaults()) - before
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const rss = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1024
  return [
    { name: 'memory of an idle orch up', value: rss, unit: 'MB', limit: null, target: '≤ 90 MB', ...atMost(rss, 90) },
    {
      name: 'processes started by an idle orch up in 5 s (child page faults)',
      value: started,
      unit: '',
      limit: null,
      target: '0',
      ...atMost(started, 0),
    },
  ]
}

/** What the service's fallback does when nothing changed. */
function measureTick(store: Awaited<ReturnType<typeof openStore>>): Measure[] {
  const samples: number[] = []
  for (let n = 0; n < IDLE_TICKS; n++) {
    const startedAt = performance.now()
    store.dataVersion()
    samples.push((performance.now() - startedAt) * 1000)
  }
  const p99 = percentile(samples, 0.99)
  return [
    {
      name: 'idle tick (nothing changed), p99',
      value: p99,
      unit: 'µs',
      limit: null,
      target: '≤ 50 µs',
      ...atMost(p99, 50),
    },
  ]
}
