// A doctor over a real store in a temporary home, and a project, agents and a world that are as a test says.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import type { AgentAdapter, FoundAgent } from '../../agents/agent.ts'
import { findAssets, makeConfig } from '../../config/make-config.ts'
import { openStore } from '../../store/sqlite.ts'
import type { Mirror, PushResult, SandboxMeans } from '../../workspace/workspace.ts'
import { type Check, type DoctorReport, type DoctorRequest, PROFILES } from '../app.ts'
import { makeDoctor } from '../doctor.ts'
import type { Books, DoctorDeps } from '../doctor-parts.ts'
import { makeEngine } from '../engine.ts'
import { testRemotes } from '../test-driver.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const SHA = 'a'.repeat(40)
export const NOW = Date.UTC(2026, 0, 2)
export const PROJECT = { id: 'SHOP', name: 'shop', path: '/code/shop', remote: '/shop.git', createdAt: 0 }

interface Setting {
  clone?: string | null
  base?: string | null
  push?: PushResult
  fetch?: () => never
  found?: FoundAgent | null
  change?: Partial<DoctorDeps>
  books?: Partial<Books>
}

export function unused(): never {
  throw new Error('no test expected this call')
}

export function mirror(setting: Setting): Mirror {
  const base = setting.base === undefined ? setting.clone : setting.base
  const given: Partial<Mirror> = {
    fetchBase: async () => setting.fetch?.() ?? { branch: 'main', sha: SHA },
    canPush: async () => setting.push ?? { ok: true },
    readFile: async (_sha, path) => (path === '.orch.yml' ? (base ?? null) : null),
    listFiles: async () => [],
    remoteBranches: async () => new Map(),
    listPins: async () => [],
  }
  return new Proxy(given as Mirror, {
    get: (target, key) => (key in target ? target[key as keyof Mirror] : key === 'then' ? undefined : unused),
  })
}

/** What every adapter here has in common. */
export const plain = { tested: null, efforts: [], ownSandbox: null }

const BUBBLEWRAP: SandboxMeans = { kind: 'bubblewrap', version: '0.8', open: [], ends: 'pid-namespace' }

export const FACTS: DoctorDeps['facts'] = {
  gitVersion: async () => '2.39.5',
  tryGit: async () => ({ tried: ['push', 'fetch'], problem: null }),
  findRoot: async (dir) => ({ ok: true, root: dir }),
  originOf: unused,
  probeOrigin: unused,
  unsupported: async () => ({ lfs: null, submodules: null, signatures: null }),
}

async function books(home: string, change: Partial<Books> = {}): Promise<Books> {
  const store = await openStore(join(home, 'orch.db'))
  onTestFinished(store.close)
  return {
    reader: {
      projectAt: () => PROJECT,
      projects: () => [PROJECT],
      service: () => ({ running: true, pid: 3, since: null }),
    },
    runner: { survey: async () => [], stopStrays: unused, state: unused },
    workspaces: { list: async () => [], remove: unused, discard: unused, findReadCopy: unused },
    engine: makeEngine({ store, now: () => NOW, wake: () => undefined }),
    stopRun: unused,
    removeLogins: unused,
    ...change,
    store: { ...store, ...change.store },
  }
}

export async function examine(setting: Setting, request: Partial<DoctorRequest> = {}): Promise<DoctorReport> {
  const home = mkdtempSync(join(tmpdir(), 'orch-doctor-'))
  onTestFinished(() => rmSync(home, { recursive: true, force: true }))
  const found: FoundAgent | null =
    setting.found === undefined ? { path: '/bin/claude', version: '2.1', loggedIn: 'yes', note: '' } : setting.found
  const claude: AgentAdapter = { ...plain, name: 'claude', find: async () => found, command: unused, parser: unused }
  const config = setting.clone ?? null
  return makeDoctor({
    home,
    env: { PATH: '/usr/bin:/bin' },
    version: '1.0.0',
    nodeVersion: '24.21.0',
    facts: FACTS,
    sandbox: { ok: true, value: BUBBLEWRAP },
    books: { ok: true, value: await books(home, setting.books) },
    now: () => NOW,
    adapters: { claude },
    config: makeConfig({ assets: findAssets(ROOT), agents: ['claude'] }),
    userConfig: () => null,
    cloneFiles: async () => ({
      config: config === null ? null : { name: '.orch.yml', text: config },
      pipelines: [],
      prompts: {},
    }),
    mirror: async () => mirror(setting),
    remotes: testRemotes([]),
    diskUse: async () => [{ path: 'mirrors', bytes: 2_048 }],
    lock: () => ({ release: () => undefined }),
    ...setting.change,
  })({ cwd: '/code/shop', profiles: PROFILES, fix: false, ...request })
}

export async function doctor(setting: Setting = {}, request: Partial<DoctorRequest> = {}): Promise<Map<string, Check>> {
  const { checks } = await examine(setting, request)
  const byName = new Map(checks.map((check) => [check.name, check]))
  expect(byName.size).toBe(checks.length)
  for (const check of checks)
    expect(check.status === 'ok' ? check.fix : typeof check.fix).toBe(check.status === 'ok' ? null : 'string')
  return byName
}

export function statuses(checks: Map<string, Check>, status: Check['status']): string[] {
  return [...checks.values()].filter((check) => check.status === status).map((check) => check.name)
}

export const GOOD = 'verify: ["sh test.sh"]\nagents: { developer: { agent: claude } }\n'
