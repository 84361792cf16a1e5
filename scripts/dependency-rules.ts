// Holds the import rules of import-rules.ts, and that the tool saw every module: with a TypeScript that it
// doesn't know it sees none and passes.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type ICruiseResult, cruise } from 'dependency-cruiser'
import extractTSConfig from 'dependency-cruiser/config-utl/extract-ts-config'
import { cruiseOptions, importRules } from './import-rules.ts'

export interface Violation {
  rule: string
  from: string
  to: string
}

export interface CruiseReport {
  /** Every .ts file of the tree that the tool read, relative to the root. */
  modules: string[]
  violations: Violation[]
}

/** The folders that the rules are about. */
const FOLDERS = ['src', 'test', 'bench', 'scripts']

/** Cruises the tree at `root` with the project's rules. Throws when the tool can't read it. */
export async function cruiseTree(root: string): Promise<CruiseReport> {
  const tsConfigFile = join(root, 'tsconfig.json')
  const result = await cruise(
    FOLDERS.filter((folder) => existsSync(join(root, folder))),
    { ...cruiseOptions, baseDir: root, validate: true, ruleSet: { forbidden: importRules } },
    {},
    { tsConfig: extractTSConfig(tsConfigFile) },
  )
  const output = result.output as ICruiseResult
  return {
    modules: output.modules.map((module) => module.source).filter((source) => source.endsWith('.ts')),
    violations: output.summary.violations.map(({ rule, from, to }) => ({ rule: rule.name, from, to })),
  }
}

/** Every .ts file under `root/src`, as the file system has it. */
export function listSources(root: string): string[] {
  return readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.split('/').includes('fixtures'))
    .map((path) => `src/${path}`)
    .sort()
}

async function main(): Promise<number> {
  const root = join(import.meta.dirname, '..')
  const { modules, violations } = await cruiseTree(root)
  const seen = new Set(modules)
  const sources = listSources(root)
  const unseen = sources.filter((source) => !seen.has(source))
  for (const { rule, from, to } of violations) console.error(`${rule}: ${from} → ${to}`)
  for (const source of unseen) console.error(`not read by dependency-cruiser: ${source}`)
  console.log(`${modules.length} modules cruised, ${sources.length} of them in src, ${violations.length} violations`)
  return violations.length > 0 || unseen.length > 0 || sources.length === 0 ? 1 : 0
}

if (import.meta.main) process.exitCode = await main()
