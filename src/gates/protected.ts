// Gate `protected`: a change to what steers judges or agents waits for a person: listed paths, scripts of package
// manifests, files that the setup and verify commands run, and tests that went away.

import { passed, waitsFor } from '../core/verdict.ts'
import type { DiffFile, Mirror } from '../workspace/workspace.ts'
import { commandFiles } from './command-files.ts'
import type { Gate, GateInput } from './gate.ts'
import { makeMatcher } from './globs.ts'
import { findText, readText } from './read-text.ts'

/** Names that test files have in the languages people use. */
const TEST_PATHS = [
  '*.test.*',
  '*.spec.*',
  '*-test.*',
  '*_test.*',
  '*_spec.*',
  'test_*.py',
  '*Test.java',
  '*Tests.java',
  '*Test.kt',
  '*Test.php',
  '*Tests.cs',
  '*Test.cs',
  '*Tests.swift',
  '**/test/**',
  '**/tests/**',
  '**/__tests__/**',
  '**/spec/**',
  '**/testdata/**',
] as const

/** Manifests whose groups of commands run by name, and the key of the group. */
const MANIFESTS: Record<string, string> = {
  'package.json': 'scripts',
  'composer.json': 'scripts',
  'deno.json': 'tasks',
}
const MAX_LISTED = 20

export const protectedGate: Gate = {
  name: 'protected',
  costly: false,
  onUnknown: 'closed',
  describe: 'Protected paths, package scripts, files that the commands run and deleted tests wait for a person.',
  async collect(input) {
    const reasons = await protectedChanges(input)
    if (reasons.length === 0) return passed('nothing protected is changed')
    const listed = reasons.slice(0, MAX_LISTED).join('; ')
    const note = reasons.length > MAX_LISTED ? `${listed}; and ${reasons.length - MAX_LISTED} more` : listed
    return input.approved ? passed(`a person approved: ${note}`) : waitsFor('approval', note)
  },
}

/** One phrase for each protected thing that the change touches, such as `changes .github/workflows/ci.yml`. */
export async function protectedChanges(
  input: Pick<GateInput, 'mirror' | 'baseSha' | 'headSha' | 'policy'>,
): Promise<string[]> {
  const { mirror, baseSha, headSha, policy } = input
  const files = await mirror.diffFiles(baseSha, headSha)
  const isProtected = makeMatcher(policy.protected)
  const isTest = makeMatcher(TEST_PATHS)
  const named = await commandFiles(
    { setup: policy.setup, verify: policy.verify === 'none' ? [] : policy.verify },
    (path) => findText(mirror, { sha: baseSha, path }),
  )
  const reasons: string[] = []
  for (const file of files) {
    const paths = file.from === undefined ? [file.path] : [file.path, file.from]
    const verb = VERBS[file.status]
    if (paths.some(isProtected)) reasons.push(`${verb} ${shown(file)}`)
    else if (paths.some((path) => named.has(path)))
      reasons.push(`${verb} ${shown(file)}, which a setup or verify command runs`)
    else if (file.status === 'deleted' && isTest(file.path)) reasons.push(`deletes the test ${file.path}`)
    else if (file.status === 'renamed' && file.from !== undefined && isTest(file.from) && !isTest(file.path))
      reasons.push(`renames the test ${shown(file)} so that it is none`)
    else if (await scriptsChanged(mirror, file, { baseSha, headSha }))
      reasons.push(`changes the scripts of ${shown(file)}`)
  }
  return reasons
}

const VERBS: Record<DiffFile['status'], string> = {
  added: 'adds',
  modified: 'changes',
  deleted: 'deletes',
  renamed: 'renames',
  mode: 'changes the mode of',
}

function shown(file: DiffFile): string {
  return file.from === undefined ? file.path : `${file.from} to ${file.path}`
}

/** What can't be compared counts as changed. */
async function scriptsChanged(
  mirror: Mirror,
  file: DiffFile,
  at: { baseSha: string; headSha: string },
): Promise<boolean> {
  const before = await scriptsAt(mirror, {
    sha: at.baseSha,
    path: file.status === 'added' ? null : (file.from ?? file.path),
  })
  const after = await scriptsAt(mirror, { sha: at.headSha, path: file.status === 'deleted' ? null : file.path })
  return before === 'unreadable' || after === 'unreadable' ? isManifest(file) : before !== after
}

function isManifest(file: DiffFile): boolean {
  return [file.path, file.from].some((path) => path !== undefined && keyOf(path) !== null)
}

function keyOf(path: string): string | null {
  const name = path.slice(path.lastIndexOf('/') + 1)
  return Object.hasOwn(MANIFESTS, name) ? (MANIFESTS[name] ?? null) : null
}

/** The manifest's commands as text with sorted keys; empty where there is no such file or group. */
async function scriptsAt(mirror: Mirror, at: { sha: string; path: string | null }): Promise<string> {
  const key = at.path === null ? null : keyOf(at.path)
  if (at.path === null || key === null) return ''
  const file = await readText(mirror, { sha: at.sha, path: at.path })
  if (file.kind !== 'text') return 'unreadable'
  try {
    const value: unknown = JSON.parse(file.text.replace(/^\uFEFF/, ''))
    const group = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined
    if (group === undefined || group === null) return ''
    if (typeof group !== 'object' || Array.isArray(group)) return 'unreadable'
    const entries = Object.entries(group).sort(([a], [b]) => (a < b ? -1 : 1))
    return entries.length === 0 ? '' : JSON.stringify(entries)
  } catch {
    return 'unreadable'
  }
}
