// Reaching a remote by a lent token: only where the user's git has no credential of its own, and never told to anybody.

import { appendFile, mkdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { ExternalError } from '../lib/errors.ts'
import { startGitServer } from './__fixtures__/git-server.ts'
import { makeWorld, sh, type World } from './__fixtures__/world.ts'
import { makeRepositoryFacts } from './facts.ts'
import { lentConfig, ownWays } from './lent.ts'
import { makeManagedClones } from './managed-clones.ts'
import { openMirror } from './mirror.ts'
import type { LendCredential } from './workspace.ts'

const TOKEN = 'lent-0123456789'
const lend: LendCredential = async () => ({ username: 'x-access-token', password: TOKEN })

interface Place {
  world: World
  address: string
  asked: (string | null)[]
}

/** The world's remote behind a password, and a clone that knows none. */
async function place(): Promise<Place> {
  const world = await makeWorld()
  const server = await startGitServer(world.remote, TOKEN)
  onTestFinished(() => server.close())
  await sh(world.env, world.clone, 'git', 'config', '--unset-all', 'credential.helper')
  const address = server.url
  await sh(world.env, world.clone, 'git', 'remote', 'set-url', 'origin', address)
  return { world, address, asked: server.asked }
}

const mirrorOf = ({ world, address }: Place, lent: LendCredential | undefined) =>
  openMirror({
    home: world.home,
    env: world.env,
    lend: lent,
    project: { id: 'web', path: world.clone, remote: address },
  })

test('who has nothing but the forge’s token clones, looks, fetches and pushes by it, and it is written nowhere', async () => {
  const at = await place()
  const { world, address } = at
  const clones = makeManagedClones({ home: world.home, env: world.env, lend })
  const dir = clones.placeFor(['host', 'web'])
  expect(await clones.make({ address, dir })).toBe('made')
  expect(await makeRepositoryFacts(world.env, lend).probeOrigin(dir)).toEqual({ state: 'ok', branches: 1 })
  const mirror = await mirrorOf(at, lend)
  const base = await mirror.fetchBase(null)
  expect(await mirror.push({ sha: base.sha, branch: 'orch/x', expected: null })).toEqual({ ok: true })
  expect(await sh(world.env, world.remote, 'git', 'rev-parse', 'orch/x')).toBe(base.sha)
  const files = (await sh(world.env, world.home, 'grep', '-rl', TOKEN, '.').catch(() => '')).trim()
  expect(files).toBe('')
  expect(await readFile(path.join(dir, '.git/config'), 'utf8')).not.toContain('uthorization')
})

test('without one git says that it can’t, and what to do', async () => {
  const at = await place()
  await expect((await mirrorOf(at, undefined)).fetchBase(null)).rejects.toMatchObject({ kind: 'auth' })
})

test.each(['user', 'clone'] as const)(
  'a credential of the %s’s own git is used, and nothing is lent',
  async (whose) => {
    const at = await place()
    const { world, asked } = at
    const helper = `[credential]\n\thelper = "!f() { echo username=ada; echo password=${TOKEN}; }; f"\n`
    const home = world.env['HOME'] ?? ''
    await mkdir(home, { recursive: true })
    await appendFile(whose === 'user' ? path.join(home, '.gitconfig') : path.join(world.clone, '.git/config'), helper)
    await (await mirrorOf(at, lend)).fetchBase(null)
    expect(new Set(asked)).toEqual(new Set([null, 'ada']))
  },
)

const HEADER = 'Authorization: Basic eC1hY2Nlc3MtdG9rZW46bGVudC0wMTIzNDU2Nzg5'

test.each([
  ['git@host:a/b.git', [], false],
  ['/srv/a.git', [], false],
  ['https://me:secret@host/a/b.git', [], false],
  ['https://host:8443/a/b.git', [], true],
  ['https://host:8443/a/b.git', [['credential.https://other.example.helper', 'x']], true],
  ['https://host:8443/a/b.git', [['credential.helper', '']], true],
  ['https://host:8443/a/b.git', [['credential.helper', 'store']], false],
  ['https://host:8443/a/b.git', [['credential.HTTPS://Host.helper', 'x']], false],
  ['https://host:8443/a/b.git', [['credential.https://*.example.helper', 'x']], false],
  ['https://host:8443/a/b.git', [['http.https://me@host:8443/a.extraHeader', 'x']], false],
  ['https://host:8443/a/b.git', [['core.askPass', 'x']], false],
] as [string, [string, string][], boolean][])('%s with %j: lent is %s', async (address, settings, isLent) => {
  const expected = isLent ? [['http.https://host:8443/.extraHeader', HEADER]] : []
  expect(await lentConfig(lend, address, ownWays({}, settings))).toEqual(expected)
})

test('who is not logged in goes on without; a token that can’t be had just now is trouble of the outside', async () => {
  const failing =
    (kind: 'auth' | 'unreachable'): LendCredential =>
    async () => {
      throw new ExternalError({ system: 'github', kind, message: 'no token' })
    }
  expect(await lentConfig(failing('auth'), 'https://host/a/b', [])).toEqual([])
  await expect(lentConfig(failing('unreachable'), 'https://host/a/b', [])).rejects.toMatchObject({
    kind: 'unreachable',
  })
})
