// A range of seeds as tests: each invariant in each seed, and together enough of everything.

import { afterAll, expect, test } from 'vitest'
import { addResult, describe, missing, newCoverage } from './coverage.ts'
import { tellFailure } from './failure.ts'
import { simulate } from './simulate.ts'

/** Seeds of one test: enough to tell about where it fails. */
const BATCH = 50

export function testSeeds({ from, count }: { from: number; count: number }): void {
  const coverage = newCoverage()

  for (let first = from; first < from + count; first += BATCH) {
    const last = Math.min(first + BATCH, from + count) - 1
    test(`seeds ${first} to ${last} keep every invariant and come to rest`, async () => {
      const failures: string[] = []
      for (let seed = first; seed <= last; seed++) {
        const result = await simulate(seed, { file: false })
        addResult(coverage, result)
        if (result.violations.length > 0) failures.push(tellFailure(result, { file: false }))
      }
      expect(failures.join('\n\n')).toBe('')
    })
  }

  test('together they went through enough', () => {
    expect(missing(coverage)).toEqual([])
  })

  afterAll(() => console.log(describe(coverage).join('\n')))
}
