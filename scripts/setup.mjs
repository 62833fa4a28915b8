// Brings a clone to where its programs run: packages installed, sources compiled. Does only what is out of date.
import { spawnSync } from 'node:child_process'
import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const buildInfo = 'dist/.tsbuildinfo'

/** Installs and builds where needed, saying so on stderr. Ends the process with status 1 when either fails. */
export function setUp() {
  if (installIsStale()) step('installing packages', npm('ci', '--ignore-scripts'))
  build()
}

/** Compiles src/ to dist/ where a source is newer. */
function build() {
  if (!buildIsStale()) return
  // The compiler notes its work in buildInfo even where it found errors: without it the next attempt starts afresh.
  const forget = () => rmSync(join(root, buildInfo), { force: true })
  step('compiling', [process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json']], forget)
}

function step(name, [program, args], onFailure = () => {}) {
  process.stderr.write(`${name} ...\n`)
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: ['ignore', 2, 2] })
  if (status === 0) return
  onFailure()
  process.stderr.write(`${name} failed${error ? `: ${error.message}` : ` with status ${status}`}\n`)
  process.exit(1)
}

/** npm by the same Node that runs this, where npm itself started it. */
function npm(...args) {
  const program = process.env.npm_execpath
  if (program?.endsWith('.js')) return [process.execPath, [program, ...args]]
  return [process.platform === 'win32' ? 'npm.cmd' : 'npm', args]
}

function installIsStale() {
  return modified('node_modules/.package-lock.json') < modified('package-lock.json')
}

function buildIsStale() {
  const sources = readdirSync(join(root, 'src'), { recursive: true })
    .filter(name => name.endsWith('.ts'))
    .map(name => `src/${name}`)
  const newest = Math.max(...['tsconfig.json', 'tsconfig.build.json', ...sources].map(modified))
  return modified(buildInfo) < newest
}

/** Milliseconds; 0 where there is no such file. */
function modified(path) {
  return statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs ?? 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) build()
