// `npm test`: sets the clone up where needed, then runs the whole suite, or what further arguments to vitest pick.
// The last line is `N passed, N failed`. Fails too when no test ran.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setUp } from './setup.mjs'

setUp()
const root = fileURLToPath(new URL('..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'andthen-test-'))
const report = join(folder, 'report.json')
const args = ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...process.argv.slice(2)]
const vitest = spawnSync(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), ...args], {
  cwd: root,
  stdio: 'inherit'
})
const { passed, failed } = counts()
rmSync(folder, { recursive: true })
if (passed + failed === 0) console.error('no test ran')
console.log(`${passed} passed, ${failed} failed`)
process.exit(vitest.status === 0 && failed === 0 && passed > 0 ? 0 : vitest.status || 1)

/** A file that fails before its tests are known, and a failure outside of any test, count as one each. */
function counts() {
  let read
  try {
    read = JSON.parse(readFileSync(report, 'utf8'))
  } catch {
    return { passed: 0, failed: vitest.status === 0 ? 0 : 1 }
  }
  const broken = read.testResults.filter(file => file.status === 'failed' && file.assertionResults.length === 0)
  const failed = read.numFailedTests + broken.length
  const outside = failed === 0 && vitest.status !== 0 && read.numTotalTests > 0
  return { passed: read.numPassedTests, failed: outside ? 1 : failed }
}
