// What setup's products depend on, as one key: commands, environment, and the files that installers read.
// Invariant: where it isn't plain that setup only installs dependencies, the whole tree counts.

import type { Context } from './context.ts'
import { git, isolatedGitEnv } from './git.ts'
import { safeSha, sha256 } from './places.ts'

export interface SetupInputs {
  /** Equal keys, equal products. */
  key: string
  /** The same for every commit: commands, environment and place, without any content. */
  way: string
  /** Any changed file counts, not only those of `isSetupInput`. */
  wholeTree: boolean
}

/** Facts of a setup besides the commit. */
export interface SetupWay {
  commands: string[]
  /** The whole environment of setup, with places that are the same for everybody. */
  env: Record<string, string>
  network: boolean
  read: string[]
  sparse: string[]
  environmentId: string
}

const NAMES = new Set(
  `package.json package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml pnpm-workspace.yaml bun.lock bun.lockb
  .npmrc .yarnrc .yarnrc.yml .pnpmfile.cjs .pnpmfile.mjs bunfig.toml lerna.json
  .node-version .nvmrc .tool-versions mise.toml .mise.toml .python-version .ruby-version .go-version
  rust-toolchain rust-toolchain.toml go.mod go.sum go.work go.work.sum Cargo.toml Cargo.lock Gemfile Gemfile.lock
  pyproject.toml poetry.lock uv.lock Pipfile Pipfile.lock setup.py setup.cfg binding.gyp`.split(/\s+/),
)

/** Generators and patches that install scripts of well-known packages read, and folders of package managers. */
const PATTERNS =
  /(?:^|\/)(?:requirements[^/]*\.txt|constraints[^/]*\.txt|[^/]+\.gemspec|[^/]+\.prisma|\.cargo\/config(?:\.toml)?|\.yarn\/.+|\.?patches\/.+|\.config\/mise(?:\.toml|\/config\.toml))$/

/** True for lock files, manifests, tool versions and what else an installer reads. */
export function isSetupInput(file: string): boolean {
  return NAMES.has(file.slice(file.lastIndexOf('/') + 1)) || PATTERNS.test(file)
}

/** Commands that do nothing but install what manifests and lock files name. Options may name a folder, never a package. */
const INSTALLER =
  /^(?:npm (?:ci|i|install|clean-install)|pnpm (?:i|install|fetch)|yarn(?: install)?|bun (?:i|install)|go mod download|cargo fetch|bundle install|bundle config(?: set)?(?: --local)? [\w.]+ [\w./-]+|corepack enable)(?: (?:--?[\w-]+(?:=[\w./@:-]+)?|(?:--prefix|--dir|--cwd|--filter|--jobs|-C|-j) [\w./@-]+))*$/
const FOLDER = /^cd [\w./-]+$/

function onlyInstalls(commands: string[]): boolean {
  return commands
    .flatMap((command) => command.split('&&'))
    .map((part) => part.trim().replace(/\s+/g, ' '))
    .every((part) => INSTALLER.test(part) || FOLDER.test(part))
}

/** The inputs of setup at a commit. Reads the mirror alone. */
export async function setupInputs(
  context: Context,
  at: { mirror: string; sha: string; way: SetupWay },
): Promise<SetupInputs> {
  const { way } = at
  const wayKey = sha256(JSON.stringify({ ...way, env: Object.entries(way.env).sort(([a], [b]) => (a < b ? -1 : 1)) }))
  const files = onlyInstalls(way.commands) ? await inputFiles(context, at) : null
  const content = files ?? [await treeOf(context, at)]
  return {
    key: sha256([wayKey, ...content].join('\0')).slice(0, 32),
    way: wayKey.slice(0, 32),
    wholeTree: files === null,
  }
}

async function treeOf(context: Context, at: { mirror: string; sha: string }): Promise<string> {
  const { stdout } = await git(`find the tree of ${at.sha}`, {
    args: [`--git-dir=${at.mirror}`, 'rev-parse', '--verify', '--end-of-options', `${safeSha(at.sha)}^{tree}`],
    env: isolatedGitEnv(context.env),
  })
  return stdout.trim()
}

/** Mode, content and place of every input file; null when more than these may count. */
async function inputFiles(context: Context, at: { mirror: string; sha: string }): Promise<string[] | null> {
  const env = isolatedGitEnv(context.env)
  const { stdout } = await git(`list the files of ${at.sha}`, {
    args: [`--git-dir=${at.mirror}`, 'ls-tree', '-r', '-z', '--full-tree', safeSha(at.sha)],
    env,
  })
  const found = stdout.split('\0').filter((line) => isSetupInput(line.slice(line.indexOf('\t') + 1)))
  // A link's content stands elsewhere, and npm builds a root binding.gyp from sources.
  if (found.length === 0 || found.some((line) => line.startsWith('120000 ') || line.endsWith('\tbinding.gyp')))
    return null
  const manifests = found.filter((line) =>
    /(?:^|[\t/])(?:package\.json|Gemfile|\.npmrc|pnpm-workspace\.yaml)$/.test(line),
  )
  return (await readAll(context, at.mirror, manifests)).some(readsSources) ? null : found
}

async function readAll(context: Context, mirror: string, lines: string[]): Promise<string[]> {
  const texts: string[] = []
  if (lines.length === 0) return texts
  const { stdout } = await git('read the manifests', {
    args: [`--git-dir=${mirror}`, 'cat-file', '--batch=%(objectsize)', '--buffer'],
    input: lines.map((line) => `${line.split(/[ \t]/)[2]}\n`).join(''),
    env: isolatedGitEnv(context.env),
  })
  const bytes = Buffer.from(stdout)
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf(10, at)
    const size = Number(bytes.subarray(at, end).toString())
    if (!Number.isSafeInteger(size)) return [...texts, UNREADABLE]
    texts.push(bytes.subarray(end + 1, end + 1 + size).toString())
    at = end + 1 + size + 1
  }
  return texts
}

/** Stands for content that can't be understood: it may name sources. */
const UNREADABLE = '{'

/** Scripts that package managers run by themselves on install. */
const LIFECYCLE = ['preinstall', 'install', 'postinstall', 'prepublish', 'preprepare', 'prepare', 'postprepare']
/** Of those, what depends on nothing but the input files. */
const HARMLESS =
  /^(?:is-ci \|\| )?(?:husky(?: install)?(?: \|\| true)?|simple-git-hooks|lefthook install|patch-package)$/

/** A manifest whose installation reads, runs or copies the project's own sources. */
function readsSources(text: string): boolean {
  if (!text.trimStart().startsWith('{')) return /\bpath\b|\bgemspec\b|inject|file:|link:/.test(text)
  try {
    const manifest = JSON.parse(text) as Record<string, unknown>
    const scripts = (manifest['scripts'] ?? {}) as Record<string, unknown>
    const isHarmless = (script: unknown): boolean => typeof script === 'string' && HARMLESS.test(script.trim())
    if (LIFECYCLE.some((name) => scripts[name] !== undefined && !isHarmless(scripts[name]))) return true
    if (manifest['dependenciesMeta'] !== undefined) return true
    return /"(?:file|link|portal):|":"\.{0,2}\//.test(JSON.stringify(dependenciesOf(manifest)))
  } catch {
    return true
  }
}

const dependenciesOf = (manifest: Record<string, unknown>): unknown[] =>
  [
    'dependencies',
    'devDependencies',
    'optionalDependencies',
    'peerDependencies',
    'overrides',
    'resolutions',
    'pnpm',
  ].map((name) => manifest[name] ?? {})
