// Who may import whom, as the design's layout says. `npm run check` and test/tooling/import-rules.test.ts hold it:
// each rule has a planted violation there, so a rule that stops biting is noticed.

import type { DependencyType, ICruiseOptions, IForbiddenRuleType } from 'dependency-cruiser'

type Named<Rule> = Rule & { name: string }

/** Tests and what only tests use: they may reach anything, and nothing else may reach them. */
const TESTS = String.raw`(\.test|\.contract)\.ts$|/(fake|test)-[^/]+\.ts$|/(__fixtures__|testing)/`
const CONTRACTS =
  '^src/(store/store|store/deliveries|drivers/driver|agents/agent|workspace/workspace|gates/gate|config/config)\\.ts$'
const EDGES = '^src/(store|drivers|agents|workspace|gates|config)/'
/** Programs of their own; everything else in src must be reached from one of them. */
const PROGRAMS = '^src/(main|agents/supervisor|agents/scripted-agent|agents/acp-agent)\\.ts$'
const NPM: DependencyType[] = ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-no-pkg', 'npm-unknown', 'npm-bundled']

/** The import rules; each is refused by name. */
export const importRules: Named<IForbiddenRuleType>[] = [
  {
    name: 'core-imports-only-core',
    comment: 'The core is pure: no npm package, no node: module, nothing of the outside.',
    severity: 'error',
    from: { path: '^src/core/', pathNot: TESTS },
    to: { pathNot: '^src/core/' },
  },
  {
    name: 'lib-imports-only-lib',
    comment: 'lib is leaves: it knows the core as types at most.',
    severity: 'error',
    from: { path: '^src/lib/', pathNot: TESTS },
    to: { path: '^(src|test|bench|scripts)/', pathNot: '^src/(lib|core)/' },
  },
  {
    name: 'lib-core-types-only',
    comment: 'lib may name what the core names; it runs none of it.',
    severity: 'error',
    from: { path: '^src/lib/', pathNot: TESTS },
    to: { path: '^src/core/', dependencyTypesNot: ['type-only'] },
  },
  {
    name: 'edge-not-another-edge',
    comment: 'Edge folders receive capabilities as parameters; of each other they know the contract only.',
    severity: 'error',
    from: { path: EDGES, pathNot: TESTS },
    to: { path: EDGES, pathNot: ['^src/$1/', CONTRACTS] },
  },
  {
    name: 'edge-contract-types-only',
    comment: "Another edge's contract is imported with `import type`.",
    severity: 'error',
    from: { path: EDGES, pathNot: TESTS },
    to: { path: CONTRACTS, pathNot: '^src/$1/', dependencyTypesNot: ['type-only'] },
  },
  {
    name: 'edge-not-inward',
    comment: 'Imports run one way: main, surfaces, flow, contracts, core.',
    severity: 'error',
    from: { path: EDGES, pathNot: TESTS },
    to: { path: '^src/(flow|surfaces|insight)/' },
  },
  {
    name: 'driver-not-another-driver',
    comment: 'A driver is one vendor and knows no other.',
    severity: 'error',
    from: { path: '^src/drivers/([^/]+)/', pathNot: TESTS },
    to: { path: '^src/drivers/[^/]+/', pathNot: '^src/drivers/$1/' },
  },
  {
    name: 'flow-sees-contracts',
    comment: 'The flow sees core, lib and contracts, never a vendor, a database or a surface.',
    severity: 'error',
    from: { path: '^src/flow/', pathNot: TESTS },
    to: { path: '^src/', pathNot: ['^src/(core|lib|flow)/', CONTRACTS] },
  },
  {
    name: 'flow-no-npm',
    comment: 'What the flow needs of a package stands behind a contract or in lib.',
    severity: 'error',
    from: { path: '^src/flow/', pathNot: TESTS },
    to: { dependencyTypes: NPM },
  },
  {
    name: 'insight-only-reads',
    comment: 'Insight reads the journal through the store and changes nothing.',
    severity: 'error',
    from: { path: '^src/insight/', pathNot: TESTS },
    to: { path: '^src/', pathNot: ['^src/(core|lib|insight)/', '^src/store/(store|deliveries)\\.ts$'] },
  },
  {
    name: 'surface-sees-the-app',
    comment: 'A surface asks flow/app.ts for everything; it knows no other surface and nothing behind the app.',
    severity: 'error',
    from: { path: '^src/surfaces/([^/]+)/', pathNot: TESTS },
    to: { path: '^src/', pathNot: ['^src/surfaces/$1/', '^src/flow/(app|views)\\.ts$', '^src/(core|lib)/'] },
  },
  {
    name: 'surface-core-types-only',
    comment: 'A surface shows what the core says; it decides nothing itself.',
    severity: 'error',
    from: { path: '^src/surfaces/', pathNot: TESTS },
    to: { path: '^src/(core/|flow/views\\.ts$)', dependencyTypesNot: ['type-only'] },
  },
  {
    name: 'main-imported-by-none',
    comment: 'The programs are entry points, not libraries.',
    severity: 'error',
    from: {},
    to: { path: PROGRAMS },
  },
  {
    name: 'root-composes',
    comment: 'What lies directly in src puts the rest together; the rest receives what it needs.',
    severity: 'error',
    from: { path: '^src/[^/]+/', pathNot: TESTS },
    to: { path: '^src/[^/]+\\.ts$', pathNot: PROGRAMS },
  },
  {
    name: 'one-place-starts-processes',
    comment: 'lib/process.ts gives every process a time limit, an output cap and an allowlisted environment.',
    severity: 'error',
    from: { path: '^src/', pathNot: [TESTS, '^src/lib/process\\.ts$', '^src/agents/supervisor\\.ts$'] },
    to: { path: '^(node:)?(child_process|cluster)$' },
  },
  {
    name: 'no-circular',
    comment: 'No cycles, types included.',
    severity: 'error',
    from: {},
    to: { circular: true },
  },
  {
    name: 'product-not-tests',
    comment: 'The product imports no test, fake, bench or script.',
    severity: 'error',
    from: { path: '^src/', pathNot: TESTS },
    to: { path: [TESTS, '^(test|bench|scripts)/'] },
  },
  {
    name: 'product-no-dev-dependency',
    comment: 'What runs for a user is a dependency, not a development dependency.',
    severity: 'error',
    from: { path: '^src/', pathNot: TESTS },
    to: {
      dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'],
      dependencyTypesNot: ['type-only'],
      pathNot: 'node_modules/@types/',
    },
  },
  {
    name: 'no-orphans',
    comment: 'Every module of the product is reached from a program.',
    severity: 'error',
    from: { path: PROGRAMS },
    to: { path: '^src/', pathNot: [TESTS, PROGRAMS], reachable: false },
  },
  {
    name: 'resolvable',
    comment: 'An import leads to a file, a package or a module of Node.',
    severity: 'error',
    from: {},
    to: { couldNotResolve: true },
  },
]

/** How the tree is read. */
export const cruiseOptions: ICruiseOptions = {
  // Types count: a cycle or a forbidden import of types is one too.
  tsPreCompilationDeps: true,
  doNotFollow: { path: 'node_modules' },
  exclude: { path: '(^|/)fixtures/' },
  enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
}
