// `orch project add`: a repository by its clone, its address or its name, with the tracker and the forge that it is to have.
// Invariant: everything is looked up before anything is made; a refusal leaves nothing behind. What is registered is what the
// vendor calls it now.

import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { isTerminal } from '../core/lifecycle.ts'
import type { RemoteProject } from '../drivers/driver.ts'
import { UserError } from '../lib/errors.ts'
import type { Project, Store } from '../store/store.ts'
import type { RepositoryFacts } from '../workspace/workspace.ts'
import type { InitResult } from './app.ts'
import type { AddProject } from './outside-views.ts'
import type { Capabilities } from './capabilities.ts'
import type { Onboard, ProjectRemotes } from './onboard.ts'
import { isName, parseAddress } from './repository-address.ts'

export interface AddProjectDeps extends Pick<Capabilities, 'remotes' | 'clones'> {
  store: Pick<Store, 'listProjects' | 'updateProject' | 'listChanges' | 'listTasks' | 'getTask'>
  facts: Pick<RepositoryFacts, 'findRoot' | 'originOf'>
  onboard: Pick<Onboard, 'addProject'>
}

type Remote = { driver: string; ref: string }

/** Undefined: nothing was said of it. Null: none. A driver without a ref: the repository itself. */
interface Choice {
  tracker: { driver: string; ref: string | null } | null | undefined
  forge: { driver: string; ref: string | null } | null | undefined
}

/** Throws UserError and ExternalError. Again with other flags: the project gets that tracker or forge from then on. */
export async function addProject(deps: AddProjectDeps, request: AddProject): Promise<InitResult> {
  const choice: Choice = {
    tracker: readChoice(request.tracker, { option: '--tracker', known: deps.remotes.trackers }),
    forge: readChoice(request.forge, { option: '--forge', known: deps.remotes.forges }),
  }
  const path = pathOf(request)
  return path === null ? addByAddress(deps, { request, choice }) : addByPath(deps, { request, choice, path })
}

function readChoice(text: string | null, of: { option: string; known: readonly string[] }): Choice['tracker'] {
  if (text === null) return undefined
  if (text === 'none' || text === 'local') return null
  const [driver = '', ...rest] = text.split(':')
  const ref = rest.join(':')
  if (!of.known.includes(driver))
    throw new UserError(
      2,
      'unknown-driver',
      `${of.option}: there is no driver "${driver}" for that; there are ${[...of.known, 'none'].join(', ')}`,
    )
  return { driver, ref: ref === '' ? null : ref }
}

/** A folder that is there wins over a repository of the same name; null: an address or a name. */
function pathOf({ source, cwd }: AddProject): string | null {
  const home = source === '~' || source.startsWith('~/') ? join(homedir(), source.slice(1)) : source
  const path = resolve(cwd, home)
  if (/^[./~]/.test(source) || existsSync(path)) return path
  const parts = source.split('/')
  const isRepository = parts.length === 2 && parts.every(isName)
  return isRepository || parseAddress(source) !== null ? null : path
}

// ---- A clone of the user's own

async function addByPath(
  deps: AddProjectDeps,
  at: { request: AddProject; choice: Choice; path: string },
): Promise<InitResult> {
  const { request, choice, path } = at
  const found = await deps.facts.findRoot(path)
  const origin = found.ok ? await deps.facts.originOf(found.root) : null
  const known = deps.store.listProjects().find((project) => found.ok && project.path === found.root)
  const here = origin === null ? null : deps.remotes.repositoryAt(origin)
  const looked = await lookUp(deps, { choice, here, known })
  if (known) refuseUnsettled(deps, known, looked)
  const result = await deps.onboard.addProject({ path, prefix: request.prefix, remotes: looked.remotes })
  const notes = [...looked.notes, ...elsewhere(here, looked.remotes.forge)]
  return settle(deps, { result, looked: { ...looked, notes } })
}

/** Pushes go to origin: a forge that is another place never sees them. */
function elsewhere(here: Remote | null, forge: Remote | undefined): string[] {
  if (!forge || (here?.driver === forge.driver && sameRef(here.ref, forge.ref))) return []
  return [
    `The clone's origin is not known to be ${forge.ref} at ${forge.driver}: Orch pushes to origin and opens changes there, so both must be one repository.`,
  ]
}

// ---- A repository by its address or its name

async function addByAddress(
  deps: AddProjectDeps,
  { request, choice }: { request: AddProject; choice: Choice },
): Promise<InitResult> {
  const { source } = request
  const place =
    parseAddress(source) === null ? { driver: homeOf(deps, choice), ref: source } : deps.remotes.repositoryAt(source)
  const found = place && (await findProject(deps, place))
  const here = place && found ? { driver: place.driver, ref: found.ref } : null
  const known = deps.store.listProjects().find((project) => isOf(deps, project, { source, places: [place, here] }))
  // Who names a repository at a forge means its issues and pull requests too, unless they say otherwise.
  const whole: Choice = known
    ? choice
    : {
        tracker: choice.tracker === undefined && here ? here : choice.tracker,
        forge: choice.forge === undefined && here ? here : choice.forge,
      }
  const looked = await lookUp(deps, { choice: whole, here, known, asked: place && found ? { ...place, found } : null })
  if (known) {
    refuseUnsettled(deps, known, looked)
    const result = await deps.onboard.addProject({ path: known.path, prefix: request.prefix })
    return settle(deps, { result, looked, remote: await moveClone(deps, { known, place, here }) })
  }
  const address = addressOf({ source, found, place })
  const dir = deps.clones.placeFor(folderOf(address))
  const made = await deps.clones.make({ address, dir })
  try {
    const result = await deps.onboard.addProject({ path: dir, prefix: request.prefix, remotes: looked.remotes })
    return await settle(deps, { result, looked })
  } catch (error) {
    if (made === 'made') await deps.clones.remove(dir)
    throw error
  }
}

/** A clone of Orch's own goes along with a repository that moved; the user's own is theirs to lead. */
async function moveClone(
  { clones }: AddProjectDeps,
  at: { known: Project; place: Remote | null; here: Remote | null },
): Promise<string> {
  const { known, place, here } = at
  if (!place || !here || sameRef(place.ref, here.ref) || !clones.isManaged(known.path)) return known.remote
  const address = renamed(known.remote, place.ref, here.ref)
  await clones.moveAlong(known.path, address)
  return address
}

/** `owner/name` alone is at the forge that was named, else at the tracker's if that keeps repositories, else at GitHub. */
function homeOf({ remotes }: AddProjectDeps, { tracker, forge }: Choice): string {
  if (forge) return forge.driver
  return tracker && remotes.forges.includes(tracker.driver) ? tracker.driver : 'github'
}

function isOf(
  { remotes }: AddProjectDeps,
  project: Project,
  at: { source: string; places: (Remote | null)[] },
): boolean {
  const theirs = [project.forge, remotes.repositoryAt(project.remote)]
  const same = at.places.some((place) =>
    theirs.some((one) => place && one && one.driver === place.driver && sameRef(one.ref, place.ref)),
  )
  return same || project.remote === at.source
}

/** By ssh where the user said ssh; else as the vendor writes it. A password in the user's own address stays in it. */
function addressOf(at: { source: string; found: RemoteProject | null; place: Remote | null }): string {
  const { source, found, place } = at
  const given = parseAddress(source)
  if (!found || !place) return source
  if (given?.protocol === 'ssh') return renamed(source, place.ref, found.ref)
  const hasPassword = given !== null && URL.canParse(source) && new URL(source).username !== ''
  if (hasPassword || found.cloneUrl === null) return source
  return found.cloneUrl
}

function folderOf(address: string): string[] {
  const parsed = parseAddress(address)
  const parts = parsed ? [parsed.host || 'local', ...parsed.path] : [address]
  return parts.map((part) => part.replaceAll(/[^\w.-]/g, '-').replace(/^\.+/, '-'))
}

function renamed(address: string, from: string, to: string): string {
  const escaped = from.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
  return address.replace(
    new RegExp(`${escaped}(\\.git)?/?$`, 'i'),
    (_whole, end: string | undefined) => to + (end ?? ''),
  )
}

// ---- Both

interface Looked {
  remotes: ProjectRemotes
  notes: string[]
  /** What was asked for under a former name, and its name now. */
  moved: Map<string, string>
}

/** What was chosen, as the vendors call it now. Asks each vendor at most once for each project. */
async function lookUp(
  deps: AddProjectDeps,
  at: {
    choice: Choice
    /** The repository itself. */
    here: Remote | null
    known: Project | undefined
    /** What was asked already. */
    asked?: (Remote & { found: RemoteProject }) | null
  },
): Promise<Looked> {
  const { choice, known, here } = at
  const answers = new Map<string, RemoteProject>()
  const moved = new Map<string, string>()
  const remember = (remote: Remote, found: RemoteProject): RemoteProject => {
    answers.set(keyOf(remote), found).set(keyOf({ ...remote, ref: found.ref }), found)
    if (!sameRef(remote.ref, found.ref)) moved.set(keyOf(remote), found.ref)
    return found
  }
  if (at.asked) remember(at.asked, at.asked.found)
  const one = async (name: 'tracker' | 'forge', other: 'tracker' | 'forge'): Promise<Remote | undefined> => {
    const chosen = choice[name]
    if (!chosen) return chosen === null ? undefined : known?.[name]
    const { driver } = chosen
    const ref = chosen.ref ?? impliedRef(driver, [here, choice[other] ?? known?.[other] ?? null])
    if (ref === null) throw noRef(name, driver)
    const found =
      answers.get(keyOf({ driver, ref })) ?? remember({ driver, ref }, await findProject(deps, { driver, ref }))
    return { driver, ref: found.ref }
  }
  const tracker = nowCalled(await one('tracker', 'forge'), moved)
  const forge = nowCalled(await one('forge', 'tracker'), moved)
  const notes = [...moved].map(([key, to]) => {
    const [driver = '', ref = ''] = key.split(/:(.*)/s)
    return `${ref} at ${driver} is called ${to} now, and is registered so.`
  })
  return { remotes: { ...(tracker ? { tracker } : {}), ...(forge ? { forge } : {}) }, notes, moved }
}

function nowCalled<R extends Remote | undefined>(remote: R, moved: ReadonlyMap<string, string>): R {
  const ref = remote && moved.get(keyOf(remote))
  return ref === undefined ? remote : { ...remote, ref }
}

function impliedRef(driver: string, known: ({ driver: string; ref: string | null } | null)[]): string | null {
  return known.find((one) => one?.driver === driver && one.ref !== null)?.ref ?? null
}

function noRef(name: 'tracker' | 'forge', driver: string): UserError {
  const example = driver === 'plane' ? 'WORKSPACE/PROJECT-ID' : 'OWNER/NAME'
  return new UserError(
    2,
    'no-ref',
    `--${name} ${driver}: which project there can't be told from the clone's origin; write --${name} ${driver}:${example}`,
  )
}

async function findProject({ remotes }: AddProjectDeps, { driver, ref }: Remote): Promise<RemoteProject> {
  const found = await remotes.driver(driver).findProject(ref)
  if (found) return found
  const text = `there is no ${ref} at ${driver}, or who Orch is there may not see it; \`orch doctor\` says who that is`
  throw new UserError(3, 'no-remote-project', text)
}

/**
 * What is under way belongs to where it came from: numbers of issues and changes mean other things elsewhere. A project that
 * moved is the same one.
 */
function refuseUnsettled({ store }: AddProjectDeps, project: Project, { remotes: to, moved }: Looked): void {
  const differs = (from: Remote | undefined, other: Remote | undefined): boolean =>
    from?.driver !== other?.driver || !sameRef(nowCalled(from, moved)?.ref ?? '', other?.ref ?? '')
  const refuse = (what: string, tasks: string[]): UserError =>
    new UserError(
      4,
      'open-tasks',
      `the ${what} of ${project.id} can't become another while ${tasks.slice(0, 3).join(', ')}${tasks.length > 3 ? ' …' : ''} is open with it: finish or cancel first`,
    )
  const open = store
    .listTasks({ project: project.id, limit: 100_000 })
    .filter(({ status }) => !isTerminal(status))
    .map(({ id }) => id)
  if (differs(project.forge, to.forge)) {
    const shown = new Set(store.listChanges(project.id).flatMap(({ task, state }) => (state === 'open' ? [task] : [])))
    const tasks = open.filter((id) => shown.has(id))
    if (tasks.length > 0) throw refuse('forge', tasks)
  }
  const { tracker } = project
  if (tracker && differs(tracker, to.tracker)) {
    const tasks = open.filter((id) => store.getTask(id)?.state.origin.startsWith(`${tracker.driver}:`))
    if (tasks.length > 0) throw refuse('tracker', tasks)
  }
}

/** A project that was there gets what was chosen; what it gets is said. */
async function settle(
  { store }: AddProjectDeps,
  { result, looked, remote = result.project.remote }: { result: InitResult; looked: Looked; remote?: string },
): Promise<InitResult> {
  const { tracker: _tracker, forge: _forge, ...rest } = result.project
  const project: Project = { ...rest, remote, ...looked.remotes }
  const { id } = project
  const notes = [...looked.notes]
  for (const [name, what] of [
    ['tracker', 'issues come from'],
    ['forge', 'changes are shown at'],
  ] as const) {
    const now = project[name]
    const before = result.alreadyRegistered ? result.project[name] : undefined
    if (now) notes.push(`Its ${what} ${now.ref} at ${now.driver}.`)
    else if (before) notes.push(`Its ${what} ${before.ref} at ${before.driver} no more.`)
  }
  if (project.tracker || project.forge)
    notes.push(`Next: \`orch onboard ${id}\` says what is missing there, and shows a configuration for it.`)
  if (result.alreadyRegistered) await store.updateProject({ id, remote, ...looked.remotes })
  // What was offered has been taken.
  const kept =
    project.tracker || project.forge ? result.notes.filter((note) => !note.startsWith('Its origin is')) : result.notes
  return { ...result, project, notes: [...kept, ...notes] }
}

const keyOf = ({ driver, ref }: Remote): string => `${driver}:${ref.toLowerCase()}`
const sameRef = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()
