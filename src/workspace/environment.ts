// The environment of a run or a command: an allowlist of the user's, with every cache and prefix redirected.
// Invariant: no credential comes from here, except what the project names in `env.pass`, and that for setup alone.

import { existsSync, realpathSync, statSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { absolutePath } from './git.ts'
import { CERTIFICATE_VARIABLES } from './mounts.ts'
import { isInside, sha256 } from './places.ts'
import { findProgram } from './sandbox.ts'
import type { PlaceEnv, SandboxMeans } from './workspace.ts'

const ALLOWED = new Set<string>([
  'LANG',
  'LANGUAGE',
  'TERM',
  'COLORTERM',
  'TZ',
  'USER',
  'LOGNAME',
  'SHELL',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'ALL_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'all_proxy',
  ...CERTIFICATE_VARIABLES,
  // Where tools are, never who may use them.
  'JAVA_HOME',
  'GOROOT',
  'GRADLE_HOME',
  'MAVEN_HOME',
  'DOTNET_ROOT',
  'ANDROID_HOME',
  'ANDROID_SDK_ROOT',
  'CONDA_PREFIX',
  'SDKMAN_DIR',
  'NVM_DIR',
  'FNM_DIR',
  'ASDF_DIR',
  'PKG_CONFIG_PATH',
  'LD_LIBRARY_PATH',
  'NIX_PATH',
  'NIX_SSL_CERT_FILE',
  'PYENV_VERSION',
  'RUSTUP_TOOLCHAIN',
])

/** Addresses of package registries; one that carries a user or a token stays out. */
const ADDRESSES = [
  'npm_config_registry',
  'NPM_CONFIG_REGISTRY',
  'YARN_NPM_REGISTRY_SERVER',
  'PIP_INDEX_URL',
  'UV_INDEX_URL',
  'UV_DEFAULT_INDEX',
  'GOPROXY',
  'GONOSUMDB',
  'GOSUMDB',
]

/** Tool managers that find their tools by HOME, which is redirected: told where they really are. */
const TOOL_HOMES: readonly [string, string][] = [
  ['RUSTUP_HOME', '.rustup'],
  ['PYENV_ROOT', '.pyenv'],
  ['RBENV_ROOT', '.rbenv'],
  ['NODENV_ROOT', '.nodenv'],
  ['GOENV_ROOT', '.goenv'],
  ['VOLTA_HOME', '.volta'],
  ['ASDF_DATA_DIR', '.asdf'],
  ['MISE_DATA_DIR', '.local/share/mise'],
]

export interface EnvironmentRequest {
  user: NodeJS.ProcessEnv
  /** PATH entries below it are dropped: an agent could write there. */
  home: string
  runtimeDir: string
  workspace: string
  place: PlaceEnv
  passSecrets: boolean
}

/** Puts an environment together. Pure but for looking which tool folders exist. */
export function makeEnvironment(request: EnvironmentRequest): Record<string, string> {
  const { user, runtimeDir } = request
  const folders = runtimeFolders(runtimeDir)
  const result: Record<string, string> = {}
  for (const [name, value] of Object.entries(user)) {
    if (value && (ALLOWED.has(name) || name.startsWith('LC_'))) result[name] = value
  }
  for (const name of ADDRESSES) if (user[name] && !/\/\/[^/]*@/.test(user[name])) result[name] = user[name]
  for (const [name, folder] of TOOL_HOMES) {
    const place = user[name] || path.join(user['HOME'] || os.homedir(), folder)
    if (existsSync(place)) result[name] = place
  }
  Object.assign(result, redirections(folders), { PATH: pathOf(request, folders) })
  if (request.passSecrets) for (const name of request.place.pass) if (user[name]) result[name] = user[name]
  const values: Record<string, string> = {
    repo_dir: request.workspace,
    runtime_dir: runtimeDir,
    cache_dir: folders.cache,
    data_dir: folders.data,
    tmp_dir: folders.tmp,
  }
  for (const [name, value] of Object.entries(request.place.set)) {
    // An empty value never erases a default.
    if (value === '' && result[name] !== undefined) continue
    result[name] = value.replace(/\{(\w+)\}/g, (whole, key: string) => values[key] ?? whole)
  }
  return result
}

/** Makes the folders an environment points into. Idempotent. */
export async function ensureRuntimeFolders(runtimeDir: string): Promise<void> {
  for (const folder of Object.values(runtimeFolders(runtimeDir))) await mkdir(folder, { recursive: true, mode: 0o700 })
}

type Folders = ReturnType<typeof runtimeFolders>

function runtimeFolders(runtimeDir: string) {
  const at = (name: string): string => path.join(runtimeDir, name)
  return {
    home: at('home'),
    cache: at('cache'),
    config: at('config'),
    data: at('data'),
    state: at('state'),
    tmp: at('tmp'),
  }
}

function redirections({ home, cache, config, data, state, tmp }: Folders): Record<string, string> {
  return {
    HOME: home,
    TMPDIR: tmp,
    TMP: tmp,
    TEMP: tmp,
    XDG_CACHE_HOME: cache,
    XDG_CONFIG_HOME: config,
    XDG_DATA_HOME: data,
    XDG_STATE_HOME: state,
    XDG_RUNTIME_DIR: tmp,
    npm_config_cache: `${cache}/npm`,
    npm_config_prefix: `${data}/npm`,
    npm_config_update_notifier: 'false',
    npm_config_store_dir: `${cache}/pnpm-store`,
    PNPM_HOME: `${data}/pnpm`,
    BUN_INSTALL: `${data}/bun`,
    BUN_INSTALL_CACHE_DIR: `${cache}/bun`,
    DENO_DIR: `${cache}/deno`,
    YARN_CACHE_FOLDER: `${cache}/yarn`,
    YARN_GLOBAL_FOLDER: `${data}/yarn`,
    COREPACK_HOME: `${cache}/corepack`,
    PIP_CACHE_DIR: `${cache}/pip`,
    PIP_REQUIRE_VIRTUALENV: 'true',
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
    UV_CACHE_DIR: `${cache}/uv`,
    UV_TOOL_DIR: `${data}/uv-tools`,
    UV_PYTHON_INSTALL_DIR: `${data}/uv-python`,
    POETRY_CACHE_DIR: `${cache}/poetry`,
    POETRY_VIRTUALENVS_PATH: `${data}/poetry-envs`,
    PIPX_HOME: `${data}/pipx`,
    PIPX_BIN_DIR: `${data}/pipx/bin`,
    CARGO_HOME: `${data}/cargo`,
    GOPATH: `${data}/go`,
    GOMODCACHE: `${cache}/go-mod`,
    GOCACHE: `${cache}/go-build`,
    GEM_SPEC_CACHE: `${cache}/gem`,
    BUNDLE_USER_HOME: `${data}/bundle`,
    GRADLE_USER_HOME: `${data}/gradle`,
    COMPOSER_HOME: `${data}/composer`,
    COMPOSER_CACHE_DIR: `${cache}/composer`,
    NUGET_PACKAGES: `${cache}/nuget`,
    GIT_TERMINAL_PROMPT: '0',
    GIT_PAGER: 'cat',
    PAGER: 'cat',
  }
}

/** The user's PATH without relative entries or places an agent writes; prefixes come last, so that nothing there shadows a tool. */
function pathOf(request: EnvironmentRequest, { data, home }: Folders): string {
  const users = absolutePath(request.user['PATH'])
    .split(':')
    .filter((entry) => !isInside(request.home, path.resolve(entry)))
  const own = ['npm/bin', 'pnpm', 'bun/bin', 'cargo/bin', 'go/bin', 'pipx/bin'].map((folder) => path.join(data, folder))
  return [...users, ...own, path.join(home, '.local/bin')].join(':')
}

/** Tools whose version may change what a verification says. */
const TOOLS = [
  'git',
  'sh',
  'bash',
  'make',
  'cmake',
  'gcc',
  'g++',
  'clang',
  'node',
  'npm',
  'npx',
  'pnpm',
  'yarn',
  'bun',
  'deno',
  'python',
  'python3',
  'pip',
  'uv',
  'poetry',
  'cargo',
  'rustc',
  'rustup',
  'go',
  'java',
  'javac',
  'mvn',
  'gradle',
  'ruby',
  'bundle',
  'php',
  'composer',
  'dotnet',
  'docker',
]

/** Names what this machine verifies with: system, sandbox, and each tool by place, size and time, so that an upgrade shows at once. */
export function makeEnvironmentId(user: NodeJS.ProcessEnv, means: SandboxMeans): string {
  const tools = TOOLS.map((name) => {
    const found = findProgram(name, user)
    if (!found) return [name]
    const real = realpathSync(found)
    const { size, mtimeMs } = statSync(real)
    return [name, real, size, Math.round(mtimeMs)]
  })
  const facts = {
    platform: process.platform,
    arch: process.arch,
    release: os.release(),
    sandbox: means.kind,
    version: means.version,
    path: absolutePath(user['PATH']),
    tools,
  }
  return sha256(JSON.stringify(facts)).slice(0, 32)
}
