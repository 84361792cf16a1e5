import { defineConfig } from 'vitest/config'

// Tests start real processes and run git: they need time on a busy machine, and a process each (a test may change
// its own environment).
export default defineConfig({
  test: {
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
    setupFiles: ['test/tooling/clean-environment.ts'],
    projects: [
      {
        extends: true,
        test: { name: 'unit', include: ['src/**/*.test.ts', 'bench/**/*.test.ts', 'test/incidents/**/*.test.ts'] },
      },
      { extends: true, test: { name: 'tooling', include: ['test/tooling/**/*.test.ts'] } },
      {
        extends: true,
        test: { name: 'simulation', include: ['test/simulation/**/*.test.ts'], testTimeout: 300_000 },
      },
      {
        extends: true,
        test: { name: 'acceptance', include: ['test/acceptance/**/*.test.ts'], testTimeout: 120_000, maxWorkers: 2 },
      },
    ],
  },
})
