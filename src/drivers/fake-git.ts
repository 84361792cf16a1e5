// Real git behind a played forge: a bare repository whose branches the forge shows and whose base it moves when it merges.
// The forge sees what was pushed as a real one does, and what it merges is there to be fetched.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface FakeGit {
  /** Branches that are gone, and those that moved or are new, since they were last seen so. */
  movedSince(known: ReadonlyMap<string, string>): { gone: string[]; moved: [string, string][] }
  /** Parents of each commit that a branch holds. */
  commits(): Map<string, string[]>
  /** Moves the base; null where they conflict. */
  merge(order: FakeMerge): string | null
  conflicts(base: string, head: string): boolean
  deleteBranch(name: string): void
}

export interface FakeMerge {
  /** Branch. */
  base: string
  /** Commit. */
  head: string
  method: 'merge' | 'squash' | 'rebase'
  title: string
  message: string
}

const WHO = { name: 'The Forge', email: 'forge@localhost' }

export function openFakeGit(bare: string): FakeGit {
  const git = (args: string[], cwd = bare): string =>
    execFileSync('git', args, {
      cwd,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        GIT_CONFIG_GLOBAL: '/dev/null',
        GIT_CONFIG_NOSYSTEM: '1',
        GIT_AUTHOR_NAME: WHO.name,
        GIT_AUTHOR_EMAIL: WHO.email,
        GIT_COMMITTER_NAME: WHO.name,
        GIT_COMMITTER_EMAIL: WHO.email,
      },
    }).trimEnd()
  const lines = (args: string[]): string[] => git(args).split('\n').filter(Boolean)
  const tipOf = (branch: string): string => git(['rev-parse', `refs/heads/${branch}`])
  const treeOf = (base: string, head: string): string | null => {
    try {
      return git(['merge-tree', '--write-tree', base, head]).split('\n', 1)[0] ?? null
    } catch {
      return null
    }
  }

  function commitOf({ base, head, method, title, message }: FakeMerge): string | null {
    const onto = tipOf(base)
    if (method === 'rebase') return rebased(onto, head)
    const tree = treeOf(onto, head)
    if (tree === null) return null
    const parents = method === 'squash' ? [onto] : [onto, head]
    const text = ['-m', title, ...(message === '' ? [] : ['-m', message])]
    return git(['commit-tree', tree, ...parents.flatMap((parent) => ['-p', parent]), ...text])
  }

  /** As forges do it: each commit anew, whether or not the base has moved. */
  function rebased(onto: string, head: string): string | null {
    const dir = mkdtempSync(join(tmpdir(), 'orch-fake-forge-'))
    try {
      git(['worktree', 'add', '--quiet', '--detach', dir, head])
      git(['rebase', '--quiet', '--no-ff', onto], dir)
      return git(['rev-parse', 'HEAD'], dir)
    } catch {
      return null
    } finally {
      rmSync(dir, { recursive: true, force: true })
      git(['worktree', 'prune'])
    }
  }

  return {
    movedSince: (known) => {
      const format = '--format=%(objectname) %(refname:lstrip=2)'
      const now = lines(['for-each-ref', format, 'refs/heads']).map((line): [string, string] => {
        const [sha = '', name = ''] = line.split(' ')
        return [name, sha]
      })
      const names = new Set(now.map(([name]) => name))
      return {
        gone: [...known.keys()].filter((name) => !names.has(name)),
        moved: now.filter(([name, sha]) => known.get(name) !== sha),
      }
    },
    commits: () =>
      new Map(
        lines(['rev-list', '--parents', '--branches']).map((line) => {
          const [sha = '', ...parents] = line.split(' ')
          return [sha, parents]
        }),
      ),
    merge: (order) => {
      const sha = commitOf(order)
      if (sha !== null) git(['update-ref', `refs/heads/${order.base}`, sha, tipOf(order.base)])
      return sha
    },
    conflicts: (base, head) => treeOf(base, head) === null,
    deleteBranch: (name) => void git(['update-ref', '-d', `refs/heads/${name}`]),
  }
}
