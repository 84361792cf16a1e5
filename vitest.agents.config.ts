import { defineConfig } from 'vitest/config'

// The real agent CLIs, installed outside of the repository's dependencies: needs a package registry, so it is no part
// of `npm test`. One file at a time: each starts a model server and several agents.
export default defineConfig({
  test: {
    name: 'agents',
    include: ['test/agents/**/*.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    // Within a file only tests that mostly wait are concurrent: two cores start no more of these CLIs at once.
    maxConcurrency: 4,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    setupFiles: ['test/tooling/clean-environment.ts'],
  },
})
