// `npm run bench`: each figure beside its limit, measured in the same run. Exits 1 when a target is missed by half or more.

import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runProcess } from '../src/lib/process.ts'
import { type Measure, formatMeasures } from './lib.ts'
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

await build()
const measures: Measure[] = []
for (const bench of [benchStatus, benchService, benchStore, benchRuns, benchWorkspace]) {
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
