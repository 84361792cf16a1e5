// Registering a clone: what is needed is checked first, then the configuration is written (only if absent), with its
// schema for editors beside it, and one row added.
// Invariant: a file that exists is never touched; a refusal leaves nothing behind.

import { randomUUID } from 'node:crypto'
import { lstatSync, readFileSync, readdirSync } from 'node:fs'
import { link, mkdir, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Config, ConfigFile, ProjectFiles, ResolvedProject, RootFiles } from '../config/config.ts'
import type { RemoteRef } from '../drivers/driver.ts'
import { UserError } from '../lib/errors.ts'
import type { Project, Store } from '../store/store.ts'
import type { RepositoryFacts } from '../workspace/workspace.ts'
import type { InitRequest, InitResult } from './app.ts'

export interface OnboardDeps {
  store: Pick<Store, 'listProjects' | 'addProject'>
  facts: RepositoryFacts
  config: Config
  /** Files of a clone as they lie there. */
  cloneFiles: (project: Project) => Promise<ProjectFiles>
  userConfig: () => ConfigFile | null
  /** The repository at a forge that an address leads to, by the address alone. */
  repositoryAt: (address: string) => RemoteRef | null
  env: NodeJS.ProcessEnv
  now: () => number
}

/** Where a project's issues come from and its changes are shown; absent: nowhere but in Orch. */
export type ProjectRemotes = Pick<Project, 'tracker' | 'forge'>

export interface Onboard {
  /** Registers the clone and writes its `.orch.yml` if it has none. Twice is once. */
  init(request: InitRequest): Promise<InitResult>
  /** Registers a clone without writing into it. Twice is once. */
  addProject(request: { path: string; prefix: string | null; remotes?: ProjectRemotes }): Promise<InitResult>
}

const NOTHING_CHOSEN = { agent: null, pipeline: null, setup: null, verify: null, approval: null } as const
const CONFIG_NAME = '.orch.yml'

/** Both throw UserError: 6 no repository, no remote, empty or unreachable origin, unreadable configuration; 2 bad prefix or choice; 4 prefix taken. */
export function makeOnboard(deps: OnboardDeps): Onboard {
  return {
    init: (request) => register(deps, { request, write: true, remotes: {} }),
    addProject: ({ path, prefix, remotes = {} }) =>
      register(deps, { request: { ...NOTHING_CHOSEN, cwd: path, prefix }, write: false, remotes }),
  }
}

interface Found {
  root: string
  remote: string
  files: ProjectFiles
}

async function register(
  deps: OnboardDeps,
  asked: { request: InitRequest; write: boolean; remotes: ProjectRemotes },
): Promise<InitResult> {
  const { request, write, remotes } = asked
  const found = await findClone(deps, request.cwd)
  const registered = deps.store.listProjects().find((project) => project.path === found.root)
  const notes: string[] = []
  const guessed = write && !hasConfig(found.root) ? newConfig(deps, { request, found, notes }) : null
  const files = guessed === null ? found.files : { ...found.files, config: { name: CONFIG_NAME, text: guessed } }
  const projectId = registered?.id ?? request.prefix
  const resolved = resolve(deps, { files, root: found.root, fresh: guessed !== null, projectId })
  const id = choosePrefix(deps, { request, found, registered, configured: resolved.prefix })
  if (guessed === null) notes.push(...keptNotes(found, { request, write }))
  const wrote = guessed !== null && (await writeNew(join(found.root, CONFIG_NAME), guessed))
  const project = registered ?? (await add(deps, { id, found, remotes, undo: wrote }))
  const { setup, verify } = resolved.policy
  if (wrote) {
    await writeSchema(deps, found.root)
    notes.push(
      `What judges a change is read from the base: commit and push ${CONFIG_NAME}. Until then the file in this clone counts.`,
    )
  }
  notes.push(...forgeNote(deps, project))
  return {
    project,
    wroteConfig: wrote,
    alreadyRegistered: registered !== undefined,
    notes,
    setup,
    verify: verify === 'none' ? [] : verify.map((command) => command.run),
  }
}

async function findClone(deps: OnboardDeps, cwd: string): Promise<Found> {
  const { facts } = deps
  if ((await facts.gitVersion()) === null)
    throw new UserError(6, 'no-git', "git can't be run: install git 2.38 or newer")
  const found = await facts.findRoot(cwd)
  if (!found.ok) {
    throw new UserError(
      6,
      'no-repository',
      `${cwd} is in no working copy of a git repository (${found.text}): run \`git clone\` first, then this in the clone`,
    )
  }
  const { root } = found
  const remote = await facts.originOf(root)
  if (!remote) {
    throw new UserError(
      6,
      'no-remote',
      `${root} has no remote named origin, and Orch lands changes there: run \`git remote add origin ADDRESS\` and \`git push -u origin HEAD\``,
    )
  }
  const origin = await facts.probeOrigin(root)
  if (origin.state === 'empty') {
    throw new UserError(
      6,
      'empty-origin',
      `origin of ${root} has no branch yet, so there is nothing to start from: commit something and run \`git push -u origin HEAD\``,
    )
  }
  if (origin.state === 'failed') throw new UserError(6, 'unreachable', origin.text)
  const files = await deps.cloneFiles({ id: '', name: '', path: root, remote, createdAt: 0 })
  return { root, remote, files }
}

/** Text of the file to be written, with what was guessed and why in `notes`. */
function newConfig(deps: OnboardDeps, asked: { request: InitRequest; found: Found; notes: string[] }): string {
  const { request, found, notes } = asked
  const guess = deps.config.guess(rootFiles(found.root))
  if (request.setup === null || request.verify === null) notes.push(...guess.why)
  return deps.config.render({
    prefix: request.prefix,
    pipeline: request.pipeline,
    agent: request.agent,
    setup: request.setup ?? guess.setup,
    verify: request.verify ?? guess.verify,
    approval: request.approval,
  })
}

/** The whole configuration, so that a wrong agent or pipeline is told before anything is written. */
function resolve(
  deps: OnboardDeps,
  at: { files: ProjectFiles; root: string; fresh: boolean; projectId: string | null },
): ResolvedProject {
  const layers = { env: deps.env, user: deps.userConfig(), projectId: at.projectId }
  const resolution = deps.config.resolve({ layers, files: at.files, pipeline: null })
  if (resolution.ok) return resolution.project
  const [first] = resolution.problems
  const text = first ? `${first.key}: ${first.text}` : 'unknown problem'
  if (at.fresh && (first?.file === CONFIG_NAME || first?.file === undefined)) throw new UserError(2, 'bad-value', text)
  throw new UserError(
    6,
    'bad-config',
    `the configuration of ${at.root} can't be used: ${first?.file}${first?.line ? `:${first.line}` : ''}: ${text}`,
  )
}

const PREFIX = /^[A-Z][A-Z0-9]{0,9}$/

function choosePrefix(
  deps: OnboardDeps,
  asked: { request: InitRequest; found: Found; registered: Project | undefined; configured: string | null },
): string {
  const { request, found, registered, configured } = asked
  const wanted = request.prefix ?? configured
  if (wanted !== null && !PREFIX.test(wanted)) {
    throw new UserError(
      2,
      'bad-prefix',
      `"${wanted}" can't be a prefix: one to ten capital letters and digits, a letter first, such as SHOP`,
    )
  }
  if (registered) {
    if (request.prefix === null || request.prefix === registered.id) return registered.id
    throw new UserError(
      4,
      'prefix-fixed',
      `${found.root} is registered as ${registered.id} and its tasks are named so; its prefix can't become ${request.prefix}`,
    )
  }
  const taken = new Map(deps.store.listProjects().map((project) => [project.id, project.path]))
  if (wanted === null) return freePrefix(derivePrefix(found), new Set(taken.keys()))
  if (taken.has(wanted)) throw prefixTaken(wanted, taken.get(wanted) ?? '')
  return wanted
}

function prefixTaken(prefix: string, path: string): UserError {
  return new UserError(4, 'prefix-taken', `the prefix ${prefix} belongs to ${path}: choose another one with --prefix`)
}

/** `git@host:me/my-shop.git` gives MYSHOP; a name without letters gives TASK. Two to ten capital letters and digits. */
export function derivePrefix(from: { root: string; remote: string }): string {
  const named = (text: string): string =>
    basename(
      text
        .replace(/[/\\]+$/, '')
        .replace(/\.git$/, '')
        .replace(/^.*[:/]/, ''),
    )
      .normalize('NFKD')
      .toUpperCase()
      .replace(/[^A-Z0-9]/g, '')
      .replace(/^\d+/, '')
      .slice(0, 10)
  return [named(from.remote), named(from.root), 'TASK'].find((name) => name.length >= 2) ?? 'TASK'
}

function freePrefix(prefix: string, taken: ReadonlySet<string>): string {
  if (!taken.has(prefix)) return prefix
  for (let number = 2; ; number++) {
    const suffix = String(number)
    const candidate = prefix.slice(0, 10 - suffix.length) + suffix
    if (!taken.has(candidate)) return candidate
  }
}

/** What to say when the file that holds was there before, or was not to be written. */
function keptNotes(found: Found, asked: { request: InitRequest; write: boolean }): string[] {
  if (!asked.write)
    return found.files.config
      ? []
      : [`There is no ${CONFIG_NAME} yet: \`orch init\` writes one, with the commands that it can guess.`]
  const { agent, pipeline, setup, verify, approval } = asked.request
  const given = Object.entries({ agent, pipeline, setup, verify, approval }).filter(([, value]) => value !== null)
  const ignored =
    given.length === 0 ? '' : ` So ${given.map(([name]) => `--${name}`).join(', ')} changed nothing: edit the file.`
  return [`${CONFIG_NAME} is there already and was left as it is.${ignored}`]
}

/** Said from the address alone: who only registers a clone wants nobody called, and nothing shown to others. */
function forgeNote({ repositoryAt }: OnboardDeps, project: Project): string[] {
  const at = project.tracker || project.forge ? null : repositoryAt(project.remote)
  if (!at) return []
  return [
    `Its origin is ${at.ref} at ${at.driver}, and nothing is shown there: \`orch project add ${project.path} --tracker ${at.driver} --forge ${at.driver}\` makes tasks of its issues and pull requests of the changes.`,
  ]
}

/** For editors alone: where it can't be written, the configuration is as good without. */
async function writeSchema(deps: OnboardDeps, root: string): Promise<void> {
  const folder = join(root, '.orch')
  try {
    await mkdir(folder, { recursive: true })
    // A repository's link would lead the file out of the clone.
    if (!lstatSync(folder).isDirectory()) return
    await writeNew(join(folder, 'schema.json'), `${JSON.stringify(deps.config.schema('config'), null, 2)}\n`)
  } catch {
    // `.orch` may be a file, or the folder read-only.
  }
}

/** Also true for a folder, a broken link or anything else of that name: none of them is ours to replace. */
function hasConfig(root: string): boolean {
  return lstatSync(join(root, CONFIG_NAME), { throwIfNoEntry: false }) !== undefined
}

/** Writes a whole file or nothing, and never over another; false when one came to be meanwhile. */
async function writeNew(path: string, text: string): Promise<boolean> {
  const draft = `${path}.${randomUUID()}.tmp`
  try {
    await writeFile(draft, text, { flag: 'wx' })
    await link(draft, path)
    return true
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'EEXIST') return false
    // Some file systems have no links; a plain exclusive create still never replaces anything.
    if (code === 'EPERM' || code === 'ENOTSUP' || code === 'EOPNOTSUPP') {
      await writeFile(path, text, { flag: 'wx' })
      return true
    }
    throw error
  } finally {
    await rm(draft, { force: true })
  }
}

async function add(
  deps: OnboardDeps,
  asked: { id: string; found: Found; remotes: ProjectRemotes; undo: boolean },
): Promise<Project> {
  const { id, found, remotes, undo } = asked
  const { root, remote } = found
  const project: Project = { id, name: basename(root), path: root, remote, createdAt: deps.now(), ...remotes }
  try {
    if ((await deps.store.addProject(project)) === 'added') return project
  } catch (error) {
    if (undo) await rm(join(found.root, CONFIG_NAME), { force: true })
    throw error
  }
  // Someone registered it at the same moment.
  const other = deps.store.listProjects().find((known) => known.id === id)
  if (other?.path === found.root) return other
  if (undo) await rm(join(found.root, CONFIG_NAME), { force: true })
  throw prefixTaken(id, other?.path ?? 'another project')
}

/** Larger manifests aren't read: none that is written by hand is. */
const MANIFEST_MAX_BYTES = 1 << 20

function rootFiles(root: string): RootFiles {
  return {
    list: readdirSync(root),
    read(name) {
      const path = join(root, name)
      const stat = lstatSync(path, { throwIfNoEntry: false })
      return stat?.isFile() && stat.size <= MANIFEST_MAX_BYTES ? readFileSync(path, 'utf8') : null
    },
  }
}
