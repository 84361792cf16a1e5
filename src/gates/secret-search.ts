// Searches lines for secrets, in pieces, so that a large diff never holds up the event loop for long.

import type { AddedLine } from './diff-lines.ts'
import { makeMatcher } from './globs.ts'
import { isSecret, PEM_HEADER, SECRET_KINDS, type SecretKind } from '../lib/secret-patterns.ts'

export interface Hit {
  file: string
  line: number
  kind: string
  secret: string
}

/** The search ends here: nobody mends more at once, and a hostile diff may hold a million. */
export const MAX_HITS = 200
/** Characters searched in one go: about 20 ms. */
const PIECE_LENGTH = 256 << 10

/** Checksums are random on purpose; only patterns with a fixed shape are looked for there. */
const isLockFile = makeMatcher([
  'package-lock.json',
  'npm-shrinkwrap.json',
  'yarn.lock',
  'pnpm-lock.yaml',
  'bun.lock',
  '*.lock',
  'go.sum',
  'go.mod',
  'packages.lock.json',
  '*.snap',
])

/** A piece as one text tells quickly which patterns are worth trying on its lines: most are on none. */
const PREFILTERS = SECRET_KINDS.map((kind) => ({
  kind,
  seen: new RegExp(kind.pattern.source, `${kind.pattern.flags.replace('g', '')}m`),
}))

/** Secrets in a list of lines, each once per place, at most MAX_HITS. */
export async function findSecrets(lines: readonly AddedLine[]): Promise<Hit[]> {
  const hits: Hit[] = []
  let start = 0
  while (start < lines.length && hits.length < MAX_HITS) {
    let end = start
    for (let length = 0; end < lines.length && (length < PIECE_LENGTH || end === start); end += 1)
      length += lines[end]?.text.length ?? 0
    searchPiece(lines, { start, end }, hits)
    start = end
    if (start < lines.length) await new Promise((resolve) => setImmediate(resolve))
  }
  return hits.slice(0, MAX_HITS)
}

function searchPiece(lines: readonly AddedLine[], piece: { start: number; end: number }, hits: Hit[]): void {
  const text = lines
    .slice(piece.start, piece.end)
    .map((line) => line.text)
    .join('\n')
  const kinds = PREFILTERS.filter(({ seen }) => seen.test(text)).map(({ kind }) => kind)
  const mayHoldKey = PEM_HEADER.test(text)
  if (kinds.length === 0 && !mayHoldKey) return
  for (let index = piece.start; index < piece.end && hits.length < MAX_HITS; index += 1) {
    const line = lines[index]
    if (!line) continue
    if (mayHoldKey && PEM_HEADER.test(line.text) && hasKeyBody(lines, index)) {
      hits.push({ file: line.file, line: line.line, kind: 'private key', secret: line.text.trim() })
    }
    searchLine(line, kinds, hits)
  }
}

function searchLine(line: AddedLine, kinds: SecretKind[], hits: Hit[]): void {
  const generated = isLockFile(line.file)
  for (const kind of kinds) {
    if (kind.guess && generated) continue
    for (const match of line.text.matchAll(kind.pattern)) {
      const secret = match.groups?.['secret'] ?? match[0]
      if (hits.length >= MAX_HITS || !isSecret(kind, { secret, host: match.groups?.['host'] })) continue
      const known = hits.some((hit) => hit.file === line.file && hit.line === line.line && hit.secret.includes(secret))
      if (!known) hits.push({ file: line.file, line: line.line, kind: kind.name, secret })
    }
  }
}

/** A header alone is documentation; a key has its body behind it, on the same line or on the next ones. */
function hasKeyBody(lines: readonly AddedLine[], index: number): boolean {
  const start = lines[index]
  if (!start) return false
  const rest = start.text.slice(start.text.search(PEM_HEADER)).replace(PEM_HEADER, '')
  if (/[A-Za-z0-9+/]{40}/.test(rest)) return true
  return lines
    .slice(index + 1, index + 6)
    .some((line) => line.file === start.file && /[A-Za-z0-9+/=]{40}/.test(line.text))
}

/** Enough to find it, nothing to use it. */
export function mask(secret: string): string {
  if (secret.startsWith('-----BEGIN')) return '-----BEGIN … PRIVATE KEY-----'
  return `${secret.slice(0, Math.min(4, Math.floor(secret.length / 4)))}… (${secret.length} characters)`
}
