// What the parts of the workspace folder share, and where things lie below ORCH_HOME.

import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { ExternalError } from '../lib/errors.ts'
import type { GitDirFacts } from './git-dir.ts'
import { isInside, isRealDirectory, safeName } from './places.ts'
import { coneOf } from './sparse.ts'
import type { Identity, Mirror, Sandbox } from './workspace.ts'

export interface Context {
  /** ORCH_HOME, links resolved. */
  home: string
  /** The user's environment. */
  env: NodeJS.ProcessEnv
  /** Hides ORCH_HOME besides what it was asked to hide. */
  sandbox: Sandbox
  /** Read-only places every sandboxed command may see besides the system. */
  readPaths: string[]
  /** What this process does just now. */
  work: {
    /** Places being made for somebody who waits. */
    places: number
    /** Pristine products being made, by their folder. */
    making: Map<string, Promise<unknown>>
  }
}

export interface TaskPlaces {
  folder: string
  tree: string
  runtime: string
  /** What the engine remembers of the workspace; no agent sees it. */
  memory: string
}

/** Where a task's workspace lies. Throws ExternalError `rejected` for an id that is no folder name. */
export function taskPlaces(context: Context, task: string): TaskPlaces {
  const folder = path.join(context.home, 'workspaces', safeName(task, 'task id'))
  return {
    folder,
    tree: path.join(folder, 'tree'),
    runtime: path.join(folder, 'runtime'),
    memory: path.join(folder, 'workspace.json'),
  }
}

/** Makes a folder below ORCH_HOME and refuses one that was replaced by a link. */
export async function ensureFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  if (await isRealDirectory(folder)) return
  throw new ExternalError({
    system: 'workspace',
    kind: 'rejected',
    message: `${folder} is not a folder but a link; remove it and try again`,
  })
}

/** The engine's memory of a workspace: what git in it may not be asked about. */
export interface Memory {
  mirror: string
  /** Places hidden from everything that runs in it. */
  masked: string[]
  identity: Identity
  branch: string
  base: { branch: string; sha: string }
  /** Untracked files that setup made: never committed for an agent, never saved. */
  excludes: string[]
  /** What was already found planted after setup (a project's own hooks, say): not the agent's doing. */
  accepted: string[]
  /** Other branches as they were last seen. */
  branches: Record<string, string>
  /** The cone of a sparse checkout; empty for everything. */
  sparse: string[]
}

export async function readMemory(context: Context, file: string): Promise<Memory | null> {
  const text = await readFile(file, 'utf8').catch(() => null)
  if (text === null) return null
  try {
    // One written before there were sparse checkouts is of everything.
    const memory: Memory = { sparse: [], ...(JSON.parse(text) as Partial<Memory>) } as Memory
    return isInside(path.join(context.home, 'mirrors'), memory.mirror) ? memory : null
  } catch {
    return null
  }
}

export async function writeMemory(file: string, memory: Memory): Promise<void> {
  const draft = `${file}.${process.pid}.new`
  await writeFile(draft, JSON.stringify(memory, null, 2))
  await rename(draft, file)
}

export function gitDirFacts(memory: Memory): GitDirFacts {
  return {
    objects: path.join(memory.mirror, 'objects'),
    identity: memory.identity,
    excludes: memory.excludes,
    sparse: memory.sparse,
  }
}

export function firstMemory(
  mirror: Mirror,
  request: { branch: string; baseBranch: string; baseSha: string; sparse?: string[] },
): Memory {
  return {
    mirror: mirror.path,
    masked: mirror.masked,
    identity: mirror.identity,
    branch: request.branch,
    base: { branch: request.baseBranch, sha: request.baseSha },
    excludes: [],
    accepted: [],
    branches: {},
    sparse: coneOf(request.sparse ?? []),
  }
}
