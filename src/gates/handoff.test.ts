import { expect, test } from 'vitest'
import { parseFrontMatter } from './front-matter.ts'
import type { GateInput } from './gate.ts'
import { handoffGate } from './handoff.ts'

const judge = (text: string): ReturnType<typeof handoffGate.collect> =>
  handoffGate.collect({ handoff: parseFrontMatter(text) } as GateInput)
const front = (keys: string, prose = ''): string => `---\n${keys}\n---\n${prose}`

test.each<[string, string, object]>([
  ['done', front('status: done\nsummary: mended it'), { result: 'pass', note: expect.stringContaining('mended it') }],
  [
    'no file',
    'PASS, all done',
    { result: 'fail', findings: [{ gate: 'handoff', severity: 'P1', text: expect.stringContaining('status: done') }] },
  ],
  ['"PASS" in prose counts for nothing', front('summary: x', 'PASS'), { result: 'fail' }],
  ['an unknown word', front('status: nearly'), { result: 'fail', note: expect.stringContaining('nearly') }],
  ['a list as status', front('status: [done]'), { result: 'fail' }],
  ['a verdict and no status', front('verdict: approve'), { result: 'fail' }],
  [
    'needs input',
    front('status: needs_input\nsummary: "Which rounding?"'),
    {
      result: 'wait',
      waitFor: 'answers',
      note: 'Which rounding?',
      findings: [{ gate: 'handoff', severity: 'P2', text: 'Which rounding?' }],
    },
  ],
  ['several questions', front('status: needs_input\nquestions:\n  - a?\n  - b?'), { result: 'wait', note: 'a?\nb?' }],
  ['a question in prose only', front('status: needs_input', 'What now?'), { result: 'wait', note: 'What now?' }],
  [
    'blocked',
    front('status: blocked\nsummary: no such file'),
    { result: 'unknown', reason: 'agent-blocked', retryable: false, note: expect.stringContaining('no such file') },
  ],
  [
    'failed',
    front('status: failed\nsummary: gave up'),
    { result: 'fail', findings: [expect.objectContaining({ text: expect.stringContaining('gave up') })] },
  ],
  [
    'contradicting keys',
    front('status: done\nresult: failed'),
    { result: 'fail', note: expect.stringContaining('contradicts') },
  ],
  [
    'a question that contradicts done',
    front('status: done\nverdict: needs_input'),
    { result: 'fail', note: expect.stringContaining('contradicts') },
  ],
])('%s', async (_name, text, expected) => {
  expect(await judge(text)).toMatchObject(expected)
})
