// What a sandboxed command sees of the disk, as an ordered list of mounts.
// Invariant: the most specific path wins. Mounts are ordered by depth, so a mask inside something readable hides, and
// something readable inside a mask shows; on the same path writable beats readable beats hidden.

import { existsSync, lstatSync, readdirSync, readlinkSync, realpathSync, statSync } from 'node:fs'
import path from 'node:path'
import { UserError } from '../lib/errors.ts'
import { isInside } from './places.ts'

export interface MountRequest {
  writable: string[]
  readable: string[]
  masked: string[]
}

export type Mount =
  | { kind: 'hide' | 'hide-file' | 'read' | 'write'; at: string }
  /** A link that a mask hides and that leads to something readable. */
  | { kind: 'link'; at: string; target: string }

const ORDER = { hide: 0, 'hide-file': 0, link: 1, read: 2, write: 3 } as const

/** Plans the mounts. Paths that are not there are left out; a writable path that is a link is refused (UserError 6). */
export function planMounts(request: MountRequest): Mount[] {
  const mounts = new Map<string, Mount>()
  const add = (mount: Mount): void => {
    const known = mounts.get(mount.at)
    if (!known || ORDER[known.kind] < ORDER[mount.kind]) mounts.set(mount.at, mount)
  }
  for (const place of request.masked) {
    const real = realOf(place)
    if (real && real !== '/') add({ kind: statSync(real).isDirectory() ? 'hide' : 'hide-file', at: real })
  }
  const masks = [...mounts.keys()]
  for (const place of request.readable) {
    const real = realOf(place)
    if (!real || real === '/') continue
    add({ kind: 'read', at: real })
    for (const link of linksOn(place)) if (masks.some((mask) => isInside(mask, link.at))) add({ kind: 'link', ...link })
  }
  for (const place of request.writable) add({ kind: 'write', at: writableOf(place) })
  const needed = [...mounts.values()].filter((mount) => isNeeded(mount, mounts))
  return needed.sort((a, b) => depth(a.at) - depth(b.at) || ORDER[a.kind] - ORDER[b.kind] || (a.at < b.at ? -1 : 1))
}

/** A read mount changes something only right below a mask or something writable, a link only right below a mask. */
function isNeeded(mount: Mount, mounts: Map<string, Mount>): boolean {
  if (mount.kind !== 'read' && mount.kind !== 'link') return true
  for (let above = path.dirname(mount.at); above !== '/'; above = path.dirname(above)) {
    const covering = mounts.get(above)
    if (!covering || covering.kind === 'link') continue
    return covering.kind === 'read' ? false : mount.kind === 'read' || covering.kind !== 'write'
  }
  return false
}

const depth = (place: string): number => place.split('/').length

function realOf(place: string): string | null {
  try {
    return realpathSync(place)
  } catch {
    return null
  }
}

/** A writable place must be what it seems: a link could make any folder of the machine writable. */
function writableOf(place: string): string {
  const parent = realOf(path.dirname(place))
  const real = parent ? path.join(parent, path.basename(place)) : place
  if (!existsSync(real) || lstatSync(real).isSymbolicLink()) {
    throw new UserError(
      6,
      'sandbox-path',
      `The sandbox can't make ${place} writable: it is ${existsSync(real) ? 'a link' : 'not there'}`,
    )
  }
  return real
}

/** Every link on the way to a place, in the order they are met, with absolute places. */
function linksOn(place: string): { at: string; target: string }[] {
  const links: { at: string; target: string }[] = []
  let rest = path.resolve(place).split('/').filter(Boolean)
  let at = '/'
  // 40 is the kernel's own limit for links on one path.
  while (rest.length > 0 && links.length < 40) {
    const next = path.join(at, rest[0] ?? '')
    rest = rest.slice(1)
    let target: string | null = null
    try {
      if (lstatSync(next).isSymbolicLink()) target = readlinkSync(next)
    } catch {
      break
    }
    if (target === null) {
      at = next
      continue
    }
    links.push({ at: next, target })
    const resolved = path.resolve(at, target)
    rest = [...resolved.split('/').filter(Boolean), ...rest]
    at = '/'
  }
  return links
}

/** Folders of tool managers under HOME: programs and libraries, no credentials. */
const TOOL_FOLDERS = [
  '.rustup',
  '.pyenv',
  '.rbenv',
  '.rvm',
  '.nodenv',
  '.goenv',
  '.jenv',
  '.nvm',
  '.fnm',
  '.volta',
  '.asdf',
  '.sdkman/candidates',
  '.ghcup/bin',
  '.ghcup/ghc',
  '.elan',
  '.dotnet/host',
  '.dotnet/sdk',
  '.dotnet/shared',
  '.dotnet/tools',
  '.juliaup',
  '.deno/bin',
  '.bun/bin',
  '.bun/install/global',
  '.cargo/bin',
  '.nix-profile',
  '.linuxbrew',
  'sdk',
  'anaconda3',
  'miniconda3',
  'miniforge3',
  '.local/bin',
  '.local/lib',
  '.local/pipx/venvs',
  '.local/share/mise',
  '.local/share/rtx',
  '.local/share/fnm',
  '.local/share/uv',
  '.local/share/pnpm',
  '.local/share/pipx/venvs',
  '.local/share/claude',
  '.local/share/nvm',
  '.opencode/bin',
  '.npm-global',
  '.yarn/bin',
]

/** Variables whose value is a file of certificates a tool may need. */
export const CERTIFICATE_VARIABLES = [
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'NODE_EXTRA_CA_CERTS',
  'GIT_SSL_CAINFO',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'PIP_CERT',
  'npm_config_cafile',
] as const

/** What the user's PATH needs of places that a mask hides: its folders, where their links lead, tool managers, certificates. */
export function programPaths(env: NodeJS.ProcessEnv, homes: string[]): string[] {
  const found = new Set<string>()
  for (const home of homes)
    for (const folder of TOOL_FOLDERS) if (existsSync(path.join(home, folder))) found.add(path.join(home, folder))
  for (const entry of (env['PATH'] ?? '').split(':')) {
    if (!entry.startsWith('/') || homes.includes(path.resolve(entry)) || !isFolder(entry)) continue
    found.add(path.resolve(entry))
    const prefix = installationOf(entry, homes)
    if (prefix) found.add(prefix)
    for (const target of linkTargets(entry)) found.add(target)
  }
  for (const name of CERTIFICATE_VARIABLES) if (env[name]?.startsWith('/')) found.add(env[name])
  return [...found]
}

/** `…/node/v22/bin` needs `…/node/v22`, unless that is HOME or a folder right under it, where credentials may live. */
function installationOf(entry: string, homes: string[]): string | null {
  if (path.basename(entry) !== 'bin') return null
  const prefix = path.dirname(path.resolve(entry))
  const home = homes.find((candidate) => isInside(candidate, prefix))
  if (!home) return null
  return path.relative(home, prefix).split('/').length >= 3 ? prefix : null
}

function linkTargets(folder: string): string[] {
  const targets: string[] = []
  // A system folder's links lead to system folders, and reading thousands of them would cost more than a start.
  if (/^\/(?:usr|bin|sbin|opt|nix)(?:\/|$)/.test(folder)) return targets
  for (const entry of readdirSync(folder, { withFileTypes: true }).slice(0, 2_000)) {
    if (!entry.isSymbolicLink()) continue
    const real = realOf(path.join(folder, entry.name))
    if (!real || isInside(folder, real)) continue
    const modules = real.indexOf('/node_modules/')
    targets.push(modules >= 0 ? real.slice(0, modules + '/node_modules'.length) : real)
  }
  return targets
}

function isFolder(place: string): boolean {
  try {
    return statSync(place).isDirectory()
  } catch {
    return false
  }
}
