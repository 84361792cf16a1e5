// A small repository to try Orch on: a real bare remote, a clone of it, a real test suite. Used by `orch demo` and by tests.

import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ExternalError } from '../lib/errors.ts'
import { runProcess } from '../lib/process.ts'

export interface Sample {
  clone: string
  remote: string
}

const FILES: Record<string, string> = {
  'README.md': '# Shop\n\nA till for a small shop. `node --test` runs the tests.\n',
  'package.json': `${JSON.stringify({ name: 'shop', version: '1.0.0', type: 'module', private: true, scripts: { test: 'node --test' } }, null, 2)}\n`,
  'src/total.js':
    '/** Sum of an order in cents. */\nexport function total(items) {\n  return items.reduce((sum, item) => sum + item.cents * item.count, 0)\n}\n',
  'test/total.test.js':
    "import assert from 'node:assert/strict'\nimport test from 'node:test'\nimport { total } from '../src/total.js'\n\ntest('an empty order costs nothing', () => assert.equal(total([]), 0))\ntest('counts are multiplied', () => assert.equal(total([{ cents: 250, count: 2 }]), 500))\n",
}

/** Makes `shop.git` (bare) and `shop` (its clone) in a folder. Throws ExternalError when git can't. Not to be called twice on one folder. */
export async function makeSample(dir: string, env: NodeJS.ProcessEnv): Promise<Sample> {
  const clone = join(dir, 'shop')
  const remote = join(dir, 'shop.git')
  await mkdir(clone, { recursive: true })
  const git = async (cwd: string, ...args: string[]): Promise<void> => {
    const result = await runProcess({ argv: ['git', ...args], cwd, env: gitEnv(env), timeoutMs: 30_000 })
    if (result.exitCode === 0) return
    throw new ExternalError({
      system: 'git',
      kind: 'rejected',
      message: `making the sample repository: git ${args[0]} in ${cwd}: ${result.stderr.trim()}`,
    })
  }
  await git(dir, 'init', '--quiet', '--bare', '--initial-branch=main', remote)
  await git(dir, 'init', '--quiet', '--initial-branch=main', clone)
  await git(clone, 'config', 'user.name', 'Ann Example')
  await git(clone, 'config', 'user.email', 'ann@example.com')
  await git(clone, 'config', 'commit.gpgsign', 'false')
  for (const [path, text] of Object.entries(FILES)) {
    await mkdir(dirname(join(clone, path)), { recursive: true })
    await writeFile(join(clone, path), text)
  }
  await git(clone, 'add', '.')
  await git(clone, 'commit', '--quiet', '-m', 'A till that adds up')
  await git(clone, 'remote', 'add', 'origin', remote)
  await git(clone, 'push', '--quiet', '--set-upstream', 'origin', 'main')
  await git(clone, 'remote', 'set-head', 'origin', 'main')
  return { clone, remote }
}

function gitEnv(env: NodeJS.ProcessEnv): Record<string, string> {
  const { PATH = '/usr/bin:/bin', HOME = '/' } = env
  return { PATH, HOME, LC_ALL: 'C', GIT_TERMINAL_PROMPT: '0', GIT_CONFIG_NOSYSTEM: '1' }
}

/** `git log` of the remote's main, newest first, for a person to read. */
export async function sampleLog(remote: string, env: NodeJS.ProcessEnv): Promise<string> {
  const argv = ['git', '-C', remote, 'log', '--graph', '--format=%h %an  %s', '-30', 'main'] as const
  const result = await runProcess({ argv, env: gitEnv(env), timeoutMs: 30_000 })
  return result.stdout.trimEnd()
}
