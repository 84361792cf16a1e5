// Sparse checkouts in git's cone mode: root files, the named folders whole, and the files beside the way to them.
// https://git-scm.com/docs/git-sparse-checkout, "INTERNALS—CONE MODE HANDLING"

import { sha256 } from './places.ts'

/** Folders as git names them: no dots or slashes around, sorted, none inside another. Empty means everything. */
export function coneOf(folders: readonly string[]): string[] {
  const plain = folders.map((folder) =>
    folder
      .split('/')
      .filter((part) => part !== '' && part !== '.')
      .join('/'),
  )
  if (plain.includes('')) return []
  const sorted = [...new Set(plain)].sort()
  return sorted.filter((folder) => !sorted.some((other) => folder.startsWith(`${other}/`)))
}

/** Text of `info/sparse-checkout` for a cone. */
export function conePatterns(cone: readonly string[]): string {
  const parents = new Set<string>()
  for (const folder of cone) {
    const parts = folder.split('/')
    for (let count = 1; count < parts.length; count += 1) parents.add(parts.slice(0, count).join('/'))
  }
  const lines = ['/*', '!/*/']
  for (const parent of [...parents].sort()) lines.push(`/${escaped(parent)}/`, `!/${escaped(parent)}/*/`)
  for (const folder of cone) lines.push(`/${escaped(folder)}/`)
  return lines.map((line) => `${line}\n`).join('')
}

const escaped = (folder: string): string => folder.replace(/[\\*?[]/g, '\\$&')

/** A short name for a cone, the same for the same folders. */
export const coneId = (cone: readonly string[]): string =>
  cone.length === 0 ? 'full' : sha256(cone.join('\n')).slice(0, 12)
