// Which files of the repository the project's commands name or run. A change to one of them changes what judges it.
// Two depths: every file that a configured command names, and what the scripts of package.json behind it execute.

import { posix } from 'node:path'
import type { VerifyCommand } from '../core/policy.ts'

/** Text of a file at the base, or null. */
export type ReadBase = (path: string) => Promise<string | null>

/** Files that a program reads without being told. */
const IMPLIED: Record<string, string[]> = {
  make: ['GNUmakefile', 'makefile', 'Makefile'],
  gmake: ['GNUmakefile', 'makefile', 'Makefile'],
  just: ['justfile', 'Justfile', '.justfile'],
  task: ['Taskfile.yml', 'Taskfile.yaml', 'taskfile.yml'],
  rake: ['Rakefile', 'rakefile', 'Rakefile.rb'],
  tox: ['tox.ini'],
  nox: ['noxfile.py'],
  'pre-commit': ['.pre-commit-config.yaml'],
  gradlew: ['gradle/wrapper/gradle-wrapper.properties', 'gradle/wrapper/gradle-wrapper.jar'],
  mvnw: ['.mvn/wrapper/maven-wrapper.properties', '.mvn/wrapper/maven-wrapper.jar'],
}
const SHELLS = new Set(['sh', 'bash', 'dash', 'zsh'])
const INTERPRETERS = new Set([
  ...SHELLS,
  'node',
  'tsx',
  'ts-node',
  'bun',
  'deno',
  'python',
  'python3',
  'ruby',
  'perl',
  'php',
])
/** Programs that only start the one that follows. */
const WRAPPERS = new Set(['npx', 'pnpx', 'bunx', 'env', 'time', 'exec', 'cross-env', 'dotenv', 'xvfb-run', '--'])
const SCRIPT_RUNNERS = new Set(['npm', 'pnpm', 'yarn', 'bun'])

/** Paths (relative to the root) whose change needs a person because setup or verify commands name them. */
export async function commandFiles(
  commands: { setup: readonly string[]; verify: readonly VerifyCommand[] },
  read: ReadBase,
): Promise<Set<string>> {
  const files = new Set<string>()
  const all = [...commands.setup.map((run) => ({ run, cwd: '.' })), ...commands.verify]
  for (const { run, cwd } of all) {
    for (const words of simpleCommands(run)) {
      for (const word of words) files.add(posix.normalize(posix.join(cwd, word)))
      for (const path of implied(words)) files.add(posix.normalize(posix.join(cwd, path)))
      for (const path of await scriptFiles(words, { cwd, read, seen: new Set() })) files.add(path)
    }
  }
  return files
}

/** The words of each simple command of a shell line, also of `sh -c '…'`; quotes are taken off, leading assignments left out. */
export function simpleCommands(line: string): string[][] {
  return line.split(/&&|\|\||[;|&\n()]/).flatMap((part) => {
    const words = [...part.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)].map((match) => match[0].replaceAll(/["']/g, ''))
    const program = words.findIndex((word) => !/^[A-Za-z_][A-Za-z0-9_]*=/.test(word))
    if (program < 0) return []
    // `--config=x` names x.
    const rest = words
      .slice(program)
      .flatMap((word) => (/^-[^=]*=./.test(word) ? [word, word.slice(word.indexOf('=') + 1)] : [word]))
    const inner = SHELLS.has(rest[0] ?? '') && rest[1]?.endsWith('c') ? rest[2] : undefined
    return [rest, ...(inner?.includes(' ') ? simpleCommands(inner) : [])]
  })
}

function implied(words: string[]): string[] {
  const program = posix.basename(words[0] ?? '')
  const at = words.indexOf('-C')
  const dir = at > 0 ? (words[at + 1] ?? '.') : '.'
  return Object.hasOwn(IMPLIED, program) ? (IMPLIED[program] ?? []).map((file) => posix.join(dir, file)) : []
}

/** What scripts of package.json execute: a program of the repository, or an interpreter's first file. */
async function scriptFiles(words: string[], at: { cwd: string; read: ReadBase; seen: Set<string> }): Promise<string[]> {
  const names = scriptNames(words)
  if (names.length === 0) return []
  const scripts = await readScripts(posix.normalize(posix.join(at.cwd, 'package.json')), at.read)
  const files: string[] = []
  for (const name of names) {
    const text = Object.hasOwn(scripts, name) ? scripts[name] : undefined
    // Scripts call scripts; each is looked at once, so that a circle ends.
    if (text === undefined || at.seen.has(name)) continue
    at.seen.add(name)
    for (const inner of simpleCommands(text)) {
      const executed = executedFile(inner)
      if (executed) files.push(posix.normalize(posix.join(at.cwd, executed)))
      for (const path of implied(inner)) files.push(posix.normalize(posix.join(at.cwd, path)))
      files.push(...(await scriptFiles(inner, at)))
    }
  }
  return files
}

/** What an install runs of the package's own (npm's life cycle). */
const INSTALL_SCRIPTS = ['preinstall', 'install', 'postinstall', 'preprepare', 'prepare', 'postprepare']

/** `prelint`, `lint` and `postlint` of `npm run lint`; nothing for what runs no script. */
function scriptNames(words: string[]): string[] {
  const [program, ...rest] = words
  if (program === undefined || !SCRIPT_RUNNERS.has(program)) return []
  const [verb, script] = rest.filter((word) => !word.startsWith('-'))
  if (verb === undefined || verb === 'ci' || verb === 'install' || verb === 'i') return INSTALL_SCRIPTS
  const name = verb === 'run' || verb === 'run-script' ? script : verb === 't' || verb === 'tst' ? 'test' : verb
  return name === undefined ? [] : [`pre${name}`, name, `post${name}`]
}

function executedFile(words: string[]): string | null {
  const first = words.findIndex((word) => !WRAPPERS.has(word) && !/^[A-Za-z_][A-Za-z0-9_]*=/.test(word))
  const [program, ...rest] = first < 0 ? [] : words.slice(first)
  if (program === undefined) return null
  if (program.includes('/')) return program
  if (!INTERPRETERS.has(program)) return null
  const next = rest.find((word) => !word.startsWith('-'))
  return next !== undefined && /[./]/.test(next) ? next : null
}

async function readScripts(path: string, read: ReadBase): Promise<Record<string, string>> {
  try {
    const value: unknown = JSON.parse((await read(path)) ?? '{}')
    const scripts = typeof value === 'object' && value !== null && 'scripts' in value ? value.scripts : {}
    return Object.fromEntries(
      Object.entries(scripts ?? {}).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    )
  } catch {
    return {}
  }
}
