// What the engine's git does not do, whatever a repository or its user's environment says.

import { chmod, mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { absolutePath, isolatedGitEnv, remoteGitEnv, runGit, withoutCredentials } from './git.ts'
import { commit, sh, temporaryFolder, userEnv } from './__fixtures__/world.ts'

async function repository(): Promise<{ folder: string; env: Record<string, string>; first: string; second: string }> {
  const folder = await temporaryFolder()
  const env = userEnv(folder)
  await sh(env, folder, 'git', 'init', '-q', '-b', 'main', '.')
  const first = await commit(env, folder, 'first')
  return { folder, env, first, second: await commit(env, folder, 'second') }
}

test('S15: hooks of a repository do not run, wherever it keeps them', async () => {
  const { folder, env } = await repository()
  const hooks = path.join(folder, 'hooks')
  await mkdir(hooks)
  for (const name of ['pre-commit', 'post-checkout', 'reference-transaction']) {
    await writeFile(path.join(hooks, name), `#!/bin/sh\ntouch ${path.join(folder, 'ran')}\n`)
    await chmod(path.join(hooks, name), 0o755)
  }
  await sh(env, folder, 'git', 'config', 'core.hooksPath', hooks)
  const author = { GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a', GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a' }
  const own = { ...isolatedGitEnv(env), ...author }
  for (const args of [
    ['commit', '-q', '--allow-empty', '-m', 'x'],
    ['checkout', '-q', '--detach'],
    ['update-ref', 'refs/x', 'HEAD'],
  ])
    expect(await runGit({ args, cwd: folder, env: own })).toMatchObject({ exitCode: 0 })
  const { stdout } = await runGit({ args: ['status', '--porcelain'], cwd: folder, env: own })
  expect(stdout).toBe('?? hooks/\n')
})

test('S5: an object is what its name says, whatever a repository replaces it by', async () => {
  const { folder, env, first, second } = await repository()
  await sh(env, folder, 'git', 'replace', second, first)
  const show = { args: ['show', '-s', '--format=%s', second], cwd: folder }
  expect(await sh(env, folder, 'git', ...(show.args as ['show']))).toBe('first')
  expect((await runGit({ ...show, env: isolatedGitEnv(env) })).stdout.trim()).toBe('second')
})

test('L2: git never asks anybody, and obeys no variable that points it elsewhere', () => {
  const env = remoteGitEnv(
    { GIT_DIR: '/elsewhere', GIT_TERMINAL_PROMPT: '1', GIT_TRACE: '/tmp/trace', HOME: '/home/ann' },
    [['http.extraHeader', 'x']],
    { sshChosen: false },
  )
  expect(env).toMatchObject({ GIT_TERMINAL_PROMPT: '0', HOME: '/home/ann', GIT_SSH_COMMAND: 'ssh -oBatchMode=yes' })
  expect(env).toMatchObject({ GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'http.extraHeader' })
  expect(Object.keys(env)).not.toContain('GIT_DIR')
  expect(Object.keys(env)).not.toContain('GIT_TRACE')
})

test('S14: no address is told with the credentials in it', () => {
  const said = 'could not fetch https://ann:s3cret@example.com/a.git, nor ssh://token@example.com/b'
  expect(withoutCredentials(said)).toBe('could not fetch https://example.com/a.git, nor ssh://example.com/b')
})

test('S15: programs are found in no folder that depends on where one stands', () => {
  expect(absolutePath('.:bin:/usr/bin::/bin:/usr/bin')).toBe('/usr/bin:/bin')
  expect(absolutePath('bin')).toBe('/usr/local/bin:/usr/bin:/bin')
})
