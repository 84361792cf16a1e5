// Follows live runs as the service does and prints what each of them adds to this process, in KB.
// A process of its own, so that nothing else is in its memory: node --expose-gc live-runs.ts FOLDER COUNT

import { mkdirSync } from 'node:fs'
import { sleep } from '../src/lib/process.ts'
import { makeBenchRunner, shellRun } from './runs.ts'

const [dir = '', count = '0'] = process.argv.slice(2)
const WARM_UP = 10

mkdirSync(dir, { recursive: true })
const runner = makeBenchRunner(dir)
const ends: Promise<unknown>[] = []
const ids: string[] = []

async function startRuns(howMany: number): Promise<void> {
  for (let n = 0; n < howMany; n += 1) {
    const spec = shellRun('exec tail -s 1 -f /dev/null', { dir })
    await runner.start(spec)
    ids.push(spec.runId)
    ends.push(runner.wait(spec.runId))
  }
}

/** What is in use after a collection, and the whole process, KB. */
async function usedKb(): Promise<{ resident: number; used: number }> {
  for (let n = 0; n < 5; n += 1) {
    globalThis.gc?.()
    await sleep(50)
  }
  const { rss, heapUsed, external } = process.memoryUsage()
  return { resident: rss / 1024, used: (heapUsed + external) / 1024 }
}

await startRuns(WARM_UP)
const before = await usedKb()
await startRuns(Number(count))
const after = await usedKb()
await Promise.all(ids.map((id) => runner.stop(id, 'bench')))
await Promise.all(ends)
// The process may still have room from before: whichever grew more tells.
const grown = Math.max(after.resident - before.resident, after.used - before.used)
process.stdout.write(String(grown / Number(count)))
