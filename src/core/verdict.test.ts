import { expect, test } from 'vitest'
import {
  type CommandEvidence,
  combine,
  judgeCommands,
  judgeFindings,
  judgeMeasures,
  readVerdictKeys,
} from './verdict.ts'

const ran = (more: Partial<CommandEvidence>): CommandEvidence => ({
  run: 'npm test',
  outcome: 'exited',
  exitCode: 0,
  durationMs: 1_000,
  output: '',
  ...more,
})

test('commands that exit 0 pass', () => {
  expect(judgeCommands([ran({}), ran({ run: 'npm run lint' })]).result).toBe('pass')
})

test('a red command fails with its output as the finding', () => {
  const judgement = judgeCommands([ran({ exitCode: 1, output: 'expected 2, got 3' })])
  expect(judgement.result).toBe('fail')
  expect(judgement.findings[0]).toMatchObject({
    gate: 'verify',
    severity: 'P0',
    text: expect.stringContaining('expected 2, got 3'),
  })
})

// An infrastructure timeout taken for a red test cost an earlier system a false rollback.
test.each([
  ['timed out', { outcome: 'timed-out' as const, exitCode: null }, 'verify-timeout', true],
  ['killed by a signal', { outcome: 'killed' as const, exitCode: null, signal: 'SIGKILL' }, 'verify-killed', true],
  ['killed, as a shell tells it', { exitCode: 137 }, 'verify-killed', true],
  ['not found', { exitCode: 127 }, 'verify-missing', false],
  ['not executable', { exitCode: 126 }, 'verify-missing', false],
  ['not started', { outcome: 'could-not-start' as const, exitCode: null }, 'verify-missing', false],
])('a command that was %s is unknown, never the code’s fault', (_, more, reason, retryable) => {
  expect(judgeCommands([ran(more)])).toMatchObject({ result: 'unknown', reason, retryable, findings: [] })
})

test('a known failure passes and is named', () => {
  const judgement = judgeCommands([ran({ exitCode: 1, output: 'FAIL flaky.test.ts' })], ['flaky\\.test'])
  expect(judgement).toMatchObject({ result: 'pass', note: expect.stringContaining('as it is known to') })
})

test('a measure above its limit fails and says by how much', () => {
  expect(judgeMeasures('diff-budget', [{ name: 'files', value: 7, max: 6 }])).toMatchObject({
    result: 'fail',
    note: 'files 7, limit 6',
  })
  expect(judgeMeasures('diff-budget', [{ name: 'files', value: 6, max: 6 }]).result).toBe('pass')
})

test('any finding fails, none passes', () => {
  expect(judgeFindings([], 'clean')).toMatchObject({ result: 'pass', note: 'clean' })
  expect(judgeFindings([{ gate: 'secrets', severity: 'P0', text: 'a token' }], 'clean').result).toBe('fail')
})

test.each([
  [{ verdict: 'approve' }, 'positive'],
  [{ status: 'done' }, 'positive'],
  [{ result: 'PASSED' }, 'positive'],
  [{ verdict: 'approve', status: 'failed' }, 'negative'],
  [{ verdict: 'request_changes' }, 'negative'],
  [{ status: 'needs_input' }, 'negative'],
  [{ verdict: 'looks good' }, 'none'],
  [{ verdict: true }, 'none'],
  [{}, 'none'],
  [{ summary: 'PASS' }, 'none'],
  [{ verdict: 'approve', status: 'perhaps' }, 'none'],
])('the keys %j read as %s', (keys, word) => {
  expect(readVerdictKeys(keys).word).toBe(word)
})

test('a stage fails over unknown over wait over pass', () => {
  const of = (...results: ('pass' | 'fail' | 'wait' | 'unknown')[]) => combine(results.map((result) => ({ result })))
  expect(of('pass', 'wait', 'unknown', 'fail')).toBe('fail')
  expect(of('pass', 'wait', 'unknown')).toBe('unknown')
  expect(of('pass', 'wait')).toBe('wait')
  expect(of('pass')).toBe('pass')
  expect(of()).toBe('pass')
})
