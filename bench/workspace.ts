// Places of code beside git's own: a workspace from the pool and a fresh one against `git worktree add`, and what a
// verification costs whose setup is run or copied. The repository is made here, with the same content every time.

import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runProcess } from '../src/lib/process.ts'
import { probeSandbox } from '../src/workspace/sandbox.ts'
import { makeWorkspaces } from '../src/workspace/workspaces.ts'
import type { Mirror, Workspaces } from '../src/workspace/workspace.ts'
import { INFORMS, type Measure, atMost, median, ratioOf, rotatedRounds } from './lib.ts'

const FILES = 4_000
/** Files that setup makes: a small project's node_modules. */
const PRODUCTS = 3_000
const ROUNDS = 9
const VERIFY_ROUNDS = 5
/** Commits between what the pool holds and what is wanted, and files changed by each. */
const COMMITS = 20
const CHANGED = 10

interface Bench {
  dir: string
  env: Record<string, string>
  workspaces: Workspaces
  mirror: Mirror
  /** Oldest and newest commit of main. */
  old: string
  sha: string
}

/** All measures of places; takes about a minute and 1 GB of the temporary folder. */
export async function benchWorkspace(): Promise<Measure[]> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'orch-bench-workspace-')))
  try {
    const bench = await makeBench(dir)
    return [...(await benchPlaces(bench)), ...(await benchVerify(bench))]
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

async function git(at: { env: Record<string, string> }, cwd: string, ...args: string[]): Promise<string> {
  const result = await runProcess({ argv: ['git', ...args], cwd, env: at.env, timeoutMs: 120_000 })
  if (result.exitCode !== 0) throw new Error(`git ${args.join(' ')}: ${result.stderr}`)
  return result.stdout.trim()
}

/** Lines that are alike and never the same, 1 to 16 KB a file. */
function contentOf(n: number, version = 0): string {
  const lines = 20 + ((n * 7_919) % 300)
  return Array.from({ length: lines }, (_, line) => `export const value_${n}_${line} = ${n * line + version}\n`).join(
    '',
  )
}

async function makeBench(dir: string): Promise<Bench> {
  const bin = join(dir, 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'npm'), NPM)
  chmodSync(join(bin, 'npm'), 0o755)
  const who = { GIT_AUTHOR_NAME: 'Ann', GIT_AUTHOR_EMAIL: 'ann@example.com' }
  const committer = { GIT_COMMITTER_NAME: 'Ann', GIT_COMMITTER_EMAIL: 'ann@example.com' }
  const env = { PATH: `${bin}:${process.env['PATH'] ?? ''}`, HOME: join(dir, 'user'), ...who, ...committer }
  mkdirSync(env.HOME)
  const [remote, clone] = [join(dir, 'remote.git'), join(dir, 'clone')]
  const at = { env }
  await git(at, dir, 'init', '--quiet', '--bare', '--initial-branch=main', remote)
  await git(at, dir, 'init', '--quiet', '--initial-branch=main', clone)
  // Done once below, and never beside a measurement.
  await git(at, clone, 'config', 'gc.auto', '0')
  const fileOf = (n: number): string => join(clone, `packages/p${n % 50}/src/d${n % 7}`, `file-${n}.ts`)
  for (let n = 0; n < FILES; n++) {
    mkdirSync(join(fileOf(n), '..'), { recursive: true })
    writeFileSync(fileOf(n), contentOf(n))
  }
  for (const [name, text] of Object.entries({
    'package.json': '{}\n',
    'package-lock.json': '{}\n',
    '.gitignore': 'node_modules/\n',
  }))
    writeFileSync(join(clone, name), text)
  await git(at, clone, 'add', '--all')
  await git(at, clone, 'commit', '--quiet', '-m', 'all')
  const old = await git(at, clone, 'rev-parse', 'HEAD')
  for (let commit = 1; commit <= COMMITS; commit++) {
    for (let n = 0; n < CHANGED; n++) writeFileSync(fileOf((commit * 131 + n * 17) % FILES), contentOf(n, commit))
    await git(at, clone, 'commit', '--quiet', '--all', '-m', `commit ${commit}`)
  }
  await git(at, clone, 'gc', '--quiet')
  await git(at, clone, 'push', '--quiet', remote, 'main')
  const workspaces = makeWorkspaces({ home: join(dir, 'home'), env, sandbox: await probeSandbox(env) })
  const mirror = await workspaces.mirror({ id: 'bench', path: clone, remote })
  const { sha } = await mirror.fetchBase('main')
  return { dir, env, workspaces, mirror, old, sha }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}

async function benchPlaces(bench: Bench): Promise<Measure[]> {
  const { dir, workspaces, mirror, old, sha } = bench
  const { signal } = new AbortController()
  const ensure = () =>
    workspaces.ensure(mirror, { task: 'B-1', branch: 'orch/B-1', baseSha: sha, headSha: null, baseBranch: 'main' })
  const stock = (wanted: boolean) =>
    workspaces.stock({ wanted: wanted ? [{ project: 'bench', sha: old, sparse: [] }] : [], known: ['bench'], signal })
  const results = await rotatedRounds(
    {
      limit: async () => {
        const tree = join(dir, 'worktree')
        const took = await timed(() => git(bench, mirror.path, 'worktree', 'add', '--quiet', '--detach', tree, sha))
        await git(bench, mirror.path, 'worktree', 'remove', '--force', tree)
        return took
      },
      fresh: async () => {
        await stock(false)
        const took = await timed(ensure)
        await workspaces.remove('B-1')
        return took
      },
      pooled: async () => {
        await stock(true)
        const took = await timed(ensure)
        await workspaces.remove('B-1')
        return took
      },
    },
    ROUNDS,
  )
  await stock(false)
  const limit = median(results.limit)
  const row = (name: string, values: number[], most: number): Measure => {
    const ratio = ratioOf(values, results.limit)
    return { name, value: median(values), unit: 'ms', limit, ratio, target: `≤ ${most}×`, ...atMost(ratio, most) }
  }
  const against = `of ${FILES.toLocaleString('en')} files against git worktree add`
  return [
    row(`workspace from the pool, ${COMMITS} commits on, ${against}`, results.pooled, 0.25),
    row(`fresh workspace ${against}`, results.fresh, 1.15),
  ]
}

/** As `npm ci` without a network: many small files, some work for each package. */
const NPM = `#!/bin/sh
rm -rf node_modules && mkdir -p node_modules && cd node_modules || exit 1
package=0
while [ $package -lt ${PRODUCTS / 30} ]; do
  mkdir -p package-$package/lib
  for file in 0 1 2 3 4 5 6 7 8 9 a b c d e f g h i j k l m n o p q r s t; do
    echo "module.exports = '$package $file'" > package-$package/lib/$file.js
  done
  sha256sum package-$package/lib/*.js > package-$package/integrity
  package=$((package + 1))
done
`

/** A checkout from the pool with copied products, against a fresh one in which setup runs. */
async function benchVerify(bench: Bench): Promise<Measure[]> {
  const { workspaces, mirror, old, sha } = bench
  const { signal } = new AbortController()
  const verify = async (way: 'made' | 'reused') => {
    const wanted = way === 'reused' ? [{ project: 'bench', sha: old, sparse: [] }] : []
    await workspaces.stock({ wanted, known: ['bench'], signal })
    return timed(() =>
      workspaces.verify(mirror, {
        sha,
        setup: ['npm ci'],
        verify: [{ run: 'test -f node_modules/package-0/lib/t.js', timeoutSeconds: 60, cwd: '.', paths: [] }],
        changedPaths: null,
        env: { pass: [], set: {} },
        network: false,
        setupTimeoutMs: 120_000,
        outputCapBytes: 1 << 20,
        runSetup: way === 'made',
      }),
    )
  }
  const { made, reused } = await rotatedRounds(
    { made: () => verify('made'), reused: () => verify('reused') },
    VERIFY_ROUNDS,
  )
  const name = `verification, checkout and ${PRODUCTS.toLocaleString('en')} files of setup reused instead of made`
  const ratio = ratioOf(reused, made)
  return [{ name, value: median(reused), unit: 'ms', limit: median(made), ratio, ...INFORMS }]
}
