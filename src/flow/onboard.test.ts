import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { findAssets, makeConfig } from '../config/make-config.ts'
import { UserError } from '../lib/errors.ts'
import { runProcess } from '../lib/process.ts'
import type { Project } from '../store/store.ts'
import { makeRepositoryFacts } from '../workspace/facts.ts'
import { type Onboard, derivePrefix, makeOnboard } from './onboard.ts'

interface Place {
  dir: string
  clone: string
  projects: Project[]
  /** Happens after everything was checked and before anything is written. */
  meanwhile: { do: () => void }
  onboard: Onboard
  git: (...args: string[]) => Promise<void>
}

const here = dirname(fileURLToPath(import.meta.url))

async function place(options: { name?: string; files?: Record<string, string>; push?: boolean } = {}): Promise<Place> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'orch-onboard-')))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  const name = options.name ?? 'shop'
  const clone = join(dir, name)
  const env = { PATH: process.env['PATH'] ?? '', HOME: dir, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' }
  const git = async (...args: string[]): Promise<void> => {
    const result = await runProcess({
      argv: ['git', '-c', 'user.name=Ann', '-c', 'user.email=ann@example.com', ...args],
      cwd: clone,
      env,
      timeoutMs: 20_000,
    })
    if (result.exitCode !== 0) throw new Error(result.stderr)
  }
  mkdirSync(join(clone, 'src'), { recursive: true })
  await git('init', '--quiet', '--bare', '--initial-branch=main', join(dir, `${name}.git`))
  await git('init', '--quiet', '--initial-branch=main')
  for (const [file, text] of Object.entries(options.files ?? { 'README.md': 'Shop' }))
    writeFileSync(join(clone, file), text)
  await git('add', '.')
  await git('commit', '--quiet', '-m', 'Begin')
  await git('remote', 'add', 'origin', join(dir, `${name}.git`))
  if (options.push !== false) await git('push', '--quiet', 'origin', 'main')
  const projects: Project[] = []
  const meanwhile = { do: (): void => undefined }
  const onboard = makeOnboard({
    store: {
      listProjects: () => {
        meanwhile.do()
        return projects
      },
      addProject: async (project) => {
        if (projects.some((known) => known.id === project.id)) return 'exists'
        projects.push(project)
        return 'added'
      },
    },
    facts: makeRepositoryFacts(env),
    config: makeConfig({ assets: findAssets(join(here, '..')), agents: ['scripted', 'command', 'claude'] }),
    cloneFiles: async ({ path }) => {
      const file = join(path, '.orch.yml')
      return {
        config: existsSync(file) ? { name: '.orch.yml', text: readFileSync(file, 'utf8') } : null,
        pipelines: [],
        prompts: {},
      }
    },
    userConfig: () => null,
    repositoryAt: (address) => (address.includes('github.com') ? { driver: 'github', ref: 'acme/shop' } : null),
    env: {},
    now: () => 5,
  })
  return { dir, clone, projects, meanwhile, onboard, git }
}

const ASK = { prefix: null, agent: null, pipeline: null, setup: null, verify: null, approval: null }

async function failure(promise: Promise<unknown>): Promise<{ exit: number; code: string; message: string }> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof UserError)) throw new Error(`no UserError: ${String(error)}`)
  return { exit: error.exit, code: error.code, message: error.message }
}

test('init registers the clone from any folder in it and writes its file, and twice is once', async () => {
  const files = { 'package.json': JSON.stringify({ scripts: { test: 'node --test' } }), 'package-lock.json': '{}' }
  const { clone, onboard, projects, dir } = await place({ files })
  symlinkSync(clone, join(dir, 'link'))
  const first = await onboard.init({ ...ASK, cwd: join(dir, 'link', 'src'), approval: 'auto' })
  expect(first).toMatchObject({ wroteConfig: true, alreadyRegistered: false, setup: ['npm ci'], verify: ['npm test'] })
  expect(first.project).toEqual({ id: 'SHOP', name: 'shop', path: clone, remote: join(dir, 'shop.git'), createdAt: 5 })
  const text = readFileSync(join(clone, '.orch.yml'), 'utf8')
  expect(text).toContain('approval: auto')
  const second = await onboard.init({ ...ASK, cwd: clone, verify: ['make test'] })
  expect(second).toMatchObject({ wroteConfig: false, alreadyRegistered: true, verify: ['npm test'] })
  expect(second.notes.join(' ')).toContain('--verify changed nothing')
  expect(readFileSync(join(clone, '.orch.yml'), 'utf8')).toBe(text)
  expect(projects).toHaveLength(1)
  expect(readdirSync(clone).filter((name) => name.endsWith('.tmp'))).toEqual([])
})

test('init puts the schema that its file names for editors beside it, over nothing that is there', async () => {
  const { clone, onboard } = await place()
  await onboard.init({ ...ASK, cwd: clone })
  const named = /^# yaml-language-server: \$schema=(.+)$/m.exec(readFileSync(join(clone, '.orch.yml'), 'utf8'))?.[1]
  const schema = JSON.parse(readFileSync(join(clone, named ?? ''), 'utf8')) as { properties: Record<string, unknown> }
  expect(Object.keys(schema.properties)).toContain('verify')
  const own = await place()
  mkdirSync(join(own.clone, '.orch'))
  writeFileSync(join(own.clone, '.orch', 'schema.json'), '{}')
  expect((await own.onboard.init({ ...ASK, cwd: own.clone })).wroteConfig).toBe(true)
  expect(readFileSync(join(own.clone, '.orch', 'schema.json'), 'utf8')).toBe('{}')
})

test('a link of the repository leads no schema out of the clone', async () => {
  const { dir, clone, onboard } = await place()
  mkdirSync(join(dir, 'elsewhere'))
  symlinkSync(join(dir, 'elsewhere'), join(clone, '.orch'))
  expect((await onboard.init({ ...ASK, cwd: clone })).wroteConfig).toBe(true)
  expect(readdirSync(join(dir, 'elsewhere'))).toEqual([])
})

test('init says when it finds no command, and writes what it is told', async () => {
  const { clone, onboard } = await place()
  const result = await onboard.init({
    ...ASK,
    cwd: clone,
    agent: 'scripted',
    pipeline: 'direct',
    setup: ['true'],
    verify: ['make check', 'make lint'],
    prefix: 'WEB',
  })
  expect(result).toMatchObject({ setup: ['true'], verify: ['make check', 'make lint'], project: { id: 'WEB' } })
  const other = await place()
  const guessed = await other.onboard.init({ ...ASK, cwd: other.clone })
  expect(guessed.verify).toEqual([])
  expect(guessed.notes.join(' ')).toMatch(/no command/i)
})

test.each([
  ['no repository', async (at: Place) => at.onboard.init({ ...ASK, cwd: at.dir }), 6, 'no-repository'],
  ['no such folder', async (at: Place) => at.onboard.init({ ...ASK, cwd: join(at.dir, 'gone') }), 6, 'no-repository'],
  [
    'a bare repository',
    async (at: Place) => at.onboard.addProject({ path: join(at.dir, 'shop.git'), prefix: null }),
    6,
    'no-repository',
  ],
  [
    'no remote',
    async (at: Place) => (await at.git('remote', 'remove', 'origin'), at.onboard.init({ ...ASK, cwd: at.clone })),
    6,
    'no-remote',
  ],
  [
    'an unreachable origin',
    async (at: Place) => (
      rmSync(join(at.dir, 'shop.git'), { recursive: true }),
      at.onboard.init({ ...ASK, cwd: at.clone })
    ),
    6,
    'unreachable',
  ],
  ['a bad prefix', async (at: Place) => at.onboard.init({ ...ASK, cwd: at.clone, prefix: 'my-shop' }), 2, 'bad-value'],
  [
    'a bad prefix for add',
    async (at: Place) => at.onboard.addProject({ path: at.clone, prefix: 'TOOLONGPREFIX' }),
    2,
    'bad-prefix',
  ],
  ['an unknown agent', async (at: Place) => at.onboard.init({ ...ASK, cwd: at.clone, agent: 'claud' }), 2, 'bad-value'],
  [
    'an unknown pipeline',
    async (at: Place) => at.onboard.init({ ...ASK, cwd: at.clone, pipeline: 'drect' }),
    2,
    'bad-value',
  ],
])('%s is refused and leaves nothing behind', async (_name, attempt, exit, code) => {
  const at = await place()
  expect(await failure(attempt(at))).toMatchObject({ exit, code })
  expect(at.projects).toEqual([])
  expect(existsSync(join(at.clone, '.orch.yml'))).toBe(false)
})

test('an empty origin is refused with what to do', async () => {
  const at = await place({ push: false })
  expect(await failure(at.onboard.init({ ...ASK, cwd: at.clone }))).toMatchObject({
    exit: 6,
    code: 'empty-origin',
    message: expect.stringContaining('git push'),
  })
})

test('a broken file is told with its line and stays as it is; a link of that name is left alone', async () => {
  const broken = 'verify:\n  - npm test\nlimits: { attempts: many }\n'
  const at = await place({ files: { '.orch.yml': broken } })
  expect(await failure(at.onboard.init({ ...ASK, cwd: at.clone }))).toMatchObject({
    exit: 6,
    code: 'bad-config',
    message: expect.stringContaining('.orch.yml:3: limits.attempts'),
  })
  expect(readFileSync(join(at.clone, '.orch.yml'), 'utf8')).toBe(broken)
  const linked = await place()
  symlinkSync('/nowhere/at/all', join(linked.clone, '.orch.yml'))
  expect((await linked.onboard.init({ ...ASK, cwd: linked.clone })).wroteConfig).toBe(false)
})

test('prefixes stay unique: a taken one is refused, a derived one counts up, a registered one stays', async () => {
  const at = await place()
  at.projects.push({ id: 'SHOP', name: 'other', path: '/other', remote: '', createdAt: 0 })
  expect(await failure(at.onboard.addProject({ path: at.clone, prefix: 'SHOP' }))).toMatchObject({
    exit: 4,
    code: 'prefix-taken',
    message: expect.stringContaining('/other'),
  })
  const added = await at.onboard.addProject({ path: at.clone, prefix: null })
  expect(added).toMatchObject({ project: { id: 'SHOP2' }, wroteConfig: false })
  expect(existsSync(join(at.clone, '.orch.yml'))).toBe(false)
  expect((await at.onboard.addProject({ path: at.clone, prefix: 'SHOP2' })).alreadyRegistered).toBe(true)
  expect(await failure(at.onboard.addProject({ path: at.clone, prefix: 'WEB' }))).toMatchObject({
    exit: 4,
    code: 'prefix-fixed',
  })
})

test('a prefix in the file counts', async () => {
  const at = await place({ files: { '.orch.yml': 'prefix: TILL\n' } })
  expect((await at.onboard.init({ ...ASK, cwd: at.clone })).project.id).toBe('TILL')
})

test.each([
  ['git@host.example:me/my-shop.git', 'MYSHOP'],
  ['https://host.example/me/Shop.git/', 'SHOP'],
  ['/srv/git/42-caf\u00e9.git', 'CAFE'],
  ['host:repository-with-a-long-name', 'REPOSITORY'],
  ['/srv/git/商店', 'ROOT'],
])('%s gives the prefix %s', (remote, prefix) => {
  expect(derivePrefix({ remote, root: '/code/root' })).toBe(prefix)
})

test('a name without two letters gives TASK', () => {
  expect(derivePrefix({ remote: '/x', root: '/1' })).toBe('TASK')
})

test('a file that comes to be meanwhile is left alone', async () => {
  const at = await place()
  const file = join(at.clone, '.orch.yml')
  // The first look at the projects comes before the look for the file, so the second one writes it.
  let looks = 0
  at.meanwhile.do = () => {
    looks += 1
    if (looks === 2) writeFileSync(file, 'approval: auto\n')
  }
  expect((await at.onboard.init({ ...ASK, cwd: at.clone })).wroteConfig).toBe(false)
  expect(readFileSync(file, 'utf8')).toBe('approval: auto\n')
  expect(readdirSync(at.clone).filter((name) => name.endsWith('.tmp'))).toEqual([])
})

test('a prefix that is taken meanwhile is refused, and the file written for it goes', async () => {
  const at = await place()
  let looks = 0
  at.meanwhile.do = () => {
    looks += 1
    if (looks === 2)
      queueMicrotask(() => at.projects.push({ id: 'SHOP', name: 'x', path: '/x', remote: '', createdAt: 0 }))
  }
  expect(await failure(at.onboard.init({ ...ASK, cwd: at.clone }))).toMatchObject({ exit: 4, code: 'prefix-taken' })
  expect(existsSync(join(at.clone, '.orch.yml'))).toBe(false)
})
