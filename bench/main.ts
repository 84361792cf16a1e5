// `npm run bench [-- NAME …]`: each figure beside its limit, measured in the same run. Exits 1 when a target is missed by half
// or more.

import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runProcess } from '../src/lib/process.ts'
import { benchApiCalls } from './api-calls.ts'
import { benchIngest } from './ingest.ts'
import { type Measure, formatMeasures } from './lib.ts'
import { benchRecovery } from './recovery.ts'
import { benchRuns } from './runs.ts'
import { benchService, benchStatus } from './service.ts'
import { benchStore } from './store.ts'
import { benchWorkspace } from './workspace.ts'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** The command line is measured as users have it: built. */
async function build(): Promise<void> {
  const argv = [process.execPath, join(root, 'scripts', 'build.ts')] as const
  const built = await runProcess({ argv, cwd: root, env: { PATH: process.env['PATH'] ?? '' }, timeoutMs: 120_000 })
  if (built.exitCode !== 0 || !existsSync(join(root, 'dist', 'main.js')))
    throw new Error(`the build failed: ${built.stderr}`)
}

const BENCHES: Record<string, () => Promise<Measure[]>> = {
  status: benchStatus,
  service: benchService,
  'api-calls': benchApiCalls,
  store: benchStore,
  runs: benchRuns,
  recovery: benchRecovery,
  workspace: benchWorkspace,
  ingest: benchIngest,
}
/** Short of its targets by more than a run may be (docs/decisions/0022): measured when it is named. */
const WAITING = new Set(['ingest'])

const named = process.argv.slice(2)
const unknown = named.filter((name) => !Object.hasOwn(BENCHES, name))
if (unknown.length > 0)
  throw new Error(`there is no bench ${unknown.join(', ')}; there are ${Object.keys(BENCHES).join(', ')}`)
await build()
const measures: Measure[] = []
for (const [name, bench] of Object.entries(BENCHES)) {
  if (named.length > 0 ? !named.includes(name) : WAITING.has(name)) continue
  const rows = await bench()
  process.stdout.write(`${formatMeasures(rows)}\n`)
  measures.push(...rows)
}
const missed = measures.filter((measure) => !measure.ok && !measure.failed)
const failed = measures.filter((measure) => measure.failed)
process.stdout.write(
  `\n${measures.length} measured: ${missed.length} short of their target, ${failed.length} by half or more\n`,
)
process.exitCode = failed.length > 0 ? 1 : 0
