// Works on kept deliveries: parses them and leads them to the handlers that polling uses too (S7).
// Invariant: a delivery leads to several commits, with looks at the vendor in between, so its mark is in each of them: every
// command carries a key made of the delivery and of what the command says, which the same transaction records. A crash at
// any point, before or after the row itself is settled, has the delivery applied again and none of its commands twice.

import { createHash } from 'node:crypto'
import type { Happening, WebhookSource } from '../drivers/driver.ts'
import type { Timer, Timers } from '../lib/clock.ts'
import { ExternalError, messageOf } from '../lib/errors.ts'
import type { ClaimedDelivery, DeliveryEnd } from '../store/deliveries.ts'
import type { Store } from '../store/store.ts'
import type { Engine } from './engine.ts'
import { type HappeningDeps, applyHappenings, findProjects } from './happenings.ts'
import { iso } from './views.ts'
import type { Audit } from './webhook-audit.ts'

/** O-13: 5, 10, 20, 40, 80 s, at most 5 min (a vendor may ask for more than ours), five times. */
const RETRY = { baseMs: 5_000, maxMs: 300_000, most: 5 } as const
/**
 * A vendor's limit is its own word and no failure: it is waited out as the vendor asks, at most an hour at once (the longest
 * window of a budget), and for a day from when the delivery came. `unsaidMs`: where no time is named.
 */
const LIMIT = { unsaidMs: 60_000, maxMs: 3_600_000, endsAfterMs: 24 * 3_600_000 } as const
/** Claimed at once, of one source. */
const BATCH = 16
/** The slowest handler asks a vendor some ten times, each with a limit of 30 s. */
const TIME_LIMIT_MS = 8 * 60_000
const LEASE_MS = TIME_LIMIT_MS + 60_000
/** The store itself could not be used: looked at again after this. */
const STORE_PAUSE_MS = 5_000

export interface ApplyDeps {
  store: Store
  happenings: HappeningDeps
  sources: Record<string, WebhookSource>
  /** Logins that Orch writes under at a vendor. */
  selfAt: (driver: string) => Promise<readonly string[]>
  /** Carries the process identity, so that anyone can tell whether it lives. */
  worker: string
  audit: Audit
  now: () => number
  timers: Timers
  onError: (error: unknown) => void
  onNotice: (sentence: string) => void
  /** All that was due of one source is done. */
  onRest: () => void
}

export interface DeliveryWorker {
  /** Looks for work of one source now, or of all. Cheap. */
  kick(source?: string): void
  /** Begins nothing more, and resolves when what is under way has ended. */
  stop(): Promise<void>
  /** Nothing is under way, nor due within that time. */
  isIdle(withinMs: number): boolean
}

export function makeDeliveryWorker(deps: ApplyDeps): DeliveryWorker {
  const state = { stopped: false }
  // One line for each source: a vendor that is slow or down holds up no other (L2).
  const lines = new Map(
    Object.entries(deps.sources).map(([name, source]) => [
      name,
      makeLine(deps, { name, source, state, isTold: false }),
    ]),
  )
  return {
    kick: (source) => {
      for (const [name, line] of lines) if (source === undefined || source === name) line.kick()
    },
    stop: async () => {
      state.stopped = true
      await Promise.all([...lines.values()].map((line) => line.stop()))
    },
    isIdle: (withinMs) => [...lines.values()].every((line) => line.isIdle(withinMs)),
  }
}

interface Line {
  name: string
  source: WebhookSource
  state: { stopped: boolean }
  /** That some were given up was told, and none was applied since. */
  isTold: boolean
}

function makeLine(deps: ApplyDeps, line: Line) {
  let working: Promise<void> | null = null
  let again = false
  let timer: Timer | null = null

  async function work(): Promise<void> {
    try {
      do {
        again = false
        while (!line.state.stopped && (await workOnce(deps, line)) > 0);
      } while (again && !line.state.stopped)
      wait(untilDue())
    } catch (error) {
      deps.onError(error)
      wait(STORE_PAUSE_MS)
    }
    working = null
    deps.onRest()
  }
  const untilDue = (): number | null => {
    const next = deps.store.nextDelivery(line.name)
    return next === null ? null : Math.max(0, next - deps.now())
  }
  function wait(pauseMs: number | null): void {
    timer?.cancel()
    timer = pauseMs === null || line.state.stopped ? null : deps.timers.after(pauseMs, kick)
  }
  function kick(): void {
    again = true
    if (line.state.stopped || working) return
    try {
      const pauseMs = untilDue()
      if (pauseMs === 0) working = work()
      else wait(pauseMs)
    } catch (error) {
      // Whoever kicked has done its own part already.
      deps.onError(error)
      wait(STORE_PAUSE_MS)
    }
  }
  return {
    kick,
    stop: async () => {
      timer?.cancel()
      await working
    },
    isIdle: (withinMs: number) => {
      const pauseMs = untilDue()
      return working === null && (pauseMs === null || pauseMs > withinMs)
    },
  }
}

/** Takes some, ends all of them; gives how many there were. */
async function workOnce(deps: ApplyDeps, line: Line): Promise<number> {
  const { store, worker, now } = deps
  const claimed = await store.claimDeliveries({
    source: line.name,
    worker,
    now: now(),
    leaseMs: LEASE_MS,
    limit: BATCH,
  })
  if (claimed.length === 0) return 0
  const read = await readAll(deps, line, claimed)
  await end(deps, line, read.ended)
  // In the order in which they came within a project; projects side by side.
  await Promise.all(
    [...Map.groupBy(read.happened, (one) => one.ref.toLowerCase()).values()].map(async (group) => {
      for (const one of group) await end(deps, line, [await applyOne(deps, line, one)])
    }),
  )
  return claimed.length
}

interface Happened {
  delivery: ClaimedDelivery
  ref: string
  happenings: Happening[]
}

interface Ended extends DeliveryEnd {
  delivery: ClaimedDelivery
  /** It is put off, and why is worth a line. */
  isTrouble?: boolean
}

async function readAll(
  deps: ApplyDeps,
  line: Line,
  claimed: ClaimedDelivery[],
): Promise<{ ended: Ended[]; happened: Happened[] }> {
  const ended: Ended[] = []
  const happened: Happened[] = []
  let self: readonly string[]
  try {
    // Where no project is at that vendor, nothing can come of it, and nobody need be asked who we are.
    self = isUsed(deps, line.name) ? await deps.selfAt(line.name) : []
  } catch (error) {
    return { ended: claimed.map((delivery) => failed(deps, delivery, error)), happened }
  }
  for (const delivery of claimed) {
    if (delivery.twin !== null) {
      ended.push(settled(deps, delivery, 'ignored', `it is delivery ${delivery.twin} again, under another id`))
      continue
    }
    try {
      const parsed = line.source.parse({ event: delivery.event, body: delivery.body, self })
      if (parsed.kind !== 'happened') ended.push(settled(deps, delivery, parsed.kind, parsed.reason))
      else if ((await findProjects(deps.happenings, { driver: line.name, ref: parsed.ref })).length === 0)
        ended.push(settled(deps, delivery, 'ignored', `no project of ${line.name} ${parsed.ref} is registered here`))
      else happened.push({ delivery, ref: parsed.ref, happenings: parsed.happenings })
    } catch (error) {
      ended.push(failed(deps, delivery, error))
    }
  }
  return { ended, happened }
}

function isUsed({ store }: ApplyDeps, driver: string): boolean {
  return store.listProjects().some(({ tracker, forge }) => tracker?.driver === driver || forge?.driver === driver)
}

async function applyOne(deps: ApplyDeps, line: Line, { delivery, ref, happenings }: Happened): Promise<Ended> {
  if (line.state.stopped) {
    const again = { nextAt: deps.now(), counts: false }
    // What it failed by is more worth knowing than that Orch was stopped.
    return { ...endOf(deps, delivery), state: 'received', note: delivery.note ?? 'Orch was stopped', again }
  }
  const engine = onceEngine(deps.happenings.engine, delivery)
  const from = { driver: line.name, ref, cause: `webhook:${line.name}/${delivery.deliveryId}` }
  try {
    const said = await inTime(deps, applyHappenings({ ...deps.happenings, engine }, from, happenings))
    return settled(deps, delivery, 'applied', said.join('; ') || 'it concerns no task')
  } catch (error) {
    return failed(deps, delivery, error)
  }
}

/** What a delivery commands is recorded with its effect, so that applied again it does nothing a second time. */
function onceEngine(engine: Engine, { id, replays }: ClaimedDelivery): Engine {
  return {
    submit: (command, options) => {
      const digest = createHash('sha256').update(JSON.stringify(command)).digest('hex').slice(0, 16)
      const idempotencyKey = options.idempotencyKey ?? `delivery:${id}.${replays}/${digest}`
      return engine.submit(command, { ...options, idempotencyKey })
    },
  }
}

async function inTime<T>({ timers }: ApplyDeps, work: Promise<T>): Promise<T> {
  let timer: Timer | undefined
  const limit = new Promise<never>((_, reject) => {
    timer = timers.after(TIME_LIMIT_MS, () => {
      reject(new Error(`it was not done within ${TIME_LIMIT_MS / 60_000} minutes`))
    })
  })
  try {
    return await Promise.race([work, limit])
  } finally {
    timer?.cancel()
  }
}

function endOf({ now }: ApplyDeps, delivery: ClaimedDelivery) {
  return { delivery, id: delivery.id, token: delivery.token, at: now() }
}

function settled(
  deps: ApplyDeps,
  delivery: ClaimedDelivery,
  state: 'applied' | 'ignored' | 'rejected' | 'failed',
  note: string,
): Ended {
  return { ...endOf(deps, delivery), state, note }
}

function failed(deps: ApplyDeps, delivery: ClaimedDelivery, error: unknown): Ended {
  if (!(error instanceof ExternalError)) deps.onError(error)
  const note = messageOf(error)
  const again = (pauseMs: number, counts: boolean): Ended => {
    const nextAt = deps.now() + pauseMs
    return { ...endOf(deps, delivery), state: 'received', note, again: { nextAt, counts }, isTrouble: true }
  }
  const isLimit = error instanceof ExternalError && error.kind === 'rate-limited'
  if (isLimit && deps.now() - delivery.receivedAt < LIMIT.endsAfterMs)
    return again(Math.min(Math.max(error.retryAfterMs ?? LIMIT.unsaidMs, RETRY.baseMs), LIMIT.maxMs), false)
  if (delivery.failures >= RETRY.most) return settled(deps, delivery, 'failed', note)
  const asked = error instanceof ExternalError ? (error.retryAfterMs ?? 0) : 0
  return again(Math.min(Math.max(RETRY.baseMs * 2 ** delivery.failures, asked), RETRY.maxMs), true)
}

async function end(deps: ApplyDeps, line: Line, ended: Ended[]): Promise<void> {
  if (ended.length === 0) return
  const lost = await deps.store.endDeliveries(
    ended.map(({ delivery: _delivery, isTrouble: _isTrouble, ...one }) => one),
  )
  for (const { delivery, state, note, again, isTrouble } of ended) {
    if (lost.includes(delivery.id)) continue
    const { id, source, event, failures } = delivery
    if (state !== 'received') deps.audit.add({ what: 'settled', source, id, event, state, note })
    else if (again && isTrouble) {
      const tried = failures + (again.counts ? 1 : 0)
      deps.audit.add({ what: 'retry', source, id, event, failures: tried, note, nextAt: iso(again.nextAt) })
    }
    if (state === 'applied') line.isTold = false
    if (state !== 'failed' || line.isTold) continue
    line.isTold = true
    deps.onNotice(
      `delivery ${id} of ${source} (${event}) was given up: ${note}; \`orch webhook replay ${id}\` tries it again, \`orch webhook deliveries --state failed\` lists what else is`,
    )
  }
}
