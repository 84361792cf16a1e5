import { existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { OPEN } from '../core/test-spec.ts'
import { findAssets, makeConfig } from '../config/make-config.ts'
import { ExternalError, UserError } from '../lib/errors.ts'
import { runProcess } from '../lib/process.ts'
import { openStore } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import { makeRepositoryFacts } from '../workspace/facts.ts'
import { makeManagedClones } from '../workspace/managed-clones.ts'
import { addProject } from './add-project.ts'
import type { InitResult } from './app.ts'
import type { AddProject } from './outside-views.ts'
import { makeEngine } from './engine.ts'
import { makeOnboard } from './onboard.ts'
import { type TestVendor, project, testRemotes, testVendor } from './test-driver.ts'

interface Place {
  dir: string
  home: string
  store: Store
  github: TestVendor
  plane: TestVendor
  add(source: string, flags?: Partial<AddProject>): Promise<InitResult>
  git(cwd: string, ...args: string[]): Promise<string>
}

/** One bare repository that every address at github.com leads to. */
async function place(): Promise<Place> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'orch-add-')))
  const home = join(dir, 'home')
  mkdirSync(home)
  const env: Record<string, string> = {
    PATH: process.env['PATH'] ?? '',
    HOME: dir,
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
  }
  ;['acme/shop', 'acme/store'].forEach((ref, n) => {
    env[`GIT_CONFIG_KEY_${2 * n}`] = `url.${join(dir, 'remote.git')}.insteadOf`
    env[`GIT_CONFIG_VALUE_${2 * n}`] = `https://github.com/${ref}.git`
    env[`GIT_CONFIG_KEY_${2 * n + 1}`] = `url.${join(dir, 'remote.git')}.insteadOf`
    env[`GIT_CONFIG_VALUE_${2 * n + 1}`] = `git@github.com:${ref}.git`
  })
  env['GIT_CONFIG_COUNT'] = '4'
  const git = async (cwd: string, ...args: string[]): Promise<string> => {
    const argv = ['git', '-c', 'user.name=Ann', '-c', 'user.email=ann@example.com', ...args] as const
    const result = await runProcess({ argv: [...argv], cwd, env, timeoutMs: 20_000 })
    if (result.exitCode !== 0) throw new Error(result.stderr)
    return result.stdout.trim()
  }
  mkdirSync(join(dir, 'work'))
  await git(dir, 'init', '--quiet', '--bare', '--initial-branch=main', join(dir, 'remote.git'))
  await git(join(dir, 'work'), 'init', '--quiet', '--initial-branch=main')
  writeFileSync(join(dir, 'work', 'README.md'), 'Shop')
  await git(join(dir, 'work'), 'add', '.')
  await git(join(dir, 'work'), 'commit', '--quiet', '-m', 'Begin')
  await git(join(dir, 'work'), 'remote', 'add', 'origin', 'https://github.com/acme/shop.git')
  await git(join(dir, 'work'), 'push', '--quiet', 'origin', 'main')
  const store = await openStore(join(home, 'orch.db'))
  onTestFinished(() => {
    store.close()
    rmSync(dir, { recursive: true })
  })
  const github = testVendor('github', {
    'acme/shop': project('acme/shop'),
    'acme/old': project('acme/shop'),
    'acme/secret': () => {
      throw new ExternalError({ system: 'github', kind: 'auth', message: 'there is no credential' })
    },
    'acme/nogit': project('acme/nogit'),
  })
  const plane = testVendor('plane', { 'acme/1': { ...project('acme/1'), cloneUrl: null } })
  const remotes = testRemotes([github, plane])
  const facts = makeRepositoryFacts(env)
  const onboard = makeOnboard({
    store,
    facts,
    config: makeConfig({ assets: findAssets(join(import.meta.dirname, '..')), agents: ['claude'] }),
    cloneFiles: async () => ({ config: null, pipelines: [], prompts: {} }),
    userConfig: () => null,
    repositoryAt: remotes.repositoryAt,
    env: {},
    now: () => 5,
  })
  const deps = { store, facts, onboard, remotes, clones: makeManagedClones({ home, env }) }
  const add = (source: string, flags: Partial<AddProject> = {}): Promise<InitResult> =>
    addProject(deps, { source, cwd: dir, prefix: null, tracker: null, forge: null, ...flags })
  return { dir, home, store, github, plane, add, git }
}

async function failure(promise: Promise<unknown>): Promise<{ exit?: number; code: string; message: string }> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (error instanceof UserError) return { exit: error.exit, code: error.code, message: error.message }
  if (error instanceof ExternalError) return { code: error.kind, message: error.message }
  throw new Error(`no error of its own: ${String(error)}`)
}

const AT = { driver: 'github', ref: 'acme/shop' }

test('owner/name is cloned below ORCH_HOME and has its issues and changes there; twice is once', async () => {
  const { home, store, github, add, git } = await place()
  const added = await add('acme/shop')
  const path = join(home, 'clones', 'github.com', 'acme', 'shop')
  expect(added).toMatchObject({ alreadyRegistered: false, project: { id: 'SHOP', path, tracker: AT, forge: AT } })
  expect(added.project.remote).toBe('https://github.com/acme/shop.git')
  expect(await git(path, 'show', 'HEAD:README.md')).toBe('Shop')
  expect(store.listProjects()).toEqual([added.project])
  expect(github.asked).toEqual(['acme/shop'])
  expect(await add('https://github.com/acme/shop/issues')).toMatchObject({
    alreadyRegistered: true,
    project: added.project,
  })
  expect(store.listProjects()).toEqual([added.project])
  expect(readdirSync(join(home, 'clones'))).toEqual(['github.com'])
})

test('tracker and forge are chosen separately, and later', async () => {
  const { store, add } = await place()
  const plane = { driver: 'plane', ref: 'acme/1' }
  await add('acme/shop', { tracker: 'plane:acme/1' })
  expect(store.listProjects()[0]).toMatchObject({ tracker: plane, forge: AT })
  const again = await add('acme/shop', { forge: 'none' })
  expect(again.notes.join(' ')).toContain('changes are shown at acme/shop at github no more')
  expect(store.listProjects()[0]?.forge).toBeUndefined()
  await add('acme/shop', { tracker: 'none', forge: 'github' })
  expect(store.listProjects()[0]).toMatchObject({ forge: AT })
  expect(store.listProjects()[0]?.tracker).toBeUndefined()
})

test('ssh stays ssh, and a repository that moved has its new name', async () => {
  const { store, add } = await place()
  const added = await add('git@github.com:acme/old.git', { tracker: 'none' })
  expect(added.notes.join(' ')).toContain('acme/old at github is called acme/shop now')
  expect(store.listProjects()[0]).toMatchObject({ remote: 'git@github.com:acme/shop.git', forge: AT })
})

test('a folder is registered as it is and called nobody for, and what could be had is said', async () => {
  const { dir, store, github, add } = await place()
  const added = await add('work')
  expect(added.project).toMatchObject({ path: join(dir, 'work'), remote: 'https://github.com/acme/shop.git' })
  expect(added.notes.join(' ')).toContain('--tracker github --forge github')
  expect(github.asked).toEqual([])
  const set = await add('work', { forge: 'github', tracker: 'github' })
  expect(set).toMatchObject({ alreadyRegistered: true, project: { tracker: AT, forge: AT } })
  expect(set.notes.join(' ')).not.toContain('nothing is shown there')
  expect(github.asked).toEqual(['acme/shop'])
  expect(store.listProjects()).toEqual([set.project])
  expect(await add('acme/shop')).toMatchObject({ alreadyRegistered: true, project: { path: join(dir, 'work') } })
})

test('a forge that origin does not lead to is told', async () => {
  const { dir, add, git } = await place()
  await git(join(dir, 'work'), 'remote', 'set-url', 'origin', join(dir, 'remote.git'))
  expect(await failure(add('work', { forge: 'github' }))).toMatchObject({ exit: 2, code: 'no-ref' })
  const added = await add('work', { forge: 'github:acme/shop' })
  expect(added.notes.join(' ')).toContain('both must be one repository')
})

test.each([
  ['acme/shop', { forge: 'gitlab' }, { exit: 2, code: 'unknown-driver' }],
  ['acme/shop', { forge: 'plane:acme/1' }, { exit: 2, code: 'unknown-driver' }],
  ['acme/shop', { tracker: 'plane' }, { exit: 2, code: 'no-ref' }],
  ['acme/shop', { tracker: 'plane:acme/2' }, { exit: 3, code: 'no-remote-project' }],
  ['acme/nothing', {}, { exit: 3, code: 'no-remote-project' }],
  ['acme/secret', {}, { code: 'auth' }],
  ['acme/nogit', {}, { code: expect.stringMatching(/unreachable|not-found|auth/) }],
  ['acme/shop', { prefix: 'no good' }, { exit: 2, code: 'bad-prefix' }],
  ['nothing-here', {}, { exit: 6, code: 'no-repository' }],
  ['file:///nowhere/at/all.git', {}, { code: expect.stringMatching(/unreachable|not-found/) }],
] as [string, Partial<AddProject>, object][])(
  '%s %j is refused, and nothing is left',
  async (source, flags, expected) => {
    const { home, store, add } = await place()
    expect(await failure(add(source, flags))).toMatchObject(expected)
    expect(store.listProjects()).toEqual([])
    const clones = join(home, 'clones')
    expect(existsSync(clones) ? readdirSync(clones, { recursive: true }) : []).toEqual([])
  },
)

test('open work keeps its tracker and its forge; a repository that moved keeps its work', async () => {
  const { store, add, github } = await place()
  const { project: added } = await add('acme/shop')
  const engine = makeEngine({ store, now: () => 5, wake: () => undefined })
  const by = { actor: { kind: 'engine' as const, name: 'test' }, cause: 'test', correlation: 'test' }
  await engine.submit({ ...OPEN, task: 'SHOP-1', project: 'SHOP', origin: 'github:1' }, by)
  expect(await failure(add('acme/shop', { tracker: 'none' }))).toMatchObject({ exit: 4, code: 'open-tasks' })
  await add('acme/shop', { forge: 'none' })
  await add('acme/shop', { forge: 'github' })
  const change = { project: 'SHOP', task: 'SHOP-1', branch: 'b', base: 'main', head: 'h', title: 't', body: '' }
  await store.saveChange({ ...change, state: 'open', mergedSha: null, url: null, createdAt: 1, updatedAt: 1 })
  expect(await failure(add('acme/shop', { forge: 'none' }))).toMatchObject({ exit: 4, code: 'open-tasks' })
  expect(store.listProjects()).toEqual([added])
  github.driver.findProject = async () => project('acme/store')
  const moved = await add('acme/shop', { tracker: 'github' })
  const there = { driver: 'github', ref: 'acme/store' }
  expect(moved.project).toMatchObject({ tracker: there, forge: there, remote: 'https://github.com/acme/store.git' })
  expect(store.listProjects()).toEqual([moved.project])
})
