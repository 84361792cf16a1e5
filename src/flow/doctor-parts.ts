// What the doctor is handed, and how a check is told.

import type { AgentAdapter } from '../agents/agent.ts'
import type { Config, ConfigFile, ProjectFiles } from '../config/config.ts'
import { messageOf } from '../lib/errors.ts'
import type { Project } from '../store/store.ts'
import type { Mirror, RepositoryFacts, SandboxMeans } from '../workspace/workspace.ts'
import type { Check, Reader } from './app.ts'
import type { Capabilities, Remotes } from './capabilities.ts'
import type { Engine } from './engine.ts'

/** Something the doctor needs and that may be what is broken. */
export type Opened<T> = { ok: true; value: T } | { ok: false; text: string }

export interface DoctorDeps {
  home: string
  env: NodeJS.ProcessEnv
  /** Version of Orch and of Node. */
  version: string
  nodeVersion: string
  facts: RepositoryFacts
  sandbox: Opened<SandboxMeans>
  books: Opened<Books>
  now: () => number
  adapters: Record<string, AgentAdapter>
  config: Config
  userConfig: () => ConfigFile | null
  cloneFiles: (project: Project) => Promise<ProjectFiles>
  mirror: (project: Project) => Promise<Mirror>
  /** Of vendors: asked only where a project has one. */
  remotes: Remotes
  diskUse: () => Promise<{ path: string; bytes: number }[]>
  /** The service's own lock: while the doctor mends, no service begins. Null while one runs. */
  lock: () => { release(): void } | null
}

/** What is on the books, and by what they and the world are put right. */
export interface Books {
  reader: Pick<Reader, 'projectAt' | 'projects' | 'service'>
  store: Capabilities['store']
  runner: Pick<Capabilities['runner'], 'survey' | 'stopStrays' | 'state'>
  workspaces: Pick<Capabilities['workspaces'], 'list' | 'remove' | 'discard' | 'findReadCopy'>
  engine: Engine
  /** Ends a run that nobody follows: its tree, and its row in the books. */
  stopRun: (runId: string) => Promise<void>
  /** Gives back what the agents of a task were lent, then removes the copies; also for a task that nobody knows. */
  removeLogins: (task: string) => Promise<void>
}

/** A check, and how what it found is mended, where that is safe. */
export interface Finding {
  check: Check
  mend?: Mend
}

export interface Mend {
  /** Only while no service runs: it would be at the same things. */
  alone: boolean
  /** May be called again. What it could not do is told, not thrown. */
  run(): Promise<Mended>
}

export interface Mended {
  fixed: string[]
  notFixed: string[]
}

/** Shorthands for a check's three ends. */
export function reporter(
  profile: Check['profile'],
): Record<'ok', (name: string, text: string) => Check> &
  Record<'warning' | 'failed', (name: string, text: string, fix: string) => Check> {
  return {
    ok: (name, text) => ({ name, profile, status: 'ok', text, fix: null }),
    warning: (name, text, fix) => ({ name, profile, status: 'warning', text, fix }),
    failed: (name, text, fix) => ({ name, profile, status: 'failed', text, fix }),
  }
}

/** More names help nobody to see what is wrong. */
const MOST_NAMES = 5

/** `a, b, c`, with how many more there are. */
export function named(names: readonly string[]): string {
  const more = names.length - MOST_NAMES
  return `${names.slice(0, MOST_NAMES).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

export function count(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`
}

/** Mends one thing after another; one that fails holds up none of the others. `work` gives what it did, or null for nothing. */
export async function mendEach<T>(
  things: readonly T[],
  how: { name: (thing: T) => string; work: (thing: T) => Promise<string | null> },
): Promise<Mended> {
  const mended: Mended = { fixed: [], notFixed: [] }
  for (const thing of things) {
    try {
      const done = await how.work(thing)
      if (done !== null) mended.fixed.push(done)
    } catch (error) {
      mended.notFixed.push(`${how.name(thing)}: ${messageOf(error)}`)
    }
  }
  return mended
}
