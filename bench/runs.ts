// What a run costs Orch itself: its start, its lines on their way to a subscriber, its parsing, its place in memory.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { mkdir, open, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeAdapters } from '../src/agents/adapters.ts'
import type { Runner, RunSpec } from '../src/agents/agent.ts'
import { claudeAdapter } from '../src/agents/claude.ts'
import { readLines } from '../src/agents/follow.ts'
import { makeRunner } from '../src/agents/runner.ts'
import { runProcess, sleep } from '../src/lib/process.ts'
import { probeSandbox } from '../src/workspace/sandbox.ts'
import type { Sandbox } from '../src/workspace/workspace.ts'
import { INFORMS, type Measure, atLeast, atMost, median, percentile, ratioOf, rotatedRounds } from './lib.ts'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const PATH = process.env['PATH'] ?? '/usr/bin:/bin'
const START_ROUNDS = 15
const BALLAST_BYTES = 800 << 20
const LINES = 400
const PARSE_ROUNDS = 21
const LIVE_RUNS = 50

/** All measures of runs; takes about a minute. */
export async function benchRuns(): Promise<Measure[]> {
  const dir = mkdtempSync(join(tmpdir(), 'orch-bench-runs-'))
  try {
    const place = { dir, runner: makeBenchRunner(join(dir, 'runs')), sandbox: await probeSandbox(process.env) }
    const started = await benchStart(place)
    const lines = await benchLines(place)
    const parsing = await benchParsing(dir)
    return [...started, ...lines, ...parsing, ...(await benchMemory(dir)), ...(await benchMany(dir))]
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

interface Place {
  dir: string
  runner: Runner
  sandbox: Sandbox
}

/** The runner with the built supervisor, as users have it. */
export function makeBenchRunner(runsDir: string): Runner {
  const adapters = makeAdapters({ scripted: [process.execPath, ''], acp: [process.execPath, ''] })
  return makeRunner({ runsDir, supervisor: [process.execPath, join(root, 'dist', 'supervisor.js')], adapters })
}

let serial = 0

/** A run of a shell command, in the sandbox where one is given. */
export function shellRun(command: string, place: { dir: string; sandbox?: Sandbox }): RunSpec {
  serial += 1
  const argv = ['/bin/sh', '-c', command]
  const env = { PATH, HOME: place.dir }
  const request = { argv, cwd: place.dir, env, writable: [place.dir], readable: [], network: true }
  const wrapped = place.sandbox?.wrap(request)
  return {
    runId: `bench-${serial}`,
    task: 'BENCH-1',
    agent: 'command',
    resumed: false,
    ...(wrapped ?? { file: '/bin/sh', args: ['-c', command], env, containment: 'marker' as const }),
    cwd: place.dir,
    prompt: 'bench',
    timeLimitMs: 120_000,
    stallMs: 60_000,
    graceMs: 100,
    logCapBytes: 64 << 20,
  }
}

/** From the call that starts a run to the first byte that its subscriber sees, against an empty Node start; then with a large service. */
async function benchStart({ dir, runner, sandbox }: Place): Promise<Measure[]> {
  const empty = join(dir, 'empty.mjs')
  await writeFile(empty, '')
  const first = async (): Promise<number> => {
    const startedAt = performance.now()
    const spec = shellRun('echo first; exec tail -s 1 -f /dev/null', { dir, sandbox })
    await runner.start(spec)
    for await (const _ of runner.stream(spec.runId, { from: 'start', raw: true })) break
    const took = performance.now() - startedAt
    await runner.stop(spec.runId, 'bench')
    return took
  }
  const limit = async (): Promise<number> => {
    const startedAt = performance.now()
    await runProcess({ argv: [process.execPath, empty], env: { PATH }, timeoutMs: 30_000 })
    return performance.now() - startedAt
  }
  runner.prepare()
  const rounds = await rotatedRounds({ first, limit }, START_ROUNDS)
  const ratio = ratioOf(rounds.first, rounds.limit)
  const ballast = Array.from({ length: BALLAST_BYTES >> 20 }, () => Buffer.alloc(1 << 20, 1))
  const gapOfStart = async (): Promise<number> => {
    const spec = shellRun('exec tail -s 1 -f /dev/null', { dir, sandbox })
    const gap = await longestGap(() => runner.start(spec))
    await runner.stop(spec.runId, 'bench')
    return gap
  }
  const gaps = await rotatedRounds({ start: gapOfStart, idle: () => longestGap(() => sleep(40)) }, START_ROUNDS)
  // What else the machine does stops an idle loop too; only what a start adds is its own.
  const blocked = Math.max(0, median(gaps.start) - median(gaps.idle))
  const grown = `with ${ballast.length} MB in the service`
  return [
    {
      name: `start of a run to its first byte at a subscriber, ${sandbox.means.kind} included, against an empty Node script`,
      value: median(rounds.first),
      unit: 'ms',
      limit: median(rounds.limit),
      ratio,
      target: '≤ 3×',
      ...atMost(ratio, 3),
    },
    {
      name: `event loop blocked by the start of a run, more than an idle one, ${grown}`,
      value: blocked,
      unit: 'ms',
      limit: median(gaps.idle),
      target: '≤ 1 ms',
      ...atMost(blocked, 1),
    },
  ]
}

/** Longest time between two turns of the loop while something goes on, ms. */
async function longestGap(work: () => Promise<void>): Promise<number> {
  let longest = 0
  let on = true
  let last = performance.now()
  const look = (): void => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
    if (on) setImmediate(look)
  }
  setImmediate(look)
  await work()
  on = false
  return longest
}

/** From the agent's write to the subscriber, by the one monotonic clock of the machine. */
async function benchLines({ dir, runner }: Place): Promise<Measure[]> {
  const script = join(dir, 'lines.mjs')
  await writeFile(
    script,
    `let n = 0
     const say = () => { process.stdout.write(process.hrtime.bigint() + '\\n'); if (++n < ${LINES}) setTimeout(say, 5) }
     say()`,
  )
  const spec = shellRun(`exec '${process.execPath}' '${script}'`, { dir })
  await runner.start(spec)
  const delays: number[] = []
  for await (const line of runner.stream(spec.runId, { from: 'start', raw: true }))
    delays.push(Number(process.hrtime.bigint() - BigInt(line)) / 1e6)
  if (delays.length !== LINES) throw new Error(`${delays.length} of ${LINES} lines arrived`)
  const [p50, p99] = [median(delays), percentile(delays, 0.99)]
  const name = 'line from an agent to its subscriber'
  return [
    { name: `${name}, p50`, value: p50, unit: 'ms', limit: null, target: '≤ 2 ms', ...atMost(p50, 2) },
    { name: `${name}, p99`, value: p99, unit: 'ms', limit: null, target: '≤ 10 ms', ...atMost(p99, 10) },
  ]
}

/** A long log of Claude Code read through its adapter, against reading it in the same chunks, cutting lines and JSON.parse. */
async function benchParsing(dir: string): Promise<Measure[]> {
  const log = join(dir, 'stream.jsonl')
  await writeFile(log, `${claudeLines().join('\n')}\n`)
  const megabytes = (await stat(log)).size / 1e6
  const rate = async (work: () => Promise<void>): Promise<number> => {
    const startedAt = performance.now()
    await work()
    return megabytes / ((performance.now() - startedAt) / 1000)
  }
  const ours = async (): Promise<void> => {
    const parser = claudeAdapter.parser({ resumed: false, previousUsage: null, previousCostUsd: null })
    for await (const lines of readLines(log)) for (const line of lines) parser.push(line)
    parser.end({ exitCode: 0, signal: null, stderrTail: '' })
  }
  const rounds = await rotatedRounds({ ours: () => rate(ours), bare: () => rate(() => parseBare(log)) }, PARSE_ROUNDS)
  const ratio = ratioOf(rounds.ours, rounds.bare)
  return [
    {
      name: "parsing an agent's log, against a bare splitter with JSON.parse",
      value: median(rounds.ours),
      unit: 'MB/s',
      limit: median(rounds.bare),
      ratio,
      target: '≥ 0.9×',
      ...atLeast(ratio, 0.9),
    },
  ]
}

async function parseBare(log: string): Promise<void> {
  await using file = await open(log, 'r')
  const buffer = Buffer.allocUnsafe(64 << 10)
  let rest: Buffer = Buffer.alloc(0)
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, null)
    if (bytesRead === 0) return
    const fresh = buffer.subarray(0, bytesRead)
    const chunk = rest.length === 0 ? fresh : Buffer.concat([rest, fresh])
    let from = 0
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      JSON.parse(chunk.toString('utf8', from, at))
      from = at + 1
    }
    rest = Buffer.from(chunk.subarray(from))
  }
}

/** Lines of 150 to 2,600 bytes, as a long run of Claude Code has them. */
function claudeLines(): string[] {
  const words = 'It reads the file, "changes" a line\nand runs the tests again. '
  const lines = [JSON.stringify({ type: 'system', subtype: 'init', session_id: 's', model: 'm' })]
  for (let n = 0; n < 15_000; n += 1) {
    const text = words.repeat(40).slice(0, 60 + ((n * 7919) % 2_300))
    const usage = { input_tokens: 10, output_tokens: 20, cache_read_input_tokens: 5 }
    const call = { type: 'tool_use', id: `t${n}`, name: 'Bash', input: { command: text } }
    const message = { id: `m${n}`, role: 'assistant', model: 'm', usage }
    lines.push(
      JSON.stringify({
        type: 'assistant',
        session_id: 's',
        message: { ...message, content: [{ type: 'text', text }] },
      }),
      JSON.stringify({ type: 'assistant', session_id: 's', message: { ...message, content: [call] } }),
      JSON.stringify({
        type: 'user',
        session_id: 's',
        message: {
          role: 'user',
          content: [{ type: 'tool_result', tool_use_id: `t${n}`, content: text, is_error: false }],
        },
      }),
    )
  }
  return lines
}

/** What each further live run adds to the process that follows it, after a collection. */
async function benchMemory(dir: string): Promise<Measure[]> {
  const script = join(root, 'bench', 'live-runs.ts')
  const argv = [process.execPath, '--expose-gc', script, join(dir, 'live'), String(LIVE_RUNS)] as const
  const result = await runProcess({ argv, env: { PATH }, timeoutMs: 120_000 })
  const perRunKb = Number(result.stdout)
  if (result.exitCode !== 0 || !Number.isFinite(perRunKb)) throw new Error(`${script} failed: ${result.stderr}`)
  return [
    {
      name: `memory of the service for each of ${LIVE_RUNS} live runs`,
      value: perRunKb,
      unit: 'KB',
      limit: null,
      target: '≤ 200 KB',
      ...atMost(perRunKb, 200),
    },
  ]
}

/** A real `orch up` with tasks enough to have them all live at once. */
async function benchMany(dir: string): Promise<Measure[]> {
  const home = join(dir, 'home')
  const clone = join(dir, 'clone')
  await mkdir(clone)
  const abort = new AbortController()
  const env = { PATH, HOME: dir, ORCH_HOME: home, GIT_CONFIG_GLOBAL: '/dev/null' }
  const run = async (...argv: [string, ...string[]]): Promise<void> => {
    const result = await runProcess({ argv, cwd: clone, env, timeoutMs: 60_000 })
    if (result.exitCode !== 0) throw new Error(`${argv.join(' ')}: ${result.stderr}${result.stdout}`)
  }
  const orch = [process.execPath, join(root, 'dist', 'main.js')] as const
  await run('git', 'init', '--quiet', '--bare', '-b', 'main', join(dir, 'remote.git'))
  await run('git', 'init', '--quiet', '-b', 'main')
  const agent = '{ agent: command, command: "echo live; exec tail -s 1 -f /dev/null" }'
  await writeFile(
    join(clone, '.orch.yml'),
    `prefix: MANY\nverify: none\nagents: { developer: ${agent}, reviewer: ${agent} }\nlimits: { parallel: 64 }\n`,
  )
  await run('git', 'add', '.')
  await run('git', '-c', 'user.name=Bench', '-c', 'user.email=bench@example.com', 'commit', '--quiet', '-m', 'Begin')
  await run('git', 'remote', 'add', 'origin', join(dir, 'remote.git'))
  await run('git', 'push', '--quiet', 'origin', 'main')
  await run(...orch, 'project', 'add', clone)
  for (let n = 1; n <= LIVE_RUNS; n += 1) await run(...orch, 'task', 'add', `Task ${n}`, '--body', 'Stay.')
  const startedAt = performance.now()
  const up = runProcess({ argv: [...orch, 'up', '--json'], cwd: clone, env, timeoutMs: 300_000, signal: abort.signal })
  try {
    const live = await untilLive(join(home, 'runs'))
    const took = (performance.now() - startedAt) / 1000
    const name = `${LIVE_RUNS} live runs at once in one orch up`
    return [
      {
        name: `${name}: live`,
        value: live,
        unit: '',
        limit: null,
        target: `≥ ${LIVE_RUNS}`,
        ...atLeast(live, LIVE_RUNS),
      },
      { name: `${name}: until all of them are`, value: took, unit: 's', limit: null, ...INFORMS },
    ]
  } finally {
    abort.abort()
    await up
    await stopAll(join(home, 'runs'))
  }
}

async function untilLive(runsDir: string): Promise<number> {
  const said = (name: string): boolean => {
    const log = join(runsDir, name, 'output.log')
    return (
      existsSync(log) && readFileSync(log, 'utf8').includes('live') && !existsSync(join(runsDir, name, 'outcome.json'))
    )
  }
  let live = 0
  for (let waited = 0; waited < 120_000 && live < LIVE_RUNS; waited += 50) {
    await sleep(50)
    live = (await readdir(runsDir).catch(() => [])).filter(said).length
  }
  return live
}

async function stopAll(runsDir: string): Promise<void> {
  const runner = makeBenchRunner(runsDir)
  await Promise.all((await readdir(runsDir)).map((name) => runner.stop(name, 'bench')))
  await rm(runsDir, { recursive: true, force: true })
}
