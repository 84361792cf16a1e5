// `npm run simulate -- --seeds N [--from K] [--file]`, or `--seed K` for one with its journal.

import { parseArgs } from 'node:util'
import { addResult, describe, missing, newCoverage } from './coverage.ts'
import { tellFailure } from './failure.ts'
import { simulate } from './simulate.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    file: { type: 'boolean', default: false },
  },
})

const from = Number(values.seed ?? values.from)
const count = values.seed === undefined ? Number(values.seeds) : 1
if (!Number.isInteger(from) || !Number.isInteger(count) || count < 1) {
  process.stderr.write('usage: npm run simulate -- [--seeds N] [--from K] [--seed K] [--file]\n')
  process.exit(2)
}

/** Lines of journal of a single seed: all there are. */
const WHOLE = 100_000
/** Progress on a long night, in seeds. */
const TELL_EVERY = 1_000
const coverage = newCoverage()
const started = performance.now()
let failures = 0
for (let seed = from; seed < from + count; seed++) {
  const result = await simulate(seed, { file: values.file, ...(values.seed === undefined ? {} : { tail: WHOLE }) })
  addResult(coverage, result)
  if (result.violations.length > 0) {
    failures += 1
    process.stdout.write(`${tellFailure(result, { file: values.file })}\n`)
  } else if (values.seed !== undefined) {
    process.stdout.write(`${result.journal.join('\n')}\nhash ${result.hash}\n`)
  }
  const n = seed - from + 1
  if (n % TELL_EVERY === 0 && n < count) process.stdout.write(`${n} seeds, ${failures} failed\n`)
}
const seconds = (performance.now() - started) / 1_000
const gaps = missing(coverage)
process.stdout.write(`${describe(coverage).join('\n')}\n`)
for (const gap of gaps) process.stdout.write(`below the floor: ${gap}\n`)
process.stdout.write(`${failures} of ${count} seeds failed in ${seconds.toFixed(1)} s\n`)
if (failures + gaps.length > 0) process.exitCode = 1
