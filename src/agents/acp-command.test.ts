// How an ACP agent is found and called: the words of its command, and what is lent to it.

import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { makeAcpAdapter } from './acp.ts'
import type { AgentRequest } from './agent.ts'
import { claudeAdapter } from './claude.ts'

const root = realpathSync(mkdtempSync(join(tmpdir(), 'orch-acp-')))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const adapter = makeAcpAdapter([process.execPath, '/orch/acp-agent.js'], [claudeAdapter])
const goose = join(root, 'bin/goose')
mkdirSync(dirname(goose))
writeFileSync(goose, '#!/bin/sh\n', { mode: 0o755 })
const request = (command: string, env: Record<string, string> = {}): AgentRequest => ({
  program: { command },
  path: goose,
  model: null,
  effort: null,
  resume: null,
  configDir: '/orch/config',
  sandboxed: false,
  env,
})

test('an agent without an adapter gets a home of its own, the keys of models and its own variables; no other', () => {
  const env = {
    OPENAI_API_KEY: 'o',
    GOOSE_PROVIDER: 'openai',
    GITHUB_TOKEN: 'g',
    SECRET: 's',
    MY_TOKEN: 't',
    HOME: '/home/ann',
  }
  const command = adapter.command(request('X=$MY_TOKEN goose acp $GITHUB_TOKEN $HOME', env))
  expect(command.env).toEqual({
    HOME: '/orch/config/home',
    XDG_CONFIG_HOME: '/orch/config/home/.config',
    XDG_DATA_HOME: '/orch/config/home/.local/share',
    XDG_STATE_HOME: '/orch/config/home/.local/state',
    OPENAI_API_KEY: 'o',
    GOOSE_PROVIDER: 'openai',
    MY_TOKEN: 't',
  })
  expect(command.args.slice(1)).toEqual([
    '--',
    '/bin/sh',
    '-c',
    `exec env X=$MY_TOKEN ${goose} acp $GITHUB_TOKEN $HOME`,
  ])
})

test.each(['npm exec goose', 'uv run goose', 'gh-agent acp', 'aws acp', 'node-agent', 'docker run goose'])(
  "the variables of a runner, a registry, a forge or a cloud are no agent's own: %s",
  (command) => {
    const names = [
      'NPM_TOKEN',
      'UV_PUBLISH_TOKEN',
      'GH_HOST',
      'AWS_SECRET_ACCESS_KEY',
      'NODE_AUTH_TOKEN',
      'DOCKER_HOST',
    ]
    const { env } = adapter.command(request(command, Object.fromEntries(names.map((name) => [name, 'x']))))
    expect(Object.keys(env).filter((name) => names.includes(name))).toEqual([])
  },
)

test('a command of several words of the shell is left as it is', () => {
  expect(adapter.command(request('cd sub && goose acp')).args.at(-1)).toContain('cd sub')
  expect(adapter.command(request('cd sub && goose acp')).args.at(-1)).not.toMatch(/^exec/)
  expect(adapter.command(request('goose acp | tee log')).args.at(-1)).toBe(`${goose} acp | tee log`)
})

test.each(['claude-agent-acp', 'npx -y @zed-industries/claude-code-acp@1.2.3', '/opt/bin/claude-agent-acp --x'])(
  'an agent with an adapter gets what that one would give it: %s',
  (words) => {
    const { env, credentials } = adapter.command(
      request(words, { ANTHROPIC_API_KEY: 'a', OPENAI_API_KEY: 'o', HOME: '/home/ann' }),
    )
    expect(env).toMatchObject({ ANTHROPIC_API_KEY: 'a', CLAUDE_CONFIG_DIR: '/orch/config' })
    expect(env).not.toHaveProperty('OPENAI_API_KEY')
    expect(credentials).toEqual([{ from: '/home/ann/.claude/.credentials.json', to: '.credentials.json' }])
  },
)

test('it may read its program with the packages beside it, and the paths that the command names', () => {
  const modules = join(root, 'lib/node_modules')
  const launcher = join(modules, 'an-agent/bin/an-agent')
  mkdirSync(dirname(launcher), { recursive: true })
  writeFileSync(launcher, '#!/bin/sh\n', { mode: 0o755 })
  const named = join(root, 'settings.json')
  writeFileSync(named, '{}')
  const { reads } = adapter.command({ ...request(`an-agent --config=${named} /no/such/path`), path: launcher })
  expect(reads).toEqual(expect.arrayContaining([modules, named, realpathSync(process.execPath)]))
  expect(reads).not.toContain('/no/such/path')
})

test('it is found by the first word of the command, also in the usual places; what it can not tell is unknown', async () => {
  const home = join(root, 'ann')
  mkdirSync(join(home, '.local/bin'), { recursive: true })
  writeFileSync(join(home, '.local/bin/some-agent'), `#!/bin/sh\necho ran >> ${root}/ran\n`, { mode: 0o755 })
  const env = { HOME: home, PATH: '/usr/bin:/bin' }
  expect(await adapter.find({ command: 'MODE=x some-agent acp' }, env)).toMatchObject({
    path: join(home, '.local/bin/some-agent'),
    version: null,
    loggedIn: 'unknown',
    note: 'runs: MODE=x some-agent acp',
  })
  expect(await adapter.find({ command: 'no-such-agent acp' }, env)).toBeNull()
  expect(await adapter.find({}, env)).toBeNull()
  expect(await adapter.find({ command: 'cd agent && ./run' }, env)).toMatchObject({ version: null })
  expect(await adapter.find({ bin: '~/.local/bin/some-agent' }, env)).toMatchObject({ version: null })
  // Who knows what it does when it is asked for its version.
  expect(existsSync(join(root, 'ran'))).toBe(false)
})

test('one with an adapter of its own is asked for its version, a bridge to it is not', async () => {
  const folder = join(root, 'programs')
  mkdirSync(folder)
  for (const name of ['claude', 'claude-agent-acp'])
    writeFileSync(join(folder, name), `#!/bin/sh\necho ${name} 2.3.4\n`, { mode: 0o755 })
  const env = { HOME: root, PATH: `${folder}:/usr/bin:/bin`, ANTHROPIC_API_KEY: 'a' }
  expect(await adapter.find({ command: 'claude acp' }, env)).toMatchObject({ version: '2.3.4', loggedIn: 'yes' })
  const bridge = await adapter.find({ bin: 'claude-agent-acp' }, env)
  expect(bridge).toMatchObject({ path: join(folder, 'claude-agent-acp'), version: null, loggedIn: 'yes' })
})

test('a login that nobody was lent can still be taken back', () => {
  expect(() => adapter.command({ ...request('claude-agent-acp'), path: '' })).not.toThrow()
})
