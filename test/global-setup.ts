import { execFileSync } from 'node:child_process'

/** Tests that spawn programs run what is in dist/: compiled once, before the first of them. */
export function setup(): void {
  execFileSync(process.execPath, ['scripts/setup.mjs'], { stdio: ['ignore', 'ignore', 'inherit'] })
}
