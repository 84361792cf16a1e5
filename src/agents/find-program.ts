// Finding an agent's program on this machine, without running a model.

import { accessSync, constants, existsSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, dirname, isAbsolute, join } from 'node:path'
import { runProcess } from '../lib/process.ts'

const VERSION_LIMIT_MS = 10_000

export interface ProgramSearch {
  /** A name, or a path (then only that is looked at). */
  name: string
  env: NodeJS.ProcessEnv
  /** Folders looked through after PATH. */
  folders?: string[]
}

/** Absolute path of an executable file, or null. */
export function findProgram({ name, env, folders = [] }: ProgramSearch): string | null {
  if (isAbsolute(name)) return isExecutableFile(name) ? name : null
  if (name.startsWith('~/') && env['HOME']) return findProgram({ name: join(env['HOME'], name.slice(2)), env })
  if (name.includes('/')) return null
  const path = (env['PATH'] ?? '').split(delimiter).filter(isAbsolute)
  return [...path, ...folders].map((folder) => join(folder, name)).find(isExecutableFile) ?? null
}

/** First version number a program says with `--version`, or null when it says none in time. */
export async function findVersion(path: string, env: NodeJS.ProcessEnv): Promise<string | null> {
  const kept = pickEnv(env, ['PATH', 'HOME', 'LANG'])
  const result = await runProcess({
    argv: [path, '--version'],
    // Nowhere in particular: whatever it does there, it does not do it in somebody's repository.
    cwd: '/',
    env: kept,
    timeoutMs: VERSION_LIMIT_MS,
    outputCapBytes: 64 << 10,
  })
  if (result.outcome !== 'exited' || result.exitCode !== 0) return null
  return /\d+\.\d+(\.\d+)?[\w.+-]*/.exec(result.stdout)?.[0] ?? null
}

/** Where the network is reached and whom it trusts there: every agent's program reads these. */
export const CERTIFICATE_NAMES = ['SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS'] as const
export const PROXY_NAMES = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'] as const

/** The files and folders that the named variables lead to, those that are there. */
export function placesIn(env: NodeJS.ProcessEnv, names: readonly string[]): string[] {
  return names.flatMap((name) => (env[name] && existsSync(env[name]) ? [env[name]] : []))
}

/** Those of the named variables that are set and not empty. */
export function pickEnv(env: NodeJS.ProcessEnv, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (env[name] ? [[name, env[name]]] : [])))
}

/**
 * What must be readable for a program to start: the path as called, the file it leads to, and the package that file
 * belongs to (a launcher script loads its neighbours).
 */
export function installationOf(path: string): string[] {
  const real = realpathSync(path)
  return [...new Set([path, real, packageFolder(real) ?? real])]
}

/** The nearest package that says it has programs: a person's own package.json above (in HOME, say) is none of its. */
function packageFolder(file: string): string | null {
  for (
    let folder = dirname(file), depth = 0;
    depth < 4 && folder !== dirname(folder);
    folder = dirname(folder), depth += 1
  ) {
    const manifest = join(folder, 'package.json')
    if (existsSync(manifest)) return isProgramPackage(manifest) && !holdsHome(folder) ? folder : null
  }
  return null
}

function isProgramPackage(manifest: string): boolean {
  try {
    const read: unknown = JSON.parse(readFileSync(manifest, 'utf8'))
    return typeof read === 'object' && read !== null && ('bin' in read || /[/\\]node_modules[/\\]/.test(manifest))
  } catch {
    return false
  }
}

function holdsHome(folder: string): boolean {
  const home = homedir()
  const real = existsSync(home) ? realpathSync(home) : home
  return [home, real].some((place) => `${place}/`.startsWith(`${folder}/`))
}

function isExecutableFile(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}
