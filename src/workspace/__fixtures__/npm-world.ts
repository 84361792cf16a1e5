// A world whose repository has dependencies, and an `npm` that installs them without a network: it says when it ran.

import { chmod, mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { probeSandbox } from '../sandbox.ts'
import { makeWorkspaces } from '../workspaces.ts'
import type { SandboxMeans, SetupUse, VerifyRequest, Workspace } from '../workspace.ts'
import { commit, makeWorld, sh, type World } from './world.ts'

/** Leaves a stamp of its own run in the tree and in its cache. */
const NPM = `#!/bin/sh
mkdir -p node_modules/dep node_modules/.bin "$npm_config_cache/_logs" || exit 1
echo "const good = true" > node_modules/dep/index.js
printf '#!/bin/sh\\ntest ! -e poison\\n' > node_modules/.bin/check
chmod +x node_modules/.bin/check
ln -sf ../dep/index.js node_modules/.bin/dep
date +%s%N-$$ > node_modules/stamp
cp node_modules/stamp "$npm_config_cache/stamp"
echo "ran in $PWD" > "$npm_config_cache/_logs/log"
test -z "$NPM_MORE" || sh -c "$NPM_MORE"
`

export async function makeNpmWorld(kind: SandboxMeans['kind'] = 'none'): Promise<World> {
  const world = await makeWorld(kind)
  const bin = path.join(world.folder, 'bin')
  await mkdir(bin)
  await writeFile(path.join(bin, 'npm'), NPM)
  await chmod(path.join(bin, 'npm'), 0o755)
  world.env['PATH'] = `${bin}:${world.env['PATH']}`
  world.sandbox = await probeSandbox(world.env, { prefer: kind })
  world.workspaces = makeWorkspaces({ home: world.home, env: world.env, sandbox: world.sandbox })
  world.base = await push(world, {
    'package.json': '{"name":"shop"}\n',
    'package-lock.json': '{}\n',
    'src/a.js': '1\n',
  })
  return world
}

async function write(world: World, files: Record<string, string>): Promise<void> {
  for (const [file, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(world.clone, file)), { recursive: true })
    await writeFile(path.join(world.clone, file), text)
  }
}

/** Commits files on main and pushes them. */
export async function push(world: World, files: Record<string, string>): Promise<string> {
  await write(world, files)
  const sha = await commit(world.env, world.clone, 'on main')
  await sh(world.env, world.clone, 'git', 'push', '-q', 'origin', 'HEAD:main')
  await world.mirror.fetchBase(null)
  return sha
}

/** A task's commit on top of the base, in the mirror only; the clone stays on main. */
export async function taskCommit(world: World, files: Record<string, string>): Promise<string> {
  await sh(world.env, world.clone, 'git', 'checkout', '-q', '--detach', world.base)
  await write(world, files)
  const sha = await commit(world.env, world.clone, 'a change')
  await sh(world.env, world.clone, 'git', 'push', '-q', world.mirror.path, `${sha}:refs/orch/test/${sha}`)
  await sh(world.env, world.clone, 'git', 'checkout', '-q', 'main')
  return sha
}

export interface Verified {
  setup: SetupUse
  /** Output of each command. */
  said: (string | undefined)[]
}

/** Verifies a commit; the first command says when npm ran, in the tree and by its cache. */
export async function verified(
  world: World,
  sha: string,
  more: Partial<VerifyRequest> & { run?: string[] } = {},
): Promise<Verified> {
  const { run = [], ...request } = more
  const commands = ['cat node_modules/stamp "$npm_config_cache/stamp" | sort -u', ...run]
  const { setup, commands: evidence } = await world.workspaces.verify(world.mirror, {
    sha,
    setup: ['npm ci'],
    verify: commands.map((command) => ({ run: command, timeoutSeconds: 30, cwd: '.', paths: [] })),
    changedPaths: null,
    env: { pass: [], set: {} },
    network: true,
    setupTimeoutMs: 30_000,
    outputCapBytes: 1 << 20,
    ...request,
  })
  return { setup, said: evidence.map((one) => one.output) }
}

/** Sets a workspace up as a run does. */
export function setUp(world: World, workspace: Workspace, sha: string, commands = ['npm ci']): Promise<SetupUse> {
  const request = { sha, commands, env: { pass: [], set: {} }, network: true, timeoutMs: 30_000 }
  return world.workspaces.setup(world.mirror, workspace, request)
}
