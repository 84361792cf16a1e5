// Gate `secrets`: nothing that looks like a credential is in any added line of any commit, before anything is pushed.
// Invariant: text that could not be searched whole is not clean; a found secret is never written out.
// Binary files are searched up to the mirror's limit of 1 MiB; larger ones are named in the note.

import { type Finding, judgeFindings, failed, type Judgement, unknown } from '../core/verdict.ts'
import type { Mirror } from '../workspace/workspace.ts'
import { type AddedLine, addedLines } from './diff-lines.ts'
import type { Gate, GateInput } from './gate.ts'
import { findText, readText } from './read-text.ts'
import { findSecrets, type Hit, mask, MAX_HITS } from './secret-search.ts'

/** One commit's diff. A change of this size would not pass a reviewer either. */
const MAX_DIFF_BYTES = 16 << 20
/** Each commit is a diff of its own (some 10 ms): a branch with more has to be squashed. */
const MAX_COMMITS = 300
const MAX_FINDINGS = 20
/** All diffs of a branch together: a second or two of work for each 16 MiB. */
const MAX_TOTAL_BYTES = 64 << 20

export const secretsGate: Gate = {
  name: 'secrets',
  costly: false,
  onUnknown: 'closed',
  describe: 'No added line of any commit, and no commit message, holds what looks like a credential.',
  collect: searchBranch,
}

/**
 * Every commit is searched, not only the sum: a secret that a later commit takes out would be pushed all the same.
 * Trees are compared along the list of commits, so whatever shape the history has, a line in any tree is either in
 * the base or an added line of one of these diffs.
 */
async function searchBranch(input: GateInput): Promise<Judgement> {
  const { mirror, baseSha, headSha } = input
  const commits = await mirror.commitsBetween(baseSha, headSha)
  if (commits.length > MAX_COMMITS) {
    return failed(`${commits.length} commits`, [
      {
        gate: 'secrets',
        severity: 'P1',
        text: `The branch has ${commits.length} commits; at most ${MAX_COMMITS} are searched for secrets. Squash them.`,
      },
    ])
  }
  const shas = commits.map((commit) => commit.sha)
  if (shas.at(-1) !== headSha) shas.push(headSha)
  const found = new Map<string, Finding>()
  const unread = new Set<string>()
  let previous = baseSha
  let bytes = 0
  for (const sha of shas) {
    const step = await searchStep(mirror, { base: baseSha, from: previous, to: sha })
    bytes += step?.bytes ?? 0
    if (!step || bytes > MAX_TOTAL_BYTES) {
      const note = `commit ${sha.slice(0, 10)} is too large to be searched for secrets (limits: ${MAX_DIFF_BYTES >> 20} MiB for its diff, ${MAX_TOTAL_BYTES >> 20} MiB for all)`
      return unknown('diff-too-large', note, { retryable: false })
    }
    for (const hit of step.hits) note(found, hit, sha === headSha ? null : sha)
    for (const file of step.unread) unread.add(file)
    previous = sha
  }
  for (const commit of commits) {
    const lines = commit.message
      .split('\n')
      .map((text, index): AddedLine => ({ file: 'commit message', line: index + 1, text }))
    for (const hit of await findSecrets(lines)) note(found, hit, commit.sha)
  }
  const rest =
    unread.size > 0 ? `; too large a binary to be searched: ${[...unread].slice(0, MAX_FINDINGS).join(', ')}` : ''
  return judgeFindings([...found.values()].slice(0, MAX_FINDINGS), `no secret in ${commits.length} commit(s)${rest}`)
}

/** Null when it could not be searched whole. */
async function searchStep(
  mirror: Mirror,
  at: { base: string; from: string; to: string },
): Promise<{ hits: Hit[]; unread: string[]; bytes: number } | null> {
  const diff = await mirror.diffText(at.from, at.to, { maxBytes: MAX_DIFF_BYTES, contextLines: 0 })
  if (isCut(diff)) return null
  const opaque = diff.includes('\nBinary files ') ? await opaqueLines(mirror, at) : { lines: [], unread: [] }
  const found = await findSecrets([...addedLines(diff), ...opaque.lines])
  const hits: Hit[] = []
  const before = new Map<string, string | null>()
  for (const hit of found) {
    if (!before.has(hit.file)) before.set(hit.file, await findText(mirror, { sha: at.base, path: hit.file }))
    // A branch that merged main brings lines along that were public before.
    if (!before.get(hit.file)?.includes(hit.secret)) hits.push(hit)
  }
  // The search stops at its limit; if all it saw was public before, what it did not see is unknown.
  if (hits.length === 0 && found.length >= MAX_HITS) return null
  return { hits, unread: opaque.unread, bytes: diff.length }
}

/** The mirror ends a cut diff with a line in brackets; no line of a whole one begins with a bracket. */
function isCut(diff: string): boolean {
  const end = diff.endsWith('\n') ? diff.length - 1 : diff.length
  return Buffer.byteLength(diff) > MAX_DIFF_BYTES || diff[diff.lastIndexOf('\n', end - 1) + 1] === '['
}

/** What a diff hides as binary (a real one, or text that attributes call so) is read whole. */
async function opaqueLines(
  mirror: Mirror,
  at: { from: string; to: string },
): Promise<{ lines: AddedLine[]; unread: string[] }> {
  const lines: AddedLine[] = []
  const unread: string[] = []
  for (const file of await mirror.diffFiles(at.from, at.to)) {
    if (!file.binary || file.status === 'deleted') continue
    const content = await readText(mirror, { sha: at.to, path: file.path })
    if (content.kind === 'refused') unread.push(file.path)
    if (content.kind !== 'text') continue
    // Without its NULs, UTF-16 of plain letters reads as them.
    content.text
      .replaceAll('\0', '')
      .split('\n')
      .forEach((text, index) => lines.push({ file: file.path, line: index + 1, text }))
  }
  return { lines, unread }
}

function note(found: Map<string, Finding>, hit: Hit, sha: string | null): void {
  const key = `${hit.file}\0${hit.secret}`
  // The last commit that has it wins: its place is where the developer finds it.
  const where = sha === null ? '' : ` It is in commit ${sha.slice(0, 10)}: rewrite the branch so that no commit has it.`
  found.set(key, {
    gate: 'secrets',
    severity: 'P0',
    file: hit.file,
    line: hit.line,
    text: `This looks like a ${hit.kind}: ${mask(hit.secret)}.${where} Take it out and read it from the environment; in a test, use text that nobody could take for one.`,
  })
}
