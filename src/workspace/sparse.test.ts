import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { asAgent, BRANCH, collectOne, commit, kindsHere, makeWorld, sh, type World } from './__fixtures__/world.ts'
import { coneOf, conePatterns } from './sparse.ts'
import type { Workspace } from './workspace.ts'

const kinds = await kindsHere()

const FILES = [
  'apps/README.md',
  'apps/shop/index.js',
  'apps/shop/deep/er.js',
  'apps/till/index.js',
  'libs/money/index.js',
  'libs/we [ird*/x.js',
]

async function makeMonorepo(kind?: Parameters<typeof makeWorld>[0]): Promise<World> {
  const world = await makeWorld(kind)
  for (const file of FILES) {
    await mkdir(path.join(world.clone, path.dirname(file)), { recursive: true })
    await writeFile(path.join(world.clone, file), `${file}\n`)
  }
  world.base = await commit(world.env, world.clone, 'monorepo')
  await sh(world.env, world.clone, 'git', 'push', '-q', 'origin', 'main')
  await world.mirror.fetchBase(null)
  return world
}

function ensureSparse(world: World, sparse: string[], headSha: string | null = null): Promise<Workspace> {
  const request = { task: 'SHOP-1', branch: BRANCH, baseSha: world.base, headSha, baseBranch: 'main', sparse }
  return world.workspaces.ensure(world.mirror, request)
}

const LIST = 'find . -path ./.git -prune -o -type f -print | sort'
const SHOP = './.gitignore\n./a.txt\n./apps/README.md\n./apps/shop/deep/er.js\n./apps/shop/index.js'

test('a cone is written as git writes it', async () => {
  const world = await makeMonorepo()
  const folders = ['apps/shop', 'libs/we [ird*', 'libs/money']
  const plain = path.join(world.folder, 'plain')
  await sh(world.env, world.folder, 'git', 'clone', '-q', '--no-checkout', world.remote, plain)
  await sh(world.env, plain, 'git', 'sparse-checkout', 'set', '--cone', '--skip-checks', ...folders)
  const theirs = await readFile(path.join(plain, '.git/info/sparse-checkout'), 'utf8')
  const lines = (text: string): string[] => text.split('\n').sort()
  expect(lines(conePatterns(coneOf(folders)))).toEqual(lines(theirs))
  expect(coneOf(['./b//c/', 'a', 'b/c/d', 'a'])).toEqual(['a', 'b/c'])
  expect(coneOf(['a', '.'])).toEqual([])
})

describe.each(kinds)('a sparse workspace (%s)', (kind) => {
  test('holds its folders and all root files; what is committed in it leaves the rest as it was', async () => {
    const world = await makeMonorepo(kind)
    const workspace = await ensureSparse(world, ['apps/shop'])
    expect(await asAgent(world, workspace, `${LIST}; git status --short --branch; git sparse-checkout list`)).toBe(
      `${SHOP}\n## ${BRANCH}\napps/shop\n`,
    )
    await asAgent(
      world,
      workspace,
      'echo new > apps/shop/new.js; rm apps/shop/deep/er.js; git add -A; git commit -qm work; echo more >> a.txt',
    )
    const { headSha, leftovers, tampering } = await collectOne(world, workspace)
    expect({ leftovers, tampering }).toEqual({ leftovers: true, tampering: [] })
    const changes = await sh(world.env, world.mirror.path, 'git', 'diff', '--name-status', world.base, headSha)
    expect(changes).toBe('M\ta.txt\nD\tapps/shop/deep/er.js\nA\tapps/shop/new.js')
  })

  test('keeps what an agent writes beside its folders', async () => {
    const world = await makeMonorepo(kind)
    const workspace = await ensureSparse(world, ['apps/shop'])
    await asAgent(
      world,
      workspace,
      'mkdir -p libs/new libs/money; echo n > libs/new/n.js; echo m > libs/money/index.js',
    )
    const { headSha, tampering } = await collectOne(world, workspace)
    expect(tampering).toEqual([])
    const changes = await sh(world.env, world.mirror.path, 'git', 'diff', '--name-status', world.base, headSha)
    expect(changes).toBe('M\tlibs/money/index.js\nA\tlibs/new/n.js')
  })

  test("is followed by its reviewer's copy and its verification", async () => {
    const world = await makeMonorepo(kind)
    const sparse = ['apps/shop']
    const at = { task: 'SHOP-1', runId: 'run-7', sha: world.base, baseSha: world.base, baseBranch: 'main', sparse }
    const copy = await world.workspaces.ensureReadCopy(world.mirror, at)
    expect(await asAgent(world, copy, LIST)).toBe(`${SHOP}\n`)
    const command = { timeoutSeconds: 20, paths: [] }
    const { commands } = await world.workspaces.verify(world.mirror, {
      sha: world.base,
      setup: [],
      verify: [
        { ...command, run: `${LIST}; git status --short`, cwd: '.' },
        { ...command, run: 'ls', cwd: 'apps/shop/deep' },
      ],
      changedPaths: null,
      env: { pass: [], set: {} },
      network: true,
      setupTimeoutMs: 20_000,
      outputCapBytes: 1 << 20,
      sparse,
    })
    expect(commands.map((one) => one.output)).toEqual([SHOP, 'er.js'])
  })
})

test('other folders make it afresh, and what was uncommitted is saved', async () => {
  const world = await makeMonorepo()
  const workspace = await ensureSparse(world, ['apps/shop'])
  await writeFile(path.join(workspace.path, 'apps/shop/new.js'), 'precious\n')
  await ensureSparse(world, ['libs/money'])
  expect(existsSync(path.join(workspace.path, 'apps/shop'))).toBe(false)
  expect(await readFile(path.join(workspace.path, 'libs/money/index.js'), 'utf8')).toBe('libs/money/index.js\n')
  expect(await readFile(path.join(world.home, 'saved/SHOP-1-1/files/apps/shop/new.js'), 'utf8')).toBe('precious\n')
  await ensureSparse(world, [])
  expect(await asAgent(world, workspace, 'git ls-files | wc -l; git status --short')).toBe('8\n')
})

test('comes from the pool only where the pool has the same folders', async () => {
  const world = await makeMonorepo()
  const { signal } = new AbortController()
  const stock = (sparse: string[]) =>
    world.workspaces.stock({ wanted: [{ project: 'shop', sha: world.base, sparse }], known: ['shop'], signal })
  await stock(['apps/shop/'])
  const workspace = await ensureSparse(world, ['libs/money'])
  expect(existsSync(path.join(workspace.path, 'apps/shop'))).toBe(false)
  await world.workspaces.remove('SHOP-1')
  expect(await asAgent(world, await ensureSparse(world, ['apps/shop']), LIST)).toBe(`${SHOP}\n`)
  await world.workspaces.remove('SHOP-1')
  await stock([])
  expect(await asAgent(world, await ensureSparse(world, []), 'git ls-files -t | grep -c ^S; git status --short')).toBe(
    '0\n',
  )
})
