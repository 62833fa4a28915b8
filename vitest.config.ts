import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

const shared = {
  setupFiles: ['src/base/polyfill.ts'],
  pool: 'forks' as const,
  testTimeout: 60_000,
  hookTimeout: 60_000
}

export default defineConfig({
  test: {
    // Vitest leaves one core to itself, and so on a machine of two would run one file after the other; but half of the time
    // these wait: for processes that start, links that are slow, servers that do not answer any more.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    projects: [
      {
        test: { ...shared, name: 'rooms', include: ['test/**/*.test.ts'], exclude: ['test/**/*.e2e.test.ts'] }
      },
      // Whole programs in processes of their own: these need dist/, and most start several that share the cores.
      {
        test: {
          ...shared,
          name: 'programs',
          include: ['test/**/*.e2e.test.ts'],
          globalSetup: ['test/global-setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000
        }
      }
    ]
  }
})
