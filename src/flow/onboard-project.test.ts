import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findAssets, makeConfig } from '../config/make-config.ts'
import { ExternalError, UserError } from '../lib/errors.ts'
import type { Project } from '../store/store.ts'
import type { OnboardRequest, OnboardView } from './outside-views.ts'
import { onboardProject } from './onboard-project.ts'
import { project, testRemotes, testVendor } from './test-driver.ts'
import { STATUS_LABELS } from './tracker-view.ts'

const SHOP: Project = { id: 'SHOP', name: 'shop', path: '/code/shop', remote: '/shop.git', createdAt: 1 }
const AT = { driver: 'github', ref: 'acme/shop' }
const BOARD = { driver: 'plane', ref: 'acme/1' }
const HOOK = 'https://orch.example.org/webhooks/github'
const LABELS = ['orch', ...Object.values(STATUS_LABELS)]

interface Setting {
  of?: Partial<Project>
  config?: string
  env?: Record<string, string>
}

function place({ of = { tracker: AT, forge: AT }, config = '', env = {} }: Setting = {}) {
  const github = testVendor('github', { 'acme/shop': project('acme/shop') })
  const plane = testVendor('plane', { 'acme/1': { ...project('acme/1'), cloneUrl: null } })
  plane.columns = [
    { name: 'Todo', group: 'unstarted' },
    { name: 'In Progress', group: 'started' },
    { name: 'Done', group: 'completed' },
  ]
  const marks = new Map<string, string>()
  const resolution = makeConfig({ assets: findAssets(join(import.meta.dirname, '..')), agents: [] }).resolve({
    layers: { env: {}, user: null, projectId: 'SHOP' },
    files: { config: { name: '.orch.yml', text: `verify: none\n${config}` }, pipelines: [], prompts: {} },
    pipeline: null,
  })
  if (!resolution.ok) throw new Error(JSON.stringify(resolution.problems))
  const deps = {
    remotes: testRemotes([github, plane]),
    env,
    now: () => 5,
    configOf: async () => resolution.project,
    store: {
      mark: ({ what }: { what: string }) => marks.get(what) ?? null,
      putMark: async ({ what, value }: { what: string; value: string }) => void marks.set(what, value),
    },
  }
  const onboard = (mode: OnboardRequest['mode'], url: string | null = null): Promise<OnboardView> =>
    onboardProject(deps, { project: { ...SHOP, ...of }, request: { mode, url } })
  return { github, plane, marks, onboard }
}

const SECRET = { ORCH_GITHUB_WEBHOOK_SECRET: 'abc' }
const states = (view: OnboardView): string[] => view.steps.map(({ what, name, state }) => `${what} ${name}: ${state}`)

async function refusal(promise: Promise<unknown>): Promise<[number, string]> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (error instanceof UserError) return [error.exit, error.code]
  throw new Error(`no UserError: ${String(error)}`)
}

test('a plan reads only; what is applied is there; applied again it writes nothing; verified all is well', async () => {
  const { github, marks, onboard } = place({ env: SECRET })
  github.labels = ['Orch', 'bug']
  const url = 'https://orch.example.org/'
  const plan = await onboard('plan', url)
  expect(plan.ok).toBe(false)
  expect(states(plan)).toContain('label orch: there')
  expect(states(plan)).toContain('label orch:running: missing')
  expect(states(plan)).toContain(`webhook ${HOOK}: missing`)
  expect([github.writes, [...marks]]).toEqual([[], []])
  const applied = await onboard('apply', url)
  expect(applied.ok).toBe(true)
  expect(github.labels).toEqual(['Orch', 'bug', ...LABELS.slice(1)])
  expect(github.hooks.get(HOOK)).toMatchObject({ secret: 'abc' })
  expect(JSON.stringify(applied)).not.toContain('abc')
  const written = [...github.writes]
  expect((await onboard('apply')).steps.every(({ state }) => state === 'there')).toBe(true)
  expect(github.writes).toEqual(written)
  expect(await onboard('verify')).toMatchObject({ ok: true })
})

test('verify names what went away, a webhook that sleeps, and a right that is missing', async () => {
  const { github, onboard } = place({ env: SECRET })
  await onboard('apply', 'https://orch.example.org')
  github.labels = github.labels.filter((name) => name !== 'orch')
  github.hooks.set(HOOK, { active: false, events: [], secret: '' })
  github.identity = { ...github.identity, missing: ['repo'] }
  const view = await onboard('verify')
  expect(view.ok).toBe(false)
  expect(states(view).filter((line) => !line.endsWith(': there'))).toEqual([
    'permissions orch-bot: missing',
    'label orch: missing',
    `webhook ${HOOK}: missing`,
  ])
  expect(view.steps[0]?.text).toContain('by GITHUB_TOKEN) and lacks repo')
  // What no call of ours can make does not spoil what was made.
  expect((await onboard('apply')).ok).toBe(true)
})

test('a right that only some tasks need is told, and its lack is no failure', async () => {
  const { github, onboard } = place({ env: SECRET })
  await onboard('apply', 'https://orch.example.org')
  github.identity = { ...github.identity, optional: ['workflow (to push changes of .github/workflows)'] }
  const view = await onboard('verify')
  expect(view.ok).toBe(true)
  expect(view.steps[0]).toMatchObject({
    what: 'permissions',
    state: 'there',
    text: expect.stringContaining('only some need: workflow (to push changes of .github/workflows)'),
  })
})

test('tracker and forge at two vendors get each their own; columns are made in the group of their status', async () => {
  const config =
    'intake: { columns: [Ready] }\ntracker: { columns: { running: in progress, needs_review: Stuck, done: Done } }\napproval: label\nchange: { labels: [bot] }\n'
  const { github, plane, onboard } = place({ of: { tracker: BOARD, forge: AT }, config })
  const view = await onboard('apply')
  expect(view.ok).toBe(true)
  expect(plane.writes).toEqual([
    ...LABELS.map((name) => `label ${name}`),
    'column Ready (unstarted)',
    'column Stuck (started)',
  ])
  expect(github.writes).toEqual(['label orch:approved', 'label bot'])
  expect(view.notes).toHaveLength(2)
  expect(view.config).toContain('done: "Done"')
})

test('one vendor’s secret that is missing holds up no other', async () => {
  const { github, plane, onboard } = place({ of: { tracker: BOARD, forge: AT }, env: SECRET })
  const view = await onboard('apply', 'https://orch.example.org')
  expect(view.ok).toBe(false)
  expect(view.steps.filter(({ state }) => state === 'impossible')).toMatchObject([
    { at: 'plane acme/1', what: 'webhook', text: expect.stringContaining('set ORCH_PLANE_WEBHOOK_SECRET') },
  ])
  expect([github.hooks.size, plane.hooks.size]).toEqual([1, 0])
})

test('without words about columns the example takes those of the board', async () => {
  const { onboard } = place({ of: { tracker: BOARD } })
  const { config } = await onboard('plan')
  expect(config).toContain('    queued: "Todo"\n    running: "In Progress"\n    done: "Done"\n')
})

test('a project with a forge is shown the pipeline that waits for it; one that waits already, what it has', async () => {
  expect((await place().onboard('plan')).config).toContain('pipeline: pull-request   #')
  expect((await place().onboard('plan')).config).toContain('approval: auto   #')
  const config = 'pipeline: pull-request\napproval: human-twice\nland: { via: forge }\n'
  const waits = (await place({ config }).onboard('plan')).config
  expect(waits).toContain('approval: human-twice   #')
  expect(waits).toContain('land: { via: forge }   #')
  const { config: without } = await place({ of: { tracker: BOARD } }).onboard('plan')
  expect(without).not.toContain('pipeline')
})

test('columns where there is no board, and things that the vendor refuses, are told; the rest is made', async () => {
  const { github, onboard } = place({ config: 'tracker: { columns: { running: Doing } }\n', env: SECRET })
  const onboarding = github.driver.onboarding('acme/shop')
  const refused = (): never => {
    throw new ExternalError({ system: 'github', kind: 'auth', message: 'only admins may' })
  }
  github.driver.onboarding = () => ({ ...onboarding, ensureWebhook: refused, findWebhook: refused })
  const view = await onboard('apply', HOOK)
  expect(view.ok).toBe(false)
  expect(view.steps.filter(({ state }) => state === 'impossible')).toMatchObject([
    { what: 'column', name: 'Doing' },
    { what: 'webhook', text: 'only admins may' },
  ])
  expect(github.labels).toEqual(LABELS)
  github.driver.onboarding = () => ({
    ...onboarding,
    findWebhook: () => {
      throw new ExternalError({ system: 'github', kind: 'unreachable', message: 'down' })
    },
  })
  await expect(onboard('verify', HOOK)).rejects.toMatchObject({ kind: 'unreachable' })
})

test('what can’t be begun is refused before anything is written', async () => {
  const { github, onboard } = place()
  expect(await refusal(onboard('apply', 'https://orch.example.org'))).toEqual([6, 'no-secret'])
  for (const url of [
    'http://orch.example.org',
    'orch.example.org',
    'https://a:b@example.org',
    'https://example.org?x=1',
  ])
    expect([url, await refusal(onboard('plan', url))]).toEqual([url, [2, 'bad-url']])
  expect(await refusal(place({ of: {} }).onboard('plan'))).toEqual([6, 'no-remotes'])
  expect(await refusal(place({ of: { tracker: { ...AT, ref: 'acme/gone' } } }).onboard('plan'))).toEqual([
    3,
    'no-remote-project',
  ])
  expect(github.writes).toEqual([])
  expect((await onboard('plan', 'http://localhost:8787')).steps.at(-1)?.name).toBe(
    'http://localhost:8787/webhooks/github',
  )
})
