import { expect, test } from 'vitest'
import { makeEnvironment } from './environment.ts'

const user = {
  PATH: './node_modules/.bin::/usr/bin:relative:/orch/workspaces/X/tree/bin:/bin',
  HOME: '/home/ada',
  LANG: 'C.UTF-8',
  LC_TIME: 'de_DE',
  GITHUB_TOKEN: 'ghp_x',
  SSH_AUTH_SOCK: '/tmp/agent',
  AWS_SECRET_ACCESS_KEY: 'x',
  NPM_TOKEN: 'npm_x',
  npm_config_registry: 'https://registry.example.org/',
  PIP_INDEX_URL: 'https://ada:pw@pypi.example.org/simple',
  GIT_DIR: '/elsewhere',
}
const request = {
  user,
  home: '/orch',
  runtimeDir: '/orch/w/runtime',
  workspace: '/orch/w/tree',
  place: { pass: ['NPM_TOKEN'], set: {} },
  passSecrets: false,
}

test('only what is allowed comes through, and caches are redirected', () => {
  const env = makeEnvironment(request)
  expect(env).toMatchObject({
    HOME: '/orch/w/runtime/home',
    TMPDIR: '/orch/w/runtime/tmp',
    LANG: 'C.UTF-8',
    LC_TIME: 'de_DE',
    npm_config_registry: 'https://registry.example.org/',
    npm_config_cache: '/orch/w/runtime/cache/npm',
    npm_config_prefix: '/orch/w/runtime/data/npm',
    PIP_REQUIRE_VIRTUALENV: 'true',
    CARGO_HOME: '/orch/w/runtime/data/cargo',
  })
  for (const name of [
    'GITHUB_TOKEN',
    'SSH_AUTH_SOCK',
    'AWS_SECRET_ACCESS_KEY',
    'NPM_TOKEN',
    'PIP_INDEX_URL',
    'GIT_DIR',
  ])
    expect(env).not.toHaveProperty(name)
  expect(makeEnvironment({ ...request, passSecrets: true })['NPM_TOKEN']).toBe('npm_x')
})

test('PATH has no entry that is relative or below ORCH_HOME, and own prefixes come last', () => {
  expect(makeEnvironment(request)['PATH']).toMatch(/^\/usr\/bin:\/bin:\/orch\/w\/runtime\/data\/npm\/bin:/)
})

test('placeholders are filled, and an empty value erases nothing', () => {
  const set = {
    CACHE: '{cache_dir}/x',
    BOTH: '{repo_dir}|{runtime_dir}|{data_dir}|{tmp_dir}|{other}',
    PIP_REQUIRE_VIRTUALENV: '',
    EMPTY: '',
    TMPDIR: '{tmp_dir}/deep',
  }
  expect(makeEnvironment({ ...request, place: { pass: [], set } })).toMatchObject({
    CACHE: '/orch/w/runtime/cache/x',
    BOTH: '/orch/w/tree|/orch/w/runtime|/orch/w/runtime/data|/orch/w/runtime/tmp|{other}',
    PIP_REQUIRE_VIRTUALENV: 'true',
    EMPTY: '',
    TMPDIR: '/orch/w/runtime/tmp/deep',
  })
})
