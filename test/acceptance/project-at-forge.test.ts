// A project at its tracker and forge, with the real program from `project add` to the first task: what is only looked at
// writes nothing, what is made is made once, and what is wrong is said with what to do.

import { expect, onTestFinished, test } from 'vitest'
import { startFakeGitea } from '../../src/drivers/gitea/fake-gitea.ts'
import { makeIssue as addGiteaIssue } from '../../src/drivers/gitea/fake-gitea-issues.ts'
import { rename, startFakeGithub, TOKEN } from '../../src/drivers/github/fake-github.ts'
import { addIssue, type FakeState } from '../../src/drivers/github/fake-github-state.ts'
import { startFakePlane } from '../../src/drivers/plane/fake-plane.ts'
import {
  addIssue as addPlaneIssue,
  addLabel,
  TOKEN as PLANE_TOKEN,
  typed,
} from '../../src/drivers/plane/fake-plane-state.ts'
import { type FaultProxy, startFaultProxy } from '../../src/drivers/test-proxy.ts'
import type { InitResult, OnboardView, Project, SyncView, TaskView } from '../../src/flow/app.ts'
import { type World, makeWorld, type WorldOptions } from './harness.ts'

const HOOK = 'https://orch.example.org'
const SECRET = 'a-secret-of-this-test'

/** A world whose git finds its bare remote behind these addresses. */
async function worldAt(addresses: string[], options: WorldOptions): Promise<World> {
  const world = await makeWorld({ init: false, ...options })
  onTestFinished(() => world.close())
  addresses.forEach((address, n) => {
    world.env[`GIT_CONFIG_KEY_${n}`] = `url.${world.remote}.insteadOf`
    world.env[`GIT_CONFIG_VALUE_${n}`] = address
  })
  world.env['GIT_CONFIG_COUNT'] = String(addresses.length)
  return world
}

interface AtGithub {
  world: World
  state: FakeState
  proxy: FaultProxy
}

async function atGithub(env: Record<string, string> = {}): Promise<AtGithub> {
  const fake = await startFakeGithub()
  const isWrite = ({ method, path, body }: { method: string; path: string; body: string }): boolean =>
    path === '/graphql' ? body.includes('mutation(') : method !== 'GET'
  const proxy = await startFaultProxy(fake.url, isWrite)
  onTestFinished(async () => {
    await proxy.close()
    await fake.close()
  })
  const known = { GITHUB_API_URL: proxy.url, GITHUB_TOKEN: TOKEN, ORCH_GITHUB_WEBHOOK_SECRET: SECRET }
  const urls = ['acme/shop', 'acme/store'].flatMap((ref) => [
    `https://github.com/${ref}.git`,
    `${proxy.url}/${ref}.git`,
  ])
  const world = await worldAt(urls, { env: { ...known, ...env } })
  return { world, state: fake.state, proxy }
}

/** GitHub says that the token may do this. */
function grant({ proxy }: AtGithub, scopes: string): void {
  const json = { login: 'orch-bot', id: 1, type: 'User' }
  proxy.answerAlways(({ path }) => path === '/user', { status: 200, body: json, headers: { 'x-oauth-scopes': scopes } })
}

const onboard = async (world: World, ...args: string[]): Promise<OnboardView> =>
  (await world.ok(['onboard', 'T', ...args, '--json'])).json<OnboardView>()
/** Of a webhook what somebody chose. */
const chosen = (hooks: { url: string; active: boolean; events: string[]; secret: string | null }[]) =>
  structuredClone(hooks.map(({ url, active, events, secret }) => ({ url, active, events, secret })))
const kept = ({ labels, hooks, issues }: FakeState) => ({
  ...structuredClone({ labels, issues }),
  hooks: chosen(hooks),
})
const states = (view: OnboardView): string[] => [...new Set(view.steps.map(({ state }) => state))].toSorted()
const said = async (world: World, ...args: string[]): Promise<string[]> =>
  (await world.ok(['sync', 'T', ...args, '--json'])).json<SyncView>().projects.flatMap((one) => one.said)
const tasks = async (world: World): Promise<TaskView[]> =>
  (await world.ok(['task', 'list', '--all', '--json'])).json<TaskView[]>()

test(
  'GitHub, by its name: looking writes nothing, applying twice makes once, issues come in',
  { timeout: 120_000 },
  async () => {
    const at = await atGithub()
    const { world, state, proxy } = at
    grant(at, 'repo, workflow')
    state.hooks.push({
      id: 7,
      active: true,
      events: ['push'],
      url: 'https://ci.example.org/',
      content_type: 'form',
      secret: 'x',
    })
    addIssue(state, { title: 'Round totals', body: 'Once, at the end.', user: 'olga', labels: ['orch'] })
    addIssue(state, { title: 'A question', body: 'Why?', user: 'stan' })
    const added = (await world.ok(['project', 'add', 'acme/shop', '--prefix', 'T', '--json'])).json<InitResult>()
    expect(added.project).toMatchObject({
      id: 'T',
      tracker: { driver: 'github', ref: 'acme/shop' },
      forge: { driver: 'github', ref: 'acme/shop' },
    })
    expect(added.project.path.startsWith(world.home)).toBe(true)

    const before = kept(state)
    const plan = await onboard(world, '--url', HOOK)
    expect(plan).toMatchObject({ mode: 'plan', ok: false })
    expect(plan.steps.filter((step) => step.state === 'missing').map(({ name }) => name)).toContain('orch:running')
    expect(await said(world, '--dry-run')).toEqual([
      'T-1: opened, label orch',
      expect.stringContaining('issue 2: nothing'),
    ])
    expect(kept(state)).toEqual(before)
    expect(proxy.writes()).toBe(0)
    expect(await tasks(world)).toEqual([])

    const applied = await onboard(world, '--apply', '--url', HOOK)
    expect(applied.ok).toBe(true)
    expect(states(applied)).toEqual(['made', 'there'])
    expect(state.labels).toEqual(expect.arrayContaining(['bug', 'orch', 'orch:running', 'orch:done']))
    expect(state.hooks.map(({ url, secret, content_type: type, active }) => [url, secret, type, active])).toEqual([
      ['https://ci.example.org/', 'x', 'form', true],
      [`${HOOK}/webhooks/github`, SECRET, 'json', true],
    ])
    const made = kept(state)
    const posts = proxy.asked().filter(({ method }) => method === 'POST').length
    expect(states(await onboard(world, '--apply', '--url', HOOK))).toEqual(['there'])
    expect(kept(state)).toEqual(made)
    expect(proxy.asked().filter(({ method }) => method === 'POST').length).toBe(posts)
    expect(proxy.asked().filter(({ method }) => method === 'DELETE')).toEqual([])

    expect((await onboard(world, '--verify')).ok).toBe(true)
    state.labels = state.labels.filter((name) => name !== 'orch:done')
    const verified = await world.orch(['onboard', 'T', '--verify'])
    expect(verified).toMatchObject({ code: 6, stdout: expect.stringContaining('orch:done') as string })

    const writes = proxy.writes()
    expect(await said(world, '--dry-run')).toContain('T-1: opened, label orch')
    expect([await tasks(world), proxy.writes()]).toEqual([[], writes])
    expect(await said(world)).toContain('T-1: opened, label orch')
    expect(await world.task('T-1')).toMatchObject({ title: 'Round totals', status: 'queued' })
    // Within seconds of its change an issue is looked at once more; nothing comes of it.
    expect((await said(world)).filter((one) => !one.includes(': nothing'))).toEqual([])
    expect(await tasks(world)).toHaveLength(1)
  },
)

test('GitHub, by an address and by a folder: one project, which stays the same', { timeout: 60_000 }, async () => {
  const { world, proxy } = await atGithub()
  const first = (
    await world.ok(['project', 'add', `${proxy.url}/acme/shop/issues/3`, '--prefix', 'T', '--json'])
  ).json<InitResult>()
  expect(first).toMatchObject({ alreadyRegistered: false, project: { forge: { driver: 'github', ref: 'acme/shop' } } })
  const again = (
    await world.ok(['project', 'add', `${proxy.url}/acme/shop.git`, '--tracker', 'none', '--json'])
  ).json<InitResult>()
  expect(again).toMatchObject({ alreadyRegistered: true, project: { id: 'T', path: first.project.path } })
  expect(again.project.tracker).toBeUndefined()
  await world.ok(['project', 'remove', 'T'])

  // A clone of one's own: nothing is shown anywhere until that is asked for.
  await world.gitIn(world.clone, 'remote', 'set-url', 'origin', `${proxy.url}/acme/shop.git`)
  const asked = proxy.asked().length
  const plain = (await world.ok(['project', 'add', '.', '--prefix', 'T', '--json'])).json<InitResult>()
  expect(plain.project).not.toHaveProperty('forge')
  expect(plain.notes.join(' ')).toContain('--tracker github --forge github')
  expect(proxy.asked().length).toBe(asked)
  const whole = (
    await world.ok(['project', 'add', '.', '--tracker', 'github', '--forge', 'github', '--json'])
  ).json<InitResult>()
  expect(whole).toMatchObject({
    alreadyRegistered: true,
    project: { path: world.clone, tracker: { driver: 'github', ref: 'acme/shop' }, forge: { driver: 'github' } },
  })
  expect(proxy.writes()).toBe(0)
})

test('GitHub, what is wrong is said, and leaves nothing behind', { timeout: 120_000 }, async () => {
  const at = await atGithub()
  const { world, state, proxy } = at
  const add = (source: string, env: Record<string, string> = {}) =>
    world.orch(['project', 'add', source, '--prefix', 'T'], { env })
  const wrong = await add('acme/shop', { GITHUB_TOKEN: 'ghp_wrong' })
  expect(wrong).toMatchObject({ code: 6, stderr: expect.stringMatching(/GITHUB_TOKEN/) as string })
  expect(wrong.stderr).not.toContain('ghp_wrong')
  expect(await add('acme/other')).toMatchObject({
    code: 3,
    stderr: expect.stringContaining('there is no acme/other at github') as string,
  })
  expect((await world.ok(['project', 'list', '--json'])).json<Project[]>()).toEqual([])

  rename(state, 'acme/store')
  const moved = await add('acme/shop')
  expect(moved).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('acme/shop at github is called acme/store now') as string,
  })
  expect((await world.ok(['project', 'list', '--json'])).json<Project[]>()).toMatchObject([
    { forge: { ref: 'acme/store' } },
  ])
  // It moves once more, after it was registered: nothing is lost meanwhile, and the doctor says so.
  rename(state, 'acme/shop')
  state.formerRefs = ['acme/store']
  addIssue(state, { title: 'After the move', body: 'Still wanted.', user: 'olga', labels: ['orch'] })
  expect(await said(world)).toEqual(['T-1: opened, label orch'])
  expect((await world.orch(['doctor', '--profile', 'project'])).stdout).toContain('acme/store is called acme/shop now')

  grant(at, 'public_repo')
  const forbidden = {
    status: 403,
    body: { message: 'Resource not accessible' },
    headers: { 'x-accepted-oauth-scopes': 'repo' },
  }
  proxy.answerAlways(({ method, path }) => method === 'POST' && path.endsWith('/labels'), forbidden)
  const applied = await world.orch(['onboard', 'T', '--apply', '--url', HOOK])
  expect(applied.code).toBe(6)
  expect(applied.stdout).toMatch(/lacks repo; it lacks what only some need: workflow \(/)
  expect(applied.stdout).toMatch(/could not make the label orch .*scopes repo/)
  // One thing that may not be made holds up no other.
  expect(state.hooks).toHaveLength(1)

  const nobody = await world.orch(['sync', 'T'], { env: { GITHUB_TOKEN: 'ghp_wrong' } })
  expect(nobody).toMatchObject({ code: 6, stdout: expect.stringContaining('GITHUB_TOKEN') as string })
  const unset = await world.orch(['onboard', 'T', '--apply', '--url', HOOK], {
    env: { ORCH_GITHUB_WEBHOOK_SECRET: '' },
  })
  expect(unset).toMatchObject({ code: 6, stderr: expect.stringContaining('ORCH_GITHUB_WEBHOOK_SECRET') as string })
})

test('Gitea: added, prepared once, and its issue comes in', { timeout: 60_000 }, async () => {
  const users = [
    { login: 'orch-bot', token: 'gitea-token', may: 'admin' as const },
    { login: 'olga', token: 'of-olga', may: 'owner' as const },
  ]
  const fake = await startFakeGitea(users)
  const proxy = await startFaultProxy(fake.url)
  onTestFinished(async () => {
    await proxy.close()
    await fake.close()
  })
  const env = { GITEA_URL: proxy.url, GITEA_TOKEN: 'gitea-token', ORCH_GITEA_WEBHOOK_SECRET: SECRET }
  const world = await worldAt([`${fake.url}/shop/web.git`], { env })
  await world.ok(['project', 'add', 'shop/web', '--forge', 'gitea', '--prefix', 'T'])
  await onboard(world, '--url', HOOK)
  expect(proxy.writes()).toBe(0)
  expect((await onboard(world, '--apply', '--url', HOOK)).ok).toBe(true)
  const made = { labels: structuredClone(fake.state.labels), hooks: chosen(fake.state.hooks) }
  expect(made.hooks).toMatchObject([{ url: `${HOOK}/webhooks/gitea`, secret: SECRET, active: true }])
  expect(states(await onboard(world, '--apply', '--url', HOOK))).toEqual(['there'])
  expect({ labels: fake.state.labels, hooks: chosen(fake.state.hooks) }).toEqual(made)
  const label = made.labels.find(({ name }) => name === 'orch')?.id ?? 0
  addGiteaIssue(fake.state, { title: 'Round totals', body: 'Once.', user: 'olga', pull: null }).labels.push(label)
  expect(await said(world, '--dry-run')).toEqual(['T-1: opened, label orch'])
  expect(await tasks(world)).toEqual([])
  expect(await said(world)).toEqual(['T-1: opened, label orch'])
  expect((await world.orch(['sync'], { env: { GITEA_TOKEN: 'other' } })).code).toBe(6)
  expect((await world.orch(['sync'], { env: { GITEA_TOKEN: '' } })).stdout).toContain('GITEA_TOKEN')
})

test(
  'Plane: its columns are made by name, in their group, and only a person makes its webhook',
  { timeout: 60_000 },
  async () => {
    const fake = await startFakePlane()
    const proxy = await startFaultProxy(fake.url)
    onTestFinished(async () => {
      await proxy.close()
      await fake.close()
    })
    const { world: plane } = fake
    const env = { PLANE_API_URL: proxy.url, PLANE_TOKEN }
    const config = 'tracker: { columns: { running: doing, waiting: Waiting, done: Done } }'
    const world = await worldAt([], { env, config })
    const there = `plane:${plane.slug}/${plane.project}`
    await world.ok(['project', 'add', '.', '--prefix', 'T', '--tracker', there])
    const plan = await onboard(world)
    expect(proxy.writes()).toBe(0)
    expect(plan.config).toContain('running: "doing"')
    expect((await onboard(world, '--apply')).ok).toBe(true)
    const names = (): string[] =>
      plane.states.filter(({ project }) => project === plane.project).map(({ name, group }) => `${name} (${group})`)
    expect(names()).toEqual(expect.arrayContaining(['Doing (started)', 'Waiting (started)', 'Done (completed)']))
    expect(names()).toHaveLength(6)
    const before = structuredClone([plane.states, plane.labels])
    expect(states(await onboard(world, '--apply'))).toEqual(['there'])
    expect([plane.states, plane.labels]).toEqual(before)
    const byHand = await world.orch(['onboard', 'T', '--apply', '--url', HOOK], {
      env: { ORCH_PLANE_WEBHOOK_SECRET: SECRET },
    })
    expect(byHand).toMatchObject({ code: 6, stdout: expect.stringContaining('ORCH_PLANE_WEBHOOK_SECRET') as string })
    const olga = plane.users.find((user) => user.display_name === 'olga')?.id ?? ''
    const orch =
      plane.labels.find(({ name, project }) => name === 'orch' && project === plane.project) ??
      addLabel(plane, { name: 'orch' })
    addPlaneIssue(plane, {
      name: 'Round totals',
      description_html: typed('Once.'),
      created_by: olga,
      labels: [orch.id],
    })
    expect(await said(world, '--dry-run')).toEqual(['T-1: opened, label orch'])
    expect(await said(world)).toEqual(['T-1: opened, label orch'])
    expect(await world.task('T-1')).toMatchObject({ title: 'Round totals', body: 'Once.' })
  },
)
