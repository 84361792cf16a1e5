// The world as one process of Orch is handed it: the same as in production, but for who answers.

import type { AgentAdapter } from '../../src/agents/agent.ts'
import type { Resolution, TrackerSettings } from '../../src/config/config.ts'
import { makeLocalForge } from '../../src/drivers/local/forge.ts'
import { makeLocalTracker } from '../../src/drivers/local/tracker.ts'
import type { Forge } from '../../src/drivers/driver.ts'
import type { Capabilities } from '../../src/flow/capabilities.ts'
import { makeWebhookHealth } from '../../src/flow/webhook-health.ts'
import { awaitGates, gates } from '../../src/gates/gates.ts'
import type { Handoff } from '../../src/gates/gate.ts'
import type { Files } from '../../src/lib/files.ts'
import type { Store } from '../../src/store/store.ts'
import { checkChange } from './check-effects.ts'
import { type Process, step, unreachable } from './chaos.ts'
import { IDENTITY, makeSimMirror } from './mirror.ts'
import { makeSimWorkspaces } from './places.ts'
import { isAlive } from './processes.ts'
import { makeSimRunner } from './runs.ts'
import { type Sim, wake } from './sim.ts'
import { SELF } from './vendor.ts'
import { makeSimRemoteForge, makeSimTracker } from './vendor-api.ts'

export const HOME = '/home/orch'

/** `store` is the process's own, gated. */
export function makeSimCapabilities(sim: Sim, process: Process, store: Store): Capabilities {
  const { scheduler, random } = sim
  const notUsed = (): never => {
    throw new Error('nothing here asks for that')
  }
  const forge = makeSimForge(sim, process)
  const vendors = [...sim.vendors.entries()]
  const remoteForges = new Map(
    vendors.map(([id, vendor]) => [id, makeSimRemoteForge(sim, { process, vendor, store })] as const),
  )
  const trackers = new Map(vendors.map(([id, vendor]) => [id, makeSimTracker(sim, process, vendor)] as const))
  return {
    home: HOME,
    env: {},
    now: scheduler.now,
    timers: scheduler.timersOf(process),
    files: makeSimFiles(sim, process),
    isProcessAlive: (identity) => isAlive(sim, identity),
    newId: () => random.hex(),
    store,
    workspaces: makeSimWorkspaces(sim, process),
    runner: makeSimRunner(sim, process),
    adapters: { bot: adapter('bot'), alt: adapter('alt') },
    gates,
    awaitGates,
    forgeOf: ({ id }) => remoteForges.get(id) ?? forge,
    remoteForgeOf: ({ id }) => remoteForges.get(id) ?? null,
    trackerOf: ({ id }) => trackers.get(id) ?? null,
    remotes: { trackers: [], forges: [], driver: notUsed, repositoryAt: () => null },
    clones: {
      isManaged: () => false,
      placeFor: notUsed,
      make: notUsed,
      moveAlong: notUsed,
      catchUp: notUsed,
      remove: notUsed,
    },
    // What tells little is not noticed; what tells nothing is.
    webhooksHealthy: () => !sim.chaos.isCalm && sim.plan.webhooks !== 'none',
    pollIntervals: () => ({ healthyMs: 120_000, unhealthyMs: 30_000, ciMs: 10_000 }),
    webhookHealth: makeWebhookHealth({ now: sim.scheduler.now, lastDeliveries: () => [] }),
    webhookSources: () => ({}),
    selfAt: () => Promise.resolve([SELF.login]),
    quotaOf: () => null,
    listen: notUsed,
    tracker: makeLocalTracker(store),
    config: {
      resolve: ({ files }) => resolve(sim, files.config?.text ?? null),
      listPipelines: notUsed,
      checkPipeline: notUsed,
      schema: notUsed,
      guess: notUsed,
      render: notUsed,
      webhooks: notUsed,
      poll: notUsed,
    },
    userConfig: () => null,
    flags: {},
    cloneFiles: () => Promise.resolve({ config: { name: '.orch.yml', text: 'clone' }, pipelines: [], prompts: {} }),
    validatePipelineFile: notUsed,
    readHandoff: (dir) => Promise.resolve(readHandoff(sim, dir)),
    identity: (project) => Promise.resolve(makeSimMirror(sim, process, project.id).identity ?? IDENTITY),
    credentials: {
      lend: () => step(sim, process, { name: 'lend', takes: [0, 5], apply: () => undefined }),
      writeSettings: () => Promise.resolve(),
      takeBack: () => step(sim, process, { name: 'take back', takes: [0, 5], apply: () => undefined }),
    },
    wake: () => wake(sim),
  }
}

const TRACKER: TrackerSettings = {
  intake: { labels: ['orch'], columns: [], assignees: [], mention: null, people: [], strangers: 'park' },
  show: { columns: {}, labels: true, comments: true },
  commands: true,
}

/** The configuration of a base is one word in its `.orch.yml`; all that judges is hashed with it. */
function resolve(sim: Sim, text: string | null): Resolution {
  const policy = { ...sim.plan.policy, configHash: `config-${text ?? 'none'}` }
  return {
    ok: true,
    project: { policy, prefix: null, tracker: TRACKER, prompts: { maker: 'make', judge: 'judge' }, sources: [] },
  }
}

function adapter(name: string): AgentAdapter {
  return {
    name,
    tested: null,
    efforts: [],
    ownSandbox: null,
    find: () => Promise.resolve({ path: `/bin/${name}`, version: '1', loggedIn: 'yes', note: '' }),
    command: () => ({ file: `/bin/${name}`, args: [], env: {}, reads: [], credentials: [] }),
    parser: () => {
      throw new Error('nobody reads a stream here')
    },
  }
}

function readHandoff(sim: Sim, dir: string): Handoff {
  const bytes = sim.files.get(`${dir}/handoff.md`)
  if (!bytes) return { ok: false, problem: 'there is no handoff.md' }
  return { ok: true, keys: JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>, prose: '' }
}

/** A disk: folders are the paths that something lies under, or that were made. */
function makeSimFiles(sim: Sim, process: Process): Files {
  const { files } = sim
  const missing = (path: string): never => {
    throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' })
  }
  return {
    makeDir: (path) =>
      step(sim, process, {
        name: 'make folder',
        takes: [0, 2],
        apply: () => void files.set(`${path}/`, new Uint8Array()),
      }),
    list: async (path) => {
      const inside = [...files.keys()].filter((file) => file.startsWith(`${path}/`))
      if (inside.length === 0) missing(path)
      return [...new Set(inside.map((file) => file.slice(path.length + 1).split('/')[0] ?? ''))].filter(Boolean)
    },
    read: async (path) => files.get(path) ?? missing(path),
    write: (path, bytes) =>
      step(sim, process, { name: 'write file', takes: [0, 2], apply: () => void files.set(path, bytes) }),
    removeDir: (path) =>
      step(sim, process, {
        name: 'remove folder',
        takes: [0, 5],
        apply: () => {
          for (const file of files.keys()) if (file.startsWith(`${path}/`)) files.delete(file)
        },
      }),
  }
}

/** The real local forge behind a line that breaks: what it keeps is not what its callers hear. */
function makeSimForge(sim: Sim, process: Process): Forge {
  const forge = makeLocalForge(sim.store, sim.scheduler.now)
  const call = <T>(name: string, work: () => Promise<T>): Promise<T> =>
    step(sim, process, {
      name,
      takes: [20, 800],
      apply: () => (sim.isForgeUp ? work() : Promise.resolve(unreachable('forge'))),
      faults: { failed: () => unreachable('forge') },
    })
  return {
    ensureChange: (request) =>
      call('ensure change', () => {
        checkChange(sim, request)
        return forge.ensureChange(request)
      }),
    addReview: (review) => call('add review', () => forge.addReview(review)),
    markMerged: (task, sha) => call('mark merged', () => forge.markMerged(task, sha)),
    closeChange: (task) => call('close change', () => forge.closeChange(task)),
  }
}
