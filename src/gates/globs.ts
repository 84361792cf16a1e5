// Globs as people write them for git: matched everywhere when they hold no slash, a folder's name means all in it.

import picomatch from 'picomatch'

/** True for a path (relative, with slashes) that one of the globs matches. No globs match nothing. */
export type PathMatcher = (path: string) => boolean

/** Case doesn't matter: on some machines `.Github/Workflows` is the same folder. */
export function makeMatcher(globs: readonly string[]): PathMatcher {
  const patterns = globs.flatMap((glob) => {
    const trimmed = glob.replace(/^\.?\//, '').replace(/\/+$/, '')
    const rooted = glob.startsWith('/') || trimmed.includes('/')
    const anywhere = rooted ? trimmed : `**/${trimmed}`
    return [anywhere, `${anywhere}/**`]
  })
  if (patterns.length === 0) return () => false
  return picomatch(patterns, { dot: true, nocase: true, nonegate: true })
}
