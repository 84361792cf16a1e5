// Gate `review`: another agent's judgement of exactly this head, read from its handoff's keys.
// Invariant: an unreadable, stale or undecided review is nobody's fault and no pass; a P0 or P1 is never approved away.

import {
  type Finding,
  failed,
  type Judgement,
  passed,
  readVerdictKeys,
  type Severity,
  unknown,
} from '../core/verdict.ts'
import type { Gate, Handoff } from './gate.ts'

const SEVERITIES: readonly Severity[] = ['P0', 'P1', 'P2', 'P3']
/** Words by which a reviewer says that it could not judge; that is not a judgement of the change. */
const UNDECIDED = new Set(['blocked', 'needs_input', 'needs-input', 'error'])
const MAX_TEXT = 4_000
const MAX_FINDINGS = 100
/** Git's own shortest default abbreviation. */
const MIN_SHA = 7

export const reviewGate: Gate = {
  name: 'review',
  costly: false,
  onUnknown: 'closed',
  describe: 'A reviewer approved exactly this head and named no P0 or P1.',
  collect: ({ handoff, headSha }) => Promise.resolve(judgeReview(handoff, headSha)),
}

function judgeReview(handoff: Handoff, headSha: string): Judgement {
  if (!handoff.ok) return unreadable(handoff.problem)
  const { keys, prose } = handoff
  const verdict = readVerdictKeys(keys)
  if (verdict.word === 'none') return unreadable(verdict.problem)
  const sha = typeof keys['sha'] === 'string' ? keys['sha'].trim().toLowerCase() : ''
  if (!/^[0-9a-f]+$/.test(sha) || sha.length < MIN_SHA) return unreadable('it does not name the sha that was judged')
  if (!headSha.toLowerCase().startsWith(sha)) {
    return unknown('review-stale', `the review judged ${sha.slice(0, 12)}, the head is ${headSha.slice(0, 12)}`, {
      retryable: true,
    })
  }
  const read = readFindings(keys['findings'])
  if (!read.ok) return unreadable(read.problem)
  const summary = textOf(keys['summary']) || prose
  if (verdict.word === 'negative' && UNDECIDED.has(verdict.value)) {
    return unknown(
      'review-undecided',
      `the reviewer could not judge (${verdict.value}): ${summary.slice(0, MAX_TEXT) || 'it gave no reason'}`,
      { retryable: false },
    )
  }
  return verdict.word === 'negative' ? sentBack(read.findings, summary) : approved(read.findings)
}

function sentBack(findings: Finding[], summary: string): Judgement {
  if (findings.length > 0) return failed(`changes requested, ${count(findings)}`, findings)
  if (!summary) return unreadable('it asks for changes and names none')
  return failed('changes requested', [{ gate: 'review', severity: 'P1', text: summary.slice(0, MAX_TEXT) }])
}

function approved(findings: Finding[]): Judgement {
  const grave = findings.filter((finding) => finding.severity === 'P0' || finding.severity === 'P1')
  if (grave.length > 0) return failed(`approved with ${count(grave)}: a contradiction, and the findings win`, findings)
  return { ...passed(findings.length > 0 ? `approved, ${count(findings)}` : 'approved'), findings }
}

type ReadFindings = { ok: true; findings: Finding[] } | { ok: false; problem: string }

function readFindings(value: unknown): ReadFindings {
  if (value === undefined) return { ok: true, findings: [] }
  if (!Array.isArray(value)) return { ok: false, problem: 'its findings are not a list' }
  if (value.length > MAX_FINDINGS)
    return { ok: false, problem: `it has ${value.length} findings; at most ${MAX_FINDINGS} are read` }
  const findings: Finding[] = []
  for (const [index, item] of value.entries()) {
    const finding = readFinding(item)
    if (typeof finding === 'string') return { ok: false, problem: `finding ${index + 1} ${finding}` }
    findings.push(finding)
  }
  return { ok: true, findings }
}

/** The finding, or what is wrong with it. */
function readFinding(item: unknown): Finding | string {
  if (typeof item !== 'object' || item === null || Array.isArray(item)) return 'is not a group of keys'
  const keys = item as Record<string, unknown>
  const severity = SEVERITIES.find((known) => known === textOf(keys['severity']).toUpperCase())
  if (!severity) return `has no severity of ${SEVERITIES.join(', ')}`
  const text = textOf(keys['text'])
  if (!text) return 'has no text'
  const file = textOf(keys['file'])
  const line = textOf(keys['line'])
  if (line && !/^\d{1,9}(-\d{1,9})?$/.test(line)) return 'has a line that is no number'
  return {
    gate: 'review',
    severity,
    text: text.slice(0, MAX_TEXT),
    ...(file ? { file: file.slice(0, 500) } : {}),
    ...(line ? { line: Number.parseInt(line, 10) } : {}),
  }
}

function unreadable(problem: string): Judgement {
  return unknown('review-unreadable', `the review can't be read: ${problem}`, { retryable: true })
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value.trim() : ''
}

function count(findings: Finding[]): string {
  return `${findings.length} finding(s)`
}
