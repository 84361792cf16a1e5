import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseFrontMatter } from './front-matter.ts'
import type { GateInput, Handoff } from './gate.ts'
import { reviewGate } from './review.ts'

const HEAD = '3f1c2a9d0b7e4c55a1f08e6d2b9c7a4410fe8d23'
const judge = (handoff: Handoff): ReturnType<typeof reviewGate.collect> =>
  reviewGate.collect({ handoff, headSha: HEAD } as GateInput)
const front = (keys: string, prose = ''): Handoff => parseFrontMatter(`---\n${keys}\n---\n${prose}`)
const sha = `sha: ${HEAD}`
const finding = (severity: string): string =>
  `findings:\n  - severity: ${severity}\n    file: src/a.ts\n    line: 4\n    text: "wrong: sum"`

test.each<[string, Handoff, object]>([
  ['approve', front(`verdict: approve\n${sha}\nfindings: []`), { result: 'pass', findings: [] }],
  ['approve by a short sha', front(`verdict: approve\nsha: ${HEAD.slice(0, 7)}`), { result: 'pass' }],
  [
    'approve with remarks keeps them',
    front(`verdict: approve\n${sha}\n${finding('P3')}`),
    { result: 'pass', findings: [{ severity: 'P3', file: 'src/a.ts', line: 4, text: 'wrong: sum', gate: 'review' }] },
  ],
  [
    'approve with a P0 fails closed',
    front(`verdict: approve\n${sha}\n${finding('P0')}`),
    { result: 'fail', findings: [expect.objectContaining({ severity: 'P0' })] },
  ],
  ['approve with a P1 fails closed', front(`verdict: approve\n${sha}\n${finding('p1')}`), { result: 'fail' }],
  [
    'request changes',
    front(`verdict: request_changes\n${sha}\n${finding('P1')}`),
    { result: 'fail', findings: [expect.objectContaining({ text: 'wrong: sum' })] },
  ],
  [
    'request changes in prose only',
    front(`verdict: request_changes\n${sha}`, 'The sum is wrong.'),
    { result: 'fail', findings: [expect.objectContaining({ text: 'The sum is wrong.' })] },
  ],
  [
    'request changes without a word',
    front(`verdict: request_changes\n${sha}`),
    { result: 'unknown', reason: 'review-unreadable' },
  ],
  [
    'a negative word in another key wins',
    front(`verdict: approve\nstatus: failed\n${sha}\n${finding('P2')}`),
    { result: 'fail' },
  ],
  [
    'another sha',
    front('verdict: approve\nsha: 0000000000000000000000000000000000000000'),
    { result: 'unknown', reason: 'review-stale', retryable: true },
  ],
  [
    'another sha and changes requested',
    front(`verdict: request_changes\nsha: 1234567\n${finding('P1')}`),
    { result: 'unknown', reason: 'review-stale' },
  ],
  [
    'a sha too short',
    front('verdict: approve\nsha: 3f1c2a'),
    { result: 'unknown', reason: 'review-unreadable', retryable: true },
  ],
  ['no sha', front('verdict: approve'), { result: 'unknown', reason: 'review-unreadable' }],
  ['a sha that goes on', front(`verdict: approve\nsha: ${HEAD}00`), { result: 'unknown', reason: 'review-stale' }],
  [
    'no handoff',
    { ok: false, problem: 'there is none' },
    { result: 'unknown', reason: 'review-unreadable', retryable: true },
  ],
  ['"approve" in prose', front(sha, 'verdict: approve'), { result: 'unknown', reason: 'review-unreadable' }],
  ['an unknown word', front(`verdict: lgtm\n${sha}`), { result: 'unknown', reason: 'review-unreadable' }],
  [
    'an unknown severity',
    front(`verdict: approve\n${sha}\n${finding('minor')}`),
    { result: 'unknown', reason: 'review-unreadable' },
  ],
  [
    'findings as text',
    front(`verdict: approve\n${sha}\nfindings: none`),
    { result: 'unknown', reason: 'review-unreadable' },
  ],
  [
    'a finding without text',
    front(`verdict: approve\n${sha}\nfindings:\n  - severity: P3`),
    { result: 'unknown', reason: 'review-unreadable' },
  ],
  [
    'a line that is no number',
    front(`verdict: approve\n${sha}\nfindings:\n  - {severity: P3, text: x, line: "<1m"}`),
    { result: 'unknown', reason: 'review-unreadable' },
  ],
  [
    'could not judge',
    front(`verdict: blocked\n${sha}\nsummary: no tools`),
    { result: 'unknown', reason: 'review-undecided', retryable: false },
  ],
])('%s', async (_name, handoff, expected) => {
  expect(await judge(handoff)).toMatchObject(expected)
})

test('whatever the keys are, only a positive verdict of this head without a grave finding passes', async () => {
  const value = fc.oneof(
    fc.constantFrom('approve', 'done', 'failed', 'request_changes', 'P0', HEAD, HEAD.slice(0, 8)),
    fc.string(),
    fc.array(fc.constantFrom({ severity: 'P0', text: 'x' }, { severity: 'P3', text: 'y' }, 'z')),
  )
  const keys = fc.dictionary(fc.constantFrom('verdict', 'status', 'result', 'sha', 'findings', 'summary'), value)
  await fc.assert(
    fc.asyncProperty(keys, async (record) => {
      const judgement = await judge({ ok: true, keys: record, prose: '' })
      if (judgement.result !== 'pass') return
      expect(HEAD.startsWith(JSON.stringify(record['sha']).slice(1, -1).trim().toLowerCase())).toBe(true)
      expect(JSON.stringify([record['verdict'], record['status'], record['result']])).not.toMatch(
        /failed|request_changes/,
      )
      expect(JSON.stringify(record['findings'] ?? [])).not.toContain('P0')
    }),
  )
})
