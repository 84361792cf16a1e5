import { expect, test } from 'vitest'
import type { Check as Shown, Checks, RemoteForge } from '../drivers/driver.ts'
import { ExternalError } from '../lib/errors.ts'
import { GOOD, NOW, PROJECT, doctor } from './__fixtures__/doctor.ts'
import type { Check } from './app.ts'
import { webhookMark } from './onboard-project.ts'
import { type TestVendor, project, testRemotes, testVendor } from './test-driver.ts'
import { STATUS_LABELS } from './tracker-view.ts'

const AT = { driver: 'github', ref: 'acme/shop' }
const HOOK = 'https://orch.example.org/webhooks/github'

function vendor(): TestVendor {
  const github = testVendor('github', { 'acme/shop': project('acme/shop'), 'acme/old': project('acme/shop') })
  github.labels = ['Orch', ...Object.values(STATUS_LABELS)]
  return github
}

/** Checks of the vendor alone, as `name: status`, and in full. */
async function look(
  github: TestVendor,
  setting: { config?: string; of?: object; mark?: string; plane?: TestVendor; ciEvidence?: string[] } = {},
): Promise<{ lines: string[]; checks: Map<string, Check> }> {
  const { of = { tracker: AT, forge: AT }, mark } = setting
  const registered = { ...PROJECT, ...of }
  const checks = await doctor({
    clone: GOOD + (setting.config ?? ''),
    change: { remotes: testRemotes([github, ...(setting.plane ? [setting.plane] : [])]) },
    books: {
      reader: {
        projectAt: () => registered,
        projects: () => [registered],
        service: () => ({ running: true, pid: 3, since: null }),
      },
      // The rest of the store is the fixture's own.
      store: {
        mark: ({ what }: { what: string }) => (what === webhookMark('github') ? (mark ?? null) : null),
        listEvidence: ({ gate }: { gate?: string }) =>
          gate === 'ci' ? (setting.ciEvidence ?? []).map((result) => ({ result })) : [],
      } as never,
    },
  })
  const mine = [...checks.values()].filter(({ name }) => /^(github|plane)/.test(name))
  return { lines: mine.map(({ name, status }) => `${name}: ${status}`), checks }
}

test('all is well, and each says what was seen', async () => {
  const github = vendor()
  github.hooks.set(HOOK, { active: true, events: [], secret: '' })
  const { lines, checks } = await look(github, { mark: HOOK })
  expect(lines).toEqual(
    ['identity', 'project', 'permissions', 'budget', 'labels', 'webhook'].map((name) => `github.${name}: ok`),
  )
  expect(checks.get('github.identity')?.text).toBe('orch-bot, by GITHUB_TOKEN')
  expect(checks.get('github.budget')?.text).toBe('4000 of 5000 requests are left')
  expect(github.writes).toEqual([])
})

/** A vendor where these checks have reported on the base's head, and which heads it was asked about. */
function reporting(github: TestVendor, checks: Shown[] | ExternalError): { github: TestVendor; askedFor: string[] } {
  const askedFor: string[] = []
  const checksOf = async (sha: string): Promise<Checks> => {
    askedFor.push(sha)
    if (checks instanceof ExternalError) throw checks
    return { state: checks.length === 0 ? 'none' : 'passed', checks }
  }
  github.driver.forge = () => ({ checksOf }) as Partial<RemoteForge> as RemoteForge
  return { github, askedFor }
}

const WAITS = { config: 'pipeline: pull-request\n' }
const TESTED: Shown = { name: 'test', state: 'passed', url: null, text: null }

test('a pipeline that waits for CI, at a repository where none has ever reported, is a warning', async () => {
  const { github, askedFor } = reporting(vendor(), [])
  const { checks } = await look(github, WAITS)
  expect(checks.get('github.ci')).toMatchObject({
    status: 'warning',
    text: expect.stringMatching(/stage await.*waits for CI.*no check has reported on main at/) as string,
    fix: expect.stringContaining('take gate `ci` out') as string,
  })
  expect(askedFor).toEqual([expect.stringMatching(/^[0-9a-f]{40}$/)])
  expect((await look(github, { ...WAITS, ciEvidence: ['unknown', 'wait'] })).checks.get('github.ci')?.status).toBe(
    'warning',
  )
  expect(github.writes).toEqual([])
})

test('one check at the base’s head is a CI; so is one that was ever judged, and then nobody is asked', async () => {
  const some = reporting(vendor(), [TESTED])
  expect((await look(some.github, WAITS)).checks.get('github.ci')).toMatchObject({ status: 'ok' })
  const none = reporting(vendor(), [])
  const { checks } = await look(none.github, { ...WAITS, ciEvidence: ['unknown', 'fail'] })
  expect(checks.get('github.ci')).toMatchObject({ status: 'ok' })
  expect(none.askedFor).toEqual([])
})

test('where no stage waits for CI nobody looks for one; where it can’t be seen, that is said', async () => {
  const none = reporting(vendor(), [])
  expect((await look(none.github)).checks.has('github.ci')).toBe(false)
  expect(none.askedFor).toEqual([])
  const error = new ExternalError({ system: 'github', kind: 'auth', message: 'the token lacks checks' })
  const { checks } = await look(reporting(vendor(), error).github, WAITS)
  expect(checks.get('github.ci')).toMatchObject({ status: 'warning', text: expect.stringContaining('lacks checks') })
  expect(checks.get('github.webhook')?.status).toBe('ok')
})

test('a pipeline that waits for a forge needs one', async () => {
  const { checks } = await look(vendor(), { config: 'pipeline: pull-request\n', of: {} })
  expect(checks.get('project.forge')).toMatchObject({ status: 'failed', text: expect.stringContaining('stage await') })
  const { checks: with_ } = await look(reporting(vendor(), []).github, { config: 'pipeline: pull-request\n' })
  expect(with_.has('project.forge')).toBe(false)
})

test('a right that only some tasks need is told, and is no warning', async () => {
  const github = vendor()
  github.identity = { ...github.identity, optional: ['workflow (to push changes of .github/workflows)'] }
  expect((await look(github)).checks.get('github.permissions')).toMatchObject({
    status: 'ok',
    text: expect.stringContaining('workflow (to push'),
  })
})

test('what is missing, gone, spent or renamed is a warning that says what to do', async () => {
  const github = vendor()
  github.labels = ['orch']
  github.identity = { ...github.identity, missing: ['repo'] }
  github.quota = { limit: 5_000, remaining: 10, resetAt: NOW + 60_000 }
  const old = { ...AT, ref: 'acme/old' }
  const { lines, checks } = await look(github, {
    of: { tracker: old, forge: old },
    mark: HOOK,
    config: 'tracker: { columns: { running: Doing } }\n',
  })
  expect(lines).toEqual([
    'github.identity: ok',
    ...['project', 'permissions', 'budget', 'labels', 'columns', 'webhook'].map((name) => `github.${name}: warning`),
  ])
  expect(checks.get('github.project')?.fix).toContain('--tracker github:acme/shop --forge github:acme/shop')
  expect(checks.get('github.labels')?.text).toContain('orch:queued')
  expect(checks.get('github.columns')?.text).toContain('Doing')
  expect(checks.get('github.webhook')?.text).toContain('is gone')
})

test('no credential, no access and no driver fail; two vendors are told apart', async () => {
  const github = vendor()
  github.driver.identity = async () => {
    throw new ExternalError({ system: 'github', kind: 'auth', message: 'there is no credential for github.com' })
  }
  const plane = testVendor('plane', {})
  const { lines, checks } = await look(github, { of: { tracker: { driver: 'plane', ref: 'a/1' }, forge: AT }, plane })
  expect(lines).toEqual(['plane.identity: ok', 'plane.project: failed', 'github.reached: failed'])
  expect(checks.get('github.reached')?.text).toContain('there is no credential for github.com')
  const gone = await look(github, { of: { tracker: { driver: 'gitea', ref: 'a/b' } } })
  expect([...gone.checks.values()].filter(({ name }) => name === 'gitea.reached')).toMatchObject([{ status: 'failed' }])
})

test('columns are looked for on the board by name, however they are written', async () => {
  const plane = testVendor('plane', { 'a/1': project('a/1') })
  plane.labels = ['orch', ...Object.values(STATUS_LABELS)]
  plane.columns = [{ name: 'In Progress', group: 'started' }]
  const setting = { of: { tracker: { driver: 'plane', ref: 'a/1' } }, plane }
  const config = 'tracker: { columns: { running: in progress } }\n'
  const { checks } = await look(vendor(), { ...setting, config })
  expect(checks.get('plane.columns')?.status).toBe('ok')
  const missing = await look(vendor(), { ...setting, config: config.replace('in progress', 'Doing') })
  expect(missing.checks.get('plane.columns')?.text).toBe('missing columns: Doing')
})

test('a project without tracker and forge asks nobody', async () => {
  const github = vendor()
  expect((await look(github, { of: {} })).lines).toEqual([])
  expect(github.asked).toEqual([])
})
