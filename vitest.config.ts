import { defineConfig } from 'vitest/config'

const shared = {
  setupFiles: ['src/base/polyfill.ts'],
  pool: 'forks' as const,
  testTimeout: 60_000,
  hookTimeout: 60_000
}

export default defineConfig({
  test: {
    projects: [
      {
        test: { ...shared, name: 'rooms', include: ['test/**/*.test.ts'], exclude: ['test/**/*.e2e.test.ts'] }
      },
      // Whole programs in processes of their own: these need dist/.
      {
        test: { ...shared, name: 'programs', include: ['test/**/*.e2e.test.ts'], globalSetup: ['test/global-setup.ts'] }
      }
    ]
  }
})
