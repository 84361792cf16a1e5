// Everything that must hold before a change is merged, step by step; all steps run, failures are listed at the end.
// `--no-tests` leaves the tests out (CI has run them already).

import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runProcess } from '../src/lib/process.ts'

interface Step {
  name: string
  argv: readonly [string, ...string[]]
}

/** Longest a step may take: the tests need about ten minutes on two cores; three times that is a hang. */
const STEP_TIMEOUT_MS = 30 * 60_000

const STEPS: Step[] = [
  { name: 'types', argv: ['tsc', '-p', '.'] },
  { name: 'core without Node', argv: ['tsc', '-p', 'tsconfig.core.json'] },
  { name: 'lint', argv: ['oxlint', '--type-aware', '--deny-warnings'] },
  { name: 'format', argv: ['oxfmt', '--check'] },
  { name: 'import rules', argv: ['node', 'scripts/dependency-rules.ts'] },
  { name: 'unused code', argv: ['knip', '--no-progress'] },
]
const TESTS: Step = { name: 'tests', argv: ['vitest', 'run'] }

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { 'no-tests': { type: 'boolean', default: false } } })
  const failed: string[] = []
  for (const step of values['no-tests'] ? STEPS : [...STEPS, TESTS]) {
    if (!(await runStep(step))) failed.push(step.name)
  }
  console.log(failed.length === 0 ? 'check: all passed' : `check: failed: ${failed.join(', ')}`)
  return failed.length === 0 ? 0 : 1
}

/** Runs one step and prints its name, result and time; its output too when it failed or has something to count. */
async function runStep(step: Step): Promise<boolean> {
  const root = join(import.meta.dirname, '..')
  const [tool, ...args] = step.argv
  const program = tool === 'node' ? process.execPath : join(root, 'node_modules/.bin', tool)
  const environment = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined)
  const env = {
    ...Object.fromEntries(environment),
    PATH: `${join(root, 'node_modules/.bin')}:${process.env['PATH'] ?? ''}`,
  }
  const result = await runProcess({ argv: [program, ...args], cwd: root, env, timeoutMs: STEP_TIMEOUT_MS })
  const passed = result.outcome === 'exited' && result.exitCode === 0
  const seconds = (result.durationMs / 1000).toFixed(1)
  console.log(
    `${passed ? 'ok    ' : 'FAILED'} ${step.name.padEnd(18)} ${seconds.padStart(6)} s${passed ? `  ${lastLine(result.stdout)}` : ''}`,
  )
  if (!passed) console.log([result.stdout, result.stderr, ending(result)].filter(Boolean).join('\n').trimEnd())
  return passed
}

function ending({
  outcome,
  exitCode,
  signal,
}: {
  outcome: string
  exitCode: number | null
  signal: string | null
}): string {
  return outcome === 'exited' ? '' : `${outcome} (exit code ${exitCode}, signal ${signal})`
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1)?.trim() ?? ''
}

process.exitCode = await main()
