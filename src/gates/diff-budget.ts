// Gate `diff-budget`: the change is no larger than a reviewer can read. What tools write doesn't count.

import { judgeMeasures } from '../core/verdict.ts'
import type { Gate } from './gate.ts'
import { makeMatcher } from './globs.ts'
import { findText } from './read-text.ts'

/** Lock files and what builds, package managers and snapshot tests write. */
const GENERATED_PATHS = [
  'package-lock.json',
  'npm-shrinkwrap.json',
  'yarn.lock',
  'pnpm-lock.yaml',
  'bun.lock',
  'bun.lockb',
  'Cargo.lock',
  'go.sum',
  'poetry.lock',
  'uv.lock',
  'pdm.lock',
  'Pipfile.lock',
  'composer.lock',
  'Gemfile.lock',
  'mix.lock',
  'packages.lock.json',
  'gradle.lockfile',
  '*.min.js',
  '*.min.css',
  '*.map',
  '*.snap',
  '*.pb.go',
  '*_pb2.py',
  'dist/**',
  '**/__snapshots__/**',
  '**/node_modules/**',
  'vendor/**',
  'third_party/**',
] as const

export const diffBudgetGate: Gate = {
  name: 'diff-budget',
  costly: false,
  onUnknown: 'closed',
  describe: 'Changed files and added lines stay within diffBudget; lock files and generated paths are left out.',
  async collect({ mirror, baseSha, headSha, policy }) {
    const files = await mirror.diffFiles(baseSha, headSha)
    // Of the base: what the change itself declares as generated would be its own judge.
    const attributes = await findText(mirror, { sha: baseSha, path: '.gitattributes' })
    const isGenerated = makeMatcher([...GENERATED_PATHS, ...generatedByAttributes(attributes ?? '')])
    const counted = files.filter((file) => !isGenerated(file.path))
    return judgeMeasures('diff-budget', [
      { name: 'changed files', value: counted.length, max: policy.diffBudget.files },
      {
        name: 'added lines',
        value: counted.reduce((sum, file) => sum + file.addedLines, 0),
        max: policy.diffBudget.addedLines,
      },
    ])
  },
}

/** Patterns of a root .gitattributes that are marked `linguist-generated`. */
export function generatedByAttributes(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    const [pattern, ...attributes] = line.trim().split(/\s+/)
    if (!pattern || /^[#"[]/.test(pattern)) return []
    return attributes.some((attribute) => /^linguist-generated(=true)?$/.test(attribute)) ? [pattern] : []
  })
}
