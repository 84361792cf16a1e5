// A failed seed, told so that it can be played again.

import type { Result } from './simulate.ts'

export function tellFailure(result: Result, { file }: { file: boolean }): string {
  return [
    `seed ${result.seed} broke:`,
    ...result.violations.map((text) => `  ${text}`),
    'what was done to it:',
    ...result.blows.map(({ point, strike }) => `  ${point} ${strike}`),
    'the end of its journal:',
    ...result.journal.map((line) => `  ${line}`),
    ...(result.errors.length > 0 ? ['what Orch logged:', ...result.errors.map((text) => `  ${text}`)] : []),
    `again: npm run simulate -- --seed ${result.seed}${file ? ' --file' : ''}`,
  ].join('\n')
}
