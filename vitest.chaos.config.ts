import { defineConfig } from 'vitest/config'

// Real kills, for minutes: no part of `npm test`. One file at a time, since it has the machine's cores for its own.
export default defineConfig({
  test: {
    name: 'chaos',
    include: ['test/chaos/**/*.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    setupFiles: ['test/tooling/clean-environment.ts'],
  },
})
