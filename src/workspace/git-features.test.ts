import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { tryGit } from './git-features.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'orch-features-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
})

/** The machine's git, behind a script that does something else for one of its commands. */
function gitBut(command: string, instead: string): NodeJS.ProcessEnv {
  const bin = join(dir, 'bin')
  mkdirSync(bin)
  writeFileSync(
    join(bin, 'git'),
    `#!/bin/sh\nfor word; do [ "$word" = ${command} ] && { ${instead}; }; done\nPATH="\${PATH#*:}" exec git "$@"\n`,
  )
  chmodSync(join(bin, 'git'), 0o755)
  return { PATH: `${bin}:${process.env['PATH']}`, HOME: dir }
}

test('the git of this machine does all of it, and nothing is left behind', async () => {
  const before = process.env['TMPDIR']
  process.env['TMPDIR'] = dir
  try {
    const { tried, problem } = await tryGit({ PATH: process.env['PATH'], HOME: dir })
    expect(problem).toBeNull()
    expect(tried).toHaveLength(5)
    expect(readdirSync(dir)).toEqual([])
  } finally {
    if (before === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = before
  }
})

test.each([
  ['merge-tree', 'echo "usage: git merge-tree <base-tree> <branch1> <branch2>" >&2; exit 129', 'merge without'],
  ['push', 'echo "unknown option: force-with-lease" >&2; exit 129', 'push with a lease'],
  ['fetch', 'echo "error: unknown option \\`no-write-fetch-head" >&2; exit 129', 'fetch a branch'],
])('a git whose %s can’t do it is told by what was tried', async (command, instead, what) => {
  const { problem } = await tryGit(gitBut(command, instead))
  expect(problem).toContain(what)
})

test('no git at all is told, not thrown', async () => {
  expect(await tryGit({ PATH: '/nowhere', HOME: dir })).toEqual({
    tried: [],
    problem: expect.stringContaining('scratch repository'),
  })
})
