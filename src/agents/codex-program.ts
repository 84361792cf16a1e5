// Where codex is on a machine: npm's launcher and the native program it leads to, the vendor's installer, editors.
// Invariant: what is started is the native program where it can be found, so no run pays for the launcher's Node.

import { existsSync, readdirSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { findProgram, installationOf } from './find-program.ts'

/** What npm's launcher calls this machine; the packages and folders of native programs are named by it. */
const TRIPLES: Record<string, string> = {
  'linux-x64': 'x86_64-unknown-linux-musl',
  'linux-arm64': 'aarch64-unknown-linux-musl',
  'darwin-x64': 'x86_64-apple-darwin',
  'darwin-arm64': 'aarch64-apple-darwin',
}
const EDITORS = [
  '.vscode',
  '.vscode-insiders',
  '.vscode-server',
  '.cursor',
  '.cursor-server',
  '.windsurf',
  '.vscode-oss',
]
/** Folders of an editor extension's `bin`, which name machines in a way of their own. */
const EDITOR_BINS: Record<string, string> = {
  'linux-x64': 'linux-x86_64',
  'linux-arm64': 'linux-aarch64',
  'darwin-x64': 'macos-x86_64',
  'darwin-arm64': 'macos-aarch64',
}
const MACHINE = `${process.platform}-${process.arch}`

/** Path of the program as a person would call it, or null. Without `bin` the usual install places come after the PATH. */
export function findCodex(bin: string | undefined, env: NodeJS.ProcessEnv): string | null {
  return findProgram({ name: bin ?? 'codex', env, folders: bin === undefined ? usualFolders(env) : [] })
}

/** The native program behind npm's launcher; the path itself when it is no launcher or its program isn't there. */
export function nativeOf(path: string): string {
  const real = realOf(path)
  if (!real.endsWith('/@openai/codex/bin/codex.js')) return path
  const root = dirname(dirname(real))
  const triple = TRIPLES[MACHINE] ?? ''
  const own = `codex-${MACHINE}`
  const packages = [join(root, 'node_modules/@openai', own), join(dirname(root), own), root]
  const programs = packages.map((folder) => join(folder, 'vendor', triple, 'bin/codex'))
  return programs.find((program) => existsSync(program)) ?? path
}

/** What the program must read to start and work: its package, or the folder its installer unpacked. */
export function codexReads(program: string): string[] {
  const unpacked = dirname(dirname(realOf(program)))
  return [...installationOf(program), ...(existsSync(join(unpacked, 'codex-package.json')) ? [unpacked] : [])]
}

function realOf(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

function usualFolders(env: NodeJS.ProcessEnv): string[] {
  const home = env['HOME']
  const prefix = env['npm_config_prefix'] ?? env['NPM_CONFIG_PREFIX']
  const ofHome = home ? ['.local/bin', '.npm-global/bin', '.bun/bin'].map((folder) => join(home, folder)) : []
  const ofPrefix = prefix ? [join(prefix, 'bin')] : []
  return [...ofHome, ...ofPrefix, '/usr/local/bin', '/opt/homebrew/bin', ...(home ? editorFolders(home) : [])]
}

/** The extensions' folders that hold a program, the newest first: its version stands in the name. */
function editorFolders(home: string): string[] {
  const found = EDITORS.flatMap((editor) => {
    const folder = join(home, editor, 'extensions')
    const names = existsSync(folder) ? readdirSync(folder) : []
    return names
      .filter((name) => name.startsWith('openai.chatgpt-'))
      .map((name) => ({ name, path: join(folder, name) }))
  })
  const newest = found.sort((a, b) => b.name.localeCompare(a.name, 'en', { numeric: true }))
  return newest.map(({ path }) => join(path, 'bin', EDITOR_BINS[MACHINE] ?? ''))
}
