import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { AgentAdapter, FoundAgent } from '../agents/agent.ts'
import { newAccount } from '../core/account.ts'
import { findAssets, makeConfig } from '../config/make-config.ts'
import { ExternalError } from '../lib/errors.ts'
import type { Store } from '../store/store.ts'
import { FACTS, GOOD, NOW, PROJECT, doctor, plain, statuses, unused } from './__fixtures__/doctor.ts'
import type { DoctorRequest } from './app.ts'
import { size } from './doctor-host.ts'
import type { DoctorDeps } from './doctor-parts.ts'
import { programOf } from './doctor-project.ts'

const ASSETS = join(import.meta.dirname, '..')

test('all is well', async () => {
  const checks = await doctor({ clone: GOOD })
  expect(statuses(checks, 'failed')).toEqual([])
  for (const name of [
    'git.version',
    'git.features',
    'node.version',
    'sandbox',
    'kill',
    'home.writable',
    'disk.used',
    'project.clone',
    'project.origin',
    'project.push',
    'project.config',
    'project.config-base',
    'project.config-alike',
    'project.verify',
    'project.lfs',
    'project.submodules',
    'project.signatures',
    'project.branches',
    'project.pins',
    'agent.claude',
    'orch.version',
    'service.running',
    'service.database',
    'database.version',
    'database.integrity',
    'database.references',
    'database.settings',
    'database.size',
    'database.journal',
    'service.parked',
    'service.healed',
    'drift.steps',
    'drift.runs',
    'drift.processes',
    'drift.workspaces',
    'drift.read-copies',
    'drift.logins',
    'drift.handoffs',
    'drift.intents',
  ]) {
    expect([name, checks.get(name)?.status]).toEqual([name, 'ok'])
  }
})

test('an old git, an old Node and no sandbox are named, with what stays open', async () => {
  const facts = {
    ...FACTS,
    gitVersion: async () => '2.30.1',
    unsupported: async () => ({
      lfs: '.gitattributes',
      submodules: '.gitmodules',
      signatures: 'commit.gpgsign is true',
    }),
  }
  const checks = await doctor({
    clone: GOOD,
    change: {
      facts,
      nodeVersion: '22.4.0',
      home: '/nowhere/at/all',
      sandbox: {
        ok: true,
        value: { kind: 'none', version: null, open: ['an agent can read your files'], ends: 'marker' },
      },
    },
  })
  expect(statuses(checks, 'failed')).toEqual(['git.version', 'node.version', 'home.writable'])
  expect(statuses(checks, 'warning')).toEqual([
    'sandbox',
    'kill',
    'disk.free',
    'project.lfs',
    'project.submodules',
    'project.signatures',
  ])
  expect(checks.get('sandbox')?.text).toContain('an agent can read your files')
})

test('an origin that can’t be reached or written is named', async () => {
  const fetch = (): never => {
    throw new ExternalError({ system: 'git', kind: 'unreachable', message: 'Could not ask /shop.git' })
  }
  const away = await doctor({ clone: GOOD, fetch })
  expect(statuses(away, 'failed')).toEqual(['project.origin'])
  expect(away.has('project.push')).toBe(false)
  expect(
    statuses(await doctor({ clone: GOOD, push: { ok: false, because: 'refused', text: 'protected' } }), 'failed'),
  ).toEqual(['project.push'])
  const gone = await doctor({
    clone: GOOD,
    change: {
      facts: {
        ...FACTS,
        findRoot: async () => ({ ok: false, text: 'not a git repository' }),
        unsupported: unused,
      },
    },
  })
  expect(statuses(gone, 'failed')).toEqual(['project.clone'])
})

test('the configuration is looked at in both places', async () => {
  const unpushed = await doctor({ clone: GOOD, base: null })
  expect(statuses(unpushed, 'warning')).toEqual(['project.config-base', 'project.config-alike'])
  const broken = await doctor({ clone: GOOD, base: 'limits: { attempts: many }\n' })
  expect(statuses(broken, 'failed')).toEqual(['project.config-base'])
  expect(broken.get('project.config-base')?.text).toContain('.orch.yml at origin/main:1: limits.attempts')
  expect(statuses(broken, 'warning')).toEqual(['project.config-alike'])
})

test('verify commands must be there', async () => {
  expect(statuses(await doctor({ clone: 'approval: auto\n' }), 'failed')).toEqual(['project.verify'])
  expect(statuses(await doctor({ clone: 'verify: none\n' }), 'warning')).toEqual(['project.verify'])
  expect(statuses(await doctor({ clone: 'verify: [no-such-tool --all]\n' }), 'failed')).toEqual(['project.verify'])
  expect(statuses(await doctor({ clone: 'setup: ["true"]\nverify: [no-such-tool --all]\n' }), 'warning')).toEqual([
    'project.verify',
  ])
})

test('a chosen agent must be there and logged in', async () => {
  expect(statuses(await doctor({ clone: GOOD, found: null }), 'failed')).toEqual(['agent.claude'])
  const out: FoundAgent = { path: '/bin/claude', version: '2.1', loggedIn: 'no', note: '' }
  expect(statuses(await doctor({ clone: GOOD, found: out }), 'failed')).toEqual(['agent.claude'])
})

test('outside of any project, with no service and a broken database', async () => {
  const reader = {
    projectAt: () => null,
    projects: () => [PROJECT],
    service: () => ({ running: false, pid: null, since: null }),
  }
  const checks = await doctor({ books: { reader } })
  expect(statuses(checks, 'warning')).toEqual(['project.registered', 'service.running'])
  expect(statuses(checks, 'failed')).toEqual([])
  const broken = await doctor({ change: { books: { ok: false, text: 'the database is damaged' } } })
  expect(statuses(broken, 'failed')).toEqual(['project.registered', 'service.database'])
  expect(broken.get('service.database')?.text).toBe('the database is damaged')
})

test.each([
  ['npm test', 'npm'],
  ['CI=1 FOO=bar npm test', 'npm'],
  ['./run.sh --all', './run.sh'],
  ['cd app && npm test', null],
  ['"my tool" x', null],
  ['$TOOL x', null],
  ['', null],
])('%s begins with %s', (command, program) => {
  expect(programOf(command)).toBe(program)
})

test('sizes are short', () => {
  expect([0, 1_023, 1_024, 1_536, 5 * 2 ** 30].map(size)).toEqual(['0 B', '1023 B', '1.0 KiB', '1.5 KiB', '5.0 GiB'])
})

test('no agent chosen and none found: no task could start, so that is a failure and not fine', async () => {
  const config = 'verify: ["sh test.sh"]\n'
  const missing = (await doctor({ clone: config, found: null })).get('agent.claude')
  expect([missing?.status, missing?.text]).toEqual([
    'failed',
    'claude is what tasks are given when no agent is chosen, but was not found',
  ])
  const out: FoundAgent = { path: '/bin/claude', version: '2.1', loggedIn: 'no', note: 'no credentials' }
  expect((await doctor({ clone: config, found: out })).get('agent.claude')?.status).toBe('failed')
  expect((await doctor({ clone: config })).get('agent.claude')?.status).toBe('ok')
})

test('a command agent without its command is told what to write', async () => {
  const command: AgentAdapter = { ...plain, name: 'command', find: async () => null, command: unused, parser: unused }
  const checks = await doctor({
    clone: 'verify: ["sh test.sh"]\nagents: { developer: { agent: command } }\n',
    change: {
      adapters: { command },
      config: makeConfig({ assets: findAssets(ASSETS), agents: ['command'] }),
    },
  })
  expect(checks.get('agent.command')?.fix).toContain('command: "python3 my-agent.py"')
})

test('a command agent whose program is not there is named before a run fails', async () => {
  const shell: FoundAgent = { path: '/bin/sh', version: null, loggedIn: 'unknown', note: 'runs it' }
  const command: AgentAdapter = { ...plain, name: 'command', find: async () => shell, command: unused, parser: unused }
  const change = {
    adapters: { command },
    config: makeConfig({ assets: findAssets(ASSETS), agents: ['command'] }),
  }
  const clone = (run: string): string => `verify: none\nagents: { developer: { agent: command, command: "${run}" } }\n`
  const missing = (await doctor({ clone: clone('no-such-agent --fast'), change })).get('agent.command')
  expect([missing?.status, missing?.text]).toEqual(['failed', 'not found: no-such-agent'])
  expect((await doctor({ clone: clone('sh agent.sh'), change })).get('agent.command')?.status).toBe('ok')
})

const FOUND: FoundAgent = { path: '/bin/x', version: '2.1', loggedIn: 'yes', note: '' }

/** The agents of a machine, each as it is found. */
function agentsOf(found: Record<string, FoundAgent | null>, more: Partial<AgentAdapter> = {}): Partial<DoctorDeps> {
  const adapters = Object.entries(found).map(([name, one]): [string, AgentAdapter] => [
    name,
    { ...plain, name, find: async () => one, command: unused, parser: unused, ...more },
  ])
  const config = makeConfig({ assets: findAssets(ASSETS), agents: Object.keys(found) })
  return { adapters: Object.fromEntries(adapters), config }
}

test('a version outside of those that were tested is a warning that names them', async () => {
  const tested = { from: '2.0.0', to: '2.1.0' }
  const seen = async (version: string) =>
    doctor({ clone: GOOD, change: agentsOf({ claude: { ...FOUND, version } }, { tested }) })
  const check = (await seen('2.2.0')).get('agent.claude.version')
  expect([check?.status, check?.text]).toEqual([
    'warning',
    'claude 2.2.0 lies outside of 2.0.0 to 2.1.0, the versions this orch was tested with',
  ])
  for (const version of ['2.1', 'main']) expect((await seen(version)).has('agent.claude.version')).toBe(false)
})

test('an account that is limited or whose agent keeps failing is shown, with until when', async () => {
  const state = { ...newAccount('claude'), limitedUntil: NOW + 60_000, limitReason: 'agent-rate-limit' }
  const limited: Partial<Store> = {
    getAccount: (id) => (id === 'claude' ? { version: 1, state } : null),
  }
  const checks = await doctor({
    clone: GOOD,
    change: agentsOf({ claude: FOUND, codex: FOUND }),
    books: { store: limited as Store },
  })
  expect(checks.get('agent.claude.account')).toMatchObject({
    status: 'warning',
    text: 'claude is limited until 2026-01-02T00:01:00.000Z (rate limit)',
  })
  expect(checks.has('agent.codex.account')).toBe(false)
})

test('a chosen agent that is missing is a warning while another may take over, which must be there too', async () => {
  const clone = 'verify: ["sh test.sh"]\nagents: { developer: { agent: claude, fallback: [codex] } }\n'
  const seen = async (found: Record<string, FoundAgent | null>) => {
    const checks = await doctor({ clone, change: agentsOf(found) })
    return [checks.get('agent.claude')?.status, checks.get('agent.codex')?.status]
  }
  expect(await seen({ claude: FOUND, codex: FOUND })).toEqual(['ok', 'ok'])
  expect(await seen({ claude: null, codex: FOUND })).toEqual(['warning', 'ok'])
  expect(await seen({ claude: FOUND, codex: null })).toEqual(['ok', 'warning'])
  expect(await seen({ claude: null, codex: { ...FOUND, loggedIn: 'no' } })).toEqual(['failed', 'warning'])
})

test('an effort the chosen agent can’t be asked for is a warning', async () => {
  const clone = 'verify: ["sh test.sh"]\nagents: { developer: { agent: claude, effort: high } }\n'
  const check = async (efforts: AgentAdapter['efforts']) =>
    (await doctor({ clone, change: agentsOf({ claude: FOUND }, { efforts }) })).get('role.developer.effort')
  expect(await check(['high'])).toBeUndefined()
  expect((await check([]))?.text).toContain('it has no such setting')
  expect((await check(['low']))?.text).toContain('it knows low')
})

test("a person's part for this project counts", async () => {
  const userConfig = () => ({
    name: 'config.yml',
    text: 'projects: { SHOP: { agents: { developer: { agent: codex } } } }\n',
  })
  const change = { ...agentsOf({ claude: FOUND, codex: null }), userConfig }
  expect(statuses(await doctor({ clone: 'verify: ["sh test.sh"]\n', change }), 'failed')).toEqual(['agent.codex'])
})

test('only the profiles asked for are looked at; the agents are still judged by the project', async () => {
  const names = async (...profiles: DoctorRequest['profiles']) => [
    ...new Set([...(await doctor({ clone: GOOD, found: null }, { profiles })).values()].map((check) => check.profile)),
  ]
  expect(await names('host')).toEqual(['host'])
  expect(await names('service', 'host')).toEqual(['host', 'service'])
  const agents = await doctor({ clone: GOOD, found: null }, { profiles: ['agents'] })
  expect([...agents.keys()]).toEqual(['agent.claude'])
  expect(agents.get('agent.claude')?.status).toBe('failed')
})

test('a git that can’t do what is needed fails, although its version would do', async () => {
  const tryGit = async () => ({ tried: ['push'], problem: 'merge without a checkout: usage' })
  const checks = await doctor({ clone: GOOD, change: { facts: { ...FACTS, tryGit } } })
  expect(statuses(checks, 'failed')).toEqual(['git.features'])
  expect(checks.get('git.features')?.text).toContain('merge without a checkout')
})

test('a sandbox that was asked for and can’t be had is a failed check', async () => {
  const checks = await doctor({
    clone: GOOD,
    change: { sandbox: { ok: false, text: 'ORCH_SANDBOX=unshare is not here' } },
  })
  expect(statuses(checks, 'failed')).toEqual(['sandbox'])
  expect(checks.has('kill')).toBe(false)
})
