// Each import rule is seen to bite: one small tree in which every file breaks exactly one rule.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { cruiseTree, listSources } from '../../scripts/dependency-rules.ts'
import { importRules } from '../../scripts/import-rules.ts'

const REPOSITORY = join(import.meta.dirname, '../..')

/** A tree without a fault: who is imported below stands here. */
const SOUND: Record<string, string> = {
  'package.json': '{"name":"planted","type":"module","dependencies":{"zod":"*"},"devDependencies":{"knip":"*"}}',
  'tsconfig.json': '{"compilerOptions":{"module":"nodenext","target":"es2024"}}',
  'src/core/task.ts': 'export interface Task { id: string }\nexport const task = 1\n',
  'src/core/policy.ts': "import type { Task } from './task.ts'\nexport type Policy = Task\n",
  'src/core/policy.test.ts': "import 'node:fs'\nimport '../store/sqlite.ts'\nimport './policy.ts'\n",
  'src/lib/process.ts':
    "import 'node:child_process'\nimport type { Task } from '../core/task.ts'\nexport type T = Task\n",
  'src/store/store.ts': "import type { Policy } from '../core/policy.ts'\nexport type P = Policy\nexport const S = 1\n",
  'src/store/sqlite.ts': "import 'node:fs'\nimport './store.ts'\nimport '../lib/process.ts'\nexport const Q = 1\n",
  'src/drivers/driver.ts': "import type { P } from '../store/store.ts'\nexport type D = P\n",
  'src/drivers/gitea/forge.ts': "import type { D } from '../driver.ts'\nexport type F = D\n",
  'src/agents/agent.ts': 'export const A = 1\n',
  'src/agents/supervisor.ts': "import 'node:child_process'\nimport './agent.ts'\n",
  'src/flow/app.ts': "import '../store/store.ts'\nimport '../core/policy.ts'\nimport '../drivers/driver.ts'\n",
  'src/flow/views.ts': 'export type View = string\n',
  'src/surfaces/http/server.ts': "import '../../flow/app.ts'\nimport '../../lib/process.ts'\n",
  'src/surfaces/cli/show.ts': "import type { View } from '../../flow/views.ts'\nexport type V = View\n",
  'src/compose.ts': "import './flow/app.ts'\n",
  'src/main.ts': [
    "import './compose.ts'",
    "import './store/sqlite.ts'",
    "import './drivers/gitea/forge.ts'",
    "import './surfaces/http/server.ts'",
    "import './surfaces/cli/show.ts'",
    '',
  ].join('\n'),
}

/** One fault a file. The file's name stands in main.ts, so that none of them is an orphan as well. */
const FAULTS: { rule: string; file: string; text: string; to: string }[] = [
  fault('core-imports-only-core', 'src/core/reads-files.ts', "import 'node:fs'", 'fs'),
  fault('core-imports-only-core', 'src/core/parses.ts', "import 'zod'", 'node_modules/zod/index.js'),
  fault('core-imports-only-core', 'src/core/runs.ts', "import '../lib/process.ts'", 'src/lib/process.ts'),
  fault('lib-imports-only-lib', 'src/lib/stores.ts', "import '../store/store.ts'", 'src/store/store.ts'),
  fault(
    'lib-core-types-only',
    'src/lib/decides.ts',
    "import { task } from '../core/task.ts'\ntask",
    'src/core/task.ts',
  ),
  fault(
    'edge-not-another-edge',
    'src/gates/peeks.ts',
    "import type { Q } from '../store/sqlite.ts'\nexport type R = typeof Q",
    'src/store/sqlite.ts',
  ),
  fault(
    'edge-contract-types-only',
    'src/gates/runs.ts',
    "import { S } from '../store/store.ts'\nS",
    'src/store/store.ts',
  ),
  fault('edge-not-inward', 'src/workspace/asks.ts', "import type {} from '../flow/app.ts'", 'src/flow/app.ts'),
  fault(
    'driver-not-another-driver',
    'src/drivers/github/copies.ts',
    "import '../gitea/forge.ts'",
    'src/drivers/gitea/forge.ts',
  ),
  fault('flow-sees-contracts', 'src/flow/queries.ts', "import '../store/sqlite.ts'", 'src/store/sqlite.ts'),
  fault('root-composes', 'src/config/composes.ts', "import '../compose.ts'", 'src/compose.ts'),
  fault('flow-no-npm', 'src/flow/parses.ts', "import 'zod'", 'node_modules/zod/index.js'),
  fault('insight-only-reads', 'src/insight/digest.ts', "import '../agents/agent.ts'", 'src/agents/agent.ts'),
  fault('surface-sees-the-app', 'src/surfaces/web/queries.ts', "import '../../store/store.ts'", 'src/store/store.ts'),
  fault(
    'surface-sees-the-app',
    'src/surfaces/web/borrows.ts',
    "import '../http/server.ts'",
    'src/surfaces/http/server.ts',
  ),
  fault(
    'surface-core-types-only',
    'src/surfaces/mcp/decides.ts',
    "import '../../core/policy.ts'",
    'src/core/policy.ts',
  ),
  fault(
    'one-place-starts-processes',
    'src/agents/spawns.ts',
    "import { spawn } from 'node:child_process'\nspawn",
    'child_process',
  ),
  fault('product-not-tests', 'src/flow/tested.ts', "import '../core/policy.test.ts'", 'src/core/policy.test.ts'),
  fault('product-no-dev-dependency', 'src/config/prunes.ts', "import 'knip'", 'node_modules/knip/index.js'),
  fault('resolvable', 'src/config/nowhere.ts', "import './missing.ts'", './missing.ts'),
]

const roots: string[] = []
afterAll(() => roots.forEach((root) => rmSync(root, { recursive: true, force: true })))

test('a sound tree breaks no import rule and every module of it is read', async () => {
  const root = plant(SOUND)
  const { modules, violations } = await cruiseTree(root)
  expect(violations).toEqual([])
  expect(modules.toSorted()).toEqual(listSources(root))
})

test('each planted violation is refused by its own rule and by no other', async () => {
  const imports = FAULTS.map(({ file }) => `import './${file.slice('src/'.length)}'`).join('\n')
  const tree = { ...SOUND, 'src/main.ts': `${SOUND['src/main.ts']}\n${imports}\n` }
  const root = plant({ ...tree, ...Object.fromEntries(FAULTS.map(({ file, text }) => [file, `${text}\n`])) })
  const { violations } = await cruiseTree(root)
  const seen = violations.map(({ rule, from, to }) => `${rule}: ${from} → ${to}`)
  expect(seen.toSorted()).toEqual(FAULTS.map(({ rule, file, to }) => `${rule}: ${file} → ${to}`).toSorted())
})

test('a cycle of types, a module nobody reaches and an import of main are refused', async () => {
  const root = plant({
    ...SOUND,
    'src/core/policy.ts': "import type { Task } from './task.ts'\nexport type Policy = Task\n",
    'src/core/task.ts': "import type { Policy } from './policy.ts'\nexport type Task = { policy: Policy }\n",
    'src/lib/unused.ts': 'export const unused = 1\n',
    'src/agents/agent.ts': "import '../main.ts'\n",
  })
  const rules = (await cruiseTree(root)).violations.map(({ rule, from }) => `${rule}: ${from}`)
  expect(rules).toContain('no-circular: src/core/policy.ts')
  expect(rules).toContain('no-orphans: src/lib/unused.ts')
  expect(rules).toContain('main-imported-by-none: src/agents/agent.ts')
})

test('every rule has a planted violation', () => {
  const planted = new Set([...FAULTS.map(({ rule }) => rule), 'no-circular', 'no-orphans', 'main-imported-by-none'])
  expect([...planted].toSorted()).toEqual(importRules.map(({ name }) => name).toSorted())
})

test('lib stays a shelf of ten files', () => {
  const files = listSources(REPOSITORY).filter((file) => /^src\/lib\/.*(?<!\.test|\.contract)\.ts$/.test(file))
  expect(files.length).toBeLessThanOrEqual(10)
})

function fault(rule: string, file: string, text: string, to: string): (typeof FAULTS)[number] {
  return { rule, file, text, to }
}

/** Writes a tree into a temporary folder, with two empty packages installed. */
function plant(tree: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'orch-rules-'))
  roots.push(root)
  const packages = ['zod', 'knip'].flatMap((name) => [
    [`node_modules/${name}/package.json`, `{"name":"${name}","type":"module","exports":"./index.js"}`],
    [`node_modules/${name}/index.js`, ''],
  ])
  for (const [path, text] of [...Object.entries(tree), ...packages] as [string, string][]) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return root
}
