// Takes one safeguard after the other out of a copy of the tree and sees whether the tests notice. Each must be noticed:
// a survivor is a safeguard that nobody would miss. The copies are thrown away; the checkout itself is only read.
// `--list` names the mutants, `--only NAME` (again and again) runs those whose names begin so, `--jobs N` that many at once.

import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { runProcess } from '../src/lib/process.ts'
import { agentMutants } from './mutants/agents.ts'
import { coreMutants } from './mutants/core.ts'
import { deliveryMutants } from './mutants/deliveries.ts'
import { draftMutants } from './mutants/draft.ts'
import { flowMutants } from './mutants/flow.ts'
import { gateMutants } from './mutants/gates.ts'
import { lookMutants } from './mutants/looks.ts'
import { applyEdit, type Ending, judgeRun, killerOf, type Mutant, type Report } from './mutants/mutant.ts'
import { orderMutants } from './mutants/order.ts'
import { outsideMutants } from './mutants/outside.ts'
import { schemaMutants } from './mutants/schema.ts'
import { stepMutants } from './mutants/steps.ts'
import { storeMutants } from './mutants/store.ts'
import { workspaceMutants } from './mutants/workspace.ts'

export const MUTANTS: readonly Mutant[] = [
  ...storeMutants,
  ...schemaMutants,
  ...coreMutants,
  ...orderMutants,
  ...draftMutants,
  ...flowMutants,
  ...stepMutants,
  ...agentMutants,
  ...workspaceMutants,
  ...gateMutants,
  ...deliveryMutants,
  ...outsideMutants,
  ...lookMutants,
]

const ROOT = join(import.meta.dirname, '..')
/** One test file alone takes seconds; the slowest, an acceptance file, half a minute. */
const RUN_LIMIT_MS = 180_000
/** A test that waits for what the mutant broke need not wait for long. */
const TEST_LIMIT_MS = 15_000

const NARROW = ['--bail=1', '--maxWorkers=1', `--testTimeout=${TEST_LIMIT_MS}`] as const

interface Result {
  mutant: Mutant
  ending: Ending
  seconds: number
}

/** A copy of the tree in which mutants are made, one after the other. */
interface Copy {
  path: string
  signal: AbortSignal
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      list: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      jobs: { type: 'string', default: '2' },
    },
  })
  const chosen = MUTANTS.filter(
    ({ name }) => values.only.length === 0 || values.only.some((only) => name.startsWith(only)),
  )
  if (chosen.length === 0) throw new Error(`no mutant is called ${values.only.join(', ')}; see --list`)
  if (values.list) {
    for (const { name, breaks, edits } of chosen)
      console.log(`${name.padEnd(44)} ${breaks.join(' ').padEnd(8)} ${edits[0].file}`)
    return 0
  }
  const folder = await mkdtemp(join(tmpdir(), 'orch-mutants-'))
  const abort = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort())
  try {
    const paths = Array.from({ length: Math.max(1, Number(values.jobs)) }, (_, n) => join(folder, String(n)))
    const copies = paths.map((path): Copy => ({ path, signal: abort.signal }))
    await Promise.all(paths.map(copyTree))
    const red = await findRed(copies, chosen)
    return printed(await runAll(copies, { mutants: chosen, red }))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** What git would commit now, and the installed packages by a link. */
async function copyTree(path: string): Promise<void> {
  const listed = await runProcess({
    argv: ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate'],
    cwd: ROOT,
    env: { PATH: process.env['PATH'] ?? '' },
    timeoutMs: 60_000,
  })
  if (listed.exitCode !== 0) throw new Error(`could not list the files of ${ROOT}: ${listed.stderr}`)
  for (const file of listed.stdout.split('\0').filter(Boolean)) {
    await mkdir(dirname(join(path, file)), { recursive: true })
    // A file removed and not yet committed is listed all the same.
    await cp(join(ROOT, file), join(path, file)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
  }
  await symlink(join(ROOT, 'node_modules'), join(path, 'node_modules'))
}

/** Killers that are red, or run nothing, without any mutant: those prove nothing. Why, by killer. */
async function findRed(copies: Copy[], mutants: readonly Mutant[]): Promise<Map<string, string>> {
  const killers = [...new Set(mutants.flatMap(({ killers }) => killers))]
  const began = performance.now()
  const red = new Map<string, string>()
  await inTurns(copies, killers, async (copy, killer) => {
    const why = await whyRed(copy, killer)
    // A machine that is busy may have been too slow for it once.
    const still = why === null ? null : await whyRed(copy, killer)
    if (still !== null) red.set(killer, still)
  })
  console.log(`${killers.length - red.size} of ${killers.length} killers are green as they are (${seconds(began)} s)`)
  for (const [killer, why] of red) console.log(`RED without any mutant: ${killer}: ${why}`)
  console.log(`now ${mutants.length} mutants\n`)
  return red
}

async function whyRed(copy: Copy, killer: string): Promise<string | null> {
  const report = await runTests(copy, killer)
  if (typeof report === 'string') return report
  const ending = judgeRun(report)
  if (ending.kind === 'survived') return null
  return ending.kind === 'killed' ? `"${ending.by}" fails` : ending.why
}

/** Works off a list, in each copy one after the other. */
async function inTurns<T>(
  copies: Copy[],
  list: readonly T[],
  work: (copy: Copy, item: T) => Promise<void>,
): Promise<void> {
  const waiting = [...list]
  await Promise.all(
    copies.map(async (copy) => {
      for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) {
        await work(copy, item)
        copy.signal.throwIfAborted()
      }
    }),
  )
}

async function runAll(copies: Copy[], of: { mutants: readonly Mutant[]; red: Map<string, string> }): Promise<Result[]> {
  const results: Result[] = []
  await inTurns(copies, of.mutants, async (copy, mutant) => {
    const began = performance.now()
    const red = mutant.killers.find((killer) => of.red.has(killer))
    const ending: Ending =
      red === undefined ? await runMutant(copy, mutant) : { kind: 'void', why: `${red} is red without it` }
    const result = { mutant, ending, seconds: seconds(began) }
    results.push(result)
    console.log(lineOf(result))
  })
  return results
}

async function runMutant(copy: Copy, mutant: Mutant): Promise<Ending> {
  const before = new Map<string, string>()
  try {
    for (const edit of mutant.edits) {
      const path = join(copy.path, edit.file)
      const text = await readFile(path, 'utf8')
      if (!before.has(path)) before.set(path, text)
      await writeFile(path, applyEdit(text, edit))
    }
    for (const killer of mutant.killers) {
      const report = await runTests(copy, killer)
      const ending: Ending =
        typeof report === 'string' ? { kind: 'void', why: report } : judgeRun(report, mutant.failsWith)
      if (ending.kind !== 'survived') return ending
    }
    return { kind: 'survived' }
  } catch (error) {
    return { kind: 'void', why: error instanceof Error ? error.message : String(error) }
  } finally {
    for (const [path, text] of before) await writeFile(path, text)
  }
}

/** Runs a killer in the copy up to its first failure; a sentence when there is no report to judge by. */
async function runTests(copy: Copy, killer: string): Promise<Report | string> {
  const { file, name } = killerOf(killer)
  const named = name === undefined ? [] : [`--testNamePattern=${name}`]
  const output = join(copy.path, 'report.json')
  await rm(output, { force: true })
  const vitest = join(copy.path, 'node_modules/vitest/vitest.mjs')
  const environment = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined)
  const result = await runProcess({
    argv: [process.execPath, vitest, 'run', ...NARROW, ...named, '--reporter=json', `--outputFile=${output}`, file],
    cwd: copy.path,
    env: Object.fromEntries(environment),
    timeoutMs: RUN_LIMIT_MS,
    signal: copy.signal,
  })
  if (result.outcome !== 'exited')
    return `the tests of ${killer} were ${result.outcome} after ${Math.round(result.durationMs / 1000)} s`
  const text = await readFile(output, 'utf8').catch(() => null)
  return text === null
    ? `vitest left no report: ${(result.stderr || result.stdout).slice(-500)}`
    : (JSON.parse(text) as Report)
}

function printed(results: Result[]): number {
  const of = (kind: Ending['kind']): Result[] => results.filter(({ ending }) => ending.kind === kind)
  const [killed, survived, unclear] = [of('killed'), of('survived'), of('void')]
  console.log(
    `\n${results.length} mutants: ${killed.length} killed, ${survived.length} survived, ${unclear.length} without a verdict`,
  )
  for (const result of [...survived, ...unclear]) console.log(lineOf(result))
  return killed.length === results.length ? 0 : 1
}

function lineOf({ mutant, ending, seconds: took }: Result): string {
  const said =
    ending.kind === 'killed'
      ? `killed by: ${ending.by}`
      : ending.kind === 'survived'
        ? 'SURVIVED'
        : `NO VERDICT: ${ending.why}`
  return `${mutant.name.padEnd(44)} ${mutant.breaks.join(' ').padEnd(8)} ${took.toFixed(1).padStart(5)} s  ${said}`
}

function seconds(began: number): number {
  return Math.round((performance.now() - began) / 100) / 10
}

if (import.meta.main) process.exitCode = await main()
