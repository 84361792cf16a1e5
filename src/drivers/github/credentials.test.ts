import { generateKeyPairSync, verify } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ProcessRequest, ProcessResult } from '../../lib/process.ts'
import type { Tracker } from '../driver.ts'
import { type FaultProxy, startFaultProxy } from '../test-proxy.ts'
import { chooseCredential, type GithubAuth } from './credentials.ts'
import { makeGithubDriver } from './driver.ts'
import { type FakeGithub, startFakeGithub, TOKEN } from './fake-github.ts'
import { addIssue } from './fake-github-state.ts'

const DONE: ProcessResult = {
  outcome: 'exited',
  exitCode: 0,
  signal: null,
  stdout: '',
  stderr: '',
  truncated: false,
  durationMs: 1,
}

function gh(answers: (string | null)[]): {
  asked: ProcessRequest[]
  runProcess: NonNullable<GithubAuth['runProcess']>
} {
  const asked: ProcessRequest[] = []
  const runProcess = async (request: ProcessRequest): Promise<ProcessResult> => {
    asked.push(request)
    const token = answers.shift() ?? null
    return token === null ? { ...DONE, exitCode: 1, stderr: 'not logged in' } : { ...DONE, stdout: `${token}\n` }
  }
  return { asked, runProcess }
}

let fake: FakeGithub
let proxy: FaultProxy
let now: number
beforeEach(async () => {
  now = Date.now()
  fake = await startFakeGithub()
  proxy = await startFaultProxy(fake.url)
})
afterEach(async () => {
  await proxy.close()
  await fake.close()
})

const driver = (auth: GithubAuth) => makeGithubDriver({ apiUrl: proxy.url, auth, now: () => now })

describe('which credential', () => {
  const app = { id: '12', privateKeyFile: '/none' }
  test.each<[string, GithubAuth]>([
    ['configuration', { token: 'a', app, env: { GITHUB_TOKEN: 'b', GH_TOKEN: 'c' } }],
    ['GitHub App 12', { app, env: { GITHUB_TOKEN: 'b', GH_TOKEN: 'c' } }],
    ['GITHUB_TOKEN', { env: { GITHUB_TOKEN: 'b', GH_TOKEN: 'c' } }],
    ['GH_TOKEN', { env: { GITHUB_TOKEN: '', GH_TOKEN: 'c' } }],
    ['gh auth token', { env: {} }],
  ])('%s comes first', (source, auth) => {
    expect(chooseCredential(auth, 'github.com', Date.now).source).toBe(source)
  })

  test('who it is and what it lacks, asked once', async () => {
    const one = driver({ token: TOKEN, env: {} })
    const optional = ['workflow (to push changes of .github/workflows)']
    const expected = { login: 'orch-bot', source: 'configuration', missing: [], optional }
    expect(await one.identity()).toEqual(expected)
    expect(await one.identity()).toEqual(expected)
    expect(proxy.asked()).toHaveLength(1)
  })

  test('a failure is asked again', async () => {
    const one = driver({ token: TOKEN, env: {} })
    proxy.answerNext(() => true, { status: 502, body: {} })
    await expect(one.identity()).rejects.toMatchObject({ kind: 'unreachable' })
    expect((await one.identity()).login).toBe('orch-bot')
  })

  test("a workflow's own token, which stands for no user", async () => {
    const body = { message: 'Resource not accessible by integration' }
    proxy.answerNext(({ path }) => path === '/user', { status: 403, body })
    expect(await driver({ token: TOKEN, env: {} }).identity()).toMatchObject({
      login: 'github-actions[bot]',
      missing: null,
    })
  })
})

describe('the token that gh keeps', () => {
  test('is asked of gh with little of the environment, once, and again when it is refused', async () => {
    const { asked, runProcess } = gh(['gho_old', TOKEN])
    const env = { HOME: '/home/me', PATH: '/bin', GH_CONFIG_DIR: '/gh', SECRET: 'x' }
    const one = driver({ env, runProcess })
    expect(await one.identity()).toMatchObject({ login: 'orch-bot', source: 'gh auth token' })
    await one.findProject('acme/shop')
    expect(asked).toHaveLength(2)
    const host = new URL(proxy.url).host
    expect(asked[0]).toMatchObject({
      argv: ['gh', 'auth', 'token', '--hostname', host],
      env: { HOME: '/home/me', PATH: '/bin', GH_CONFIG_DIR: '/gh' },
    })
    expect(asked[0]?.env).not.toHaveProperty('SECRET')
  })

  test('a write that was refused for its token is done once', async () => {
    const { number } = addIssue(fake.state, { title: 'a', user: 'olga' })
    const { runProcess } = gh([TOKEN, TOKEN])
    const tracker = driver({ env: {}, runProcess }).tracker('acme/shop') as Tracker
    proxy.answerNext(({ method }) => method === 'POST', { status: 401, body: { message: 'Bad credentials' } })
    await tracker.ensureComment(String(number), { key: 'k', body: 'x', role: null })
    expect(fake.state.issues.get(number)?.comments).toHaveLength(1)
  })

  test('refused twice, it is a refusal that names the source', async () => {
    const { asked, runProcess } = gh(['gho_1', 'gho_2', 'gho_3'])
    const message = expect.stringContaining('gh auth token is not valid') as string
    await expect(driver({ env: {}, runProcess }).findProject('acme/shop')).rejects.toMatchObject({
      kind: 'auth',
      message,
    })
    expect(asked).toHaveLength(2)
  })

  test('none at all says what can be done, and is asked again', async () => {
    const { runProcess } = gh([null, TOKEN])
    const one = driver({ env: {}, runProcess })
    const message = expect.stringContaining('gh auth login') as string
    await expect(one.identity()).rejects.toMatchObject({ kind: 'auth', message })
    expect((await one.identity()).login).toBe('orch-bot')
    await expect(driver({ env: {} }).identity()).rejects.toMatchObject({ kind: 'auth' })
  })
})

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
let dir: string
let file: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orch-app-'))
  file = join(dir, 'key.pem')
  await writeFile(file, privateKey.export({ type: 'pkcs1', format: 'pem' }))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

/** The played GitHub knows tokens, not claims: those of the App are let in by what they say. */
const letIn = async (): Promise<string> => {
  const credential = chooseCredential({ app: { id: '12', privateKeyFile: file }, env: {} }, 'github.com', () => now)
  if (credential.kind !== 'app') throw new Error('not an App')
  const claim = await credential.appToken()
  fake.state.tokens.set(claim, 'app')
  return claim
}
const appDriver = (installation?: string) =>
  driver({ app: { id: '12', privateKeyFile: file, ...(installation ? { installation } : {}) }, env: {} })

describe('a GitHub App', () => {
  test('its claim is signed with its key, for some minutes', async () => {
    const [head = '', body = '', signature = ''] = (await letIn()).split('.')
    expect(verify('RSA-SHA256', Buffer.from(`${head}.${body}`), publicKey, Buffer.from(signature, 'base64url'))).toBe(
      true,
    )
    const claim = JSON.parse(Buffer.from(body, 'base64url').toString()) as { iat: number; exp: number; iss: string }
    expect(claim.iss).toBe('12')
    expect(claim.iat * 1_000).toBeLessThan(now)
    expect(claim.exp * 1_000).toBeGreaterThan(now)
    expect(claim.exp - claim.iat).toBeLessThanOrEqual(600)
  })

  test('who it is, and which permissions it lacks', async () => {
    await letIn()
    expect(await appDriver().identity()).toEqual({
      login: 'orch[bot]',
      source: 'GitHub App 12',
      missing: ['actions: read', 'checks: read', 'contents: write', 'pull_requests: write', 'statuses: read'],
      optional: [
        'repository_hooks: write (to make the webhook by `orch onboard`)',
        'workflows: write (to push changes of .github/workflows)',
      ],
    })
  })

  test('its token is found by the repository, kept, renewed before it ends, and once when it is refused', async () => {
    await letIn()
    const one = appDriver()
    const count = () => fake.state.installationTokens
    await one.findProject('acme/shop')
    await one.findProject('acme/shop')
    expect(count()).toBe(1)
    expect(proxy.asked().filter(({ path }) => path.endsWith('/installation'))).toHaveLength(1)
    now += 56 * 60_000
    await letIn()
    await one.findProject('acme/shop')
    expect(count()).toBe(2)
    fake.state.tokens.delete('ghs_fake_2')
    await one.findProject('acme/shop')
    expect(count()).toBe(3)
  })

  test('a configured installation is not looked for', async () => {
    await letIn()
    await appDriver('77').findProject('acme/shop')
    expect(proxy.asked()[0]?.path).toBe('/app/installations/77/access_tokens')
  })

  test('a key that is none says which file, and nothing of it', async () => {
    await writeFile(file, 'c2VjcmV0LXNlY3JldA==')
    const message = expect.stringContaining(file) as string
    const error = await appDriver()
      .identity()
      .catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ kind: 'auth', message })
    expect(String(error)).not.toContain('c2VjcmV0')
  })
})
