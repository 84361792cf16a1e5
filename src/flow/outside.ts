// What `orch up` hears from trackers and forges: the listener for webhooks, the worker on their deliveries, and the polling
// that catches what no webhook told. Where no project has either, it asks nobody and listens only if told to.

import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { WebhookSettings } from '../config/config.ts'
import type { WebhookSource } from '../drivers/driver.ts'
import type { Timer } from '../lib/clock.ts'
import type { Project } from '../store/store.ts'
import { type DeliveryWorker, makeDeliveryWorker } from './apply-deliveries.ts'
import type { Capabilities } from './capabilities.ts'
import { makeDoor, webhookSecrets } from './deliveries.ts'
import type { Engine } from './engine.ts'
import type { HappeningDeps } from './happenings.ts'
import { makeInLine } from './in-line.ts'
import { makePoll } from './poll.ts'
import { resolveAt } from './project.ts'
import { makeRemoteNames } from './remote-names.ts'
import { identityOf } from './reconcile.ts'
import { type Audit, makeAudit } from './webhook-audit.ts'
import type { Listener, ListenerView } from './webhooks.ts'

/** O-19. */
const PROBE_MS = 60_000
/** How often it is looked what is due to be asked, a quarter more or less: several Orchs at one vendor must not march in step. */
const POLL_TICK_MS = 10_000
/** Settled deliveries are kept so long (A-59), their bodies for as long as somebody may want one applied again. */
const KEEP = { days: 30, bodyDays: 7 } as const
const DAY_MS = 24 * 3_600_000
const CLEAN_EVERY_MS = DAY_MS
/** A project's configuration is fetched anew after this: many deliveries come together. */
const CONFIG_MS = 30_000

export interface OutsideDeps {
  capabilities: Capabilities
  engine: Engine
  /** Name of this service's worker. */
  worker: string
  onError: (error: unknown) => void
  onNotice: (sentence: string) => void
  /** Something that was under way has ended. */
  onRest: () => void
}

export interface Outside {
  /** A delivery may be due. */
  kick(): void
  /** Nothing is under way nor due within that time, and what happened before the start was asked for. */
  isIdle(withinMs: number): boolean
  /** Takes nothing more, ends what is under way. */
  stop(): Promise<void>
}

/** Throws UserError (6) when the listener's address can't be had. */
export async function startOutside(deps: OutsideDeps): Promise<Outside> {
  const { capabilities, onError } = deps
  const { home, store, now, timers, selfAt } = capabilities
  const audit = makeAudit({ home, now, timers, onError })
  const settings = readSettings(deps)
  const isConfigured = typeof settings?.port === 'number'
  const isUsed = isConfigured || hasRemotes(capabilities)
  const sources = isUsed ? capabilities.webhookSources() : {}
  const happenings = happeningDeps(deps)
  const deliveries = makeDeliveryWorker({ ...deps, store, happenings, sources, selfAt, audit, now, timers })
  await reclaim(deps)
  const listener = settings ? await openListener(deps, { settings, sources, audit, deliveries }) : null
  const poll = startPoll(deps, { happenings, audit })
  const health = await watchHealth(deps, { listener, isConfigured, sources })
  const cleaner = timers.every(CLEAN_EVERY_MS, () => void clean(capabilities).catch(onError))
  await clean(capabilities)
  deliveries.kick()
  return {
    kick: () => deliveries.kick(),
    isIdle: (withinMs) => deliveries.isIdle(withinMs) && poll.isIdle(),
    stop: async () => {
      health.cancel()
      cleaner.cancel()
      await listener?.close()
      await rm(listenerFile(home), { force: true })
      await Promise.all([poll.stop(), deliveries.stop()])
      await audit.flush()
    },
  }
}

function hasRemotes({ store }: Capabilities): boolean {
  return store.listProjects().some((project) => project.tracker || project.forge)
}

/** A service goes on without its listener rather than not at all: its tasks need none. */
function readSettings({ capabilities, onNotice }: OutsideDeps): WebhookSettings | null {
  const { settings, problems } = capabilities.config.webhooks({
    user: capabilities.userConfig(),
    env: capabilities.env,
  })
  const [first] = problems
  if (first)
    onNotice(
      `no webhooks are taken: ${first.file}${first.line ? `:${first.line}` : ''}: ${first.key}: ${first.text}; mend it and start \`orch up\` again`,
    )
  return settings
}

interface ListenerParts {
  settings: WebhookSettings
  sources: Record<string, WebhookSource>
  audit: Audit
  deliveries: DeliveryWorker
}

async function openListener(deps: OutsideDeps, parts: ListenerParts): Promise<Listener | null> {
  const { capabilities, onNotice, onError } = deps
  const { home, env, store, now, webhookHealth } = capabilities
  const { settings, sources } = parts
  if (settings.port === null) return null
  const secrets = webhookSecrets(env, Object.keys(sources))
  const signed = Object.keys(sources).filter((name) => (secrets[name] ?? []).length > 0)
  webhookHealth.canCheck(settings.unsigned ? Object.keys(sources) : signed)
  const onNew = (source: string): void => parts.deliveries.kick(source)
  const door = makeDoor({ ...parts, store, secrets, health: webhookHealth, now, onError, onNew })
  const listener = await capabilities.listen(door, { host: settings.host, port: settings.port })
  const view: ListenerView = { url: listener.url, signed, unsigned: settings.unsigned }
  await writeFile(listenerFile(home), JSON.stringify(view), { mode: 0o600 })
  onNotice(
    `webhooks are taken at ${listener.url}/webhooks/ for ${signed.join(', ') || 'nobody'}${unsignedText(settings)}`,
  )
  if (signed.length === 0 && !settings.unsigned)
    onNotice(
      'no webhook secret is set, so every delivery is refused: set ORCH_GITHUB_WEBHOOK_SECRET, or that of your forge',
    )
  return listener
}

const unsignedText = ({ unsigned }: WebhookSettings): string =>
  unsigned ? '; UNSIGNED ones too: anybody who reaches it can open tasks' : ''

const listenerFile = (home: string): string => join(home, 'listener.json')

/** What a service that died had in its hands. */
async function reclaim({ capabilities, onNotice }: OutsideDeps): Promise<void> {
  const { store, now, isProcessAlive } = capabilities
  const isDead = (worker: string): boolean => !isProcessAlive(identityOf(worker))
  const n = await store.reclaimDeliveries({ now: now(), isDead })
  if (n > 0) onNotice(`took back ${n} delivery(s) of a service that died`)
}

async function clean({ store, now }: Capabilities): Promise<void> {
  const before = now() - KEEP.days * DAY_MS
  await store.cleanDeliveries({ before, bodiesBefore: now() - KEEP.bodyDays * DAY_MS, failed: false })
}

/** Probes the listener, and says once when polling takes over for webhooks, and once when it need not any more. */
async function watchHealth(
  { capabilities, onError, onNotice }: OutsideDeps,
  parts: { listener: Listener | null; isConfigured: boolean; sources: Record<string, WebhookSource> },
): Promise<Timer> {
  const { store, timers, webhookHealth, pollIntervals } = capabilities
  const told = new Map<string, boolean>()
  const look = async (): Promise<void> => {
    // A busy moment is no failure: asked a second time.
    const { listener } = parts
    webhookHealth.probed(listener && ((await listener.probe()) || (await listener.probe())))
    const remotes = store.listProjects().flatMap(({ tracker, forge }) => [tracker, forge])
    const used = new Set(remotes.flatMap((remote) => (remote ? [remote.driver] : [])))
    for (const driver of Object.keys(parts.sources)) {
      if (!used.has(driver) || !parts.isConfigured) continue
      const isHealthy = webhookHealth.isHealthy(driver)
      if (told.get(driver) === isHealthy) continue
      if (isHealthy && told.has(driver)) onNotice(`webhooks of ${driver} reach us again: it is asked seldom`)
      if (!isHealthy)
        onNotice(
          `webhooks of ${driver} don't reach us (see \`orch webhook status\`): it is asked every ${pollIntervals().unhealthyMs / 1_000} s`,
        )
      told.set(driver, isHealthy)
    }
  }
  await look()
  return timers.every(PROBE_MS, () => void look().catch(onError))
}

/** One look after the other; the first at once, for what happened while nobody listened. */
function startPoll(
  deps: OutsideDeps,
  parts: { happenings: HappeningDeps; audit: Audit },
): { isIdle(): boolean; stop(): Promise<void> } {
  const { capabilities, onError, onNotice } = deps
  const { timers, webhooksHealthy, quotaOf, pollIntervals, webhookHealth } = capabilities
  const { heardAt } = webhookHealth
  const asking = { webhooksHealthy, quotaOf, pollIntervals, heardAt }
  const poll = makePoll({ ...parts.happenings, ...asking, onError, onNotice })
  let stopped = false
  let timer: Timer | null = null
  let isFirst = true
  let looking: Promise<void> = Promise.resolve()
  const look = async (): Promise<void> => {
    try {
      if (hasRemotes(capabilities)) for (const note of await poll()) parts.audit.add({ what: 'poll', note })
    } catch (error) {
      onError(error)
    }
    if (isFirst) {
      isFirst = false
      deps.onRest()
    }
    const { healthyMs, unhealthyMs } = pollIntervals()
    const tickMs = Math.min(POLL_TICK_MS, healthyMs, unhealthyMs)
    if (!stopped) timer = timers.after(tickMs * (0.75 + Math.random() / 2), begin)
  }
  const begin = (): void => {
    looking = look()
  }
  begin()
  return {
    isIdle: () => !isFirst,
    stop: async () => {
      stopped = true
      timer?.cancel()
      await looking
    },
  }
}

function happeningDeps({ capabilities, engine }: OutsideDeps): HappeningDeps {
  const names = makeRemoteNames(capabilities)
  return { ...capabilities, engine, configOf: makeConfigOf(capabilities), names, inLine: makeInLine() }
}

/** The configuration as the base has it now, asked of the remote at most every half minute. */
function makeConfigOf(capabilities: Capabilities): HappeningDeps['configOf'] {
  const { workspaces, now } = capabilities
  const known = new Map<string, { at: number; config: ReturnType<HappeningDeps['configOf']> }>()
  const resolve = async (project: Project, pipeline: string | null) => {
    const mirror = await workspaces.mirror(project)
    const base = await mirror.fetchBase(null)
    return resolveAt(capabilities, { project, mirror, sha: base.sha, baseName: base.branch, pipeline })
  }
  return (project, pipeline) => {
    const key = `${project.id}/${pipeline ?? ''}`
    const found = known.get(key)
    if (found && now() - found.at < CONFIG_MS) return found.config
    const config = resolve(project, pipeline)
    known.set(key, { at: now(), config })
    config.catch(() => known.delete(key))
    return config
  }
}
