// A vendor for tests of what asks one: projects, labels, columns and webhooks as plain values. A call that no test expected
// fails.

import type { Driver, Identity, Onboarding, Quota, RemoteProject } from '../drivers/driver.ts'
import { UserError } from '../lib/errors.ts'
import type { Remotes } from './capabilities.ts'
import { parseAddress, repositoryBelow } from './repository-address.ts'

export interface TestVendor {
  driver: Driver
  labels: string[]
  columns: { name: string; group: string }[] | null
  hooks: Map<string, { active: boolean; events: string[]; secret: string }>
  /** Each write, in words. */
  writes: string[]
  asked: string[]
  identity: Identity
  quota: Quota | null
}

function unused(): never {
  throw new Error('no test expected this call')
}

export function project(ref: string): RemoteProject {
  const name = ref.split('/').at(-1) ?? ref
  const url = `https://github.com/${ref}`
  return { ref, name, cloneUrl: `${url}.git`, defaultBranch: 'main', url }
}

/** `projects` by the name they are asked for under. */
export function testVendor(name: Driver['name'], projects: Record<string, RemoteProject | (() => never)>): TestVendor {
  const vendor: TestVendor = {
    labels: [],
    columns: null,
    hooks: new Map(),
    writes: [],
    asked: [],
    identity: { login: 'orch-bot', source: 'GITHUB_TOKEN', missing: [], optional: [] },
    quota: { limit: 5_000, remaining: 4_000, resetAt: 0 },
    driver: {
      name,
      identity: async () => vendor.identity,
      quota: () => vendor.quota,
      counts: unused,
      gitCredential: unused,
      async findProject(ref) {
        vendor.asked.push(ref)
        const found = projects[ref]
        return typeof found === 'function' ? found() : (found ?? null)
      },
      onboarding: () => onboardingOf(vendor),
      tracker: unused,
      forge: unused,
      webhooks: { verify: unused, parse: unused },
    },
  }
  return vendor
}

function onboardingOf(vendor: TestVendor): Onboarding {
  const { writes, hooks } = vendor
  const has = (names: string[], name: string): boolean => names.some((one) => one.toLowerCase() === name.toLowerCase())
  return {
    labels: async () => vendor.labels,
    columns: async () => vendor.columns,
    async ensureLabel({ name }) {
      if (has(vendor.labels, name)) return 'existed'
      writes.push(`label ${name}`)
      vendor.labels.push(name)
      return 'created'
    },
    async ensureColumn(column) {
      if (!vendor.columns) return unused()
      if (
        has(
          vendor.columns.map((one) => one.name),
          column.name,
        )
      )
        return 'existed'
      writes.push(`column ${column.name} (${column.group})`)
      vendor.columns.push(column)
      return 'created'
    },
    findWebhook: async (url) => hooks.get(url) ?? null,
    async ensureWebhook({ url, secret }) {
      const before = hooks.get(url)
      hooks.set(url, { active: true, events: ['issues'], secret })
      if (before?.active) return 'existed'
      writes.push(`webhook ${url}`)
      return before ? 'changed' : 'created'
    },
  }
}

export function testRemotes(vendors: TestVendor[]): Remotes {
  return {
    trackers: vendors.map(({ driver }) => driver.name),
    forges: vendors.map(({ driver }) => driver.name).filter((name) => name !== 'plane'),
    driver(name) {
      const found = vendors.find(({ driver }) => driver.name === name)
      if (found) return found.driver
      throw new UserError(6, 'no-driver', `there is no driver ${name}`)
    },
    repositoryAt(text) {
      const address = parseAddress(text)
      const ref = address && repositoryBelow(address, 'https://github.com')
      return ref ? { driver: 'github', ref } : null
    },
  }
}
