// The Node ecosystem's part of the guess: package manager by lock file, scripts by name.

import type { Guess, RootFiles } from './config.ts'

interface Manager {
  name: 'npm' | 'pnpm' | 'yarn' | 'bun'
  install: string
  by: string
}

/** Scripts that check, the quick ones first: the first red one ends a verification. */
const CHECKS: { script: string[]; word: string }[] = [
  { script: ['typecheck', 'type-check', 'check-types', 'check:types'], word: 'types' },
  { script: ['lint'], word: 'lint' },
  { script: ['test'], word: 'tests' },
]

/** Null without a package.json. A broken one gives no commands and says so. */
export function guessNode(files: RootFiles): Guess | null {
  if (!files.list.includes('package.json')) return null
  const manifest = readManifest(files)
  if (!manifest) return { setup: [], verify: [], why: ["package.json can't be read as JSON"] }
  const manager = managerOf(files, manifest)
  const verify: string[] = []
  const why = [`${manager.by}: ${manager.name}`]
  for (const check of CHECKS) {
    const script = check.script.find((name) => isRealScript(manifest.scripts[name]))
    if (!script) continue
    if (/\s--?watch(All)?\b/.test(manifest.scripts[script] ?? '')) {
      why.push(`package.json: the script ${script} watches and would never end; left out`)
      continue
    }
    verify.push(`${manager.name} ${script === 'test' && manager.name !== 'bun' ? 'test' : `run ${script}`}`)
    why.push(`package.json has the script ${script}`)
  }
  if (verify.length === 0) why.push('package.json has no script test, lint or typecheck')
  const needsInstall = manifest.dependencies > 0 || manager.by !== 'package.json without a lock file'
  return { setup: needsInstall ? [manager.install] : [], verify, why }
}

interface Manifest {
  scripts: Record<string, string>
  dependencies: number
  packageManager: string
}

function readManifest(files: RootFiles): Manifest | null {
  try {
    const value: unknown = JSON.parse(files.read('package.json') ?? '')
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
    const json = value as Record<string, unknown>
    const group = (key: string): [string, unknown][] =>
      Object.entries(typeof json[key] === 'object' && json[key] !== null ? json[key] : {})
    return {
      scripts: Object.fromEntries(
        group('scripts').filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
      ),
      dependencies:
        group('dependencies').length + group('devDependencies').length + group('optionalDependencies').length,
      packageManager: typeof json['packageManager'] === 'string' ? json['packageManager'] : '',
    }
  } catch {
    return null
  }
}

function managerOf(files: RootFiles, manifest: Manifest): Manager {
  const has = (name: string): boolean => files.list.includes(name)
  const berry = has('.yarnrc.yml') || /^yarn@[2-9]/.test(manifest.packageManager)
  const yarnInstall = `yarn install ${berry ? '--immutable' : '--frozen-lockfile'}`
  const locks: [string, Manager['name'], string][] = [
    ['pnpm-lock.yaml', 'pnpm', 'pnpm install --frozen-lockfile'],
    ['yarn.lock', 'yarn', yarnInstall],
    ['bun.lock', 'bun', 'bun install --frozen-lockfile'],
    ['bun.lockb', 'bun', 'bun install --frozen-lockfile'],
    ['package-lock.json', 'npm', 'npm ci'],
    ['npm-shrinkwrap.json', 'npm', 'npm ci'],
  ]
  const lock = locks.find(([file]) => has(file))
  if (lock) return { name: lock[1], install: lock[2], by: lock[0] }
  const named = /^(npm|pnpm|yarn|bun)@/.exec(manifest.packageManager)?.[1] as Manager['name'] | undefined
  // Without a lock file an install would write one, and the leftover would look like the agent's work.
  const bare = {
    npm: 'npm install --no-package-lock',
    pnpm: 'pnpm install --no-lockfile',
    yarn: 'yarn install --no-lockfile',
    bun: 'bun install --no-save',
  }
  if (named)
    return {
      name: named,
      install: named === 'yarn' && berry ? 'yarn install' : bare[named],
      by: 'packageManager of package.json',
    }
  return { name: 'npm', install: bare.npm, by: 'package.json without a lock file' }
}

/** False for npm's own placeholder (`echo "Error: no test specified" && exit 1`). */
function isRealScript(script: string | undefined): boolean {
  return script !== undefined && script.trim() !== '' && !/no test specified/i.test(script)
}
