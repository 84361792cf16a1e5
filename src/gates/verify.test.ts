import { expect, test } from 'vitest'
import type { CommandEvidence } from '../core/verdict.ts'
import { ExternalError } from '../lib/errors.ts'
import type { GateInput } from './gate.ts'
import { testPolicy } from './test-repository.ts'
import { verifyGate } from './verify.ts'

const COMMAND = { run: 'npm test', timeoutSeconds: 900, cwd: '.', paths: [] }
const evidence = (over: Partial<CommandEvidence>): CommandEvidence => ({
  run: 'npm test',
  outcome: 'exited',
  exitCode: 0,
  durationMs: 1,
  output: '',
  ...over,
})

function judge(
  commands: CommandEvidence[] | Error,
  verify: GateInput['policy']['verify'] = [COMMAND],
  knownFailures: string[] = [],
): ReturnType<typeof verifyGate.collect> {
  const run = (): ReturnType<GateInput['verify']> =>
    commands instanceof Error ? Promise.reject(commands) : Promise.resolve({ commands, environmentId: 'e' })
  return verifyGate.collect({ policy: testPolicy({ verify, knownFailures }), verify: run } as GateInput)
}

test('runs nothing when the project has nothing to verify with, and holds when nobody said so', async () => {
  expect(await judge(new Error('not to be run'), 'none')).toMatchObject({
    result: 'pass',
    note: expect.stringContaining('verify: none'),
  })
  expect(await judge(new Error('not to be run'), [])).toMatchObject({
    result: 'unknown',
    reason: 'no-verify',
    retryable: false,
  })
})

test.each<[string, CommandEvidence[], object]>([
  ['green', [evidence({})], { result: 'pass' }],
  [
    'red',
    [evidence({ exitCode: 1, output: '1 failed' })],
    { result: 'fail', findings: [expect.objectContaining({ text: expect.stringContaining('1 failed') })] },
  ],
  ['out of time', [evidence({ outcome: 'timed-out', exitCode: null })], { result: 'unknown', retryable: true }],
  ['killed', [evidence({ outcome: 'killed', exitCode: null, signal: 'SIGKILL' })], { result: 'unknown' }],
  ['not there', [evidence({ exitCode: 127 })], { result: 'unknown', reason: 'verify-missing' }],
  ['nothing concerned', [], { result: 'pass', note: expect.stringContaining('concerns') }],
])('%s', async (_name, commands, expected) => {
  expect(await judge(commands)).toMatchObject(expected)
})

test('a known failure does not count', async () => {
  expect(await judge([evidence({ exitCode: 1, output: 'flaky clock' })], [COMMAND], ['flaky clock'])).toMatchObject({
    result: 'pass',
  })
})

test('what the host could not do is thrown on, never judged', async () => {
  const error = new ExternalError({ system: 'setup', kind: 'setup-failed', message: 'npm ci failed' })
  await expect(judge(error)).rejects.toBe(error)
})
