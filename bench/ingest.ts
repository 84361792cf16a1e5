// Webhooks: how many deliveries a second are durably kept and answered, beside node:http that checks the same signature and
// keeps nothing; and how long one waits at half of that, beside the disk's own sync.

import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, fdatasync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { openStore } from '../src/store/sqlite.ts'
import type { Load, LoadResult } from './ingest-load.ts'
import { INFORMS, type Measure, atLeast, atMost, median, percentile, ratioOf, rotatedRounds } from './lib.ts'

const SECRET = randomBytes(20).toString('hex')
/** As many as a busy vendor opens; all of them wait for one answer at a time. */
const CONNECTIONS = 32
const ROUNDS = 9
const SIZES = [
  { name: '1 KB', bytes: 1_024, count: 15_000, least: 0.6 },
  { name: '25 KB', bytes: 25_600, count: 4_000, least: 0.3 },
] as const
/** At half load: so long that its slowest hundredth is some dozens. */
const HALF_LOAD_SECONDS = 3
const HALF_LOAD_ROUNDS = 3

/** All measures of ingest; some half a minute and 600 MB of the temporary folder. */
export async function benchIngest(): Promise<Measure[]> {
  const dir = mkdtempSync(join(tmpdir(), 'orch-bench-ingest-'))
  const programs = [program('ingest-server.ts', 'raw', dir, SECRET), program('ingest-server.ts', 'orch', dir, SECRET)]
  // It collects what it made before its clock runs.
  const sender = program('--expose-gc', 'ingest-load.ts')
  try {
    const [raw = 0, orch = 0] = await Promise.all(programs.map(async (one) => Number(await one.line())))
    const sent = { orch: 0 }
    const load = async (port: number, of: Omit<Load, 'port' | 'secret' | 'connections'>): Promise<LoadResult> => {
      sender.tell({ port, secret: SECRET, connections: CONNECTIONS, ...of })
      const result = JSON.parse(await sender.line()) as LoadResult
      if (result.answers['202'] !== of.count) throw new Error(`not all were taken: ${JSON.stringify(result.answers)}`)
      if (port === orch) sent.orch += of.count
      return result
    }
    const measures: Measure[] = []
    for (const size of SIZES) {
      const rest = restOfBody(size.bytes)
      const { count } = size
      const round = async (port: number) => count / (await load(port, { rest, count, rate: null })).seconds
      const rates = await rotatedRounds({ raw: () => round(raw), orch: () => round(orch) }, ROUNDS)
      measures.push(rateMeasure(size, rates))
      const half = { size, dir, rate: median(rates.orch) / 2 }
      measures.push(
        ...(await halfLoad(half, {
          raw: (of) => load(raw, { rest, ...of }),
          orch: (of) => load(orch, { rest, ...of }),
        })),
      )
    }
    await refuseLost(join(dir, 'orch.db'), sent.orch)
    return measures
  } finally {
    await Promise.all([...programs, sender].map((one) => one.end()))
    rmSync(dir, { recursive: true, force: true })
  }
}

function rateMeasure(size: (typeof SIZES)[number], { raw, orch }: { raw: number[]; orch: number[] }): Measure {
  const ratio = ratioOf(orch, raw)
  return {
    name: `webhooks of ${size.name} kept durably and answered, against HTTP and HMAC alone`,
    value: median(orch),
    unit: '/s',
    limit: median(raw),
    ratio,
    target: `≥ ${size.least} × raw`,
    ...atLeast(ratio, size.least),
  }
}

type Loading = (of: { count: number; rate: number }) => Promise<LoadResult>

/**
 * In alternation with the sync of a file that grows by the same bytes, which is what a delivery can't be faster than; and
 * with HTTP and HMAC alone at the same rate: what of the wait is neither the disk's nor Orch's.
 */
async function halfLoad(
  { size, dir, rate }: { size: (typeof SIZES)[number]; dir: string; rate: number },
  load: { raw: Loading; orch: Loading },
): Promise<Measure[]> {
  const slowest = async (loading: Loading): Promise<number> =>
    percentile((await loading({ count: Math.ceil(rate * HALF_LOAD_SECONDS), rate })).latencies, 0.99)
  const { orch, raw, syncs } = await rotatedRounds(
    {
      orch: () => slowest(load.orch),
      raw: () => slowest(load.raw),
      syncs: () => syncRound(join(dir, 'sync'), size.bytes),
    },
    HALF_LOAD_ROUNDS,
  )
  const limit = median(syncs)
  const ratio = ratioOf(orch, syncs)
  return [
    {
      name: `answer to a webhook of ${size.name} at half load, p99, against fdatasync, p99`,
      value: median(orch),
      unit: 'ms',
      limit,
      ratio,
      target: '≤ 20 × fdatasync',
      ...atMost(ratio, 20),
    },
    {
      name: `the same of HTTP and HMAC alone, which keep nothing`,
      value: median(raw),
      unit: 'ms',
      limit,
      ratio: ratioOf(raw, syncs),
      ...INFORMS,
    },
  ]
}

const sync = promisify(fdatasync)

async function syncRound(path: string, bytes: number): Promise<number> {
  const file = openSync(path, 'w')
  const samples: number[] = []
  const chunk = Buffer.alloc(bytes, 'x')
  try {
    for (const endsAt = performance.now() + 1_000; performance.now() < endsAt;) {
      const startedAt = performance.now()
      writeSync(file, chunk)
      await sync(file)
      samples.push(performance.now() - startedAt)
    }
  } finally {
    closeSync(file)
  }
  return percentile(samples, 0.99)
}

/** What was answered must be there: else the figures are of something else. */
async function refuseLost(path: string, sent: number): Promise<void> {
  const store = await openStore(path)
  const kept = store.deliveryCounts(0).reduce((sum, { n }) => sum + n, 0)
  store.close()
  if (kept !== sent) throw new Error(`${sent} deliveries were answered with 202, and ${kept} are kept`)
}

/** JSON in the shape of an issue's event, from its second property on. */
function restOfBody(bytes: number): string {
  const start = '"action":"opened","issue":{"number":1,"title":"A title"},"text":"'
  // Random, so that nobody's compression makes it small.
  const text = randomBytes(bytes)
    .toString('base64')
    .slice(0, bytes - start.length - 47)
  return `${start}${text}"}`
}

interface Program {
  tell(message: unknown): void
  /** The next line that it prints. */
  line(): Promise<string>
  end(): Promise<void>
}

function program(...argv: string[]): Program {
  const child: ChildProcess = spawn(process.execPath, argv, {
    cwd: import.meta.dirname,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = child.stdout ? createInterface({ input: child.stdout })[Symbol.asyncIterator]() : null
  return {
    tell: (message) => child.stdin?.write(`${JSON.stringify(message)}\n`),
    line: async () => {
      const next = await lines?.next()
      if (!next || next.done) throw new Error(`${argv.join(' ')} ended before it answered`)
      return next.value
    },
    end: async () => {
      if (child.exitCode !== null) return
      child.stdin?.end()
      await new Promise((resolve) => child.once('exit', resolve))
    },
  }
}
