// The list of mutants itself: none is out of date, and only a test that failed as it should has killed one.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { MUTANTS } from '../../scripts/mutants.ts'
import { applyEdit, judgeRun, killerOf, type Report } from '../../scripts/mutants/mutant.ts'

const ROOT = join(import.meta.dirname, '..', '..')

test('every mutant still applies, under a name of its own, and its killers are there', () => {
  const texts = new Map<string, string>()
  const read = (file: string): string => {
    const text = texts.get(file) ?? readFileSync(join(ROOT, file), 'utf8')
    texts.set(file, text)
    return text
  }
  for (const mutant of MUTANTS) {
    const changed = new Map<string, string>()
    for (const edit of mutant.edits) changed.set(edit.file, applyEdit(changed.get(edit.file) ?? read(edit.file), edit))
    for (const [file, text] of changed) expect([mutant.name, text === read(file)]).toEqual([mutant.name, false])
    for (const killer of mutant.killers)
      expect([killer, existsSync(join(ROOT, killerOf(killer).file))]).toEqual([killer, true])
  }
  const names = MUTANTS.map(({ name }) => name)
  expect(names).toEqual([...new Set(names)])
})

test('the safety of every part that exists has mutants', () => {
  const broken = new Set(MUTANTS.flatMap(({ breaks }) => breaks))
  const lines = [
    ...Array.from({ length: 17 }, (_, n) => `S${n + 1}`),
    ...Array.from({ length: 6 }, (_, n) => `L${n + 1}`),
  ]
  expect(lines.filter((line) => !broken.has(line))).toEqual([])
})

test('an edit whose text is gone, or is there twice, is refused', () => {
  const edit = { file: 'a.ts', find: 'x', replace: '$&' }
  expect(applyEdit('axb', edit)).toBe('a$&b')
  expect(() => applyEdit('ab', edit)).toThrow('holds 0 times, not once')
  expect(() => applyEdit('axbx', edit)).toThrow('holds 2 times, not once')
})

describe('a run of tests on a mutant', () => {
  const file = (status: string, tests: [string, string?][], message?: string): Report => ({
    testResults: [
      {
        name: 'a.test.ts',
        status,
        ...(message === undefined ? {} : { message }),
        assertionResults: tests.map(([state, failure]) => ({
          fullName: 'it holds',
          status: state,
          failureMessages: failure === undefined ? [] : [failure],
        })),
      },
    ],
  })

  test('kills it by an assertion that failed, a counterexample, or the error that was named', () => {
    const killed = { kind: 'killed', by: 'it holds' }
    expect(judgeRun(file('failed', [['passed'], ['failed', 'AssertionError: expected 1 to be 2']]))).toEqual(killed)
    expect(judgeRun(file('failed', [['failed', 'Error: Property failed after 3 tests']]))).toEqual(killed)
    expect(
      judgeRun(file('failed', [['failed', 'TestTimeoutError: Test timed out in 9ms.']]), 'Test timed out'),
    ).toEqual(killed)
  })

  test('does not kill it by anything else: what could not run has noticed nothing', () => {
    const torn = 'SyntaxError: Unexpected token'
    expect(judgeRun(file('failed', [['failed', torn]]))).toMatchObject({ kind: 'void' })
    expect(judgeRun(file('failed', [], torn))).toEqual({ kind: 'void', why: `a.test.ts could not be run: ${torn}` })
    expect(judgeRun(file('passed', [['skipped']]))).toEqual({ kind: 'void', why: 'no test ran' })
    expect(judgeRun(file('passed', [['passed']]))).toEqual({ kind: 'survived' })
  })
})
