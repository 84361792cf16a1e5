// Git as far as Orch sees it: commits over trees of paths, three-way merges, and a remote whose refs move by compare-and-swap.

import { createHash } from 'node:crypto'
import type { CommitInfo, DiffFile } from '../../src/workspace/workspace.ts'

export type Tree = Readonly<Record<string, string>>

export interface Commit {
  sha: string
  tree: string
  files: Tree
  parents: string[]
  message: string
  /** The task whose work it is, as the simulation knows it; null for people's. */
  task: string | null
  depth: number
}

export interface Objects {
  commit(made: { files: Tree; parents: string[]; message: string; task: string | null }): Commit
  get(sha: string): Commit
  treeOf(id: string): Tree
  isAncestor(ancestor: string, descendant: string): boolean
  mergeBase(a: string, b: string): string | null
  merge(ours: string, theirs: string): { ok: true; tree: string } | { ok: false; files: string[] }
  between(base: string, head: string): CommitInfo[]
  /** What a branch itself was since `base`: first parents alone, its tip last. */
  mainline(base: string, tip: string): string[]
  diff(base: string, head: string): DiffFile[]
}

const hash = (text: string): string => createHash('sha1').update(text).digest('hex')

/** All commits there are, wherever they are: who may see which is not what is simulated. */
export function makeObjects(): Objects {
  const commits = new Map<string, Commit>()
  const trees = new Map<string, Tree>()
  const known = new Map<string, Set<string>>()

  function write(files: Tree): string {
    const entries = Object.entries(files).toSorted(([a], [b]) => (a < b ? -1 : 1))
    const id = hash(JSON.stringify(entries))
    if (!trees.has(id)) trees.set(id, Object.fromEntries(entries))
    return id
  }

  function get(sha: string): Commit {
    const found = commits.get(sha)
    if (!found) throw new Error(`there is no commit ${sha}`)
    return found
  }

  function ancestors(sha: string): Set<string> {
    let found = known.get(sha)
    if (!found) {
      found = new Set([sha])
      for (const parent of get(sha).parents) for (const one of ancestors(parent)) found.add(one)
      known.set(sha, found)
    }
    return found
  }

  function mergeBase(a: string, b: string): string | null {
    const [ofA, ofB] = [ancestors(a), ancestors(b)]
    let best: Commit | null = null
    for (const sha of ofA) {
      const commit = get(sha)
      if (ofB.has(sha) && (!best || commit.depth > best.depth)) best = commit
    }
    return best?.sha ?? null
  }

  return {
    get,
    treeOf: (id) => trees.get(id) ?? {},
    mergeBase,
    isAncestor: (ancestor, descendant) => ancestors(descendant).has(ancestor),
    commit({ files, parents, message, task }) {
      const tree = write(files)
      const sha = hash(JSON.stringify([tree, parents, message, commits.size]))
      const depth = 1 + Math.max(0, ...parents.map((parent) => get(parent).depth))
      const commit = { sha, tree, files: trees.get(tree) ?? {}, parents, message, task, depth }
      commits.set(sha, commit)
      return commit
    },
    merge(ours, theirs) {
      const base = mergeBase(ours, theirs)
      const { files, conflicts } = mergeFiles({
        before: base ? get(base).files : {},
        ours: get(ours).files,
        theirs: get(theirs).files,
      })
      return conflicts.length > 0 ? { ok: false, files: conflicts } : { ok: true, tree: write(files) }
    },
    between: (base, head) => {
      const old = ancestors(base)
      const fresh = [...ancestors(head)].filter((sha) => !old.has(sha)).map(get)
      return fresh.toSorted((a, b) => a.depth - b.depth).map(infoOf)
    },
    mainline: (base, tip) => {
      const old = ancestors(base)
      const line: string[] = []
      for (let sha: string | undefined = tip; sha !== undefined && !old.has(sha); sha = get(sha).parents[0])
        line.unshift(sha)
      return line
    },
    diff: (base, head) => diffFiles(get(base).files, get(head).files),
  }
}

function infoOf({ sha, message }: Commit): CommitInfo {
  return { sha, message, subject: message, authorName: 'agent', authorEmail: 'agent@example.org' }
}

/** Three ways: where only one side changed a path, that side has it. */
function mergeFiles({ before, ours, theirs }: Record<'before' | 'ours' | 'theirs', Tree>): {
  files: Tree
  conflicts: string[]
} {
  const files: Record<string, string> = {}
  const conflicts: string[] = []
  for (const path of new Set([before, ours, theirs].flatMap(Object.keys))) {
    const isTheirs = ours[path] === before[path]
    if (!isTheirs && theirs[path] !== before[path] && ours[path] !== theirs[path]) conflicts.push(path)
    const value = isTheirs ? theirs[path] : ours[path]
    if (value !== undefined) files[path] = value
  }
  return { files, conflicts }
}

function diffFiles(a: Tree, b: Tree): DiffFile[] {
  return [...new Set([a, b].flatMap(Object.keys))]
    .filter((path) => a[path] !== b[path])
    .map((path) => ({
      path,
      status: a[path] === undefined ? 'added' : b[path] === undefined ? 'deleted' : 'modified',
      addedLines: 1,
      deletedLines: 1,
      binary: false,
    }))
}

export interface Move {
  branch: string
  from: string | null
  to: string | null
  by: 'orch' | 'outside'
}

/** One repository's remote. What it holds outlives every crash. */
export interface Remote {
  project: string
  base: string
  refs: Map<string, string>
  moves: Move[]
  /** It refuses pushes to the base. */
  isProtected: boolean
  isReachable: boolean
  /** Called after a branch moved. */
  moved: (branch: string) => void
}

export function makeRemote(objects: Objects, project: string, files: Tree): Remote {
  const first = objects.commit({ files, parents: [], message: 'first', task: null })
  const refs = new Map([['main', first.sha]])
  return { project, base: 'main', refs, moves: [], isProtected: false, isReachable: true, moved: () => undefined }
}

export function move(remote: Remote, step: Omit<Move, 'from'>): void {
  const from = remote.refs.get(step.branch) ?? null
  if (step.to === null) remote.refs.delete(step.branch)
  else remote.refs.set(step.branch, step.to)
  remote.moves.push({ ...step, from })
  remote.moved(step.branch)
}
