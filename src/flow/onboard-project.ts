// `orch onboard`: what a project needs at its tracker and its forge before Orch can live there. Planned by reading alone,
// applied by making what is missing, verified by looking again.
// Invariant: nothing is deleted or renamed there; applied twice it writes once.

import type { TrackerSettings } from '../config/config.ts'
import { awaitStage } from '../core/pipeline.ts'
import type { ApprovalPolicy, Policy } from '../core/policy.ts'
import type { Identity, Onboarding } from '../drivers/driver.ts'
import { ExternalError, UserError, messageOf } from '../lib/errors.ts'
import type { Project, Store } from '../store/store.ts'
import type { OnboardRequest, OnboardStep, OnboardView } from './outside-views.ts'
import type { Capabilities } from './capabilities.ts'
import type { ConfigOf } from './config-of.ts'
import { STATUS_LABELS } from './tracker-view.ts'

export interface OnboardProjectDeps extends Pick<Capabilities, 'remotes' | 'env' | 'now'> {
  store: Pick<Store, 'mark' | 'putMark'>
  configOf: ConfigOf
}

interface Label {
  name: string
  color: string
  description: string
}

/** One vendor's project, and for what it is used. */
export interface Place {
  driver: string
  ref: string
  isTracker: boolean
  isForge: boolean
}

/** Throws UserError: no tracker and no forge (6), a bad address (2), no secret (6); and ExternalError where nothing can be asked. */
export async function onboardProject(
  deps: OnboardProjectDeps,
  { project, request }: { project: Project; request: OnboardRequest },
): Promise<OnboardView> {
  const places = placesOf(project)
  if (places.length === 0) {
    const text = `${project.id} has neither a tracker nor a forge: \`orch project add ${project.path} --tracker … --forge …\` gives it one`
    throw new UserError(6, 'no-remotes', text)
  }
  if (request.url !== null) checkUrl(request.url)
  const hooks = new Map(places.map((place) => [place.driver, hookOf(deps, { project, place, url: request.url })]))
  const hooked = [...hooks].flatMap(([driver, url]) => (url === null ? [] : [driver]))
  if (request.mode === 'apply' && hooked.length > 0 && hooked.every((driver) => secretOf(deps, driver) === null))
    throw new UserError(6, 'no-secret', noSecret(hooked[0] ?? ''))
  const { policy, tracker } = await deps.configOf(project, null)
  const steps: OnboardStep[] = []
  const notes: string[] = []
  let columns: { name: string; group: string }[] | null = null
  for (const place of places) {
    const look = await lookAt(deps, {
      place,
      mode: request.mode,
      policy,
      tracker,
      url: hooks.get(place.driver) ?? null,
    })
    steps.push(...look.steps)
    columns ??= look.columns
    const url = hooks.get(place.driver) ?? null
    if (url === null)
      notes.push(
        `No webhook of ${place.driver} is looked after: with --url https://… Orch hears at once; without it looks every half minute.`,
      )
    else if (request.mode === 'apply')
      await deps.store.putMark({ project: project.id, what: webhookMark(place.driver), value: url, at: deps.now() })
  }
  return {
    project: project.id,
    mode: request.mode,
    ok: steps.every(({ what, state }) => isFine(state) || (request.mode === 'apply' && what === 'permissions')),
    steps,
    notes,
    config: exampleConfig({ tracker, columns, policy, hasForge: project.forge !== undefined }),
  }
}

const isFine = (state: OnboardStep['state']): boolean => state === 'there' || state === 'made' || state === 'mended'

/** What was given as the webhook's address last; the doctor looks there too. */
export const webhookMark = (driver: string): string => `webhook:${driver}`

/** One for each vendor's project: tracker and forge are often the same. */
export function placesOf({ tracker, forge }: Project): Place[] {
  const both = tracker && forge && tracker.driver === forge.driver && tracker.ref === forge.ref
  if (both) return [{ ...tracker, isTracker: true, isForge: true }]
  return [
    ...(tracker ? [{ ...tracker, isTracker: true, isForge: false }] : []),
    ...(forge ? [{ ...forge, isTracker: false, isForge: true }] : []),
  ]
}

// ---- The webhook's address

function checkUrl(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : null
  const isLocal = url !== null && /^(localhost|127\.|\[::1\])/.test(url.hostname)
  const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLocal)
  if (isSafe && url.username === '' && url.search === '' && url.hash === '') return
  throw new UserError(
    2,
    'bad-url',
    `--url: "${text}" is no address for a webhook: write https://HOST, as the vendor reaches this machine, without password or query`,
  )
}

/** Null: none was ever given. */
function hookOf(
  { store }: OnboardProjectDeps,
  { project, place, url }: { project: Project; place: Place; url: string | null },
): string | null {
  if (url === null) return store.mark({ project: project.id, what: webhookMark(place.driver) })
  const path = `/webhooks/${place.driver}`
  const base = url.replace(/\/+$/, '')
  return base.endsWith(path) ? base : base + path
}

const secretName = (driver: string): string => `ORCH_${driver.toUpperCase()}_WEBHOOK_SECRET`

function secretOf({ env }: OnboardProjectDeps, driver: string): string | null {
  return env[secretName(driver)]?.trim() || null
}

function noSecret(driver: string): string {
  return `the webhook of ${driver} needs a secret: set ${secretName(driver)} here and where \`orch up\` runs (\`openssl rand -hex 32\` makes one; where only a person can make the webhook, the vendor shows one)`
}

// ---- What is wanted

/** Wanted by the configuration; what a project has beside is its own. */
export function wantedLabels(place: Place, { policy, tracker }: { policy: Policy; tracker: TrackerSettings }): Label[] {
  const said = (name: string, description: string): Label => ({ name, color: '5319e7', description })
  const atTracker = [
    ...tracker.intake.labels.map((name) => said(name, 'Orch takes this issue as a task')),
    ...(tracker.show.labels
      ? Object.entries(STATUS_LABELS).map(([status, name]) => ({
          name,
          color: STATUS_COLORS[status as keyof typeof STATUS_COLORS],
          description: `Its task is ${status.replace('_', ' ')}`,
        }))
      : []),
  ]
  const atForge = [
    ...(policy.approval === 'label' && policy.approveBy
      ? [said(policy.approveBy.label, 'Says yes to this change')]
      : []),
    ...(policy.change?.labels ?? []).map((name) => said(name, 'A change made by Orch')),
  ]
  const all = [...(place.isTracker ? atTracker : []), ...(place.isForge ? atForge : [])]
  return all.filter(({ name }, index) => all.findIndex((one) => isSame(one.name, name)) === index)
}

const STATUS_COLORS: Record<keyof typeof STATUS_LABELS, string> = {
  queued: 'c5def5',
  running: '1d76db',
  waiting: 'fbca04',
  blocked: 'd4c5f9',
  needs_review: 'd93f0b',
  done: '0e8a16',
  cancelled: 'cccccc',
}

const GROUPS: Record<string, string> = {
  queued: 'unstarted',
  blocked: 'unstarted',
  done: 'completed',
  cancelled: 'cancelled',
}

/** With the group it would be made in; a stage's is that of work under way. */
export function wantedColumns(
  place: Place,
  {
    approval,
    approveBy,
    tracker,
  }: { approval: ApprovalPolicy; approveBy: Policy['approveBy']; tracker: TrackerSettings },
): { name: string; group: string }[] {
  if (!place.isTracker) return []
  const all = [
    ...tracker.intake.columns.map((name) => ({ name, group: 'unstarted' })),
    ...Object.entries(tracker.show.columns).map(([key, name]) => ({ name, group: GROUPS[key] ?? 'started' })),
    ...(approval === 'tracker-state' && approveBy ? [{ name: approveBy.column, group: 'started' }] : []),
  ]
  return all.filter(({ name }, index) => all.findIndex((one) => isSame(one.name, name)) === index)
}

const isSame = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

// ---- Looking and making

interface Asked {
  place: Place
  mode: OnboardRequest['mode']
  policy: Policy
  tracker: TrackerSettings
  url: string | null
}

async function lookAt(
  deps: OnboardProjectDeps,
  asked: Asked,
): Promise<{ steps: OnboardStep[]; columns: { name: string; group: string }[] | null }> {
  const { place, mode, policy, tracker, url } = asked
  const driver = deps.remotes.driver(place.driver)
  const at = `${place.driver} ${place.ref}`
  const identity = await driver.identity()
  if (!(await driver.findProject(place.ref))) {
    const text = `there is no ${place.ref} at ${place.driver}, or ${identity.login} may not see it`
    throw new UserError(3, 'no-remote-project', text)
  }
  const there = driver.onboarding(place.ref)
  const columns = place.isTracker ? await there.columns() : null
  const step = makeStepper({ at, mode })
  const steps: OnboardStep[] = [permissions({ at, identity })]
  const labels = await there.labels()
  for (const label of wantedLabels(place, { policy, tracker }))
    steps.push(
      await step(
        { what: 'label', name: label.name },
        async () => labels.some((name) => isSame(name, label.name)),
        () => there.ensureLabel(label),
      ),
    )
  for (const column of wantedColumns(place, { ...policy, approveBy: policy.approveBy, tracker })) {
    const name = { what: 'column', name: column.name } as const
    const text = `${place.driver} has no board: the configuration names the column "${column.name}" in vain`
    if (columns === null) steps.push({ at, ...name, state: 'impossible', text })
    else
      steps.push(
        await step(
          name,
          async () => columns.some((one) => isSame(one.name, column.name)),
          () => there.ensureColumn(column),
        ),
      )
  }
  if (url !== null)
    steps.push(
      await step(
        { what: 'webhook', name: url },
        async () => (await there.findWebhook(url))?.active === true,
        () => ensureWebhook(deps, { there, url, driver: place.driver }),
      ),
    )
  return { steps, columns }
}

async function ensureWebhook(
  deps: OnboardProjectDeps,
  { there, url, driver }: { there: Onboarding; url: string; driver: string },
): ReturnType<Onboarding['ensureWebhook']> {
  const secret = secretOf(deps, driver)
  if (secret !== null) return there.ensureWebhook({ url, secret })
  throw new ExternalError({ system: driver, kind: 'rejected', message: noSecret(driver) })
}

function permissions({ at, identity }: { at: string; identity: Identity }): OnboardStep {
  const { login, source, missing } = identity
  const who = `Orch is ${login} there (by ${source})`
  const name = { at, what: 'permissions', name: login } as const
  if (missing === null) return { ...name, state: 'there', text: `${who}; the vendor does not say what it may do` }
  const optional = lacksOptional(identity)
  if (missing.length === 0) return { ...name, state: 'there', text: `${who} and may do what it needs${optional}` }
  return { ...name, state: 'missing', text: `${who} and lacks ${missing.join(', ')}${optional}` }
}

/** Goes on a sentence of what Orch may do; empty where nothing is lacking. */
export function lacksOptional({ optional }: Identity): string {
  return optional.length === 0 ? '' : `; it lacks what only some need: ${optional.join(', ')}`
}

type Stepper = (
  name: Pick<OnboardStep, 'what' | 'name'>,
  isThere: () => Promise<boolean>,
  ensure: () => Promise<'existed' | 'created' | 'changed'>,
) => Promise<OnboardStep>

const MADE = { existed: 'there', created: 'made', changed: 'mended' } as const

/** What one thing may not be asked or made says so; the others are not held up by it. */
function makeStepper({ at, mode }: { at: string; mode: OnboardRequest['mode'] }): Stepper {
  return async (name, isThere, ensure) => {
    try {
      const state = mode === 'apply' ? MADE[await ensure()] : (await isThere()) ? 'there' : 'missing'
      return { at, ...name, state, text: `${name.what} ${name.name}` }
    } catch (error) {
      const isAnswer =
        error instanceof ExternalError && ['auth', 'not-found', 'rejected', 'conflict'].includes(error.kind)
      if (!isAnswer) throw error
      return { at, ...name, state: 'impossible', text: messageOf(error) }
    }
  }
}

// ---- The example

/** As it would stand in `.orch.yml`: what holds now for intake, and columns by what the board has. */
function exampleConfig(at: {
  tracker: TrackerSettings
  columns: { name: string; group: string }[] | null
  policy: Policy
  hasForge: boolean
}): string {
  const { intake, show } = at.tracker
  const lines = [
    'intake:',
    `  labels: [${intake.labels.map(quoted).join(', ')}]   # an issue with one of these becomes a task`,
  ]
  if (at.columns) {
    const of = (group: string): string | undefined => at.columns?.find((column) => column.group === group)?.name
    const guessed = {
      queued: of('unstarted'),
      running: of('started'),
      done: of('completed'),
      cancelled: of('cancelled'),
    }
    const columns = Object.keys(show.columns).length > 0 ? show.columns : guessed
    lines.push('tracker:', '  columns:   # where an issue stands while its task is so')
    for (const [key, name] of Object.entries(columns)) if (name !== undefined) lines.push(`    ${key}: ${quoted(name)}`)
  }
  if (!at.hasForge) lines.push('approval: human   # or auto, human-twice, label, tracker-state')
  else lines.push(...atForge(at.policy))
  return `${lines.join('\n')}\n`
}

/** A project that waits for its forge already is shown what it has. */
function atForge({ pipeline, approval, land }: Policy): string[] {
  const waits = awaitStage(pipeline) !== undefined
  return [
    `pipeline: ${waits ? pipeline.name : FORGE_PIPELINE}   # CI and a person's review at the forge, before anything lands`,
    `approval: ${waits ? approval : 'auto'}   # auto: that review is the yes; human, human-twice, label, tracker-state: one more is`,
    `land: { via: ${land.via ?? 'push'} }   # push: Orch pushes exactly the tested commit; forge: the forge merges it`,
  ]
}

/** The preset for a project whose changes are pull requests. */
const FORGE_PIPELINE = 'pull-request'

const quoted = (text: string): string => JSON.stringify(text)
